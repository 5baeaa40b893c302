package engine

import (
	"container/heap"
	"fmt"
	"slices"
	"time"

	"riposte/connector"
	"riposte/internal/fault"
	"riposte/internal/run"
	"riposte/playbook"
)

// live is a run in memory. Only its lane touches it.
//
// Its state may be ahead of the disk: events are folded at once and gather in
// next until their record is written. At most one record of a run is under way,
// so a run's records are in order by themselves, and what comes meanwhile
// shares the next one. What must not happen before its cause is on disk is held.
type live struct {
	lane  *lane
	id    run.ID
	start *run.Start
	plan  *playbook.Plan
	state *run.State
	items []item // what is under way: the commands not answered yet

	next     gather
	flying   *entry // the entry on its way to the disk
	lastSeq  int64  // of the last record on disk
	lastAt   time.Time
	lazyAt   time.Time
	snapSeq  int64 // of the snapshot on disk, 0 if there is none
	first    int64 // of the oldest record not covered by a snapshot
	wantSnap bool  // the next entry takes a snapshot along
	restless bool  // its calls have come to stand in line

	own      holder         // its calls under way; guarded by the scheduler
	book     *playbookShare // its account with the scheduler
	queue    []message      // events that arose while one was being folded
	folding  bool
	checked  run.Act // the activation whose check is being folded, plus one
	shown    run.Summary
	idleAt   time.Time        // since when it only waits
	moved    time.Time        // when it last got anywhere
	bytes    int64            // of all results so far
	sent     map[run.Act]bool // whose call has left
	thawed   bool             // it came from a snapshot, so sent may lack some
	finished bool             // the interpreter has said Finish
	gone     bool             // it is not in memory any more
	broken   bool             // the interpreter failed: it stands still
}

// gather is what the next entry of a run will hold.
type gather struct {
	events []*event
	writes []func(tx Tx, seq int64) error
	held   []func()
	steps  []run.StepView // for the timeline of the case
	size   int
	urgent bool // the result of something that is dear to lose
}

func (g *gather) empty() bool { return len(g.events) == 0 && len(g.writes) == 0 }

// itemKind says what is under way.
type itemKind uint8

const (
	itemTimer itemKind = iota
	itemCheck
	itemCall
	itemAsk
	itemChild
	itemUndo
)

// item is one thing under way for a run.
type item struct {
	act       run.Act
	n         int
	kind      itemKind
	look      bool
	began     bool // itemChild: the child exists
	cancelled bool // itemChild: it is to end
	telling   bool // itemChild: it has not heard that yet
	until     time.Time
	task      *task
	child     run.ID
	cmd       run.Command
}

// newLive makes an empty run; the caller folds events into it.
func (e *Engine) newLive(l *lane, s *run.Start) (*live, error) {
	p, err := e.Plans.Plan(s.Plan)
	if err != nil {
		return nil, fmt.Errorf("run %s needs plan %s: %w", s.Run, s.Plan, err)
	}
	return &live{lane: l, id: s.Run, start: s, plan: p, moved: e.now()}, nil
}

func (r *live) e() *Engine { return r.lane.e }

// begun folds the first event of a run whose record is on disk.
func (r *live) begun(ev run.Event) {
	r.first = r.lastSeq
	r.lastAt = ev.At
	r.e().stats.events.Add(1)
	r.step(ev)
	r.show(r.summarize(), r.lastSeq)
	r.drain()
}

// message handles what is meant for this run.
func (r *live) message(m *message) {
	if m.kind == msgOn {
		m.on(r)
		return
	}
	r.deliver(*m)
	r.settle()
}

// deliver folds an event from outside, and those that arise from it.
func (r *live) deliver(m message) {
	if r.folding {
		r.queue = append(r.queue, m)
		return
	}
	r.take(&m)
	r.drain()
}

func (r *live) drain() {
	for len(r.queue) > 0 {
		m := r.queue[0]
		r.queue = r.queue[1:]
		r.take(&m)
	}
}

