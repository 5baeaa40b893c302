package run

import (
	"encoding/json"
	"slices"
	"time"

	"riposte/internal/expr"
	"riposte/playbook"
)

// Change is a step, or the run itself (Act 0), passing from one status to
// another.
type Change struct {
	Act    Act
	Node   playbook.NodeID // NoNode for the run
	Status Status
	At     time.Time
	frame  *frame
	res    *result
	plan   *playbook.Plan
}

func (s *State) changed(a *activation, r *result, st Status) {
	if r == nil {
		r = a.res
	}
	if st == Running && a.Shown == Running {
		return
	}
	a.Shown = st
	s.changes = append(s.changes, Change{Act: a.ID, Node: a.Node, Status: st, At: s.now, frame: a.scope.frame, res: r, plan: s.plan})
}

// Changes lists what changed in the last call of Step, in order. It is good
// until the next call.
func (s *State) Changes() []Change { return s.changes }

// Statuses gives the status of every step id in the same round of the same loop
// as the change (or outside all loops), as they are when it is called. What is
// inside loops in there is pending, or skipped with them.
func (c Change) Statuses() map[string]Status {
	m := map[string]Status{}
	for i, r := range c.frame.results {
		if n := &c.plan.Nodes[int(c.frame.base)+i]; n.Step != "" {
			m[n.Step] = r.Status
		}
	}
	return m
}

// Rounds tells in which rounds of which loops the change is, outermost first:
// none outside all loops.
func (c Change) Rounds() []int {
	var list []int
	for f := c.frame; f.outer != nil; f = f.outer {
		list = append(list, f.round)
	}
	slices.Reverse(list)
	return list
}

// Statuses gives the status of every step id outside all loops.
func (s *State) Statuses() map[string]Status {
	return Change{frame: s.root.frame, plan: s.plan}.Statuses()
}

// NodeOf tells which step a living activation executes.
func (s *State) NodeOf(act Act) (playbook.NodeID, bool) {
	a := s.find(act)
	if a == nil || a.ID == 0 {
		return playbook.NoNode, false
	}
	return a.Node, true
}

// StepView is a step as people see it.
type StepView struct {
	Path       string          `json:"path"` // place in the playbook, with the rounds of loops: 9, 7[2]/9
	Step       string          `json:"step"` // its id, else its verb and line
	Verb       string          `json:"verb"`
	Line       int             `json:"line"`
	Status     Status          `json:"status"`
	Action     string          `json:"action,omitempty"`
	Connection string          `json:"connection,omitempty"`
	Inputs     json.RawMessage `json:"inputs,omitempty"`
	Output     json.RawMessage `json:"output,omitempty"`
	Error      *Error          `json:"error,omitempty"`
	Handled    bool            `json:"handled,omitempty"`
	Taken      string          `json:"taken,omitempty"` // then, else, case …: the way an if or switch went
	Attempts   int             `json:"attempts,omitempty"`
	Started    time.Time       `json:"started,omitzero"`
	Ended      time.Time       `json:"ended,omitzero"`
	Answer     json.RawMessage `json:"answer,omitempty"`
	By         string          `json:"by,omitempty"`
	Child      ID              `json:"child,omitzero"`
}

// View renders the step of a change. ok is false for the run itself.
func (c Change) View() (v StepView, ok bool) {
	if c.Node == playbook.NoNode {
		return v, false
	}
	n := &c.plan.Nodes[c.Node]
	v = view(n, c.frame.pathOf(n.ID), c.res)
	v.Status = c.Status
	if c.Status == Waiting || c.Status == Running {
		v.Ended = time.Time{}
	}
	return v, true
}

func view(n *playbook.Node, path string, r *result) StepView {
	return StepView{
		Path: path, Step: playbook.Label(n), Verb: n.Verb.String(), Line: n.Line, Status: r.Status, Action: r.Action,
		Connection: r.Connection, Inputs: encode(inputsOf(n, r)), Output: encode(r.Output), Error: r.Err, Handled: r.Handled, Taken: r.Taken,
		Attempts: r.Attempts, Started: r.Started, Ended: r.Ended, Answer: encode(r.Answer), By: r.By, Child: r.Child,
	}
}

// inputsOf is what went into a step: of a set, what its variables became.
func inputsOf(n *playbook.Node, r *result) map[string]any {
	if r.assigned == nil {
		return r.inputs
	}
	m := make(map[string]any, len(n.Set))
	for i, as := range n.Set {
		m[as.Name] = r.assigned[i]
	}
	return m
}

// encode writes a value for people; what cannot be written is left out.
func encode(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	if m, ok := v.(map[string]any); ok && m == nil {
		return nil
	}
	b, err := expr.EncodeJSON(v)
	if err != nil {
		return nil
	}
	return b
}

// Fold folds a history, calling visit after each event that changed something.
// It returns the state at its end.
func Fold(p *playbook.Plan, events []Event, visit func(Event, *State)) *State {
	var s *State
	for _, e := range events {
		if s != nil && !s.Fits(e) {
			continue
		}
		s, _ = Step(p, s, e)
		if s != nil && visit != nil {
			visit(e, s)
		}
	}
	return s
}

// Steps renders every step that a history reached, rounds of loops included, in
// the order in which they first began, and then those never reached.
func Steps(p *playbook.Plan, events []Event) []StepView {
	var list []StepView
	at := map[string]int{}
	s := Fold(p, events, func(_ Event, s *State) {
		for _, c := range s.Changes() {
			v, ok := c.View()
			if !ok {
				continue
			}
			i, seen := at[v.Path]
			if !seen {
				i = len(list)
				at[v.Path] = i
				list = append(list, v)
			}
			list[i] = v
		}
	})
	if s == nil {
		return nil
	}
	for i := range p.Nodes {
		n := &p.Nodes[i]
		path := s.root.frame.pathOf(n.ID)
		if _, seen := at[path]; seen || n.Loop != playbook.NoNode {
			continue
		}
		v := view(n, path, s.root.frame.results[i])
		list = append(list, v)
	}
	return list
}

// Results collects what a history achieved, for a run that retries it: steps
// that succeeded and steps whose error was let pass by on_error: continue.
func Results(p *playbook.Plan, events []Event) []Given {
	var list []Given
	Fold(p, events, func(_ Event, s *State) {
		for _, c := range s.Changes() {
			if c.Node == playbook.NoNode || !keeps(&p.Nodes[c.Node]) || !c.Status.Final() {
				continue
			}
			passed := c.Status.Err() && p.Nodes[c.Node].OnError != nil && p.Nodes[c.Node].OnError.Kind == playbook.Continue
			if c.Status != Succeeded && !passed {
				continue
			}
			g := Given{Path: c.frame.pathOf(c.Node), Status: c.Status, Output: encode(c.res.Output), Answer: encode(c.res.Answer), By: c.res.By}
			if passed {
				g.Error = c.res.Err
			}
			list = append(list, g)
		}
	})
	return list
}

// keeps tells whether a step's result is taken over by a retry. Blocks and set
// are worked out again; their steps are not.
func keeps(n *playbook.Node) bool {
	switch n.Verb {
	case playbook.Action, playbook.Call, playbook.Ask, playbook.Wait:
		return true
	default: // nothing to do for the others
	}
	return false
}
