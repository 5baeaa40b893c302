package run

import (
	"fmt"
	"maps"
	"slices"

	"riposte/internal/expr"
	"riposte/playbook"
)

func (s *State) node(a *activation) *playbook.Node { return &s.plan.Nodes[a.Node] }

// enter begins one step of a sequence.
func (s *State) enter(seq *activation, n *playbook.Node) {
	a := s.add(seq, activation{Node: n.ID, scope: seq.scope, res: &result{Status: Running, Started: s.now}})
	a.scope.frame.results[n.ID-a.scope.frame.base] = a.res
	if n.When != nil {
		ok, err := n.When.EvalBool(s.env(a.scope))
		if err != nil {
			s.settle(a, failure("expression", fmt.Errorf("when: %w", err)))
			return
		}
		if !ok {
			s.skip(a.scope.frame, n.ID, n.End)
			s.changed(a, skippedResult, Skipped)
			s.leave(a, nil)
			return
		}
	}
	if s.take(a, n) {
		return
	}
	s.changed(a, a.res, Running)
	if n.Verb != playbook.Action {
		limit, err := s.duration(n.Timeout, a.scope)
		if err != nil {
			s.settle(a, failure("expression", fmt.Errorf("timeout: %w", err)))
			return
		}
		s.deadline(a, limit)
	}
	s.verb(a, n)
}

func (s *State) verb(a *activation, n *playbook.Node) {
	switch n.Verb {
	case playbook.Action:
		s.enterAction(a, n.Action)
	case playbook.Call:
		s.enterCall(a, n.Call)
	case playbook.If:
		s.enterIf(a, n.If)
	case playbook.Switch:
		s.enterSwitch(a, n.Switch)
	case playbook.Parallel:
		s.enterParallel(a, n.Parallel)
	case playbook.ForEach:
		s.enterForEach(a, n.ForEach)
	case playbook.While:
		s.round(a, n.While)
	case playbook.Ask:
		s.enterAsk(a, n.Ask)
	case playbook.Set:
		s.settle(a, s.assign(a, n.Set))
	case playbook.Wait:
		s.enterWait(a, n.Wait)
	case playbook.Stop:
		s.enterStop(a, n.Stop)
	}
}

// take uses the result that the run being retried had for this step, if it had one.
func (s *State) take(a *activation, n *playbook.Node) bool {
	g := s.given[a.scope.frame.pathOf(n.ID)]
	if g == nil {
		return false
	}
	*a.res = result{Status: g.Status, Output: decode(g.Output), Answer: decode(g.Answer), By: g.By, Err: g.Error, Started: s.now, Ended: s.now}
	a.scope.frame.set(n, a.res)
	s.changed(a, a.res, g.Status)
	s.skipHandler(a, n)
	s.leave(a, nil)
	return true
}

// skip marks the steps of a range as not taken.
func (s *State) skip(f *frame, from, to playbook.NodeID) {
	for i := from; i < to; i++ {
		f.set(&s.plan.Nodes[i], skippedResult)
	}
}

func (s *State) skipList(f *frame, list []playbook.NodeID) {
	if len(list) > 0 {
		s.skip(f, list[0], s.plan.Nodes[list[len(list)-1]].End)
	}
}

func (s *State) skipHandler(a *activation, n *playbook.Node) {
	if n.OnError != nil && n.OnError.Kind == playbook.Steps {
		s.skipList(a.scope.frame, n.OnError.Do)
	}
}

func (s *State) enterIf(a *activation, b *playbook.IfBlock) {
	ok, err := b.Cond.EvalBool(s.env(a.scope))
	if err != nil {
		s.settle(a, failure("expression", fmt.Errorf("if: %w", err)))
		return
	}
	taken, other := b.Then, b.Else
	a.res.Taken = "then"
	if !ok {
		taken, other, a.res.Taken = other, taken, "else"
	}
	s.skipList(a.scope.frame, other)
	s.open(a, blockRole, taken, a.scope)
}

