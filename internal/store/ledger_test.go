package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"riposte/connector"
	"riposte/internal/fault"
	"riposte/internal/guard"
	"riposte/internal/run"
)

// block is an entry of a run that blocked addresses until a time.
func block(id run.ID, due time.Time, ips ...string) *LedgerEntry {
	e := &LedgerEntry{Run: id, Act: 3, Case: int64(id) % 3, Playbook: "block-ip", Version: int(id%2) + 1, At: noon.Add(time.Duration(id) * time.Second), Due: due}
	e.UndoEntry = run.UndoEntry{Step: "block", Done: "fw.block", Action: "fw.unblock", Connection: "fw-1", With: json.RawMessage(`{"a":1}`), After: time.Hour}
	for _, ip := range ips {
		e.Targets = append(e.Targets, connector.Target{Kind: "ip", Value: ip})
	}
	return e
}

func enter(t *testing.T, d *DB, list ...*LedgerEntry) {
	t.Helper()
	for _, e := range list {
		write(t, d, func(tx *Tx) error { return EnterLedger(tx, e) })
	}
}

// takeBack takes an entry back for good where its own undo is called, and tells
// whether it was.
func takeBack(t *testing.T, d *DB, id int64) (call bool) {
	t.Helper()
	write(t, d, func(tx *Tx) (err error) {
		if call, err = TakeLedger(tx, id, 900, "timer", "expired", noon); err != nil || !call {
			return err
		}
		return EndLedger(tx, id, true, "", noon)
	})
	return call
}

func states(t *testing.T, d *DB, list ...*LedgerEntry) (out []string) {
	t.Helper()
	for _, e := range list {
		read(t, d, func(q *Reader) error {
			now, err := LedgerEntryOf(q, DefaultTenant, e.ID)
			s := string(now.State)
			if now.Owed {
				s += " owed"
			}
			out = append(out, s)
			return err
		})
	}
	return out
}

func TestATargetIsReleasedWhenItsLastEntryEnds(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		hour, week := block(1, noon.Add(time.Hour), "203.0.113.9"), block(2, noon.Add(168*time.Hour), "203.0.113.9")
		enter(t, d, hour, week)
		if takeBack(t, d, hour.ID) {
			t.Error("the block for an hour lifts the one for a week")
		}
		if diff := cmp.Diff([]string{"undone owed", "open"}, states(t, d, hour, week)); diff != "" {
			t.Error(diff)
		}
		if !takeBack(t, d, week.ID) {
			t.Error("the last one does not release the target")
		}
		// What the first made is now to be undone, too: it is open again, due at once.
		if diff := cmp.Diff([]string{"open owed", "undone"}, states(t, d, hour, week)); diff != "" {
			t.Error(diff)
		}
		read(t, d, func(q *Reader) error {
			due, err := LedgerDue(q, noon, 10)
			if len(due) != 1 || due[0].ID != hour.ID {
				t.Errorf("due is %+v", due)
			}
			return err
		})
		if !takeBack(t, d, hour.ID) {
			t.Error("the owed undo is not called")
		}
		if diff := cmp.Diff([]string{"undone", "undone"}, states(t, d, hour, week)); diff != "" {
			t.Error(diff)
		}
		again := block(3, time.Time{}, "203.0.113.9")
		enter(t, d, again)
		if !takeBack(t, d, again.ID) {
			t.Error("entries that are over still hold the target")
		}
	})
}

func TestWhatWasSoBeforeEntersOnlyWhereWeHoldIt(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		foreign := block(1, time.Time{}, "203.0.113.9")
		foreign.Already = true
		enter(t, d, foreign)
		if foreign.ID != 0 {
			t.Error("what somebody else blocked is in the ledger")
		}
		ours, again := block(2, noon.Add(time.Hour), "203.0.113.9"), block(3, noon.Add(2*time.Hour), "203.0.113.9")
		again.Already = true
		enter(t, d, ours, again)
		if again.ID == 0 || takeBack(t, d, ours.ID) {
			t.Error("the second block of our own target does not hold it")
		}
	})
}

