package store

import (
	"context"
	"fmt"

	"riposte/internal/fault"
)

// Read runs do on a connection of its own, inside a transaction that sees one
// state of the database, and waits for a free connection as long as ctx allows.
func (d *DB) Read(ctx context.Context, do func(q *Reader) error) error {
	c, err := d.borrow(ctx)
	if err != nil {
		return err
	}
	q := &Reader{ctx: ctx, conn: c}
	clean := false
	defer func() {
		if !clean { // an error of the file, or do panicked
			_ = c.close()
			c = nil
		}
		d.readers <- c
	}()
	if err := c.plain(ctx, d.be.beginRead()); err != nil {
		return explain("read", d.be, err)
	}
	err = do(q)
	clean = c.plain(context.Background(), "ROLLBACK") == nil && q.fatal == nil
	if err != nil && isStorage(d.be, err) {
		return explain("read", d.be, err)
	}
	return err
}

// borrow takes an idle connection of the readers, opening it if need be.
func (d *DB) borrow(ctx context.Context) (*conn, error) {
	select {
	case <-d.gone:
		return nil, fmt.Errorf("read %s: the database is closed: %w", d.be, fault.Conflict)
	default:
	}
	select {
	case c := <-d.readers:
		if c != nil {
			return c, nil
		}
	case <-d.gone:
		return nil, fmt.Errorf("read %s: the database is closed: %w", d.be, fault.Conflict)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c, err := newConn(ctx, d.be, d.readFrom)
	if err != nil {
		d.readers <- nil
		return nil, explain("read", d.be, err)
	}
	return c, nil
}
