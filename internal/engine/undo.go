package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"riposte/internal/fault"
	"riposte/internal/run"
)

// undoer takes back what is due, what people ask for and what runs ask for.
// Whoever comes first takes the entry; the undo itself is a one-step run that
// needs neither the run nor the playbook that made the entry.
type undoer struct {
	e    *Engine
	kick chan struct{}

	mu       sync.Mutex
	tokens   int
	waiting  map[int64]map[int]func() // by entry and token: who wants to know when it is through
	starting map[int64]bool           // entries that the timer has under its hands
	walking  map[int64]bool           // groups of wanted entries of which the next is being begun
}

func newUndoer(e *Engine) *undoer {
	return &undoer{e: e, kick: make(chan struct{}, 1), waiting: map[int64]map[int]func(){}, starting: map[int64]bool{}, walking: map[int64]bool{}}
}

// dueSoon is how far ahead the ledger is read.
const dueSoon = 10 * time.Second

// entered notes a new entry: one that is due soon is not to wait for the next
// look.
func (u *undoer) entered(due time.Time) {
	if due.IsZero() {
		return
	}
	if wait := due.Sub(u.e.clock.Now()); wait < dueSoon {
		u.e.clock.AfterFunc(max(wait, 0), u.poke)
	}
}

func (u *undoer) poke() {
	select {
	case u.kick <- struct{}{}:
	default:
	}
}

func (u *undoer) loop(ctx context.Context) {
	if u.e.Ledger == nil {
		return
	}
	for {
		u.look(ctx)
		stop := u.e.clock.AfterFunc(dueSoon, u.poke)
		select {
		case <-ctx.Done():
			stop()
			return
		case <-u.kick:
			stop()
		}
	}
}

// look begins the undos that are wanted or due and arranges for those due soon.
func (u *undoer) look(ctx context.Context) {
	now := u.e.now()
	wanted, err := u.e.Ledger.Wanted(ctx, 20)
	var list []Entry
	if err == nil {
		list, err = u.e.Ledger.Due(ctx, now.Add(dueSoon), 500)
	}
	if err != nil {
		if ctx.Err() == nil {
			u.e.alarms.raise(Alarm{Kind: AlarmUndo, Message: "what is due cannot be taken back: " + err.Error()})
		}
		return
	}
	u.e.alarms.clear(AlarmUndo, 0)
	for len(wanted) > 0 {
		n := slices.IndexFunc(wanted, func(en Entry) bool { return en.Wanted.Group != wanted[0].Wanted.Group })
		if n < 0 {
			n = len(wanted)
		}
		u.walk(wanted[:n:n])
		wanted = wanted[n:]
	}
	for _, en := range list {
		if en.Due.After(now) {
			u.entered(en.Due)
			break // those behind it are looked for then
		}
		u.byTimer(en)
	}
}

// walk begins the next undo of a group, unless one is under way. It keeps
// nothing: whoever ends an undo lets the undoer look again, and a restart does.
func (u *undoer) walk(group []Entry) {
	n := group[0].Wanted.Group
	u.mu.Lock()
	busy := u.walking[n]
	u.walking[n] = true
	u.mu.Unlock()
	if busy {
		return
	}
	u.e.pool.run(func() {
		moved := u.begin(group)
		u.mu.Lock()
		delete(u.walking, n)
		u.mu.Unlock()
		if moved { // a look in between has passed the group by
			u.poke()
		}
	})
}

// begin begins the undo of the first entry for which it can be: one that is held
// up by itself is tried again at the next look and does not hold up the others.
// moved tells that the ledger has changed since it was read.
func (u *undoer) begin(group []Entry) (moved bool) {
	for _, en := range group {
		if en.State == "taken" {
			return false
		}
		_, err := u.start(u.e.ctx, en.ID, en.Wanted.By, en.Wanted.Why)
		if err == nil || errors.Is(err, fault.Conflict) {
			return true
		}
		if u.e.ctx.Err() != nil {
			return false
		}
		u.e.log.Warn("begin an undo that is wanted", "entry", en.ID, "error", err)
		if errors.Is(err, fault.Transient) {
			return false // so would be the others
		}
	}
	return false
}

func (u *undoer) byTimer(en Entry) {
	u.mu.Lock()
	busy := u.starting[en.ID]
	u.starting[en.ID] = true
	u.mu.Unlock()
	if busy {
		return
	}
	u.e.pool.run(func() {
		_, err := u.start(u.e.ctx, en.ID, "timer", "its time is over")
		u.mu.Lock()
		delete(u.starting, en.ID)
		u.mu.Unlock()
		if err != nil && !errors.Is(err, fault.Conflict) {
			u.e.log.Warn("begin an undo", "entry", en.ID, "error", err)
		}
	})
}

