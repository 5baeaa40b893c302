package app

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"riposte/connector"
	"riposte/internal/cases"
	"riposte/internal/engine"
	"riposte/internal/fault"
	"riposte/internal/guard"
	"riposte/internal/intel"
	"riposte/internal/observable"
	"riposte/internal/run"
	"riposte/internal/store"
)

// calls makes the engine's calls.
type calls core

// Route says which connection serves an action.
func (c *calls) Route(tenant, connection, action string) (string, engine.Limits) {
	name, l := c.caller.Route(tenantOf(tenant), connection, action)
	return name, engine.Limits{MaxInFlight: l.MaxInFlight, Rate: l.Rate, Burst: l.Burst, Bucket: l.Bucket}
}

// Call makes one attempt and looks at the run's case where it may have changed.
func (c *calls) Call(ctx context.Context, call engine.Call) engine.Answer {
	in := call.Call
	in.Origin = connector.Origin{
		Tenant: tenantOf(call.Tenant), Run: int64(call.Run), Case: call.Case, Alert: call.Alert,
		Playbook: call.Playbook, Version: call.Version, By: call.By, Test: call.Test,
	}
	if in.Action == nil {
		return engine.Answer{Result: connector.Result{Status: connector.Failed, Class: connector.NotFound, Message: "action " + call.Name + " is not loaded"}}
	}
	a := engine.Answer{Result: c.caller.Call(ctx, in)}
	if in.Action.Connector != "case" || a.Status != connector.OK {
		return a
	}
	var out struct {
		Case cases.ID `json:"case"`
	}
	if json.Unmarshal(a.Output, &out) == nil && out.Case != 0 {
		look, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if raw, err := (*caseBook)(c).Look(look, call.Tenant, int64(out.Case)); err == nil {
			a.Case = raw
		}
	}
	return a
}

// clear holds back data that is marked higher than a connection is cleared for.
func (c *core) clear(call *connector.Call, conn *connector.Connection) error {
	if call.Origin.Source != "" {
		return nil // asked for what it has; nothing of a case goes there
	}
	marks, err := c.marks(context.Background(), call.Origin.Tenant, call.Origin.Case)
	if err != nil {
		return err
	}
	if ok, why := conn.Clearance.Covers(marks); !ok {
		return &held{why}
	}
	return nil
}

// held is data that may not leave.
type held struct{ why string }

func (h *held) Error() string { return "held back: " + h.why }
func (h *held) Unwrap() error { return fault.Denied }

// marks are how the data of a run is marked: as its case is.
func (c *core) marks(ctx context.Context, tenant string, id int64) (m connector.Clearance, err error) {
	if id == 0 {
		return m, nil
	}
	err = c.db.Read(ctx, func(q *store.Reader) error {
		k, err := store.Case(q, tenant, cases.ID(id))
		m = connector.Clearance{TLP: k.TLP, PAP: k.PAP}
		return err
	})
	return m, err
}

// gate is the guard as the engine sees it.
type gate core

// request is what the guard decides about.
func (g *gate) request(ctx context.Context, call *engine.Call) (guard.Request, error) {
	q := guard.Request{
		Tenant: tenantOf(call.Tenant), Playbook: call.Playbook, Version: call.Version, Run: call.Run, Act: call.Act, By: call.By,
		Undo: call.Undoes != 0, Action: call.Action, Connection: call.Connection, Impact: call.Impact, Inputs: call.Inputs,
		Hash: call.Hash, Root: call.Root, Above: call.Chain, At: g.now().UTC(),
	}
	if call.Approved {
		q.Agreed = call.Agreed
	}
	if call.Node != nil {
		q.TakeBack = guard.TakeBackOf(call.Node)
	}
	name := call.Name
	if call.Action != nil && !isCapability(call) {
		name = call.Action.Name()
	}
	routes, err := g.caller.Routes(q.Tenant, call.Connection, call.Action)
	if err == nil && len(routes) > 0 {
		q.Connection, q.Action = routes[0].Connection, routes[0].Action
		for _, r := range routes[1:] {
			q.Others = append(q.Others, guard.Server{Connection: r.Connection, Action: r.Action, Clearance: g.clearance(q.Tenant, r.Connection)})
		}
	} else if q.Connection == "" {
		q.Connection, _ = g.caller.Route(q.Tenant, "", name)
	}
	q.Clearance = g.clearance(q.Tenant, q.Connection)
	q.Marks, err = (*core)(g).marks(ctx, q.Tenant, call.Case)
	q.Severity = call.Severity
	if q.Impact >= connector.Change && q.Action != nil {
		q.Verdict, q.Confidence = g.known(&q)
	}
	return q, err
}

// clearance is that of a connection; the zero value, for nothing, where there is
// none of that name.
func (g *gate) clearance(tenant, connection string) (c connector.Clearance) {
	if conn, err := g.connections.Connection(tenant, connection); err == nil {
		c = conn.Clearance
	}
	return c
}

