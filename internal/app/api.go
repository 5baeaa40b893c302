package app

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"riposte/internal/audit"
	"riposte/internal/auth"
	"riposte/internal/cases"
	"riposte/internal/fault"
	"riposte/internal/httpapi"
	"riposte/internal/id"
	"riposte/internal/store"
)

// api answers the HTTP API from the core. It turns records into what clients
// see and requests into changes; what may be done the rules decide.
type api struct {
	*core
}

// hashesAtOnce bounds how many passwords are hashed at once: each takes 19 MiB.
const hashesAtOnce = 2

// The letter codes that records are written with where they have no type of
// their own.
const (
	entryCode    = "L"
	questionCode = "AP"
	caseCode     = "C"
	alertCode    = "A"
)

// slice says which piece of a list is wanted.
func slice(p httpapi.Page) store.Slice { return store.Slice{Limit: p.Limit, Cursor: p.Cursor} }

// found turns a page of records into what clients see.
func found[F, T any](page store.Page[F], err error, wire func(F) T) (httpapi.Found[T], error) {
	if err != nil {
		return httpapi.Found[T]{}, badCursor(err)
	}
	out := httpapi.Found[T]{Items: make([]T, len(page.Items)), Next: page.Next}
	for i, x := range page.Items {
		out.Items[i] = wire(x)
	}
	return out, nil
}

// badCursor names the parameter where a list refuses its cursor: nothing else of
// a list that the API has checked can be invalid.
func badCursor(err error) error {
	if errors.Is(err, fault.Invalid) {
		return httpapi.BadCursor()
	}
	return err
}

// staleOf tells clients of a record that changed meanwhile in their words.
func staleOf(err error) error {
	if errors.Is(err, store.ErrStale) {
		return httpapi.ErrStale
	}
	return err
}

// below tells where in a request's body the wrong parts of an error are.
func below(pointer string, err error) error {
	var p *fault.Parts
	if errors.As(err, &p) {
		return p.Below(pointer)
	}
	return err
}

// noSuch makes a record that a body names and that is not there an error of the
// body.
func noSuch(pointer, what string, err error) error {
	if errors.Is(err, fault.NotFound) {
		return httpapi.WrongField(pointer, "there is no "+what)
	}
	return err
}

// read reads from the store.
func read[T any](ctx context.Context, a *api, do func(q *store.Reader) (T, error)) (v T, err error) {
	err = a.db.Read(ctx, func(q *store.Reader) error {
		v, err = do(q)
		return err
	})
	return v, err
}

// person is a caller as the timeline of a case names them.
func person(who auth.Caller) cases.By { return cases.By{Kind: cases.ByPerson, Name: who.Name} }

// severityFrom lists the severities from one on; nil for all.
func severityFrom(least int) []int {
	var list []int
	for n := least; n > 0 && n <= 5; n++ {
		list = append(list, n)
	}
	return list
}

func caseRef(n int64) string  { return id.Format(caseCode, n) }
func alertRef(n int64) string { return id.Format(alertCode, n) }
func entryRef(n int64) string { return id.Format(entryCode, n) }

// utc drops the zone of times that come from outside.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Microsecond)
}

// acted writes an act of a person into the audit log, in the transaction of the
// act. detail must hold no secret.
func (a *api) acted(tx *store.Tx, who auth.Caller, act, object string, detail map[string]any) error {
	return a.note(tx, who, act, object, audit.Done, detail)
}

func (a *api) note(tx *store.Tx, who auth.Caller, act, object, outcome string, detail map[string]any) error {
	e := audit.Entry{At: utc(a.now()), Tenant: who.Tenant, Who: who.Name, Act: act, Object: object, Outcome: outcome}
	if who.Token != "" {
		e.From = "token " + who.Token
	}
	if len(detail) > 0 {
		raw, err := json.Marshal(detail)
		if err != nil {
			return err
		}
		e.Detail = raw
	}
	_, err := store.AppendAudit(tx, e)
	return err
}

// audited does an act that has a transaction of its own and then notes it. An
// act that cannot be noted has happened all the same: that is logged.
func (a *api) audited(ctx context.Context, who auth.Caller, act, object string, detail map[string]any, do func() error) error {
	err := do()
	outcome := audit.Done
	switch {
	case errors.Is(err, fault.Denied):
		outcome = audit.Denied
	case err != nil && !errors.Is(err, fault.NotFound) && !errors.Is(err, fault.Invalid):
		outcome = audit.Failed
	case err != nil:
		return err
	}
	noted := a.db.Write(ctx, func(tx *store.Tx) error { return a.note(tx, who, act, object, outcome, detail) })
	if noted != nil {
		a.log.Error("act not noted in the audit log", "act", act, "object", object, "who", who.Name, "error", noted)
	}
	return err
}
