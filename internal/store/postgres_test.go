package store

import (
	"context"
	"testing"

	"riposte/internal/store/storetest"
)

// openPostgres opens a fresh schema, with the table n of open.
func openPostgres(t *testing.T) *DB {
	t.Helper()
	d, err := Open(context.Background(), storetest.Postgres(t), Options{})
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
