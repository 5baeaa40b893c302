package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"riposte/internal/expr"
	"riposte/internal/fault"
	"riposte/internal/run"
	"riposte/playbook"
)

// View is a run as people see it: what is on disk, no more.
type View struct {
	run.Summary
	Steps   []run.StepView `json:"steps"`
	Outputs map[string]any `json:"outputs,omitempty"`
	Vars    map[string]any `json:"vars,omitempty"`
	Chain   []string       `json:"chain,omitempty"`
}

// Summary tells where a run stands on disk. Unlike the lists it is never behind.
func (e *Engine) Summary(ctx context.Context, id run.ID) (run.Summary, bool, error) {
	if s, ok := e.inMemory(ctx, id); ok {
		return s, true, nil
	}
	if s, ok := e.project.find(id); ok {
		return s, true, nil
	}
	return e.Runs.Summary(ctx, id)
}

// inMemory asks a run's lane.
func (e *Engine) inMemory(ctx context.Context, id run.ID) (run.Summary, bool) {
	got := make(chan run.Summary, 1)
	e.laneOf(id).post(message{kind: msgDo, fn: func(l *lane) {
		s := run.Summary{}
		if r := l.runs[id]; r != nil {
			s = r.shown
			s.Last = r.lastSeq
		}
		got <- s
	}})
	select {
	case s := <-got:
		return s, s.Run != 0
	case <-ctx.Done():
	case <-e.ctx.Done():
	}
	return run.Summary{}, false
}

// Get shows a run with all its steps: fault.NotFound if there is none.
func (e *Engine) Get(ctx context.Context, id run.ID) (*View, error) {
	sum, ok, err := e.Summary(ctx, id)
	switch {
	case err != nil:
		return nil, fmt.Errorf("show run %s: %w", id, err)
	case !ok:
		return nil, fmt.Errorf("there is no run %s: %w", id, fault.NotFound)
	}
	p, events, err := e.history(ctx, sum.Last)
	if err != nil {
		return nil, fmt.Errorf("show run %s: %w", id, err)
	}
	v := &View{Summary: sum, Chain: events[0].Start.Chain, Steps: run.Steps(p, events)}
	e.markStanding(ctx, v)
	if s := run.Fold(p, events, nil); s != nil {
		v.Outputs, v.Vars = plain(s.Outputs()), plain(s.Vars())
	}
	return v, nil
}

// markStanding marks steps whose call stands in line for a rate or a limit as
// waiting. That is no event, so the journal does not know of it.
func (e *Engine) markStanding(ctx context.Context, v *View) {
	if v.Status.Final() {
		return
	}
	got := make(chan map[string]bool, 1)
	e.laneOf(v.Run).post(message{kind: msgDo, fn: func(l *lane) {
		standing := map[string]bool{}
		if r := l.runs[v.Run]; r != nil {
			for i := range r.items {
				if it := &r.items[i]; it.kind == itemCall && it.task != nil && e.sched.where(it.task) != "" {
					standing[it.task.do.Path] = true
				}
			}
		}
		got <- standing
	}})
	select {
	case standing := <-got:
		for i := range v.Steps {
			if s := &v.Steps[i]; s.Status == run.Running && (standing[s.Path] || v.Waiting == "rate" && s.Verb == "action") {
				s.Status = run.Waiting
			}
		}
	case <-ctx.Done():
	case <-e.ctx.Done():
	}
}

// plain makes values fit for JSON; secrets stay references.
func plain(m map[string]any) map[string]any {
	if m == nil {
		return nil
	}
	b, err := expr.EncodeJSON(m)
	if err != nil {
		return nil
	}
	v, err := expr.DecodeJSON(b)
	if err != nil {
		return nil
	}
	out, _ := v.(map[string]any)
	return out
}

// history reads a run's plan and its events up to a record.
func (e *Engine) history(ctx context.Context, last int64) (*playbook.Plan, []run.Event, error) {
	records, err := e.Journal.History(ctx, last, 0)
	if err != nil {
		return nil, nil, err
	}
	var events []run.Event
	for i := range records {
		some, err := decodeRecord(records[i].Data, e.blob(ctx))
		if err != nil {
			return nil, nil, err
		}
		events = append(events, some...)
	}
	if len(events) == 0 || events[0].Start == nil {
		return nil, nil, fmt.Errorf("its records are gone: %w", fault.NotFound)
	}
	p, err := e.Plans.Plan(events[0].Start.Plan)
	return p, events, err
}

