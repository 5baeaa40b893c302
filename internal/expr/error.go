package expr

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"riposte/internal/fault"
)

// Error is what is wrong with an expression, or went wrong in it: one line, and
// where in the text it is.
type Error struct {
	Offset  int // in bytes from the start of the text
	Line    int // from 1, within the text
	Column  int // from 1, in characters
	Message string
	Hint    string // how to put it right; may be empty
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + "; " + e.Hint
}

// Unwrap makes every Error a fault.Invalid.
func (e *Error) Unwrap() error { return fault.Invalid }

// place is a position in a source text, in characters from its start.
type place int

// failure is an Error that does not know its text yet.
type failure struct {
	at            place
	message, hint string
	limit         bool // it used up a limit: no way to read it makes that good
}

func (f *failure) Error() string { return f.message }

func failf(at place, format string, args ...any) *failure {
	return &failure{at: at, message: fmt.Sprintf(format, args...)}
}

func (f *failure) hinted(format string, args ...any) *failure {
	f.hint = fmt.Sprintf(format, args...)
	return f
}

func (f *failure) final() *failure {
	f.limit = true
	return f
}

// located turns a failure in source, which begins after skip bytes of text,
// into an Error in text.
func (f *failure) located(text string, skip int) *Error {
	e := &Error{Offset: skip, Message: f.message, Hint: f.hint}
	for n := place(0); n < f.at && e.Offset < len(text); n++ {
		_, size := utf8.DecodeRuneInString(text[e.Offset:])
		e.Offset += size
	}
	e.Line, e.Column = position(text, e.Offset)
	return e
}

// position turns an offset in bytes into a line and a column in characters.
func position(text string, offset int) (line, column int) {
	before := text[:offset]
	start := strings.LastIndexByte(before, '\n') + 1
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[start:]) + 1
}

func quote(s string) string {
	n := 0
	for i := range s {
		if n++; n > 60 {
			s = s[:i] + "…"
			break
		}
	}
	return strconv.Quote(s)
}

// suggest names the word nearest to wrong, as a question, or nothing.
func suggest(wrong string, words iter.Seq[string]) string {
	if utf8.RuneCountInString(wrong) > 64 {
		return ""
	}
	best, distance := "", max(1, min(3, len(wrong)/3))+1
	for _, w := range slices.Sorted(words) {
		if d := editDistance(strings.ToLower(wrong), strings.ToLower(w)); d < distance {
			best, distance = w, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// editDistance counts the letters to add, drop, change or swap with a neighbour.
func editDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x)-len(y) > 3 || len(y)-len(x) > 3 {
		return 4
	}
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(x)][len(y)]
}
