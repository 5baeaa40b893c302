package rehearse

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"riposte/connector"
	"riposte/internal/expr"
	"riposte/internal/run"
	"riposte/playbook"
)

// maxEvents bounds one test: a playbook that goes on longer never ends.
const maxEvents = 200_000

// stage is the world that a rehearsed run lives in.
type stage struct {
	plan   *playbook.Plan
	test   *playbook.Test
	cover  *cover
	state  *run.State
	now    time.Time
	queue  []run.Event
	events []run.Event // that changed something
	timers []timer
	used   map[string]int // replies taken from a list of replies
	calls  []call
	undos  []entry
	rounds map[playbook.NodeID]run.Change // the last change in the last round of each loop
	passed map[string][]time.Time         // by key of a rate: when calls passed
	result *Result
}

// timer wakes the run, or lets a call leave that a rate held up.
type timer struct {
	at   time.Time
	act  run.Act
	n    int
	held run.Command // nil: it wakes the run
}

type call struct {
	action string
	with   map[string]any
}

type entry struct {
	act  run.Act
	undo run.UndoEntry
	due  time.Time // zero: never by itself
	done bool
}

// problem records what did not come true, each once.
func (s *stage) problem(at playbook.Pos, format string, args ...any) {
	p := Problem{Line: at.Line, Column: at.Column, Message: fmt.Sprintf(format, args...)}
	if !slices.Contains(s.result.Problems, p) {
		s.result.Problems = append(s.result.Problems, p)
	}
}

// perform plays the run to its end.
func (s *stage) perform(start *run.Start) {
	s.feed(run.Event{Kind: run.Started, At: s.now, Start: start})
	for i := 0; !s.state.Final(); i++ {
		if i == maxEvents {
			s.problem(s.test.Pos, "the run has not ended after %d events; a loop without an end?", maxEvents)
			return
		}
		if len(s.queue) > 0 {
			e := s.queue[0]
			s.queue = s.queue[1:]
			e.At = s.now
			s.feed(e)
			continue
		}
		if !s.wake() {
			s.problem(s.test.Pos, "the run waits for something that will never come")
			return
		}
	}
}

// wake lets virtual time pass until the next timer, or until something is taken
// back by itself.
func (s *stage) wake() bool {
	if len(s.timers) == 0 {
		return false
	}
	t := slices.MinFunc(s.timers, func(a, b timer) int { return a.at.Compare(b.at) })
	if e := s.nextUndo(); e != nil && e.due.Before(t.at) {
		s.pass(e.due)
		s.undo(e)
		return true
	}
	s.timers = slices.DeleteFunc(s.timers, func(x timer) bool { return x == t })
	s.pass(t.at)
	if t.held != nil {
		s.leave(t.held)
		return true
	}
	s.feed(run.Event{Kind: run.Fired, At: s.now, Act: t.act, N: t.n})
	return true
}

// pass moves the clock, which never goes back.
func (s *stage) pass(to time.Time) {
	if to.After(s.now) {
		s.now = to
	}
}

// nextUndo is the entry that is taken back next because its time is over, nil
// if there is none.
func (s *stage) nextUndo() *entry {
	var next *entry
	for i := range s.undos {
		if e := &s.undos[i]; !e.done && !e.due.IsZero() && (next == nil || e.due.Before(next.due)) {
			next = e
		}
	}
	return next
}

func (s *stage) feed(e run.Event) {
	if s.state != nil && !s.state.Fits(e) {
		return
	}
	s.events = append(s.events, e)
	var commands []run.Command
	s.state, commands = run.Step(s.plan, s.state, e)
	s.watch()
	for _, c := range commands {
		s.carry(c)
	}
}

// watch notes which ways the run takes.
func (s *stage) watch() {
	for _, c := range s.state.Changes() {
		if c.Node == playbook.NoNode {
			continue
		}
		n := &s.plan.Nodes[c.Node]
		if before, ok := s.rounds[n.Loop]; n.Loop != playbook.NoNode && (!ok || slices.Compare(before.Rounds(), c.Rounds()) <= 0) {
			s.rounds[n.Loop] = c
		}
		s.handlers(n)
		if n.When != nil {
			if c.Status == run.Skipped {
				s.cover.take(n.ID, "skipped")
				continue
			}
			s.cover.take(n.ID, "done")
		}
		if v, _ := c.View(); v.Taken != "" {
			s.cover.take(n.ID, v.Taken)
		}
	}
}

