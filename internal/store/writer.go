package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"riposte/internal/fault"
)

// Job is a piece of work for the writer.
//
// Do runs on the writer's goroutine inside the open transaction, which it may
// share with many other jobs. It must be quick (slices of a few milliseconds),
// must not wait for anything, and must be safe to run twice: when one job of a
// batch fails, the batch is rolled back and its jobs run again, each under a
// savepoint of its own, so that only the failing one is lost. What Do computes
// for the outside it therefore sets, never adds to.
//
// Done is called once, on the writer's goroutine, when what Do changed is on
// disk (nil) or is not and never will be (the reason). It must not block; nil:
// nobody waits.
type Job struct {
	Do   func(tx *Tx) error
	Done func(error)
}

// probeEvery is how often a writer that lost a batch to the disk looks whether
// it can write again, when nobody else asks.
const probeEvery = time.Second

// Submit queues a job. With a full queue it waits, or answers fault.Transient
// where Options.Refuse says so.
func (d *DB) Submit(j Job) error { return d.submit(context.Background(), j) }

func (d *DB) submit(ctx context.Context, j Job) error {
	d.closing.RLock()
	defer d.closing.RUnlock()
	if d.closed {
		return fmt.Errorf("write to %s: the database is closed: %w", d.be, fault.Conflict)
	}
	select {
	case d.queue <- j:
		return nil
	default:
	}
	if d.opt.Refuse {
		return fmt.Errorf("write to %s: %d jobs wait already: %w", d.be, cap(d.queue), fault.Transient)
	}
	select {
	case d.queue <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Write runs do in the writer's transaction and returns when it is on disk, or
// why it is not. The rules of Job.Do hold. When ctx ends before do has begun,
// do never runs; once begun it is waited for.
func (d *DB) Write(ctx context.Context, do func(tx *Tx) error) error {
	const queued, begun, dropped = 0, 1, 2
	var state atomic.Int32
	done := make(chan error, 1)
	err := d.submit(ctx, Job{
		Do: func(tx *Tx) error {
			if !state.CompareAndSwap(queued, begun) && state.Load() == dropped {
				return context.Canceled
			}
			return do(tx)
		},
		Done: func(err error) { done <- err },
	})
	if err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		if state.CompareAndSwap(queued, dropped) {
			return ctx.Err()
		}
		return <-done
	}
}

// Healthy returns nil as long as the last batch reached the disk, and otherwise
// why it did not.
func (d *DB) Healthy() error {
	if e := d.health.Load(); e != nil {
		return *e
	}
	return nil
}

// write is the writer's goroutine: it ends when the queue is closed and empty.
// There is no timer that holds a batch back: what has come while the last batch
// was committed is the next batch.
func (d *DB) write() {
	defer close(d.written)
	probe := time.NewTicker(probeEvery)
	defer probe.Stop()
	var b batch
	for {
		select {
		case j, ok := <-d.queue:
			if !ok {
				return
			}
			b.jobs = append(b.jobs, j)
			d.commit(&b)
		case <-probe.C:
			if d.health.Load() != nil {
				b.jobs = append(b.jobs, Job{Do: touch})
				d.commit(&b)
			}
		}
	}
}

// touch changes one row, to see whether the disk takes it.
func touch(tx *Tx) error {
	_, err := tx.Exec(`INSERT INTO sequences (name, next) VALUES ('probe', 1)
		ON CONFLICT (name) DO UPDATE SET next = sequences.next + 1`)
	return err
}

// batch is the jobs of one transaction and the errors of those that failed by
// themselves.
type batch struct {
	jobs   []Job
	errs   []error // as long as jobs, or nil when none failed
	failed int
}

func (b *batch) fail(i int, err error) {
	if len(b.errs) < len(b.jobs) {
		b.errs = append(b.errs, make([]error, len(b.jobs)-len(b.errs))...)
	}
	b.errs[i] = err
	b.failed++
}

func (b *batch) err(i int) error {
	if i < len(b.errs) {
		return b.errs[i]
	}
	return nil
}

func (b *batch) reset() {
	clear(b.jobs)
	clear(b.errs)
	b.jobs, b.errs, b.failed = b.jobs[:0], b.errs[:0], 0
}

// commit runs the jobs, and those that come while it runs, in one transaction.
func (d *DB) commit(b *batch) {
	began := time.Now()
	defer d.commits.Add(1)
	tx, err := d.begin()
	if err == nil {
		err = d.runAll(tx, b, began)
	} else {
		d.gather(b)
	}
	if errors.Is(err, errAlone) {
		err = d.runAlone(tx, b)
	}
	ran := time.Now()
	if err == nil {
		err = d.settle(tx)
	}
	if err != nil {
		err = d.lost(tx, err)
	} else {
		d.health.Store(nil)
		d.ids.keep()
	}
	c := Commit{Jobs: len(b.jobs), Failed: b.failed, Run: ran.Sub(began), Sync: time.Since(ran), Err: err}
	for i, j := range b.jobs {
		if j.Done != nil {
			j.Done(cmp.Or(err, b.err(i)))
		}
	}
	b.reset()
	if d.opt.OnCommit != nil {
		d.opt.OnCommit(c)
	}
	if err == nil && d.check != nil {
		d.check.committed(d.writer)
	}
}

// gather adds what has queued up while the database could not be had. It has
// waited as long; each on its own would wait for a lock as long again.
func (d *DB) gather(b *batch) {
	for {
		select {
		case j, ok := <-d.queue:
			if !ok {
				return
			}
			b.jobs = append(b.jobs, j)
		default:
			return
		}
	}
}

// settle commits. Where the answer of the database is lost it finds out what
// became of the transaction, however long that takes: whoever was told "no"
// would do it again.
func (d *DB) settle(tx *Tx) error {
	err := tx.conn.plain(context.Background(), "COMMIT")
	if err == nil || !isStorage(d.be, err) {
		return err
	}
	for {
		done, unknown := d.be.committed(context.Background(), tx.mark)
		switch {
		case unknown == nil && done:
			_ = d.writer.close() // it has broken; the next batch connects anew
			d.writer = nil
			return nil
		case unknown == nil:
			return err
		}
		why := explain("write to", d.be, unknown)
		d.health.Store(&why)
		select {
		case <-d.gone:
			return fmt.Errorf("%w; it is not known whether the last changes reached the disk: %w", err, unknown)
		case <-time.After(probeEvery):
		}
	}
}

func (d *DB) begin() (*Tx, error) {
	ctx := context.Background()
	if d.writer == nil {
		if err := d.connect(ctx); err != nil {
			return nil, err
		}
	}
	mark, err := d.be.begin(ctx, d.writer)
	if err != nil {
		return nil, err
	}
	return &Tx{Reader: Reader{ctx: ctx, conn: d.writer}, db: d, mark: mark}, nil
}

// connect opens the writer's connection.
func (d *DB) connect(ctx context.Context) error {
	c, err := newConn(ctx, d.be, d.writeTo)
	if err != nil {
		return err
	}
	if err := d.be.hold(ctx, c); err != nil {
		return errors.Join(err, c.close())
	}
	d.writer = c
	return nil
}

// errAlone says that a job failed and the batch must run again, job by job.
var errAlone = errors.New("a job of the batch failed")

// errPassedOver is for a job that goes on after a statement of it failed, which
// not every database allows.
var errPassedOver = errors.New("a statement failed and the job went on")

// runAll runs the batch without savepoints, which suits nearly every batch, and
// takes in what comes meanwhile. A job that fails before it has changed anything
// needs no second run of the others.
func (d *DB) runAll(tx *Tx, b *batch, began time.Time) error {
	for i := 0; i < len(b.jobs) || d.more(b, began); i++ {
		tx.writes = 0
		err := runJob(b.jobs[i], tx)
		switch {
		case tx.fatal != nil:
			return tx.fatal
		case err != nil && tx.writes > 0, tx.spoilt:
			return errAlone
		case err != nil:
			b.fail(i, err)
		}
	}
	return nil
}

// more takes one more job into the batch, if one waits and there is room.
func (d *DB) more(b *batch, began time.Time) bool {
	if len(b.jobs) >= d.opt.BatchJobs || time.Since(began) > d.opt.BatchTime {
		return false
	}
	select {
	case j, ok := <-d.queue:
		if ok {
			b.jobs = append(b.jobs, j)
		}
		return ok
	default:
		return false
	}
}

// runAlone runs the batch again, each job under its own savepoint, so that only
// those that fail are undone.
func (d *DB) runAlone(tx *Tx, b *batch) error {
	if err := d.restart(tx); err != nil {
		return err
	}
	clear(b.errs)
	b.failed = 0
	for i, j := range b.jobs {
		if err := tx.conn.plain(tx.ctx, "SAVEPOINT job"); err != nil {
			return err
		}
		tx.spoilt = false
		err := runJob(j, tx)
		if tx.fatal != nil {
			return tx.fatal
		}
		if err == nil && tx.spoilt {
			err = errPassedOver
		}
		if err != nil {
			b.fail(i, err)
			d.ids.forget()
			if err := tx.conn.plain(tx.ctx, "ROLLBACK TO job"); err != nil {
				return err
			}
		}
		if err := tx.conn.plain(tx.ctx, "RELEASE job"); err != nil {
			return err
		}
	}
	return nil
}

// restart rolls the transaction back and opens a new one.
func (d *DB) restart(tx *Tx) error {
	d.ids.forget()
	ctx := context.Background()
	if err := tx.conn.plain(ctx, "ROLLBACK"); err != nil {
		return err
	}
	mark, err := d.be.begin(ctx, tx.conn)
	tx.mark = mark
	return err
}

// runJob calls a job. One that panics fails like any other: the transaction must
// end either way, and the others in it are not to blame.
func runJob(j Job, tx *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a job of the store panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return j.Do(tx)
}

// lost ends a transaction that the disk did not take and remembers why. The
// connection is thrown away: after an error of the file SQLite may keep a state
// of it that no longer holds.
func (d *DB) lost(tx *Tx, err error) error {
	d.ids.forget()
	if tx != nil {
		// It may be rolled back already; there is nothing to learn from the answer.
		_ = tx.conn.plain(context.Background(), "ROLLBACK")
	}
	if d.writer != nil && isStorage(d.be, err) {
		_ = d.writer.close()
		d.writer = nil
	}
	err = explain("write to", d.be, err)
	d.health.Store(&err)
	return err
}
