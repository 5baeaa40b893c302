package run

import (
	"fmt"
	"strings"
	"time"

	"riposte/internal/expr"
	"riposte/internal/fault"
	"riposte/internal/id"
	"riposte/playbook"
)

// Step folds one event into a run and returns what is to be done because of
// it. s is nil before the first event and must not be used by anyone else
// afterwards: like append, Step may change it in place. Step is total and
// deterministic and does no I/O. An event that does not fit (late, repeated,
// after the end) changes nothing and gives no commands.
func Step(p *playbook.Plan, s *State, e Event) (*State, []Command) {
	if s == nil {
		if e.Kind != Started || e.Start == nil {
			return nil, nil
		}
		s = begin(p, e)
		s.drain()
		return s, s.commands
	}
	s.plan, s.commands, s.changes, s.agenda = p, nil, s.changes[:0], nil
	s.spare, s.left = append(s.spare, s.left...), s.left[:0]
	a := s.fits(&e)
	if a == nil {
		return s, nil
	}
	s.now = e.At
	if e.Case != nil {
		s.readCase(e.Case)
	}
	s.apply(a, &e)
	s.drain()
	return s, s.commands
}

// Fits tells whether an event would change anything.
func (s *State) Fits(e Event) bool { return s.fits(&e) != nil }

// fits finds the activation that waits for exactly this event, nil if none does.
func (s *State) fits(e *Event) *activation {
	if s.status.Final() || e.Kind == Started {
		return nil
	}
	a := s.find(e.Act)
	if a == nil || a.Seq {
		return nil
	}
	main := e.N != 0 && e.N == a.Main
	ok := false
	switch e.Kind {
	case Checked:
		ok = main && e.Check != nil && (a.Phase == checking || a.Phase == calling && !a.Begun && !a.call.Polls)
	case Began:
		ok = main && a.Phase == calling && !a.Begun
	case Finished:
		ok = main && a.Phase == calling && e.Result != nil
	case Fired:
		timer := main && (a.Phase == backoff || a.Phase == polling || a.Phase == sleeping)
		ok = timer || e.N != 0 && (e.N == a.Deadline || e.N == a.Expiry && a.Phase == asking)
	case Answered:
		ok = main && a.Phase == asking && e.Answer != nil && a.answerFits(e.Answer)
	case Ended:
		ok = main && a.Phase == child && e.Child != nil
	case Undone:
		ok = main && a.Phase == undoing
	case Cancel:
		ok = a.ID == 0 && a.Ending == nil && !s.last()
	case Pause:
		ok = a.ID == 0 && !s.paused && a.Ending == nil
	case Resume:
		ok = a.ID == 0 && s.paused
	default: // nothing to do for the others
	}
	if !ok {
		return nil
	}
	return a
}

// last tells whether only finally is left, which nothing may cut off.
func (s *State) last() bool { return s.find(0).Role == finallyRole }

func (s *State) apply(a *activation, e *Event) {
	switch e.Kind {
	case Checked:
		s.checked(a, e.Check)
	case Began:
		a.Begun = true
	case Finished:
		s.finished(a, e.Result)
	case Fired:
		s.fired(a, e.N)
	case Answered:
		s.answered(a, e.Answer)
	case Ended:
		s.childEnded(a, e.Child)
	case Undone:
		s.leave(a, a.Saved)
	case Cancel:
		s.resume()
		s.end(a, &outcome{Status: Cancelled, Stop: true, Err: &Error{Code: "cancelled", Message: reason(e)}})
	case Pause:
		s.paused = true
		s.changed(a, nil, Waiting)
	case Resume:
		s.resume()
	default: // nothing to do for the others
	}
}

func reason(e *Event) string {
	switch {
	case e.Reason != "" && e.By != "":
		return "cancelled by " + e.By + ": " + e.Reason
	case e.By != "":
		return "cancelled by " + e.By
	}
	return "cancelled"
}

// begin makes the state of a run that has just started.
func begin(p *playbook.Plan, e Event) *State {
	start := *e.Start // the run may get a case; the event stays as it was
	s := &State{start: &start, status: Running, began: e.At, now: e.At, plan: p, quota: MaxActivations, vars: map[string]any{}}
	if len(e.Start.Given) > 0 {
		s.given = make(map[string]*Given, len(e.Start.Given))
		for i := range e.Start.Given {
			s.given[e.Start.Given[i].Path] = &e.Start.Given[i]
		}
	}
	s.root = &scope{frame: s.newFrame(nil, playbook.NoNode, 0)}
	s.root.roots = s.firstRoots()
	run := s.add(nil, activation{Node: playbook.NoNode, scope: s.root, res: &result{Status: Running, Started: s.now}})
	s.changed(run, run.res, Running)
	if err := s.firstVars(); err != nil {
		s.end(run, failure("expression", err))
		return s
	}
	limit, err := s.duration(p.Timeout, s.root)
	if err != nil {
		s.end(run, failure("expression", err))
		return s
	}
	s.deadline(run, limit)
	s.open(run, bodyRole, p.Body, s.root)
	return s
}

