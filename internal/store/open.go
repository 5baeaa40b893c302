package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/pressly/goose/v3"

	"riposte/internal/fault"
)

//go:embed migrations/*.sql
var migrations embed.FS

// DB is an open database. It is safe for concurrent use.
type DB struct {
	path string
	opt  Options
	lock *os.File

	writeTo driver.Connector
	writer  *conn // the writer's goroutine only; nil after an error of the file
	check   *checkpointer
	ids     blocks
	queue   chan Job
	written chan struct{} // closed when the writer has ended
	health  atomic.Pointer[error]

	journal Journal

	closing sync.RWMutex // held by those who put jobs into the queue
	closed  bool
	gone    chan struct{} // closed with it, for readers

	readFrom driver.Connector
	readers  chan *conn // idle ones; nil stands for one not opened yet
}

// Open opens the database at path, makes it if it is not there, and brings its
// tables up to date. One process at a time may have it open: a second one gets
// fault.Conflict.
func Open(ctx context.Context, path string, opt Options) (*DB, error) {
	opt = opt.filled()
	if err := writable(path); err != nil {
		return nil, err
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	d := &DB{
		path: path, opt: opt, lock: lock,
		queue: make(chan Job, opt.Queue), written: make(chan struct{}), gone: make(chan struct{}),
		check:   newCheckpointer(),
		readers: make(chan *conn, opt.Readers),
	}
	d.journal.db = d
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(explain("open", path, err), d.release())
	}
	for range opt.Readers {
		d.readers <- nil
	}
	go d.write()
	go d.checkpoints()
	return d, nil
}

func (d *DB) start(ctx context.Context) (err error) {
	if err := private(d.path); err != nil {
		return err
	}
	if d.writeTo, err = opener(d.path, d.opt, false); err != nil {
		return err
	}
	if d.readFrom, err = opener(d.path, d.opt, true); err != nil {
		return err
	}
	db := sql.OpenDB(d.writeTo)
	if err := errors.Join(migrate(ctx, db), db.Close()); err != nil {
		return err
	}
	d.writer, err = newConn(ctx, d.writeTo)
	return err
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

// migrate brings the tables up to date, each numbered file in a transaction of
// its own, and refuses a database that a newer program wrote.
func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	have, know, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > know {
		return fmt.Errorf("its tables are of version %d and this program knows %d; use the newer program: %w",
			have, know, fault.Invalid)
	}
	if have == know {
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bring the tables up to date: %w", err)
	}
	return nil
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
	close(d.check.wanted)
	<-d.check.ended
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
