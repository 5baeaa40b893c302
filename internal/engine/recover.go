package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"riposte/internal/run"
)

// recover folds every run that was under way when the process ended and takes
// it up again. The journal is read from the last checkpoint on: every run with
// an older record that is still under way has a snapshot, and every run that
// ended before is in the projection.
func (e *Engine) recover(ctx context.Context) error {
	began := time.Now()
	end, from, err := e.Journal.Mark(ctx)
	if err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	// What StartIn wrote since Open is in here too; lanes see it as recovered.
	e.recovered = end
	e.end.Store(end)
	f := &folder{e: e, ctx: ctx}
	if err := f.tail(from, end); err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	if err := f.active(); err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	if err := e.restoreRates(ctx); err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	f.resume()
	if err := e.deliverMail(ctx); err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	e.stats.recovered.Store(e.resident.Load())
	e.log.Info("runs are back at work", "runs", e.resident.Load(), "records", end-from, "took_seconds", time.Since(began).Seconds())
	return nil
}

// folder folds the tail of the journal, each lane's runs on a goroutine of
// their own.
type folder struct {
	e     *Engine
	ctx   context.Context
	ended []run.Summary
	mu    sync.Mutex
}

// chunk is how many records go to a lane at once.
const chunk = 256

func (f *folder) tail(from, end int64) error {
	e := f.e
	feeds := make([]chan []run.Record, len(e.lanes))
	open := make([][]run.Record, len(e.lanes))
	errs := make([]error, len(e.lanes))
	var wg sync.WaitGroup
	for i, l := range e.lanes {
		feeds[i] = make(chan []run.Record, 16)
		wg.Go(func() { errs[i] = f.lane(l, feeds[i]) })
	}
	err := e.Journal.Tail(f.ctx, from, end, func(r run.Record) error {
		i := e.laneOf(r.Run).index
		open[i] = append(open[i], r)
		if len(open[i]) == chunk {
			feeds[i] <- open[i]
			open[i] = make([]run.Record, 0, chunk)
		}
		return nil
	})
	for i, ch := range feeds {
		if len(open[i]) > 0 && err == nil {
			ch <- open[i]
		}
		close(ch)
	}
	wg.Wait()
	for _, e := range errs {
		if err == nil {
			err = e
		}
	}
	e.project.add(f.ended...)
	return err
}

// lane folds records of one lane's runs. A run that cannot be folded is set
// aside with an alarm; it does not keep the others from their work.
func (f *folder) lane(l *lane, feed <-chan []run.Record) (failed error) {
	skip := map[run.ID]bool{}
	for list := range feed {
		for _, rec := range list {
			if failed != nil || skip[rec.Run] {
				continue
			}
			if err := f.record(l, rec); err != nil {
				if f.ctx.Err() != nil {
					failed = f.ctx.Err()
					continue
				}
				skip[rec.Run] = true
				f.e.setAside(l, rec.Run, err)
			}
		}
	}
	return failed
}

func (f *folder) record(l *lane, rec run.Record) error {
	e := f.e
	r := l.runs[rec.Run]
	if r == nil && rec.Prev != 0 {
		var err error
		if r, err = f.before(l, rec); err != nil {
			return err
		}
		l.adopt(r)
	}
	if r != nil && rec.Seq <= r.lastSeq {
		return nil // its snapshot is younger
	}
	events, err := decodeRecord(rec.Data, e.blob(f.ctx))
	if err != nil {
		return err
	}
	fresh := r == nil
	if r, err = e.foldInto(r, l, events); err != nil {
		return err
	}
	r.lastSeq = rec.Seq
	if r.first == 0 {
		r.first = rec.Seq
	}
	if fresh {
		l.adopt(r)
	}
	if r.state != nil && r.state.Final() {
		s := r.summarize()
		s.Last = rec.Seq
		f.mu.Lock()
		f.ended = append(f.ended, s)
		f.mu.Unlock()
		r.gone = true
		delete(l.runs, r.id)
		e.went(r.start.Tenant)
	}
	return nil
}

// before finds the state of a run from before a record of the tail.
func (f *folder) before(l *lane, rec run.Record) (*live, error) {
	e := f.e
	snap, ok, err := e.Runs.Snapshot(f.ctx, rec.Run)
	if err != nil {
		return nil, err
	}
	if ok && snap.Seq >= rec.Prev {
		if r, err := e.thaw(f.ctx, l, snap); err == nil {
			return r, nil
		}
	}
	return e.fold(f.ctx, l, rec.Prev)
}

// active brings back the runs that were at work and have no record in the tail.
func (f *folder) active() error {
	ids, err := f.e.Runs.Active(f.ctx)
	if err != nil {
		return err
	}
	lanes := make([][]run.ID, len(f.e.lanes))
	for _, id := range ids {
		i := f.e.laneOf(id).index
		lanes[i] = append(lanes[i], id)
	}
	var wg sync.WaitGroup
	for i, l := range f.e.lanes {
		wg.Go(func() { f.thaw(l, lanes[i]) })
	}
	wg.Wait()
	return f.ctx.Err()
}

