package engine

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"riposte/internal/fault"
	"riposte/internal/run"
)

// A run that only waits leaves memory: its state becomes a row, and only the
// timers of the next half minute are known outside the database.

// maxIdle is how many waiting runs a lane keeps in memory at most, whatever
// their age.
const maxIdle = 2000

// evict lets waiting runs leave memory.
func (l *lane) evict(now time.Time) {
	n := 0
	for i, r := range l.idle {
		switch {
		case r.gone || r.idleAt.IsZero():
		case now.Sub(r.idleAt) >= l.e.idleFor || now.Before(r.idleAt) || len(l.idle)-i > maxIdle:
			r.idleAt = time.Time{}
			if r.clean() && r.waits() {
				r.evict()
			}
		default:
			l.idle[n] = r
			n++
		}
	}
	clear(l.idle[n:])
	l.idle = l.idle[:n]
}

// evict writes a snapshot and forgets the run once that is on disk.
func (r *live) evict() {
	if r.snapSeq == r.lastSeq {
		r.leave()
		return
	}
	r.wantSnap = true
	r.next.held = append(r.next.held, func() {
		if r.clean() && r.waits() && r.snapSeq == r.lastSeq {
			r.leave()
		}
	})
	r.submit()
}

// snapshot adds a snapshot to the entry that is just being made. The state is
// that of after the entry.
func (r *live) snapshot() {
	e := r.e()
	r.wantSnap = false
	var state []byte
	var err error
	if p := guarded(func() { state, err = r.state.Encode() }); p != nil || err != nil {
		e.alarms.raise(Alarm{Kind: AlarmBroken, Run: r.id, Message: fmt.Sprintf("the run stays in memory: %v", errors.Join(err, p))})
		return
	}
	s := run.Snapshot{
		Run: r.id, Tenant: r.start.Tenant, Wake: r.wakesAt(), Active: !r.waits(),
		State: sealSnapshot(e.ctx, e.Blobs, snapHead{r.plan.Hash, r.lastAt, r.bytes}, state),
	}
	r.next.writes = append(r.next.writes, func(tx Tx, seq int64) error {
		s.Seq = seq
		return e.Runs.SaveSnapshots(tx, []run.Snapshot{s})
	})
	r.next.held = append([]func(){func() { r.snapSeq, r.first = r.lastSeq, 0 }}, r.next.held...)
}

// leave takes a run out of memory whose snapshot is on disk.
func (r *live) leave() {
	for i := range r.items { // calls that were put off come back with the run
		if t := r.items[i].task; t != nil {
			r.e().sched.drop(t)
		}
	}
	r.gone = true
	l := r.lane
	delete(l.runs, r.id)
	l.e.went(r.start.Tenant)
	l.e.stats.parked.Add(1)
	if at := r.wakesAt(); !at.IsZero() && at.UnixMicro() <= l.e.waits.known.Load() {
		heap.Push(&l.near, timer{at: at, run: r.id})
		l.e.waits.backlog.Add(1)
	}
}

// read brings a run back from disk: from its snapshot, or by folding its
// history where the snapshot cannot be used.
func (e *Engine) read(ctx context.Context, l *lane, id run.ID) (*live, error) {
	snap, ok, err := e.Runs.Snapshot(ctx, id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, e.absent(ctx, id)
	}
	r, err := e.thaw(ctx, l, snap)
	if err == nil {
		return r, nil
	}
	e.log.Info("snapshot cannot be used, history is folded", "run_id", id, "reason", err)
	return e.fold(ctx, l, snap.Seq)
}

// absent says why a run is not there to be read.
func (e *Engine) absent(ctx context.Context, id run.ID) error {
	s, ok := e.project.find(id)
	var err error
	if !ok {
		s, ok, err = e.Runs.Summary(ctx, id)
	}
	switch {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("there is no run %s: %w", id, fault.NotFound)
	case !s.Ended.IsZero():
		return fmt.Errorf("run %s has ended: %w", id, fault.Conflict)
	}
	// It is under way and not to be found in memory: it ended a moment ago.
	return fmt.Errorf("run %s is just ending: %w", id, fault.Conflict)
}

// lost tells whether an error of read means that the run will never be there.
func (e *Engine) lost(err error) bool {
	return errors.Is(err, fault.NotFound) || errors.Is(err, fault.Conflict)
}

// thaw makes a run from its snapshot.
func (e *Engine) thaw(ctx context.Context, l *lane, snap run.Snapshot) (*live, error) {
	head, state, err := openSnapshot(snap.State, e.blob(ctx))
	if err != nil {
		return nil, err
	}
	p, err := e.Plans.Plan(head.plan)
	if err != nil {
		return nil, err
	}
	s, err := run.Decode(p, state)
	if err != nil {
		return nil, err
	}
	return &live{
		lane: l, id: snap.Run, start: s.Start(), plan: p, state: s, lastAt: head.at, bytes: head.bytes, moved: e.now(),
		lastSeq: snap.Seq, snapSeq: snap.Seq, thawed: true,
	}, nil
}