// Events gives the events of the history that ends with a record, oldest first.
func (e *Engine) Events(ctx context.Context, last int64) ([]run.Event, error) {
	_, events, err := e.history(ctx, last)
	return events, err
}

// History gives the events of a run that are on disk, oldest first.
func (e *Engine) History(ctx context.Context, id run.ID) ([]run.Event, error) {
	sum, ok, err := e.Summary(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, fmt.Errorf("there is no run %s: %w", id, fault.NotFound)
	}
	_, events, err := e.history(ctx, sum.Last)
	return events, err
}

// Update is what one record of a run brought.
type Update struct {
	Seq     int64 // of the record: where to go on after a break
	Events  []run.Event
	Steps   []run.StepView // that changed, in order
	Summary run.Summary    // after it
}

// watcher is somebody who watches a run. It is only told that there is more;
// it reads at its own pace, so a slow one holds nobody up.
type watcher struct {
	mu   sync.Mutex
	last int64
	kick chan struct{}
}

func (w *watcher) tell(seq int64) {
	w.mu.Lock()
	w.last = max(w.last, seq)
	w.mu.Unlock()
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

func (w *watcher) seen() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// notify tells those who watch a run that its journal has grown.
func (l *lane) notify(r *live) {
	if len(l.watchers) == 0 {
		return
	}
	for _, w := range l.watchers[r.id] {
		w.tell(r.lastSeq)
	}
}

// Watch calls f for every record of a run behind the place after, first those
// that are there, then those to come, until the run has ended (nil), f fails or
// ctx ends. Updates come in order and none is left out, so a watcher that was
// cut off goes on with the Seq of the last one it got.
func (e *Engine) Watch(ctx context.Context, id run.ID, after int64, f func(Update) error) error {
	w := &watcher{kick: make(chan struct{}, 1)}
	l := e.laneOf(id)
	l.post(message{kind: msgDo, fn: func(l *lane) { l.watchers[id] = append(l.watchers[id], w) }})
	defer l.post(message{kind: msgDo, fn: func(l *lane) {
		l.watchers[id] = slices.DeleteFunc(l.watchers[id], func(x *watcher) bool { return x == w })
		if len(l.watchers[id]) == 0 {
			delete(l.watchers, id)
		}
	}})
	sum, ok, err := e.Summary(ctx, id)
	switch {
	case err != nil:
		return fmt.Errorf("watch run %s: %w", id, err)
	case !ok:
		return fmt.Errorf("watch run %s: it is not there: %w", id, fault.NotFound)
	}
	w.tell(sum.Last)
	v := &viewer{e: e, after: after, f: f}
	for {
		select {
		case <-w.kick:
		case <-ctx.Done():
			return ctx.Err()
		case <-e.ctx.Done():
			return fmt.Errorf("watch run %s: the engine stops: %w", id, fault.Transient)
		}
		if err := v.read(ctx, w.seen()); err != nil {
			return err
		}
		if v.state != nil && v.state.Final() {
			return nil
		}
	}
}

// viewer folds a run for one who watches it.
type viewer struct {
	e     *Engine
	state *run.State
	live  *live
	seq   int64
	after int64
	f     func(Update) error
}

func (v *viewer) read(ctx context.Context, last int64) error {
	if last <= v.seq {
		return nil
	}
	records, err := v.e.Journal.History(ctx, last, v.seq)
	if err != nil {
		return err
	}
	for i := range records {
		events, err := decodeRecord(records[i].Data, v.e.blob(ctx))
		if err != nil {
			return err
		}
		if err := v.record(records[i].Seq, events); err != nil {
			return err
		}
	}
	return nil
}

func (v *viewer) record(seq int64, events []run.Event) error {
	u := Update{Seq: seq, Events: events}
	for _, ev := range events {
		if v.live == nil {
			r, err := v.e.newLive(v.e.laneOf(ev.Start.Run), ev.Start)
			if err != nil {
				return err
			}
			v.live = r
		}
		if err := guarded(func() { v.live.state, _ = run.Step(v.live.plan, v.live.state, ev) }); err != nil {
			return err
		}
		v.live.know()
		for _, c := range v.live.state.Changes() {
			if s, ok := c.View(); ok {
				u.Steps = append(u.Steps, s)
			}
		}
	}
	v.seq, v.state = seq, v.live.state
	u.Summary = v.live.summarize()
	u.Summary.Last = seq
	if seq <= v.after {
		return nil
	}
	return v.f(u)
}
