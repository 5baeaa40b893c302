package expr

import "strings"

const (
	open = "${{"
	shut = "}}"
)

// Segment is a piece of a text with expressions in it.
type Segment struct {
	IsExpr bool
	Text   string // the literal text, or what stands between ${{ and }}
	Offset int    // in bytes, of Text within the whole
}

// SplitTemplate cuts a text into literal pieces and expressions. The end of an
// expression is found by counting braces outside quotes, because object
// literals contain braces; $${{ gives a literal ${{. A text without expressions
// is one literal segment (none for the empty text).
func SplitTemplate(text string) ([]Segment, error) {
	if !strings.Contains(text, open) {
		if text == "" {
			return nil, nil
		}
		return []Segment{{Text: text}}, nil
	}
	var out []Segment
	var lit strings.Builder
	start, at := 0, 0
	flush := func() {
		if lit.Len() > 0 {
			out = append(out, Segment{Text: lit.String(), Offset: start})
			lit.Reset()
		}
	}
	for at < len(text) {
		next := strings.Index(text[at:], open)
		if next < 0 {
			lit.WriteString(text[at:])
			break
		}
		next += at
		if next > at && text[next-1] == '$' {
			lit.WriteString(text[at : next-1])
			lit.WriteString(open)
			at = next + len(open)
			continue
		}
		lit.WriteString(text[at:next])
		flush()
		begin := next + len(open)
		end, ok := findEnd(text, begin)
		if !ok {
			e := failf(0, "the expression has no end").hinted("close it with }}")
			return nil, e.located(text, next)
		}
		out = append(out, Segment{IsExpr: true, Text: text[begin:end], Offset: begin})
		at = end + len(shut)
		start = at
	}
	flush()
	return out, nil
}

// HasTemplate tells whether a text holds an expression or an escaped ${{, that
// is, whether its value differs from the text.
func HasTemplate(text string) bool { return strings.Contains(text, open) }

// findEnd finds the }} that closes the expression that begins at from.
func findEnd(text string, from int) (int, bool) {
	depth := 0
	for i := from; i < len(text); i++ {
		switch c := text[i]; c {
		case '"', '\'', '`':
			i = skipQuoted(text, i)
		case '{':
			depth++
		case '}':
			switch {
			case depth > 0:
				depth--
			case i+1 < len(text) && text[i+1] == '}':
				return i, true
			}
		}
	}
	return 0, false
}

// skipQuoted gives the place of the quote that closes the one at from.
func skipQuoted(text string, from int) int {
	q := text[from]
	for i := from + 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && q != '`':
			i++
		case text[i] == q:
			return i
		}
	}
	return len(text)
}
