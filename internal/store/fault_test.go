package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"riposte/internal/fault"
)

func TestAnotherProgramThatHoldsTheFileIsNamed(t *testing.T) {
	t.Parallel()
	d := open(t, Options{BusyTimeout: 300 * time.Millisecond})
	other, err := sql.Open("sqlite", d.be.String())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.SetMaxOpenConns(1)
	if _, err := other.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			err := d.Write(context.Background(), insert(i))
			if !errors.Is(err, fault.Transient) || !strings.Contains(err.Error(), "another program holds the database") {
				t.Errorf("write %d: %v, want fault.Transient with the reason", i, err)
			}
		})
	}
	wg.Wait()
	// Those that stood in line have waited as long as the first: they do not wait anew.
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("20 writes waited %s for the lock, each for itself", took)
	}
	if !errors.Is(d.Healthy(), fault.Transient) {
		t.Errorf("the database says it is well: %v", d.Healthy())
	}
	if n := count(t, d); n != 0 {
		t.Errorf("%d rows were written", n)
	}
	if _, err := other.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	write(t, d, insert(100))
	if err := d.Healthy(); err != nil {
		t.Errorf("after the lock is gone: %v", err)
	}
}

// waitFor looks until something holds that happens by itself, for at most ten
// seconds.
func waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("it did not happen in ten seconds")
		}
	}
}

func TestFilesThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := []struct {
		name string
		path string
		kind error
		says string
	}{
		{"a folder that is not there", filepath.Join(dir, "no", "riposte.db"), fault.NotFound, "create it first"},
		{"a file in the folder's place", filepath.Join(file("file", ""), "riposte.db"), fault.Invalid, "is not a folder"},
		{"a folder in the file's place", dir, fault.Invalid, "a file is needed"},
		{"some other file", file("other.db", strings.Repeat("this is no database ", 500)), nil, "not a database of Riposte"},
	}
	for _, tt := range tests {
		_, err := Open(context.Background(), tt.path, Options{})
		if err == nil || !strings.Contains(err.Error(), tt.says) || (tt.kind != nil && !errors.Is(err, tt.kind)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.says)
		}
		if err != nil && !strings.Contains(err.Error(), tt.path) {
			t.Errorf("%s: the error does not name the file: %v", tt.name, err)
		}
	}
}

func TestADatabaseOfANewerProgramIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "riposte.db")
	d, err := Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	write(t, d, func(tx *Tx) error {
		_, err := tx.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)")
		return err
	})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), path, Options{}); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "newer program") {
		t.Errorf("got %v", err)
	}
	// It let go of the lock, so that the right program can open it.
	if _, err := Open(context.Background(), path, Options{}); errors.Is(err, fault.Conflict) {
		t.Error(err)
	}
}

func TestADamagedFileIsNoPassingTrouble(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "riposte.db")
	d, err := Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	write(t, d, func(tx *Tx) error {
		for i := range 2000 {
			a := exampleAlert(i)
			if _, err := InsertAlert(tx, a); err != nil {
				return err
			}
		}
		return nil
	})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(raw) / 4; i < len(raw); i++ {
		raw[i] = 0xa5
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err = Open(context.Background(), path, Options{}); err == nil {
		defer d.Close()
		err = d.Write(context.Background(), func(tx *Tx) error {
			for i := range 4000 {
				if _, err := InsertAlert(tx, exampleAlert(i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err == nil || !strings.Contains(err.Error(), "damaged") || errors.Is(err, fault.Transient) {
		t.Errorf("got %v, want one that says the file is damaged", err)
	}
}

func TestAJobCannotHideAnErrorOfTheDisk(t *testing.T) {
	t.Parallel()
	d := open(t, Options{})
	tx := &Tx{Reader: Reader{ctx: context.Background(), conn: d.writer}, db: d}
	_ = tx.note(fmt.Errorf("swallowed: %w", errDisk(t)))
	if tx.fatal == nil {
		t.Error("the transaction would be committed")
	}
}

// errDisk is an error of SQLite about the file itself.
func errDisk(t *testing.T) error {
	t.Helper()
	c, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "no", "such", "folder.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Ping()
	if err == nil {
		t.Fatal("opened a database in no folder")
	}
	return err
}
