package store

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"

	"riposte/internal/fault"
)

// DefaultTenant is the tenant of an installation that has one only. The empty
// text means it too.
const DefaultTenant = "default"

func tenantOf(s string) string {
	if s == "" {
		return DefaultTenant
	}
	return s
}

// Page is a piece of a list.
type Page[T any] struct {
	Items []T
	// Next is the cursor of the piece that follows, "" at the end. A piece can be
	// shorter than asked for, even empty, and still have a next one: a filter that
	// fits few records stops after it has looked at many.
	Next string
}

// Slice says which piece of a list is wanted.
type Slice struct {
	Limit  int    // 0 means 50; at most 1,000
	Cursor string // Next of the piece before, "" for the first one
}

func (s Slice) size() int {
	switch {
	case s.Limit <= 0:
		return 50
	case s.Limit > 1000:
		return 1000
	}
	return s.Limit
}

// place is a place in a list that is sorted by (sort, id).
type place struct{ sort, id int64 }

// The places before everything and behind everything.
var (
	atTop    = place{math.MaxInt64, math.MaxInt64}
	atBottom = place{math.MinInt64, math.MinInt64}
)

// cursor writes a place so that people do not build on it. list keeps a cursor
// from being used for another list.
func (p place) cursor(list string) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s %d %d", list, p.sort, p.id))
}

// place reads the cursor of a slice: start where there is none.
func (s Slice) place(list string, start place) (place, error) {
	if s.Cursor == "" {
		return start, nil
	}
	var p place
	raw, err := base64.RawURLEncoding.DecodeString(s.Cursor)
	f := strings.Split(string(raw), " ")
	if err == nil && len(f) == 3 && f[0] == list {
		var errSort, errID error
		p.sort, errSort = strconv.ParseInt(f[1], 10, 64)
		p.id, errID = strconv.ParseInt(f[2], 10, 64)
		if errSort == nil && errID == nil {
			return p, nil
		}
	}
	return p, fmt.Errorf("the cursor %q is not from this list and order; take next_cursor of the page before, or none: %w",
		s.Cursor, fault.Invalid)
}

// textCursor is a cursor of a list that is sorted by a unique text.
func textCursor(list, text string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(list + " " + text))
}

func (s Slice) text(list string) (string, error) {
	if s.Cursor == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(s.Cursor)
	text, ok := strings.CutPrefix(string(raw), list+" ")
	if err != nil || !ok {
		return "", fmt.Errorf("the cursor %q is not from this list; take next_cursor of the page before, or none: %w",
			s.Cursor, fault.Invalid)
	}
	return text, nil
}

// clause is a piece of a WHERE and its parameters.
type clause struct {
	text string
	args []any
}

// listing is a query for the keys of a list, newest first. Each of its ranges is
// a piece of one index in the list's order, so the database merges them without
// sorting; what no index serves is a filter, looked at row by row.
type listing struct {
	name    string   // for the cursor
	up      bool     // oldest first
	table   string   // with joins
	sort    string   // column
	id      string   // column
	ranges  []clause // one at least
	filters []clause
}

// lookAt bounds the rows that one page of a list looks at, found or not.
const lookAt = 10000

func (l *listing) filter(text string, args ...any) {
	l.filters = append(l.filters, clause{text, args})
}

// query writes the statement: one SELECT a range, with the filters as a column,
// so that rows that do not fit are counted too.
func (l *listing) query(from place, limit int) (string, []any) {
	fits, fitArgs := "1", []any(nil)
	if len(l.filters) > 0 {
		texts := make([]string, len(l.filters))
		for i, f := range l.filters {
			texts[i] = "(" + f.text + ")"
			fitArgs = append(fitArgs, f.args...)
		}
		fits = "CASE WHEN " + strings.Join(texts, " AND ") + " THEN 1 ELSE 0 END"
	}
	beyond, order := "<", "DESC"
	if l.up {
		beyond, order = ">", "ASC"
	}
	var b strings.Builder
	var args []any
	for i, r := range l.ranges {
		if i > 0 {
			b.WriteString(" UNION ALL ")
		}
		fmt.Fprintf(&b, "SELECT %s AS sort_key, %s AS row_id, %s AS fits FROM %s WHERE %s AND ", l.sort, l.id, fits, l.table, r.text)
		args = append(args, fitArgs...)
		args = append(args, r.args...)
		if l.sort == l.id {
			fmt.Fprintf(&b, "%s %s ?", l.id, beyond)
			args = append(args, from.id)
		} else {
			fmt.Fprintf(&b, "(%s, %s) %s (?, ?)", l.sort, l.id, beyond)
			args = append(args, from.sort, from.id)
		}
	}
	fmt.Fprintf(&b, " ORDER BY sort_key %s", order)
	if l.sort != l.id {
		fmt.Fprintf(&b, ", row_id %s", order)
	}
	b.WriteString(" LIMIT ?")
	return b.String(), append(args, limit)
}

// keys returns the places of the entries of a page and the cursor of the next
// one.
func (l *listing) keys(q *Reader, s Slice) (found []place, next string, err error) {
	start := atTop
	if l.up {
		start = atBottom
	}
	from, err := s.place(l.name, start)
	if err != nil {
		return nil, "", err
	}
	size, limit := s.size(), lookAt
	if len(l.filters) == 0 {
		limit = size + 1
	}
	text, args := l.query(from, limit)
	rows, err := q.Query(text, args...)
	if err != nil {
		return nil, "", err
	}
	defer rows.Close()
	var at place
	var fits bool
	seen := 0
	for ; rows.Next(); seen++ {
		if err := rows.Scan(&at.sort, &at.id, &fits); err != nil {
			return nil, "", err
		}
		if !fits {
			continue
		}
		if len(found) == size {
			return found, found[size-1].cursor(l.name), nil
		}
		found = append(found, at)
	}
	if seen == lookAt {
		next = at.cursor(l.name)
	}
	return found, next, rows.Err()
}

// page reads a page: its keys first, then each record by its key.
func page[T any](q *Reader, l *listing, s Slice, read func(q *Reader, id int64) (T, error)) (Page[T], error) {
	found, next, err := l.keys(q, s)
	if err != nil {
		return Page[T]{}, fmt.Errorf("list %s: %w", l.name, err)
	}
	p := Page[T]{Items: make([]T, 0, len(found)), Next: next}
	for _, at := range found {
		item, err := read(q, at.id)
		if err != nil {
			return Page[T]{}, fmt.Errorf("list %s: %w", l.name, err)
		}
		p.Items = append(p.Items, item)
	}
	return p, nil
}

// all reads every row of a query that gives few.
func all[T any](q *Reader, scan func(r *Rows, v *T) error, query string, args ...any) ([]T, error) {
	rows, err := q.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		var v T
		if err := scan(rows, &v); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}
