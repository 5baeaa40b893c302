package app

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"riposte/internal/alert"
	"riposte/internal/cases"
	"riposte/internal/expr"
	"riposte/internal/intel"
	"riposte/internal/run"
	"riposte/internal/store"
	"riposte/playbook"
)

// happening is something that may start playbooks.
type happening struct {
	tenant   string
	kind     playbook.TriggerKind
	event    string         // new, opened, added …
	now      map[string]any // the object
	before   map[string]any // as it was, for events that tell of a change; nil where it is new
	key      string         // names the object and the event, so that it starts a playbook once
	alert    *alert.Alert
	caseID   int64
	severity int
}

// fire starts the playbooks whose triggers an event meets, once each, in the
// transaction of the event. What it returns is called once that is on disk.
func (c *core) fire(tx *store.Tx, h happening) (begin []func(), err error) {
	at := c.now().UTC()
	o := objectOf(h.kind, h.now)
	var raw json.RawMessage
	for _, p := range c.plans.All(h.tenant) {
		for i := range p.Triggers {
			t := &p.Triggers[i]
			if t.Kind != h.kind || t.Event != h.event || !c.meets(t, h, o, at) {
				continue
			}
			if raw == nil {
				if raw, err = expr.EncodeJSON(h.now); err != nil {
					return nil, err
				}
			}
			f, err := c.startOne(tx, p, t, o, raw, h, at)
			if err != nil {
				return nil, err
			}
			if f != nil {
				begin = append(begin, f)
			}
			break // one object event starts one run of a playbook
		}
	}
	return begin, nil
}

func objectOf(kind playbook.TriggerKind, v map[string]any) run.Object {
	switch kind {
	case playbook.OnAlert:
		return run.Object{Alert: v}
	case playbook.OnCase:
		return run.Object{Case: v}
	case playbook.OnIndicator:
		return run.Object{Indicator: v}
	default:
		return run.Object{Body: v}
	}
}

// meets tells whether a trigger's condition holds, and for a change whether it
// did not hold before.
func (c *core) meets(t *playbook.Trigger, h happening, o run.Object, at time.Time) bool {
	ok, err := run.Matches(t, o, at)
	if err != nil {
		c.log.Warn("trigger failed", "kind", string(h.kind), "event", h.event, "line", t.Line, "error", err)
		return false
	}
	if !ok || h.before == nil || t.Where == nil {
		return ok
	}
	was, err := run.Matches(t, objectOf(h.kind, h.before), at)
	return err != nil || !was
}

// startOne starts one playbook for an event. Inputs that do not fit are told in
// the log; they do not refuse what happened.
func (c *core) startOne(tx *store.Tx, p *playbook.Plan, t *playbook.Trigger, o run.Object, raw json.RawMessage, h happening, at time.Time) (func(), error) {
	given, err := run.FromTrigger(p, t, o, at)
	return c.startWith(tx, p, given, err, raw, h, "trigger:"+string(h.kind))
}

// startWith starts a playbook with inputs, unless working them out has failed.
func (c *core) startWith(tx *store.Tx, p *playbook.Plan, given map[string]any, failed error, raw json.RawMessage, h happening, by string) (func(), error) {
	err := failed
	if err == nil {
		given, err = p.FillInputs(given)
	}
	if err != nil {
		c.log.Warn("playbook not started", "playbook", p.ID, "event", h.key, "error", err)
		return nil, nil
	}
	inputs, err := expr.EncodeJSON(given)
	if err != nil {
		return nil, err
	}
	s := run.Start{
		Tenant: tenantOf(h.tenant), Playbook: p.ID, Version: p.Version, Plan: p.Hash, Inputs: inputs, CaseID: h.caseID,
		Severity: h.severity, By: by,
	}
	switch h.kind {
	case playbook.OnAlert:
		s.Alert, s.AlertID = raw, int64(h.alert.ID)
	case playbook.OnCase:
		s.Case = raw
	case playbook.OnIndicator:
		s.Indicator = raw
	default:
		s.Body = raw
	}
	_, begin, err := c.engine.StartIn(tx, s, h.key+":"+p.ID)
	return begin, err
}

