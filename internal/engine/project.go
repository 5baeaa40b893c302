package engine

import (
	"context"
	"sync"
	"time"

	"riposte/internal/run"
)

// projector writes summaries behind the journal, in slices: the newest of each
// run. Nothing waits for it.
type projector struct {
	e *Engine

	mu     sync.Mutex
	dirty  map[run.ID]*run.Summary
	order  []run.ID      // as they became dirty
	later  []run.Summary // of recovered runs: most are in the lists already
	since  time.Time
	flight map[run.ID]*run.Summary
	kick   chan struct{}
}

// How often summaries are written, and how many in one slice.
const (
	projectEvery = 100 * time.Millisecond
	projectSlice = 400
)

func newProjector(e *Engine) *projector {
	return &projector{e: e, dirty: map[run.ID]*run.Summary{}, kick: make(chan struct{}, 1)}
}

// add takes summaries in whose events are on disk.
func (p *projector) add(list ...run.Summary) {
	if len(list) == 0 {
		return
	}
	p.mu.Lock()
	first := len(p.dirty) == 0
	if first {
		p.since = p.e.clock.Now()
	}
	for i := range list {
		switch old := p.dirty[list[i].Run]; {
		case old == nil:
			p.order = append(p.order, list[i].Run)
		case old.Last > list[i].Last:
			continue
		}
		p.dirty[list[i].Run] = &list[i]
	}
	p.mu.Unlock()
	if first {
		select {
		case p.kick <- struct{}{}:
		default:
		}
	}
}

func (p *projector) loop(ctx context.Context) {
	pause := time.NewTimer(projectEvery)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.kick:
		}
		// What comes within a moment is written once. This is real time, like the
		// disk's.
		if !p.e.stopping.Load() {
			pause.Reset(projectEvery)
			select {
			case <-pause.C:
			case <-ctx.Done():
				return
			}
		}
		for p.slice(ctx) || p.check(ctx) {
		}
	}
}

// recheck takes in summaries that lists probably show already. They are looked
// at when there is nothing else to do.
func (p *projector) recheck(list []run.Summary) {
	p.mu.Lock()
	p.later = append(p.later, list...)
	p.mu.Unlock()
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// check takes a slice of what is to be checked and adds what lists do not show.
func (p *projector) check(ctx context.Context) bool {
	p.mu.Lock()
	n := min(len(p.later), projectSlice)
	list := p.later[len(p.later)-n:]
	p.later = p.later[:len(p.later)-n]
	p.mu.Unlock()
	for _, s := range list {
		shown, ok, err := p.e.Runs.Summary(ctx, s.Run)
		if ctx.Err() != nil {
			return false
		}
		if err == nil && ok && (shown.Last > s.Last || shown.Last == s.Last && shown.Status == s.Status) {
			continue
		}
		if _, newer := p.find(s.Run); !newer {
			p.add(s)
		}
	}
	return n > 0
}

// slice writes one slice and tells whether there is more.
func (p *projector) slice(ctx context.Context) bool {
	list := p.cut()
	if len(list) == 0 {
		return false
	}
	for {
		err := p.e.do(ctx, func(tx Tx) error { return p.e.Runs.Project(tx, list) })
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return false
		}
		p.e.alarms.raise(Alarm{Kind: AlarmProjection, Message: "lists of runs are behind: " + err.Error()})
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return false
		}
	}
	p.e.alarms.clear(AlarmProjection, 0)
	p.mu.Lock()
	p.flight = nil
	more := len(p.dirty) > 0
	p.mu.Unlock()
	if p.e.OnProject != nil {
		p.e.OnProject(list)
	}
	return more
}

func (p *projector) cut() []run.Summary {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(len(p.order), projectSlice)
	list := make([]run.Summary, 0, n)
	p.flight = make(map[run.ID]*run.Summary, n)
	for _, id := range p.order[:n] {
		list = append(list, *p.dirty[id])
		p.flight[id] = p.dirty[id]
		delete(p.dirty, id)
	}
	p.order = append(p.order[:0], p.order[n:]...)
	p.since = p.e.clock.Now()
	return list
}

// oldest is the place before the last record of the first run that has ended
// and is not in the lists yet.
func (p *projector) oldest() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	oldest := int64(1<<63 - 1)
	for _, m := range []map[run.ID]*run.Summary{p.dirty, p.flight} {
		for _, s := range m {
			if !s.Ended.IsZero() {
				oldest = min(oldest, s.Last-1)
			}
		}
	}
	return oldest
}

