package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"riposte/connector"
	"riposte/internal/fault"
	"riposte/internal/run"
)

// pool runs functions on a bounded number of goroutines, which end when there
// is nothing to do.
type pool struct {
	most  int
	mu    sync.Mutex
	queue []func()
	head  int
	busy  int
	wg    sync.WaitGroup
}

func (p *pool) run(f func()) {
	p.mu.Lock()
	if p.busy < p.most {
		p.busy++
		p.mu.Unlock()
		p.wg.Add(1)
		go p.work(f)
		return
	}
	p.queue = append(p.queue, f)
	p.mu.Unlock()
}

func (p *pool) work(f func()) {
	defer p.wg.Done()
	for f != nil {
		f()
		p.mu.Lock()
		f = nil
		if p.head < len(p.queue) {
			f, p.queue[p.head] = p.queue[p.head], nil
			p.head++
		} else {
			p.queue, p.head = p.queue[:0], 0
			p.busy--
		}
		p.mu.Unlock()
	}
}

// callers are the goroutines that make calls. The scheduler bounds how many
// calls there are; a goroutine that an action does not give back is replaced.
type callers struct {
	e    *Engine
	work chan *task
	idle atomic.Int32
	wg   sync.WaitGroup

	mu        sync.Mutex
	under     map[*task]*underWay
	abandoned int
	ticking   bool
}

// underWay is a call that has left.
type underWay struct {
	ctx   callContext
	ends  time.Time // its time limit
	over  bool      // the limit has passed and the action was told
	given bool      // the result was delivered without it
}

// grace is how long an action may take to notice that its time is over.
const grace = 2 * time.Second

// keepIdle is how many goroutines wait for the next call instead of ending.
const keepIdle = 64

func newCallers(e *Engine) *callers {
	return &callers{e: e, work: make(chan *task), under: map[*task]*underWay{}}
}

// launch lets a granted task run on a goroutine of its own.
func (e *Engine) launch(t *task) {
	c := e.calls
	select {
	case c.work <- t:
	default:
		c.wg.Add(1)
		go c.loop(t)
	}
}

func (c *callers) loop(t *task) {
	defer c.wg.Done()
	for {
		if !c.one(t) {
			return
		}
		if c.idle.Add(1) > keepIdle {
			c.idle.Add(-1)
			return
		}
		var ok bool
		select {
		case t, ok = <-c.work:
		case <-c.e.ctx.Done():
		}
		c.idle.Add(-1)
		if !ok {
			return
		}
	}
}

// granted takes a queued task up whose turn has come.
func (e *Engine) granted(t *task) {
	switch {
	case t.do == nil:
		t.live.lane.post(message{kind: msgOn, run: t.run, on: func(r *live) { r.startChildNow(t.child) }})
	case needsBegan(t.do) && t.fresh(e.clock.Now()):
		t.live.lane.post(message{kind: msgBegin, task: t})
	default:
		e.launch(t)
	}
}

// one makes a call, from the guard's last word to the result. It returns false
// if the call was abandoned: the goroutine has been replaced.
func (c *callers) one(t *task) bool {
	e := c.e
	call := t.call()
	if call.Connection == "" {
		call.Connection = t.conn.name
	}
	if e.stopping.Load() && !t.began || e.sched.isDropped(t) {
		c.calledOff(t)
		return true
	}
	if !t.fresh(e.clock.Now()) && e.Gate != nil {
		ok, res, err := e.Gate.Admit(e.ctx, call)
		if err != nil || !ok {
			c.refused(t, res, err)
			return true
		}
		t.cleared = e.clock.Now()
	}
	if needsBegan(t.do) && !t.began {
		t.live.lane.post(message{kind: msgBegin, task: t})
		return true
	}
	answer, mine := c.make(t, call)
	if !mine {
		return false
	}
	c.finished(t, call, answer)
	return true
}

// calledOff ends a task that has not left and is no longer wanted.
func (c *callers) calledOff(t *task) {
	e := c.e
	e.sched.done(t)
	if e.stopping.Load() || t.do.Impact == connector.Read {
		return // after a restart the run begins it anew
	}
	c.deliver(t, Answer{Result: *notSent()})
}

// refused goes on where the guard does not let a call leave.
func (c *callers) refused(t *task, res run.CheckResult, err error) {
	e := c.e
	e.sched.done(t)
	if err != nil && errors.Is(err, fault.Transient) {
		e.alarms.raise(Alarm{Kind: AlarmGuard, Run: t.run, Message: "the guard cannot decide: " + err.Error()})
		e.clock.AfterFunc(time.Second, func() {
			e.alarms.clear(AlarmGuard, t.run)
			t.live.lane.post(message{kind: msgOn, run: t.run, on: func(r *live) { r.retake(t) }})
		})
		return
	}
	if err != nil {
		res = run.CheckResult{Deny: string(connector.Policy), Message: "the guard cannot decide: " + err.Error()}
	}
	if t.began || needsResult(t, res) {
		c.deliver(t, Answer{Result: connector.Result{Status: connector.Denied, Class: connector.Class(res.Deny), Message: res.Message}})
		return
	}
	t.live.lane.post(message{kind: msgEvent, run: t.run, ev: &event{Event: run.Event{Kind: run.Checked, Act: t.do.Act, N: t.do.N, Check: &res}}})
}

// needsResult tells whether a refusal must come as a result: the poll of a job
// cannot be checked anew.
func needsResult(t *task, res run.CheckResult) bool { return t.do.Poll && res.Deny != "" }