// caseEvents are what entries of a timeline mean to triggers.
func caseEvent(entries []cases.Entry) string {
	event := ""
	for _, e := range entries {
		switch e.Kind {
		case cases.Opened:
			return "opened"
		case cases.Closed:
			return "closed"
		case cases.Reopened:
			return "reopened"
		case cases.AlertRepeated, cases.RunStarted, cases.RunEnded, cases.StepEnded, cases.Asked, cases.Answered, cases.Contained, cases.TakenBack, cases.UndoFailed:
		default:
			event = "updated"
		}
	}
	return event
}

// changeCase does a change to a case, and starts what that starts.
func (c *core) changeCase(ctx context.Context, tenant string, id cases.ID, version int, ch cases.Change, by cases.By) (cases.Applied, error) {
	var done cases.Applied
	var begin []func()
	err := c.db.Write(ctx, func(tx *store.Tx) (err error) {
		before, err := c.caseMap(&tx.Reader, tenant, id)
		if err != nil {
			return err
		}
		if done, err = store.ChangeCase(tx, tenant, id, version, ch, c.now().UTC(), by); err != nil {
			return err
		}
		begin, err = c.caseChanged(tx, tenant, done, before)
		return err
	})
	if err == nil {
		beginAll(begin)
	}
	return done, err
}

// beginAll hands runs to the engine whose first records are on disk.
func beginAll(begin []func()) {
	for _, f := range begin {
		f()
	}
}

// caseMap is a case as expressions see it; nil where no playbook would look.
func (c *core) caseMap(q *store.Reader, tenant string, id cases.ID) (map[string]any, error) {
	if !c.plans.listens(tenant, playbook.OnCase) {
		return nil, nil
	}
	raw, err := caseObject(q, tenant, id)
	if err != nil {
		return nil, err
	}
	v, err := expr.DecodeJSON(raw)
	m, _ := v.(map[string]any)
	return m, err
}

func (c *core) caseChanged(tx *store.Tx, tenant string, done cases.Applied, before map[string]any) ([]func(), error) {
	event := caseEvent(done.Entries)
	if event == "" || !c.plans.listens(tenant, playbook.OnCase) {
		return nil, nil
	}
	now, err := c.caseMap(&tx.Reader, tenant, done.Case.ID)
	if err != nil {
		return nil, err
	}
	if event != "updated" {
		before = nil
	}
	return c.fire(tx, happening{
		tenant: tenant, kind: playbook.OnCase, event: event, now: now, before: before, caseID: int64(done.Case.ID), severity: done.Case.Severity,
		key: fmt.Sprintf("case:%d:%d:%s", done.Case.ID, done.Case.Version, event),
	})
}

// indicatorChanged starts what a new or changed indicator starts.
func (c *core) indicatorChanged(tx *store.Tx, a intel.Answer, before map[string]any) ([]func(), error) {
	event := ""
	switch a.Change {
	case intel.Added:
		event, before = "added", nil
	case intel.Changed:
		event = "changed"
	default:
		return nil, nil
	}
	at := c.now().UTC()
	return c.fire(tx, happening{
		tenant: a.Indicator.Tenant, kind: playbook.OnIndicator, event: event, now: a.Indicator.Object(at), before: before,
		key: fmt.Sprintf("indicator:%d:%d:%s", a.Indicator.ID, a.Indicator.Changed.UnixMicro(), event),
	})
}

// listens tells whether any published playbook starts on a kind of object.
func (p *plans) listens(tenant string, kind playbook.TriggerKind) bool {
	for _, plan := range p.All(tenant) {
		for i := range plan.Triggers {
			if plan.Triggers[i].Kind == kind {
				return true
			}
		}
	}
	return false
}
