package main

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"sync"
	"syscall"

	_ "modernc.org/sqlite" // the driver
)

// frame is the length of what stands before a payload: its length, a checksum,
// the run and the step.
const frame = 18

// journal gathers framed records in an open batch; one flusher puts it on disk
// while the next batch gathers.
type journal struct {
	mu     sync.Mutex
	open   []byte
	done   chan struct{} // closed when the open batch is on disk
	kick   chan struct{}
	failed chan error // why the disk takes no more; nobody is answered from then on
	write  func(batch []byte) error
	table  *crc32.Table
}

func openJournal(store, path string) (*journal, error) {
	j := &journal{done: make(chan struct{}), kick: make(chan struct{}, 1), failed: make(chan error, 1), table: crc32.MakeTable(crc32.Castagnoli)}
	var err error
	switch store {
	case "sqlite":
		j.write, err = sqliteLog(path + ".db")
	case "journal":
		j.write, err = fileLog(path + ".log")
	default:
		err = fmt.Errorf("there is no store %q; expected sqlite or journal", store)
	}
	if err != nil {
		return nil, err
	}
	go j.flush()
	return j, nil
}

func (j *journal) flush() {
	var spare []byte
	for range j.kick {
		j.mu.Lock()
		batch, done := j.open, j.done
		j.open, j.done = spare[:0], make(chan struct{})
		j.mu.Unlock()
		if len(batch) > 0 {
			if err := j.write(batch); err != nil {
				j.failed <- err
				return
			}
		}
		close(done)
		spare = batch
	}
}

// put frames a record and waits until it is on disk.
func (j *journal) put(run uint64, step uint16, payload []byte) { <-j.add(run, step, payload) }

func (j *journal) add(run uint64, step uint16, payload []byte) <-chan struct{} {
	var h [frame]byte
	binary.LittleEndian.PutUint32(h[0:], uint32(len(payload)))
	binary.LittleEndian.PutUint64(h[8:], run)
	binary.LittleEndian.PutUint16(h[16:], step)
	binary.LittleEndian.PutUint32(h[4:], crc32.Update(crc32.Checksum(h[8:], j.table), j.table, payload))
	j.mu.Lock()
	j.open = append(append(j.open, h[:]...), payload...)
	done := j.done
	j.mu.Unlock()
	select {
	case j.kick <- struct{}{}:
	default:
	}
	return done
}

// sqliteLog writes a batch as the rows of one transaction, in append order.
func sqliteLog(path string) (func([]byte) error, error) {
	ctx := context.Background()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, `CREATE TABLE step (seq INTEGER PRIMARY KEY, run INTEGER, step INTEGER, data BLOB)`); err != nil {
		return nil, err
	}
	insert, err := db.PrepareContext(ctx, `INSERT INTO step (run, step, data) VALUES (?, ?, ?)`)
	if err != nil {
		return nil, err
	}
	return func(batch []byte) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		st := tx.StmtContext(ctx, insert)
		defer func() { _ = st.Close() }() // it ends with the transaction
		for len(batch) > 0 {
			n := int(binary.LittleEndian.Uint32(batch)) + frame
			if _, err := st.ExecContext(ctx, int64(binary.LittleEndian.Uint64(batch[8:])), int(binary.LittleEndian.Uint16(batch[16:])), batch[frame:n]); err != nil {
				return err
			}
			batch = batch[n:]
		}
		return tx.Commit()
	}, nil
}

// chunk is allocated ahead, so that a sync need not write the file's size.
const chunk = 64 << 20

// fileLog appends a batch to a file and syncs it.
func fileLog(path string) (func([]byte) error, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	var at, end int64
	return func(batch []byte) error {
		for at+int64(len(batch)) > end {
			if err := syscall.Fallocate(int(f.Fd()), 0, end, chunk); err != nil {
				return err
			}
			end += chunk
			if err := f.Sync(); err != nil {
				return err
			}
		}
		if _, err := f.WriteAt(batch, at); err != nil {
			return err
		}
		at += int64(len(batch))
		return syscall.Fdatasync(int(f.Fd()))
	}, nil
}
