package strictyaml

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"riposte/internal/fault"
)

// Pos is a place in a file; both count from 1. The zero Pos is unknown.
type Pos struct{ Line, Column int }

// Error is one thing that is wrong with a file.
type Error struct {
	File     string
	Pos      Pos
	What     string // what is wrong
	Expected string // what was expected, or how to put it right; may be empty
}

// Error reads FILE:LINE:COLUMN: what is wrong; what was expected.
func (e *Error) Error() string {
	text := e.What
	if e.Expected != "" {
		text += "; " + e.Expected
	}
	if e.Pos.Line == 0 {
		return e.File + ": " + text
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Pos.Line, e.Pos.Column, text)
}

// Unwrap makes every Error a fault.Invalid.
func (e *Error) Unwrap() error { return fault.Invalid }

// Errors is everything that is wrong with a file, in the order of the text.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes Errors a fault.Invalid.
func (e Errors) Unwrap() error { return fault.Invalid }

func (e Errors) sorted() Errors {
	slices.SortStableFunc(e, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
	return e
}

// Nearest finds the candidate that name was probably meant to be, or "".
func Nearest(name string, candidates []string) string {
	best, at := "", 2+min(1, len(name)/8)
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d < at {
			best, at = c, d
		}
	}
	return best
}

// DidYouMean is the remedy for an unknown name: the nearest candidate, or all of
// them when they are few, or "".
func DidYouMean(name string, candidates []string) string {
	if best := Nearest(name, candidates); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	if len(candidates) == 0 || len(candidates) > 40 {
		return ""
	}
	sorted := slices.Clone(candidates)
	slices.Sort(sorted)
	return "expected one of " + strings.Join(sorted, ", ")
}

// distance counts the letters to insert, remove, change or swap with their
// neighbour to get from a to b.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(row[j]+1, last[j+1]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
