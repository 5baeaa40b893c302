package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"riposte/connector"
	"riposte/internal/alert"
	"riposte/internal/auth"
	"riposte/internal/cases"
	"riposte/internal/engine"
	"riposte/internal/expr"
	"riposte/internal/fault"
	"riposte/internal/guard"
	"riposte/internal/httpapi"
	"riposte/internal/observable"
	"riposte/internal/run"
	"riposte/internal/store"
	"riposte/playbook"
)

type engineUpdate = engine.Update

// fitValue holds the answer of an ask against its options or form.
func fitValue(q run.Question, raw json.RawMessage, name string) error {
	v, err := expr.DecodeJSON(raw)
	if err != nil {
		return fmt.Errorf("%s: the answer is not JSON: %w", name, fault.Invalid)
	}
	if len(q.Options) > 0 {
		if word, ok := v.(string); ok && slices.Contains(q.Options, word) {
			return nil
		}
		return fmt.Errorf("%s wants one of %s: %w", name, strings.Join(q.Options, ", "), fault.Invalid)
	}
	if q.Form == nil {
		return nil
	}
	schema, err := connector.CompileSchema(q.Form)
	if err != nil {
		return err
	}
	var wrong []string
	for _, p := range schema.Check(v) {
		wrong = append(wrong, p.String())
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%s: the answer does not fit: %s: %w", name, strings.Join(wrong, "; "), fault.Invalid)
	}
	return nil
}

// Alerts lists alerts, the newest first.
func (a api) Alerts(ctx context.Context, who auth.Caller, f httpapi.AlertFilter, p httpapi.Page) (out httpapi.Found[httpapi.Alert], err error) {
	filter := store.AlertFilter{Text: f.Text, Observable: f.Observable, Case: f.Case}
	if f.Status != "" {
		filter.Statuses = []alert.Status{alert.Status(f.Status)}
	}
	if f.Source != "" {
		filter.Sources = []string{f.Source}
	}
	filter.Severities = from(f.MinSeverity)
	err = a.read(ctx, func(q *store.Reader) error {
		page, err := store.ListAlerts(q, who.Tenant, filter, slice(p))
		out, err = found(page, err, func(x alert.Alert) httpapi.Alert {
			x.Fields = nil
			return showAlert(x)
		})
		return err
	})
	return out, err
}

// from lists the severities from one up, none for 0.
func from(least int) (list []int) {
	for n := least; n > 0 && n <= 5; n++ {
		list = append(list, n)
	}
	return list
}

func showAlert(x alert.Alert) httpapi.Alert {
	s := httpapi.Alert{
		ID: x.ID.String(), Source: x.Source, Title: x.Title, Description: x.Description, Severity: httpapi.SeverityOf(x.Severity), Category: x.Category,
		Status: string(x.Status), Count: x.Count, Time: utc(x.Time), Received: utc(x.Received), LastSeen: utc(x.LastSeen), Techniques: x.Techniques, Link: x.Link,
		Mapping: x.Mapping, Error: x.Error, Fields: x.Fields, Raw: x.Raw,
	}
	for _, o := range x.Observables {
		s.Observables = append(s.Observables, httpapi.Observable{Type: o.Type, Value: o.Value, Role: o.Role})
	}
	for _, e := range x.Entities {
		s.Entities = append(s.Entities, httpapi.Entity{Kind: e.Kind, Value: e.Value, Role: e.Role})
	}
	return s
}

// Alert reads one, with everything.
func (a api) Alert(ctx context.Context, who auth.Caller, n int64) (out httpapi.Alert, err error) {
	err = a.read(ctx, func(q *store.Reader) error {
		x, err := store.Alert(q, who.Tenant, alert.ID(n))
		if err != nil {
			return err
		}
		out = showAlert(x)
		in, err := store.CasesOfAlert(q, alert.ID(n))
		if len(in) > 0 {
			out.Case = in[0].String()
		}
		return err
	})
	if err != nil {
		return out, err
	}
	runs, err := a.db.Journal().List(ctx, store.RunQuery{Tenant: tenantOf(who.Tenant), Alert: n, Limit: 100})
	for _, r := range runs {
		out.Runs = append(out.Runs, r.Run.String())
	}
	return out, err
}

