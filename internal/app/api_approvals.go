package app

import (
	"context"
	"encoding/json"
	"fmt"

	"riposte/internal/auth"
	"riposte/internal/expr"
	"riposte/internal/fault"
	"riposte/internal/guard"
	"riposte/internal/httpapi"
	"riposte/internal/id"
	"riposte/internal/run"
	"riposte/internal/store"
)

// Approvals lists questions.
func (a *api) Approvals(ctx context.Context, who auth.Caller, f httpapi.ApprovalFilter, p httpapi.Page) (httpapi.Found[httpapi.Approval], error) {
	list := func(s store.Slice) (store.Page[store.Question], error) {
		return read(ctx, a, func(q *store.Reader) (store.Page[store.Question], error) {
			return store.ListQuestions(q, who.Tenant, store.QuestionFilter{State: store.QuestionState(f.State), Run: run.ID(f.Run), Case: f.Case}, s)
		})
	}
	if f.Mine {
		return a.mine(ctx, who, list, p)
	}
	page, err := list(slice(p))
	return found(page, err, func(q store.Question) httpapi.Approval { return a.wireQuestion(ctx, who, q) })
}

// How many questions are read at once where only some are wanted, and how often
// before a page is given that may be short.
const (
	mineAtOnce = 200
	mineReads  = 25
)

// mine picks those that ask the caller. No query can tell: it depends on groups,
// roles, who is on call now, and who started the run.
func (a *api) mine(ctx context.Context, who auth.Caller, list func(store.Slice) (store.Page[store.Question], error), p httpapi.Page) (httpapi.Found[httpapi.Approval], error) {
	out := httpapi.Found[httpapi.Approval]{Next: p.Cursor}
	for range mineReads {
		page, err := list(store.Slice{Limit: mineAtOnce, Cursor: out.Next})
		if err != nil {
			return out, badCursor(err)
		}
		for _, q := range page.Items {
			if w := a.wireQuestion(ctx, who, q); w.Mine {
				out.Items = append(out.Items, w)
			}
			if len(out.Items) == p.Limit {
				out.Next = q.Cursor()
				return out, nil
			}
		}
		if out.Next = page.Next; out.Next == "" {
			break
		}
	}
	return out, nil
}

// Approval reads one.
func (a *api) Approval(ctx context.Context, who auth.Caller, n int64) (httpapi.Approval, error) {
	q, err := a.question(ctx, who, n)
	if err != nil {
		return httpapi.Approval{}, err
	}
	return a.wireQuestion(ctx, who, q), nil
}

func (a *api) question(ctx context.Context, who auth.Caller, n int64) (store.Question, error) {
	return read(ctx, a, func(q *store.Reader) (store.Question, error) { return store.QuestionOf(q, who.Tenant, n) })
}

func (a *api) wireQuestion(ctx context.Context, who auth.Caller, q store.Question) httpapi.Approval {
	w := httpapi.Approval{
		ID: id.Format(questionCode, q.ID), Kind: kindWord(q.Kind), State: string(q.State), Result: resultOf(q), Title: q.Title, Text: q.Text,
		Asked: q.Asked, Until: q.Until, Veto: q.Veto, Options: q.Options, Form: q.Form, Default: q.Default, Action: q.Action,
		Connection: q.Connection, Inputs: q.Inputs, Undo: q.Undo, Rule: q.Rule, Hash: q.Hash, Run: q.Run.String(), Step: q.Step,
		Playbook: q.Playbook, By: q.By, Case: caseRef(q.Case), Alert: alertRef(q.Alert), Severity: httpapi.SeverityOf(q.Severity),
		Asks: []httpapi.Quorum{},
	}
	for _, x := range q.Asks {
		w.Asks = append(w.Asks, httpapi.Quorum{People: x.People, Need: x.Need, Source: x.Source})
	}
	for _, t := range q.Targets {
		w.Targets = append(w.Targets, httpapi.Target{Kind: string(t.Kind), Value: t.Value})
	}
	for _, g := range q.Answers {
		given := httpapi.GivenAnswer{By: g.By, At: g.At, Value: g.Value, Note: g.Note}
		if q.Kind != run.ForAnswer {
			yes := g.Yes
			given.Yes = &yes
		}
		w.Answers = append(w.Answers, given)
	}
	if q.State == store.QuestionOpen {
		_, err := a.eligible(ctx, who, q)
		w.Mine = err == nil
	}
	return w
}