// take folds one event if it fits.
func (r *live) take(m *message) {
	m.ev.At = r.e().stamp(r.lastAt)
	if r.finished || r.broken || !r.state.Fits(m.ev.Event) {
		if m.mail != 0 {
			r.e().forgetMail(m.mail)
		}
		if m.reply != nil {
			m.reply(r.unfit(m.ev))
		}
		return
	}
	r.lastAt = m.ev.At
	r.weigh(m.ev)
	if mail := m.mail; mail != 0 {
		r.write(func(tx Tx, _ int64) error { return r.e().Runs.Received(tx, mail) })
	}
	r.next.writes = append(r.next.writes, m.writes...)
	r.next.events = append(r.next.events, m.ev)
	r.next.size += sizeOf(&m.ev.Event)
	r.belongings(&m.ev.Event)
	r.step(m.ev.Event)
	if m.reply != nil {
		reply := m.reply
		r.hold(func() { reply(nil) })
	}
}

// weigh holds the results of a run against its quota.
func (r *live) weigh(ev *event) {
	if ev.Result == nil {
		return
	}
	r.bytes += int64(len(ev.Result.Output) + len(ev.Result.Before) + len(ev.Result.After))
	if limit := r.e().MaxBytes; r.bytes > limit {
		ev.refs = nil
		res := *ev.Result
		it := r.find(ev.Act, ev.N)
		changed := it != nil && it.task != nil && it.task.do.Impact > connector.Read && res.Status != connector.Denied && res.Status != connector.Failed
		res.Status, res.Output, res.Before, res.After, res.Results = connector.Failed, nil, nil, nil, nil
		if changed { // it was done, and must stay something that can be taken back
			res.Status = connector.Partial
		}
		res.Class, res.Temporary = "quota", false
		res.Message = fmt.Sprintf("the results of the run are over %d bytes, the most that one run may hold", limit)
		ev.Result = &res
	}
}

// unfit says why an event does not fit.
func (r *live) unfit(ev *event) error {
	switch {
	case r.broken:
		return fmt.Errorf("run %s stands still because of an error in Riposte itself; see the alarms: %w", r.id, fault.Conflict)
	case r.finished:
		return fmt.Errorf("run %s has ended: %w", r.id, fault.Conflict)
	}
	switch ev.Kind {
	case run.Answered:
		return fmt.Errorf("run %s: nobody waits for this answer: the question is settled or withdrawn, or this is none of its options: %w", r.id, fault.Conflict)
	case run.Pause:
		return fmt.Errorf("run %s is paused or being stopped already: %w", r.id, fault.Conflict)
	case run.Resume:
		return fmt.Errorf("run %s is not paused: %w", r.id, fault.Conflict)
	case run.Cancel:
		return fmt.Errorf("run %s is being stopped already: %w", r.id, fault.Conflict)
	default:
		return fmt.Errorf("run %s does not wait for %s: %w", r.id, ev.Kind, fault.Conflict)
	}
}

// belongings stores beside an event what others keep of it.
func (r *live) belongings(ev *run.Event) {
	e := r.e()
	switch {
	case ev.Kind == run.Answered && e.Questions != nil:
		act, n, at, a := ev.Act, ev.N, ev.At, *ev.Answer
		r.write(func(tx Tx, _ int64) error { return e.Questions.Answered(tx, r.id, act, n, at, a) })
	case ev.Kind == run.Finished:
		it := r.find(ev.Act, ev.N)
		r.next.urgent = r.next.urgent || it != nil && it.task != nil && it.task.do.Impact > connector.Read
		r.remove(ev.Act, ev.N)
	case ev.Kind == run.Checked, ev.Kind == run.Ended, ev.Kind == run.Undone, ev.Kind == run.Fired:
		r.remove(ev.Act, ev.N)
	}
}

// know takes over what the fold has learnt of the run since it began: its case.
func (r *live) know() {
	if r.state != nil && r.state.Start() != nil {
		r.start = r.state.Start()
	}
}

// step folds an event and carries out what follows from it.
func (r *live) step(ev run.Event) {
	r.folding = true
	var commands []run.Command
	err := guarded(func() { r.state, commands = run.Step(r.plan, r.state, ev) })
	if err != nil {
		r.breakDown(err)
		return
	}
	r.know()
	r.moved = ev.At
	r.note()
	if ev.Kind == run.Checked {
		r.checked = ev.Act + 1
	}
	r.recount(ev)
	for _, c := range commands {
		r.command(c)
	}
	r.checked = 0
	r.folding = false
}

