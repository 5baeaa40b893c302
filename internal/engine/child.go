package engine

import (
	"fmt"
	"strconv"
	"time"

	"riposte/internal/expr"
	"riposte/internal/run"
)

// maxDepth bounds how often a playbook may stand in the chain of its callers.
const maxDepth = 5

// childKey names the start of a child run. Starting it again finds the same run.
func childKey(parent run.ID, act run.Act, n int) string {
	return childPrefix(parent) + fmt.Sprintf("%010d/%d", act, n)
}

func childPrefix(parent run.ID) string { return "call/" + strconv.FormatInt(int64(parent), 10) + "/" }

func actPrefix(parent run.ID, act run.Act) string {
	return childPrefix(parent) + fmt.Sprintf("%010d/", act)
}

// startChild starts the run that a playbook step asks for, once its rate lets
// it. It is called when what led to it is on disk.
func (r *live) startChild(c *run.CallRun) {
	it := r.find(c.Act, c.N)
	if it == nil || it.began {
		return
	}
	if c.Rate != nil {
		t := &task{child: c, live: r, run: r.id, severity: r.severity()}
		it.task = t
		if !r.e().sched.limit(t, r.start.Tenant, c.RateKey, c.Rate) {
			r.parked(t)
			return
		}
	}
	r.startChildNow(c)
}

// lookForChild finds out whether a child run exists that its step's rate may
// have held up, and starts it if not.
func (r *live) lookForChild(c *run.CallRun) {
	e, l, id, tenant := r.e(), r.lane, r.id, r.start.Tenant
	e.pool.run(func() {
		ids, err := e.Journal.Claims(e.ctx, tenant, childKey(id, c.Act, c.N))
		if err != nil {
			e.clock.AfterFunc(time.Second, func() {
				l.post(message{kind: msgOn, run: id, on: func(r *live) { r.lookForChild(c) }})
			})
			return
		}
		l.post(message{kind: msgOn, run: id, on: func(r *live) {
			if len(ids) > 0 {
				r.childBegan(c, ids[0])
				return
			}
			r.startChild(c)
			r.settle()
		}})
	})
}

func (r *live) startChildNow(c *run.CallRun) {
	it := r.find(c.Act, c.N)
	if it == nil || it.began {
		return
	}
	it.task = nil
	e, l, id, parent := r.e(), r.lane, r.id, *r.start
	e.pool.run(func() {
		s, err := e.childStart(&parent, c)
		if err != nil {
			l.post(message{kind: msgEvent, run: id, ev: ended(c, &run.ChildResult{
				Status: run.Failed, Error: &run.Error{Code: "call", Message: err.Error()},
			})})
			return
		}
		e.submitChild(l, id, c, s)
	})
}

// submitChild writes the child's first record, again and again until the disk
// takes it.
func (e *Engine) submitChild(l *lane, parent run.ID, c *run.CallRun, s run.Start) {
	var child run.ID
	var begin func()
	e.lasting(parent, func(tx Tx) (err error) {
		child, begin, err = e.StartIn(tx, s, childKey(parent, c.Act, c.N))
		return err
	}, func() {
		if begin != nil {
			begin()
		}
		l.post(message{kind: msgOn, run: parent, on: func(r *live) { r.childBegan(c, child) }})
	})
}

// lasting writes something that must be written in the end, whatever stands in
// the way now.
func (e *Engine) lasting(id run.ID, f func(tx Tx) error, done func()) {
	e.commit.add(&entry{
		Record: run.Record{Run: id},
		writes: []func(Tx, int64) error{func(tx Tx, _ int64) error { return f(tx) }},
		done:   func(error) { done() },
	})
}

// childStart works out what a child run begins with.
func (e *Engine) childStart(parent *run.Start, c *run.CallRun) (run.Start, error) {
	depth := 0
	for _, slug := range c.Chain {
		if slug == c.Playbook {
			depth++
		}
	}
	if depth >= maxDepth {
		return run.Start{}, fmt.Errorf("playbook %s calls itself, directly or through others, more than %d times deep", c.Playbook, maxDepth)
	}
	p, err := e.Plans.Published(parent.Tenant, c.Playbook, c.Version)
	if err != nil {
		return run.Start{}, fmt.Errorf("call playbook %s: %w", c.Playbook, err)
	}
	filled, err := p.FillInputs(c.Inputs)
	if err != nil {
		return run.Start{}, err
	}
	inputs, err := expr.EncodeJSON(filled)
	if err != nil {
		return run.Start{}, fmt.Errorf("inputs of playbook %s: %w", c.Playbook, err)
	}
	root, author := parent.Origin()
	return run.Start{
		Root: root, Author: author,
		Tenant: parent.Tenant, Playbook: p.ID, Version: p.Version, Plan: p.Hash, Inputs: inputs,
		CaseID: parent.CaseID, AlertID: parent.AlertID, Severity: parent.Severity, By: "run:" + parent.Run.String(),
		Parent: &run.Parent{Run: parent.Run, Act: c.Act, N: c.N}, Chain: c.Chain, Test: parent.Test,
	}, nil
}