// Cases lists cases, the last changed first.
func (a api) Cases(ctx context.Context, who auth.Caller, f httpapi.CaseFilter, p httpapi.Page) (out httpapi.Found[httpapi.Case], err error) {
	filter := store.CaseFilter{Text: f.Text, ByUpdate: true, Severities: from(f.MinSeverity)}
	if f.Status != "" {
		filter.Statuses = []cases.Status{cases.Status(f.Status)}
	}
	if f.Owner != "" {
		owner := f.Owner
		if owner == "me" {
			owner = who.Name
		}
		filter.Owner = &owner
	}
	err = a.read(ctx, func(q *store.Reader) error {
		page, err := store.ListCases(q, who.Tenant, filter, slice(p))
		out, err = found(page, err, showCase)
		return err
	})
	return out, err
}

func showCase(x cases.Case) httpapi.Case {
	s := httpapi.Case{
		ID: x.ID.String(), Title: x.Title, Summary: x.Summary, Status: string(x.Status), Severity: httpapi.SeverityOf(x.Severity), Verdict: string(x.Verdict),
		Reason: x.Reason, Owner: x.Owner, TLP: x.TLP, PAP: x.PAP, Tags: x.Tags, Opened: utc(x.Opened), Updated: utc(x.Updated), Closed: utc(x.Closed),
		OpenTasks: x.OpenTasks, AlertCount: x.Counts.Alerts, Revision: int64(x.Version),
	}
	for k, raw := range x.Fields {
		if s.Fields == nil {
			s.Fields = map[string]any{}
		}
		s.Fields[k] = raw
	}
	return s
}

func byName(b cases.By) string {
	if b.Kind == cases.ByPerson {
		return b.Name
	}
	return string(b.Kind) + ":" + b.Name
}

func showTask(t cases.Task) httpapi.Task {
	s := httpapi.Task{
		ID: strconv.Itoa(t.N), Title: t.Title, Text: t.Text, Status: "open", Assignee: t.Assignee, Due: utc(t.Due), By: byName(t.By), Added: utc(t.Created),
		Done: utc(t.Done), DoneBy: t.DoneBy,
	}
	if !t.Done.IsZero() {
		s.Status = "done"
	}
	return s
}

// Case reads one with what it holds.
func (a api) Case(ctx context.Context, who auth.Caller, n int64) (out httpapi.Case, err error) {
	err = a.read(ctx, func(q *store.Reader) error {
		v, err := store.ViewCase(q, who.Tenant, cases.ID(n))
		if err != nil {
			return err
		}
		out = showCase(v.Case)
		for _, x := range v.Alerts {
			out.Alerts = append(out.Alerts, x.String())
		}
		for _, o := range v.Observables {
			out.Observables = append(out.Observables, httpapi.Observable{Type: o.Type, Value: o.Value, Role: o.Role, Verdict: o.Verdict})
		}
		for _, t := range v.Tasks {
			out.Tasks = append(out.Tasks, showTask(t))
		}
		return nil
	})
	if err != nil {
		return out, err
	}
	runs, err := a.db.Journal().List(ctx, store.RunQuery{Tenant: tenantOf(who.Tenant), Case: n, Limit: 200})
	for _, r := range runs {
		out.Runs = append(out.Runs, r.Run.String())
	}
	return out, err
}

func person(who auth.Caller) cases.By { return cases.By{Kind: cases.ByPerson, Name: who.Name} }

// OpenCase opens a case with its alerts.
func (a api) OpenCase(ctx context.Context, who auth.Caller, n httpapi.NewCase) (httpapi.Case, error) {
	open := cases.Open{Title: n.Title, Description: n.Summary, Severity: max(n.Severity.Number(), 1), Owner: n.Owner, TLP: n.TLP, PAP: n.PAP, Tags: n.Tags}
	if n.Severity == "" {
		open.Severity = 3
	}
	var err error
	if open.Fields, err = rawFields(n.Fields); err != nil {
		return httpapi.Case{}, err
	}
	done, err := a.openCase(ctx, who.Tenant, open, person(who))
	if err != nil {
		return httpapi.Case{}, stale(err)
	}
	if err := a.link(ctx, who, done.Case.ID, n.AlertIDs); err != nil {
		return httpapi.Case{}, err
	}
	return a.Case(ctx, who, int64(done.Case.ID))
}

