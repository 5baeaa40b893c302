package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"riposte/internal/fault"
)

// maxStatements bounds the prepared statements that a connection keeps.
const maxStatements = 512

// conn is one connection with its prepared statements. It belongs to one
// goroutine at a time. It speaks to the driver below database/sql: pooling and
// retries are of no use to connections held for good, and cost a quarter of a
// small insert.
type conn struct {
	raw   driver.Conn
	be    backend
	stmts map[string]stmt
	args  []driver.NamedValue // reused from statement to statement
}

// stmt is what the driver's prepared statements must be able to do.
type stmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

func newConn(ctx context.Context, be backend, c driver.Connector) (*conn, error) {
	raw, err := c.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{raw: raw, be: be, stmts: make(map[string]stmt)}, nil
}

func (c *conn) prepare(query string) (stmt, error) {
	if s := c.stmts[query]; s != nil {
		return s, nil
	}
	raw, err := c.raw.Prepare(c.be.text(query))
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", query, err)
	}
	s, ok := raw.(stmt)
	if !ok {
		return nil, errors.Join(errors.New("the driver's statements take no context"), raw.Close())
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
		_ = s.Close() // repeats the statement's last error, which its caller had
	}
	clear(c.stmts)
}

func (c *conn) exec(ctx context.Context, query string, args []any) (driver.Result, error) {
	s, err := c.prepare(query)
	if err != nil {
		return nil, err
	}
	if err := c.bind(args); err != nil {
		return nil, fmt.Errorf("%q: %w", query, err)
	}
	return s.ExecContext(ctx, c.args)
}

func (c *conn) query(ctx context.Context, query string, args []any) (*Rows, error) {
	s, err := c.prepare(query)
	if err != nil {
		return nil, err
	}
	if err := c.bind(args); err != nil {
		return nil, fmt.Errorf("%q: %w", query, err)
	}
	raw, err := s.QueryContext(ctx, c.args)
	if err != nil {
		return nil, err
	}
	return &Rows{raw: raw, values: make([]driver.Value, len(raw.Columns()))}, nil
}

// plain runs a statement without parameters and result.
func (c *conn) plain(ctx context.Context, query string) error {
	_, err := c.exec(ctx, query, nil)
	return err
}

func (c *conn) bind(args []any) error {
	c.args = c.args[:0]
	for i, a := range args {
		v, err := value(a)
		if err != nil {
			return fmt.Errorf("parameter %d: %w", i+1, err)
		}
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: c.be.value(v)})
	}
	return nil
}

func (c *conn) close() error {
	c.forget()
	return c.raw.Close()
}

// ErrNoRow is the answer to a query for one row that finds none.
var ErrNoRow = fmt.Errorf("it is not there: %w", fault.NotFound)

// Rows are the rows of a query:
//
//	defer rows.Close()
//	for rows.Next() {
//		err = rows.Scan(&a, &b)
//	}
//	err = rows.Err()
//
// Close them before the next statement of the same transaction.
type Rows struct {
	raw    driver.Rows
	values []driver.Value
	err    error
	closed bool
	q      *Reader
}

// Next goes to the next row. It returns false after the last one, and on an
// error, which Err tells.
func (r *Rows) Next() bool {
	if r.closed || r.err != nil {
		return false
	}
	err := r.raw.Next(r.values)
	if err == nil {
		return true
	}
	if !errors.Is(err, io.EOF) {
		r.err = r.q.note(err)
	}
	r.Close()
	return false
}

// Scan reads the columns of the row: into pointers to integers, texts, bytes,
// bool, float64 and types made of them, and to time.Time for a column that
// holds microseconds. NULL reads as the zero value.
func (r *Rows) Scan(into ...any) error {
	if len(into) != len(r.values) {
		return fmt.Errorf("%d columns, %d to scan into", len(r.values), len(into))
	}
	for i, p := range into {
		if err := scan(r.values[i], p); err != nil {
			return fmt.Errorf("column %s: %w", r.raw.Columns()[i], err)
		}
	}
	return nil
}

// Err returns the error that ended Next, if any.
func (r *Rows) Err() error { return r.err }

// Close ends the query. It may be called again.
func (r *Rows) Close() {
	if r.closed {
		return
	}
	r.closed = true
	if err := r.raw.Close(); err != nil && r.err == nil {
		r.err = r.q.note(err)
	}
}

// Row is the answer of QueryRow.
type Row struct {
	rows *Rows
	err  error
}

// Scan reads the columns of the row, as Rows.Scan does. It returns ErrNoRow
// when there is none.
func (r Row) Scan(into ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if r.rows.err != nil {
			return r.rows.err
		}
		return ErrNoRow
	}
	if err := r.rows.Scan(into...); err != nil {
		return err
	}
	// A change with RETURNING is only through when it has no further row.
	for r.rows.Next() {
	}
	return r.rows.err
}

// Reader runs queries inside one transaction: all of them see the same state.
type Reader struct {
	ctx    context.Context
	conn   *conn
	fatal  error // the first error of the disk or the file, whatever callers make of it
	spoilt bool  // a statement failed and the transaction takes no more
}

// Query runs a query. Values go in as parameters, never into the text.
func (r *Reader) Query(query string, args ...any) (*Rows, error) {
	rows, err := r.conn.query(r.ctx, query, args)
	if err != nil {
		return nil, r.note(err)
	}
	rows.q = r
	return rows, nil
}

// QueryRow runs a query of whose rows only the first one matters.
func (r *Reader) QueryRow(query string, args ...any) Row {
	rows, err := r.Query(query, args...)
	return Row{rows: rows, err: err}
}

// note keeps an error that makes the transaction worthless, even if the caller
// swallows it.
func (r *Reader) note(err error) error {
	if err == nil {
		return nil
	}
	if r.fatal == nil && isStorage(r.conn.be, err) {
		r.fatal = err
	}
	r.spoilt = r.spoilt || r.conn.be.spoils()
	return err
}

// Tx is the open transaction of the writer, as one job sees it.
type Tx struct {
	Reader
	db     *DB
	mark   string // what the database calls the transaction
	writes int    // statements of this job that may have changed something
}

// Exec runs a statement and returns how many rows it changed.
func (t *Tx) Exec(query string, args ...any) (int64, error) {
	t.writes++
	res, err := t.conn.exec(t.ctx, query, args)
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

// QueryRow runs a query of whose rows only the first one matters; it may be a
// change with RETURNING.
func (t *Tx) QueryRow(query string, args ...any) Row {
	t.count(query)
	return t.Reader.QueryRow(query, args...)
}

func (t *Tx) count(query string) {
	if len(query) < 6 || query[:6] != "SELECT" {
		t.writes++
	}
}
