package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"riposte/internal/alert"
	"riposte/internal/auth"
	"riposte/internal/cases"
	"riposte/internal/expr"
	"riposte/internal/fault"
	"riposte/internal/guard"
	"riposte/internal/httpapi"
	"riposte/internal/id"
	"riposte/internal/run"
	"riposte/internal/store"
	"riposte/playbook"
)

// Runs lists runs, the newest first.
func (a api) Runs(ctx context.Context, who auth.Caller, f httpapi.RunFilter, p httpapi.Page) (httpapi.Found[httpapi.Run], error) {
	var out httpapi.Found[httpapi.Run]
	q := store.RunQuery{
		Tenant: tenantOf(who.Tenant), Status: run.Status(f.Status), Playbook: f.Playbook, Case: f.Case, Alert: f.Alert, Parent: run.ID(f.Parent), Limit: p.Limit + 1,
	}
	if p.Cursor != "" {
		if err := q.Before.UnmarshalText([]byte(p.Cursor)); err != nil {
			return out, fmt.Errorf("cursor: %w", err)
		}
	}
	list, err := a.db.Journal().List(ctx, q)
	if err != nil {
		return out, err
	}
	out.Items = []httpapi.Run{}
	for _, s := range list {
		if len(out.Items) == p.Limit {
			out.Next = out.Items[len(out.Items)-1].ID
			break
		}
		if f.Code == "" || f.Code == s.Code {
			out.Items = append(out.Items, showRun(s))
		}
	}
	return out, nil
}

func showRun(s run.Summary) httpapi.Run {
	r := httpapi.Run{
		ID: s.Run.String(), Playbook: s.Playbook, Version: s.Version, Status: string(s.Status), Waiting: s.Waiting, Paused: s.Paused,
		Severity: httpapi.SeverityOf(s.Severity), By: s.By, Case: cases.ID(s.Case).String(), Alert: alert.ID(s.Alert).String(),
		Parent: s.Parent.String(), From: s.From.String(), Undoes: guard.EntryID(s.Undoes).String(), Started: utc(s.Started), Ended: utc(s.Ended), LastEvent: s.Last,
	}
	if s.Code != "" {
		r.Error = &httpapi.RunError{Code: s.Code, Message: s.Message, Step: s.Step}
	}
	return r
}

func showStep(v run.StepView) httpapi.Step {
	s := httpapi.Step{
		Path: v.Path, Step: v.Step, Verb: v.Verb, Line: v.Line, Status: string(v.Status), Action: v.Action, Connection: v.Connection,
		Attempts: v.Attempts, Started: utc(v.Started), Ended: utc(v.Ended), Taken: v.Taken, Handled: v.Handled, By: v.By,
		Answer: v.Answer, Child: v.Child.String(), Inputs: v.Inputs, Output: v.Output,
	}
	if v.Error != nil {
		s.Error = &httpapi.RunError{Code: v.Error.Code, Message: v.Error.Message, Step: v.Error.Step}
	}
	return s
}

// Run reads one with its steps.
func (a api) Run(ctx context.Context, who auth.Caller, n int64) (httpapi.Run, error) {
	v, err := a.engine.Get(ctx, run.ID(n))
	if err != nil {
		return httpapi.Run{}, err
	}
	if v.Tenant != "" && v.Tenant != tenantOf(who.Tenant) {
		return httpapi.Run{}, fmt.Errorf("run %s: %w", run.ID(n), fault.NotFound)
	}
	r := showRun(v.Summary)
	if v.Outputs != nil {
		r.Outputs = plainJSON(v.Outputs)
	}
	r.Steps = []httpapi.Step{}
	for _, s := range v.Steps {
		r.Steps = append(r.Steps, showStep(s))
	}
	return r, nil
}

// own tells whether a run is one of the caller's tenant.
func (a api) own(ctx context.Context, who auth.Caller, n int64) error {
	s, ok, err := a.engine.Summary(ctx, run.ID(n))
	if err == nil && (!ok || s.Tenant != "" && s.Tenant != tenantOf(who.Tenant)) {
		err = fmt.Errorf("run %s: %w", run.ID(n), fault.NotFound)
	}
	return err
}

