package app

import (
	"context"

	"riposte/internal/alert"
	"riposte/internal/auth"
	"riposte/internal/cases"
	"riposte/internal/httpapi"
	"riposte/internal/store"
)

// Alerts lists alerts.
func (a *api) Alerts(ctx context.Context, who auth.Caller, f httpapi.AlertFilter, p httpapi.Page) (httpapi.Found[httpapi.Alert], error) {
	page, err := read(ctx, a, func(q *store.Reader) (store.Page[alert.Alert], error) {
		if f.Case != 0 {
			return store.AlertsOfCase(q, who.Tenant, cases.ID(f.Case), slice(p))
		}
		s := store.AlertFilter{Severities: severityFrom(f.MinSeverity), Text: f.Text, Observable: f.Observable, Into: f.Into, Errors: f.Unread}
		if f.Status != "" {
			s.Statuses = []alert.Status{alert.Status(f.Status)}
		}
		if f.Band != "" {
			s.Bands = []alert.Band{alert.Band(f.Band)}
		}
		s.Ready, s.ByScore = f.Ready, f.ByScore
		if f.Source != "" {
			s.Sources = []string{f.Source}
		}
		return store.ListAlerts(q, who.Tenant, s, slice(p))
	})
	return found(page, err, wireAlert)
}

// Alert reads one with everything.
func (a *api) Alert(ctx context.Context, who auth.Caller, n int64) (httpapi.Alert, error) {
	var inCases []cases.ID
	var events []alert.Event
	var closing httpapi.Alert
	rec, err := read(ctx, a, func(q *store.Reader) (alert.Alert, error) {
		rec, err := store.Alert(q, who.Tenant, alert.ID(n))
		if err != nil {
			return rec, err
		}
		if events, err = store.AlertHistory(q, who.Tenant, rec.ID); err != nil {
			return rec, err
		}
		if inCases, err = store.CasesOfAlert(q, rec.ID); err != nil {
			return rec, err
		}
		return rec, wireClosings(q, &closing, &rec)
	})
	if err != nil {
		return httpapi.Alert{}, err
	}
	w := wireAlert(rec)
	w.Fields, w.Raw, w.History, w.Closing = rec.Fields, rec.Raw, wireEvents(events), closing.Closing
	if len(inCases) > 0 {
		w.Case = inCases[len(inCases)-1].String()
		if w.Status == string(alert.InCase) {
			w.Into = w.Case
		}
	}
	runs, err := a.db.Journal().List(ctx, store.RunQuery{Tenant: tenantOf(who.Tenant), Alert: n, Limit: 100})
	for _, r := range runs {
		w.Runs = append(w.Runs, r.Run.String())
	}
	return w, err
}

func wireAlert(r alert.Alert) httpapi.Alert {
	w := httpapi.Alert{
		ID: r.ID.String(), Source: r.Source, Title: r.Title, Description: r.Description, Severity: httpapi.SeverityOf(r.Severity),
		Category: r.Category, Status: string(r.Status), Count: max(r.Count, 1), Time: r.Time, Received: r.Received, LastSeen: r.LastSeen,
		Techniques: r.Techniques, Link: r.Link, Mapping: r.Mapping, Error: r.Error,
		Tags: r.Tags, Rule: r.Rule, Rules: r.RulesNo, Outcome: r.Outcome, Folded: r.Folded, Verdict: r.Verdict, Problems: r.Problems,
	}
	if r.Into != 0 {
		w.Into = r.Into.String()
	}
	if g := r.Given; g != nil {
		w.Given = &httpapi.GivenAlert{Severity: httpapi.SeverityOf(g.Severity), Category: g.Category, Tags: g.Tags}
	}
	wireScore(&w, &r)
	for _, o := range r.Observables {
		w.Observables = append(w.Observables, httpapi.Observable{Type: o.Type, Value: o.Value, Role: o.Role})
	}
	for _, e := range r.Entities {
		w.Entities = append(w.Entities, httpapi.Entity{Kind: e.Kind, Value: e.Value, Role: e.Role})
	}
	return w
}