// thaw brings back those of one lane's runs that the tail has not.
func (f *folder) thaw(l *lane, ids []run.ID) {
	for _, id := range ids {
		if l.runs[id] != nil || f.ctx.Err() != nil {
			continue
		}
		r, err := f.e.read(f.ctx, l, id)
		switch {
		case err == nil && !r.state.Final():
			l.adopt(r)
		case err != nil && !f.e.lost(err):
			f.e.setAside(l, id, err)
		}
	}
}

// setAside notes a run that cannot be brought back. Its records stay.
func (e *Engine) setAside(l *lane, id run.ID, err error) {
	e.alarms.raise(Alarm{Kind: AlarmBroken, Run: id, Message: "the run cannot be brought back: " + err.Error()})
	e.log.Error("run cannot be brought back", "run_id", id, "error", err)
	if r := l.runs[id]; r != nil {
		r.broken = true
	}
}

// resume lets every lane arrange what its runs had under way. Lanes do it
// themselves, before anything else that has come for them.
func (f *folder) resume() {
	for _, l := range f.e.lanes {
		l.mu.Lock()
		l.inbox = append([]message{{kind: msgDo, fn: (*lane).resume}}, l.inbox...)
		l.mu.Unlock()
	}
}

func (l *lane) resume() {
	ids := make([]run.ID, 0, len(l.runs))
	for id := range l.runs {
		ids = append(ids, id)
	}
	shown := make([]run.Summary, 0, len(ids))
	defer func() { l.e.project.recheck(shown) }()
	for _, id := range ids {
		r := l.runs[id]
		if r.broken {
			continue
		}
		if r.snapSeq == 0 {
			r.snapSeq = -1 // perhaps there is one: it is deleted at the end
		}
		r.shown = r.summarize()
		r.shown.Last = r.lastSeq
		shown = append(shown, r.shown)
		r.arrange(true)
		r.settle()
	}
}

// deliverMail delivers what runs had sent each other.
func (e *Engine) deliverMail(ctx context.Context) error {
	list, err := e.Runs.Mail(ctx)
	if err != nil {
		return err
	}
	for _, m := range list {
		events, err := decodeRecord(m.Data, e.blob(ctx))
		if err != nil || len(events) != 1 {
			e.log.Error("mail cannot be read", "to_run_id", m.To, "error", err)
			continue
		}
		e.laneOf(m.To).post(message{kind: msgEvent, run: m.To, ev: &event{Event: events[0]}, mail: m.ID})
	}
	return nil
}

func (e *Engine) restoreRates(ctx context.Context) error {
	rates, err := e.Runs.Rates(ctx)
	if err != nil {
		return err
	}
	for key, times := range rates {
		e.sched.restore(key, times)
	}
	return nil
}

// keepRate stores when the calls of a rated step left. Nobody waits for it.
func (e *Engine) keepRate(key string, passed []time.Time) {
	e.lasting(0, func(tx Tx) error { return e.Runs.SaveRate(tx, "", key, passed) }, func() {})
}

// checkpoints moves the place where recovery begins, so that it stays short.
func (e *Engine) checkpoints(ctx context.Context) { e.every(ctx, 5*time.Second, e.checkpoint) }

// longAgo is how many records a run may go without a snapshot.
const longAgo = 20_000

func (e *Engine) checkpoint(ctx context.Context) {
	end := e.end.Load()
	// In this order: a start that has left the first place is in the second.
	oldest := min(end, e.starts.oldest())
	answers := make(chan int64, len(e.lanes))
	for _, l := range e.lanes {
		l.post(message{kind: msgDo, fn: func(l *lane) { answers <- l.oldest(end - longAgo) }})
	}
	for range e.lanes {
		select {
		case seq := <-answers:
			oldest = min(oldest, seq)
		case <-ctx.Done():
			return
		}
	}
	oldest = min(oldest, e.project.oldest())
	if oldest <= e.checkpointed.Load() {
		return
	}
	e.checkpointed.Store(oldest)
	e.lasting(0, func(tx Tx) error { return e.Journal.Checkpoint(tx, oldest) }, func() {})
}

// oldest gives the place up to which this lane's runs need no record of the
// journal, and gives snapshots to those that hold it back.
func (l *lane) oldest(before int64) int64 {
	oldest := int64(1<<63 - 1)
	given := 0
	for _, r := range l.runs {
		if r.first == 0 {
			continue
		}
		oldest = min(oldest, r.first-1)
		if r.first < before && !r.wantSnap && !r.broken && given < 500 {
			given++
			r.wantSnap = true
			r.submit()
		}
	}
	return oldest
}
