package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"riposte/internal/fault"
)

// This file holds all that is SQLite's own: how a file is opened, what its
// errors mean, and how ? placeholders become those of PostgreSQL.

// opener opens connections to the file.
func opener(path string, o Options, readOnly bool) (driver.Connector, error) {
	p := url.Values{}
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
	abs, err := filepath.Abs(path)
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

const beginWrite = "BEGIN IMMEDIATE"

// storageCodes are the answers of SQLite that tell of the file, the disk or a
// lock, not of the statement, with what a person can do about it. transient
// ones may pass while we run.
func storageCode(code int) (what, remedy string, transient bool) {
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

// isStorage tells whether an error is about the file, not the statement.
func isStorage(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return errors.Is(err, driver.ErrBadConn)
	}
	what, _, _ := storageCode(e.Code())
	return what != ""
}

// explain wraps an error of the file with its meaning and the remedy; others
// pass.
func explain(doing, path string, err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%s %s: %w", doing, path, err)
	}
	what, remedy, transient := storageCode(e.Code())
	switch {
	case what == "":
		return fmt.Errorf("%s %s: %w", doing, path, err)
	case transient:
		return fmt.Errorf("%s %s: %s (%w): %s: %w", doing, path, what, err, remedy, fault.Transient)
	}
	return fmt.Errorf("%s %s: %s (%w): %s", doing, path, what, err, remedy)
}

// isUnique tells whether a statement broke a UNIQUE or PRIMARY KEY rule.
func isUnique(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) &&
		(e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// dialect says in what a database differs from SQLite.
type dialect struct {
	dollars bool // placeholders are $1, $2 …
}

// text turns the portable text of a statement into the database's own.
func (d dialect) text(query string) string {
	if d.dollars {
		return rebind(query)
	}
	return query
}

// rebind turns ? placeholders into $1, $2 …, leaving those inside quotes.
func rebind(query string) string {
	var b strings.Builder
	n, quote := 0, byte(0)
	for i := range len(query) {
		c := query[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '?':
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