// Start starts a run and returns when that is on disk.
func (a api) Start(ctx context.Context, who auth.Caller, n httpapi.NewRun, key string) (httpapi.Run, error) {
	plan, err := a.planFor(ctx, who, n)
	if err != nil {
		return httpapi.Run{}, err
	}
	s := run.Start{
		Tenant: tenantOf(who.Tenant), Playbook: plan.ID, Version: plan.Version, Plan: plan.Hash, AlertID: n.AlertID, CaseID: n.CaseID, By: who.Name,
	}
	given := n.Inputs
	if err := a.objects(ctx, who, n, plan, &s, &given); err != nil {
		return httpapi.Run{}, err
	}
	filled, err := plan.FillInputs(given)
	if err != nil {
		return httpapi.Run{}, err
	}
	if s.Inputs, err = expr.EncodeJSON(filled); err != nil {
		return httpapi.Run{}, err
	}
	if key != "" {
		key = "api:" + who.Name + ":" + key
	}
	started, err := a.engine.Start(ctx, s, key)
	if err != nil {
		return httpapi.Run{}, err
	}
	return a.Run(ctx, who, int64(started))
}

// planFor finds the plan that is to be run.
func (a api) planFor(ctx context.Context, who auth.Caller, n httpapi.NewRun) (*playbook.Plan, error) {
	if !n.Draft {
		return a.plans.Published(who.Tenant, n.Playbook, n.Version)
	}
	d, err := a.Draft(ctx, who, n.Playbook)
	if err != nil {
		return nil, err
	}
	plan, err := a.plans.Draft(ctx, who.Tenant, n.Playbook, d.Text)
	return plan, checkFailed(err)
}

// objects puts the alert and the case of a run into its start, and fills inputs
// that were not given from them, by the trigger for such an object or by name.
func (a api) objects(ctx context.Context, who auth.Caller, n httpapi.NewRun, plan *playbook.Plan, s *run.Start, given *map[string]any) error {
	var o run.Object
	err := a.read(ctx, func(q *store.Reader) error {
		if n.AlertID != 0 {
			al, err := store.Alert(q, who.Tenant, alert.ID(n.AlertID))
			if err != nil {
				return err
			}
			s.Severity = al.Severity
			o.Alert = al.Object()
			s.Alert = plainJSON(o.Alert)
		}
		if n.CaseID != 0 {
			raw, err := caseObject(q, who.Tenant, cases.ID(n.CaseID))
			if err != nil {
				return err
			}
			s.Case = raw
			o.Case, err = expr.DecodeJSON(raw)
			return err
		}
		return nil
	})
	if err != nil || o.Alert == nil && o.Case == nil {
		return err
	}
	t := &playbook.Trigger{Kind: playbook.OnCase}
	if o.Alert != nil {
		t.Kind = playbook.OnAlert
	}
	for i := range plan.Triggers {
		if plan.Triggers[i].Kind == t.Kind {
			t = &plan.Triggers[i]
			break
		}
	}
	filled, err := run.FromTrigger(plan, t, o, a.now().UTC())
	if err != nil {
		return err
	}
	for k, v := range *given {
		filled[k] = v
	}
	*given = filled
	return nil
}

// Retry starts a new run that takes over the results of a failed one.
func (a api) Retry(ctx context.Context, who auth.Caller, n int64, _ string) (httpapi.Run, error) {
	if err := a.own(ctx, who, n); err != nil {
		return httpapi.Run{}, err
	}
	again, err := a.engine.Retry(ctx, run.ID(n), who.Name)
	if err != nil {
		return httpapi.Run{}, err
	}
	return a.Run(ctx, who, int64(again))
}

// RetryAll retries every failed run that the filter names.
func (a api) RetryAll(ctx context.Context, who auth.Caller, f httpapi.RetryFilter) (httpapi.Retried, error) {
	done, err := a.engine.RetryAll(ctx, run.Filter{Tenant: tenantOf(who.Tenant), Playbook: f.Playbook, Code: f.Code, Step: f.Step, Message: f.Message}, who.Name)
	out := httpapi.Retried{Started: []string{}, Skipped: done.Skipped + len(done.Errors)}
	for _, r := range done.Started {
		out.Started = append(out.Started, r.String())
	}
	return out, err
}

