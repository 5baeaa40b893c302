package store

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/alert"
	"riposte/internal/auth"
	"riposte/internal/cases"
	"riposte/internal/fault"
	"riposte/internal/guard"
)

const day = 24 * time.Hour

func TestRetentionSparesWhatIsStillNeeded(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		const n = 2*sweepSlice + 50
		write(t, d, func(tx *Tx) error {
			for i := 1; i <= n; i++ {
				a := exampleAlert(i)
				a.Tenant = []string{"", "other"}[i%2]
				switch {
				case i%10 == 1:
					a.Received, a.Time = noon.Add(90*day), noon.Add(90*day) // young
				case i%10 == 2:
					a.LastSeen = noon.Add(90 * day) // old, and seen again
				}
				if _, err := InsertAlert(tx, a); err != nil {
					return err
				}
			}
			return nil
		})
		kept := openCase(t, d, cases.Open{Title: "open", Severity: 1})
		closed := openCase(t, d, cases.Open{Title: "closed", Severity: 1, Tags: []string{"x"}})
		owing := openCase(t, d, cases.Open{Title: "closed, with an open block", Severity: 1})
		change(t, d, kept.ID, cases.AddAlert{Alert: 10}, cases.AddAlert{Alert: 20})
		change(t, d, closed.ID, cases.AddAlert{Alert: 30}, cases.AddNote{Text: "x"}, cases.AddTask{Title: "x"}, cases.AddEvidence{Title: "x", Hash: "h"},
			cases.AddObservable{Type: "ip", Value: "10.0.0.1"}, cases.Close{Verdict: cases.FalsePositive, Even: true})
		change(t, d, owing.ID, cases.AddAlert{Alert: 40}, cases.Close{Verdict: cases.TruePositive})
		blocked, over := block(3, time.Time{}, "203.0.113.1"), block(6, time.Time{}, "203.0.113.2")
		blocked.Case = int64(owing.ID)
		failed, taken := block(9, time.Time{}, "203.0.113.3"), block(12, time.Time{}, "203.0.113.4")
		enter(t, d, blocked, over, failed, taken)
		takeBack(t, d, over.ID)
		write(t, d, func(tx *Tx) error {
			_, err := TakeLedger(tx, failed.ID, 1, "timer", "", noon)
			_, err2 := TakeLedger(tx, taken.ID, 1, "timer", "", noon)
			err3 := EndLedger(tx, failed.ID, false, "no", noon)
			open := &Question{Run: 1, Act: 1, N: 1, Asked: noon}
			old := &Question{Run: 1, Act: 2, N: 1, Asked: noon}
			return errors.Join(err, err2, err3, OpenQuestion(tx, open), OpenQuestion(tx, old), CloseQuestions(tx, 1, 2, 0, noon),
				PutSession(tx, "old", auth.Session{Owner: "ana"}, noon), PutSession(tx, "new", auth.Session{Owner: "ana"}, noon.Add(200*day)),
				SaveReservation(tx, guard.Reservation{Run: 1, Act: 1, At: noon, Spent: noon}), SaveReservation(tx, guard.Reservation{Run: 2, Act: 1, At: noon}))
		})
		now := noon.Add(100 * day)
		got, err := d.Sweep(context.Background(), now, Keep{Alerts: 30 * day, Cases: 30 * day, Ledger: 30 * day})
		if err != nil {
			t.Fatal(err)
		}
		want := Swept{Alerts: n*8/10 - 3, Cases: 1, Ledger: 1, Questions: 1, Others: 2}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		read(t, d, func(q *Reader) error {
			var there []string
			for name, id := range map[string]alert.ID{"in an open case": 10, "in a closed case with an open block": 40, "young": 11} {
				_, err := Alert(q, "", id)
				_, err2 := Alert(q, "other", id)
				if err != nil && err2 != nil {
					t.Errorf("the alert %s is gone", name)
				}
			}
			if _, err := Alert(q, "", 30); !errors.Is(err, fault.NotFound) {
				t.Errorf("the alert of the removed case: %v", err)
			}
			for _, c := range []cases.Case{kept, owing} {
				if _, err := Case(q, "", c.ID); err != nil {
					there = append(there, c.Title)
				}
			}
			if len(there) > 0 {
				t.Errorf("cases are gone: %v", there)
			}
			for _, table := range []string{"case_alerts", "case_notes", "case_tasks", "case_observables", "case_evidence", "case_tags", "case_timeline"} {
				var left int
				if err := q.QueryRow("SELECT count(*) FROM "+table+" WHERE case_id = ?", int64(closed.ID)).Scan(&left); err != nil || left != 0 {
					t.Errorf("%d rows left in %s, %v", left, table, err)
				}
			}
			var observables, alerts int
			err := q.QueryRow("SELECT count(*) FROM alert_observables").Scan(&observables)
			err2 := q.QueryRow("SELECT count(*) FROM alerts").Scan(&alerts)
			if observables != 2*alerts {
				t.Errorf("%d observables for %d alerts with two each", observables, alerts)
			}
			waiting, err3 := Reservations(q, now)
			if len(waiting) != 1 || waiting[0].Run != 2 {
				t.Errorf("reservations that wait: %+v", waiting)
			}
			return errors.Join(err, err2, err3)
		})
		for _, e := range []*LedgerEntry{blocked, failed, taken} {
			read(t, d, func(q *Reader) error { _, err := LedgerEntryOf(q, "", e.ID); return err })
		}
		if again, err := d.Sweep(context.Background(), now, Keep{Alerts: 30 * day, Cases: 30 * day, Ledger: 30 * day}); err != nil || !again.Nothing() {
			t.Errorf("a second sweep removed %+v, %v", again, err)
		}
		if none, err := d.Sweep(context.Background(), now.Add(1000*day), Keep{}); err != nil || none.Alerts+none.Cases+none.Ledger+none.Questions != 0 {
			t.Errorf("what is kept for ever was removed: %+v, %v", none, err)
		}
	})
}

func TestSweepsDoNotGoThroughWholeTables(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		read(t, d, func(q *Reader) error {
			for _, text := range []string{sweepLedger, sweepQuestions, sweepSessions, sweepLists, sweepReservations} {
				for _, step := range plan(t, q, text) {
					if strings.HasPrefix(step, "SCAN ") {
						t.Errorf("%s\n  %s", text, step)
					}
				}
			}
			return nil
		})
		plans(t, d, func(q *Reader) error {
			tx := &Tx{Reader: *q, db: d}
			_, _, err := sweepCases(noon)(tx)
			_, _, err2 := sweepAlertSlice(tx, "default", noon, atBottom)
			_, err3 := Reservations(q, noon)
			return errors.Join(err, err2, err3)
		})
	})
}

func TestASweepLetsOthersWrite(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		write(t, d, func(tx *Tx) error {
			for i := range 3000 {
				if _, err := InsertAlert(tx, exampleAlert(i)); err != nil {
					return err
				}
			}
			return nil
		})
		swept := make(chan error, 1)
		go func() {
			_, err := d.Sweep(context.Background(), noon.Add(100*day), Keep{Alerts: day})
			swept <- err
		}()
		written := 0
		for done := false; !done; {
			select {
			case err := <-swept:
				if err != nil {
					t.Error(err)
				}
				done = true
			default:
				write(t, d, insert(written))
				written++
			}
		}
		if written < 5 {
			t.Errorf("only %d writes came in between", written)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := d.Sweep(ctx, noon, Keep{Ledger: day}); !errors.Is(err, context.Canceled) {
			t.Errorf("a sweep that is told to stop: %v", err)
		}
	})
}
