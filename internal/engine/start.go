package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"riposte/internal/fault"
	"riposte/internal/run"
)

// StartIn writes the first record of a run inside somebody else's transaction,
// such as the one that stores its alert. Start.Run is given here if it is 0;
// Start.Plan must be known to Plans and Start.Inputs checked.
//
// With a key the run starts once however often it is asked for: the answer is
// then the run that the key is bound to, and begin is nil if that is an older
// one. begin must be called once the transaction is on disk. Should that be
// forgotten, the engine notices within seconds; after a crash it does anyway.
func (e *Engine) StartIn(tx Tx, s run.Start, key string) (id run.ID, begin func(), err error) {
	if e.openErr != nil || e.lanes == nil {
		return 0, nil, fmt.Errorf("start a run of %s: the engine is not open: %w", s.Playbook, fault.Conflict)
	}
	if err := e.room(&s); err != nil {
		return 0, nil, err
	}
	p, err := e.Plans.Plan(s.Plan)
	if err != nil {
		return 0, nil, fmt.Errorf("start a run of %s: %w", s.Playbook, err)
	}
	if s.Available == nil && len(p.Available) > 0 {
		s.Available = e.Plans.Available(s.Tenant, p)
	}
	if s.Run == 0 {
		if s.Run, err = e.Journal.NextRun(tx); err != nil {
			return 0, nil, fmt.Errorf("start a run of %s: %w", s.Playbook, err)
		}
	}
	if key != "" {
		bound, err := e.Journal.Claim(tx, s.Tenant, key, s.Run)
		if err != nil {
			return 0, nil, fmt.Errorf("start a run of %s: %w", s.Playbook, err)
		}
		if bound != s.Run {
			return bound, nil, nil
		}
	}
	ev := &event{Event: run.Event{Kind: run.Started, At: e.now(), Start: &s}}
	offload(e.ctx, e.Blobs, ev)
	data, err := encodeRecord(ev)
	if err != nil {
		return 0, nil, fmt.Errorf("start a run of %s: %w", s.Playbook, err)
	}
	rec := &run.Record{Tenant: s.Tenant, Run: s.Run, Data: data}
	if err := e.Journal.Append(tx, []*run.Record{rec}); err != nil {
		return 0, nil, fmt.Errorf("start a run of %s: %w", s.Playbook, err)
	}
	e.starts.expect(s.Run, ev, rec)
	return s.Run, func() { e.begin(s.Run, ev, rec.Seq) }, nil
}

// room refuses new runs when too many are under way. Those that others wait for
// are always taken.
func (e *Engine) room(s *run.Start) error {
	if s.Parent != nil || s.Undoes != 0 {
		return nil
	}
	if n := e.resident.Load(); n >= int64(e.MaxActive) {
		return fmt.Errorf("start a run of %s: %d runs are under way, the most that may be: %w", s.Playbook, n, fault.Transient)
	}
	if n := e.tenantRuns(s.Tenant).Load(); n >= int64(e.PerTenant) {
		return fmt.Errorf("start a run of %s: %d runs of the tenant are under way, the most that may be: %w", s.Playbook, n, fault.Transient)
	}
	return nil
}

// begin takes a run over whose first record is on disk.
func (e *Engine) begin(id run.ID, ev *event, seq int64) {
	e.stats.started.Add(1)
	e.laneOf(id).post(message{kind: msgTake, run: id, ev: ev, seq: seq})
	e.advance(seq)
}

// Start starts a run and returns when that is on disk: fault.Transient if the
// disk does not take it. The key is that of StartIn.
func (e *Engine) Start(ctx context.Context, s run.Start, key string) (run.ID, error) {
	var id run.ID
	var begin func()
	err := e.do(ctx, func(tx Tx) (err error) {
		id, begin, err = e.StartIn(tx, s, key)
		return err
	})
	if err != nil {
		return 0, err
	}
	if begin != nil {
		begin()
	}
	return id, nil
}

// do runs a job of the writer and waits for it. If ctx ends first the job may
// still be done.
func (e *Engine) do(ctx context.Context, f func(tx Tx) error) error {
	done := make(chan error, 1)
	e.Journal.Submit(f, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// starts remembers runs that were written and not taken over yet: the alarm
// "accepted but no run", and its cure.
type starts struct {
	e  *Engine
	mu sync.Mutex
	m  map[run.ID]expected
}

type expected struct {
	ev  *event
	rec *run.Record
	at  time.Time
}

// overdue is how long a start may take from its transaction to its lane.
const overdue = 5 * time.Second

func newStarts(e *Engine) *starts { return &starts{e: e, m: map[run.ID]expected{}} }

func (s *starts) expect(id run.ID, ev *event, rec *run.Record) {
	s.mu.Lock()
	s.m[id] = expected{ev, rec, s.e.clock.Now()}
	s.mu.Unlock()
}

// oldest is the place before the first record of a run that no lane has yet.
func (s *starts) oldest() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := int64(1<<63 - 1)
	for _, x := range s.m {
		oldest = min(oldest, x.rec.Seq-1)
	}
	return oldest
}

// took notes that a lane has a run.
func (e *Engine) took(id run.ID) {
	e.starts.mu.Lock()
	delete(e.starts.m, id)
	e.starts.mu.Unlock()
	e.alarms.clear(AlarmNoRun, id)
}

// loop looks after starts that nobody has taken over.
func (s *starts) loop(ctx context.Context) { s.e.every(ctx, overdue, s.look) }

func (s *starts) look(ctx context.Context) {
	now := s.e.clock.Now()
	s.mu.Lock()
	var late []run.ID
	for id, x := range s.m {
		if now.Sub(x.at) > overdue {
			late = append(late, id)
		}
	}
	s.mu.Unlock()
	for _, id := range late {
		s.cure(ctx, id)
	}
}

// cure takes a run over that is on disk, and forgets one that never got there.
func (s *starts) cure(ctx context.Context, id run.ID) {
	s.mu.Lock()
	x, ok := s.m[id]
	s.mu.Unlock()
	if !ok {
		return
	}
	found, err := s.e.Journal.History(ctx, x.rec.Seq, x.rec.Seq-1)
	if err != nil {
		return // it is looked at again
	}
	if len(found) == 0 || found[0].Run != id {
		s.mu.Lock()
		delete(s.m, id)
		s.mu.Unlock()
		return
	}
	s.e.alarms.raise(Alarm{Kind: AlarmNoRun, Run: id, Message: "the run was accepted and nobody began it; it is begun now"})
	s.e.begin(id, x.ev, x.rec.Seq)
}

// every calls f again and again until ctx ends.
func (e *Engine) every(ctx context.Context, d time.Duration, f func(ctx context.Context)) {
	kick := make(chan struct{}, 1)
	for {
		stop := e.clock.AfterFunc(d, func() {
			select {
			case kick <- struct{}{}:
			default:
			}
		})
		select {
		case <-ctx.Done():
			stop()
			return
		case <-kick:
			f(ctx)
		}
	}
}