// known is what our own intelligence says of the targets: of several, the least
// certain.
func (g *gate) known(q *guard.Request) (verdict string, confidence int) {
	targets, err := connector.Targets(q.Action, q.Inputs)
	if err != nil {
		return "", 0 // the guard says what is wrong with them
	}
	order := []string{string(intel.Harmless), string(intel.Unknown), string(intel.Suspicious), string(intel.Malicious)}
	for _, t := range targets {
		v, sure := string(intel.Unknown), 0
		if o, err := observable.Parse(observable.Type(t.Kind), t.Value); err == nil {
			if i, ok := g.intel.Lookup(q.Tenant, o, q.At); ok {
				s := i.Sum(q.At)
				v, sure = string(s.Verdict), s.Confidence
			}
		}
		if verdict == "" || slices.Index(order, v) < slices.Index(order, verdict) || v == verdict && sure < confidence {
			verdict, confidence = v, sure
		}
	}
	return verdict, confidence
}

// projected is told of runs as lists show them.
func (c *core) projected(list []run.Summary) {
	for _, s := range list {
		if s.Status.Final() {
			c.guard.RunEnded(s.Run)
			c.score.runEnded(s.Alert)
		}
	}
}

func isCapability(call *engine.Call) bool { return call.Action.Connector == "" }

// Check decides about an action before anything is asked or called.
func (g *gate) Check(ctx context.Context, call engine.Call) (run.CheckResult, func(engine.Tx) error, error) {
	q, err := g.request(ctx, &call)
	if err != nil {
		return run.CheckResult{}, nil, err
	}
	d := g.guard.Check(q)
	if d.Reserved == nil {
		return d.Result(&q), nil, nil
	}
	reserved := *d.Reserved
	used := d.Overrides
	if !d.OK() {
		used = nil // it may still be refused
	}
	return d.Result(&q), func(t engine.Tx) error {
		tx := t.(*store.Tx)
		return errors.Join(store.SaveReservation(tx, reserved), useUp(tx, used))
	}, nil
}

// useUp takes overrides away that a call is about to use.
func useUp(tx *store.Tx, list []guard.Override) error {
	for _, o := range list {
		if err := store.DropOverride(tx, o.ID); err != nil {
			return err
		}
	}
	return nil
}

// Admit decides just before an attempt.
func (g *gate) Admit(ctx context.Context, call engine.Call) (bool, run.CheckResult, error) {
	if call.Poll {
		// Looking at a job, or calling it off, belongs to the action that was
		// checked and is another one: its hash would never fit.
		call.Hash, call.Impact = "", min(call.Impact, connector.Notify)
	}
	if call.Impact == connector.Read && call.Hash == "" {
		return true, run.CheckResult{}, nil // clearance is looked at by the caller
	}
	q, err := g.request(ctx, &call)
	if err != nil {
		return false, run.CheckResult{}, err
	}
	d := g.guard.Admit(q)
	if d.OK() && len(d.Overrides) > 0 {
		// Once means once, also when we die during the call.
		if err := g.db.Write(ctx, func(tx *store.Tx) error { return useUp(tx, d.Overrides) }); err != nil {
			g.guard.Release(q.Run, q.Act)
			return false, run.CheckResult{}, err
		}
	}
	return d.OK(), d.Result(&q), nil
}

// Release gives back what an activation reserved that will not call.
func (g *gate) Release(tx engine.Tx, id run.ID, act run.Act) error {
	g.guard.Release(id, act)
	return store.DropReservation(tx.(*store.Tx), id, act)
}

// Result tells how an attempt ended.
func (g *gate) Result(call engine.Call, r connector.Result) {
	conn := r.Connection
	if conn == "" {
		conn = call.Connection
	}
	g.guard.Done(guard.Ended{
		Tenant: tenantOf(call.Tenant), Playbook: call.Playbook, Connection: conn, Run: call.Run, Act: call.Act, Impact: call.Impact,
		Undo: call.Undoes != 0, Result: r, At: g.now().UTC(),
	})
}

// questions keeps what people are asked.
type questions struct{}

// Open stores a question.
func (questions) Open(t engine.Tx, q engine.Question) error {
	tx := t.(*store.Tx)
	before, err := store.QuestionOfAct(&tx.Reader, q.Run, q.Act, q.N)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	if before.ID != 0 {
		return nil // asked before a restart
	}
	open := store.Question{
		Tenant: q.Tenant, Run: q.Run, Act: q.Act, N: q.N, Playbook: q.Playbook, By: q.By, Case: q.Case, Alert: q.Alert,
		Severity: q.Severity, Asked: q.At, Question: q.Question,
	}
	if err := store.OpenQuestion(tx, &open); err != nil {
		return err
	}
	return tellAsked(tx, &open)
}