func (s *State) enterSwitch(a *activation, b *playbook.SwitchBlock) {
	v, err := b.Value.Eval(s.env(a.scope))
	if err != nil {
		s.settle(a, failure("expression", fmt.Errorf("switch: %w", err)))
		return
	}
	text, err := expr.Show(v)
	if err != nil {
		s.settle(a, failure("expression", fmt.Errorf("switch: %w", err)))
		return
	}
	taken := -1
	for i, c := range b.Cases {
		if taken < 0 && c.Text == text {
			taken = i
			continue
		}
		s.skipList(a.scope.frame, c.Do)
	}
	if taken < 0 {
		a.res.Taken = "else"
		s.open(a, blockRole, b.Else, a.scope)
		return
	}
	a.res.Taken = "case " + text
	s.skipList(a.scope.frame, b.Else)
	s.open(a, blockRole, b.Cases[taken].Do, a.scope)
}

func (s *State) enterParallel(a *activation, b *playbook.ParallelBlock) {
	if len(b.Branches) == 0 {
		s.settle(a, nil)
		return
	}
	for i, br := range b.Branches {
		s.open(a, branchRole, br.Do, a.scope).Round = i
	}
}

func (s *State) enterForEach(a *activation, b *playbook.ForEachBlock) {
	v, err := b.List.Eval(s.env(a.scope))
	if err != nil {
		s.settle(a, failure("expression", fmt.Errorf("for_each: %w", err)))
		return
	}
	items, ok := expr.Normalize(v).([]any)
	if !ok {
		s.settle(a, failure("expression", fmt.Errorf("for_each needs a list, it got %s", expr.Describe(v))))
		return
	}
	a.Items = items
	if b.Collect != nil {
		a.Collect = make([]any, len(items))
	}
	s.rounds(a, b)
}

// rounds begins as many rounds as may run at once, or ends the loop.
func (s *State) rounds(a *activation, b *playbook.ForEachBlock) {
	for a.Next < len(a.Items) && a.Kids < max(b.AtOnce, 1) {
		i := a.Next
		a.Next++
		s.openRound(a, b.Do, i, b.As, a.Items[i])
	}
	if a.Kids > 0 {
		return
	}
	s.settle(a, a.First)
}

// count puts into a loop's result what it has come to, however it ends.
func (a *activation) count() {
	a.res.Loop, a.res.Succeeded, a.res.Failed, a.res.Rounds = true, a.Good, a.Bad, a.Next
	a.res.Output = []any{}
	if a.Collect != nil {
		a.res.Output = a.Collect
	}
}

// openRound begins a round in a frame of its own.
func (s *State) openRound(a *activation, list []playbook.NodeID, i int, as string, item any) {
	sc := &scope{frame: s.newFrame(a.scope.frame, a.Node, i), roots: maps.Clone(a.scope.roots)}
	sc.roots["steps"] = sc.frame.steps
	sc.roots["index"] = i
	if as != "" {
		sc.roots[as] = item
	}
	s.open(a, roundRole, list, sc).Round = i
}

func (s *State) roundEnded(a, seq *activation, out *outcome) {
	n := s.node(a)
	if n.Verb == playbook.While {
		if out != nil {
			a.Bad++
			s.settle(a, out)
			return
		}
		a.Good++
		s.round(a, n.While)
		return
	}
	if out == nil && n.ForEach.Collect != nil {
		v, err := n.ForEach.Collect.Eval(s.env(seq.scope))
		if err != nil {
			out = failure("expression", fmt.Errorf("collect: %w", err))
		} else {
			a.Collect[seq.Round] = expr.Normalize(v)
		}
	}
	if out == nil {
		a.Good++
	} else {
		a.Bad++
		a.First = first(a.First, out)
	}
	s.rounds(a, n.ForEach)
}

func first(a, b *outcome) *outcome {
	if a != nil {
		return a
	}
	return b
}

// round asks a while for its next round.
func (s *State) round(a *activation, b *playbook.WhileBlock) {
	ok, err := b.Cond.EvalBool(s.env(a.scope, "index", a.Next))
	switch {
	case err != nil:
		s.settle(a, failure("expression", fmt.Errorf("while: %w", err)))
	case !ok:
		s.settle(a, nil)
	case a.Next >= b.Max:
		s.settle(a, &outcome{Status: Failed, Err: &Error{Code: "iteration_limit", Message: fmt.Sprintf("the loop was not done after %d rounds", b.Max)}})
	default:
		a.Next++
		s.openRound(a, b.Do, a.Next-1, "", nil)
	}
}

