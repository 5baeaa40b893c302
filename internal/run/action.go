package run

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"riposte/connector"
	"riposte/internal/expr"
	"riposte/playbook"
)

// maxExtraWaits bounds how often a call waits because the product asked for it.
const maxExtraWaits = 10

// guarded gives what an action and a playbook step share.
func guarded(n *playbook.Node) *playbook.Guarded {
	if n.Verb == playbook.Action {
		return &n.Action.Guarded
	}
	return &n.Call.Guarded
}

// prepare works out and freezes the inputs of a call.
func (s *State) prepare(a *activation, with *expr.Value) *outcome {
	a.call = &callState{Inputs: map[string]any{}}
	if with != nil {
		v, err := with.Eval(s.env(a.scope))
		if err != nil {
			return failure("expression", fmt.Errorf("with: %w", err))
		}
		m, ok := expr.Normalize(v).(map[string]any)
		if !ok {
			return failure("expression", fmt.Errorf("with must be a mapping, it is %s", expr.Describe(v)))
		}
		a.call.Inputs = m
	}
	a.res.inputs = a.call.Inputs
	return nil
}

func (s *State) enterAction(a *activation, c *playbook.ActionCall) {
	if out := s.prepare(a, c.With); out != nil {
		s.settle(a, out)
		return
	}
	if c.Using != nil {
		using, err := c.Using.Text(s.env(a.scope))
		if err != nil {
			s.settle(a, failure("expression", fmt.Errorf("using: %w", err)))
			return
		}
		a.call.Using = using
	}
	if _, err := s.duration(s.node(a).Timeout, a.scope); err != nil {
		s.settle(a, failure("expression", fmt.Errorf("timeout: %w", err)))
		return
	}
	a.call.Name, a.call.Connection = c.Name, a.call.Using
	a.call.Impact = impactOf(c, a.call.Inputs)
	a.res.Action = c.Name
	if a.call.Impact < connector.Change && c.Approve == nil {
		s.call(a)
		return
	}
	a.N++
	a.Main, a.Phase = a.N, checking
	s.do(&Check{Act: a.ID, N: a.N, Action: s.doing(a, s.node(a))})
}

// impactOf is what a call may alter: an input may lower what the manifest says,
// but not what the step itself raised.
func impactOf(c *playbook.ActionCall, inputs map[string]any) connector.Impact {
	if c.Raised || c.Spec == nil || c.Spec.ImpactBy == nil {
		return c.Impact
	}
	return connector.ImpactOf(c.Spec, inputs)
}

// enterCall begins a playbook step.
func (s *State) enterCall(a *activation, c *playbook.PlaybookCall) {
	if out := s.prepare(a, c.With); out != nil {
		s.settle(a, out)
		return
	}
	a.call.Name, a.call.Impact = c.Playbook, c.Impact
	a.res.Action = c.Playbook
	if c.Approve == nil {
		s.call(a)
		return
	}
	s.approve(a, &CheckResult{})
}

// checked goes on after the guard has looked at an action.
func (s *State) checked(a *activation, c *CheckResult) {
	if c.Deny != "" {
		s.settle(a, &outcome{Status: Denied, Err: &Error{Code: c.Deny, Message: c.Message}})
		return
	}
	k := a.call
	if c.Shadow {
		s.shadowed(a, c)
		return
	}
	if c.Temporary {
		if a.Phase == checking { // an attempt that ended before its call
			k.Attempt++
			a.res.Attempts = k.Attempt
		}
		s.conclude(a, &connector.Result{
			Status: connector.Failed, Class: connector.Transient, Message: c.Message, Temporary: true, RetryAfter: c.RetryAfter,
		})
		return
	}
	if a.Phase == calling { // the guard looked again: this attempt has not begun
		k.Attempt--
	}
	again := k.Approved && c.Hash == k.Hash && len(c.Asks) == 0
	k.Hash, k.Targets = c.Hash, c.Targets
	if c.Action != "" {
		k.Name, a.res.Action = c.Action, c.Action
	}
	if c.Connection != "" {
		k.Connection = c.Connection
	}
	if again {
		s.call(a)
		return
	}
	s.approve(a, c)
}

// Shadowed is the code of a step that the policy had recorded and not done.
const Shadowed = "shadow"

// shadowed skips a step that the policy wants recorded only: it is no error, and
// the run goes on as it does behind any step that was not done.
func (s *State) shadowed(a *activation, c *CheckResult) {
	if c.Action != "" {
		a.res.Action = c.Action
	}
	a.res.Connection = c.Connection
	s.settle(a, &outcome{Status: Skipped, Err: &Error{Code: Shadowed, Message: c.Message}})
}

