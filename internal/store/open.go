package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// DB is an open database. It is safe for concurrent use.
type DB struct {
	be   backend
	opt  Options
	lock io.Closer

	writeTo driver.Connector
	writer  *conn         // the writer's goroutine only; nil after an error of the file
	check   *checkpointer // nil where the database needs none
	ids     blocks
	queue   chan Job
	written chan struct{} // closed when the writer has ended
	health  atomic.Pointer[error]
	commits atomic.Int64 // batches that the writer has ended

	journal Journal

	closing sync.RWMutex // held by those who put jobs into the queue
	closed  bool
	gone    chan struct{} // closed with it, for readers

	readFrom driver.Connector
	readers  chan *conn // idle ones; nil stands for one not opened yet
}

// Open opens a database and brings its tables up to date. where is the path of a
// SQLite file, which is made if it is not there, or the URL of a PostgreSQL
// database: postgres://USER:PASSWORD@HOST:PORT/NAME. One process at a time may
// have it open: a second one gets fault.Conflict.
func Open(ctx context.Context, where string, opt Options) (*DB, error) {
	opt = opt.filled()
	be, err := backendOf(where, opt)
	if err != nil {
		return nil, err
	}
	lock, err := be.claim()
	if err != nil {
		return nil, err
	}
	d := &DB{
		be: be, opt: opt, lock: lock,
		queue: make(chan Job, opt.Queue), written: make(chan struct{}), gone: make(chan struct{}),
		readers: make(chan *conn, opt.Readers),
	}
	d.journal.db = d
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(explain("open", be, err), d.release())
	}
	for range opt.Readers {
		d.readers <- nil
	}
	if _, ok := be.(*sqliteFile); ok {
		d.check = newCheckpointer()
		go d.checkpoints()
	}
	go d.write()
	return d, nil
}

func (d *DB) start(ctx context.Context) (err error) {
	if d.writeTo, err = d.be.connector(false); err != nil {
		return err
	}
	if d.readFrom, err = d.be.connector(true); err != nil {
		return err
	}
	// The writer first: where a server keeps the database, its connection is what
	// keeps other processes out.
	if err := d.connect(ctx); err != nil {
		return err
	}
	db := sql.OpenDB(d.writeTo)
	return errors.Join(migrate(ctx, d.be, db), db.Close())
}

// Close waits for the jobs already queued, then closes the file. Later jobs are
// refused.
func (d *DB) Close() error {
	d.closing.Lock()
	if d.closed {
		d.closing.Unlock()
		return nil
	}
	d.closed = true
	close(d.queue)
	close(d.gone)
	d.closing.Unlock()
	<-d.written
	if d.check != nil {
		close(d.check.wanted)
		<-d.check.ended
	}
	for range d.opt.Readers {
		if c := <-d.readers; c != nil {
			_ = c.close() // it has nothing to lose
		}
	}
	return d.release()
}

// release gives back what Open took.
func (d *DB) release() error {
	var err error
	if d.writer != nil {
		err = d.writer.close()
	}
	return errors.Join(err, d.lock.Close())
}