// Cancel, Pause and Resume tell a run what a person wants.
func (a api) Cancel(ctx context.Context, who auth.Caller, n int64, reason string) error {
	if err := a.own(ctx, who, n); err != nil {
		return err
	}
	return a.engine.Cancel(ctx, run.ID(n), who.Name, reason)
}

// Pause is told beside Cancel.
func (a api) Pause(ctx context.Context, who auth.Caller, n int64, reason string) error {
	if err := a.own(ctx, who, n); err != nil {
		return err
	}
	return a.engine.Pause(ctx, run.ID(n), who.Name, reason)
}

// Resume is told beside Cancel.
func (a api) Resume(ctx context.Context, who auth.Caller, n int64, reason string) error {
	if err := a.own(ctx, who, n); err != nil {
		return err
	}
	return a.engine.Resume(ctx, run.ID(n), who.Name, reason)
}

// eventsPerRecord is how many numbers a record of the journal has for the events
// that watchers get of it: its place times this, and counted on.
const eventsPerRecord = 1 << 12

// Watch sends what happens to a run.
func (a api) Watch(ctx context.Context, who auth.Caller, n, after int64) (<-chan httpapi.RunEvent, error) {
	if err := a.own(ctx, who, n); err != nil {
		return nil, err
	}
	out := make(chan httpapi.RunEvent, 64)
	w := watching{after: after, send: func(e httpapi.RunEvent) error {
		select {
		case out <- e:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
	// The record that after lies in is read again: a part of it may be new.
	from := after/eventsPerRecord - 1
	a.running.Go(func() {
		defer close(out)
		err := a.engine.Watch(ctx, run.ID(n), from, w.update)
		if err != nil && !errors.Is(err, context.Canceled) {
			a.log.Warn("watching a run ended", "run_id", run.ID(n).String(), "error", err)
		}
	})
	return out, nil
}

// watching turns the engine's updates into events with rising numbers.
type watching struct {
	after int64
	last  run.Status
	send  func(httpapi.RunEvent) error
}

func (w *watching) update(u engineUpdate) error {
	n := u.Seq * eventsPerRecord
	tell := func(e httpapi.RunEvent) error {
		n++
		if n <= w.after {
			return nil
		}
		e.N = n
		return w.send(e)
	}
	for _, s := range u.Steps {
		step := showStep(s)
		if err := tell(httpapi.RunEvent{Kind: httpapi.EventStep, Step: &step}); err != nil {
			return err
		}
	}
	if u.Summary.Status == w.last && !u.Summary.Status.Final() {
		return nil
	}
	w.last = u.Summary.Status
	r := showRun(u.Summary)
	kind := httpapi.EventRun
	if u.Summary.Status.Final() {
		kind = httpapi.EventEnd
	}
	return tell(httpapi.RunEvent{Kind: kind, Run: &r})
}

// Approvals lists questions, those that wait longest first.
func (a api) Approvals(ctx context.Context, who auth.Caller, f httpapi.ApprovalFilter, p httpapi.Page) (out httpapi.Found[httpapi.Approval], err error) {
	err = a.read(ctx, func(q *store.Reader) error {
		page, err := store.ListQuestions(q, who.Tenant, store.QuestionFilter{State: store.QuestionState(f.State), Run: run.ID(f.Run), Case: f.Case}, slice(p))
		out, err = found(page, err, func(x store.Question) httpapi.Approval { return showQuestion(x, who) })
		return err
	})
	if f.Mine {
		mine := out.Items[:0]
		for _, x := range out.Items {
			if x.Mine {
				mine = append(mine, x)
			}
		}
		out.Items = mine
	}
	return out, err
}

func showQuestion(x store.Question, who auth.Caller) httpapi.Approval {
	s := httpapi.Approval{
		ID: id.Format("AP", x.ID), Kind: string(x.Kind), State: string(x.State), Title: x.Title, Text: x.Text, Asked: utc(x.Asked), Until: utc(x.Until), Veto: x.Veto,
		Options: x.Options, Form: x.Form, Default: x.Default, Action: x.Action, Connection: x.Connection, Inputs: x.Inputs, Undo: x.Undo, Rule: x.Rule, Hash: x.Hash,
		Run: x.Run.String(), Playbook: x.Playbook, By: x.By, Case: cases.ID(x.Case).String(), Alert: alert.ID(x.Alert).String(), Severity: httpapi.SeverityOf(x.Severity),
		Asks: []httpapi.Quorum{}, Result: resultOf(x),
	}
	for _, q := range x.Asks {
		s.Asks = append(s.Asks, httpapi.Quorum{People: q.People, Need: max(q.Need, 1), Source: q.Source})
	}
	for _, t := range x.Targets {
		s.Targets = append(s.Targets, httpapi.Target{Kind: string(t.Kind), Value: t.Value})
	}
	for _, g := range x.Answers {
		given := httpapi.GivenAnswer{By: g.By, At: utc(g.At), Value: g.Value, Note: g.Note}
		if x.Kind != run.ForAnswer {
			yes := g.Yes
			given.Yes = &yes
		}
		s.Answers = append(s.Answers, given)
	}
	_, err := guard.Eligible(x.Question, x.By, answers(x), voter(who))
	s.Mine = err == nil && x.State == store.QuestionOpen
	return s
}

func answers(x store.Question) []run.Answer {
	out := make([]run.Answer, len(x.Answers))
	for i, g := range x.Answers {
		out[i] = g.Answer
	}
	return out
}

func voter(who auth.Caller) guard.Voter { return guard.Voter{Name: who.Name, Is: who.IsAny} }

// resultOf says how a question ended.
func resultOf(x store.Question) string {
	if x.State == store.QuestionOpen {
		return ""
	}
	given := answers(x)
	switch {
	case len(given) > 0 && x.Kind == run.ForAnswer:
		return "answered"
	case len(given) > 0:
		if _, done, yes := guard.Tally(x.Question, given); done {
			if yes {
				return "approved"
			}
			return "denied"
		}
	}
	if !x.Until.IsZero() && !x.Ended.Before(x.Until) {
		return "expired"
	}
	return "withdrawn"
}

// Approval reads one with everything.
func (a api) Approval(ctx context.Context, who auth.Caller, n int64) (out httpapi.Approval, err error) {
	err = a.read(ctx, func(q *store.Reader) error {
		x, err := store.QuestionOf(q, who.Tenant, n)
		out = showQuestion(x, who)
		return err
	})
	return out, err
}

// Answer answers one and returns when that is on disk.
func (a api) Answer(ctx context.Context, who auth.Caller, n int64, in httpapi.Answer) error {
	var x store.Question
	err := a.read(ctx, func(q *store.Reader) (err error) {
		x, err = store.QuestionOf(q, who.Tenant, n)
		return err
	})
	if err != nil {
		return err
	}
	name := id.Format("AP", n)
	switch {
	case x.State != store.QuestionOpen:
		return fmt.Errorf("%s is closed: %w", name, fault.Conflict)
	case in.Hash != "" && in.Hash != x.Hash:
		return fmt.Errorf("%s asks for something else by now; look at it again: %w", name, fault.Conflict)
	}
	quorums, err := guard.Eligible(x.Question, x.By, answers(x), voter(who))
	if err != nil {
		return err
	}
	ans := run.Answer{By: who.Name, Yes: in.Yes, Value: in.Value, Quorums: quorums, Note: in.Note}
	if err := fitAnswer(x.Question, &ans, name); err != nil {
		return err
	}
	return a.engine.Answer(ctx, x.Run, x.Act, x.N, ans)
}

// fitAnswer holds an answer against what the question allows.
func fitAnswer(q run.Question, ans *run.Answer, name string) error {
	if q.Kind == run.ForApproval {
		return nil
	}
	if q.Kind == run.ForOutcome {
		if len(ans.Value) == 0 {
			return nil
		}
		var word string
		if json.Unmarshal(ans.Value, &word) != nil || word != "done" && word != "not_done" {
			return fmt.Errorf("%s wants done or not_done: %w", name, fault.Invalid)
		}
		ans.Yes, ans.Value = word == "done", nil
		return nil
	}
	if len(ans.Value) == 0 {
		return fmt.Errorf("%s is a question; answer it with a value: %w", name, fault.Invalid)
	}
	return fitValue(q, ans.Value, name)
}
