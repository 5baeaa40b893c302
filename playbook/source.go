package playbook

import (
	"sort"
	"unicode/utf8"
)

// Limits of a file. A playbook is written by hand: what is larger is a mistake
// or an attack.
const (
	MaxFileSize = 1 << 20 // bytes
	maxDepth    = 100     // of nested lists and mappings
	maxNodes    = 100_000
)

// source is the text of a file and where its lines begin.
type source struct {
	text  string
	lines []int // offset of the first byte of each line
}

func newSource(text string) *source {
	s := &source{text: text, lines: []int{0}}
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\n':
			s.lines = append(s.lines, i+1)
		case '\r':
			if i+1 < len(text) && text[i+1] == '\n' {
				i++
			}
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// offset finds the byte at a position.
func (s *source) offset(p Pos) int {
	if p.Line < 1 || p.Line > len(s.lines) {
		return len(s.text)
	}
	at := s.lines[p.Line-1]
	for n := 1; n < p.Column && at < len(s.text); n++ {
		_, size := utf8.DecodeRuneInString(s.text[at:])
		at += size
	}
	return at
}

// pos is the position of a byte.
func (s *source) pos(offset int) Pos {
	offset = min(offset, len(s.text))
	line := sort.SearchInts(s.lines, offset+1)
	return Pos{Line: line, Column: utf8.RuneCountInString(s.text[s.lines[line-1]:offset]) + 1}
}

// checkText refuses what is not a text that people can read and edit. ok is
// false when parsing it would make no sense.
func (s *source) checkText(r *reporter) (ok bool) {
	if len(s.text) > MaxFileSize {
		// Its size is not said: what reads files stops where they get too large.
		r.errorf(Pos{1, 1}, "the file is too large; a playbook has at most %d bytes (1 MiB)", MaxFileSize)
		return false
	}
	for i := 0; i < len(s.text); {
		c, size := utf8.DecodeRuneInString(s.text[i:])
		switch {
		case c == utf8.RuneError && size == 1:
			r.errorf(s.pos(i), "byte 0x%02x is not UTF-8; write the file in UTF-8", s.text[i])
			return false
		case c == '\uFEFF' && i > 0, c == 0x85, c == '\u2028', c == '\u2029', c == 0x7f, c < ' ' && c != '\t' && c != '\n' && c != '\r',
			c > 0x7f && c < 0xa0:
			r.errorf(s.pos(i), "control character U+%04X; write it as an escape in double quotes, such as \"\\u%04x\"", c, c)
			return false
		}
		i += size
	}
	return true
}
