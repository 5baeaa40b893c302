package app

import (
	"context"
	"fmt"

	"riposte/internal/auth"
	"riposte/internal/expr"
	"riposte/internal/fault"
	"riposte/internal/run"
	"riposte/playbook"
)

// Once is a text that is run once, by hand, without being published.
type Once struct {
	Playbook  string // its slug
	Text      string
	Inputs    map[string]any
	Alert     map[string]any // nil: none
	Case      map[string]any
	Indicator map[string]any
	Owner     string // whose run it is
}

// Operator finds in whose name the program works when it is used on its own
// machine: whoever is named, else somebody who may do everything.
func (a *App) Operator(name string) (string, error) {
	if name != "" {
		if _, ok := a.core.people.Caller(name, utc(a.core.now())); !ok {
			return "", fmt.Errorf("there is no person %q in this installation: %w", name, fault.NotFound)
		}
		return name, nil
	}
	for _, p := range a.core.people.People() {
		if a.core.people.Can(p.Name, auth.PeopleWrite) && a.core.people.Can(p.Name, auth.RunsStart) {
			return p.Name, nil
		}
	}
	return "", fmt.Errorf("nobody in this installation may do everything; give somebody the role %s: %w", auth.Admin, fault.NotFound)
}

// RunOnce starts a text. The guard stands before its changes as before all
// others, and what it does is in the ledger: whoever runs this installation next
// takes it back when its time is over.
func (a *App) RunOnce(ctx context.Context, o Once) (run.ID, error) {
	plan, err := a.core.plans.Draft(ctx, tenantOf(""), o.Playbook, o.Text)
	if err != nil {
		return 0, err
	}
	s := run.Start{Tenant: tenantOf(""), Playbook: plan.ID, Plan: plan.Hash, By: o.Owner, Available: a.core.plans.Available("", plan)}
	given, err := a.begins(plan, o, &s)
	if err != nil {
		return 0, err
	}
	for k, v := range o.Inputs {
		given[k] = expr.Normalize(v)
	}
	if given, err = plan.FillInputs(given); err != nil {
		return 0, err
	}
	if s.Inputs, err = expr.EncodeJSON(given); err != nil {
		return 0, err
	}
	return a.core.engine.Start(ctx, s, "")
}

// begins puts the objects into the start and fills inputs from the one that the
// playbook starts on.
func (a *App) begins(plan *playbook.Plan, o Once, s *run.Start) (map[string]any, error) {
	t := &playbook.Trigger{Kind: playbook.OnManual}
	var object run.Object
	var err error
	if o.Indicator != nil {
		t.Kind, object.Indicator = playbook.OnIndicator, o.Indicator
		s.Indicator, err = expr.EncodeJSON(o.Indicator)
	}
	if o.Case != nil && err == nil {
		t.Kind, object.Case = playbook.OnCase, o.Case
		s.Case, err = expr.EncodeJSON(o.Case)
	}
	if o.Alert != nil && err == nil {
		t.Kind, object.Alert = playbook.OnAlert, o.Alert
		s.Alert, err = expr.EncodeJSON(o.Alert)
		s.Severity, _ = o.Alert["severity"].(int)
	}
	if err != nil {
		return nil, err
	}
	for i := range plan.Triggers {
		if plan.Triggers[i].Kind == t.Kind {
			t = &plan.Triggers[i]
			break
		}
	}
	return run.FromTrigger(plan, t, object, utc(a.core.now()))
}
