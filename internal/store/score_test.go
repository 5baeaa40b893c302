package store

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/alert"
	"riposte/internal/cases"
	"riposte/internal/fault"
)

// scored stores alerts with these scores; those below zero wait.
func scored(t *testing.T, db *DB, points ...int) (ids []alert.ID) {
	t.Helper()
	write(t, db, func(tx *Tx) error {
		for i, p := range points {
			a := exampleAlert(i)
			a.Score, a.Band, a.Reasons, a.Failed = max(p, -p), alert.ForAnalyst, []alert.Reason{{Factor: "severity", Points: p, Why: "w"}}, []string{"f"}
			if a.Score >= 80 {
				a.Band = alert.Automatic
			}
			a.Waiting = p < 0
			if _, err := InsertAlert(tx, a); err != nil {
				return err
			}
			if a.Waiting {
				if err := BeginWait(tx, &Wait{Alert: a.ID, Began: a.Received, Deadline: a.Received.Add(time.Minute), Runs: []WaitRun{{"p", 7}}}); err != nil {
					return err
				}
			}
			ids = append(ids, a.ID)
		}
		return nil
	})
	return ids
}

func TestScoresAreListedFilteredAndSorted(t *testing.T) {

	suite(t, func(t *testing.T, db *DB) {
		scored(t, db, 30, 90, -50, 60, 85)
		yes, no := true, false
		points := func(f AlertFilter, limit int) (got []int) {
			for s := (Slice{Limit: limit}); ; {
				var p Page[alert.Alert]
				read(t, db, func(q *Reader) (err error) { p, err = ListAlerts(q, "", f, s); return err })
				for _, a := range p.Items {
					got = append(got, a.Score)
				}
				if s.Cursor = p.Next; s.Cursor == "" {
					return got
				}
			}
		}
		for _, tt := range []struct {
			name string
			f    AlertFilter
			want []int
		}{
			{"all by score", AlertFilter{ByScore: true}, []int{90, 85, 60, 50, 30}},
			{"ready by score", AlertFilter{ByScore: true, Ready: &yes}, []int{90, 85, 60, 30}},
			{"waiting by score", AlertFilter{ByScore: true, Ready: &no}, []int{50}},
			{"a band by score", AlertFilter{ByScore: true, Bands: []alert.Band{alert.Automatic}}, []int{90, 85}},
			{"waiting", AlertFilter{Ready: &no}, []int{50}},
			{"waiting of another status", AlertFilter{Ready: &no, Statuses: []alert.Status{alert.Closed}}, nil},
			{"ready of a band", AlertFilter{Ready: &yes, Bands: []alert.Band{alert.ForAnalyst}}, []int{60, 30}},
			{"ready of a status", AlertFilter{Ready: &yes, Statuses: []alert.Status{alert.New}, Bands: []alert.Band{alert.Automatic}}, []int{85, 90}},
		} {
			for _, limit := range []int{2, 50} {
				got := points(tt.f, limit)
				if !tt.f.ByScore {
					slices.Sort(got)
					slices.Sort(tt.want)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%s: %s", tt.name, diff)
				}
			}
		}
		read(t, db, func(q *Reader) error {
			_, err := ListAlerts(q, "", AlertFilter{ByScore: true, Statuses: []alert.Status{alert.Closed}}, Slice{})
			if !errors.Is(err, fault.Invalid) {
				t.Errorf("closed ones by score: %v", err)
			}
			return nil
		})
	})
}

func TestAWaitOutlivesARestartAndEndsOnce(t *testing.T) {

	suite(t, func(t *testing.T, db *DB) {
		ids := scored(t, db, -50, 10, -20)
		var waits []Wait
		read(t, db, func(q *Reader) (err error) { waits, err = Waits(q, 10); return err })
		if len(waits) != 2 || waits[0].Runs[0] != (WaitRun{"p", 7}) || waits[0].Deadline.Sub(waits[0].Began) != time.Minute {
			t.Fatalf("%+v", waits)
		}
		at := waits[0].Began.Add(time.Second)
		for _, want := range []bool{true, false} {
			write(t, db, func(tx *Tx) error {
				ended, err := EndWait(tx, ids[0], at)
				if ended != want {
					t.Errorf("ended is %v", ended)
				}
				return err
			})
		}
		read(t, db, func(q *Reader) error {
			a, err := Alert(q, "", ids[0])
			if err != nil || a.Waiting || !a.Ready.Equal(at) || a.Score != 50 || len(a.Reasons) != 1 || len(a.Failed) != 1 {
				t.Errorf("%+v %v", a, err)
			}
			since, n, err := OldestWait(q)
			if n != 1 || since.IsZero() {
				t.Errorf("%d since %s", n, since)
			}
			return err
		})
	})
}