// assign works out all values of a set before it stores the first.
func (s *State) assign(a *activation, set []playbook.Assignment) *outcome {
	values := make([]any, len(set))
	for i, as := range set {
		v, err := as.Value.Eval(s.env(a.scope))
		if err != nil {
			return failure("expression", fmt.Errorf("set %s: %w", as.Name, err))
		}
		values[i] = expr.Normalize(v)
	}
	for i, as := range set {
		s.vars[as.Name] = values[i]
	}
	a.res.assigned = values
	return nil
}

func (s *State) enterWait(a *activation, w *playbook.WaitStep) {
	if w.Until != nil {
		s.look(a, w)
		return
	}
	d, err := s.duration(w.For, a.scope)
	if err != nil {
		s.settle(a, failure("expression", fmt.Errorf("wait: %w", err)))
		return
	}
	s.wake(a, sleeping, s.now.Add(d), false)
}

// look asks whether what a wait waits for holds.
func (s *State) look(a *activation, w *playbook.WaitStep) {
	ok, err := w.Until.EvalBool(s.env(a.scope))
	if err != nil {
		s.settle(a, failure("expression", fmt.Errorf("until: %w", err)))
		return
	}
	if ok {
		s.settle(a, nil)
		return
	}
	every, err := s.duration(w.Every, a.scope)
	if err != nil {
		s.settle(a, failure("expression", fmt.Errorf("every: %w", err)))
		return
	}
	s.wake(a, sleeping, s.now.Add(every), true)
}

func (s *State) enterStop(a *activation, st *playbook.StopStep) {
	out := &outcome{Status: Status(st.Status), Stop: true}
	text := ""
	if st.Reason != nil {
		t, err := st.Reason.Text(s.env(a.scope))
		if err != nil {
			s.settle(a, failure("expression", fmt.Errorf("reason: %w", err)))
			return
		}
		text = t
	}
	if out.Status != Succeeded {
		if text == "" {
			text = "stopped by the playbook"
		}
		out.Err = &Error{Code: "stopped", Message: text, Step: s.label(a)}
	}
	a.res.Output = nil
	if text != "" {
		a.res.Output = map[string]any{"reason": text}
	}
	run := s.find(0)
	s.settle(a, nil)
	if run.Ending == nil && !s.last() {
		s.end(run, out)
	}
}

// settle records how a step ended and lets its handler have a go.
func (s *State) settle(a *activation, out *outcome) {
	if a.ID == 0 {
		s.settleRun(a, out)
		return
	}
	n := s.node(a)
	a.res.Status, a.res.Ended = Succeeded, s.now
	if n.Verb == playbook.ForEach || n.Verb == playbook.While {
		a.count()
	}
	if out != nil {
		a.res.Status, a.res.Err = out.Status, out.Err
		if out.Err != nil && out.Err.Step == "" {
			named := *out.Err
			named.Step = s.label(a)
			out = &outcome{Status: out.Status, Err: &named, Stop: out.Stop}
			a.res.Err = &named
		}
	}
	a.scope.frame.set(n, a.res)
	s.changed(a, a.res, a.res.Status)
	if a.Deadline != 0 || a.Expiry != 0 {
		s.do(&Drop{Act: a.ID})
		a.Deadline, a.Expiry = 0, 0
	}
	switch h := n.OnError; {
	case out == nil || out.Status == Skipped:
		s.skipHandler(a, n)
		s.leave(a, nil)
	case h == nil || out.Stop || a.Doomed || !out.Status.Err():
		s.leave(a, out)
	case h.Kind == playbook.Continue:
		a.res.Handled = true
		s.leave(a, nil)
	case h.Kind == playbook.UndoBlock:
		a.Saved = out
		s.takeBack(a)
	default:
		a.Phase, a.Saved = handling, out
		s.open(a, handlerRole, h.Do, s.handlerScope(a.scope, out, a.res.Output))
	}
}

// handlerScope is a scope with the error that is handled.
func (s *State) handlerScope(sc *scope, out *outcome, output any) *scope {
	roots := maps.Clone(sc.roots)
	roots["error"] = out.Err.env()
	roots["output"] = output
	return &scope{frame: sc.frame, roots: roots}
}

