package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/pressly/goose/v3"

	"riposte/internal/fault"
)

// backend is all that differs between the databases that Riposte runs on. The
// statements themselves are the same for both.
type backend interface {
	// String names the database in messages; a password is not in it.
	String() string
	// claim keeps other processes out before the first connection, and finds out
	// what no connection could say clearly.
	claim() (io.Closer, error)
	connector(readOnly bool) (driver.Connector, error)
	// hold makes a connection the only one in the world that writes.
	hold(ctx context.Context, c *conn) error
	// migrations says how goose and the files of the tables have to speak.
	migrations() (dialect goose.Dialect, suffix string, translate func(ddl string) string)
	// text turns the portable text of a statement into the database's own.
	text(query string) string
	// value turns a parameter into one that the database can hold.
	value(v driver.Value) driver.Value
	// beginRead is the statement that begins a transaction that sees one state.
	beginRead() string
	// begin begins the writer's transaction. What it returns names the transaction
	// for committed.
	begin(ctx context.Context, c *conn) (mark string, err error)
	// committed finds out what became of a transaction whose COMMIT failed; it may
	// have reached the disk all the same where the database is another process.
	committed(ctx context.Context, mark string) (bool, error)
	// spoils tells whether a statement that failed makes its transaction useless.
	spoils() bool
	// search says how the index of words is written and asked: the expression for
	// a text that is indexed, the condition that a search is met, and the search as
	// a parameter of that condition.
	search() (store, met string, ask func([]phrase) string)
	// trouble recognises an error that tells of the database itself, not of the
	// statement; ok is false for others.
	trouble(err error) (t trouble, ok bool)
}

// trouble is an error of the file, the disk or the server, with what a person
// can do about it. A passing one may go away while we run.
type trouble struct {
	what, remedy string
	passing      bool
}

// backendOf chooses by what names the database: a URL or the path of a file.
func backendOf(where string, o Options) (backend, error) {
	if strings.HasPrefix(where, "postgres://") || strings.HasPrefix(where, "postgresql://") {
		return newPostgres(where)
	}
	if scheme, _, ok := strings.Cut(where, "://"); ok {
		return nil, fmt.Errorf("open the database: there is no kind of database %q; expected the path of a file or postgres://…: %w", scheme, fault.Invalid)
	}
	return &sqliteFile{path: where, opt: o}, nil
}

// Check tells whether Open could understand where a database is: fault.Invalid.
func Check(where string) error {
	_, err := backendOf(where, Options{})
	return err
}

// Name is what messages call a database: its URL without password.
func Name(where string) string {
	be, err := backendOf(where, Options{})
	if err != nil {
		return "[unknown]"
	}
	return be.String()
}

// isStorage tells whether an error is about the database, not the statement.
func isStorage(be backend, err error) bool {
	if errors.Is(err, driver.ErrBadConn) {
		return true
	}
	_, ok := be.trouble(err)
	return ok
}

// oneLine is an error whose text is one line: those of a driver may be several.
type oneLine struct{ error }

func (e oneLine) Error() string { return strings.Join(strings.Fields(e.error.Error()), " ") }
func (e oneLine) Unwrap() error { return e.error }

// explain wraps an error of the database with its meaning and the remedy;
// others pass.
func explain(doing string, be backend, err error) error {
	t, ok := be.trouble(err)
	err = oneLine{err}
	switch {
	case !ok:
		return fmt.Errorf("%s %s: %w", doing, be, err)
	case t.passing:
		return fmt.Errorf("%s %s: %s (%w): %s: %w", doing, be, t.what, err, t.remedy, fault.Transient)
	}
	return fmt.Errorf("%s %s: %s (%w): %s", doing, be, t.what, err, t.remedy)
}