// make calls the action and waits for its answer, or for the watchdog.
func (c *callers) make(t *task, call Call) (Answer, bool) {
	limit := t.do.Timeout
	if limit <= 0 {
		limit = time.Minute
	}
	u := &underWay{ends: c.e.clock.Now().Add(limit)}
	u.ctx.deadline = time.Now().Add(limit) // real time: sockets know no other
	defer u.ctx.end(context.Canceled)
	call.Deadline = u.ends
	c.mu.Lock()
	c.under[t] = u
	tick := !c.ticking
	c.ticking = true
	c.mu.Unlock()
	if tick {
		c.watch()
	}
	answer := c.guardedCall(&u.ctx, call)
	c.mu.Lock()
	delete(c.under, t)
	if u.given {
		c.abandoned--
	}
	c.mu.Unlock()
	if u.given {
		c.e.alarms.clear(AlarmAbandoned, t.run)
		return answer, false
	}
	if u.over && answer.Status != connector.OK && answer.Status != connector.Already {
		answer.Result = lateResult(t, limit, answer.Result)
	}
	return answer, true
}

func (c *callers) guardedCall(ctx context.Context, call Call) (a Answer) {
	defer func() {
		if p := recover(); p != nil {
			c.e.log.Error("action panicked", "run_id", call.Run, "action", call.Name, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			a = Answer{Result: connector.Result{Status: connector.Unknown, Class: connector.UnknownOutcome, Message: "the action failed inside Riposte; see its log"}}
		}
	}()
	return c.e.Caller.Call(ctx, call)
}

// lateResult is what a call over its time limit comes to: what it changed is
// not known.
func lateResult(t *task, limit time.Duration, r connector.Result) connector.Result {
	late := connector.Result{Status: connector.Failed, Class: connector.Timeout, Connection: r.Connection, Output: r.Output,
		Message: fmt.Sprintf("no answer within %s", limit)}
	if t.do.Impact > connector.Read && r.Status != connector.Failed || r.Status == "" {
		late.Status = connector.Unknown
	}
	return late
}

// watch looks after calls over their time limit, as long as there are calls.
func (c *callers) watch() {
	c.e.clock.AfterFunc(100*time.Millisecond, func() {
		now := c.e.clock.Now()
		var late []*task
		c.mu.Lock()
		for t, u := range c.under {
			switch {
			case u.given || now.Before(u.ends):
			case !u.over:
				u.over = true
				u.ctx.end(context.DeadlineExceeded)
			case now.Sub(u.ends) > grace:
				u.given = true
				c.abandoned++
				late = append(late, t)
			}
		}
		more := len(c.under) > 0
		c.ticking = more
		c.mu.Unlock()
		for _, t := range late {
			c.abandon(t)
		}
		if more {
			c.watch()
		}
	})
}

// abandon goes on without an action that ignores its time limit.
func (c *callers) abandon(t *task) {
	c.e.alarms.raise(Alarm{Kind: AlarmAbandoned, Run: t.run, Message: fmt.Sprintf("%s does not end although its time is over; the run goes on without it", t.do.Name)})
	c.e.log.Error("action ignores its time limit", "run_id", t.run, "action", t.do.Name)
	c.finished(t, t.call(), Answer{Result: lateResult(t, t.do.Timeout, connector.Result{})})
}

// cancel ends a call that nobody waits for any more.
func (c *callers) cancel(t *task) {
	c.mu.Lock()
	u := c.under[t]
	c.mu.Unlock()
	if u != nil {
		u.ctx.end(context.Canceled)
	}
}

// finished hands the result of a call to its run.
func (c *callers) finished(t *task, call Call, a Answer) {
	e := c.e
	if a.Class == connector.RateLimited {
		e.sched.quiet(t.conn, a.RetryAfter)
	}
	dropped := e.sched.done(t)
	if e.Gate != nil {
		e.Gate.Result(call, a.Result)
	}
	if t.do.Impact == connector.Read && (dropped || e.stopping.Load() && a.Status != connector.OK) {
		return // nobody waits for it, or our own stop ended it: then it is done again
	}
	c.deliver(t, a)
}

func (c *callers) deliver(t *task, a Answer) {
	x := &struct { // one allocation instead of two
		ev  event
		res connector.Result
	}{res: a.Result}
	x.ev.Event = run.Event{Kind: run.Finished, Act: t.do.Act, N: t.do.N, Result: &x.res, Case: a.Case}
	offload(c.e.always, c.e.Blobs, &x.ev)
	t.live.lane.post(message{kind: msgEvent, run: t.run, ev: &x.ev})
}

// askGate asks the guard off the lane, again and again while it cannot answer.
func (e *Engine) askGate(ask func() (run.CheckResult, func(Tx) error, error), got func(run.CheckResult, func(Tx) error)) {
	if e.Gate == nil {
		got(run.CheckResult{}, nil)
		return
	}
	e.gates.run(func() {
		res, reserve, err := ask()
		switch {
		case err == nil:
			e.alarms.clear(AlarmGuard, 0)
			got(res, reserve)
		case errors.Is(err, fault.Transient):
			e.alarms.raise(Alarm{Kind: AlarmGuard, Message: "the guard cannot decide: " + err.Error()})
			e.clock.AfterFunc(time.Second, func() { e.askGate(ask, got) })
		default:
			got(run.CheckResult{Deny: string(connector.Policy), Message: "the guard cannot decide: " + err.Error()}, nil)
		}
	})
}

// cancelUpTo ends all calls under way up to an impact, when the engine stops.
func (c *callers) cancelUpTo(i connector.Impact) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for t, u := range c.under {
		if t.do.Impact <= i {
			u.ctx.end(context.Canceled)
		}
	}
}

// count is how many calls are under way, lost how many of them were abandoned.
func (c *callers) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.under) - c.abandoned
}

func (c *callers) lost() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.abandoned
}