// call begins the next attempt, unless the run is paused.
func (s *State) call(a *activation) {
	if s.paused {
		s.holdBack(a)
		return
	}
	n := s.node(a)
	a.call.Attempt++
	a.res.Attempts = a.call.Attempt
	a.N++
	a.Main, a.Begun = a.N, false
	s.changed(a, a.res, Running)
	if n.Verb == playbook.Action {
		a.Phase = calling
		a.call.Polls = false
		s.do(s.doing(a, n))
		return
	}
	a.Phase = child
	s.do(s.calling(a, n))
}

// calling is the command of a playbook step.
func (s *State) calling(a *activation, n *playbook.Node) *CallRun {
	chain := append(append([]string{}, s.start.Chain...), s.start.Playbook)
	return &CallRun{
		Act: a.ID, N: a.Main, Playbook: n.Call.Playbook, Version: n.Call.Version, Inputs: a.call.Inputs,
		Chain: chain, Rate: n.Call.Rate, RateKey: s.rateKey(n),
	}
}

// doing is the command of an action step, in whatever state it is.
func (s *State) doing(a *activation, n *playbook.Node) *Do {
	c, k := n.Action, a.call
	d := &Do{
		Act: a.ID, N: a.N, Attempt: max(k.Attempt, 1), Node: n, Path: a.scope.frame.pathOf(n.ID), Name: k.Name, Spec: c.Spec,
		Connection: k.Connection, Inputs: k.Inputs, Impact: k.Impact,
		Key:     s.start.Run.String() + "/" + strconv.FormatUint(uint64(a.ID), 10),
		Timeout: s.attemptTimeout(a, n), Hash: k.Hash, Approved: k.Approved, Rate: c.Rate,
	}
	if c.Rate != nil {
		d.RateKey = s.rateKey(n)
	}
	if k.Approved && k.Question != nil {
		d.Agreed = k.Question.Asks
	}
	if !k.Polls {
		return d
	}
	spec := c.Poll.Spec
	if k.Ended != nil {
		spec = c.Poll.Cancel
	}
	d.Poll, d.Spec, d.Name, d.Rate, d.Impact = true, spec, spec.Name(), nil, spec.Impact
	d.Timeout = spec.Timeout
	v, err := c.Poll.With.Eval(s.env(a.scope, "inputs", any(k.Inputs), "output", k.Job))
	d.Inputs, _ = expr.Normalize(v).(map[string]any)
	if err != nil || d.Inputs == nil {
		d.Inputs = map[string]any{}
	}
	return d
}

func (s *State) rateKey(n *playbook.Node) string {
	if n.Step != "" {
		return s.start.Playbook + "/" + n.Step
	}
	return fmt.Sprintf("%s/%d", s.start.Playbook, n.ID)
}

// attemptTimeout is the step's own timeout, else the action's, else 60 s.
func (s *State) attemptTimeout(a *activation, n *playbook.Node) time.Duration {
	if d, err := s.duration(n.Timeout, a.scope); err == nil && d > 0 {
		return d
	}
	if n.Action.Spec != nil && n.Action.Spec.Timeout > 0 {
		return n.Action.Spec.Timeout
	}
	return time.Minute
}

// finished goes on after a call.
func (s *State) finished(a *activation, r *connector.Result) {
	k := a.call
	if k.Ended != nil { // the job was called off
		r, k.Ended, k.Polls = k.Ended, nil, false
		s.conclude(a, r)
		return
	}
	if k.Polls {
		s.polled(a, r)
		return
	}
	if r.Connection != "" {
		k.Connection = r.Connection
	}
	a.res.Connection = k.Connection
	p := s.node(a).Action.Poll
	if p == nil || r.Status != connector.OK {
		s.conclude(a, r)
		return
	}
	k.Job = decode(r.Output)
	k.JobUntil = s.now.Add(s.attemptTimeout(a, s.node(a)))
	if a.Doomed {
		if !s.callOff(a) {
			s.conclude(a, r)
		}
		return
	}
	s.wake(a, polling, s.now.Add(p.Every), false)
}

// polled looks at the answer of a poll: done, not yet, or failed.
func (s *State) polled(a *activation, r *connector.Result) {
	k, p := a.call, s.node(a).Action.Poll
	k.Polls = false
	if r.Status == connector.OK || r.Status == connector.Already {
		answer := decode(r.Output)
		done, err := p.Until.EvalBool(s.env(a.scope, "inputs", any(k.Inputs), "output", k.Job, "poll", answer))
		switch {
		case err != nil:
			s.settle(a, failure("expression", fmt.Errorf("poll until: %w", err)))
			return
		case done:
			s.conclude(a, r)
			return
		}
	} else if !r.Temporary && r.Class != connector.Timeout {
		s.conclude(a, r)
		return
	}
	next := s.now.Add(p.Every)
	if !next.After(k.JobUntil) {
		s.wake(a, polling, next, false)
		return
	}
	if !s.callOff(a) {
		s.conclude(a, jobTimeout())
	}
}

