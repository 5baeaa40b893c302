package app

import (
	"context"
	"fmt"
	"slices"

	"riposte/internal/auth"
	"riposte/internal/cases"
	"riposte/internal/fault"
	"riposte/internal/guard"
	"riposte/internal/httpapi"
	"riposte/internal/run"
	"riposte/internal/store"
)

// Entries lists ledger entries.
func (a *api) Entries(ctx context.Context, who auth.Caller, f httpapi.LedgerFilter, p httpapi.Page) (httpapi.Found[httpapi.LedgerEntry], error) {
	page, err := read(ctx, a, func(q *store.Reader) (store.Page[store.LedgerEntry], error) {
		return store.ListLedger(q, who.Tenant, store.LedgerFilter{
			State: guard.EntryState(f.State), Run: run.ID(f.Run), Case: f.Case, Playbook: f.Playbook, Target: f.Target}, slice(p))
	})
	return found(page, err, wireEntry)
}

// Entry reads one.
func (a *api) Entry(ctx context.Context, who auth.Caller, n int64) (httpapi.LedgerEntry, error) {
	e, err := a.entry(ctx, who, n)
	if err != nil {
		return httpapi.LedgerEntry{}, err
	}
	return wireEntry(e), nil
}

func (a *api) entry(ctx context.Context, who auth.Caller, n int64) (store.LedgerEntry, error) {
	return read(ctx, a, func(q *store.Reader) (store.LedgerEntry, error) {
		return store.LedgerEntryOf(q, tenantOf(who.Tenant), n)
	})
}

func wireEntry(e store.LedgerEntry) httpapi.LedgerEntry {
	w := httpapi.LedgerEntry{
		ID: entryRef(e.ID), State: string(e.State), Done: e.Done, Undo: e.Action + e.UndoEntry.Playbook, Connection: e.Connection, With: e.With,
		At: e.At, Due: e.Due, Run: e.Run.String(), Step: e.Step, Playbook: e.Playbook, Version: e.Version, Case: caseRef(e.Case),
		TakenBy: e.TakenBy, Reason: e.Why, UndoRun: e.TakenRun.String(), Ended: e.Ended, Problem: e.Problem, Targets: []httpapi.Target{},
	}
	if e.Wanted != 0 && e.State != guard.EntryTaken { // its turn is still to come
		w.TakenBy, w.Reason = e.WantedBy, e.WantedWhy
	}
	for _, t := range e.Targets {
		w.Targets = append(w.Targets, httpapi.Target{Kind: string(t.Kind), Value: t.Value})
	}
	return w
}

// Undo takes entries back, the newest first.
func (a *api) Undo(ctx context.Context, who auth.Caller, u httpapi.Undo) ([]httpapi.LedgerEntry, error) {
	reason, err := guard.ParseReason(u.Reason)
	if err != nil {
		return nil, err
	}
	if u.Entry != 0 {
		return a.undoOne(ctx, who, u, reason)
	}
	list, err := a.toUndo(ctx, who, u)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("nothing in force fits that: %w", fault.NotFound)
	}
	ids := make([]int64, len(list))
	names := make([]string, len(list))
	for i, e := range list {
		ids[i], names[i] = e.ID, entryRef(e.ID)
	}
	err = a.audited(ctx, who, "ledger.undo", "", map[string]any{"entries": names, "reason": u.Reason, "note": u.Note}, func() error {
		return a.engine.UndoAll(ctx, ids, who.Name, string(reason))
	})
	if err != nil {
		return nil, err
	}
	out := make([]httpapi.LedgerEntry, 0, len(list))
	for _, n := range ids {
		e, err := a.entry(ctx, who, n)
		if err != nil {
			return out, err
		}
		a.noteUndo(ctx, who, e, u.Note)
		out = append(out, wireEntry(e))
	}
	return out, nil
}

func (a *api) undoOne(ctx context.Context, who auth.Caller, u httpapi.Undo, reason guard.Reason) ([]httpapi.LedgerEntry, error) {
	e, err := a.entry(ctx, who, u.Entry)
	if err != nil {
		return nil, err
	}
	err = a.audited(ctx, who, "ledger.undo", entryRef(e.ID), map[string]any{"reason": u.Reason, "note": u.Note}, func() error {
		_, err := a.engine.Undo(ctx, e.ID, who.Name, string(reason))
		return err
	})
	if err != nil {
		return nil, err
	}
	a.noteUndo(ctx, who, e, u.Note)
	return []httpapi.LedgerEntry{wireEntry(e)}, nil
}

// noteUndo puts what the person said into the case of what was done.
func (a *api) noteUndo(ctx context.Context, who auth.Caller, e store.LedgerEntry, note string) {
	if e.Case == 0 || note == "" {
		return
	}
	text := fmt.Sprintf("%s is taken back: %s", entryRef(e.ID), note)
	if _, err := a.changeCase(ctx, who.Tenant, cases.ID(e.Case), 0, cases.AddNote{Text: text}, person(who)); err != nil {
		a.log.Warn("note of an undo not written", "entry", entryRef(e.ID), "error", err)
	}
}

// toUndo finds the entries that a request names, the newest first.
func (a *api) toUndo(ctx context.Context, who auth.Caller, u httpapi.Undo) ([]store.LedgerEntry, error) {
	f := store.LedgerFilter{Run: run.ID(u.Run), Playbook: u.Playbook}
	if u.Target != nil {
		f.Target = u.Target.Value
	}
	var all []store.LedgerEntry
	for _, state := range []guard.EntryState{guard.EntryOpen, guard.EntryFailed} {
		f.State = state
		for next := (store.Slice{Limit: 500}); ; {
			page, err := read(ctx, a, func(q *store.Reader) (store.Page[store.LedgerEntry], error) {
				return store.ListLedger(q, who.Tenant, f, next)
			})
			if err != nil {
				return nil, err
			}
			for _, e := range page.Items {
				if names(u, e) {
					all = append(all, e)
				}
			}
			if next.Cursor = page.Next; next.Cursor == "" {
				break
			}
		}
	}
	slices.SortFunc(all, func(x, y store.LedgerEntry) int { return int(y.ID - x.ID) })
	return all, nil
}

// names tells whether a request means an entry, beyond what the list filters.
func names(u httpapi.Undo, e store.LedgerEntry) bool {
	switch {
	case u.Version != 0 && e.Version != u.Version:
		return false
	case !u.Since.IsZero() && e.At.Before(u.Since):
		return false
	case !u.Until.IsZero() && e.At.After(u.Until):
		return false
	case u.Target == nil:
		return true
	}
	for _, t := range e.Targets {
		if string(t.Kind) == u.Target.Kind && t.Value == u.Target.Value {
			return true
		}
	}
	return false
}
