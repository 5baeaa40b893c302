package store

import (
	"encoding/json"
	"errors"
	"fmt"

	"riposte/internal/alert"
	"riposte/internal/cases"
)

// loadParts reads what a change touches beside the head.
func loadParts(q *Reader, c cases.Case, ch cases.Change) (p cases.Parts, err error) {
	want := ch.Part()
	switch {
	case want.Task != 0:
		p.Task, err = one(scanTask, q.QueryRow("SELECT "+taskColumns+" FROM case_tasks WHERE case_id = ? AND n = ?", int64(c.ID), want.Task))
	case want.Note != 0:
		p.Note, err = one(scanNote, q.QueryRow("SELECT "+noteColumns+" FROM case_notes WHERE case_id = ? AND n = ?", int64(c.ID), want.Note))
	case want.Key != "" && want.ForTask:
		p.Task, err = one(scanTask, q.QueryRow("SELECT "+taskColumns+" FROM case_tasks WHERE case_id = ? AND call_key = ?", int64(c.ID), want.Key))
	case want.Key != "":
		p.Note, err = one(scanNote, q.QueryRow("SELECT "+noteColumns+" FROM case_notes WHERE case_id = ? AND call_key = ?", int64(c.ID), want.Key))
	case want.Alert != 0:
		p.Alert, err = one(scanLink, q.QueryRow("SELECT alert_id, added FROM case_alerts WHERE case_id = ? AND alert_id = ?", int64(c.ID), int64(want.Alert)))
	case want.Type != "":
		p.Observable, err = one(scanObservable, q.QueryRow("SELECT "+observableColumns+" FROM case_observables WHERE case_id = ? AND type = ? AND value = ?", int64(c.ID), want.Type, want.Value))
	}
	if err != nil {
		return p, fmt.Errorf("read a part of case %s: %w", c.ID, err)
	}
	return p, nil
}

// one reads a record that need not be there: nil then.
func one[T any](scan func(*T, func(into ...any) error) error, row Row) (*T, error) {
	var v T
	err := scan(&v, row.Scan)
	if errors.Is(err, ErrNoRow) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &v, nil
}

// taskBody is what of a task nothing searches by.
type taskBody struct {
	Text     string   `json:"text,omitempty"`
	DoneBy   string   `json:"done_by,omitempty"`
	Evidence []string `json:"evidence,omitempty"`
	Created  int64    `json:"created"`
	By       cases.By `json:"by"`
}

const (
	taskColumns       = "n, call_key, title, assignee, due, done, body"
	noteColumns       = "n, call_key, created, edited, by_json, text"
	observableColumns = "type, value, role, verdict, score, note, added, updated"
)

func scanTask(t *cases.Task, scan func(into ...any) error) error {
	var body json.RawMessage
	if err := scan(&t.N, &t.Key, &t.Title, &t.Assignee, &t.Due, &t.Done, &body); err != nil {
		return err
	}
	var b taskBody
	if err := json.Unmarshal(body, &b); err != nil {
		return err
	}
	t.Text, t.DoneBy, t.Evidence, t.Created, t.By = b.Text, b.DoneBy, b.Evidence, clock(b.Created), b.By
	return nil
}

func scanNote(n *cases.Note, scan func(into ...any) error) error {
	var by json.RawMessage
	if err := scan(&n.N, &n.Key, &n.Created, &n.Edited, &by, &n.Text); err != nil {
		return err
	}
	return json.Unmarshal(by, &n.By)
}

func scanObservable(o *cases.Observable, scan func(into ...any) error) error {
	return scan(&o.Type, &o.Value, &o.Role, &o.Verdict, &o.Score, &o.Note, &o.Added, &o.Updated)
}

func scanLink(l *cases.AlertLink, scan func(into ...any) error) error {
	return scan(&l.Alert, &l.Added)
}

// saveParts stores what a change added beside the head.
func saveParts(tx *Tx, done *cases.Applied) error {
	c := done.Case
	save := []func() error{
		func() error { return saveTask(tx, c, done.Task) },
		func() error { return saveNote(tx, c, done.Note) },
		func() error { return saveObservable(tx, c, done.Observable) },
		func() error { return saveEvidence(tx, c, done.Evidence) },
		func() error { return linkAlert(tx, c, done.Alert, done.Entries) },
		func() error { return unlinkAlert(tx, c, done.Unlinked, done.Entries) },
		func() error { return saveEntries(tx, c, done.Entries) },
	}
	for _, f := range save {
		if err := f(); err != nil {
			return fmt.Errorf("store a part of case %s: %w", c.ID, err)
		}
	}
	return nil
}

