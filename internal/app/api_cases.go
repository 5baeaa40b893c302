package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"riposte/internal/alert"
	"riposte/internal/auth"
	"riposte/internal/cases"
	"riposte/internal/fault"
	"riposte/internal/httpapi"
	"riposte/internal/observable"
	"riposte/internal/store"
)

// Cases lists cases, the last changed first.
func (a *api) Cases(ctx context.Context, who auth.Caller, f httpapi.CaseFilter, p httpapi.Page) (httpapi.Found[httpapi.Case], error) {
	s := store.CaseFilter{Severities: severityFrom(f.MinSeverity), Text: f.Text, ByUpdate: true}
	if f.Status != "" {
		s.Statuses = []cases.Status{cases.Status(f.Status)}
	}
	if f.Owner != "" {
		s.Owner = &f.Owner
	}
	page, err := read(ctx, a, func(q *store.Reader) (store.Page[cases.Case], error) {
		return store.ListCases(q, who.Tenant, s, slice(p))
	})
	return found(page, err, wireCase)
}

func wireCase(c cases.Case) httpapi.Case {
	w := httpapi.Case{
		ID: c.ID.String(), Title: c.Title, Summary: c.Summary, Status: string(c.Status), Severity: httpapi.SeverityOf(c.Severity),
		Verdict: string(c.Verdict), Reason: c.Reason, Owner: c.Owner, TLP: c.TLP, PAP: c.PAP, Tags: c.Tags, Opened: c.Opened,
		Updated: c.Updated, Closed: c.Closed, OpenTasks: c.OpenTasks, AlertCount: c.Counts.Alerts, Revision: int64(c.Version),
	}
	if len(c.Fields) > 0 {
		w.Fields = map[string]any{}
		for k, raw := range c.Fields {
			w.Fields[k] = raw
		}
	}
	return w
}

// Case reads one with what it holds.
func (a *api) Case(ctx context.Context, who auth.Caller, n int64) (httpapi.Case, error) {
	v, err := read(ctx, a, func(q *store.Reader) (cases.View, error) { return store.ViewCase(q, who.Tenant, cases.ID(n)) })
	if err != nil {
		return httpapi.Case{}, err
	}
	w := wireCase(v.Case)
	for _, x := range v.Alerts {
		w.Alerts = append(w.Alerts, x.String())
	}
	for _, o := range v.Observables {
		w.Observables = append(w.Observables, httpapi.Observable{Type: o.Type, Value: o.Value, Role: o.Role, Verdict: o.Verdict})
	}
	for _, t := range v.Tasks {
		w.Tasks = append(w.Tasks, wireTask(t))
	}
	runs, err := a.db.Journal().List(ctx, store.RunQuery{Tenant: tenantOf(who.Tenant), Case: n, Limit: 200})
	for _, r := range runs {
		w.Runs = append(w.Runs, r.Run.String())
	}
	return w, err
}

func wireTask(t cases.Task) httpapi.Task {
	w := httpapi.Task{
		ID: strconv.Itoa(t.N), Title: t.Title, Text: t.Text, Status: "open", Assignee: t.Assignee, Due: t.Due, By: byText(t.By),
		Added: t.Created, Done: t.Done, DoneBy: t.DoneBy,
	}
	if !t.Done.IsZero() {
		w.Status = "done"
	}
	return w
}

// byText says who or what acted, in one word.
func byText(b cases.By) string {
	if b.Kind == cases.ByPerson || b.Kind == "" {
		return b.Name
	}
	return string(b.Kind) + ":" + b.Name
}

func fieldsOf(m map[string]any) (map[string]json.RawMessage, error) {
	if m == nil {
		return nil, nil
	}
	out := map[string]json.RawMessage{}
	for k, v := range m {
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", k, fault.Invalid)
		}
		out[k] = raw
	}
	return out, nil
}