// fold makes a run from its history, which ends with the record last.
func (e *Engine) fold(ctx context.Context, l *lane, last int64) (*live, error) {
	records, err := e.Journal.History(ctx, last, 0)
	if err != nil {
		return nil, err
	}
	var r *live
	for i := range records {
		events, err := decodeRecord(records[i].Data, e.blob(ctx))
		if err != nil {
			return nil, fmt.Errorf("fold run %s: %w", records[i].Run, err)
		}
		if r, err = e.foldInto(r, l, events); err != nil {
			return nil, err
		}
		r.lastSeq = records[i].Seq
	}
	if r == nil {
		return nil, fmt.Errorf("there is no history that ends at %d: %w", last, fault.NotFound)
	}
	r.snapSeq = -1 // what is there is of no use
	return r, nil
}

// foldInto folds events without carrying anything out.
func (e *Engine) foldInto(r *live, l *lane, events []run.Event) (*live, error) {
	for _, ev := range events {
		if r == nil {
			if ev.Kind != run.Started || ev.Start == nil {
				return nil, fmt.Errorf("a history begins with %q: %w", ev.Kind, fault.Invalid)
			}
			var err error
			if r, err = e.newLive(l, ev.Start); err != nil {
				return nil, err
			}
		}
		r.lastAt = ev.At
		if r.broken {
			continue
		}
		if err := guarded(func() { r.state, _ = run.Step(r.plan, r.state, ev) }); err != nil {
			r.breakDown(err)
		}
		r.know()
		r.left(&ev)
		if ev.Result != nil {
			r.bytes += int64(len(ev.Result.Output) + len(ev.Result.Before) + len(ev.Result.After))
		}
	}
	return r, nil
}

func (e *Engine) blob(ctx context.Context) blobReader {
	if e.Blobs == nil {
		return nil
	}
	return func(hash string) ([]byte, error) { return e.Blobs.Get(ctx, hash) }
}

// wakeUp arranges what a run from disk waits for.
func (r *live) wakeUp() {
	r.e().stats.woken.Add(1)
	r.arrange(false)
	now := r.e().now()
	for _, it := range append([]item(nil), r.items...) {
		if it.kind == itemTimer && !it.until.After(now) {
			r.fire(it.act, it.n, now)
		}
	}
}

// wakeLoader brings the wake times of the near future into memory.
type wakeLoader struct {
	e       *Engine
	known   atomic.Int64 // lanes know all wakes up to then, in microseconds
	backlog atomic.Int64 // wakes that lanes know and that are not due yet
	after   run.Wake     // the last one read
}

// wakesAtOnce bounds how many wakes one read brings, manyWakes how many are
// known at a time.
const (
	wakesAtOnce = 5000
	manyWakes   = 50_000
)

func (w *wakeLoader) loop(ctx context.Context) {
	w.look(ctx)
	w.e.every(ctx, time.Second, w.look)
}

func (w *wakeLoader) look(ctx context.Context) {
	now := w.e.now()
	until := now.Add(nearby)
	if time.UnixMicro(w.known.Load()).After(now.Add(nearby/2)) || w.backlog.Load() > manyWakes {
		return
	}
	// What leaves memory from now on with an earlier wake keeps it there: nothing
	// falls between this and the read. One too many does no harm.
	w.known.Store(until.UnixMicro())
	for {
		list, err := w.e.Runs.Wakes(ctx, w.after, until, wakesAtOnce)
		if err != nil {
			w.known.Store(w.after.At.UnixMicro())
			if ctx.Err() == nil {
				w.e.log.Warn("read which runs are due", "error", err)
				w.e.alarms.raise(Alarm{Kind: AlarmWakes, Message: "runs that wait may be late: " + err.Error()})
			}
			return
		}
		w.e.alarms.clear(AlarmWakes, 0)
		w.hand(list)
		if len(list) < wakesAtOnce {
			w.after = run.Wake{At: until, Run: 1<<63 - 1}
			return
		}
		w.after = list[len(list)-1]
		if w.backlog.Load() > manyWakes {
			w.known.Store(w.after.At.UnixMicro())
			return
		}
	}
}

// hand gives wakes to their lanes.
func (w *wakeLoader) hand(list []run.Wake) {
	lanes := make([][]run.Wake, len(w.e.lanes))
	for _, x := range list {
		i := w.e.laneOf(x.Run).index
		lanes[i] = append(lanes[i], x)
	}
	w.backlog.Add(int64(len(list)))
	for i, wakes := range lanes {
		if len(wakes) > 0 {
			w.e.lanes[i].post(message{kind: msgDue, wakes: wakes})
		}
	}
}
