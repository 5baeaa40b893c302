package run

import (
	"fmt"
	"time"

	"riposte/connector"
	"riposte/internal/expr"
	"riposte/playbook"
)

// enterUndo puts what takes a step back into the ledger: one entry for each
// connection that served it.
func (s *State) enterUndo(a *activation, u *playbook.Undo, r *connector.Result) {
	if u == nil {
		return
	}
	results := r.Results
	if len(results) == 0 {
		results = []connector.Result{*r}
	}
	for i := range results {
		one := &results[i]
		if one.Status == connector.Failed || one.Status == connector.Denied {
			continue
		}
		s.do(&Enter{Act: a.ID, Entry: s.undoEntry(a, u, one)})
	}
	s.remember(a, false)
}

// remember tells the blocks around a step that it did something (or called a
// run that may have), for their on_error: undo.
func (s *State) remember(a *activation, call bool) {
	for p := a; ; p = s.find(p.Parent) { // a playbook step may have on_error: undo itself
		if !p.Seq && s.undoes(p) {
			list := &p.Done
			if call {
				list = &p.Calls
			}
			if n := len(*list); n == 0 || (*list)[n-1] != a.ID { // it may have been tried again
				*list = append(*list, a.ID)
			}
		}
		if p.ID == 0 {
			return
		}
	}
}

func (s *State) undoes(a *activation) bool {
	h := s.plan.OnError
	if a.ID != 0 {
		h = s.node(a).OnError
	}
	return h != nil && h.Kind == playbook.UndoBlock
}

// undoEntry works out one ledger entry. What cannot be worked out becomes the
// entry's problem, so that people see that something cannot be taken back.
func (s *State) undoEntry(a *activation, u *playbook.Undo, r *connector.Result) UndoEntry {
	n := s.node(a)
	k := a.call
	e := UndoEntry{
		Step: s.label(a), Path: a.scope.frame.pathOf(n.ID), Done: k.Name, Action: u.Action, Playbook: u.Playbook,
		Connection: r.Connection, Targets: k.Targets, Own: u.Own, Already: r.Status == connector.Already,
		Retry: guarded(n).Retry.Times,
	}
	if e.Connection == "" {
		e.Connection = k.Connection
	}
	problem := func(what string, err error) {
		if err != nil && e.Problem == "" {
			e.Problem = fmt.Sprintf("%s: %v", what, err)
		}
	}
	output := a.res.Output
	if r.Output != nil {
		output = decode(r.Output)
	}
	env := s.env(a.scope, "output", output)
	if !u.Own {
		env = s.env(a.scope, "output", output, "inputs", any(k.Inputs))
	}
	var err error
	if e.With, err = encodeWith(u.With, env); err != nil {
		problem("undo with", err)
	}
	e.After, err = s.undoAfter(u, env)
	problem("undo after", err)
	e.Every, err = s.duration(guarded(n).Retry.Every, a.scope)
	problem("retry every", err)
	if u.Approve != nil {
		q, _, err := s.fileApproval(u.Approve, a.scope)
		problem("undo approve", err)
		e.Asks = []Quorum{q}
		e.Within, err = s.duration(u.Approve.Within, a.scope)
		problem("undo approve within", err)
	}
	return e
}

func encodeWith(with *expr.Value, env *expr.Env) ([]byte, error) {
	if with == nil {
		return []byte("{}"), nil
	}
	v, err := with.Eval(env)
	if err != nil {
		return nil, err
	}
	return expr.EncodeJSON(v)
}

// undoAfter works out when an entry is due; it may look at the step's output.
func (s *State) undoAfter(u *playbook.Undo, env *expr.Env) (d time.Duration, err error) {
	if u.After.Value == nil {
		return u.After.Fixed, nil
	}
	text, err := u.After.Value.Text(env)
	if err != nil {
		return 0, err
	}
	return playbook.ParseDuration(text)
}
