package store

import (
	"encoding/json"
	"fmt"

	"riposte/internal/alert"
	"riposte/internal/cases"
)

// after reads a page of the parts of one case, in the order of a number that is
// unique in it. rest is the query from SELECT to the condition on the case; the
// page condition and order are added.
func after[T any](q *Reader, list, query, column string, id cases.ID, s Slice, scan func(*Rows, *T) error, key func(T) int64) (Page[T], error) {
	from, err := s.place(list, atBottom)
	if err != nil {
		return Page[T]{}, err
	}
	size := s.size()
	items, err := all(q, scan, query+" AND "+column+" > ? ORDER BY "+column+" LIMIT ?", int64(id), from.sort, size+1)
	if err != nil {
		return Page[T]{}, fmt.Errorf("list %s of case %s: %w", list, id, err)
	}
	p := Page[T]{Items: items}
	if len(items) > size {
		p.Items = items[:size]
		p.Next = place{sort: key(items[size-1])}.cursor(list)
	}
	return p, nil
}

// exists finds out whether the tenant has the case: fault.NotFound if not.
func exists(q *Reader, tenant string, id cases.ID) error {
	var n int
	err := q.QueryRow("SELECT 1 FROM cases WHERE id = ? AND tenant = ?", int64(id), tenantOf(tenant)).Scan(&n)
	if err != nil {
		return fmt.Errorf("read case %s: %w", id, err)
	}
	return nil
}

// Timeline lists what happened in a case, in the order in which it happened:
// what was found out later stands where it belongs.
func Timeline(q *Reader, tenant string, id cases.ID, s Slice) (p Page[cases.Entry], err error) {
	if err := exists(q, tenant, id); err != nil {
		return p, err
	}
	from, err := s.place("timeline", atBottom)
	if err != nil {
		return p, err
	}
	size := s.size()
	p.Items, err = all(q, scanEntry, `SELECT n, at, kind, body FROM case_timeline
		WHERE case_id = ? AND (at, n) > (?, ?) ORDER BY at, n LIMIT ?`, int64(id), from.sort, from.id, size+1)
	if err != nil {
		return p, fmt.Errorf("list timeline of case %s: %w", id, err)
	}
	if len(p.Items) > size {
		p.Items = p.Items[:size]
		last := p.Items[size-1]
		p.Next = place{last.At.UnixMicro(), int64(last.N)}.cursor("timeline")
	}
	return p, nil
}

// Tasks lists the tasks of a case, the oldest first.
func Tasks(q *Reader, tenant string, id cases.ID, s Slice) (Page[cases.Task], error) {
	if err := exists(q, tenant, id); err != nil {
		return Page[cases.Task]{}, err
	}
	return after(q, "tasks", "SELECT "+taskColumns+" FROM case_tasks WHERE case_id = ?", "n", id, s,
		func(r *Rows, t *cases.Task) error { return scanTask(t, r.Scan) },
		func(t cases.Task) int64 { return int64(t.N) })
}

// Notes lists the notes of a case, the oldest first.
func Notes(q *Reader, tenant string, id cases.ID, s Slice) (Page[cases.Note], error) {
	if err := exists(q, tenant, id); err != nil {
		return Page[cases.Note]{}, err
	}
	return after(q, "notes", "SELECT "+noteColumns+" FROM case_notes WHERE case_id = ?", "n", id, s,
		func(r *Rows, n *cases.Note) error { return scanNote(n, r.Scan) },
		func(n cases.Note) int64 { return int64(n.N) })
}

// EvidenceOf lists what is kept with a case, the oldest first.
func EvidenceOf(q *Reader, tenant string, id cases.ID, s Slice) (Page[cases.Evidence], error) {
	if err := exists(q, tenant, id); err != nil {
		return Page[cases.Evidence]{}, err
	}
	scan := func(r *Rows, e *cases.Evidence) error {
		var body json.RawMessage
		if err := r.Scan(&body); err != nil {
			return err
		}
		return json.Unmarshal(body, e)
	}
	return after(q, "evidence", "SELECT body FROM case_evidence WHERE case_id = ?", "n", id, s, scan,
		func(e cases.Evidence) int64 { return int64(e.N) })
}

