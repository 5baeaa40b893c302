package guard

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"riposte/connector"
	"riposte/internal/fault"
)

func ip(n int) connector.Target {
	return connector.Target{Kind: "ip", Value: fmt.Sprintf("203.0.113.%d", n)}
}

func entry(id EntryID, state EntryState, targets ...connector.Target) Entry {
	return Entry{ID: id, Connection: "fw-edge", Done: "firewall.block_ip", Targets: targets, State: state, At: noon}
}

func already(e Entry) Entry { e.Already = true; return e }
func owed(e Entry) Entry    { e.Owed = true; return e }

func TestWhatFollowsWhenAnEntryEnds(t *testing.T) {
	t.Parallel()
	elsewhere := entry(9, EntryOpen, ip(1))
	elsewhere.Connection = "fw-branch"
	otherTenant := entry(9, EntryOpen, ip(1))
	otherTenant.Tenant = "b"
	otherAction := entry(9, EntryOpen, ip(1))
	otherAction.Done = "firewall.watch_ip"
	tests := []struct {
		name   string
		e      Entry
		others []Entry
		want   Taking
	}{
		{"alone, it is called", entry(1, EntryOpen, ip(1)), nil, Taking{State: EntryTaken, Call: true}},
		{"another target does not matter", entry(1, EntryOpen, ip(1)), []Entry{entry(2, EntryOpen, ip(2))}, Taking{State: EntryTaken, Call: true}},
		{"another connection does not matter", entry(1, EntryOpen, ip(1)), []Entry{elsewhere}, Taking{State: EntryTaken, Call: true}},
		{"another tenant does not matter", entry(1, EntryOpen, ip(1)), []Entry{otherTenant}, Taking{State: EntryTaken, Call: true}},
		{"another action does not matter", entry(1, EntryOpen, ip(1)), []Entry{otherAction}, Taking{State: EntryTaken, Call: true}},
		{"what another holds stays, and the undo is owed", entry(1, EntryOpen, ip(1)), []Entry{already(entry(2, EntryOpen, ip(1)))}, Taking{State: EntryUndone, Owed: true}},
		{"what it only found so is not owed", already(entry(1, EntryOpen, ip(1))), []Entry{entry(2, EntryOpen, ip(1))}, Taking{State: EntryUndone}},
		{"the last one frees the undo of the one that made it", already(entry(2, EntryOpen, ip(1))), []Entry{owed(entry(1, EntryUndone, ip(1)))}, Taking{State: EntryUndone, Free: []EntryID{1}}},
		{"what both made both undo", entry(2, EntryOpen, ip(1)), []Entry{owed(entry(1, EntryUndone, ip(1)))}, Taking{State: EntryTaken, Call: true, Free: []EntryID{1}}},
		{"a freed one is called though others wait for theirs", owed(entry(1, EntryOpen, ip(1))), []Entry{owed(entry(2, EntryOpen, ip(1)))}, Taking{State: EntryTaken, Call: true}},
		{"one that is being taken back does not hold", entry(1, EntryOpen, ip(1)), []Entry{entry(2, EntryTaken, ip(1))}, Taking{State: EntryTaken, Call: true}},
		{"one that failed does not hold", entry(1, EntryOpen, ip(1)), []Entry{entry(2, EntryFailed, ip(1))}, Taking{State: EntryTaken, Call: true}},
		{"one that ended long ago does not hold", entry(1, EntryOpen, ip(1)), []Entry{entry(2, EntryUndone, ip(1))}, Taking{State: EntryTaken, Call: true}},
		{"a failed one may be tried again", entry(1, EntryFailed, ip(1)), nil, Taking{State: EntryTaken, Call: true}},
		{"found so, and nobody owes it any more", already(entry(2, EntryOpen, ip(1))), []Entry{entry(1, EntryFailed, ip(1))}, Taking{State: EntryTaken, Call: true}},
		{"one of several targets is held", entry(1, EntryOpen, ip(1), ip(2)), []Entry{already(entry(2, EntryOpen, ip(2)))}, Taking{State: EntryUndone, Owed: true}},
		{"not before all its targets are free", already(entry(2, EntryOpen, ip(2))), []Entry{owed(entry(1, EntryUndone, ip(1), ip(2))), already(entry(3, EntryOpen, ip(1)))}, Taking{State: EntryTaken, Call: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Take(tt.e, tt.others)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	for _, state := range []EntryState{EntryTaken, EntryUndone} {
		if _, err := Take(entry(1, state, ip(1)), nil); !errors.Is(err, fault.Conflict) {
			t.Errorf("%s: %v", state, err)
		}
	}
}

func TestWhatWasSoBeforeMakesNoEntryUnlessWeMadeIt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		e      Entry
		others []Entry
		want   bool
	}{
		{"something done enters", entry(1, EntryOpen, ip(1)), nil, true},
		{"already so before us", already(entry(1, EntryOpen, ip(1))), nil, false},
		{"already so by an open entry of ours", already(entry(2, EntryOpen, ip(1))), []Entry{entry(1, EntryOpen, ip(1))}, true},
		{"already so by one that ended", already(entry(2, EntryOpen, ip(1))), []Entry{entry(1, EntryUndone, ip(1))}, false},
		{"already so by one that is being taken back", already(entry(2, EntryOpen, ip(1))), []Entry{entry(1, EntryTaken, ip(1))}, false},
		{"already so by one of another target", already(entry(2, EntryOpen, ip(1))), []Entry{entry(1, EntryOpen, ip(2))}, false},
	}
	for _, tt := range tests {
		if got := Enters(tt.e, tt.others); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestAnEntryEndsOnlyAfterItWasTaken(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		from EntryState
		ok   bool
		want EntryState
		kind error
	}{
		{EntryTaken, true, EntryUndone, nil}, {EntryTaken, false, EntryFailed, nil},
		{EntryOpen, true, EntryOpen, fault.Conflict}, {EntryUndone, false, EntryUndone, fault.Conflict}, {EntryFailed, true, EntryFailed, fault.Conflict},
	} {
		got, err := End(entry(1, tt.from, ip(1)), tt.ok)
		if got != tt.want || !errors.Is(err, tt.kind) {
			t.Errorf("%s, %v: %s, %v", tt.from, tt.ok, got, err)
		}
	}
}

// book is a ledger in memory that keeps to the rules, and a firewall that counts.
type book struct {
	entries []Entry
	rules   map[connector.Target]map[EntryID]bool // what stands in the product, by who made it
	calls   map[EntryID]int
}

func (b *book) others(e Entry) []Entry {
	return slices.DeleteFunc(slices.Clone(b.entries), func(o Entry) bool { return o.ID == e.ID })
}

func (b *book) do(id EntryID, targets []connector.Target) {
	e := entry(id, EntryOpen, targets...)
	e.Already = true
	for _, t := range targets {
		e.Already = e.Already && len(b.rules[t]) > 0
	}
	if !e.Already {
		for _, t := range targets {
			if b.rules[t] == nil {
				b.rules[t] = map[EntryID]bool{}
			}
			b.rules[t][id] = true
		}
	}
	if Enters(e, b.entries) {
		b.entries = append(b.entries, e)
	}
}

func (b *book) take(i int) {
	e := b.entries[i]
	if e.State != EntryOpen {
		return
	}
	t, err := Take(e, b.others(e))
	if err != nil {
		return
	}
	b.entries[i].State, b.entries[i].Owed = t.State, t.Owed
	if t.Call {
		b.calls[e.ID]++
		for _, target := range e.Targets {
			delete(b.rules[target], e.ID)
		}
		b.entries[i].State, _ = End(b.entries[i], true)
	}
	for _, id := range t.Free {
		j := slices.IndexFunc(b.entries, func(o Entry) bool { return o.ID == id })
		if b.entries[j].State == EntryUndone && b.entries[j].Owed { // not yet by another
			b.entries[j].State = EntryOpen
			b.take(j)
		}
	}
}

// Whatever the order in which entries are made and end: while one is open its
// targets stay as they are, and when all have ended nothing is left behind and
// nothing was taken back twice.
func TestATargetIsReleasedExactlyOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := &book{rules: map[connector.Target]map[EntryID]bool{}, calls: map[EntryID]int{}}
		check := func() {
			for _, e := range b.entries {
				for _, target := range e.Targets {
					if e.holds() && len(b.rules[target]) == 0 {
						t.Fatalf("%s holds %s, and it was released", e.ID, target.Value)
					}
				}
			}
		}
		next := EntryID(1)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "make") {
				n := rapid.IntRange(1, 3).Draw(t, "target")
				targets := []connector.Target{ip(n)}
				if rapid.IntRange(0, 3).Draw(t, "two") == 0 {
					targets = append(targets, ip(n%3+1))
				}
				b.do(next, targets)
				next++
			} else if len(b.entries) > 0 {
				b.take(rapid.IntRange(0, len(b.entries)-1).Draw(t, "which"))
			}
			check()
		}
		for range 3 {
			for i := range b.entries {
				b.take(i)
				check()
			}
		}
		for _, e := range b.entries {
			if e.State != EntryUndone || e.Owed {
				t.Fatalf("%s is left %s, owed %v", e.ID, e.State, e.Owed)
			}
		}
		for target, left := range b.rules {
			if len(left) > 0 {
				t.Fatalf("%s stays blocked by %v", target.Value, left)
			}
		}
		for id, n := range b.calls {
			if n > 1 {
				t.Fatalf("the undo of %s was called %d times", id, n)
			}
		}
	})
}

