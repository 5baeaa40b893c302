package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"riposte/internal/alert"
	"riposte/internal/cases"
	"riposte/internal/engine"
	"riposte/internal/fault"
	"riposte/internal/guard"
	"riposte/internal/run"
	"riposte/internal/store"
)

// caseBook is the engine's view of cases.
type caseBook core

// Look gives the case as playbooks see it.
func (b *caseBook) Look(ctx context.Context, tenant string, n int64) (raw json.RawMessage, err error) {
	err = b.db.Read(ctx, func(q *store.Reader) error {
		raw, err = caseObject(q, tenant, cases.ID(n))
		return err
	})
	return raw, err
}

// caseObject is a case under the root case of expressions.
func caseObject(q *store.Reader, tenant string, id cases.ID) (json.RawMessage, error) {
	v, err := store.ViewCase(q, tenant, id)
	if err != nil {
		return nil, err
	}
	fields := map[string]any{}
	for k, raw := range v.Fields {
		fields[k] = raw
	}
	o := map[string]any{
		"id": v.ID.String(), "title": v.Title, "description": v.Description, "category": v.Category, "severity": v.Severity,
		"status": string(v.Status), "verdict": text(string(v.Verdict)), "reason": text(v.Reason), "tlp": text(v.TLP), "pap": text(v.PAP),
		"owner": text(v.Owner), "assignee": text(v.Owner), "group": text(v.Group), "tags": v.Tags, "opened": v.Opened, "updated": v.Updated,
		"alerts": v.Case.Counts.Alerts, "observables": v.Observables, "tasks": v.Tasks, "open_tasks": v.OpenTasks, "notes": v.Notes, "fields": fields,
	}
	o["alerts"] = v.Alerts
	if !v.Closed.IsZero() {
		o["closed"] = v.Closed
	}
	return json.Marshal(o)
}

func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// UndoFailed leaves a task for people: nobody may believe that something was
// taken back which was not.
func (b *caseBook) UndoFailed(t engine.Tx, f engine.FailedUndo) error {
	tx := t.(*store.Tx)
	by := cases.By{Kind: cases.BySystem, Name: "ledger", Run: f.Run}
	c, err := caseOfUndo(tx, &f, by)
	if err != nil {
		return err
	}
	entry := guard.EntryID(f.Entry).String()
	_, err = store.ChangeCase(tx, f.Tenant, c, 0, cases.AddTask{
		Title: "Take back " + entry + " by hand", Text: "The undo failed: " + f.Reason, Key: fmt.Sprintf("undo-failed:%d:%d", f.Entry, f.Run),
	}, f.At, by)
	return err
}

// caseOfUndo finds the case for what could not be taken back: that of the entry,
// that which its run opened later, or one of its own where there is none (any
// more). The last starts no playbooks, so that an undo which fails again and
// again sets nothing going.
func caseOfUndo(tx *store.Tx, f *engine.FailedUndo, by cases.By) (cases.ID, error) {
	e, err := store.LedgerEntryOf(&tx.Reader, "", f.Entry)
	if err != nil {
		return 0, err
	}
	ofRun, err := store.CaseOfRun(&tx.Reader, e.Run)
	if err != nil {
		return 0, err
	}
	for _, c := range []cases.ID{cases.ID(f.Case), ofRun} {
		if c == 0 {
			continue
		}
		if _, err := store.Case(&tx.Reader, f.Tenant, c); !errors.Is(err, fault.NotFound) {
			return c, err
		}
	}
	group := "ledger:" + guard.EntryID(f.Entry).String()
	if c, err := store.OpenCaseOfGroup(&tx.Reader, f.Tenant, group); err != nil || c != 0 {
		return c, err
	}
	done, err := store.OpenCase(tx, f.Tenant, cases.Open{
		Title: fmt.Sprintf("Not taken back: %s (%s)", e.Done, guard.EntryID(f.Entry)), Description: onTargets(e.Done, e.Targets), Severity: 3, Group: group,
	}, f.At, by)
	return done.Case.ID, err
}

// Step puts what happened in a run into the timeline of its case.
func (b *caseBook) Step(t engine.Tx, h engine.Happened) error {
	return tellCase(t.(*store.Tx), h)
}

// tellCase writes the timeline entries of one moment of a run.
func tellCase(tx *store.Tx, h engine.Happened) error {
	by := cases.By{Kind: cases.ByPlaybook, Name: h.Start.Playbook, Run: h.Start.Run, Version: h.Start.Version}
	write := func(by cases.By, at time.Time, r cases.Record) error {
		_, err := store.ChangeCase(tx, h.Start.Tenant, cases.ID(h.Start.CaseID), 0, r, at, by)
		return err
	}
	runLink := h.Start.Run.String()
	if h.Run == run.Running {
		if err := write(by, h.At, cases.Record{Kind: cases.RunStarted, What: fmt.Sprintf("Playbook %s started by %s", h.Start.Playbook, startedBy(h.Start)), Links: []string{runLink}}); err != nil {
			return err
		}
	}
	for _, s := range h.Steps {
		if asks(s) {
			continue // the question itself is told
		}
		r, at := stepRecord(s, h.At)
		by.Step = s.Step
		r.Links = append(r.Links, runLink)
		if err := write(by, at, r); err != nil {
			return err
		}
	}
	by.Step = ""
	if h.Run.Final() {
		what := fmt.Sprintf("Playbook %s ended: %s", h.Start.Playbook, words(string(h.Run)))
		if h.Error != nil {
			what += fmt.Sprintf(" (%s: %s)", h.Error.Code, h.Error.Message)
		}
		return write(by, h.At, cases.Record{Kind: cases.RunEnded, What: what, Links: []string{runLink}})
	}
	return nil
}

