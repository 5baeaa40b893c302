package engine

import (
	"time"

	"riposte/connector"
	"riposte/internal/expr"
	"riposte/internal/run"
	"riposte/playbook"
)

// command carries out what a step has led to. Output commit: a read leaves at
// once, everything else once its cause is on disk.
func (r *live) command(c run.Command) {
	switch c := c.(type) {
	case *run.Check:
		r.check(c)
	case *run.Do:
		r.call(c)
	case *run.Ask:
		r.ask(c)
	case *run.Sleep:
		r.addTimer(c)
	case *run.CallRun:
		r.items = append(r.items, item{act: c.Act, n: c.N, kind: itemChild, cmd: c})
		r.hold(func() { r.startChild(c) })
	case *run.Enter:
		r.enter(c)
	case *run.TakeBack:
		r.items = append(r.items, item{act: c.Act, n: c.N, kind: itemUndo, cmd: c})
		r.hold(func() { r.takeBack(c) })
	case *run.Drop:
		r.drop(c)
	case *run.Finish:
		r.finish(c)
	}
}

// again takes up a command that was under way when the run left memory, or when
// the process ended (recovered).
func (r *live) again(c run.Command, recovered bool) {
	switch c := c.(type) {
	case *run.Sleep:
		r.addTimer(c)
	case *run.Ask:
		if recovered { // the first event of a run is stored before what follows from it
			r.ask(c)
			return
		}
		r.items = append(r.items, item{act: c.Act, n: c.N, kind: itemAsk, cmd: c})
	case *run.CallRun:
		r.items = append(r.items, item{act: c.Act, n: c.N, kind: itemChild, began: !recovered && c.Rate == nil, cmd: c})
		switch {
		case c.Rate != nil:
			r.lookForChild(c) // its rate is not to be used up twice
		case recovered:
			r.startChild(c) // does nothing if the child exists
		}
	case *run.Do:
		if recovered && needsBegan(c) && r.state.Begun(c.Act) {
			r.items = append(r.items, item{act: c.Act, n: c.N, kind: itemCall, cmd: c})
			r.queue = append(r.queue, message{ev: &event{Event: run.Event{Kind: run.Finished, Act: c.Act, N: c.N, Result: &connector.Result{
				Status: connector.Unknown, Class: connector.UnknownOutcome,
				Message: "Riposte was stopped while the call was under way",
			}}}})
			return
		}
		r.call(c)
	case *run.Check, *run.TakeBack, *run.Drop, *run.Finish, *run.Enter:
		r.command(c)
	}
}

// needsBegan tells whether a call must be on disk before it leaves: it cannot
// be repeated, and after a crash nobody else could tell.
func needsBegan(d *run.Do) bool {
	if d.Impact == connector.Read {
		return false
	}
	return d.Spec == nil || d.Spec.Idempotency == connector.None || d.Spec.Idempotency == ""
}

// callOf describes an attempt to the guard and to the caller.
func callOf(s *run.Start, d *run.Do) Call {
	root, author := s.Origin()
	return Call{
		Root:   root,
		Call:   connector.Call{Connection: d.Connection, Action: d.Spec, Inputs: d.Inputs, Key: d.Key},
		Tenant: s.Tenant, Run: s.Run, Act: d.Act, N: d.N, Attempt: d.Attempt, Name: d.Name, Poll: d.Poll, Impact: d.Impact,
		Hash: d.Hash, Approved: d.Approved, Agreed: d.Agreed, Playbook: s.Playbook, Version: s.Version, Case: s.CaseID, Alert: s.AlertID,
		By: author, Test: s.Test, Undoes: s.Undoes, Node: d.Node, Chain: s.Chain, Severity: s.Severity,
	}
}

// check asks the guard. It may be asked ahead of the disk: what it reserves is
// written with its answer.
func (r *live) check(c *run.Check) {
	r.items = append(r.items, item{act: c.Act, n: c.N, kind: itemCheck, cmd: c})
	e, l, id, call, act, n := r.e(), r.lane, r.id, callOf(r.start, c.Action), c.Act, c.N
	e.askGate(func() (run.CheckResult, func(Tx) error, error) { return e.Gate.Check(e.ctx, call) },
		func(res run.CheckResult, reserve func(Tx) error) {
			m := message{kind: msgEvent, run: id, ev: &event{Event: run.Event{Kind: run.Checked, Act: act, N: n, Check: &res}}}
			if reserve != nil {
				m.writes = append(m.writes, func(tx Tx, _ int64) error { return reserve(tx) })
			}
			l.post(m)
		})
}