// OpenCase opens a case and puts its alerts into it, in one transaction.
func (a *api) OpenCase(ctx context.Context, who auth.Caller, n httpapi.NewCase) (httpapi.Case, error) {
	fields, err := fieldsOf(n.Fields)
	if err != nil {
		return httpapi.Case{}, err
	}
	open := cases.Open{Title: n.Title, Severity: n.Severity.Number(), Owner: n.Owner, TLP: n.TLP, PAP: n.PAP, Tags: n.Tags, Fields: fields}
	if open.Severity == 0 {
		open.Severity = 3
	}
	if err := a.isPerson("/owner", n.Owner); err != nil {
		return httpapi.Case{}, err
	}
	var opened cases.ID
	err = a.inOneWrite(ctx, func(tx *store.Tx) ([]func(), error) {
		done, err := store.OpenCase(tx, who.Tenant, open, utc(a.now()), person(who))
		if err != nil {
			return nil, err
		}
		opened = done.Case.ID
		if n.Summary != "" {
			if done, err = store.ChangeCase(tx, who.Tenant, opened, 0, cases.Set{Summary: &n.Summary}, utc(a.now()), person(who)); err != nil {
				return nil, err
			}
		}
		if err := a.link(tx, who, opened, n.AlertIDs); err != nil {
			return nil, err
		}
		done.Entries = []cases.Entry{{Kind: cases.Opened}}
		return a.caseChanged(tx, who.Tenant, done, nil)
	})
	if err != nil {
		return httpapi.Case{}, err
	}
	return a.Case(ctx, who, int64(opened))
}

// inOneWrite does what do does in one transaction and begins what that starts
// once it is on disk.
func (a *api) inOneWrite(ctx context.Context, do func(tx *store.Tx) ([]func(), error)) error {
	var begin []func()
	err := a.db.Write(ctx, func(tx *store.Tx) (err error) {
		begin, err = do(tx)
		return err
	})
	if err == nil {
		beginAll(begin)
	}
	return staleOf(err)
}

// isPerson refuses a name that nobody has.
func (a *api) isPerson(pointer, name string) error {
	if name == "" {
		return nil
	}
	if _, ok := a.people.Person(name); !ok {
		return httpapi.WrongField(pointer, fmt.Sprintf("there is no person %q", name))
	}
	return nil
}

// link puts alerts and what was seen in them into a case.
func (a *api) link(tx *store.Tx, who auth.Caller, c cases.ID, ids []int64) error {
	for i, n := range ids {
		rec, err := store.Alert(&tx.Reader, who.Tenant, alert.ID(n))
		if err != nil {
			return noSuch(fmt.Sprintf("/alerts/%d", i), "alert "+alertRef(n), err)
		}
		if _, err := linkAlert(tx, who.Tenant, c, &rec, utc(a.now()), person(who)); err != nil {
			return err
		}
	}
	return nil
}

// ChangeCase changes a case in one transaction.
func (a *api) ChangeCase(ctx context.Context, who auth.Caller, n, seen int64, ch httpapi.CaseChange) (httpapi.Case, error) {
	if ch.Owner != nil {
		if err := a.isPerson("/owner", *ch.Owner); err != nil {
			return httpapi.Case{}, err
		}
	}
	err := a.inOneWrite(ctx, func(tx *store.Tx) ([]func(), error) {
		c, err := store.Case(&tx.Reader, who.Tenant, cases.ID(n))
		if err != nil {
			return nil, err
		}
		if int64(c.Version) != seen {
			return nil, fmt.Errorf("change case %s: %w", c.ID, httpapi.ErrStale)
		}
		changes, err := changesOf(c, ch)
		if err != nil {
			return nil, err
		}
		return a.change(tx, who, c.ID, changes, ch.AlertIDs)
	})
	if err != nil {
		return httpapi.Case{}, err
	}
	return a.Case(ctx, who, n)
}

// change does several changes as one.
func (a *api) change(tx *store.Tx, who auth.Caller, n cases.ID, changes []cases.Change, alerts []int64) ([]func(), error) {
	before, err := a.caseMap(&tx.Reader, who.Tenant, n)
	if err != nil {
		return nil, err
	}
	var all cases.Applied
	for _, ch := range changes {
		done, err := store.ChangeCase(tx, who.Tenant, n, 0, ch, utc(a.now()), person(who))
		if err != nil {
			return nil, err
		}
		all.Case, all.Entries = done.Case, append(all.Entries, done.Entries...)
	}
	if err := a.link(tx, who, n, alerts); err != nil {
		return nil, err
	}
	if len(alerts) > 0 {
		if all.Case, err = store.Case(&tx.Reader, who.Tenant, n); err != nil {
			return nil, err
		}
		all.Entries = append(all.Entries, cases.Entry{Kind: cases.AlertAdded})
	}
	if len(all.Entries) == 0 {
		return nil, nil
	}
	return a.caseChanged(tx, who.Tenant, all, before)
}

