// Package storetest lends tests a database of their own on a real PostgreSQL.
package storetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver
)

// Postgres makes a schema of its own for a test, on the server that
// LAB_POSTGRES_URL names, and returns its URL. "make test" starts that server
// from lab/; where there is none the test is skipped.
func Postgres(t testing.TB) string {
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
	if _, err := db.ExecContext(context.Background(), "CREATE SCHEMA "+schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.ExecContext(context.Background(), "DROP SCHEMA "+schema+" CASCADE"); err != nil {
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