// handlers notes the handler that a step belongs to: it has begun.
func (s *stage) handlers(n *playbook.Node) {
	if h := s.plan.OnError; h != nil && len(h.Do) > 0 && h.Do[0] == n.ID {
		s.cover.take(playbook.NoNode, "on_error")
	}
	if n.Parent == playbook.NoNode {
		return
	}
	if h := s.plan.Nodes[n.Parent].OnError; h != nil && len(h.Do) > 0 && h.Do[0] == n.ID {
		s.cover.take(n.Parent, "on_error")
	}
}

// carry does what the interpreter asks for.
func (s *stage) carry(c run.Command) {
	switch c := c.(type) {
	case *run.Check:
		s.later(run.Event{Kind: run.Checked, Act: c.Act, N: c.N, Check: &run.CheckResult{Hash: "rehearsal"}})
	case *run.Do:
		s.hold(c, c.Act, c.N, c.Rate, c.RateKey)
	case *run.CallRun:
		s.hold(c, c.Act, c.N, c.Rate, c.RateKey)
	case *run.Sleep:
		s.timers = append(s.timers, timer{at: c.Until, act: c.Act, n: c.N})
	case *run.Ask:
		s.answer(c)
	case *run.Enter:
		e := entry{act: c.Act, undo: c.Entry}
		if c.Entry.After > 0 && !c.Entry.Already {
			e.due = s.now.Add(c.Entry.After)
		}
		s.undos = append(s.undos, e)
	case *run.TakeBack:
		s.takeBack(c)
	case *run.Drop:
		s.drop(c)
	}
}

// drop forgets timers. A call that a rate holds up never leaves, and says so.
func (s *stage) drop(c *run.Drop) {
	s.timers = slices.DeleteFunc(s.timers, func(t timer) bool {
		if t.act != c.Act || c.N != 0 && c.N != t.n {
			return false
		}
		switch t.held.(type) {
		case *run.Do:
			s.later(run.Event{Kind: run.Finished, Act: t.act, N: t.n, Result: &connector.Result{Status: connector.Failed, Class: connector.Cancelled}})
		case *run.CallRun:
			s.later(run.Event{Kind: run.Ended, Act: t.act, N: t.n, Child: &run.ChildResult{Status: run.Cancelled}})
		}
		return true
	})
}

// hold lets a call leave when the rate of its step allows it: at most so many in
// any span of its length.
func (s *stage) hold(c run.Command, act run.Act, n int, r *playbook.Rate, key string) {
	at := s.now
	if r != nil {
		passed := s.passed[key]
		if i := len(passed) - r.Times; i >= 0 && passed[i].Add(r.Per).After(at) {
			at = passed[i].Add(r.Per)
		}
		s.passed[key] = append(passed, at)
	}
	if at.After(s.now) {
		s.timers = append(s.timers, timer{at: at, act: act, n: n, held: c})
		return
	}
	s.leave(c)
}

// leave makes a call.
func (s *stage) leave(c run.Command) {
	switch c := c.(type) {
	case *run.Do:
		s.later(run.Event{Kind: run.Finished, Act: c.Act, N: c.N, Result: s.call(c.Node, c.Name, c.Inputs)})
	case *run.CallRun:
		s.later(run.Event{Kind: run.Ended, Act: c.Act, N: c.N, Child: s.child(c)})
	}
}

func (s *stage) later(e run.Event) { s.queue = append(s.queue, e) }

// mock finds the reply for a step, or for an action without one (node is nil).
func (s *stage) mock(n *playbook.Node, name string) (*playbook.Reply, playbook.Pos) {
	var found *playbook.Mock
	for i := range s.test.Mock {
		m := &s.test.Mock[i]
		if n != nil && n.Step != "" && m.Target == n.Step {
			found = m
			break
		}
		if m.Target == name && found == nil {
			found = m
		}
	}
	if found == nil {
		s.problem(s.test.Pos, "%s was reached without a mock; expected one for %s", what(n, name), target(n, name))
		return nil, s.test.Pos
	}
	i := 0
	if found.List {
		i = s.used[found.Target]
		s.used[found.Target]++
	}
	if i >= len(found.Replies) {
		s.problem(found.Pos, "%s was called more often than its mock has replies (%d)", what(n, name), len(found.Replies))
		return nil, found.Pos
	}
	return &found.Replies[i], found.Replies[i].Pos
}