// changesOf takes a request apart into what it means for the case as it is.
func changesOf(c cases.Case, ch httpapi.CaseChange) ([]cases.Change, error) {
	fields, err := fieldsOf(ch.Fields)
	if err != nil {
		return nil, err
	}
	set := cases.Set{Title: ch.Title, Summary: ch.Summary, Owner: ch.Owner, TLP: ch.TLP, PAP: ch.PAP, Fields: fields}
	if ch.Severity != nil {
		n := ch.Severity.Number()
		set.Severity = &n
	}
	if ch.Tags != nil {
		for _, t := range *ch.Tags {
			if !slices.Contains(c.Tags, t) {
				set.AddTags = append(set.AddTags, t)
			}
		}
		for _, t := range c.Tags {
			if !slices.Contains(*ch.Tags, t) {
				set.RemoveTags = append(set.RemoveTags, t)
			}
		}
	}
	closing := ch.Status != nil && *ch.Status == "closed" && c.Status != cases.IsClosed
	opening := ch.Status != nil && *ch.Status == "open" && c.Status == cases.IsClosed
	if ch.Verdict != nil && !closing {
		v := cases.Verdict(*ch.Verdict)
		set.Verdict = &v
	}
	var all []cases.Change
	reason := ""
	if ch.Reason != nil {
		reason = *ch.Reason
	}
	if opening {
		all = append(all, cases.Reopen{Reason: reason})
	}
	all = append(all, set)
	if closing {
		verdict := c.Verdict
		if ch.Verdict != nil {
			verdict = cases.Verdict(*ch.Verdict)
		}
		if verdict == "" {
			return nil, httpapi.WrongField("/verdict", "a case is closed with a verdict")
		}
		all = append(all, cases.Close{Verdict: verdict, Reason: reason})
	} else if reason != "" && !opening {
		return nil, httpapi.WrongField("/reason", "it goes with closing or opening again")
	}
	return all, nil
}

// Timeline lists what happened in a case.
func (a *api) Timeline(ctx context.Context, who auth.Caller, n int64, p httpapi.Page) (httpapi.Found[httpapi.CaseEvent], error) {
	page, err := read(ctx, a, func(q *store.Reader) (store.Page[cases.Entry], error) {
		if _, err := store.Case(q, who.Tenant, cases.ID(n)); err != nil {
			return store.Page[cases.Entry]{}, err
		}
		return store.Timeline(q, who.Tenant, cases.ID(n), slice(p))
	})
	return found(page, err, wireEvent)
}

func wireEvent(e cases.Entry) httpapi.CaseEvent {
	w := httpapi.CaseEvent{ID: int64(e.N), Time: e.At, Kind: string(e.Kind), By: byText(e.By), Text: e.What, Links: e.Links, Field: e.Field, Old: e.Old, New: e.New}
	if e.By.Run != 0 {
		w.Run = e.By.Run.String()
	}
	w.Step = e.By.Step
	for _, l := range e.Links {
		if strings.HasPrefix(l, alertCode+"-") && w.Alert == "" {
			w.Alert = l
		}
	}
	return w
}

// AddNote writes a note.
func (a *api) AddNote(ctx context.Context, who auth.Caller, n int64, text string) (httpapi.CaseEvent, error) {
	done, err := a.changeCase(ctx, who.Tenant, cases.ID(n), 0, cases.AddNote{Text: text}, person(who))
	if err != nil || len(done.Entries) == 0 {
		return httpapi.CaseEvent{}, err
	}
	return wireEvent(done.Entries[len(done.Entries)-1]), nil
}

// AddTask adds a task.
func (a *api) AddTask(ctx context.Context, who auth.Caller, n int64, t httpapi.NewTask) (httpapi.Task, error) {
	if err := a.canHave("/assignee", t.Assignee); err != nil {
		return httpapi.Task{}, err
	}
	done, err := a.changeCase(ctx, who.Tenant, cases.ID(n), 0,
		cases.AddTask{Title: t.Title, Text: t.Text, Assignee: t.Assignee, Due: utc(t.Due)}, person(who))
	if err != nil || done.Task == nil {
		return httpapi.Task{}, err
	}
	return wireTask(*done.Task), nil
}