// takeBack carries out the undos of what was done inside a.
func (s *State) takeBack(a *activation) {
	if len(a.Done) == 0 && len(a.Calls) == 0 {
		s.leave(a, a.Saved)
		return
	}
	if s.paused {
		s.holdBack(a)
		return
	}
	a.N++
	a.Main, a.Phase = a.N, undoing
	s.do(&TakeBack{Act: a.ID, N: a.N, Acts: slices.Clone(a.Done), Calls: slices.Clone(a.Calls)})
}

// leave ends a step for good; an outcome is an error that nobody handled.
func (s *State) leave(a *activation, out *outcome) {
	if a.ID == 0 {
		s.closeRun(a, a.Saved)
		return
	}
	parent := s.find(a.Parent)
	s.remove(a)
	if s.orphaned(parent) {
		return
	}
	if out != nil {
		s.closeSeq(parent, out)
		return
	}
	s.agenda = append(s.agenda, parent)
}

// orphaned deals with a parent that is only waiting for its last child.
func (s *State) orphaned(p *activation) bool {
	if !p.Doomed && p.Ending == nil {
		return false
	}
	if p.Kids > 0 {
		return true
	}
	if p.Doomed {
		grand := s.find(p.Parent)
		s.perish(p)
		s.orphaned(grand)
		return true
	}
	out := p.Ending
	p.Ending = nil
	s.settle(p, out)
	return true
}

// closeSeq ends a sequence and tells the activation that opened it.
func (s *State) closeSeq(seq *activation, out *outcome) {
	owner := s.find(seq.Parent)
	s.remove(seq)
	if s.orphaned(owner) {
		return
	}
	switch seq.Role {
	case bodyRole:
		s.bodyEnded(owner, out)
	case finallyRole:
		s.finish(owner)
	case handlerRole:
		if owner.ID == 0 {
			s.closeRun(owner, owner.Saved)
			return
		}
		owner.res.Handled = out == nil
		s.leave(owner, out)
	case branchRole:
		owner.First = first(owner.First, out)
		if owner.Kids == 0 {
			s.settle(owner, owner.First)
		}
	case roundRole:
		s.roundEnded(owner, seq, out)
	case blockRole:
		s.settle(owner, out)
	}
}

// end makes an activation end with an outcome as soon as nothing lives inside
// it: what may be cut off is cut off now, changes under way end first.
func (s *State) end(a *activation, out *outcome) {
	a.Ending = out
	s.forget(a)
	for _, d := range slices.Backward(s.below(a)) {
		d.Doomed = true
		s.forget(d)
		if d.Kids == 0 && !s.mustEnd(d) {
			s.perish(d)
		}
	}
	if a.Kids == 0 && !s.mustEnd(a) {
		a.Ending = nil
		if a.ID != 0 {
			s.withdraw(a)
		}
		s.settle(a, out)
	}
}

// forget drops the timer of a's own timeout: it is ending already.
func (s *State) forget(a *activation) {
	if a.Deadline != 0 {
		s.do(&Drop{Act: a.ID, N: a.Deadline})
		a.Deadline = 0
	}
}

// below lists everything that lives inside an activation, oldest first.
func (s *State) below(a *activation) []*activation {
	var in []*activation
	inside := map[Act]bool{a.ID: true}
	for _, d := range s.acts {
		if d.ID != a.ID && inside[d.Parent] {
			inside[d.ID] = true
			in = append(in, d)
		}
	}
	return in
}

// mustEnd tells whether an activation is doing what must not be cut off, and
// tells the outside to hurry where that helps.
func (s *State) mustEnd(a *activation) bool {
	switch {
	case a.Seq || a.ID == 0 && a.Phase != undoing:
		return false
	case a.Phase == child:
		s.do(&Drop{Act: a.ID, N: a.Main})
		return true
	case a.Phase == undoing:
		return true
	case a.Phase == calling && a.call.Polls, a.Phase == polling:
		return s.callOff(a)
	case a.Phase == calling && a.call.Impact > 0:
		s.do(&Drop{Act: a.ID, N: a.Main}) // if it has not left yet, it never will
		return true
	}
	return false
}

// withdraw drops whatever an activation has asked for.
func (s *State) withdraw(a *activation) {
	if a.N > 0 {
		s.do(&Drop{Act: a.ID})
	}
	a.Main, a.Deadline, a.Expiry = 0, 0, 0
}

