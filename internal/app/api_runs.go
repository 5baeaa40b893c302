package app

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"riposte/internal/alert"
	"riposte/internal/auth"
	"riposte/internal/cases"
	"riposte/internal/engine"
	"riposte/internal/expr"
	"riposte/internal/fault"
	"riposte/internal/httpapi"
	"riposte/internal/id"
	"riposte/internal/run"
	"riposte/internal/store"
	"riposte/playbook"
)

// Runs lists runs. The cursor is the ID of the last one.
func (a *api) Runs(ctx context.Context, who auth.Caller, f httpapi.RunFilter, p httpapi.Page) (httpapi.Found[httpapi.Run], error) {
	var out httpapi.Found[httpapi.Run]
	before, err := id.Parse("R", p.Cursor)
	if err != nil {
		return out, httpapi.BadCursor()
	}
	list, err := a.db.Journal().List(ctx, store.RunQuery{
		Tenant: tenantOf(who.Tenant), Status: run.Status(f.Status), Playbook: f.Playbook, Case: f.Case, Alert: f.Alert,
		Parent: run.ID(f.Parent), Code: f.Code, Before: run.ID(before), Limit: p.Limit + 1,
	})
	if err != nil {
		return out, err
	}
	if len(list) > p.Limit {
		list = list[:p.Limit]
		out.Next = list[p.Limit-1].Run.String()
	}
	for _, s := range list {
		out.Items = append(out.Items, wireRun(s))
	}
	return out, nil
}

func wireRun(s run.Summary) httpapi.Run {
	w := httpapi.Run{
		ID: s.Run.String(), Playbook: s.Playbook, Version: s.Version, Status: string(s.Status), Waiting: s.Waiting, Paused: s.Paused,
		Severity: httpapi.SeverityOf(s.Severity), By: s.By, Case: caseRef(s.Case), Alert: alertRef(s.Alert), Parent: s.Parent.String(),
		From: s.From.String(), Undoes: entryRef(s.Undoes), Started: s.Started, Ended: s.Ended, LastEvent: (s.Last+1)*eventsPerRecord - 1,
	}
	if s.Code != "" {
		w.Error = &httpapi.RunError{Code: s.Code, Message: s.Message, Step: s.Step}
	}
	return w
}

func wireStep(v run.StepView) httpapi.Step {
	w := httpapi.Step{
		Path: v.Path, Step: v.Step, Verb: v.Verb, Line: v.Line, Status: string(v.Status), Action: v.Action, Connection: v.Connection,
		Attempts: v.Attempts, Started: v.Started, Ended: v.Ended, Taken: v.Taken, Handled: v.Handled, By: v.By, Answer: v.Answer,
		Child: v.Child.String(), Inputs: v.Inputs, Output: v.Output,
	}
	if v.Error != nil {
		w.Error = &httpapi.RunError{Code: v.Error.Code, Message: v.Error.Message, Step: v.Error.Step}
	}
	return w
}

// Run reads one with its steps.
func (a *api) Run(ctx context.Context, who auth.Caller, n int64) (httpapi.Run, error) {
	v, err := a.engine.Get(ctx, run.ID(n))
	if err == nil {
		err = foreign(v.Tenant, who, run.ID(n))
	}
	if err != nil {
		return httpapi.Run{}, err
	}
	w := wireRun(v.Summary)
	for _, s := range v.Steps {
		w.Steps = append(w.Steps, wireStep(s))
	}
	if len(v.Outputs) > 0 {
		if w.Outputs, err = expr.EncodeJSON(v.Outputs); err != nil {
			return w, err
		}
	}
	w.Inputs, err = a.inputsOf(ctx, run.ID(n))
	return w, err
}

// foreign makes a record of another tenant one that is not there.
func foreign(tenant string, who auth.Caller, what fmt.Stringer) error {
	if tenantOf(tenant) != tenantOf(who.Tenant) {
		return fmt.Errorf("there is no %s: %w", what, fault.NotFound)
	}
	return nil
}

func (a *api) inputsOf(ctx context.Context, n run.ID) (json.RawMessage, error) {
	events, err := a.engine.History(ctx, n)
	if err != nil || len(events) == 0 || events[0].Start == nil {
		return nil, err
	}
	return events[0].Start.Inputs, nil
}

// summary finds a run of the caller's tenant.
func (a *api) summary(ctx context.Context, who auth.Caller, n int64) (run.Summary, error) {
	s, ok, err := a.engine.Summary(ctx, run.ID(n))
	if err == nil && !ok {
		err = fmt.Errorf("there is no %s: %w", run.ID(n), fault.NotFound)
	}
	if err == nil {
		err = foreign(s.Tenant, who, run.ID(n))
	}
	return s, err
}