func startedBy(s *run.Start) string {
	if s.By == "" {
		return "the system"
	}
	return s.By
}

// openFor opens the case of a run that has none yet, or finds the open one of
// its alert's group, and tells it what the run has done so far.
func (c *core) openFor(ctx context.Context, tenant string, runID run.ID, alertID alert.ID, title string, by cases.By) (cases.ID, error) {
	view, err := c.engine.Get(ctx, runID)
	if err != nil {
		return 0, fmt.Errorf("open a case for %s: %w", runID, err)
	}
	if view.Case != 0 {
		return cases.ID(view.Case), nil
	}
	if title == "" {
		title = fmt.Sprintf("%s, run by %s", view.Playbook, startedBy(&run.Start{By: view.By}))
	}
	var opened cases.ID
	var begin []func()
	err = c.db.Write(ctx, func(tx *store.Tx) error {
		begin = nil
		now := c.now().UTC()
		var a *alert.Alert
		if alertID != 0 {
			found, err := store.Alert(&tx.Reader, tenant, alertID)
			if err != nil {
				return err
			}
			a = &found
		}
		if opened, begin, err = c.caseOf(tx, tenant, a, title, now, by); err != nil {
			return err
		}
		start := &run.Start{Run: runID, Tenant: tenant, Playbook: view.Playbook, Version: view.Version, By: view.By, CaseID: int64(opened)}
		past := engine.Happened{Start: start, Run: run.Running, At: view.Started}
		for _, s := range view.Steps {
			if s.Status.Final() && (s.Status != run.Skipped || s.Error != nil) && s.Action != "" {
				past.Steps = append(past.Steps, s)
			}
		}
		if err := tellCase(tx, past); err != nil {
			return err
		}
		if err := tellPastQuestions(tx, start); err != nil {
			return err
		}
		return tellContained(tx, start)
	})
	if err == nil {
		beginAll(begin)
	}
	return opened, err
}

// caseOf finds the open case that an alert belongs to, or opens one, and puts
// the alert into it. begin is what that starts.
func (c *core) caseOf(tx *store.Tx, tenant string, a *alert.Alert, title string, now time.Time, by cases.By) (id cases.ID, begin []func(), err error) {
	open := cases.Open{Title: title, Severity: 3}
	if a != nil {
		if a.GroupKey != "" {
			found, err := store.OpenCaseOfGroup(&tx.Reader, tenant, a.GroupKey)
			if err != nil {
				return 0, nil, err
			}
			if found != 0 {
				begin, err = c.joinCase(tx, tenant, found, a, now, by)
				return found, begin, err
			}
		}
		open.Title, open.Category, open.Group = a.Title, a.Category, a.GroupKey
		if a.Severity > 0 {
			open.Severity = a.Severity
		}
	}
	done, err := store.OpenCase(tx, tenant, open, now, by)
	if err != nil {
		return 0, nil, err
	}
	if a != nil {
		if _, err := linkAlert(tx, tenant, done.Case.ID, a, now, by); err != nil {
			return 0, nil, err
		}
	}
	begin, err = c.caseChanged(tx, tenant, done, nil)
	return done.Case.ID, begin, err
}

// joinCase puts an alert into a case that is there.
func (c *core) joinCase(tx *store.Tx, tenant string, id cases.ID, a *alert.Alert, now time.Time, by cases.By) ([]func(), error) {
	before, err := c.caseMap(&tx.Reader, tenant, id)
	if err != nil {
		return nil, err
	}
	done, err := linkAlert(tx, tenant, id, a, now, by)
	if err != nil {
		return nil, err
	}
	return c.caseChanged(tx, tenant, done, before)
}

// linkAlert puts an alert and what was seen in it into a case. It returns what
// the alert changed.
func linkAlert(tx *store.Tx, tenant string, c cases.ID, a *alert.Alert, now time.Time, by cases.By) (done cases.Applied, err error) {
	if done, err = store.ChangeCase(tx, tenant, c, 0, cases.AddAlert{Alert: a.ID, Title: a.Title, Severity: a.Severity}, now, by); err != nil {
		return done, err
	}
	if a.Count > 1 {
		if err := tellRepeated(tx, c, a, now); err != nil {
			return done, err
		}
	}
	for _, o := range a.Observables {
		if _, err := store.ChangeCase(tx, tenant, c, 0, cases.AddObservable{Type: o.Type, Value: o.Value, Role: o.Role}, now, by); err != nil {
			return done, err
		}
	}
	return done, nil
}
