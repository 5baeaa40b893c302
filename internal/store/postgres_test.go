package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"strings"
	"testing"
)

// openPostgres opens a fresh schema of the server that LAB_POSTGRES_URL names,
// which "make test" starts from lab/.
func openPostgres(t *testing.T) *DB {
	t.Helper()
	d, err := Open(context.Background(), freshSchema(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	write(t, d, func(tx *Tx) error {
		_, err := tx.Exec("CREATE TABLE n (v BIGINT PRIMARY KEY, s TEXT NOT NULL DEFAULT '')")
		return err
	})
	return d
}

// freshSchema makes a schema of its own for a test and returns its URL.
func freshSchema(t *testing.T) string {
	t.Helper()
	where := os.Getenv("LAB_POSTGRES_URL")
	if where == "" {
		t.Skip("no PostgreSQL: start one (lab/lab up postgres) and set LAB_POSTGRES_URL")
	}
	db, err := sql.Open("pgx", where)
	if err != nil {
		t.Fatal(err)
	}
	schema := "t" + strings.ToLower(rand.Text())
	if _, err := db.Exec("CREATE SCHEMA " + schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.Exec("DROP SCHEMA " + schema + " CASCADE"); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(where)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}