// canHave refuses to give work to people that are not there.
func (a *api) canHave(pointer, ref string) error {
	if ref == "" {
		return nil
	}
	if problem := a.people.Problem(ref); problem != "" {
		return httpapi.WrongField(pointer, problem)
	}
	return nil
}

// ChangeTask changes a task.
func (a *api) ChangeTask(ctx context.Context, who auth.Caller, n, seen int64, task string, ch httpapi.TaskChange) (httpapi.Task, error) {
	no, err := strconv.Atoi(task)
	if err != nil || no < 1 {
		return httpapi.Task{}, fmt.Errorf("case %s has no task %q: %w", caseRef(n), task, fault.NotFound)
	}
	set := cases.SetTask{N: no, Title: ch.Title, Text: ch.Text, Assignee: ch.Assignee, Due: ch.Due}
	if ch.Assignee != nil {
		if err := a.canHave("/assignee", *ch.Assignee); err != nil {
			return httpapi.Task{}, err
		}
	}
	if ch.Status != nil {
		done := *ch.Status == "done"
		set.Done = &done
	}
	done, err := a.changeCase(ctx, who.Tenant, cases.ID(n), int(seen), set, person(who))
	if err != nil {
		return httpapi.Task{}, staleOf(err)
	}
	if done.Task != nil {
		return wireTask(*done.Task), nil
	}
	return a.task(ctx, who, n, no)
}

// task reads one: a change that changed nothing does not give it back.
func (a *api) task(ctx context.Context, who auth.Caller, n int64, no int) (httpapi.Task, error) {
	v, err := read(ctx, a, func(q *store.Reader) (cases.View, error) { return store.ViewCase(q, who.Tenant, cases.ID(n)) })
	if err != nil {
		return httpapi.Task{}, err
	}
	for _, t := range v.Tasks {
		if t.N == no {
			return wireTask(t), nil
		}
	}
	return httpapi.Task{}, fmt.Errorf("case %s has no task %d: %w", caseRef(n), no, fault.NotFound)
}

// AddObservables adds values, all or none.
func (a *api) AddObservables(ctx context.Context, who auth.Caller, n int64, list []httpapi.NewObservable) ([]httpapi.Observable, error) {
	var changes []cases.Change
	for i, o := range list {
		kind, value, err := observableOf(o)
		if err != nil {
			return nil, httpapi.WrongField(fmt.Sprintf("/observables/%d", i), err.Error())
		}
		changes = append(changes, cases.AddObservable{Type: kind, Value: value})
	}
	var added []httpapi.Observable
	err := a.inOneWrite(ctx, func(tx *store.Tx) ([]func(), error) {
		added = nil // the job may be done twice
		before, err := a.caseMap(&tx.Reader, who.Tenant, cases.ID(n))
		if err != nil {
			return nil, err
		}
		var all cases.Applied
		for _, ch := range changes {
			done, err := store.ChangeCase(tx, who.Tenant, cases.ID(n), 0, ch, utc(a.now()), person(who))
			if err != nil {
				return nil, err
			}
			if len(done.Entries) > 0 && done.Observable != nil {
				added = append(added, httpapi.Observable{Type: done.Observable.Type, Value: done.Observable.Value, Verdict: done.Observable.Verdict})
			}
			all.Case, all.Entries = done.Case, append(all.Entries, done.Entries...)
		}
		if len(all.Entries) == 0 {
			return nil, nil
		}
		return a.caseChanged(tx, who.Tenant, all, before)
	})
	return added, err
}

// observableOf reads a value, defanged or not, and sees its type where none is
// given.
func observableOf(o httpapi.NewObservable) (kind, value string, err error) {
	if o.Type != "" {
		seen, err := observable.Parse(observable.Type(o.Type), o.Value)
		if err != nil {
			return "", "", errors.New(strings.TrimSuffix(err.Error(), ": "+fault.Invalid.Error()))
		}
		return string(seen.Type), seen.Value, nil
	}
	found := observable.Extract(o.Value)
	if len(found) != 1 || found[0].AsWritten != strings.TrimSpace(o.Value) {
		return "", "", errors.New("what kind of value this is cannot be seen; give its type")
	}
	return string(found[0].Type), found[0].Value, nil
}
