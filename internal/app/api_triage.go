package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"riposte/internal/alert"
	"riposte/internal/auth"
	"riposte/internal/fault"
	"riposte/internal/httpapi"
	"riposte/internal/run"
	"riposte/internal/store"
	"riposte/internal/triage"
	"riposte/playbook"
)

// TriageRules gives the rules in force, or those of a number.
func (a *api) TriageRules(ctx context.Context, who auth.Caller, no int) (httpapi.TriageRules, error) {
	d := a.triage
	d.mu.Lock()
	rules, inForce, broken := d.rules, d.no, d.broken
	d.mu.Unlock()
	set, err := read(ctx, a, func(q *store.Reader) (store.RuleSet, error) {
		return store.RuleSetOf(q, who.Tenant, cmp.Or(no, inForce))
	})
	if err != nil {
		return httpapi.TriageRules{}, err
	}
	w := httpapi.TriageRules{Number: set.No, Name: set.Name, Hash: set.Hash, Loaded: set.Loaded, Text: set.Text, InForce: set.No == inForce}
	if w.InForce {
		w.Version, w.File, w.Broken = rules.Version, cmp.Or(a.cfg.Triage.Rules, shippedRules), broken
		for _, x := range rules.Warnings(utc(a.now()), a.published(who.Tenant)) {
			w.Warnings = append(w.Warnings, fmt.Sprintf("line %d: %s", x.Line, x.What))
		}
	}
	return w, nil
}

// ReloadTriage reads the rule file again.
func (a *api) ReloadTriage(ctx context.Context, who auth.Caller) (httpapi.TriageRules, error) {
	err := a.audited(ctx, who, "triage.reload", "triage", nil, func() error {
		_, err := a.reloadRules(ctx)
		return err
	})
	if err != nil {
		return httpapi.TriageRules{}, err
	}
	return a.TriageRules(ctx, who, 0)
}

// CheckTriage checks a rule file and runs its tests.
func (a *api) CheckTriage(_ context.Context, who auth.Caller, file, text string) (httpapi.TriageCheck, error) {
	out := httpapi.TriageCheck{Errors: []string{}, Warnings: []string{}, Failed: []string{}}
	file = cmp.Or(file, "rules.yaml")
	rules, err := triage.Parse(file, []byte(text))
	if err != nil {
		out.Errors = append(out.Errors, err.Error())
		return out, nil
	}
	for _, w := range rules.Warnings(utc(a.now()), a.published(who.Tenant)) {
		out.Warnings = append(out.Warnings, fmt.Sprintf("%s:%d: %s", file, w.Line, w.What))
	}
	results := rules.Test()
	out.Tests = len(results)
	for _, r := range results {
		for _, what := range r.Wrong {
			out.Failed = append(out.Failed, fmt.Sprintf("%s:%d: %s: %s", file, r.Line, r.Name, what))
		}
	}
	return out, nil
}

// previewSlice is how many alerts are read at once: the reader's transaction is
// short, and so is what is held in memory.
const previewSlice = 1000

// mostPreviewed bounds what a preview looks at: it must end before its request.
const mostPreviewed = 2_000_000

