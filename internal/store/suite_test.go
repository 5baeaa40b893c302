package store

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"riposte/internal/cases"
	"riposte/internal/store/storetest"
)

// databases are the kinds of database that all tests of records run on.
var databases = map[string]func(t *testing.T) *DB{
	"sqlite":   func(t *testing.T) *DB { return open(t, Options{}) },
	"postgres": openPostgres,
}

// wheres make an empty database of each kind and say where it is.
var wheres = map[string]func(t *testing.T) string{
	"sqlite":   func(t *testing.T) string { return filepath.Join(t.TempDir(), "riposte.db") },
	"postgres": func(t *testing.T) string { return storetest.Postgres(t) },
}

// suite runs a test of records on every kind of database, each time on a fresh
// one.
func suite(t *testing.T, test func(t *testing.T, d *DB)) {
	t.Helper()
	t.Parallel()
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func read(t testing.TB, d *DB, do func(q *Reader) error) {
	t.Helper()
	if err := d.Read(context.Background(), do); err != nil {
		t.Fatal(err)
	}
}

// wrote runs do and returns its error, which must be the one of a kind.
func wantErr(t testing.TB, d *DB, kind error, do func(tx *Tx) error) {
	t.Helper()
	if err := d.Write(context.Background(), do); !errors.Is(err, kind) {
		t.Errorf("got %v, want %v", err, kind)
	}
}

// noon is when everything in the tests begins.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

var ana = cases.By{Kind: cases.ByPerson, Name: "ana"}

// plans reads the query plan of every statement that do runs and fails for one
// that goes through a whole table, or sorts what it read.
func plans(t *testing.T, d *DB, do func(q *Reader) error) {
	t.Helper()
	read(t, d, func(q *Reader) error {
		q.conn.forget()
		if err := do(q); err != nil {
			return err
		}
		for text := range q.conn.stmts {
			if !strings.HasPrefix(text, "SELECT") {
				continue
			}
			for _, step := range plan(t, q, text) {
				scan := strings.HasPrefix(step, "SCAN") && !strings.HasPrefix(step, "SCAN CONSTANT ROW") && !strings.Contains(step, "VIRTUAL TABLE INDEX")
				if scan || strings.Contains(step, "TEMP B-TREE") {
					t.Errorf("%s\n  %s", text, step)
				}
			}
		}
		return nil
	})
}

// plan explains a statement. It is empty for PostgreSQL, which goes through a
// table of a few rows whatever indexes there are.
func plan(t *testing.T, q *Reader, text string) (steps []string) {
	t.Helper()
	if _, ok := q.conn.be.(*sqliteFile); !ok {
		return nil
	}
	args := make([]any, strings.Count(text, "?"))
	for i := range args {
		args[i] = 1
	}
	rows, err := q.conn.query(q.ctx, "EXPLAIN QUERY PLAN "+text, args)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	rows.q = q
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	return steps
}

// walk reads a whole list in pieces of n.
func walk[T any](t testing.TB, d *DB, n int, list func(q *Reader, s Slice) (Page[T], error)) (items []T) {
	t.Helper()
	s := Slice{Limit: n}
	for {
		var p Page[T]
		read(t, d, func(q *Reader) (err error) { p, err = list(q, s); return err })
		if len(p.Items) > n {
			t.Fatalf("%d items in a page of %d", len(p.Items), n)
		}
		items = append(items, p.Items...)
		if s.Cursor = p.Next; s.Cursor == "" {
			return items
		}
	}
}