// childBegan notes that a child run exists.
func (r *live) childBegan(c *run.CallRun, child run.ID) {
	it := r.find(c.Act, c.N)
	if it == nil {
		return // its end was faster
	}
	it.began, it.child = true, child
	if it.cancelled {
		r.sendCancel(it)
	}
	r.settle()
}

// cancelChild cancels a child run, or what would have become one. Its end is
// waited for.
func (r *live) cancelChild(it *item) {
	it.cancelled = true
	if it.task != nil && r.e().sched.drop(it.task) {
		r.queue = append(r.queue, message{ev: ended(it.cmd.(*run.CallRun), &run.ChildResult{
			Status: run.Cancelled, Error: &run.Error{Code: "cancelled", Message: "called off before it began"},
		})})
		return
	}
	if it.began {
		act, n := it.act, it.n
		r.hold(func() {
			if it := r.find(act, n); it != nil {
				r.sendCancel(it)
			}
		})
	}
}

// sendCancel tells a child run to end. Until it has heard that, its parent stays
// in memory; after a crash it is told again.
func (r *live) sendCancel(it *item) {
	e, l, id, act, n, child := r.e(), r.lane, r.id, it.act, it.n, it.child
	it.telling = true
	tell := func(child run.ID) {
		ev := &event{Event: run.Event{Kind: run.Cancel, By: "run:" + id.String(), Reason: "the calling run is being stopped"}}
		e.laneOf(child).post(message{kind: msgEvent, run: child, ev: ev, reply: func(error) {
			l.post(message{kind: msgOn, run: id, on: func(r *live) {
				if it := r.find(act, n); it != nil {
					it.telling = false
				}
				r.settle()
			}})
		}})
	}
	if child != 0 {
		tell(child)
		return
	}
	tenant := r.start.Tenant
	e.pool.run(func() {
		ids, err := e.Journal.Claims(e.ctx, tenant, childKey(id, act, n))
		if err == nil && len(ids) > 0 {
			tell(ids[0])
			return
		}
		e.clock.AfterFunc(lazily, func() {
			l.post(message{kind: msgOn, run: id, on: func(r *live) {
				if it := r.find(act, n); it != nil {
					r.sendCancel(it)
				}
			}})
		})
	})
}

func ended(c *run.CallRun, res *run.ChildResult) *event {
	return &event{Event: run.Event{Kind: run.Ended, Act: c.Act, N: c.N, Child: res}}
}

// finish ends a run: whoever waits for it is told in the same transaction.
func (r *live) finish(c *run.Finish) {
	r.finished = true
	r.items = nil
	e, s := r.e(), r.start
	if r.snapSeq != 0 {
		r.write(func(tx Tx, _ int64) error { return e.Runs.DropSnapshot(tx, r.id) })
	}
	if s.Parent != nil {
		r.tellParent(c)
	}
	if s.Undoes != 0 && e.Ledger != nil {
		e.undos.settle(r, c)
	}
}

// tellParent sends the result of a child run to the run that called it.
func (r *live) tellParent(c *run.Finish) {
	e, p := r.e(), r.start.Parent
	res := &run.ChildResult{Run: r.id, Status: c.Status, Error: c.Error}
	if c.Outputs != nil {
		if raw, err := expr.EncodeJSON(c.Outputs); err == nil {
			res.Outputs = raw
		}
	}
	ev := &event{Event: run.Event{Kind: run.Ended, Act: p.Act, N: p.N, Child: res}}
	data, err := encodeRecord(ev)
	if err != nil {
		r.breakDown(err)
		return
	}
	mail := &run.Mail{Tenant: r.start.Tenant, To: p.Run, Data: data}
	r.write(func(tx Tx, _ int64) error { return e.Runs.Send(tx, mail) })
	r.hold(func() { e.laneOf(p.Run).post(message{kind: msgEvent, run: p.Run, ev: ev, mail: mail.ID}) })
}

// forgetMail deletes mail that leads to nothing any more.
func (e *Engine) forgetMail(id int64) {
	e.lasting(0, func(tx Tx) error { return e.Runs.Received(tx, id) }, func() {})
}

// retire lets a run that has ended leave memory.
func (r *live) retire() {
	r.gone = true
	delete(r.lane.runs, r.id)
	r.e().went(r.start.Tenant)
	r.e().stats.ended.Add(1)
	r.e().alarms.clearRun(r.id)
	r.lane.notify(r)
}
