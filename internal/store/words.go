package store

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	maxWord  = 64   // letters of one word; the rest is cut
	maxWords = 1500 // words of one record
)

// words cuts a text into its words: runs of letters and digits, in small letters
// and without accents. Whatever stands between parts them, so that 10.0.0.7 is
// four words and its beginning can be found, too. yield returns false to stop.
func words(text string, yield func(word string) bool) {
	if !ascii(text) {
		text = norm.NFKD.String(text)
	}
	var b strings.Builder
	letters := 0
	flush := func() bool {
		if letters == 0 {
			return true
		}
		word := b.String()
		b.Reset()
		letters = 0
		return yield(word)
	}
	for _, r := range text {
		switch {
		case unicode.Is(unicode.Mn, r): // an accent, which NFKD has parted from its letter
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			if letters < maxWord {
				b.WriteRune(unicode.ToLower(r))
			}
			letters++
		default:
			if !flush() {
				return
			}
		}
	}
	flush()
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// wordMark begins every word as it is indexed: both databases then take it for a
// word and nothing else, where one of them would see numbers, versions or units.
const wordMark = "x"

// indexed makes the text that the index of words is given for a record: every
// run of words once.
func indexed(texts []string) string {
	var b strings.Builder
	n := 0
	had := make(map[string]bool, len(texts))
	for _, text := range texts {
		if text == "" || had[text] {
			continue
		}
		had[text] = true
		words(text, func(word string) bool {
			if n++; n > maxWords {
				return false
			}
			b.WriteString(wordMark)
			b.WriteString(word)
			b.WriteByte(' ')
			return true
		})
	}
	return b.String()
}

// phrase is words that stand one after the other; the last one may go on where
// open is set.
type phrase struct {
	words []string
	open  bool
}

// phrases reads what somebody looks for: each piece between blanks must be there,
// "pieces in quotes" as they are.
func phrases(search string) (list []phrase) {
	for i, part := range strings.Split(search, `"`) {
		pieces := strings.Fields(part)
		if i%2 == 1 {
			pieces = []string{part}
		}
		for _, piece := range pieces {
			p := phrase{open: i%2 == 0}
			words(piece, func(word string) bool {
				p.words = append(p.words, wordMark+word)
				return len(p.words) < maxWords
			})
			if len(p.words) > 0 {
				list = append(list, p)
			}
		}
	}
	return list
}
