package store

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"riposte/internal/fault"
)

// spanOf is the piece of a range between two times; the end is not part of it.
func spanOf(column string, from, until time.Time) (c clause, err error) {
	if !from.IsZero() && !until.IsZero() && !until.After(from) {
		return c, fmt.Errorf("the list is asked from %s until %s, which is before: %w",
			from.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339), fault.Invalid)
	}
	if !from.IsZero() {
		c.text += " AND " + column + " >= ?"
		c.args = append(c.args, from)
	}
	if !until.IsZero() {
		c.text += " AND " + column + " < ?"
		c.args = append(c.args, until)
	}
	return c, nil
}

// in adds a filter for a column that must be one of a few values.
func in[T any](l *listing, column string, values []T) {
	if len(values) == 0 {
		return
	}
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	l.filter(column+" IN (?"+strings.Repeat(", ?", len(values)-1)+")", args...)
}

func unique[T comparable](values []T) []T {
	var list []T
	for _, v := range values {
		if !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

// cutObservable splits ip:203.0.113.9 at its first colon.
func cutObservable(s string) (kind, value string, ok bool) {
	kind, value, ok = strings.Cut(s, ":")
	return kind, value, ok && kind != "" && value != ""
}

// difference compares two lists: what only the first has, and what only the
// second has.
func difference(had, want []string) (gone, fresh []string) {
	for _, v := range had {
		if !slices.Contains(want, v) {
			gone = append(gone, v)
		}
	}
	for _, v := range want {
		if !slices.Contains(had, v) {
			fresh = append(fresh, v)
		}
	}
	return gone, fresh
}