func rawFields(fields map[string]any) (map[string]json.RawMessage, error) {
	if fields == nil {
		return nil, nil
	}
	out := map[string]json.RawMessage{}
	for k, v := range fields {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("fields.%s: %w", k, err)
		}
		out[k] = b
	}
	return out, nil
}

// link puts alerts into a case.
func (a api) link(ctx context.Context, who auth.Caller, id cases.ID, alerts []int64) error {
	if len(alerts) == 0 {
		return nil
	}
	return a.write(ctx, func(tx *store.Tx) error {
		for _, n := range alerts {
			x, err := store.Alert(&tx.Reader, who.Tenant, alert.ID(n))
			if err != nil {
				return err
			}
			if err := linkAlert(tx, who.Tenant, id, &x, a.now().UTC(), person(who)); err != nil {
				return err
			}
		}
		return nil
	})
}

// ChangeCase changes a case that is still at a revision.
func (a api) ChangeCase(ctx context.Context, who auth.Caller, n, seen int64, c httpapi.CaseChange) (httpapi.Case, error) {
	id := cases.ID(n)
	fields, err := rawFields(c.Fields)
	if err != nil {
		return httpapi.Case{}, err
	}
	set := cases.Set{Title: c.Title, Summary: c.Summary, Owner: c.Owner, TLP: c.TLP, PAP: c.PAP, Fields: fields}
	if c.Severity != nil {
		number := c.Severity.Number()
		set.Severity = &number
	}
	if c.Verdict != nil && (c.Status == nil || *c.Status != "closed") {
		v := cases.Verdict(*c.Verdict)
		set.Verdict = &v
	}
	if c.Tags != nil {
		if set.AddTags, set.RemoveTags, err = a.tags(ctx, who, id, *c.Tags); err != nil {
			return httpapi.Case{}, err
		}
	}
	done, err := a.changeCase(ctx, who.Tenant, id, int(seen), set, person(who))
	if err == nil && c.Status != nil {
		_, err = a.turn(ctx, who, done.Case, c)
	}
	if err == nil {
		err = a.link(ctx, who, id, c.AlertIDs)
	}
	if err != nil {
		return httpapi.Case{}, stale(err)
	}
	return a.Case(ctx, who, n)
}

// tags tells what to add and remove so that a case has exactly some tags.
func (a api) tags(ctx context.Context, who auth.Caller, id cases.ID, want []string) (add, remove []string, err error) {
	err = a.read(ctx, func(q *store.Reader) error {
		c, err := store.Case(q, who.Tenant, id)
		for _, t := range c.Tags {
			if !slices.Contains(want, t) {
				remove = append(remove, t)
			}
		}
		return err
	})
	return want, remove, err
}

