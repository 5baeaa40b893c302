package run

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"riposte/connector"
	"riposte/internal/expr"
	"riposte/playbook"
)

// OutcomePeople are asked what became of a call whose outcome is unknown.
var outcomePeople = []string{"role:analyst"}

func (s *State) enterAsk(a *activation, q *playbook.AskStep) {
	env := s.env(a.scope)
	text, err := q.Text.Text(env)
	if err != nil {
		s.settle(a, failure("expression", fmt.Errorf("ask: %w", err)))
		return
	}
	people, err := people(q.To, env)
	if err != nil {
		s.settle(a, failure("expression", fmt.Errorf("to: %w", err)))
		return
	}
	within, err := s.duration(q.Within, a.scope)
	if err != nil {
		s.settle(a, failure("expression", fmt.Errorf("within: %w", err)))
		return
	}
	question := Question{
		Kind: ForAnswer, Title: s.title(a, text), Text: text, Options: q.Options, Form: q.Form,
		Asks: []Quorum{{People: people, Need: 1, Source: "file"}},
	}
	if q.Default != nil {
		v, err := q.Default.Eval(env)
		if err != nil {
			s.settle(a, failure("expression", fmt.Errorf("default: %w", err)))
			return
		}
		if question.Default, err = expr.EncodeJSON(v); err != nil {
			s.settle(a, failure("expression", fmt.Errorf("default: %w", err)))
			return
		}
	}
	a.call = &callState{}
	if within > 0 {
		question.Until = s.now.Add(within)
	}
	s.ask(a, question)
}

// people works out who is meant: a text or a list of texts.
func people(v *expr.Value, env *expr.Env) ([]string, error) {
	x, err := v.Eval(env)
	if err != nil {
		return nil, err
	}
	switch x := expr.Normalize(x).(type) {
	case string:
		return []string{x}, nil
	case []any:
		names := make([]string, 0, len(x))
		for _, e := range x {
			name, ok := e.(string)
			if !ok {
				return nil, fmt.Errorf("a list of people holds %s instead of a text", expr.Describe(e))
			}
			names = append(names, name)
		}
		if len(names) > 0 {
			return names, nil
		}
	}
	return nil, fmt.Errorf("people must be a text or a list of texts with at least one name, got %s", expr.Describe(x))
}

// title is the step's name, else the text.
func (s *State) title(a *activation, otherwise string) string {
	n := s.node(a)
	if n.Name != nil {
		if t, err := n.Name.Text(s.env(a.scope)); err == nil && t != "" {
			return t
		}
	}
	return otherwise
}

// approve asks for the approvals of file and policy on one card, or calls at
// once where nobody needs to be asked.
func (s *State) approve(a *activation, c *CheckResult) {
	n := s.node(a)
	k := a.call
	question := Question{
		Kind: ForApproval, Asks: slices.Clone(c.Asks), Veto: c.Veto, NotAuthor: c.NotAuthor, Action: k.Name, Connection: k.Connection,
		Targets: k.Targets, Rule: c.Rule, Hash: k.Hash,
	}
	within := c.Within
	g := guarded(n)
	if g.Undo != nil {
		question.Undo = g.Undo.Action + g.Undo.Playbook
	}
	if f := g.Approve; f != nil {
		quorum, note, err := s.fileApproval(f, a.scope)
		if err != nil {
			s.settle(a, failure("expression", fmt.Errorf("approve: %w", err)))
			return
		}
		own, err := s.duration(f.Within, a.scope)
		if err != nil {
			s.settle(a, failure("expression", fmt.Errorf("approve within: %w", err)))
			return
		}
		if within == 0 || own < within {
			within = own
		}
		question.Text, question.Veto = note, false
		question.Asks = append(question.Asks, quorum)
	}
	if len(question.Asks) == 0 {
		s.call(a)
		return
	}
	inputs, err := expr.EncodeJSON(k.Inputs)
	if err != nil {
		s.settle(a, failure("expression", fmt.Errorf("with: %w", err)))
		return
	}
	question.Inputs = inputs
	question.Title = s.title(a, k.Name)
	if within > 0 {
		question.Until = s.now.Add(within)
	}
	s.ask(a, question)
}

// fileApproval works out an approve key.
func (s *State) fileApproval(f *playbook.Approval, sc *scope) (Quorum, string, error) {
	env := s.env(sc)
	q := Quorum{Need: 1, Source: "file"}
	var err error
	if q.People, err = people(f.By, env); err != nil {
		return q, "", err
	}
	if f.Need != nil {
		v, err := f.Need.Eval(env)
		if err != nil {
			return q, "", fmt.Errorf("need: %w", err)
		}
		need, ok := expr.Normalize(v).(int)
		if !ok || need < 1 {
			return q, "", fmt.Errorf("need must be a whole number of at least 1, it is %v", v)
		}
		q.Need = need
	}
	if f.Note == nil {
		return q, "", nil
	}
	note, err := f.Note.Text(env)
	if err != nil {
		return q, "", fmt.Errorf("note: %w", err)
	}
	return q, note, nil
}

// ask puts a question to people and a timer beside it.
func (s *State) ask(a *activation, q Question) {
	k := a.call
	q.Step = s.label(a)
	k.Question, k.Votes = &q, make([][]string, len(q.Asks))
	k.Approved = false
	a.N++
	a.Main, a.Phase = a.N, asking
	s.do(&Ask{Act: a.ID, N: a.Main, Question: q})
	if !q.Until.IsZero() {
		a.Expiry = s.sleep(a, q.Until, false)
	}
	s.changed(a, a.res, Waiting)
}

