package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"riposte/internal/fault"
)

// sqliteFile is a database in a file, which SQLite inside the process serves.
type sqliteFile struct {
	path string
	opt  Options
}

func (f *sqliteFile) String() string { return f.path }

// claim locks a file beside the database: SQLite's own locks are held for
// moments only.
func (f *sqliteFile) claim() (io.Closer, error) {
	if err := writable(f.path); err != nil {
		return nil, err
	}
	lock, err := lockFile(f.path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", f.path, err)
	}
	if err := private(f.path); err != nil {
		return nil, errors.Join(explain("open", f, err), lock.Close())
	}
	return lock, nil
}

// private makes the file for its owner only, whatever the folder and the umask
// are: SQLite gives its other files the same mode.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrPermission) {
		return nil // a file that can only be read is SQLite's to refuse, in better words
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// writable finds what would only show as SQLite's "unable to open database".
func writable(path string) error {
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("open %s: the folder %s is not there; create it first: %w", path, dir, fault.NotFound)
	case err != nil:
		return fmt.Errorf("open %s: %w", path, err)
	case !info.IsDir():
		return fmt.Errorf("open %s: %s is not a folder: %w", path, dir, fault.Invalid)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("open %s: it is a folder, a file is needed: %w", path, fault.Invalid)
	}
	return nil
}

func (f *sqliteFile) connector(readOnly bool) (driver.Connector, error) {
	p, o := url.Values{}, f.opt
	for _, v := range []string{
		fmt.Sprintf("busy_timeout(%d)", o.BusyTimeout.Milliseconds()),
		"journal_mode(wal)",
		"synchronous(full)",
		"foreign_keys(1)",
		"temp_store(memory)",
		"cache_size(-16000)",
		"wal_autocheckpoint(0)",
		"journal_size_limit(67108864)",
	} {
		p.Add("_pragma", v)
	}
	if readOnly {
		p.Set("_pragma", fmt.Sprintf("busy_timeout(%d)", o.BusyTimeout.Milliseconds()))
		p.Add("_pragma", "query_only(1)")
		p.Add("_pragma", "cache_size(-4000)")
		p.Add("_pragma", "temp_store(memory)")
	}
	abs, err := filepath.Abs(f.path)
	if err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(abs), RawQuery: p.Encode()}
	// fdatasync is as durable as fsync for a database file and spares the file
	// system's journal; where the platform lacks it the setting stays off.
	if _, err := sqlite.Fdatasync(true); err != nil && !errors.Is(err, sqlite.ErrFdatasyncUnavailable) {
		return nil, err
	}
	return sqlite.NewConnector(u.String())
}

// pagesWritten returns how many pages the connection has written since it was
// last asked.
func (c *conn) pagesWritten() int {
	s, ok := c.raw.(sqlite.DBStatus)
	if !ok {
		return 0
	}
	n, _, err := s.Status(sqlite.DBStatusCacheWrite, true)
	if err != nil {
		return 0
	}
	return n
}

// checkpoint copies the log into the file as far as it can without waiting for
// anybody, and tells whether that was the whole log.
func (c *conn) checkpoint() (whole bool, err error) {
	rows, err := c.query(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)", nil)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	var busy, log, done int
	if !rows.Next() {
		return false, rows.Err()
	}
	if err := rows.Scan(&busy, &log, &done); err != nil {
		return false, err
	}
	return busy == 0 && log == done, nil
}

func (f *sqliteFile) hold(context.Context, *conn) error { return nil }

func (f *sqliteFile) migrations() (goose.Dialect, string, func(string) string) {
	return goose.DialectSQLite3, "sqlite", func(ddl string) string { return ddl }
}

func (f *sqliteFile) text(query string) string          { return query }
func (f *sqliteFile) value(v driver.Value) driver.Value { return v }
func (f *sqliteFile) beginRead() string                 { return "BEGIN" }

func (f *sqliteFile) begin(ctx context.Context, c *conn) (mark string, err error) {
	return "", c.plain(ctx, "BEGIN IMMEDIATE")
}

// committed knows: a COMMIT that failed left nothing in the file.
func (f *sqliteFile) committed(context.Context, string) (bool, error) { return false, nil }

func (f *sqliteFile) spoils() bool { return false }

// storageCode gives the meaning of the answers of SQLite that tell of the file,
// the disk or a lock.
func storageCode(code int) (what, remedy string, passing bool) {
	switch code & 0xff {
	case sqlite3.SQLITE_FULL:
		return "the disk is full", "free some space; writing goes on by itself", true
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL:
		return "another program holds the database", "end what has it open (a backup, an sqlite3 shell)", true
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return "the database may not be written", "make the file, its folder and the file system writable", true
	case sqlite3.SQLITE_CANTOPEN:
		return "the database file cannot be opened", "check that its folder is there and may be written", true
	case sqlite3.SQLITE_IOERR:
		return "the disk reports an error", "look at the system's log; writing goes on when the disk does", true
	case sqlite3.SQLITE_NOMEM:
		return "memory ran out", "give the process more memory", true
	case sqlite3.SQLITE_CORRUPT:
		return "the database file is damaged", "stop and put back the last backup", false
	case sqlite3.SQLITE_NOTADB:
		return "the file is not a database of Riposte", "check the path, or put back the last backup", false
	}
	return "", "", false
}

func (f *sqliteFile) trouble(err error) (trouble, bool) {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return trouble{}, false
	}
	what, remedy, passing := storageCode(e.Code())
	return trouble{what, remedy, passing}, what != ""
}

// search uses FTS5.
func (f *sqliteFile) search() (store, met string, ask func([]phrase) string) {
	return "?", "words MATCH ?", func(list []phrase) string {
		all := make([]string, len(list))
		for i, p := range list {
			all[i] = `"` + strings.Join(p.words, " ") + `"`
			if p.open {
				all[i] += " *"
			}
		}
		return strings.Join(all, " ")
	}
}