// AlertsOfCase lists the alerts of a case without their raw events, the oldest
// first.
func AlertsOfCase(q *Reader, tenant string, id cases.ID, s Slice) (Page[alert.Alert], error) {
	if err := exists(q, tenant, id); err != nil {
		return Page[alert.Alert]{}, err
	}
	links, err := after(q, "case-alerts", "SELECT alert_id, added FROM case_alerts WHERE case_id = ?", "alert_id", id, s,
		func(r *Rows, l *cases.AlertLink) error { return scanLink(l, r.Scan) },
		func(l cases.AlertLink) int64 { return int64(l.Alert) })
	if err != nil {
		return Page[alert.Alert]{}, err
	}
	p := Page[alert.Alert]{Items: make([]alert.Alert, len(links.Items)), Next: links.Next}
	for i, l := range links.Items {
		err := scanAlert(&p.Items[i], q.QueryRow("SELECT "+alertColumns+" FROM alerts WHERE id = ?", int64(l.Alert)).Scan)
		if err != nil {
			return p, fmt.Errorf("read alert %s: %w", l.Alert, err)
		}
		p.Items[i].Raw = nil // a list is not the place for it
	}
	return p, nil
}

// Observables lists the observables of a case, by type and value.
func Observables(q *Reader, tenant string, id cases.ID, s Slice) (Page[cases.Observable], error) {
	if err := exists(q, tenant, id); err != nil {
		return Page[cases.Observable]{}, err
	}
	last, err := s.text("observables")
	if err != nil {
		return Page[cases.Observable]{}, err
	}
	kind, value, _ := cutObservable(last)
	size := s.size()
	items, err := all(q, func(r *Rows, o *cases.Observable) error { return scanObservable(o, r.Scan) },
		"SELECT "+observableColumns+" FROM case_observables WHERE case_id = ? AND (type, value) > (?, ?) ORDER BY type, value LIMIT ?",
		int64(id), kind, value, size+1)
	if err != nil {
		return Page[cases.Observable]{}, fmt.Errorf("list the observables of case %s: %w", id, err)
	}
	p := Page[cases.Observable]{Items: items}
	if len(items) > size {
		o := items[size-1]
		p.Items, p.Next = items[:size], textCursor("observables", o.Type+":"+o.Value)
	}
	return p, nil
}

// OpenTask is an open task and the case it belongs to.
type OpenTask struct {
	Case cases.ID `json:"case"`
	cases.Task
}

// OpenTasks lists what a person (or group:…, role:…) has to do, the most urgent
// first; tasks without a due time come first of all.
func OpenTasks(q *Reader, tenant, assignee string, limit int) ([]OpenTask, error) {
	return all(q, func(r *Rows, t *OpenTask) error {
		return scanTask(&t.Task, func(into ...any) error { return r.Scan(append([]any{&t.Case}, into...)...) })
	}, "SELECT case_id, "+taskColumns+" FROM case_tasks WHERE tenant = ? AND assignee = ? AND done = 0 ORDER BY due, case_id, n LIMIT ?",
		tenantOf(tenant), assignee, Slice{Limit: limit}.size())
}

// How many parts of a case a playbook sees at most.
const viewParts = 1000

// ViewCase reads a case as playbooks see it: fault.NotFound if there is none in
// the tenant.
func ViewCase(q *Reader, tenant string, id cases.ID) (v cases.View, err error) {
	if v.Case, err = Case(q, tenant, id); err != nil {
		return v, err
	}
	some := Slice{Limit: viewParts}
	tasks, err := Tasks(q, tenant, id, some)
	if err != nil {
		return v, err
	}
	notes, err := Notes(q, tenant, id, some)
	if err != nil {
		return v, err
	}
	observables, err := Observables(q, tenant, id, some)
	if err != nil {
		return v, err
	}
	v.Tasks, v.Notes, v.Observables = tasks.Items, notes.Items, observables.Items
	v.Alerts, err = all(q, func(r *Rows, a *alert.ID) error { return r.Scan(a) },
		"SELECT alert_id FROM case_alerts WHERE case_id = ? ORDER BY alert_id LIMIT ?", int64(id), viewParts)
	return v, err
}