// askOutcome asks people what became of a call.
func (s *State) askOutcome(a *activation, r *connector.Result) {
	a.call.Ended = r
	inputs, err := expr.EncodeJSON(a.call.Inputs)
	if err != nil {
		inputs = nil
	}
	s.ask(a, Question{
		Kind:  ForOutcome,
		Title: "Was it done? " + s.title(a, a.call.Name),
		Text:  "The call left and its outcome is not known: " + resultOutcome(r).Err.Message,
		Asks:  []Quorum{{People: outcomePeople, Need: 1, Source: "outcome"}}, Action: a.call.Name,
		Connection: a.call.Connection, Targets: a.call.Targets, Inputs: inputs,
	})
}

// Wrong says why a value is no answer to a question, "" if it is one.
func (q *Question) Wrong(value json.RawMessage) string {
	v := decode(value)
	if text, ok := v.(string); len(q.Options) > 0 && (!ok || !slices.Contains(q.Options, text)) {
		return "it is none of the options " + strings.Join(q.Options, ", ")
	}
	if q.Form == nil {
		if len(q.Options) == 0 && v == nil {
			return "it is missing"
		}
		return ""
	}
	schema, err := connector.CompileSchema(q.Form)
	if err != nil { // the check has refused it
		return "the form of the question cannot be read: " + err.Error()
	}
	for _, p := range schema.Check(v) {
		return p.String()
	}
	return ""
}

// answerFits tells whether an answer is one that the question allows.
func (a *activation) answerFits(ans *Answer) bool {
	q := a.call.Question
	switch {
	case q.Kind == ForOutcome || q.Kind == ForApproval && !ans.Yes:
		return true
	case q.Kind == ForApproval: // a yes must count for something that it did not count for before
		return slices.ContainsFunc(ans.Quorums, func(i int) bool {
			return i >= 0 && i < len(a.call.Votes) && !slices.Contains(a.call.Votes[i], ans.By)
		})
	}
	if len(q.Options) == 0 {
		return len(ans.Value) > 0
	}
	var text string
	return json.Unmarshal(ans.Value, &text) == nil && slices.Contains(q.Options, text)
}

// answered goes on after one person's answer.
func (s *State) answered(a *activation, ans *Answer) {
	switch a.call.Question.Kind {
	case ForAnswer:
		a.res.Answer, a.res.By = decode(ans.Value), ans.By
		s.closeQuestion(a)
		s.settle(a, nil)
	case ForOutcome:
		s.outcomeKnown(a, ans)
	case ForApproval:
		s.vote(a, ans)
	}
}

// closeQuestion withdraws what is left of a question.
func (s *State) closeQuestion(a *activation) {
	s.do(&Drop{Act: a.ID, N: a.Main})
	if a.Expiry != 0 {
		s.do(&Drop{Act: a.ID, N: a.Expiry})
	}
	a.Main, a.Expiry = 0, 0
}

func (s *State) outcomeKnown(a *activation, ans *Answer) {
	r := a.call.Ended
	a.call.Ended = nil
	a.res.Answer, a.res.By = "not_done", ans.By
	s.closeQuestion(a)
	if !ans.Yes {
		s.settle(a, &outcome{Status: Failed, Err: &Error{Code: "unknown_outcome", Message: "it was not done, says " + ans.By}})
		return
	}
	a.res.Answer = "done"
	s.enterUndo(a, guarded(s.node(a)).Undo, r)
	s.settle(a, nil)
}

// vote counts an approval; one no is a no.
func (s *State) vote(a *activation, ans *Answer) {
	k := a.call
	if !ans.Yes {
		a.res.Answer, a.res.By = "deny", ans.By
		s.withdraw(a)
		message := "denied by " + ans.By
		if ans.Note != "" {
			message += ": " + ans.Note
		}
		s.settle(a, &outcome{Status: Denied, Err: &Error{Code: "denied", Message: message}})
		return
	}
	for _, i := range ans.Quorums {
		if i >= 0 && i < len(k.Votes) && !slices.Contains(k.Votes[i], ans.By) {
			k.Votes[i] = append(k.Votes[i], ans.By)
		}
	}
	for i, q := range k.Question.Asks {
		if len(k.Votes[i]) < q.Need {
			return
		}
	}
	var by []string
	for _, v := range k.Votes {
		for _, name := range v {
			if !slices.Contains(by, name) {
				by = append(by, name)
			}
		}
	}
	s.approved(a, strings.Join(by, ", "))
}

func (s *State) approved(a *activation, by string) {
	a.res.Answer, a.res.By = "approve", by
	a.call.Approved = true
	s.closeQuestion(a)
	s.call(a)
}

// expired goes on when nobody answered in time.
func (s *State) expired(a *activation) {
	q := a.call.Question
	a.Expiry = 0
	if q.Kind == ForAnswer && q.Default != nil {
		a.res.Answer, a.res.By = decode(q.Default), "default"
		s.closeQuestion(a)
		s.settle(a, nil)
		return
	}
	if q.Veto {
		s.approved(a, "silence")
		return
	}
	s.withdraw(a)
	s.settle(a, &outcome{Status: TimedOut, Err: &Error{Code: "timeout", Message: "nobody answered in time"}})
}