// call arranges an attempt.
func (r *live) call(d *run.Do) {
	t := &task{do: d, start: r.start, live: r, run: r.id, own: &r.own, book: r.book, severity: r.severity(), opens: len(r.sent) == 0 && !r.thawed}
	if r.checked == d.Act+1 {
		t.cleared = r.e().clock.Now()
	}
	t.key = serializeKey(r.start.Tenant, d)
	r.items = append(r.items, item{act: d.Act, n: d.N, kind: itemCall, task: t, cmd: d})
	switch {
	case d.Impact == connector.Read:
		r.enqueue(t)
	case !t.cleared.IsZero() && needsBegan(d):
		// If it can leave at once, that it does shares the record of its check.
		if r.enqueue(t) {
			return
		}
	default:
		r.hold(func() { r.enqueue(t) })
	}
}

// enqueue hands a task to the scheduler. It returns true if it may leave.
func (r *live) enqueue(t *task) bool {
	e := r.e()
	name, limits := e.Caller.Route(r.start.Tenant, t.do.Connection, t.do.Name)
	free := e.sched.add(t, r.start.Tenant, r.start.Playbook, name, limits)
	r.book = t.book
	if !free {
		r.parked(t)
		return false
	}
	if t.fresh(e.clock.Now()) && needsBegan(t.do) {
		r.begin(t)
	} else {
		e.launch(t)
	}
	return true
}

// parked notes that a task stands in line, or when it comes back if it was put
// off.
func (r *live) parked(t *task) {
	switch r.e().sched.where(t) {
	case "", "worker":
		return
	}
	r.restless = true
	later, off := r.e().sched.back(t)
	if !off {
		return
	}
	for i := range r.items {
		if it := &r.items[i]; it.task == t {
			it.until = later
			r.near(it)
		}
	}
}

// comeBack puts a task in line again that was put off.
func (r *live) comeBack(it *item) {
	t := it.task
	it.until = time.Time{}
	if !r.e().sched.drop(t) {
		return
	}
	if c, ok := it.cmd.(*run.CallRun); ok {
		it.task = nil
		r.startChild(c)
		return
	}
	r.retake(t)
}

// retake puts a call back in line that could not leave.
func (r *live) retake(old *task) {
	it := r.find(old.do.Act, old.do.N)
	if it == nil || it.task != old {
		return
	}
	it.task = &task{do: old.do, start: r.start, own: &r.own, book: r.book, live: r, run: r.id, severity: old.severity, key: old.key, rated: old.rated, began: old.began}
	r.enqueue(it.task)
}

// begin says that a granted call is about to leave, and lets it leave when that
// is on disk.
func (r *live) begin(t *task) {
	e := r.e()
	if r.gone || t.dropped {
		e.sched.done(t)
		return
	}
	r.deliver(message{ev: &event{Event: run.Event{Kind: run.Began, Act: t.do.Act, N: t.do.N}}, reply: func(err error) {
		if err != nil {
			e.sched.done(t)
			return
		}
		t.began = true
		e.launch(t)
	}})
	r.settle()
}

// ask opens a question, in the transaction of the event that leads to it.
func (r *live) ask(c *run.Ask) {
	r.items = append(r.items, item{act: c.Act, n: c.N, kind: itemAsk, cmd: c})
	e, s := r.e(), r.start
	if e.Questions == nil {
		return
	}
	_, author := s.Origin()
	q := Question{
		Tenant: s.Tenant, Run: s.Run, Act: c.Act, N: c.N, At: r.lastAt, Playbook: s.Playbook, By: author,
		Case: s.CaseID, Alert: s.AlertID, Severity: s.Severity, Question: c.Question,
	}
	r.write(func(tx Tx, _ int64) error { return e.Questions.Open(tx, q) })
}

// drop takes back what was asked for.
func (r *live) drop(c *run.Drop) {
	kept := r.items[:0]
	for _, it := range r.items {
		if it.act != c.Act || c.N != 0 && it.n != c.N || !r.dropItem(&it) {
			kept = append(kept, it)
		}
	}
	clear(r.items[len(kept):])
	r.items = kept
}