// PreviewTriage tries rules out on stored alerts.
func (a *api) PreviewTriage(ctx context.Context, who auth.Caller, of httpapi.TriagePreviewOf) (httpapi.TriagePreview, error) {
	began := time.Now()
	a.triage.mu.Lock()
	rules := a.triage.rules
	a.triage.mu.Unlock()
	if of.Text != "" {
		var err error
		if rules, err = triage.Parse(cmp.Or(of.File, "rules.yaml"), []byte(of.Text)); err != nil {
			return httpapi.TriagePreview{}, err
		}
	}
	if of.Until.IsZero() {
		of.Until = a.now()
	}
	of.Since, of.Until = utc(of.Since), utc(of.Until)
	if !of.Until.After(of.Since) {
		return httpapi.TriagePreview{}, httpapi.WrongField("/since", "it is not before until, or now")
	}
	p := triage.NewPreview(rules)
	own := a.ownTriggers(who.Tenant)
	at := store.Place{}
	for more := true; more && p.Alerts < mostPreviewed; {
		err := a.db.Read(ctx, func(q *store.Reader) error {
			list, next, err := store.AlertsSince(q, who.Tenant, of.Since, of.Until, at, previewSlice)
			if err != nil {
				return err
			}
			for i := range list {
				came, err := cameAs(q, who.Tenant, &list[i])
				if err != nil {
					return err
				}
				p.Add(list[i], came, own)
			}
			at, more = next, len(list) == previewSlice
			return nil
		})
		if err != nil {
			return httpapi.TriagePreview{}, err
		}
	}
	w := wirePreview(p)
	w.Since, w.Until = of.Since, of.Until
	for _, x := range rules.Warnings(utc(a.now()), a.published(who.Tenant)) {
		w.Warnings = append(w.Warnings, fmt.Sprintf("line %d: %s", x.Line, x.What))
	}
	w.Seconds = time.Since(began).Seconds()
	return w, nil
}

// cameAs tells how an alert stood when it came.
func cameAs(q *store.Reader, tenant string, rec *alert.Alert) (triage.Ending, error) {
	if rec.Changes == 0 {
		return triage.Ending{Status: rec.Status, Rule: rec.Rule}, nil
	}
	events, err := store.AlertHistory(q, tenant, rec.ID)
	if err != nil || len(events) == 0 {
		return triage.Ending{Status: rec.Status, Rule: rec.Rule}, err
	}
	e := events[0]
	if len(events) > 1 && events[1].Status == alert.Folded && events[1].By == "rule:"+events[1].Rule { // a storm took it in at once
		e = events[1]
	}
	return triage.Ending{Status: e.Status, Rule: e.Rule}, nil
}

// ownTriggers finds the playbooks whose own triggers an alert meets; nil where
// none listens.
func (a *api) ownTriggers(tenant string) func(map[string]any) []string {
	if !a.plans.listens(tenant, playbook.OnAlert) {
		return nil
	}
	at := utc(a.now())
	return func(object map[string]any) (slugs []string) {
		for _, p := range a.plans.All(tenant) {
			for i := range p.Triggers {
				t := &p.Triggers[i]
				if t.Kind != playbook.OnAlert || t.Event != "new" {
					continue
				}
				if ok, err := run.Matches(t, objectOf(playbook.OnAlert, object), at); err == nil && ok {
					slugs = append(slugs, p.ID)
					break
				}
			}
		}
		return slugs
	}
}

// The most that a preview lists of each.
const (
	mostListedCases    = 100
	mostListedOutcomes = 200
)

func wirePreview(p *triage.Preview) httpapi.TriagePreview {
	w := httpapi.TriagePreview{
		Alerts: p.Alerts, Changed: p.Changed, CaseCount: len(p.Cases), Outcomes: []httpapi.TriageOutcome{}, Rules: []httpapi.TriageRuleHits{},
		Cases: []httpapi.TriageCase{}, Starts: []httpapi.TriageStarts{}, Storms: []httpapi.TriageStorm{}, Problems: []httpapi.TriageProblem{}, Warnings: []string{},
	}
	for _, o := range p.Outcomes() {
		if len(w.Outcomes) < mostListedOutcomes {
			w.Outcomes = append(w.Outcomes, httpapi.TriageOutcome{
				Was: o.Was.String(), Would: o.Would.String(), Count: o.Count, Same: o.Was == o.Would, Examples: alertRefs(o.Alerts),
			})
		}
	}
	p.Hits(func(rule string, was, would int) {
		w.Rules = append(w.Rules, httpapi.TriageRuleHits{Rule: cmp.Or(rule, "(none)"), Was: was, Hits: would})
	})
	for _, c := range p.Cases {
		if len(w.Cases) < mostListedCases {
			w.Cases = append(w.Cases, httpapi.TriageCase{
				Title: c.Title, Severity: httpapi.SeverityOf(c.Severity), Rule: c.Rule, Alerts: c.Alerts, First: c.First.String(),
			})
		}
	}
	for _, s := range slices.SortedFunc(maps.Keys(p.Starts), func(a, b triage.Started) int {
		return cmp.Or(cmp.Compare(a.Playbook, b.Playbook), cmp.Compare(a.By, b.By))
	}) {
		w.Starts = append(w.Starts, httpapi.TriageStarts{Playbook: s.Playbook, By: s.By, Count: p.Starts[s]})
	}
	for _, s := range p.Storms() {
		w.Storms = append(w.Storms, httpapi.TriageStorm{Subject: s.Subject, Rule: s.Rule, Began: s.Began, Folded: s.Folded, Passed: s.Passed})
	}
	for _, what := range slices.Sorted(maps.Keys(p.Problems)) {
		e := p.Problems[what]
		w.Problems = append(w.Problems, httpapi.TriageProblem{Problem: what, Count: e.Count, Alerts: alertRefs(e.Alerts)})
	}
	return w
}

