package rehearse

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"riposte/internal/expr"
	"riposte/internal/run"
	"riposte/playbook"
)

// opening is when rehearsals begin, unless a test sets now.
var opening = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// one runs one test.
func one(p *playbook.Plan, t *playbook.Test, c *cover) Result {
	r := Result{Name: t.Name.Value, Line: t.Pos.Line}
	s := newStage(p, t, c, &r)
	start := s.begin()
	if start == nil {
		return r
	}
	began := s.now
	s.perform(start)
	r.Status, r.Virtual = string(s.state.Status()), s.now.Sub(began)
	if s.state.Final() {
		s.compare()
	}
	return r
}

func newStage(p *playbook.Plan, t *playbook.Test, c *cover, r *Result) *stage {
	return &stage{
		plan: withoutPolls(p), test: t, cover: c, now: opening, used: map[string]int{}, passed: map[string][]time.Time{},
		rounds: map[playbook.NodeID]run.Change{}, result: r,
	}
}

// begin sets the clock and works out what the run begins with, nil where that is
// wrong.
func (s *stage) begin() *run.Start {
	t := s.test
	if t.Now.Set() {
		at, err := time.Parse(time.RFC3339, t.Now.Value)
		if err != nil {
			s.problem(t.Now.Pos, "now: %q is not a timestamp; expected one such as 2026-01-01T00:00:00Z", t.Now.Value)
			return nil
		}
		s.now = at.UTC()
	}
	return s.opening()
}

// withoutPolls lets a mocked job be done at once: the mock is its end.
func withoutPolls(p *playbook.Plan) *playbook.Plan {
	q := *p
	q.Nodes = slices.Clone(p.Nodes)
	for i := range q.Nodes {
		if a := q.Nodes[i].Action; a != nil && a.Poll != nil {
			c := *a
			c.Poll = nil
			q.Nodes[i].Action = &c
		}
	}
	return &q
}

// opening works out what the run begins with, nil where its inputs are wrong.
func (s *stage) opening() *run.Start {
	t := s.test
	given := map[string]any{}
	o := run.Object{Alert: t.Alert.Value, Case: t.Case.Value, Indicator: t.Indicator.Value}
	if tr := s.trigger(o); tr != nil {
		filled, err := run.FromTrigger(s.plan, tr, o, s.now)
		if err != nil {
			s.problem(t.Pos, "%v", err)
			return nil
		}
		given = filled
	}
	for _, e := range t.Inputs {
		given[e.Name] = e.Value.Value
	}
	inputs, err := s.plan.FillInputs(given)
	if err != nil {
		s.problem(t.Pos, "%s", plain(err))
		return nil
	}
	st := &run.Start{
		Run: 1, Playbook: s.plan.ID, Version: s.plan.Version, Plan: s.plan.Hash, Inputs: encode(inputs), By: "test", Test: true,
		Available: map[string]bool{},
	}
	for _, name := range s.plan.Available {
		st.Available[name] = true
	}
	for _, x := range []struct {
		to   *json.RawMessage
		from playbook.Data
	}{{&st.Alert, t.Alert}, {&st.Case, t.Case}, {&st.Indicator, t.Indicator}} {
		if x.from.Set() {
			*x.to = encode(x.from.Value)
		}
	}
	return st
}

// trigger is the one that fits the object that the test gives.
func (s *stage) trigger(o run.Object) *playbook.Trigger {
	kind := playbook.OnManual
	switch {
	case o.Alert != nil:
		kind = playbook.OnAlert
	case o.Indicator != nil:
		kind = playbook.OnIndicator
	case o.Case != nil:
		kind = playbook.OnCase
	}
	for i := range s.plan.Triggers {
		t := &s.plan.Triggers[i]
		if t.Kind != kind || kind == playbook.OnManual {
			continue
		}
		if ok, err := run.Matches(t, o, s.now); err == nil && ok {
			return t
		}
	}
	return nil
}

// plain drops the kind of an error, which means nothing to whoever reads a test.
func plain(err error) string { return strings.TrimSuffix(err.Error(), ": invalid") }

// compare looks at each expectation.
func (s *stage) compare() {
	x := s.test.Expect
	if x.Status.Set() && x.Status.Value != string(s.state.Status()) {
		because := ""
		if e := s.state.Err(); e != nil {
			because = fmt.Sprintf(" (%s: %s)", e.Code, e.Message)
			if e.Step != "" {
				because = fmt.Sprintf(" (step %s, %s: %s)", e.Step, e.Code, e.Message)
			}
		}
		s.problem(x.Status.Pos, "the run %s%s; expected %s", s.state.Status(), because, x.Status.Value)
	}
	s.compareSteps(x)
	s.compareValues("outputs", x.Outputs, s.state.Outputs())
	s.compareValues("vars", x.Vars, s.state.Vars())
	for _, c := range x.Called {
		s.compareCall(c)
	}
	for _, name := range x.NotCalled {
		if n := s.count(name.Value, nil); n > 0 {
			s.problem(name.Pos, "%s was called %s; expected not at all", name.Value, times(n))
		}
	}
	if x.HasUndo {
		s.compareUndo(x)
	}
	if x.Time.Set() {
		took := s.state.EndedAt().Sub(s.state.Began())
		if want, err := playbook.ParseDuration(x.Time.Value); err != nil || took != want {
			s.problem(x.Time.Pos, "the run took %s; expected %s", playbook.FormatDuration(took), x.Time.Value)
		}
	}
}