// Start starts a run by hand.
func (a *api) Start(ctx context.Context, who auth.Caller, n httpapi.NewRun, key string) (httpapi.Run, error) {
	plan, err := a.planOf(ctx, who, n)
	if err != nil {
		return httpapi.Run{}, err
	}
	manual, err := manualOf(plan, who)
	if err != nil {
		return httpapi.Run{}, err
	}
	s := run.Start{Tenant: tenantOf(who.Tenant), Playbook: plan.ID, Version: plan.Version, Plan: plan.Hash, By: who.Name, AlertID: n.AlertID, CaseID: n.CaseID}
	o, err := a.objects(ctx, who, &s)
	if err != nil {
		return httpapi.Run{}, err
	}
	given, err := run.FromTrigger(plan, manual, o, utc(a.now()))
	if err != nil {
		return httpapi.Run{}, err
	}
	for name, v := range n.Inputs {
		given[name] = expr.Normalize(v)
	}
	if given, err = plan.FillInputs(given); err != nil {
		return httpapi.Run{}, err
	}
	if s.Inputs, err = expr.EncodeJSON(given); err != nil {
		return httpapi.Run{}, err
	}
	s.Available = a.plans.Available(s.Tenant, plan)
	var started run.ID
	err = a.audited(ctx, who, "run.start", "playbook:"+plan.ID, map[string]any{"version": plan.Version}, func() (err error) {
		started, err = a.engine.Start(ctx, s, key)
		return err
	})
	if err != nil {
		return httpapi.Run{}, err
	}
	sum, err := a.summary(ctx, who, int64(started))
	return wireRun(sum), err
}

func (a *api) planOf(ctx context.Context, who auth.Caller, n httpapi.NewRun) (*playbook.Plan, error) {
	if !n.Draft {
		return a.plans.Published(tenantOf(who.Tenant), n.Playbook, n.Version)
	}
	d, err := a.Draft(ctx, who, n.Playbook)
	if err != nil {
		return nil, err
	}
	plan, err := a.plans.Draft(ctx, tenantOf(who.Tenant), n.Playbook, d.Text)
	return plan, checkFailed(err)
}

// manualOf finds the trigger by which a person may start a playbook.
func manualOf(p *playbook.Plan, who auth.Caller) (*playbook.Trigger, error) {
	roles := []string{}
	for i := range p.Triggers {
		t := &p.Triggers[i]
		if t.Kind != playbook.OnManual {
			continue
		}
		if len(t.Roles) == 0 {
			return t, nil
		}
		for _, r := range t.Roles {
			if who.Is("role:" + strings.TrimPrefix(r, "role:")) {
				return t, nil
			}
		}
		roles = append(roles, t.Roles...)
	}
	if len(roles) > 0 {
		return nil, fmt.Errorf("start %s: it is for the roles %s: %w", p.ID, strings.Join(roles, ", "), fault.Denied)
	}
	return nil, fmt.Errorf("start %s: it has no manual trigger, so people cannot start it: %w", p.ID, fault.Conflict)
}

// objects reads the alert and the case that a run is started on. The case of an
// alert is the case of the run.
func (a *api) objects(ctx context.Context, who auth.Caller, s *run.Start) (o run.Object, err error) {
	err = a.db.Read(ctx, func(q *store.Reader) error {
		if s.AlertID != 0 {
			rec, err := store.Alert(q, who.Tenant, alert.ID(s.AlertID))
			if err != nil {
				return noSuch("/alert", "alert "+alertRef(s.AlertID), err)
			}
			object := rec.Object()
			o.Alert, s.Severity = object, rec.Severity
			if s.Alert, err = expr.EncodeJSON(object); err != nil {
				return err
			}
			if s.CaseID == 0 {
				in, err := store.CasesOfAlert(q, rec.ID)
				if err != nil {
					return err
				}
				if len(in) > 0 {
					s.CaseID = int64(in[len(in)-1])
				}
			}
		}
		if s.CaseID == 0 {
			return nil
		}
		c, err := store.Case(q, who.Tenant, cases.ID(s.CaseID))
		if err != nil {
			return noSuch("/case", "case "+caseRef(s.CaseID), err)
		}
		s.Severity = max(s.Severity, c.Severity)
		if s.Case, err = caseObject(q, tenantOf(who.Tenant), c.ID); err != nil {
			return err
		}
		o.Case, err = expr.DecodeJSON(s.Case)
		return err
	})
	return o, err
}

