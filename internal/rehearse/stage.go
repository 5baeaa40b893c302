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
	status map[string]run.Status          // by step id, of its last round
	rounds map[playbook.NodeID]run.Change // the last change inside each loop
	result *Result
}

type timer struct {
	at  time.Time
	act run.Act
	n   int
}

type call struct {
	action string
	with   map[string]any
}

type entry struct {
	act  run.Act
	undo run.UndoEntry
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

// wake lets virtual time pass until the next timer.
func (s *stage) wake() bool {
	if len(s.timers) == 0 {
		return false
	}
	t := slices.MinFunc(s.timers, func(a, b timer) int { return a.at.Compare(b.at) })
	s.timers = slices.DeleteFunc(s.timers, func(x timer) bool { return x == t })
	if t.at.After(s.now) {
		s.now = t.at
	}
	s.feed(run.Event{Kind: run.Fired, At: s.now, Act: t.act, N: t.n})
	return true
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
		if n.Loop != playbook.NoNode {
			s.rounds[n.Loop] = c
		}
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
		if c.Status.Err() && n.OnError != nil && n.OnError.Kind == playbook.Steps {
			s.cover.take(n.ID, "on_error")
		}
	}
}

// carry does what the interpreter asks for.
func (s *stage) carry(c run.Command) {
	switch c := c.(type) {
	case *run.Check:
		s.later(run.Event{Kind: run.Checked, Act: c.Act, N: c.N, Check: &run.CheckResult{Hash: "rehearsal"}})
	case *run.Do:
		r := s.call(c.Node, c.Name, c.Inputs)
		s.later(run.Event{Kind: run.Finished, Act: c.Act, N: c.N, Result: r})
	case *run.CallRun:
		s.later(run.Event{Kind: run.Ended, Act: c.Act, N: c.N, Child: s.child(c)})
	case *run.Sleep:
		s.timers = append(s.timers, timer{c.Until, c.Act, c.N})
	case *run.Ask:
		s.answer(c)
	case *run.Enter:
		s.undos = append(s.undos, entry{act: c.Act, undo: c.Entry})
	case *run.TakeBack:
		s.takeBack(c)
	case *run.Drop:
		s.timers = slices.DeleteFunc(s.timers, func(t timer) bool { return t.act == c.Act && (c.N == 0 || c.N == t.n) })
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
		return &connector.Result{Status: connector.Failed, Class: code, Message: rep.Error.Value}
	}
	return &connector.Result{Status: connector.OK, Output: encode(rep.Output.Value)}
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
		e.done = true
		with, _ := decode(e.undo.With).(map[string]any)
		s.call(nil, e.undo.Action+e.undo.Playbook, with)
	}
	s.later(run.Event{Kind: run.Undone, Act: c.Act, N: c.N})
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