// breakDown sets a run aside that the interpreter cannot fold.
func (r *live) breakDown(err error) {
	r.folding, r.broken = false, true
	r.e().alarms.raise(Alarm{Kind: AlarmBroken, Run: r.id, Message: err.Error()})
	r.e().log.Error("run stands still", "run_id", r.id, "error", err)
}

// write lets f run in the transaction of the events folded so far.
func (r *live) write(f func(tx Tx, seq int64) error) { r.next.writes = append(r.next.writes, f) }

// hold runs f once everything folded so far is on disk, which may be now.
func (r *live) hold(f func()) {
	switch {
	case !r.next.empty():
		r.next.held = append(r.next.held, f)
	case r.flying != nil:
		r.flying.held = append(r.flying.held, f)
	default:
		f()
	}
}

// settle is called when a run has nothing more to fold for now.
func (r *live) settle() {
	if r.gone {
		return
	}
	r.flush()
	if r.finished && r.clean() {
		r.retire()
		return
	}
	if r.restless && r.clean() {
		r.restless = false
		r.show(r.summarize(), r.lastSeq)
	}
	if r.waits() {
		if r.idleAt.IsZero() {
			r.idleAt = r.e().now()
			r.lane.idle = append(r.lane.idle, r)
		}
		return
	}
	r.idleAt = time.Time{}
}

func (r *live) clean() bool { return r.flying == nil && r.next.empty() }

// waits tells whether a run only waits for time, people or other runs.
func (r *live) waits() bool {
	if r.finished || r.broken || len(r.items) == 0 {
		return false
	}
	for i := range r.items {
		switch it := &r.items[i]; it.kind {
		case itemTimer, itemAsk:
		case itemChild:
			if !it.began && it.until.IsZero() || it.telling {
				return false
			}
		case itemCall:
			if it.until.IsZero() {
				return false
			}
		case itemCheck, itemUndo:
			return false
		}
	}
	return true
}

// flush hands the next entry to the committer where something waits for it.
// Results of reads that nothing waits for may gather for a moment.
func (r *live) flush() {
	if r.flying != nil || r.next.empty() {
		return
	}
	if r.next.urgent || len(r.next.held) > 0 || len(r.next.writes) > 0 || r.next.size > largeValue || !r.calling() {
		r.submit()
		return
	}
	if r.lazyAt.IsZero() {
		r.lazyAt = r.e().now()
		r.lane.lazy = append(r.lane.lazy, r)
	}
}

// calling tells whether a call is under way, so that more will follow soon.
func (r *live) calling() bool {
	for i := range r.items {
		if k := r.items[i].kind; k == itemCall || k == itemCheck {
			return true
		}
	}
	return false
}

// submit hands what has gathered to the committer.
func (r *live) submit() {
	if r.flying != nil || r.next.empty() && !r.wantSnap {
		return
	}
	r.lazyAt = time.Time{}
	if r.wantSnap {
		r.snapshot()
	}
	en := &entry{
		Record: run.Record{Tenant: r.start.Tenant, Run: r.id, Prev: r.lastSeq, Seq: r.lastSeq},
		writes: r.next.writes, held: r.next.held, live: r, events: len(r.next.events),
	}
	if len(r.next.events) > 0 {
		data, err := encodeRecord(r.next.events...)
		if err != nil {
			r.breakDown(err)
			return
		}
		en.Data = data
		en.summary = r.summarize()
	}
	r.timeline(en, len(r.next.events) > 0)
	clear(r.next.events)
	r.next = gather{events: r.next.events[:0]}
	if cap(r.next.events) > 64 {
		r.next.events = nil
	}
	r.flying = en
	r.e().commit.add(en)
}

// written goes on when an entry is on disk.
func (r *live) written(en *entry) {
	r.flying = nil
	r.e().stats.events.Add(int64(en.events))
	if en.Data != nil {
		r.lastSeq = en.Seq
		if r.first == 0 {
			r.first = en.Seq
		}
		r.lane.notify(r)
		r.show(en.summary, en.Seq)
	}
	for _, f := range en.held {
		f()
	}
	r.drain()
	r.settle()
}