func alertRefs(ids []alert.ID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.String()
	}
	return out
}

// ExplainAlert tells which rules were asked about an alert: those of the set that
// decided about it.
func (a *api) ExplainAlert(ctx context.Context, who auth.Caller, n int64) (httpapi.TriageExplanation, error) {
	var rec alert.Alert
	var set store.RuleSet
	events, err := read(ctx, a, func(q *store.Reader) (events []alert.Event, err error) {
		if rec, err = store.Alert(q, who.Tenant, alert.ID(n)); err != nil {
			return nil, err
		}
		if events, err = store.AlertHistory(q, who.Tenant, rec.ID); err != nil || events[0].RulesNo == 0 {
			return events, err
		}
		if set, err = store.RuleSetOf(q, who.Tenant, events[0].RulesNo); errors.Is(err, fault.NotFound) {
			err = nil
		}
		return events, err
	})
	if err != nil {
		return httpapi.TriageExplanation{}, err
	}
	came := events[0]
	w := httpapi.TriageExplanation{
		Alert: rec.ID.String(), Outcome: came.Outcome, Rule: came.Rule, Rules: came.RulesNo, History: wireEvents(events),
		Asked: []httpapi.TriageAsk{}, Starts: []string{}, Changes: []string{},
	}
	switch {
	case set.No == 0:
		w.Note = "No triage rules were in force when it came."
		return w, nil
	case rec.Error != "":
		w.Note = "It could not be read, so that no rules were asked: " + rec.Error
		return w, nil
	}
	rules, err := triage.Parse(set.Name, []byte(set.Text))
	if err != nil {
		w.Note = "The rules that decided cannot be read by this version any more: " + err.Error()
		return w, nil
	}
	asked, d := rules.Explain(&rec, came)
	for _, x := range asked {
		w.Asked = append(w.Asked, httpapi.TriageAsk{Rule: x.Rule, Held: x.Held, What: x.What, Error: x.Error})
	}
	for _, s := range d.Starts {
		w.Starts = append(w.Starts, fmt.Sprintf("%s by %s", s.Playbook, s.By))
	}
	for _, c := range d.Changes {
		w.Changes = append(w.Changes, c.String())
	}
	w.Why, w.Version = rules.WhyOf(came.Rule), fmt.Sprintf("%s version %d", rules.Name, rules.Version)
	return w, nil
}

// Storms lists storms.
func (a *api) Storms(ctx context.Context, who auth.Caller) ([]httpapi.Storm, error) {
	return read(ctx, a, func(q *store.Reader) ([]httpapi.Storm, error) {
		list, err := store.Storms(q, who.Tenant, 100)
		if err != nil {
			return nil, err
		}
		out := make([]httpapi.Storm, len(list))
		for i, s := range list {
			out[i] = httpapi.Storm{Subject: s.Subject, Rule: s.Storm, Case: s.Case.String(), Alert: s.Alert.String(), Began: s.Began, Ended: s.Ended, Folded: s.Total}
			head, err := store.Alert(q, who.Tenant, s.Alert)
			if err == nil {
				out[i].Folded = head.Folded
			} else if !errors.Is(err, fault.NotFound) {
				return nil, err
			}
		}
		return out, nil
	})
}