// Close withdraws the questions of an activation.
func (questions) Close(tx engine.Tx, id run.ID, act run.Act, n int, at time.Time) error {
	return store.CloseQuestions(tx.(*store.Tx), id, act, n, at)
}

// Answered keeps an answer.
func (questions) Answered(t engine.Tx, id run.ID, act run.Act, n int, at time.Time, a run.Answer) error {
	tx := t.(*store.Tx)
	if err := store.KeepAnswer(tx, id, act, n, at, a); err != nil {
		return err
	}
	q, err := store.QuestionOfAct(&tx.Reader, id, act, n)
	if err != nil {
		return err
	}
	return tellAnswered(tx, &q, a, at)
}

// ledger is the engine's view of the ledger.
type ledger core

func toEngine(e store.LedgerEntry) engine.Entry {
	return engine.Entry{
		ID: e.ID, Tenant: e.Tenant, Run: e.Run, Act: e.Act, Case: e.Case, Slug: e.Playbook, Version: e.Version, At: e.At,
		Due: e.Due, State: string(e.State), By: e.TakenRun, UndoEntry: e.UndoEntry,
		Wanted: engine.Wanted{Group: e.Wanted, By: e.WantedBy, Why: e.WantedWhy},
	}
}

func toEngines(list []store.LedgerEntry, err error) ([]engine.Entry, error) {
	out := make([]engine.Entry, len(list))
	for i, e := range list {
		out[i] = toEngine(e)
	}
	return out, err
}

// Enter stores an entry.
func (l *ledger) Enter(tx engine.Tx, e *engine.Entry) error {
	s := store.LedgerEntry{
		Tenant: e.Tenant, Run: e.Run, Act: e.Act, Case: e.Case, Playbook: e.Slug, Version: e.Version, At: e.At,
		Due: guard.DueAt(e.At, e.After), UndoEntry: e.UndoEntry,
	}
	if err := store.EnterLedger(tx.(*store.Tx), &s); err != nil {
		return err
	}
	e.ID, e.Due, e.State = s.ID, s.Due, string(s.State)
	if s.Case == 0 || s.ID == 0 {
		return nil
	}
	return tellEntry(tx.(*store.Tx), &s)
}

// Due lists open entries that are due.
func (l *ledger) Due(ctx context.Context, t time.Time, limit int) (list []engine.Entry, err error) {
	err = l.db.Read(ctx, func(q *store.Reader) error {
		list, err = toEngines(store.LedgerDue(q, t, limit))
		return err
	})
	return list, err
}

// Of lists the entries of a run.
func (l *ledger) Of(ctx context.Context, id run.ID) (list []engine.Entry, err error) {
	err = l.db.Read(ctx, func(q *store.Reader) error {
		list, err = toEngines(store.LedgerOfRun(q, id))
		return err
	})
	return list, err
}

// Entry reads one.
func (l *ledger) Entry(ctx context.Context, id int64) (e engine.Entry, err error) {
	err = l.db.Read(ctx, func(q *store.Reader) error {
		s, err := store.LedgerEntryOf(q, "", id)
		e = toEngine(s)
		return err
	})
	return e, err
}

// Want marks entries as wanted back.
func (l *ledger) Want(tx engine.Tx, entries []int64, who, why string) error {
	return store.WantLedger(tx.(*store.Tx), entries, who, why)
}

// Wanted lists what is wanted back.
func (l *ledger) Wanted(ctx context.Context, limit int) (list []engine.Entry, err error) {
	err = l.db.Read(ctx, func(q *store.Reader) error {
		list, err = toEngines(store.LedgerWanted(q, limit))
		return err
	})
	return list, err
}

// Take makes an entry taken by a run. One taken because it was wrong counts for
// the breakers.
func (l *ledger) Take(t engine.Tx, id int64, by run.ID, who, why string, at time.Time) (bool, error) {
	tx := t.(*store.Tx)
	last, err := store.TakeLedger(tx, id, by, who, why, at)
	if err != nil {
		return last, err
	}
	e, err := store.LedgerEntryOf(&tx.Reader, "", id)
	if err != nil {
		return last, err
	}
	if guard.Reason(why) == guard.Wrong {
		l.guard.TakenBack(e.Tenant, e.Playbook, e.Connection, at)
	}
	if e.State == guard.EntryUndone {
		return last, tellTakenBack(tx, &e, at, true)
	}
	return last, nil
}

// Undone ends the taking.
func (l *ledger) Undone(t engine.Tx, id int64, ok bool, reason string, at time.Time) error {
	tx := t.(*store.Tx)
	if err := store.EndLedger(tx, id, ok, reason, at); err != nil {
		return err
	}
	e, err := store.LedgerEntryOf(&tx.Reader, "", id)
	if err != nil || !ok {
		return err
	}
	return tellTakenBack(tx, &e, at, false)
}