func jobTimeout() *connector.Result {
	return &connector.Result{Status: connector.Failed, Class: connector.Timeout, Message: "the job was not done in time"}
}

// callOff ends a long job by its manifest's cancel action, if it has one. It
// tells whether a call is under way for it.
func (s *State) callOff(a *activation) bool {
	p, k := s.node(a).Action.Poll, a.call
	if k.Ended != nil {
		return true
	}
	if p == nil || p.Cancel == nil || k.Job == nil {
		return false
	}
	k.Ended, k.Polls = jobTimeout(), true
	a.N++
	a.Main, a.Phase, a.Begun = a.N, calling, false
	s.do(s.doing(a, s.node(a)))
	return true
}

// conclude decides what the result of an attempt means for its step.
func (s *State) conclude(a *activation, r *connector.Result) {
	n := s.node(a)
	if r.Output != nil {
		a.res.Output = decode(r.Output)
	}
	out := resultOutcome(r)
	g := guarded(n)
	if a.Doomed && r.Class == connector.Cancelled { // it never left
		out = &outcome{Status: Cancelled}
	}
	if a.call.keep(r); s.goesOn(a, g, r, &out) {
		return
	}
	if r.Status == connector.Unknown && !a.Doomed && a.call.Impact > connector.Read {
		s.askOutcome(a, r)
		return
	}
	if t := a.call.Touched; t != nil {
		s.enterUndo(a, g.Undo, t)
	}
	s.settle(a, out)
}

// keep remembers the last attempt that changed something, or may have: a later
// one that fails does not undo it.
func (k *callState) keep(r *connector.Result) {
	switch r.Status {
	case connector.OK, connector.Already, connector.Partial, connector.Unknown:
		k.Touched = r
	case connector.Denied, connector.Failed:
	}
}

// goesOn arranges another attempt after a success that is not good enough, or
// after an error, where one is due. out becomes how the step has ended where the
// conditions of its retry say so.
func (s *State) goesOn(a *activation, g *playbook.Guarded, r *connector.Result, out **outcome) bool {
	if a.Doomed {
		return false
	}
	if *out != nil {
		again, failed := s.retry(a, g, r, *out)
		if failed != nil {
			*out = failed
		}
		return again
	}
	again, failed := s.again(a, g)
	*out = failed
	return again
}

// resultOutcome turns a connector's result into a step's outcome.
func resultOutcome(r *connector.Result) *outcome {
	code, message := string(r.Class), r.Message
	status := Failed
	switch r.Status {
	case connector.OK, connector.Already:
		return nil
	case connector.Partial:
		code = string(connector.PartialError)
	case connector.Unknown:
		code = string(connector.UnknownOutcome)
		if r.Class == connector.Timeout {
			status = TimedOut
		}
	case connector.Denied:
		switch r.Class {
		case connector.Protected, connector.Policy, connector.KillSwitch:
			status = Denied
		case connector.Class("denied"):
			status = Denied
		default: // nothing to do for the others
		}
	case connector.Failed:
		if r.Class == connector.Timeout {
			status = TimedOut
		}
	}
	if code == "" {
		code = string(connector.Permanent)
	}
	if message == "" {
		message = "the call ended as " + string(r.Status)
	}
	return &outcome{Status: status, Err: &Error{Code: code, Message: message}}
}

// again asks retry.until after a success: true when another attempt is on its
// way, an outcome when there is none left.
func (s *State) again(a *activation, g *playbook.Guarded) (bool, *outcome) {
	if g.Retry.Until == nil {
		return false, nil
	}
	ok, err := g.Retry.Until.EvalBool(s.env(a.scope, "output", a.res.Output, "error", nil))
	switch {
	case err != nil:
		return false, failure("expression", fmt.Errorf("retry until: %w", err))
	case ok:
		return false, nil
	case a.call.Attempt >= g.Retry.Times:
		return false, &outcome{Status: Failed, Err: &Error{Code: "until", Message: fmt.Sprintf("the condition of retry.until did not hold after %d attempts", a.call.Attempt)}}
	}
	return s.backOff(a, g, 0)
}