func what(n *playbook.Node, name string) string {
	if n == nil {
		return name
	}
	return fmt.Sprintf("step %s", playbook.Label(n))
}

func target(n *playbook.Node, name string) string {
	if n != nil && n.Step != "" {
		return n.Step + " or " + name
	}
	return name
}

// call answers an action from its mock.
func (s *stage) call(n *playbook.Node, name string, with map[string]any) *connector.Result {
	s.calls = append(s.calls, call{name, with})
	rep, _ := s.mock(n, name)
	switch {
	case rep == nil:
		return &connector.Result{Status: connector.Failed, Class: "no_mock", Message: "no mock", Final: true}
	case rep.Timeout:
		return &connector.Result{Status: connector.Failed, Class: connector.Timeout, Message: "timed out", Final: true}
	case rep.Error.Set():
		code := connector.Permanent
		if rep.Code.Set() {
			code = connector.Class(rep.Code.Value)
		}
		return &connector.Result{Status: connector.Failed, Class: code, Message: rep.Error.Value, Temporary: passing(n, code)}
	}
	return &connector.Result{Status: connector.OK, Output: encode(rep.Output.Value)}
}

// passing tells whether an error of an action that is not loaded is worth a retry;
// of one that is, its manifest says so.
func passing(n *playbook.Node, code connector.Class) bool {
	if n == nil || n.Action == nil || n.Action.Spec != nil {
		return false
	}
	return code == connector.Transient || code == connector.RateLimited
}

// child answers a playbook step from its mock.
func (s *stage) child(c *run.CallRun) *run.ChildResult {
	n := s.nodeOf(c.Act)
	r := s.call(n, c.Playbook, c.Inputs)
	out := &run.ChildResult{Run: 2, Status: run.Succeeded, Outputs: r.Output}
	if r.Status != connector.OK {
		out.Status = run.Failed
		if r.Class == connector.Timeout {
			out.Status = run.TimedOut
		}
		out.Error = &run.Error{Code: string(r.Class), Message: r.Message}
	}
	return out
}

func (s *stage) nodeOf(act run.Act) *playbook.Node {
	if id, ok := s.state.NodeOf(act); ok {
		return &s.plan.Nodes[id]
	}
	return nil
}

// answer gives the test's answer, if it has one; else nobody answers.
func (s *stage) answer(c *run.Ask) {
	n := s.nodeOf(c.Act)
	if n == nil || n.Step == "" {
		return
	}
	for _, a := range s.test.Answer {
		if a.Name != n.Step {
			continue
		}
		ans := &run.Answer{By: "test"}
		for i := range c.Question.Asks {
			ans.Quorums = append(ans.Quorums, i)
		}
		if c.Question.Kind == run.ForAnswer {
			ans.Value = encode(a.Value.Value)
			if wrong := c.Question.Wrong(ans.Value); wrong != "" {
				s.problem(a.Pos, "the answer of %s: %s", n.Step, wrong)
				return
			}
			s.later(run.Event{Kind: run.Answered, Act: c.Act, N: c.N, Answer: ans})
			return
		}
		ans.Yes = a.Value.Value == "approve"
		need := 1
		for _, q := range c.Question.Asks {
			need = max(need, q.Need)
		}
		for i := range need { // as many people as the quorum wants
			one := *ans
			one.By = fmt.Sprintf("test-%d", i+1)
			s.later(run.Event{Kind: run.Answered, Act: c.Act, N: c.N, Answer: &one})
		}
		return
	}
}

// takeBack carries out the undos that on_error: undo asks for, newest first.
func (s *stage) takeBack(c *run.TakeBack) {
	for i := len(s.undos) - 1; i >= 0; i-- {
		e := &s.undos[i]
		if e.done || !slices.Contains(c.Acts, e.act) {
			continue
		}
		s.undo(e)
	}
	s.later(run.Event{Kind: run.Undone, Act: c.Act, N: c.N})
}

// undo carries out one entry.
func (s *stage) undo(e *entry) {
	e.done = true
	with, _ := decode(e.undo.With).(map[string]any)
	s.call(nil, e.undo.Action+e.undo.Playbook, with)
}

func encode(v any) json.RawMessage {
	b, err := expr.EncodeJSON(v)
	if err != nil {
		return json.RawMessage("null")
	}
	return b
}

func decode(b []byte) any {
	v, err := expr.DecodeJSON(b)
	if err != nil {
		return nil
	}
	return v
}
