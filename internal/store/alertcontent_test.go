package store

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"riposte/internal/alert"
)

// TestOldAlertsArePacked brings a database of the version before up to date.
func TestOldAlertsArePacked(t *testing.T) {
	for name, where := range wheres {
		t.Run(name, func(t *testing.T) {
			at := where(t)
			be, err := backendOf(at, Options{}.filled())
			if err != nil {
				t.Fatal(err)
			}
			connector, err := be.connector(false)
			if err != nil {
				t.Fatal(err)
			}
			old := sql.OpenDB(connector)
			upTo(t, be, old, 13)
			for id := range 450 { // more than two slices
				_, err := old.Exec(be.text(`INSERT INTO alerts (id, source, identity_key, title, severity, status, at, received, first_seen, last_seen, body, raw)
					VALUES (?, 'edr', ?, 'old', 3, 'new', 1, 1, 1, 1, '{"description":"was there","fields":{"n":7}}', '{"n":7}')`), id+1, fmt.Sprint(id))
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := old.Close(); err != nil {
				t.Fatal(err)
			}
			d, err := Open(context.Background(), at, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			read(t, d, func(q *Reader) error {
				for _, id := range []alert.ID{1, 200, 201, 450} {
					a, err := Alert(q, "", id)
					if err != nil {
						return err
					}
					got := []any{a.Title, a.Description, a.Fields, string(a.Raw)}
					if d := cmp.Diff([]any{"old", "was there", map[string]any{"n": 7.0}, `{"n":7}`}, got); d != "" {
						t.Errorf("alert %s: %s", id, d)
					}
				}
				return nil
			})
		})
	}
}

func upTo(t *testing.T, be backend, db *sql.DB, version int64) {
	t.Helper()
	dialect, suffix, translate := be.migrations()
	list, err := steps(suffix, translate, be.text)
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(dialect, db, nil, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()), goose.WithGoMigrations(list...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(context.Background(), version); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedContentIsToldNotBelieved cuts and turns bytes of a stored alert.
func TestDamagedContentIsToldNotBelieved(t *testing.T) {
	whole, err := packAlert(&alert.Alert{Description: "as it was", Raw: []byte(`{"a":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) {
		if b, _, err := unpackAlert(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes were read as %+v", n, len(whole), b)
		}
	}
	if _, _, err := unpackAlert([]byte{0xff, 0xff, 0xff, 0xff, 0x7f}); err == nil {
		t.Error("a length of 32 GiB was believed")
	}
}

func FuzzUnpackAlert(f *testing.F) {
	whole, err := packAlert(&alert.Alert{Description: "as it was", Raw: []byte(`{"a":1}`)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, content []byte) {
		if _, raw, err := unpackAlert(content); err == nil && len(raw) > maxContent {
			t.Errorf("%d bytes unpacked to %d", len(content), len(raw))
		}
	})
}