// retry arranges another attempt after an error, where one is due. The outcome
// is of a retry.if that cannot be worked out.
func (s *State) retry(a *activation, g *playbook.Guarded, r *connector.Result, out *outcome) (bool, *outcome) {
	k := a.call
	once := false
	if c := s.node(a).Action; c != nil && c.Spec != nil {
		id := c.Spec.Idempotency
		once = id == connector.None && k.Impact > connector.Read
		if r.Status == connector.Unknown && id != connector.Natural && id != connector.Key {
			return false, nil
		}
	}
	if out.Status == Denied || once || r.Final {
		return false, nil
	}
	if r.RetryAfter > 0 && r.Class == connector.RateLimited && k.Extra < maxExtraWaits {
		k.Extra++
		k.Attempt--
		return s.backOff(a, g, r.RetryAfter)
	}
	if k.Attempt >= g.Retry.Times {
		return false, nil
	}
	ok, err := s.temporary(a, g, r, out)
	if err != nil {
		return false, failure("expression", fmt.Errorf("retry if: %w; it was asked about %s: %s", err, out.Err.Code, out.Err.Message))
	}
	if !ok {
		return false, nil
	}
	return s.backOff(a, g, r.RetryAfter)
}

// temporary tells whether an error is worth another attempt.
func (s *State) temporary(a *activation, g *playbook.Guarded, r *connector.Result, out *outcome) (bool, error) {
	if g.Retry.If != nil {
		return g.Retry.If.EvalBool(s.env(a.scope, "error", out.Err.env(), "output", a.res.Output))
	}
	return r.Temporary || r.Class == connector.Timeout || slices.Contains(g.Retry.On, r.Class), nil
}

// backOff waits before the next attempt: every, growing, or what the product
// asked for if that is longer. It gives what retry gives.
func (s *State) backOff(a *activation, g *playbook.Guarded, least time.Duration) (bool, *outcome) {
	every, err := s.duration(g.Retry.Every, a.scope)
	if err != nil {
		return false, failure("expression", fmt.Errorf("retry every: %w", err))
	}
	wait := every
	if g.Retry.Backoff > 1 && a.call.Attempt > 1 {
		grown := float64(every) * math.Pow(g.Retry.Backoff, float64(a.call.Attempt-1))
		wait = time.Duration(min(grown, float64(max(playbook.MaxRetryWait, every))))
	}
	s.wake(a, backoff, s.now.Add(max(wait, least)), false)
	return true, nil
}

// childEnded goes on after a called run.
func (s *State) childEnded(a *activation, c *ChildResult) {
	a.res.Child = c.Run
	a.res.Output = decode(c.Outputs)
	if a.Ending != nil {
		out := a.Ending
		a.Ending = nil
		s.remember(a, true)
		s.settle(a, out)
		return
	}
	g := guarded(s.node(a))
	var out *outcome
	switch c.Status {
	case Succeeded:
	case Cancelled:
		if a.Doomed {
			out = &outcome{Status: Cancelled}
			break
		}
		out = &outcome{Status: Failed, Err: &Error{Code: "cancelled", Message: "the called playbook was cancelled"}}
	default:
		out = &outcome{Status: c.Status, Err: &Error{Code: "failed", Message: "the called playbook failed"}}
	}
	if out != nil && out.Err != nil && c.Error != nil {
		out.Err.Message = c.Error.Message
		if c.Status != Cancelled {
			out.Err.Code = c.Error.Code
		}
	}
	s.remember(a, true)
	r := &connector.Result{Status: connector.OK, Output: c.Outputs}
	if out != nil {
		r.Status, r.Temporary = connector.Failed, c.Status == TimedOut
	}
	if a.call.keep(r); s.goesOn(a, g, r, &out) {
		return
	}
	if t := a.call.Touched; t != nil {
		s.enterUndo(a, g.Undo, t)
	}
	s.settle(a, out)
}

// duration works out a length of time.
func (s *State) duration(d playbook.Duration, sc *scope) (time.Duration, error) {
	if d.Value == nil {
		return d.Fixed, nil
	}
	text, err := d.Value.Text(s.env(sc))
	if err != nil {
		return 0, err
	}
	return playbook.ParseDuration(text)
}

// wake sleeps in a phase that Fired ends.
func (s *State) wake(a *activation, p phase, until time.Time, look bool) {
	a.Phase, a.WakeAt = p, until
	a.Main = s.sleep(a, until, look)
	if p != polling {
		s.changed(a, a.res, Waiting)
	}
}

// fired handles a timer.
func (s *State) fired(a *activation, n int) {
	switch n {
	case a.Deadline:
		a.Deadline = 0
		out := &outcome{Status: TimedOut, Err: &Error{Code: "timeout", Message: fmt.Sprintf("not done within its timeout (%s)", playbook.FormatDuration(a.DueAt.Sub(a.res.Started)))}}
		s.end(a, out)
		return
	case a.Expiry:
		s.expired(a)
		return
	}
	switch a.Phase {
	case backoff:
		s.call(a)
	case polling:
		a.call.Polls = true
		a.N++
		a.Main, a.Phase, a.Begun = a.N, calling, false
		s.do(s.doing(a, s.node(a)))
	case sleeping:
		if w := s.node(a).Wait; w.Until != nil {
			s.look(a, w)
			return
		}
		s.settle(a, nil)
	default: // nothing to do for the others
	}
}