func saveTask(tx *Tx, c cases.Case, t *cases.Task) error {
	if t == nil {
		return nil
	}
	body, err := json.Marshal(taskBody{t.Text, t.DoneBy, t.Evidence, micros(t.Created), t.By})
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO case_tasks (tenant, case_id, `+taskColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (case_id, n) DO UPDATE SET title = excluded.title, assignee = excluded.assignee, due = excluded.due,
			done = excluded.done, body = excluded.body`,
		c.Tenant, int64(c.ID), t.N, null(t.Key), t.Title, t.Assignee, t.Due, t.Done, json.RawMessage(body))
	return err
}

// null stores an empty text as NULL, which breaks no rule of uniqueness.
func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func saveNote(tx *Tx, c cases.Case, n *cases.Note) error {
	if n == nil {
		return nil
	}
	by, err := json.Marshal(n.By)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO case_notes (tenant, case_id, `+noteColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (case_id, n) DO UPDATE SET text = excluded.text, edited = excluded.edited`,
		c.Tenant, int64(c.ID), n.N, null(n.Key), n.Created, n.Edited, json.RawMessage(by), n.Text)
	return err
}

func saveObservable(tx *Tx, c cases.Case, o *cases.Observable) error {
	if o == nil {
		return nil
	}
	_, err := tx.Exec(`INSERT INTO case_observables (tenant, case_id, `+observableColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (case_id, type, value) DO UPDATE SET role = excluded.role, verdict = excluded.verdict, score = excluded.score,
			note = excluded.note, updated = excluded.updated`,
		c.Tenant, int64(c.ID), o.Type, o.Value, o.Role, o.Verdict, o.Score, o.Note, o.Added, o.Updated)
	return err
}

func saveEvidence(tx *Tx, c cases.Case, e *cases.Evidence) error {
	if e == nil {
		return nil
	}
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = tx.Exec("INSERT INTO case_evidence (tenant, case_id, n, hash, body) VALUES (?, ?, ?, ?, ?)",
		c.Tenant, int64(c.ID), e.N, e.Hash, json.RawMessage(body))
	return err
}

// linkAlert links an alert of the same tenant, which is then in a case.
func linkAlert(tx *Tx, c cases.Case, l *cases.AlertLink, entries []cases.Entry) error {
	if l == nil {
		return nil
	}
	if err := movedByCase(tx, c, l.Alert, entries, alert.InCase, c.ID, "Put into case "+c.ID.String()); err != nil {
		return err
	}
	_, err := tx.Exec("INSERT INTO case_alerts (tenant, case_id, alert_id, added) VALUES (?, ?, ?, ?)",
		c.Tenant, int64(c.ID), int64(l.Alert), l.Added)
	return err
}

// unlinkAlert takes an alert out of the case; one that is in no other case is
// new again.
func unlinkAlert(tx *Tx, c cases.Case, l *cases.AlertLink, entries []cases.Entry) error {
	if l == nil {
		return nil
	}
	_, err := tx.Exec("DELETE FROM case_alerts WHERE case_id = ? AND alert_id = ?", int64(c.ID), int64(l.Alert))
	if err != nil {
		return err
	}
	others, err := CasesOfAlert(&tx.Reader, l.Alert)
	if err != nil {
		return err
	}
	to, into := alert.New, cases.ID(0)
	if len(others) > 0 {
		to, into = alert.InCase, others[0]
	}
	return movedByCase(tx, c, l.Alert, entries, to, into, "Taken out of case "+c.ID.String())
}

// entryBody is what of a timeline entry nothing searches by.
type entryBody struct {
	By    cases.By        `json:"by"`
	What  string          `json:"what"`
	Field string          `json:"field,omitempty"`
	Old   json.RawMessage `json:"old,omitempty"`
	New   json.RawMessage `json:"new,omitempty"`
	Links []string        `json:"links,omitempty"`
}

func saveEntries(tx *Tx, c cases.Case, entries []cases.Entry) error {
	for _, e := range entries {
		body, err := json.Marshal(entryBody{e.By, e.What, e.Field, e.Old, e.New, e.Links})
		if err != nil {
			return err
		}
		_, err = tx.Exec("INSERT INTO case_timeline (tenant, case_id, n, at, kind, body) VALUES (?, ?, ?, ?, ?, ?)",
			c.Tenant, int64(c.ID), e.N, e.At, e.Kind, json.RawMessage(body))
		if err != nil {
			return err
		}
	}
	return nil
}

func scanEntry(r *Rows, e *cases.Entry) error {
	var body json.RawMessage
	if err := r.Scan(&e.N, &e.At, &e.Kind, &body); err != nil {
		return err
	}
	var b entryBody
	if err := json.Unmarshal(body, &b); err != nil {
		return err
	}
	e.By, e.What, e.Field, e.Old, e.New, e.Links = b.By, b.What, b.Field, b.Old, b.New, b.Links
	return nil
}