// turn closes a case or opens it again.
func (a api) turn(ctx context.Context, who auth.Caller, now cases.Case, c httpapi.CaseChange) (cases.Applied, error) {
	if *c.Status == string(now.Status) {
		return cases.Applied{Case: now}, nil
	}
	if *c.Status == "open" {
		return a.changeCase(ctx, who.Tenant, now.ID, 0, cases.Reopen{Reason: deref(c.Reason)}, person(who))
	}
	verdict := now.Verdict
	if c.Verdict != nil {
		verdict = cases.Verdict(*c.Verdict)
	}
	return a.changeCase(ctx, who.Tenant, now.ID, 0, cases.Close{Verdict: verdict, Reason: deref(c.Reason)}, person(who))
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Timeline lists what happened in a case, the newest first.
func (a api) Timeline(ctx context.Context, who auth.Caller, n int64, p httpapi.Page) (out httpapi.Found[httpapi.CaseEvent], err error) {
	err = a.read(ctx, func(q *store.Reader) error {
		if _, err := store.Case(q, who.Tenant, cases.ID(n)); err != nil {
			return err
		}
		page, err := store.Timeline(q, who.Tenant, cases.ID(n), slice(p))
		out, err = found(page, err, showEntry)
		return err
	})
	return out, err
}

func showEntry(e cases.Entry) httpapi.CaseEvent {
	s := httpapi.CaseEvent{ID: int64(e.N), Time: utc(e.At), Kind: string(e.Kind), By: byName(e.By), Text: e.What, Run: e.By.Run.String()}
	for _, l := range e.Links {
		switch {
		case strings.HasPrefix(l, "A-"):
			s.Alert = l
		case strings.HasPrefix(l, "R-") && s.Run == "":
			s.Run = l
		}
	}
	detail := map[string]any{}
	if e.Field != "" {
		detail["field"] = e.Field
	}
	if e.By.Step != "" {
		detail["step"] = e.By.Step
	}
	if e.Old != nil {
		detail["old"] = e.Old
	}
	if e.New != nil {
		detail["new"] = e.New
	}
	if len(e.Links) > 0 {
		detail["links"] = e.Links
	}
	if len(detail) > 0 {
		if b, err := json.Marshal(detail); err == nil {
			s.Detail = b
		}
	}
	return s
}

// AddNote writes a note.
func (a api) AddNote(ctx context.Context, who auth.Caller, n int64, text string) (httpapi.CaseEvent, error) {
	done, err := a.changeCase(ctx, who.Tenant, cases.ID(n), 0, cases.AddNote{Text: text}, person(who))
	if err != nil || len(done.Entries) == 0 {
		return httpapi.CaseEvent{}, stale(err)
	}
	return showEntry(done.Entries[len(done.Entries)-1]), nil
}

// AddTask gives people something to do.
func (a api) AddTask(ctx context.Context, who auth.Caller, n int64, t httpapi.NewTask) (httpapi.Task, error) {
	done, err := a.changeCase(ctx, who.Tenant, cases.ID(n), 0, cases.AddTask{Title: t.Title, Text: t.Text, Assignee: t.Assignee, Due: t.Due}, person(who))
	if err != nil || done.Task == nil {
		return httpapi.Task{}, stale(err)
	}
	return showTask(*done.Task), nil
}

// ChangeTask changes a task of a case that is still at a revision.
func (a api) ChangeTask(ctx context.Context, who auth.Caller, n, seen int64, task string, c httpapi.TaskChange) (httpapi.Task, error) {
	number, err := strconv.Atoi(task)
	if err != nil {
		return httpapi.Task{}, fmt.Errorf("task %q of case %s: %w", task, cases.ID(n), fault.NotFound)
	}
	set := cases.SetTask{N: number, Title: c.Title, Text: c.Text, Assignee: c.Assignee, Due: c.Due}
	if c.Status != nil {
		is := *c.Status == "done"
		set.Done = &is
	}
	done, err := a.changeCase(ctx, who.Tenant, cases.ID(n), int(seen), set, person(who))
	if err != nil {
		return httpapi.Task{}, stale(err)
	}
	if done.Task != nil {
		return showTask(*done.Task), nil
	}
	all, err := a.Case(ctx, who, n)
	for _, t := range all.Tasks {
		if t.ID == task {
			return t, nil
		}
	}
	return httpapi.Task{}, errors.Join(err, fmt.Errorf("task %s: %w", task, fault.NotFound))
}

// AddObservables adds values; where no type is given it is seen from the value.
func (a api) AddObservables(ctx context.Context, who auth.Caller, n int64, list []httpapi.NewObservable) (out []httpapi.Observable, err error) {
	for _, x := range list {
		o := observable.Observable{Type: observable.Type(x.Type), Value: x.Value}
		if x.Type != "" {
			o, err = observable.Parse(o.Type, x.Value)
		} else if f := observable.Extract(x.Value); len(f) > 0 {
			o = f[0].Observable()
		} else {
			err = fmt.Errorf("%q is no observable that is known; say its type: %w", x.Value, fault.Invalid)
		}
		if err != nil {
			return out, err
		}
		if _, err := a.changeCase(ctx, who.Tenant, cases.ID(n), 0, cases.AddObservable{Type: string(o.Type), Value: o.Value}, person(who)); err != nil {
			return out, stale(err)
		}
		out = append(out, httpapi.Observable{Type: string(o.Type), Value: o.Value})
	}
	return out, nil
}

// Entries lists ledger entries, the newest first.
func (a api) Entries(ctx context.Context, who auth.Caller, f httpapi.LedgerFilter, p httpapi.Page) (out httpapi.Found[httpapi.LedgerEntry], err error) {
	err = a.read(ctx, func(q *store.Reader) error {
		page, err := store.ListLedger(q, who.Tenant, ledgerFilter(f), slice(p))
		out, err = found(page, err, showLedger)
		return err
	})
	return out, err
}

func ledgerFilter(f httpapi.LedgerFilter) store.LedgerFilter {
	return store.LedgerFilter{State: guard.EntryState(f.State), Run: run.ID(f.Run), Case: f.Case, Playbook: f.Playbook, Target: f.Target}
}

func showLedger(e store.LedgerEntry) httpapi.LedgerEntry {
	s := httpapi.LedgerEntry{
		ID: guard.EntryID(e.ID).String(), State: string(e.State), Done: e.Done, Undo: e.Action + e.UndoEntry.Playbook, Connection: e.Connection, With: e.With,
		At: utc(e.At), Due: utc(e.Due), Run: e.Run.String(), Step: e.Step, Playbook: e.Playbook, Version: e.Version, Case: cases.ID(e.Case).String(),
		TakenBy: e.TakenBy, Reason: e.Why, UndoRun: e.TakenRun.String(), Ended: utc(e.Ended), Problem: e.Problem, Targets: []httpapi.Target{},
	}
	for _, t := range e.Targets {
		s.Targets = append(s.Targets, httpapi.Target{Kind: string(t.Kind), Value: t.Value})
	}
	return s
}

// Entry reads one.
func (a api) Entry(ctx context.Context, who auth.Caller, n int64) (out httpapi.LedgerEntry, err error) {
	err = a.read(ctx, func(q *store.Reader) error {
		e, err := store.LedgerEntryOf(q, tenantOf(who.Tenant), n)
		out = showLedger(e)
		return err
	})
	return out, err
}

// Undo takes entries back, each by a run of its own.
func (a api) Undo(ctx context.Context, who auth.Caller, u httpapi.Undo) ([]httpapi.LedgerEntry, error) {
	reason, err := guard.ParseReason(u.Reason)
	if err != nil {
		return nil, err
	}
	ids := []int64{u.Entry}
	if u.Entry != 0 {
		if _, err := a.Entry(ctx, who, u.Entry); err != nil {
			return nil, err
		}
		if _, err := a.engine.Undo(ctx, u.Entry, who.Name, string(reason)); err != nil {
			return nil, err
		}
	} else {
		if ids, err = a.wanted(ctx, who, u); err != nil {
			return nil, err
		}
		a.engine.UndoAll(ids, who.Name, string(reason))
	}
	var out []httpapi.LedgerEntry
	for _, n := range ids {
		e, err := a.Entry(ctx, who, n)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// wanted lists the open and failed entries that an undo of many names.
func (a api) wanted(ctx context.Context, who auth.Caller, u httpapi.Undo) (ids []int64, err error) {
	f := store.LedgerFilter{Run: run.ID(u.Run), Playbook: u.Playbook}
	if u.Target != nil {
		f.Target = u.Target.Value
	}
	err = a.read(ctx, func(q *store.Reader) error {
		s := store.Slice{Limit: 1000}
		for {
			page, err := store.ListLedger(q, who.Tenant, f, s)
			if err != nil {
				return err
			}
			for _, e := range page.Items {
				if wants(u, &e) {
					ids = append(ids, e.ID)
				}
			}
			if page.Next == "" {
				return nil
			}
			s.Cursor = page.Next
		}
	})
	if err == nil && len(ids) == 0 {
		err = fmt.Errorf("nothing of this is in force: %w", fault.NotFound)
	}
	return ids, err
}

func wants(u httpapi.Undo, e *store.LedgerEntry) bool {
	until := u.Until
	if until.IsZero() {
		until = time.Unix(1<<40, 0)
	}
	return (e.State == guard.EntryOpen || e.State == guard.EntryFailed) && (u.Version == 0 || u.Version == e.Version) &&
		!e.At.Before(u.Since) && e.At.Before(until) &&
		(u.Target == nil || slices.ContainsFunc(e.Targets, func(t connector.Target) bool { return string(t.Kind) == u.Target.Kind }))
}

func diagnostics(all []playbook.Diagnostic) []httpapi.Diagnostic {
	out := []httpapi.Diagnostic{}
	for _, d := range all {
		out = append(out, httpapi.Diagnostic{Line: d.Line, Column: d.Column, Severity: string(d.Severity), Code: d.Code, Message: d.Message})
	}
	return out
}
