package playbook

import (
	"strings"
	"unicode/utf8"
)

// locate walks the text of a scalar along the file and tells for each byte of
// the text at which offset of the file it was written; one entry more is the
// offset after the scalar. It undoes quotes, escapes, folding and indentation.
func locate(n *node) []int {
	w := walker{file: n.src.text, at: n.start, style: n.style}
	w.open()
	places := make([]int, 0, len(n.text)+1)
	for i := 0; i < len(n.text); {
		c, size := utf8.DecodeRuneInString(n.text[i:])
		from := w.next(c)
		for range size {
			places = append(places, from)
		}
		i += size
	}
	return append(places, w.close())
}

type walker struct {
	file  string
	at    int
	style nodeStyle
}

// open steps over what stands before the first character.
func (w *walker) open() {
	switch w.style {
	case singleStyle, doubleStyle:
		w.at = min(w.at+1, len(w.file))
	case literalStyle, foldedStyle:
		if eol := strings.IndexAny(w.file[w.at:], "\r\n"); eol >= 0 {
			w.at += eol
		} else {
			w.at = len(w.file)
		}
	default: // nothing stands before the others
	}
}

// next finds where character c of the text was written and steps over it.
func (w *walker) next(c rune) int {
	if c == ' ' || c == '\t' || c == '\n' {
		return w.blank(c)
	}
	w.skip()
	from := w.at
	switch {
	case w.style == doubleStyle && w.peek() == '\\':
		w.at = min(w.at+escapeLength(w.file[w.at:]), len(w.file))
	case w.style == singleStyle && c == '\'':
		w.at = min(w.at+2, len(w.file))
	default:
		_, size := utf8.DecodeRuneInString(w.file[w.at:])
		w.at += size
	}
	return from
}

// blank finds white space: written as it is, as an escape, or come from folding.
func (w *walker) blank(c rune) int {
	if w.style == doubleStyle {
		w.skipJoins()
	}
	from := w.at
	switch {
	case w.style == doubleStyle && w.peek() == '\\':
		w.at = min(w.at+escapeLength(w.file[w.at:]), len(w.file))
	case c != '\n' && w.peek() == byte(c):
		w.at++
	case (w.style == literalStyle || w.style == foldedStyle) && (w.peek() == '\n' || w.peek() == '\r') && c == '\n':
		w.at++
	}
	return from
}

// skip steps over line breaks and indentation, and in double quotes over
// escaped line breaks.
func (w *walker) skip() {
	for w.at < len(w.file) && strings.IndexByte(" \t\r\n", w.file[w.at]) >= 0 {
		w.at++
	}
	if w.style == doubleStyle {
		w.skipJoins()
	}
}

// skipJoins steps over a backslash at the end of a line and the indentation of
// the next one.
func (w *walker) skipJoins() {
	for strings.HasPrefix(w.file[w.at:], "\\\n") || strings.HasPrefix(w.file[w.at:], "\\\r") {
		w.at++
		for w.at < len(w.file) && strings.IndexByte(" \t\r\n", w.file[w.at]) >= 0 {
			w.at++
		}
	}
}

func (w *walker) peek() byte {
	if w.at < len(w.file) {
		return w.file[w.at]
	}
	return 0
}

// close steps over what stands after the last character and gives the offset
// after the scalar.
func (w *walker) close() int {
	switch w.style {
	case singleStyle:
		w.skip()
		return min(w.at+1, len(w.file))
	case doubleStyle:
		w.skip()
		return min(w.at+1, len(w.file))
	default: // nothing stands after the others
	}
	return w.at
}

// escapeLength is the length of the escape at the start of s.
func escapeLength(s string) int {
	if len(s) < 2 {
		return len(s)
	}
	switch s[1] {
	case 'x':
		return 4
	case 'u':
		return 6
	case 'U':
		return 10
	}
	_, size := utf8.DecodeRuneInString(s[1:])
	return 1 + size
}

// place is the position in the file of a byte of a scalar's text.
func (n *node) place(offset int) Pos {
	if n.kind != scalarNode || offset <= 0 && n.style == plainStyle {
		return n.at
	}
	places := locate(n)
	return n.src.pos(places[max(0, min(offset, len(places)-1))])
}