// arrange takes up everything under way after the run came back into memory.
func (r *live) arrange(recovered bool) {
	r.folding = true
	var pending []run.Command
	if err := guarded(func() { pending = r.state.Pending(r.plan) }); err != nil {
		r.breakDown(err)
		return
	}
	for _, c := range pending {
		r.again(c, recovered)
	}
	r.folding = false
	r.drain()
}

// find gives an item under way.
func (r *live) find(act run.Act, n int) *item {
	for i := range r.items {
		if r.items[i].act == act && r.items[i].n == n {
			return &r.items[i]
		}
	}
	return nil
}

func (r *live) remove(act run.Act, n int) {
	r.items = slices.DeleteFunc(r.items, func(it item) bool { return it.act == act && it.n == n })
}

// fire delivers a timer, unless it is no longer wanted.
func (r *live) fire(act run.Act, n int, now time.Time) {
	it := r.find(act, n)
	if it == nil || it.until.IsZero() || it.until.After(now) {
		return
	}
	if it.kind != itemTimer {
		r.comeBack(it)
		return
	}
	ev := run.Event{Kind: run.Fired, Act: act, N: n}
	if !it.look || r.start.CaseID == 0 || r.e().Cases == nil {
		r.deliver(message{ev: &event{Event: ev}})
		return
	}
	it.look = false // once is enough
	it.until = now.Add(time.Hour)
	e, l, id, tenant, c := r.e(), r.lane, r.id, r.start.Tenant, r.start.CaseID
	e.pool.run(func() {
		raw, err := e.Cases.Look(e.ctx, tenant, c)
		if err != nil {
			e.log.Warn("look at a case for a waiting run", "run_id", id, "error", err)
		}
		ev.Case = raw
		happened := &event{Event: ev}
		offload(e.ctx, e.Blobs, happened)
		l.post(message{kind: msgEvent, run: id, ev: happened})
	})
}

// addTimer keeps a timer and, if it is near, sees that it fires.
func (r *live) addTimer(c *run.Sleep) {
	r.items = append(r.items, item{act: c.Act, n: c.N, kind: itemTimer, until: c.Until, look: c.Look, cmd: c})
	r.near(&r.items[len(r.items)-1])
}

// near brings what is due soon into the lane's heap.
func (r *live) near(it *item) {
	if !it.until.After(r.lane.horizon) {
		heap.Push(&r.lane.near, timer{at: it.until, run: r.id, act: it.act, n: it.n})
	}
}

func (r *live) severity() int { return min(max(r.start.Severity, 0), 5) }

// wakesAt is when the earliest timer is due; zero: there is none.
func (r *live) wakesAt() (at time.Time) {
	for i := range r.items {
		if it := &r.items[i]; !it.until.IsZero() && (at.IsZero() || it.until.Before(at)) {
			at = it.until
		}
	}
	return at
}

// sizeOf is about what an event takes in a record.
func sizeOf(ev *run.Event) int {
	n := 64
	if ev.Start != nil {
		n += 256
	}
	values(ev, func(v *rawValue) { n += min(len(*v), largeValue) })
	return n
}

// note keeps what the case's timeline will tell of a step.
func (r *live) note() {
	if r.e().Cases == nil || r.start.CaseID == 0 {
		return
	}
	for _, c := range r.state.Changes() {
		if c.Status != run.Running {
			if v, ok := c.View(); ok {
				r.next.steps = append(r.next.steps, v)
			}
		}
	}
}

// timeline tells the case what an entry is about, in the same transaction.
func (r *live) timeline(en *entry, events bool) {
	e := r.e()
	if e.Cases == nil || r.start.CaseID == 0 || !events && len(r.next.steps) == 0 {
		return
	}
	h := Happened{Start: r.start, Steps: r.next.steps, At: r.lastAt}
	if r.finished {
		h.Run, h.Error = r.state.Status(), r.state.Err()
	}
	if len(h.Steps) > 0 || h.Run != "" {
		en.writes = append(en.writes, func(tx Tx, _ int64) error { return e.Cases.Step(tx, h) })
	}
}