// perish cuts an activation off.
func (s *State) perish(a *activation) {
	if !a.Seq {
		s.withdraw(a)
		if a.call != nil && a.call.Touched != nil {
			s.enterUndo(a, guarded(s.node(a)).Undo, a.call.Touched)
		}
		if a.Phase != handling && !a.res.Status.Final() {
			a.res.Status, a.res.Ended = Cancelled, s.now
			a.scope.frame.set(s.node(a), a.res)
			s.changed(a, a.res, Cancelled)
		}
	}
	s.remove(a)
}

// bodyEnded goes on after the playbook's steps: outputs, on_error, finally.
func (s *State) bodyEnded(run *activation, out *outcome) {
	if out == nil || out.Status == Succeeded {
		out = s.workOutputs()
	}
	run.Role, run.Saved = handlerRole, out
	h := s.plan.OnError
	if out == nil || out.Stop || !out.Status.Err() || h == nil || h.Kind == playbook.Continue {
		if h != nil && h.Kind == playbook.Steps {
			s.skipList(s.root.frame, h.Do)
		}
		s.closeRun(run, out)
		return
	}
	// It has what is left of the run's time, and as long as finally in any case.
	if run.Deadline == 0 || run.DueAt.Before(s.now.Add(playbook.FinallyTimeout)) {
		s.ownTime(run)
	}
	if h.Kind == playbook.UndoBlock {
		s.takeBack(run)
		return
	}
	s.open(run, handlerRole, h.Do, s.handlerScope(s.root, out, nil))
}

// settleRun goes on after everything inside the run was made to end.
func (s *State) settleRun(run *activation, out *outcome) {
	switch run.Role {
	case bodyRole:
		s.bodyEnded(run, out)
	case finallyRole:
		s.finish(run)
	default:
		s.closeRun(run, run.Saved)
	}
}

// closeRun begins finally.
func (s *State) closeRun(run *activation, out *outcome) {
	run.Role, run.Saved, run.Phase, run.Ending = finallyRole, out, inside, nil
	if len(s.plan.Finally) == 0 {
		s.finish(run)
		return
	}
	s.forget(run)
	if !s.paused { // else its time begins with the end of the pause: it always runs
		s.ownTime(run)
	}
	s.open(run, finallyRole, s.plan.Finally, s.root)
}

// ownTime gives the end of a run a time limit of its own.
func (s *State) ownTime(run *activation) {
	s.forget(run)
	s.deadline(run, playbook.FinallyTimeout)
}

// finish ends the run.
func (s *State) finish(run *activation) {
	s.status, s.ended = Succeeded, s.now
	if out := run.Saved; out != nil {
		s.status, s.err, s.outputs = out.Status, out.Err, nil
	}
	run.res.Status, run.res.Err, run.res.Ended = s.status, s.err, s.now
	s.changed(run, run.res, s.status)
	s.acts, s.held, s.agenda = nil, nil, nil
	s.commands = slices.DeleteFunc(s.commands, wantsAnswer) // asked for and overtaken in one event
	s.do(&Finish{Status: s.status, Outputs: s.outputs, Error: s.err})
}

// wantsAnswer tells whether a command is of no use once the run has ended.
func wantsAnswer(c Command) bool {
	switch c.(type) {
	case *Enter, *Drop, *Finish:
		return false
	}
	return true
}

// workOutputs works out what the run gives to others and holds it against what
// the playbook says of it.
func (s *State) workOutputs() *outcome {
	m := make(map[string]any, len(s.plan.Outputs))
	for i := range s.plan.Outputs {
		o := &s.plan.Outputs[i]
		v, err := o.Value.Eval(s.env(s.root))
		if err != nil {
			return failure("expression", fmt.Errorf("outputs.%s: %w", o.Name, err))
		}
		m[o.Name] = expr.Normalize(v)
		if wrong := o.Wrong(m[o.Name]); wrong != "" {
			return &outcome{Status: Failed, Err: &Error{Code: "output", Message: "outputs: " + wrong}}
		}
	}
	s.outputs = m
	return nil
}

// label is how people know a step: its id, else its verb and line.
func (s *State) label(a *activation) string {
	if a.ID == 0 {
		return ""
	}
	return playbook.Label(s.node(a))
}