// find gives a summary that is on its way.
func (p *projector) find(id run.ID) (run.Summary, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.dirty[id]
	if s == nil {
		s = p.flight[id]
	}
	if s == nil {
		return run.Summary{}, false
	}
	return *s, true
}

func (p *projector) behind() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.dirty) > 0 || len(p.flight) > 0
}

// lag is how old the oldest summary is that is not written.
func (p *projector) lag() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.dirty) == 0 && len(p.flight) == 0 {
		return 0
	}
	return max(p.e.clock.Now().Sub(p.since), 0)
}

// summarize tells where a run stands after everything folded so far.
func (r *live) summarize() run.Summary {
	s := r.start
	sum := run.Summary{
		Run: r.id, Tenant: s.Tenant, Playbook: s.Playbook, Version: s.Version, Plan: s.Plan, Case: s.CaseID, Alert: s.AlertID,
		From: s.From, Undoes: s.Undoes, By: s.By, Severity: s.Severity, Test: s.Test,
	}
	if s.Parent != nil {
		sum.Parent = s.Parent.Run
	}
	if r.state == nil {
		return sum
	}
	sum.Status, sum.Paused, sum.Started = r.state.Status(), r.state.Paused(), r.state.Began()
	switch sum.Status {
	case run.Waiting:
		sum.Waiting = r.waitsFor()
	case run.Running:
		if word := r.stands(); word != "" {
			sum.Status, sum.Waiting = run.Waiting, word
		}
	default: // it waits for nothing
	}
	if sum.Status.Final() {
		sum.Ended = r.state.EndedAt()
		if err := r.state.Err(); err != nil {
			sum.Code, sum.Message, sum.Step = err.Code, err.Message, err.Step
		}
	}
	return sum
}

// stands says in a word what a run's calls stand in line for, if all of them do:
// rate or limit. The interpreter does not know of it; it is not in the journal.
func (r *live) stands() string {
	if len(r.items) == 0 {
		return ""
	}
	word := ""
	for i := range r.items {
		switch it := &r.items[i]; it.kind {
		case itemCall:
			switch where := r.e().sched.where(it.task); where {
			case "", "worker":
				return ""
			case "rate":
				word = where
			default:
				if word == "" {
					word = "limit"
				}
			}
		case itemCheck, itemUndo:
			return ""
		case itemTimer, itemAsk, itemChild:
		}
	}
	return word
}

// waitsFor says in a word what a waiting run waits for.
func (r *live) waitsFor() string {
	word := "time"
	for i := range r.items {
		switch c := r.items[i].cmd.(type) {
		case *run.Ask:
			return string(c.Question.Kind)
		case *run.CallRun:
			word = "playbook"
			if t := r.items[i].task; t != nil && !r.items[i].began && r.e().sched.where(t) != "" {
				word = "rate"
			}
		case *run.TakeBack:
			word = "undo"
		}
	}
	if r.state.Paused() {
		return "pause"
	}
	return word
}

// show hands a summary to the lists if they show another one.
func (r *live) show(s run.Summary, seq int64) {
	same := r.shown
	same.Last = s.Last
	if s == same {
		return
	}
	s.Last = seq
	r.shown = s
	r.e().project.add(s)
}

// retention removes ended runs that are older than Keep.
func (e *Engine) retention(ctx context.Context) {
	if e.Keep > 0 {
		e.every(ctx, time.Minute, func(ctx context.Context) { e.clean(ctx) })
	}
}

// removeSlice is how many runs one transaction removes.
const removeSlice = 20

func (e *Engine) clean(ctx context.Context) {
	for ctx.Err() == nil {
		list, err := e.Runs.EndedBefore(ctx, e.now().Add(-e.Keep), removeSlice)
		if err != nil {
			e.log.Warn("read which runs are to be removed", "error", err)
			return
		}
		if len(list) == 0 {
			return
		}
		err = e.do(ctx, func(tx Tx) error {
			for _, s := range list {
				if err := e.Runs.Remove(tx, s.Run, s.Last); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			e.log.Warn("remove ended runs", "error", err)
			return
		}
		e.stats.removed.Add(int64(len(list)))
	}
}