// firstRoots are the names that all expressions of the run may use.
func (s *State) firstRoots() map[string]any {
	st := s.start
	version := any(nil)
	if st.Version != 0 {
		version = st.Version
	}
	inputs, _ := decode(st.Inputs).(map[string]any)
	if inputs == nil {
		inputs = map[string]any{}
	}
	by := any(nil)
	if st.By != "" {
		by = st.By
	}
	s.caseNow = s.object(playbook.OnCase, st.Case)
	return map[string]any{
		"inputs": inputs, "vars": s.vars, "steps": s.root.frame.steps,
		"alert": s.object(playbook.OnAlert, st.Alert), "case": s.caseNow, "indicator": s.object(playbook.OnIndicator, st.Indicator),
		"run":      map[string]any{"id": st.Run.String(), "started": s.began, "by": by, "test": st.Test},
		"playbook": map[string]any{"id": st.Playbook, "version": version},
	}
}

// object decodes what started the run, unless no expression looks at it.
func (s *State) object(kind playbook.TriggerKind, raw []byte) any {
	if s.plan.Uses != nil && !s.plan.Uses[string(kind)] {
		return nil
	}
	return playbook.Object(kind, decode(raw))
}

func (s *State) firstVars() error {
	for _, v := range s.plan.Vars {
		x, err := v.Value.Eval(s.env(s.root))
		if err != nil {
			return fmt.Errorf("vars.%s: %w", v.Name, err)
		}
		s.vars[v.Name] = expr.Normalize(x)
	}
	return nil
}

// decode reads stored JSON. What cannot be read is nil: everything stored was
// written by us.
func decode(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	v, err := expr.DecodeJSON(b)
	if err != nil {
		return nil
	}
	return v
}

// readCase puts the case, as it is now, into every scope. A case that a step of
// the run opened is the run's from then on.
func (s *State) readCase(raw []byte) {
	s.caseNow = playbook.Object(playbook.OnCase, decode(raw))
	if m, ok := s.caseNow.(map[string]any); ok && s.start.CaseID == 0 {
		if text, ok := m["id"].(string); ok {
			if n, err := id.Parse("C", text); err == nil {
				known := *s.start // others may be reading the one of before
				known.CaseID = n
				s.start = &known
			}
		}
	}
	s.root.roots["case"] = s.caseNow
	for _, a := range s.acts {
		a.scope.roots["case"] = s.caseNow
	}
}

// drain lets sequences go on until all of them wait.
func (s *State) drain() {
	for len(s.agenda) > 0 {
		seq := s.agenda[0]
		s.agenda = s.agenda[1:]
		s.advance(seq)
	}
}

// open begins a list of steps inside an activation.
func (s *State) open(owner *activation, r role, list []playbook.NodeID, sc *scope) *activation {
	seq := s.add(owner, activation{Seq: true, Role: r, Node: owner.Node, List: list, scope: sc})
	s.agenda = append(s.agenda, seq)
	return seq
}

// advance begins the next step of a sequence, or ends it.
func (s *State) advance(seq *activation) {
	if s.find(seq.ID) != seq || seq.Doomed { // ended meanwhile
		return
	}
	if seq.PC == len(seq.List) {
		s.closeSeq(seq, nil)
		return
	}
	if s.paused {
		s.held = append(s.held, seq.ID)
		return
	}
	if s.next >= s.quota {
		s.quota += MaxActivations / 10 // for finally
		s.end(s.find(0), &outcome{Status: Failed, Stop: true, Err: &Error{Code: "quota", Message: fmt.Sprintf("the run has executed %d steps, the most that one run may", MaxActivations)}})
		return
	}
	n := &s.plan.Nodes[seq.List[seq.PC]]
	seq.PC++
	s.enter(seq, n)
}

// resume ends a pause: what was held goes on in the order in which it was held.
func (s *State) resume() {
	if !s.paused {
		return
	}
	s.paused = false
	for _, id := range s.held {
		a := s.find(id)
		switch {
		case a == nil:
		case a.Seq:
			s.agenda = append(s.agenda, a)
		case a.Phase == heldBack && a.Saved != nil: // an error to undo for
			s.takeBack(a)
		case a.Phase == heldBack:
			s.call(a)
		}
	}
	s.held = nil
	run := s.find(0)
	if run.Role == finallyRole && run.Deadline == 0 {
		s.ownTime(run)
	}
	s.changed(run, nil, Running)
}

// holdBack lets an activation wait for the end of a pause.
func (s *State) holdBack(a *activation) {
	a.Phase = heldBack
	s.held = append(s.held, a.ID)
}

// sleep asks for a timer and returns its number.
func (s *State) sleep(a *activation, until time.Time, look bool) int {
	a.N++
	s.do(&Sleep{Act: a.ID, N: a.N, Until: until, Look: look})
	return a.N
}

// deadline gives an activation a time limit of its own; 0 is none.
func (s *State) deadline(a *activation, limit time.Duration) {
	if limit > 0 {
		a.DueAt = s.now.Add(limit)
		a.Deadline = s.sleep(a, a.DueAt, false)
	}
}

func (s *State) do(c Command) { s.commands = append(s.commands, c) }

// failure is an error outcome with a code.
func failure(code string, err error) *outcome {
	message := strings.TrimSuffix(err.Error(), ": "+fault.Invalid.Error()) // the code says so
	return &outcome{Status: Failed, Err: &Error{Code: code, Message: message}}
}