func TestOnlyOneTakesAnEntry(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		e := block(1, noon, "203.0.113.9")
		enter(t, d, e)
		write(t, d, func(tx *Tx) error { _, err := TakeLedger(tx, e.ID, 7, "ana", "wrong", noon); return err })
		wantErr(t, d, fault.Conflict, func(tx *Tx) error { _, err := TakeLedger(tx, e.ID, 8, "timer", "", noon); return err })
		write(t, d, func(tx *Tx) error { return EndLedger(tx, e.ID, false, "the firewall is down", noon) })
		wantErr(t, d, fault.Conflict, func(tx *Tx) error { return EndLedger(tx, e.ID, true, "", noon) })
		read(t, d, func(q *Reader) error {
			got, err := LedgerEntryOf(q, "", e.ID)
			want := *e
			want.State, want.TakenRun, want.TakenBy, want.Why, want.Problem, want.Tries = guard.EntryFailed, 7, "ana", "wrong", "the firewall is down", 1
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			due, err2 := LedgerDue(q, noon.Add(time.Hour), 10)
			if len(due) != 0 {
				t.Error("a failed undo is due again by itself")
			}
			return errors.Join(err, err2)
		})
		if !takeBack(t, d, e.ID) {
			t.Error("a person cannot try again")
		}
		wantErr(t, d, fault.NotFound, func(tx *Tx) error { _, err := LedgerEntryOf(&tx.Reader, "other", e.ID); return err })
		wantErr(t, d, fault.NotFound, func(tx *Tx) error { _, err := TakeLedger(tx, 99, 8, "timer", "", noon); return err })
	})
}

func TestWhatIsWantedBackIsListedUntilItIsOver(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		a, b, c := block(1, noon, "203.0.113.1"), block(2, noon, "203.0.113.2"), block(3, noon, "203.0.113.3")
		held, holder := block(4, noon, "203.0.113.4"), block(5, noon, "203.0.113.4")
		enter(t, d, a, b, c, held, holder)
		takeBack(t, d, c.ID) // is over and stays so
		want := func(who string, ids ...int64) {
			t.Helper()
			write(t, d, func(tx *Tx) error { return WantLedger(tx, ids, who, "wrong") })
		}
		wanted := func(limit int) (out []string) {
			t.Helper()
			read(t, d, func(q *Reader) error {
				list, err := LedgerWanted(q, limit)
				for _, e := range list {
					out = append(out, fmt.Sprint(e.Wanted, " ", e.ID, " ", e.WantedBy, " ", e.WantedWhy))
				}
				return err
			})
			return out
		}
		is := func(limit int, want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, wanted(limit), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		}
		is(9)
		want("ana", a.ID, b.ID, c.ID)
		want("bob", b.ID, held.ID)
		is(9, "1 2 ana wrong", "1 1 ana wrong", "2 4 bob wrong")
		is(1, "1 2 ana wrong", "2 4 bob wrong")
		if takeBack(t, d, held.ID) { // ends with its taking
			t.Error("what another entry holds was released")
		}
		write(t, d, func(tx *Tx) error { _, err := TakeLedger(tx, b.ID, 7, "ana", "wrong", noon); return err })
		is(9, "1 2 ana wrong", "1 1 ana wrong") // while it is under way
		write(t, d, func(tx *Tx) error { return EndLedger(tx, b.ID, false, "the firewall is down", noon) })
		is(9, "1 1 ana wrong")
		takeBack(t, d, a.ID)
		is(9)
		want("ana", b.ID) // a failed one may be wanted again
		is(9, "1 2 ana wrong")
		plans(t, d, func(q *Reader) error { _, err := LedgerWanted(q, 9); return err })
	})
}

func TestAnUndoThatCannotBeWorkedOutBeginsAsFailed(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		e := block(1, noon, "203.0.113.9")
		e.UndoEntry.Problem, e.Problem = "no handle", "no handle"
		enter(t, d, e)
		if diff := cmp.Diff([]string{"failed"}, states(t, d, e)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestListsOfTheLedgerFilterAndPage(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		const n = 40
		var made []*LedgerEntry
		for i := 1; i <= n; i++ {
			e := block(run.ID(i), noon, fmt.Sprint("10.0.0.", i%4), fmt.Sprint("10.1.0.", i))
			if i%5 == 0 {
				e.Playbook = "isolate"
			}
			if i%7 == 0 {
				e.Tenant = "other"
			}
			made = append(made, e)
		}
		enter(t, d, made...)
		takeBack(t, d, made[37].ID)
		takeBack(t, d, made[36].ID)
		taken := func(i int) bool { return i == 37 || i == 38 }
		tests := []struct {
			name string
			f    LedgerFilter
			fits func(i int) bool
		}{
			{"all", LedgerFilter{}, func(int) bool { return true }},
			{"open", LedgerFilter{State: guard.EntryOpen}, func(i int) bool { return !taken(i) }},
			{"undone", LedgerFilter{State: guard.EntryUndone}, taken},
			{"run", LedgerFilter{Run: 12}, func(i int) bool { return i == 12 }},
			{"run and state", LedgerFilter{Run: 12, State: guard.EntryFailed}, func(int) bool { return false }},
			{"case", LedgerFilter{Case: 2}, func(i int) bool { return i%3 == 2 }},
			{"playbook", LedgerFilter{Playbook: "isolate"}, func(i int) bool { return i%5 == 0 }},
			{"version", LedgerFilter{Playbook: "isolate", Version: 1, State: guard.EntryOpen}, func(i int) bool { return i%10 == 0 }},
			{"target", LedgerFilter{Target: "10.0.0.3"}, func(i int) bool { return i%4 == 3 }},
			{"target and case", LedgerFilter{Target: "10.0.0.3", Case: 1, Playbook: "block-ip"}, func(i int) bool { return i%12 == 7 && i%5 != 0 }},
			{"time", LedgerFilter{From: noon.Add(5 * time.Second), Until: noon.Add(9 * time.Second)}, func(i int) bool { return i >= 5 && i < 9 }},
		}
		for _, tt := range tests {
			var want, got []int64
			for i := n; i > 0; i-- {
				if tt.fits(i) && i%7 != 0 {
					want = append(want, made[i-1].ID)
				}
			}
			for _, e := range walk(t, d, 3, func(q *Reader, s Slice) (Page[LedgerEntry], error) { return ListLedger(q, "", tt.f, s) }) {
				got = append(got, e.ID)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s:\n%s", tt.name, diff)
			}
			plans(t, d, func(q *Reader) error { _, err := ListLedger(q, "", tt.f, Slice{}); return err })
		}
		plans(t, d, func(q *Reader) error {
			_, err := LedgerDue(q, noon, 10)
			of, err2 := LedgerOfRun(q, 12)
			if len(of) != 1 {
				t.Errorf("%d entries of the run", len(of))
			}
			_, err3 := sharing(q, made[0])
			return errors.Join(err, err2, err3)
		})
	})
}