func TestEntriesAreTakenBackNewestFirst(t *testing.T) {
	t.Parallel()
	list := []Entry{entry(1, EntryOpen), entry(2, EntryOpen), entry(3, EntryOpen)}
	list[0].At = noon.Add(time.Hour)
	NewestFirst(list)
	if list[0].ID != 1 || list[1].ID != 3 || list[2].ID != 2 {
		t.Errorf("%v", list)
	}
}

func TestWhenAnEntryIsDue(t *testing.T) {
	t.Parallel()
	if !DueAt(noon, 0).IsZero() || DueAt(noon, time.Hour) != noon.Add(time.Hour) {
		t.Error("0s is for ever, 1h is an hour")
	}
}

func TestRetentionKeepsWhatIsNotDoneWith(t *testing.T) {
	t.Parallel()
	for _, state := range []EntryState{EntryOpen, EntryTaken, EntryFailed, EntryUndone} {
		e := entry(1, state, ip(1))
		if e.Removable() != (state == EntryUndone) {
			t.Errorf("%s: %v", state, e.Removable())
		}
		if e = owed(e); e.Removable() {
			t.Errorf("%s and owed is removed", state)
		}
	}
}

func TestAPersonSaysWhySomethingIsTakenBack(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{"wrong": true, "no_longer_needed": true, "": false, "expired": false, "Wrong": false} {
		r, err := ParseReason(text)
		if (err == nil) != ok || ok && string(r) != text || !ok && !errors.Is(err, fault.Invalid) {
			t.Errorf("%q: %q, %v", text, r, err)
		}
	}
}

func TestEntryIDsAreWrittenWithTheirLetter(t *testing.T) {
	t.Parallel()
	var id EntryID
	if err := id.UnmarshalText([]byte("L-311")); err != nil || id != 311 || id.String() != "L-311" {
		t.Errorf("%v, %v", id, err)
	}
	if err := id.UnmarshalText([]byte("R-311")); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
}
