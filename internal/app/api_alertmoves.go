package app

import (
	"context"
	"fmt"

	"riposte/internal/alert"
	"riposte/internal/auth"
	"riposte/internal/cases"
	"riposte/internal/fault"
	"riposte/internal/httpapi"
	"riposte/internal/store"
)

// MoveAlert does what a person wants with an alert.
func (a *api) MoveAlert(ctx context.Context, who auth.Caller, n int64, m httpapi.AlertMove) (httpapi.Alert, error) {
	id := alert.ID(n)
	var begin []func()
	err := a.db.Write(ctx, func(tx *store.Tx) (err error) {
		rec, err := store.Alert(&tx.Reader, who.Tenant, id)
		if err != nil {
			return err
		}
		switch m.Verb {
		case "attach":
			begin, err = a.attachAlert(tx, who, &rec, m)
		case "detach":
			begin, err = a.detachAlert(tx, who, &rec, m)
		default:
			begin, err = nil, a.moveAlert(tx, who, &rec, m)
		}
		if err != nil {
			return err
		}
		detail := map[string]any{}
		for k, v := range map[string]string{"verdict": m.Verdict, "reason": m.Reason} {
			if v != "" {
				detail[k] = v
			}
		}
		return a.acted(tx, who, "alert."+m.Verb, id.String(), detail)
	})
	if err != nil {
		return httpapi.Alert{}, err
	}
	beginAll(begin)
	return a.Alert(ctx, who, n)
}

// moveAlert does what needs no case.
func (a *api) moveAlert(tx *store.Tx, who auth.Caller, rec *alert.Alert, m httpapi.AlertMove) error {
	move := alert.Move{Verb: alert.Verb(m.Verb), Verdict: m.Verdict, Reason: m.Reason}
	if m.Into != 0 {
		into, err := store.Alert(&tx.Reader, who.Tenant, alert.ID(m.Into))
		if err != nil {
			return noSuch("/into", "alert "+alertRef(m.Into), err)
		}
		move.Into = &into
	}
	e, err := rec.Do(move)
	if err != nil {
		return err
	}
	e.At, e.By = utc(a.now()), "person:"+who.Name
	return store.MoveAlert(tx, who.Tenant, rec.ID, e)
}

// attachAlert puts an alert into a case, or opens one for it.
func (a *api) attachAlert(tx *store.Tx, who auth.Caller, rec *alert.Alert, m httpapi.AlertMove) (begin []func(), err error) {
	id, now := cases.ID(m.Case), utc(a.now())
	if id == 0 {
		id, begin, err = a.caseOf(tx, who.Tenant, rec, rec.Title, now, person(who))
	} else {
		var c cases.Case
		if c, err = store.Case(&tx.Reader, who.Tenant, id); err != nil {
			return nil, noSuch("/case", "case "+id.String(), err)
		}
		if c.Status != cases.IsOpen {
			return nil, fmt.Errorf("put alert %s into case %s: it is closed; reopen it first: %w", rec.ID, id, fault.Conflict)
		}
		begin, err = a.joinCase(tx, who.Tenant, id, rec, now, person(who))
	}
	if err != nil {
		return nil, err
	}
	return begin, a.noteMove(tx, who, id, rec, m)
}

// detachAlert takes an alert out of a case.
func (a *api) detachAlert(tx *store.Tx, who auth.Caller, rec *alert.Alert, m httpapi.AlertMove) ([]func(), error) {
	in, err := store.CasesOfAlert(&tx.Reader, rec.ID)
	if err != nil {
		return nil, err
	}
	id := cases.ID(m.Case)
	switch {
	case len(in) == 0:
		return nil, fmt.Errorf("take alert %s out of its case: it is in none: %w", rec.ID, fault.Conflict)
	case id == 0 && len(in) > 1:
		return nil, fmt.Errorf("take alert %s out of its case: it is in %d; say which: %w", rec.ID, len(in), fault.Conflict)
	case id == 0:
		id = in[0]
	}
	before, err := a.caseMap(&tx.Reader, who.Tenant, id)
	if err != nil {
		return nil, noSuch("/case", "case "+id.String(), err)
	}
	done, err := store.ChangeCase(tx, who.Tenant, id, 0, cases.RemoveAlert{Alert: rec.ID}, utc(a.now()), person(who))
	if err != nil {
		return nil, noSuch("/case", "alert "+rec.ID.String()+" in case "+id.String(), err)
	}
	begin, err := a.caseChanged(tx, who.Tenant, done, before)
	if err != nil {
		return nil, err
	}
	return begin, a.noteMove(tx, who, id, rec, m)
}

// noteMove keeps the reason where people look for it: in the case.
func (a *api) noteMove(tx *store.Tx, who auth.Caller, id cases.ID, rec *alert.Alert, m httpapi.AlertMove) error {
	if m.Reason == "" {
		return nil
	}
	_, err := store.ChangeCase(tx, who.Tenant, id, 0, cases.AddNote{Text: fmt.Sprintf("Alert %s %sed: %s", rec.ID, m.Verb, m.Reason)}, utc(a.now()), person(who))
	return err
}

// AlertHistory tells how an alert came to stand as it does.
func (a *api) AlertHistory(ctx context.Context, who auth.Caller, n int64) ([]httpapi.AlertEvent, error) {
	list, err := read(ctx, a, func(q *store.Reader) ([]alert.Event, error) { return store.AlertHistory(q, who.Tenant, alert.ID(n)) })
	return wireEvents(list), err
}

func wireEvents(list []alert.Event) []httpapi.AlertEvent {
	out := make([]httpapi.AlertEvent, len(list))
	for i, e := range list {
		out[i] = httpapi.AlertEvent{
			Time: e.At, By: e.By, Status: string(e.Status), Outcome: e.Outcome, Rule: e.Rule, Rules: e.RulesNo, Verdict: e.Verdict, Into: e.Into,
		}
	}
	return out
}