func TestQuestionsAndTheirAnswers(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		ask := func(id run.ID, act run.Act, n int) *Question {
			return &Question{Run: id, Act: act, N: n, Playbook: "p", By: "trigger:alert", Case: 5, Alert: 6, Severity: 4, Asked: noon,
				Question: run.Question{Kind: run.ForApproval, Title: "Block", Asks: []run.Quorum{{People: []string{"role:analyst"}, Need: 2, Source: "file"}}, Hash: "h"}}
		}
		one, other, next := ask(1, 2, 1), ask(2, 2, 1), ask(1, 2, 2)
		again := ask(1, 2, 1)
		for _, q := range []*Question{one, other, next, again} {
			write(t, d, func(tx *Tx) error { return OpenQuestion(tx, q) })
		}
		if again.ID != one.ID {
			t.Errorf("the same question has the IDs %d and %d", one.ID, again.ID)
		}
		answer := run.Answer{By: "ana", Yes: true, Quorums: []int{0}, Note: "fine"}
		write(t, d, func(tx *Tx) error {
			return errors.Join(KeepAnswer(tx, 1, 2, 1, noon, answer), KeepAnswer(tx, 1, 2, 1, noon.Add(time.Hour), run.Answer{By: "ana"}),
				CloseQuestions(tx, 1, 2, 1, noon.Add(time.Minute)))
		})
		want := *one
		want.State, want.Tenant, want.Ended = QuestionClosed, DefaultTenant, noon.Add(time.Minute)
		want.Answers = []GivenAnswer{{At: noon, Answer: answer}}
		ids := func(f QuestionFilter) (out []int64) {
			for _, x := range walk(t, d, 1, func(q *Reader, s Slice) (Page[Question], error) { return ListQuestions(q, "", f, s) }) {
				out = append(out, x.ID)
			}
			plans(t, d, func(q *Reader) error { _, err := ListQuestions(q, "", f, Slice{}); return err })
			return out
		}
		read(t, d, func(q *Reader) error {
			got, err := QuestionOf(q, "", one.ID)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			return err
		})
		for _, tt := range []struct {
			f    QuestionFilter
			want []int64
		}{
			{QuestionFilter{}, []int64{one.ID, other.ID, next.ID}},
			{QuestionFilter{State: QuestionOpen}, []int64{other.ID, next.ID}},
			{QuestionFilter{State: QuestionClosed, Run: 1}, []int64{one.ID}},
			{QuestionFilter{Case: 5, State: QuestionOpen}, []int64{other.ID, next.ID}},
			{QuestionFilter{Run: 1, Case: 4}, nil},
		} {
			if got := ids(tt.f); !slices.Equal(got, tt.want) {
				t.Errorf("%+v: %v, want %v", tt.f, got, tt.want)
			}
		}
		write(t, d, func(tx *Tx) error { return CloseQuestions(tx, 1, 2, 0, noon) })
		if got := ids(QuestionFilter{State: QuestionOpen}); !slices.Equal(got, []int64{other.ID}) {
			t.Errorf("open after closing all of the activation: %v", got)
		}
		wantErr(t, d, fault.NotFound, func(tx *Tx) error { _, err := QuestionOf(&tx.Reader, "other", one.ID); return err })
	})
}