func kindWord(k run.QuestionKind) string { return string(k) }

// resultOf says how a question ended.
func resultOf(q store.Question) string {
	if q.State == store.QuestionOpen {
		return ""
	}
	if q.Kind == run.ForAnswer && len(q.Answers) > 0 {
		return "answered"
	}
	_, done, yes := guard.Tally(q.Question, answersOf(q))
	switch {
	case done && q.Kind == run.ForOutcome:
		return "answered"
	case done && yes:
		return "approved"
	case done:
		return "denied"
	case !q.Until.IsZero() && !q.Ended.Before(q.Until):
		return "expired"
	}
	return "withdrawn"
}

func answersOf(q store.Question) []run.Answer {
	list := make([]run.Answer, len(q.Answers))
	for i, g := range q.Answers {
		list[i] = g.Answer
	}
	return list
}

// eligible tells for which quorums the caller counts.
func (a *api) eligible(ctx context.Context, who auth.Caller, q store.Question) ([]int, error) {
	author, err := a.author(ctx, q)
	if err != nil {
		return nil, err
	}
	return guard.Eligible(q.Question, author, answersOf(q), guard.Voter{Name: who.Name, Is: who.IsAny})
}

// author finds who started the outermost run above the one that asks.
func (a *api) author(ctx context.Context, q store.Question) (string, error) {
	by, n := q.By, q.Run
	for range 64 { // as deep as playbooks may call each other
		s, ok, err := a.engine.Summary(ctx, n)
		if err != nil || !ok {
			return by, err
		}
		by = s.By
		if n = s.Parent; n == 0 {
			break
		}
	}
	return by, nil
}

// Answer answers a question.
func (a *api) Answer(ctx context.Context, who auth.Caller, n int64, ans httpapi.Answer) error {
	q, err := a.question(ctx, who, n)
	if err != nil {
		return err
	}
	name := id.Format(questionCode, n)
	if q.State != store.QuestionOpen {
		return fmt.Errorf("answer %s: it is closed, %s: %w", name, resultOf(q), fault.Conflict)
	}
	if ans.Hash != "" && ans.Hash != q.Hash {
		return fmt.Errorf("answer %s: the action is another one than you saw; look again: %w", name, fault.Conflict)
	}
	answer := run.Answer{By: who.Name, Yes: ans.Yes, Note: ans.Note}
	if err := fill(&answer, q, name, ans); err != nil {
		return err
	}
	detail := map[string]any{"yes": ans.Yes, "run": q.Run.String()}
	if q.Hash != "" {
		detail["hash"] = q.Hash
	}
	return a.audited(ctx, who, "approval.answer", name, detail, func() error {
		if answer.Quorums, err = a.eligible(ctx, who, q); err != nil {
			return err
		}
		return a.engine.Answer(ctx, q.Run, q.Act, q.N, answer)
	})
}

// fill puts what was said into the answer, if it fits the question.
func fill(to *run.Answer, q store.Question, name string, ans httpapi.Answer) error {
	asked := ans.Value != nil
	switch {
	case q.Kind == run.ForAnswer && !asked:
		return fmt.Errorf("%s is a question, not an approval; answer it with a value: %w", name, fault.Invalid)
	case q.Kind == run.ForApproval && asked:
		return fmt.Errorf("%s is an approval; approve or deny it: %w", name, fault.Invalid)
	case q.Kind == run.ForOutcome && asked:
		word, _ := decoded(ans.Value).(string)
		if word != "done" && word != "not_done" {
			return httpapi.WrongField("/value", "say done or not_done")
		}
		to.Yes = word == "done"
	case q.Kind == run.ForAnswer:
		if wrong := q.Wrong(ans.Value); wrong != "" {
			return httpapi.WrongField("/value", wrong)
		}
		to.Value = ans.Value
	}
	return nil
}

func decoded(raw json.RawMessage) any {
	v, err := expr.DecodeJSON(raw)
	if err != nil {
		return nil
	}
	return v
}