// dropItem returns false where the item stays until its answer comes.
func (r *live) dropItem(it *item) bool {
	e := r.e()
	switch it.kind {
	case itemTimer, itemCheck:
	case itemAsk:
		if e.Questions != nil {
			act, n, at := it.act, it.n, r.lastAt
			r.write(func(tx Tx, _ int64) error { return e.Questions.Close(tx, r.id, act, n, at) })
		}
	case itemCall:
		return r.dropCall(it.task)
	case itemChild:
		r.cancelChild(it)
		return false
	case itemUndo:
		return false
	}
	return true
}

// dropCall takes a call out of line, or ends it if it is a read. A change under
// way ends first; one that has not left yet never will.
func (r *live) dropCall(t *task) bool {
	if t == nil {
		return true
	}
	e := r.e()
	waiting := e.sched.drop(t)
	if t.do.Impact == connector.Read {
		e.calls.cancel(t)
		return true
	}
	if waiting {
		r.queue = append(r.queue, message{ev: &event{Event: run.Event{Kind: run.Finished, Act: t.do.Act, N: t.do.N, Result: notSent()}}})
	}
	return false
}

// notSent is the result of a call that was called off before it left.
func notSent() *connector.Result {
	return &connector.Result{Status: connector.Failed, Class: connector.Cancelled, Message: "called off before it left"}
}

// recount gives back what the guard reserved for an action that will not be
// called any more.
func (r *live) recount(ev run.Event) {
	e := r.e()
	if e.Gate == nil || r.plan.Highest < connector.Change {
		return
	}
	r.left(&ev)
	for _, c := range r.state.Changes() {
		if c.Node == playbook.NoNode || r.plan.Nodes[c.Node].Verb != playbook.Action || r.plan.Nodes[c.Node].Action.Impact < connector.Change {
			continue
		}
		switch c.Status {
		case run.Denied, run.TimedOut, run.Cancelled, run.Failed:
			v, _ := c.View()
			if act := c.Act; !r.sent[act] && !(r.thawed && v.Attempts > 1) {
				r.write(func(tx Tx, _ int64) error { return e.Gate.Release(tx, r.id, act) })
			}
		case run.Succeeded:
			delete(r.sent, c.Act)
		case run.Skipped: // its policy may have come to want that between check and call
			if v, _ := c.View(); v.Error != nil {
				act := c.Act
				r.write(func(tx Tx, _ int64) error { return e.Gate.Release(tx, r.id, act) })
			}
		case run.Pending, run.Running, run.Waiting:
		}
	}
}

// left notes that a call has left, so that what was reserved for it is used up.
func (r *live) left(ev *run.Event) {
	if ev.Kind != run.Began && (ev.Kind != run.Finished || ev.Result.Class == connector.Cancelled) {
		return
	}
	if r.sent == nil {
		r.sent = map[run.Act]bool{}
	}
	r.sent[ev.Act] = true
}

// enter puts an undo into the ledger, in the transaction of its event.
func (r *live) enter(c *run.Enter) {
	e, s := r.e(), r.start
	if e.Ledger == nil {
		return
	}
	en := &Entry{Tenant: s.Tenant, Run: s.Run, Act: c.Act, Case: s.CaseID, Slug: s.Playbook, Version: s.Version, At: r.lastAt, UndoEntry: c.Entry}
	if c.Entry.After > 0 {
		en.Due = r.lastAt.Add(c.Entry.After)
	}
	r.write(func(tx Tx, _ int64) error { return e.Ledger.Enter(tx, en) })
	r.hold(func() { e.undos.entered(en.Due) })
}

// serializeKey names what a call must have for itself, "" if nothing. Where that
// cannot be worked out, calls of the action wait for each other.
func serializeKey(tenant string, d *run.Do) string {
	if d.Poll || d.Node == nil || d.Node.Action == nil || d.Node.Action.Serialize == nil || d.Spec == nil {
		return ""
	}
	text, err := d.Node.Action.Serialize.Text(&expr.Env{Roots: map[string]any{"inputs": d.Inputs}})
	if err != nil {
		text = d.Spec.ID
	}
	return tenant + "/" + d.Spec.Connector + "/" + text
}
