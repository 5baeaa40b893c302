package guard

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"riposte/connector"
	"riposte/internal/fault"
	"riposte/internal/id"
)

// EntryID names a ledger entry. Its text form is L-311.
type EntryID int64

func (i EntryID) String() string { return id.Format("L", int64(i)) }

// MarshalText writes the text form, "" for zero.
func (i EntryID) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads the text form; fault.Invalid otherwise.
func (i *EntryID) UnmarshalText(b []byte) error {
	n, err := id.Parse("L", string(b))
	*i = EntryID(n)
	return err
}

// EntryState is where a ledger entry stands.
type EntryState string

// The states. Open goes to taken, taken to undone or failed, failed to taken
// again. An open entry whose target others hold goes straight to undone.
const (
	EntryOpen   EntryState = "open"
	EntryTaken  EntryState = "taken"
	EntryUndone EntryState = "undone"
	EntryFailed EntryState = "failed"
)

// Entry is a ledger entry as its rules need it. A run holds entries, the ledger
// holds targets: the same connection, the same action, the same object.
type Entry struct {
	ID         EntryID
	Tenant     string
	Connection string
	Done       string // the action that is taken back
	Targets    []connector.Target
	At         time.Time
	Due        time.Time // zero: never by itself
	State      EntryState
	Already    bool // it was so before; the entry only holds what another of ours made
	Owed       bool // ended while others held its target: its undo is still to be called
}

// Shares tells whether two entries hold a target in common.
func (e *Entry) Shares(o *Entry) bool {
	if e.ID == o.ID || e.Tenant != o.Tenant || e.Connection != o.Connection || e.Done != o.Done {
		return false
	}
	return slices.ContainsFunc(e.Targets, func(t connector.Target) bool { return slices.Contains(o.Targets, t) })
}

// holds tells whether the entry keeps its targets as they are.
func (e *Entry) holds() bool { return e.State == EntryOpen && !e.Owed }

// DueAt is when an entry made at a time ends by itself; zero for never.
func DueAt(made time.Time, after time.Duration) time.Time {
	if after <= 0 {
		return time.Time{}
	}
	return made.Add(after)
}

// Enters tells whether something done makes an entry. What was already so before
// us makes none, unless an open entry of ours holds the same target: then that
// stays until both have ended.
func Enters(e Entry, others []Entry) bool {
	return !e.Already || slices.ContainsFunc(others, func(o Entry) bool { return o.holds() && e.Shares(&o) })
}

// Taking says what follows when an entry is taken back.
type Taking struct {
	State EntryState // what it becomes: taken, or undone where others hold its target
	Owed  bool       // with undone: its undo is to be called when the last of them ends
	Call  bool       // its own undo is to be called now
	// Free are entries that ended before and owe their undo, and whose targets
	// nothing holds any more: those that are undone and owed still become open
	// again, owed and due at once.
	Free []EntryID
}

// Take decides about taking an entry back, by timer, person or handler alike.
// others are all entries that may share a target with it or with those that do,
// whatever their state. It returns fault.Conflict for an entry that is being
// taken back or has been.
//
// A target is released when its last open entry ends, by the undo of the entry
// that made it: a block for an hour does not lift another run's for a week, and
// what both made is undone by both.
func Take(e Entry, others []Entry) (Taking, error) {
	if e.State != EntryOpen && e.State != EntryFailed {
		return Taking{}, fmt.Errorf("ledger entry %s is %s: %w", e.ID, e.State, fault.Conflict)
	}
	t := Taking{State: EntryTaken, Call: true}
	for i := range others {
		o := &others[i]
		if o.State == EntryUndone && o.Owed && o.Shares(&e) && !heldByOthers(o, others, e.ID) {
			t.Free = append(t.Free, o.ID)
		}
	}
	switch {
	case heldByOthers(&e, others, e.ID):
		t.State, t.Call, t.Owed = EntryUndone, false, !e.Already
	case e.Already && len(t.Free) > 0:
		t.State, t.Call = EntryUndone, false // whoever made it takes it back
	}
	return t, nil
}

// heldByOthers tells whether an entry other than the one that ends holds a target of e.
func heldByOthers(e *Entry, others []Entry, ends EntryID) bool {
	return slices.ContainsFunc(others, func(o Entry) bool { return o.ID != ends && o.holds() && o.Shares(e) })
}

// End is what a taken entry becomes after its undo. It returns fault.Conflict
// for an entry that was not taken.
func End(e Entry, ok bool) (EntryState, error) {
	switch {
	case e.State != EntryTaken:
		return e.State, fmt.Errorf("ledger entry %s is %s and not taken: %w", e.ID, e.State, fault.Conflict)
	case ok:
		return EntryUndone, nil
	}
	return EntryFailed, nil
}

// Removable tells whether retention may remove an entry: never one that is open,
// is being taken back, failed, or still owes its undo.
func (e *Entry) Removable() bool { return e.State == EntryUndone && !e.Owed }

// NewestFirst sorts entries in the order in which they are taken back.
func NewestFirst(entries []Entry) {
	slices.SortStableFunc(entries, func(a, b Entry) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID)) })
}

// Reason is why something is taken back.
type Reason string

// The reasons. A person gives one of the first two.
const (
	Wrong          Reason = "wrong"            // it should not have been done; counts for the breakers
	NoLongerNeeded Reason = "no_longer_needed" // it has served its purpose
	Expired        Reason = "expired"          // its time is over
	RunFailed      Reason = "run_failed"       // on_error: undo
)

// ParseReason reads the reason that a person gives: fault.Invalid for any other
// text.
func ParseReason(s string) (Reason, error) {
	if r := Reason(s); r == Wrong || r == NoLongerNeeded {
		return r, nil
	}
	return "", fmt.Errorf("why is it taken back? expected wrong or no_longer_needed, got %q: %w", s, fault.Invalid)
}