// start takes an entry and starts the run that takes it back. id is 0 where
// none was needed, because others still hold the target, or none could be made,
// which is recorded as a failure.
func (u *undoer) start(ctx context.Context, entry int64, who, why string) (id run.ID, err error) {
	e := u.e
	en, err := e.Ledger.Entry(ctx, entry)
	if err != nil {
		return 0, err
	}
	if en.State != "open" && en.State != "failed" {
		return 0, fmt.Errorf("ledger entry %d is %s: %w", entry, en.State, fault.Conflict)
	}
	s, err := e.undoStart(ctx, &en, who)
	if errors.Is(err, fault.Transient) {
		return 0, err
	}
	var begin func()
	problem := err
	err = e.do(ctx, func(tx Tx) (err error) {
		begin, id = nil, 0
		by, err := e.Journal.NextRun(tx)
		if err != nil {
			return err
		}
		last, err := e.Ledger.Take(tx, entry, by, who, why, e.now())
		if err != nil || !last {
			return err
		}
		if problem != nil {
			return e.undoFailed(tx, &en, 0, problem.Error())
		}
		s.Run = by
		id, begin, err = e.StartIn(tx, s, "")
		return err
	})
	if err != nil {
		return 0, err
	}
	if begin != nil {
		begin()
		return id, nil
	}
	u.done(entry)
	return 0, nil
}

// undoStart works out what the run that takes an entry back begins with.
func (e *Engine) undoStart(ctx context.Context, en *Entry, who string) (s run.Start, err error) {
	// Problem may also be why the last try failed; then With is there.
	if en.Problem != "" && len(en.With) == 0 {
		return s, fmt.Errorf("it is not known how: %s: %w", en.Problem, fault.Invalid)
	}
	p, err := e.Plans.OneStep(ctx, OneStep{
		Action: en.Action, Playbook: en.Playbook, Asks: en.Asks, Within: en.Within, Retry: en.Retry, Every: en.Every,
	})
	if err != nil {
		return s, err
	}
	with := json.RawMessage(en.With)
	if len(with) == 0 {
		with = json.RawMessage("{}")
	}
	inputs, err := json.Marshal(map[string]any{"with": with, "connection": en.Connection})
	if err != nil {
		return s, fmt.Errorf("undo of entry %d: %w", en.ID, err)
	}
	return run.Start{
		Tenant: en.Tenant, Playbook: p.ID, Version: p.Version, Plan: p.Hash, Inputs: inputs, CaseID: en.Case,
		Severity: 4, By: who, Undoes: en.ID,
	}, nil
}

func (e *Engine) undoFailed(tx Tx, en *Entry, by run.ID, reason string) error {
	now := e.now()
	if err := e.Ledger.Undone(tx, en.ID, false, reason, now); err != nil || e.Cases == nil {
		return err
	}
	return e.Cases.UndoFailed(tx, FailedUndo{Tenant: en.Tenant, Entry: en.ID, Case: en.Case, Run: by, Reason: reason, At: now})
}

// settle ends the taking of an entry, in the last transaction of its run.
func (u *undoer) settle(r *live, c *run.Finish) {
	e, en := u.e, &Entry{ID: r.start.Undoes, Tenant: r.start.Tenant, Case: r.start.CaseID}
	at := r.lastAt
	r.write(func(tx Tx, _ int64) error {
		if c.Status == run.Succeeded {
			return e.Ledger.Undone(tx, en.ID, true, "", at)
		}
		reason := string(c.Status)
		if c.Error != nil {
			reason = c.Error.Message
		}
		return e.undoFailed(tx, en, r.id, reason)
	})
	r.hold(func() { u.done(en.ID) })
}

// await calls f when an entry is through, once. The token is for forget.
func (u *undoer) await(entry int64, f func()) (token int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.waiting[entry] == nil {
		u.waiting[entry] = map[int]func(){}
	}
	u.tokens++
	u.waiting[entry][u.tokens] = f
	return u.tokens
}

func (u *undoer) forget(entry int64, token int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.waiting[entry], token)
	if len(u.waiting[entry]) == 0 {
		delete(u.waiting, entry)
	}
}

func (u *undoer) done(entry int64) {
	u.mu.Lock()
	list := u.waiting[entry]
	delete(u.waiting, entry)
	u.mu.Unlock()
	for _, f := range list {
		u.e.pool.run(f)
	}
	u.poke() // others that held the same target may be due now
}