// Retry starts a new run from a failed one. A run is retried once, whatever the
// key.
func (a *api) Retry(ctx context.Context, who auth.Caller, n int64, _ string) (httpapi.Run, error) {
	if _, err := a.summary(ctx, who, n); err != nil {
		return httpapi.Run{}, err
	}
	var next run.ID
	err := a.audited(ctx, who, "run.retry", run.ID(n).String(), nil, func() (err error) {
		next, err = a.engine.Retry(ctx, run.ID(n), who.Name)
		return err
	})
	if err != nil {
		return httpapi.Run{}, err
	}
	s, err := a.summary(ctx, who, int64(next))
	return wireRun(s), err
}

// RetryAll retries all that failed for one reason.
func (a *api) RetryAll(ctx context.Context, who auth.Caller, f httpapi.RetryFilter) (httpapi.Retried, error) {
	var done engine.Retried
	err := a.audited(ctx, who, "run.retry_all", "", map[string]any{"filter": f}, func() (err error) {
		done, err = a.engine.RetryAll(ctx, run.Filter{
			Tenant: tenantOf(who.Tenant), Playbook: f.Playbook, Code: f.Code, Step: f.Step, Message: f.Message,
		}, who.Name)
		return err
	})
	out := httpapi.Retried{Skipped: done.Skipped + len(done.Errors)}
	for _, n := range done.Started {
		out.Started = append(out.Started, n.String())
	}
	for _, err := range done.Errors {
		a.log.Warn("run not retried", "error", err)
	}
	return out, err
}

// control does something to a run of the caller's tenant.
func (a *api) control(ctx context.Context, who auth.Caller, act string, n int64, reason string, do func(context.Context, run.ID, string, string) error) error {
	if _, err := a.summary(ctx, who, n); err != nil {
		return err
	}
	detail := map[string]any{}
	if reason != "" {
		detail["reason"] = reason
	}
	return a.audited(ctx, who, act, run.ID(n).String(), detail, func() error { return do(ctx, run.ID(n), who.Name, reason) })
}

// Cancel ends a run.
func (a *api) Cancel(ctx context.Context, who auth.Caller, n int64, reason string) error {
	return a.control(ctx, who, "run.cancel", n, reason, a.engine.Cancel)
}

// Pause pauses a run.
func (a *api) Pause(ctx context.Context, who auth.Caller, n int64, reason string) error {
	return a.control(ctx, who, "run.pause", n, reason, a.engine.Pause)
}

// Resume lets a run go on.
func (a *api) Resume(ctx context.Context, who auth.Caller, n int64, reason string) error {
	return a.control(ctx, who, "run.resume", n, reason, a.engine.Resume)
}

// Watch sends what happens to a run.
func (a *api) Watch(ctx context.Context, who auth.Caller, n, after int64) (<-chan httpapi.RunEvent, bool, error) {
	sum, err := a.summary(ctx, who, n)
	if err != nil {
		return nil, false, err
	}
	events := make(chan httpapi.RunEvent, 16)
	w := &watcher{ctx: ctx, to: events, after: after}
	a.running.Go(func() {
		defer close(events)
		// The record that after lies in is read again: a part of it may be new.
		err := a.engine.Watch(ctx, run.ID(n), after/eventsPerRecord-1, w.update)
		if err != nil && ctx.Err() == nil {
			a.log.Warn("run not watched to its end", "run_id", run.ID(n).String(), "error", err)
			select {
			case events <- httpapi.RunEvent{Err: err}:
			case <-ctx.Done():
			}
		}
	})
	return events, sum.Status.Final(), nil
}

// eventsPerRecord is how many numbers a record of the journal has for the events
// that watchers get of it: its place times this, and counted on.
const eventsPerRecord = 1 << 12

// watcher turns updates into events with rising numbers.
type watcher struct {
	ctx   context.Context
	to    chan<- httpapi.RunEvent
	after int64
	last  string // what the run was last told to be
}

func (w *watcher) update(u engine.Update) error {
	n := u.Seq * eventsPerRecord
	for _, s := range u.Steps {
		step := wireStep(s)
		n++
		if err := w.send(httpapi.RunEvent{N: n, Kind: httpapi.EventStep, Step: &step}); err != nil {
			return err
		}
	}
	r := wireRun(u.Summary)
	now := fmt.Sprint(r.Status, r.Waiting, r.Paused, r.Case)
	if now == w.last && !u.Summary.Status.Final() {
		return nil
	}
	w.last = now
	kind := httpapi.EventRun
	if u.Summary.Status.Final() {
		kind = httpapi.EventEnd
	}
	return w.send(httpapi.RunEvent{N: n + 1, Kind: kind, Run: &r})
}

func (w *watcher) send(e httpapi.RunEvent) error {
	if e.N <= w.after {
		return nil
	}
	select {
	case w.to <- e:
		return nil
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
}