func (s *stage) compareSteps(x playbook.Expectation) {
	if len(x.Steps) == 0 {
		return
	}
	now := s.lastStatuses()
	for _, e := range x.Steps {
		st, ok := now[e.Name]
		if !ok {
			st = run.Pending
		}
		if string(st) != fmt.Sprint(e.Value.Value) {
			s.problem(e.Pos, "step %s is %s; expected %v", e.Name, st, e.Value.Value)
		}
	}
}

// lastStatuses gives the status of every step, inside loops that of the last
// round.
func (s *stage) lastStatuses() map[string]run.Status {
	now := s.state.Statuses()
	last := map[playbook.NodeID][]int{playbook.NoNode: nil}
	for i := range s.plan.Nodes { // outer loops stand before those inside them
		loop := playbook.NodeID(i)
		c, ran := s.rounds[loop]
		if !ran {
			continue
		}
		rounds := c.Rounds()
		outer, there := last[s.plan.Nodes[loop].Loop]
		if !there || !slices.Equal(outer, rounds[:len(rounds)-1]) {
			continue // it did not run in the last round of the loop around it
		}
		last[loop] = rounds
		maps.Copy(now, c.Statuses())
	}
	return now
}

func (s *stage) compareValues(what string, want []playbook.Entry, got map[string]any) {
	for _, e := range want {
		v, ok := got[e.Name]
		switch {
		case !ok:
			s.problem(e.Pos, "%s.%s is not there; expected %s", what, e.Name, encode(e.Value.Value))
		case !equal(e.Value.Value, v):
			s.problem(e.Pos, "%s.%s is %s; expected %s", what, e.Name, encode(v), encode(e.Value.Value))
		}
	}
}

func (s *stage) compareCall(c playbook.TestCall) {
	var with map[string]any
	if c.With.Set() {
		with, _ = c.With.Value.(map[string]any)
	}
	n := s.count(c.Action.Value, with)
	switch {
	case c.HasTimes && n != c.Times:
		s.problem(c.Pos, "%s was called %s%s; expected %s%s", c.Action.Value, times(n), withText(with), times(c.Times), s.others(c.Action.Value, with))
	case !c.HasTimes && n == 0:
		s.problem(c.Pos, "%s was not called%s%s", c.Action.Value, withText(with), s.others(c.Action.Value, with))
	}
}

func withText(with map[string]any) string {
	if with == nil {
		return ""
	}
	return " with " + string(encode(with))
}

// others says what an action was called with instead.
func (s *stage) others(action string, with map[string]any) string {
	if with == nil {
		return ""
	}
	for _, c := range s.calls {
		if c.action == action && !part(with, c.with) {
			return "; it was called with " + string(encode(c.with))
		}
	}
	return ""
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func (s *stage) count(action string, with map[string]any) int {
	n := 0
	for _, c := range s.calls {
		if c.action == action && part(with, c.with) {
			n++
		}
	}
	return n
}

func (s *stage) compareUndo(x playbook.Expectation) {
	var got, want []string
	for i := len(s.undos) - 1; i >= 0; i-- {
		if e := s.undos[i].undo; e.Own && !e.Already {
			got = append(got, e.Action+e.Playbook)
		}
	}
	for _, u := range x.Undo {
		want = append(want, u.Value)
	}
	if !slices.Equal(got, want) {
		s.problem(x.Pos, "undo is [%s]; expected [%s]", strings.Join(got, ", "), strings.Join(want, ", "))
	}
}

// part tells whether everything in want is so in got; got may hold more.
func part(want, got map[string]any) bool {
	for k, w := range want {
		g, ok := got[k]
		if !ok {
			return false
		}
		wm, isMap := w.(map[string]any)
		gm, both := g.(map[string]any)
		if isMap && both {
			if !part(wm, gm) {
				return false
			}
			continue
		}
		if !equal(w, g) {
			return false
		}
	}
	return true
}

// equal compares values; numbers compare by value, times with their text.
func equal(a, b any) bool { return reflect.DeepEqual(canonical(a), canonical(b)) }

func canonical(v any) any {
	v = expr.Normalize(v)
	switch v := v.(type) {
	case int:
		return float64(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = canonical(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = canonical(e)
		}
		return out
	}
	return v
}