// takeBack carries out the undos that a run asks for.
func (r *live) takeBack(c *run.TakeBack) {
	e, l, id, tenant := r.e(), r.lane, r.id, r.start.Tenant
	if e.Ledger == nil {
		r.deliver(message{ev: &event{Event: run.Event{Kind: run.Undone, Act: c.Act, N: c.N}}})
		return
	}
	b := &takingBack{u: e.undos, run: id, tenant: tenant, c: c, through: func() {
		l.post(message{kind: msgEvent, run: id, ev: &event{Event: run.Event{Kind: run.Undone, Act: c.Act, N: c.N}}})
	}}
	e.pool.run(b.next)
}

// takingBack takes a run's entries back one after the other, newest first. It
// keeps nothing: the ledger says how far it has come.
type takingBack struct {
	u       *undoer
	run     run.ID
	tenant  string
	c       *run.TakeBack
	through func()
}

// next goes on until an undo is under way, or all are through.
func (b *takingBack) next() {
	e := b.u.e
	list, err := b.entries(e.ctx)
	if err != nil {
		b.later(err)
		return
	}
	for _, en := range list {
		switch en.State {
		case "open":
			token := b.u.await(en.ID, b.next)
			if _, err := b.u.start(e.ctx, en.ID, "run:"+b.run.String(), "the run failed"); err != nil {
				b.u.forget(en.ID, token)
				b.later(err)
			}
			return // where no run was needed the wait is over already
		case "taken":
			b.u.await(en.ID, b.next)
			if now, err := e.Ledger.Entry(e.ctx, en.ID); err == nil && now.State != "taken" {
				b.u.done(en.ID)
			}
			return
		}
	}
	b.through()
}

// later tries again: the ledger could not be read, or somebody else took the
// entry in between.
func (b *takingBack) later(err error) {
	e := b.u.e
	if e.ctx.Err() != nil {
		return
	}
	if !errors.Is(err, fault.Conflict) {
		e.log.Warn("take back what a run did", "run_id", b.run, "error", err)
	}
	e.clock.AfterFunc(time.Second, func() { e.pool.run(b.next) })
}

// entries lists what is to be taken back: the run's own entries of the given
// activations, and all of the given child runs and those below them.
func (b *takingBack) entries(ctx context.Context) ([]Entry, error) {
	e := b.u.e
	own, err := e.Ledger.Of(ctx, b.run)
	if err != nil {
		return nil, err
	}
	list := slices.DeleteFunc(own, func(en Entry) bool { return !slices.Contains(b.c.Acts, en.Act) })
	var below []run.ID
	for _, act := range b.c.Calls {
		ids, err := e.Journal.Claims(ctx, b.tenant, actPrefix(b.run, act))
		if err != nil {
			return nil, err
		}
		below = append(below, ids...)
	}
	for len(below) > 0 {
		id := below[0]
		below = below[1:]
		more, err := e.Ledger.Of(ctx, id)
		if err != nil {
			return nil, err
		}
		ids, err := e.Journal.Claims(ctx, b.tenant, childPrefix(id))
		if err != nil {
			return nil, err
		}
		list, below = append(list, more...), append(below, ids...)
	}
	slices.SortFunc(list, func(a, b Entry) int { return int(b.ID - a.ID) })
	return list, nil
}

// Undo takes back a ledger entry now, because somebody asks for it, and returns
// the run that does it; 0 where the target is still held by other entries, or
// where the entry cannot be taken back, which is recorded. It returns
// fault.Conflict if the entry is being taken back or has been.
func (e *Engine) Undo(ctx context.Context, entry int64, who, why string) (run.ID, error) {
	if e.Ledger == nil {
		return 0, fmt.Errorf("undo entry %d: there is no ledger: %w", entry, fault.NotFound)
	}
	return e.undos.start(ctx, entry, who, why)
}

// UndoAll takes back several entries, the newest first, one after the other. It
// returns when that they are wanted is on disk: whatever happens then, every one
// is taken back or fails with a task, and one that fails does not keep the others
// from being taken back. Entries that others take or have taken are left to them.
func (e *Engine) UndoAll(ctx context.Context, entries []int64, who, why string) error {
	if e.Ledger == nil {
		return fmt.Errorf("undo entries: there is no ledger: %w", fault.NotFound)
	}
	err := e.do(ctx, func(tx Tx) error { return e.Ledger.Want(tx, entries, who, why) })
	if err != nil {
		return fmt.Errorf("undo %d entries: %w", len(entries), err)
	}
	e.undos.poke()
	return nil
}