func TestWhatPeopleDecideIsKeptForTheScore(t *testing.T) {

	suite(t, func(t *testing.T, db *DB) {
		ids := scored(t, db, 10, 20, 30)
		at := time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)
		ana := cases.By{Kind: cases.ByPerson, Name: "ana"}
		write(t, db, func(tx *Tx) error {
			move := func(id alert.ID, by string, to alert.Status, verdict string) error {
				return MoveAlert(tx, "", id, alert.Event{At: at, By: by, Status: to, Outcome: "o", Verdict: verdict})
			}
			open, err := OpenCase(tx, "", cases.Open{Title: "C", Severity: 3}, at, ana)
			return errors.Join(err,
				move(ids[0], "person:ana", alert.Closed, "false_positive"),
				move(ids[1], "rule:noise", alert.Closed, "false_positive"),
				move(ids[1], "person:ana", alert.New, ""),
				move(ids[2], "person:ana", alert.InCase, ""),
				second(ChangeCase(tx, "", open.Case.ID, 0, cases.Close{Verdict: cases.TruePositive, Reason: "r"}, at, ana)),
				second(ChangeCase(tx, "", open.Case.ID, 0, cases.Reopen{}, at, ana)),
				second(ChangeCase(tx, "", open.Case.ID, 0, cases.Close{Verdict: cases.FalsePositive, Reason: "r"}, at, cases.By{Kind: cases.ByPlaybook, Name: "p"})))
		})
		var got []string
		read(t, db, func(q *Reader) error {
			list, err := Decisions(q, 100)
			for _, d := range list {
				got = append(got, d.Status+" "+d.Verdict+" "+d.Who)
			}
			return err
		})
		if diff := cmp.Diff([]string{"closed false_positive ana", "new  ana", "closed true_positive ana", "open  ana"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func second(_ cases.Applied, err error) error { return err }

func TestDecisionsAndPairsAreKeptAndTakenBack(t *testing.T) {

	suite(t, func(t *testing.T, db *DB) {
		at := time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)
		j := Judged{Tenant: "default", Source: "s", Rule: "r", Subject: "A-1", Verdict: "false_positive", At: at, Who: "ana"}
		write(t, db, func(tx *Tx) error {
			k := j
			k.Verdict = "true_positive"
			return errors.Join(KeepJudged(tx, k, []uint64{1 << 63, 2}), KeepJudged(tx, j, []uint64{1 << 63, 2}))
		})
		read(t, db, func(q *Reader) error {
			list, err := JudgedSince(q, at)
			if diff := cmp.Diff([]Judged{j}, list); diff != "" {
				t.Error(diff)
			}
			pairs, errPairs := PairsSince(q, at)
			if len(pairs) != 2 || pairs[0].Verdict != "false_positive" || pairs[0].Pair|pairs[1].Pair != 1<<63|2 {
				t.Errorf("%+v", pairs)
			}
			return errors.Join(err, errPairs)
		})
		write(t, db, func(tx *Tx) error { return ForgetJudged(tx, "", "A-1") })
		read(t, db, func(q *Reader) error {
			list, err := JudgedOf(q, "", "A-1")
			pairs, _ := PairsSince(q, at)
			if len(list)+len(pairs) != 0 {
				t.Errorf("%+v %+v", list, pairs)
			}
			return err
		})
	})
}

func TestClosingsAreCountedFromATime(t *testing.T) {

	suite(t, func(t *testing.T, db *DB) {
		ids := scored(t, db, 10, 10, 10, 10)
		at := time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)
		rule := ClosingRule{Tenant: "default", Rule: "noise", Salt: []byte{1, 2}, Started: at}
		write(t, db, func(tx *Tx) error {
			err := PutClosingRule(tx, &rule)
			for i, id := range ids {
				err = errors.Join(err, KeepClosing(tx, &ClosingAct{Rule: "noise", Alert: id, At: at.Add(time.Duration(i) * time.Hour), Sampled: i%2 == 1}))
			}
			return errors.Join(err,
				DecideClosing(tx, &ClosingAct{Rule: "noise", Alert: ids[1], Decided: at.Add(5 * time.Hour), Verdict: "true_positive", Disagree: true, Who: "ana"}),
				DecideClosing(tx, &ClosingAct{Rule: "noise", Alert: ids[2], Decided: at.Add(5 * time.Hour), Disagree: true, Who: "ana"}))
		})
		read(t, db, func(q *Reader) error {
			c, err := CountClosings(q, "", "noise", at)
			if want := (ClosingCount{Closed: 2, Sampled: 2, Samples: 1, Disagree: 2, Waiting: 1}); c != want {
				t.Errorf("%+v", c)
			}
			later, _ := CountClosings(q, "", "noise", at.Add(6*time.Hour))
			if later != (ClosingCount{}) {
				t.Errorf("%+v", later)
			}
			page, errPage := ClosedBy(q, "", "noise", at, Slice{})
			if len(page.Items) != 2 || page.Items[0].ID != ids[2] {
				t.Errorf("%+v", page.Items)
			}
			acts, errActs := ClosingsOf(q, ids[1])
			if len(acts) != 1 || !acts[0].Sampled || !acts[0].Disagree || acts[0].Who != "ana" {
				t.Errorf("%+v", acts)
			}
			rules, errRules := ClosingRules(q)
			if diff := cmp.Diff([]ClosingRule{rule}, rules); diff != "" {
				t.Error(diff)
			}
			return errors.Join(err, errPage, errActs, errRules)
		})
	})
}
