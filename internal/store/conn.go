package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"

	"riposte/internal/fault"
)

// maxStatements bounds the prepared statements that a connection keeps.
const maxStatements = 512

// conn is one connection with its prepared statements. It belongs to one
// goroutine at a time.
type conn struct {
	sql   *sql.Conn
	dial  dialect
	stmts map[string]*sql.Stmt
}

func newConn(ctx context.Context, pool *sql.DB) (*conn, error) {
	c, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{sql: c, stmts: make(map[string]*sql.Stmt)}, nil
}

func (c *conn) prepare(query string) (*sql.Stmt, error) {
	if s := c.stmts[query]; s != nil {
		return s, nil
	}
	s, err := c.sql.PrepareContext(context.Background(), c.dial.text(query))
	if err != nil {
		return nil, err
	}
	if len(c.stmts) >= maxStatements {
		c.forget()
	}
	c.stmts[query] = s
	return s, nil
}

// forget drops all prepared statements. Whoever builds SQL from lists must see
// to it that few different texts come out.
func (c *conn) forget() {
	for _, s := range c.stmts {
		s.Close()
	}
	clear(c.stmts)
}

// plain runs a statement that is not worth keeping.
func (c *conn) plain(ctx context.Context, query string) error {
	_, err := c.sql.ExecContext(ctx, query)
	return err
}

// discard closes a connection whose state is doubtful: it does not go back to
// the pool.
func (c *conn) discard() {
	c.forget()
	_ = c.sql.Raw(func(any) error { return driver.ErrBadConn })
	_ = c.sql.Close()
}

func (c *conn) close() error {
	c.forget()
	return c.sql.Close()
}

// ErrNoRow is the answer to a query for one row that finds none.
var ErrNoRow = fmt.Errorf("no such row: %w", fault.NotFound)

// Rows are the rows of a query. Close them before the next statement of the
// same transaction.
type Rows struct{ *sql.Rows }

// Row is the answer of QueryRow.
type Row struct {
	row *sql.Row
	err error
	q   *Reader
}

// Scan reads the columns of the row. It returns ErrNoRow when there is none.
func (r Row) Scan(into ...any) error {
	if r.err != nil {
		return r.err
	}
	err := r.row.Scan(into...)
	if err == sql.ErrNoRows {
		return ErrNoRow
	}
	return r.q.note(err)
}

// Reader runs queries inside one transaction: all of them see the same state.
type Reader struct {
	ctx   context.Context
	conn  *conn
	fatal error // the first error of the disk or the file, whatever callers make of it
}

// Query runs a query. Values go in as parameters, never into the text.
func (r *Reader) Query(query string, args ...any) (*Rows, error) {
	s, err := r.conn.prepare(query)
	if err != nil {
		return nil, r.note(fmt.Errorf("prepare %q: %w", query, err))
	}
	rows, err := s.QueryContext(r.ctx, args...)
	if err != nil {
		return nil, r.note(err)
	}
	return &Rows{rows}, nil
}

// QueryRow runs a query that gives one row at most.
func (r *Reader) QueryRow(query string, args ...any) Row {
	s, err := r.conn.prepare(query)
	if err != nil {
		return Row{err: r.note(fmt.Errorf("prepare %q: %w", query, err)), q: r}
	}
	return Row{row: s.QueryRowContext(r.ctx, args...), q: r}
}

// note keeps an error that makes the transaction worthless, even if the caller
// swallows it.
func (r *Reader) note(err error) error {
	if err != nil && r.fatal == nil && isStorage(err) {
		r.fatal = err
	}
	return err
}

// Tx is the open transaction of the writer, as one job sees it.
type Tx struct {
	Reader
	db     *DB
	writes int // statements of this job that may have changed something
}

// Exec runs a statement and returns how many rows it changed.
func (t *Tx) Exec(query string, args ...any) (int64, error) {
	t.writes++
	s, err := t.conn.prepare(query)
	if err != nil {
		return 0, t.note(fmt.Errorf("prepare %q: %w", query, err))
	}
	res, err := s.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, t.note(err)
	}
	return res.RowsAffected()
}

// Query runs a query, which may be a change with RETURNING.
func (t *Tx) Query(query string, args ...any) (*Rows, error) {
	t.count(query)
	return t.Reader.Query(query, args...)
}

// QueryRow runs a query that gives one row at most, which may be a change with
// RETURNING.
func (t *Tx) QueryRow(query string, args ...any) Row {
	t.count(query)
	return t.Reader.QueryRow(query, args...)
}

func (t *Tx) count(query string) {
	if len(query) < 6 || query[:6] != "SELECT" {
		t.writes++
	}
}
