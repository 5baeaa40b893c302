package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"riposte/internal/alert"
	"riposte/internal/cases"
	"riposte/internal/fault"
)

func openCase(t *testing.T, d *DB, o cases.Open) (c cases.Case) {
	t.Helper()
	write(t, d, func(tx *Tx) error {
		done, err := OpenCase(tx, "", o, noon, ana)
		c = done.Case
		return err
	})
	return c
}

func change(t *testing.T, d *DB, id cases.ID, ch ...cases.Change) (done cases.Applied) {
	t.Helper()
	for i, c := range ch {
		write(t, d, func(tx *Tx) (err error) {
			done, err = ChangeCase(tx, "", id, 0, c, noon.Add(time.Duration(i+1)*time.Minute), ana)
			return err
		})
	}
	return done
}

func ptr[T any](v T) *T { return &v }

func TestACaseAndItsTimelineComeBack(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		a := exampleAlert(1)
		write(t, d, func(tx *Tx) error { _, err := InsertAlert(tx, a); return err })
		c := openCase(t, d, cases.Open{Title: "Scan of web-1", Description: "long", Severity: 2, Tags: []string{"web", "edge"}, TLP: "amber",
			Group: "203.0.113.9", Fields: map[string]json.RawMessage{"site": json.RawMessage(`"north"`)}})
		last := change(t, d, c.ID,
			cases.AddAlert{Alert: a.ID, Title: a.Title, Severity: 4},
			cases.AddAlert{Alert: a.ID, Title: a.Title},
			cases.AddObservable{Type: "ip", Value: "203.0.113.9", Role: "source"},
			cases.AddObservable{Type: "ip", Value: "203.0.113.9", Verdict: "malicious", Score: 90},
			cases.AddTask{Title: "Look at web-1", Assignee: "ana", Due: noon.Add(time.Hour), Evidence: []string{"", "blob:1"}, Key: "R-1/3"},
			cases.AddTask{Title: "Look at web-1", Key: "R-1/3"},
			cases.AddNote{Text: "first", Key: "R-1/4"},
			cases.AddNote{Text: "first", Key: "R-1/4"},
			cases.EditNote{N: 1, Text: "**first**"},
			cases.SetTask{N: 1, Done: ptr(true)},
			cases.AddEvidence{Title: "capture", Hash: "abc", SizeBytes: 10, MediaType: "application/vnd.tcpdump.pcap"},
			cases.Set{Owner: ptr("ana"), AddTags: []string{"scan"}, RemoveTags: []string{"web"}, Fields: map[string]json.RawMessage{"site": json.RawMessage("null"), "n": json.RawMessage("1")}},
			cases.Record{Kind: cases.Contained, What: "203.0.113.9 blocked", Links: []string{"L-1", "R-1"}},
			cases.Close{Verdict: cases.TruePositive, Reason: "blocked"},
		)
		var v cases.View
		var entries Page[cases.Entry]
		read(t, d, func(q *Reader) (err error) {
			if v, err = ViewCase(q, "", c.ID); err != nil {
				return err
			}
			entries, err = Timeline(q, "", c.ID, Slice{Limit: 1000})
			return err
		})
		if diff := cmp.Diff(last.Case, v.Case); diff != "" {
			t.Errorf("what was stored is not what the change made:\n%s", diff)
		}
		wantTask := []cases.Task{{N: 1, Title: "Look at web-1", Assignee: "ana", Due: noon.Add(time.Hour), Done: noon.Add(10 * time.Minute), DoneBy: "ana",
			Evidence: []string{"blob:1"}, Created: noon.Add(5 * time.Minute), By: ana, Key: "R-1/3"}}
		if diff := cmp.Diff(wantTask, v.Tasks); diff != "" {
			t.Error(diff)
		}
		wantNote := []cases.Note{{N: 1, Text: "**first**", Created: noon.Add(7 * time.Minute), Edited: noon.Add(9 * time.Minute), By: ana, Key: "R-1/4"}}
		if diff := cmp.Diff(wantNote, v.Notes); diff != "" {
			t.Error(diff)
		}
		wantObservable := []cases.Observable{{Type: "ip", Value: "203.0.113.9", Role: "source", Verdict: "malicious", Score: 90,
			Added: noon.Add(3 * time.Minute), Updated: noon.Add(4 * time.Minute)}}
		if diff := cmp.Diff(wantObservable, v.Observables); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]alert.ID{a.ID}, v.Alerts); diff != "" {
			t.Error(diff)
		}
		var kinds []cases.EntryKind
		for i, e := range entries.Items {
			kinds = append(kinds, e.Kind)
			if e.N != i+1 || e.By != ana || e.At.IsZero() || e.What == "" {
				t.Errorf("entry %d is %+v", i, e)
			}
		}
		want := []cases.EntryKind{cases.Opened, cases.AlertAdded, cases.Changed, cases.ObservableAdded, cases.ObservableChanged, cases.ObservableChanged,
			cases.TaskAdded, cases.Noted, cases.NoteEdited, cases.TaskDone, cases.EvidenceAdded, cases.Changed, cases.Changed, cases.Changed, cases.Changed,
			cases.Contained, cases.Closed}
		if diff := cmp.Diff(want, kinds); diff != "" {
			t.Error(diff)
		}
		read(t, d, func(q *Reader) error {
			got, err := Alert(q, "", a.ID)
			if got.Status != alert.InCase {
				t.Errorf("the alert is %s", got.Status)
			}
			list, err2 := CasesOfAlert(q, a.ID)
			if len(list) != 1 || list[0] != c.ID {
				t.Errorf("the alert is in %v", list)
			}
			return errors.Join(err, err2)
		})
	})
}

func TestAChangeOfAnOldVersionIsStale(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		c := openCase(t, d, cases.Open{Title: "x", Severity: 1})
		change(t, d, c.ID, cases.AddNote{Text: "meanwhile"})
		wantErr(t, d, ErrStale, func(tx *Tx) error {
			_, err := ChangeCase(tx, "", c.ID, c.Version, cases.AddNote{Text: "late"}, noon, ana)
			return err
		})
		wantErr(t, d, fault.NotFound, func(tx *Tx) error {
			_, err := ChangeCase(tx, "other", c.ID, 0, cases.AddNote{Text: "x"}, noon, ana)
			return err
		})
		wantErr(t, d, fault.NotFound, func(tx *Tx) error {
			_, err := ChangeCase(tx, "", c.ID, 0, cases.AddAlert{Alert: 99}, noon, ana)
			return err
		})
		read(t, d, func(q *Reader) error {
			got, err := Case(q, "", c.ID)
			if got.Version != 2 || got.Alerts != 0 {
				t.Errorf("a refused change left version %d, %d alerts", got.Version, got.Alerts)
			}
			return err
		})
	})
}

func TestAnAlertTakenOutOfItsLastCaseIsNewAgain(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		a := exampleAlert(1)
		write(t, d, func(tx *Tx) error { _, err := InsertAlert(tx, a); return err })
		first, second := openCase(t, d, cases.Open{Title: "1", Severity: 1}), openCase(t, d, cases.Open{Title: "2", Severity: 1})
		change(t, d, first.ID, cases.AddAlert{Alert: a.ID})
		change(t, d, second.ID, cases.AddAlert{Alert: a.ID})
		for _, step := range []struct {
			from cases.ID
			want alert.Status
		}{{first.ID, alert.InCase}, {second.ID, alert.New}} {
			change(t, d, step.from, cases.RemoveAlert{Alert: a.ID})
			read(t, d, func(q *Reader) error {
				got, err := Alert(q, "", a.ID)
				if got.Status != step.want {
					t.Errorf("out of %s: %s, want %s", step.from, got.Status, step.want)
				}
				return err
			})
		}
	})
}

func TestListsOfCasesFilterAndPage(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		const n = 60
		write(t, d, func(tx *Tx) error {
			for i := 1; i <= n; i++ {
				o := cases.Open{Title: fmt.Sprintf("case %d", i), Severity: 1 + i%5, Group: fmt.Sprint("g", i%10)}
				if i%3 == 0 {
					o.Owner = "ana"
				}
				if i%4 == 0 {
					o.Tags = []string{"vip", "web"}
				}
				done, err := OpenCase(tx, "", o, noon.Add(time.Duration(i)*time.Minute), ana)
				if err != nil {
					return err
				}
				ch := cases.Change(cases.AddObservable{Type: "ip", Value: fmt.Sprint("10.0.0.", i%6)})
				if _, err := ChangeCase(tx, "", done.Case.ID, 0, ch, noon.Add(time.Hour), ana); err != nil {
					return err
				}
				if i%2 == 0 {
					ch = cases.Close{Verdict: cases.FalsePositive}
					if _, err := ChangeCase(tx, "", done.Case.ID, 0, ch, noon.Add(time.Hour), ana); err != nil {
						return err
					}
				}
			}
			return nil
		})
		indexAll(t, d)
		tests := []struct {
			name string
			f    CaseFilter
			fits func(i int) bool
		}{
			{"all", CaseFilter{}, func(int) bool { return true }},
			{"open", CaseFilter{Statuses: []cases.Status{cases.IsOpen}}, func(i int) bool { return i%2 == 1 }},
			{"open and severe", CaseFilter{Statuses: []cases.Status{cases.IsOpen}, Severities: []int{4, 5}}, func(i int) bool { return i%2 == 1 && i%5 >= 3 }},
			{"severe", CaseFilter{Severities: []int{5}}, func(i int) bool { return i%5 == 4 }},
			{"owner", CaseFilter{Owner: ptr("ana")}, func(i int) bool { return i%3 == 0 }},
			{"nobody's, open, severe", CaseFilter{Owner: ptr(""), Statuses: []cases.Status{cases.IsOpen}, Severities: []int{5}}, func(i int) bool { return i%3 != 0 && i%2 == 1 && i%5 == 4 }},
			{"verdict", CaseFilter{Verdicts: []cases.Verdict{cases.FalsePositive}}, func(i int) bool { return i%2 == 0 }},
			{"tag", CaseFilter{Tag: "vip"}, func(i int) bool { return i%4 == 0 }},
			{"observable", CaseFilter{Observable: "ip:10.0.0.3"}, func(i int) bool { return i%6 == 3 }},
			{"text", CaseFilter{Text: "CASE-1"}, func(i int) bool { return fmt.Sprint(i)[0] == '1' }},
			{"time", CaseFilter{From: noon.Add(10 * time.Minute), Until: noon.Add(12 * time.Minute)}, func(i int) bool { return i == 10 || i == 11 }},
			{"alert", CaseFilter{Alert: 5}, func(int) bool { return false }},
		}
		for _, tt := range tests {
			var want []string
			for i := n; i > 0; i-- {
				if tt.fits(i) {
					want = append(want, fmt.Sprintf("case %d", i))
				}
			}
			for _, byUpdate := range []bool{false, true} {
				f := tt.f
				f.ByUpdate = byUpdate
				if byUpdate && !f.From.IsZero() {
					continue // all were changed at the same time
				}
				var got []string
				for _, c := range walk(t, d, 7, func(q *Reader, s Slice) (Page[cases.Case], error) { return ListCases(q, "", f, s) }) {
					got = append(got, c.Title)
				}
				if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s, by update %v:\n%s", tt.name, byUpdate, diff)
				}
				plans(t, d, func(q *Reader) error { _, err := ListCases(q, "", f, Slice{}); return err })
			}
		}
		read(t, d, func(q *Reader) error {
			id, err := OpenCaseOfGroup(q, "", "g3")
			if id != 53 {
				t.Errorf("the open case of the group is %s", id)
			}
			none, err2 := OpenCaseOfGroup(q, "", "g4")
			if none != 0 {
				t.Errorf("a closed case takes alerts: %s", none)
			}
			return errors.Join(err, err2)
		})
	})
}

func TestPartsOfACasePage(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		c := openCase(t, d, cases.Open{Title: "x", Severity: 1})
		const n = 25
		write(t, d, func(tx *Tx) error {
			for i := range n {
				a := exampleAlert(i)
				if _, err := InsertAlert(tx, a); err != nil {
					return err
				}
				for _, ch := range []cases.Change{
					cases.AddNote{Text: fmt.Sprint("note ", i)},
					cases.AddTask{Title: fmt.Sprint("task ", i), Assignee: "group:night", Due: noon.Add(time.Duration(-i) * time.Hour)},
					cases.AddEvidence{Title: "x", Link: "https://example.org"},
					cases.AddObservable{Type: "url", Value: fmt.Sprintf("https://example.org/%02d", i)},
					cases.AddAlert{Alert: a.ID},
				} {
					if _, err := ChangeCase(tx, "", c.ID, 0, ch, noon, ana); err != nil {
						return err
					}
				}
			}
			return nil
		})
		notes := walk(t, d, 10, func(q *Reader, s Slice) (Page[cases.Note], error) { return Notes(q, "", c.ID, s) })
		tasks := walk(t, d, 10, func(q *Reader, s Slice) (Page[cases.Task], error) { return Tasks(q, "", c.ID, s) })
		evidence := walk(t, d, 10, func(q *Reader, s Slice) (Page[cases.Evidence], error) { return EvidenceOf(q, "", c.ID, s) })
		observables := walk(t, d, 10, func(q *Reader, s Slice) (Page[cases.Observable], error) { return Observables(q, "", c.ID, s) })
		alerts := walk(t, d, 10, func(q *Reader, s Slice) (Page[alert.Alert], error) { return AlertsOfCase(q, "", c.ID, s) })
		timeline := walk(t, d, 10, func(q *Reader, s Slice) (Page[cases.Entry], error) { return Timeline(q, "", c.ID, s) })
		for i := range n {
			if notes[i].Text != fmt.Sprint("note ", i) || tasks[i].Title != fmt.Sprint("task ", i) || evidence[i].N != i+1 ||
				observables[i].Value != fmt.Sprintf("https://example.org/%02d", i) || alerts[i].IdentityKey != fmt.Sprint("event-", i) {
				t.Errorf("part %d is out of order", i)
			}
		}
		if len(notes)+len(tasks)+len(evidence)+len(observables)+len(alerts) != 5*n || len(timeline) < 5*n+1 {
			t.Error("parts are missing or twice there")
		}
		plans(t, d, func(q *Reader) error {
			open, err := OpenTasks(q, "", "group:night", 5)
			if len(open) != 5 || open[0].Title != "task 24" || open[0].Case != c.ID {
				t.Errorf("the most urgent task is %+v", open)
			}
			_, err2 := ViewCase(q, "", c.ID)
			_, err3 := AlertsOfCase(q, "", c.ID, Slice{})
			_, err4 := OpenCaseOfGroup(q, "", "x")
			_, err5 := EvidenceOf(q, "", c.ID, Slice{})
			_, err6 := Timeline(q, "", c.ID, Slice{})
			return errors.Join(err, err2, err3, err4, err5, err6)
		})
		wantErr(t, d, fault.NotFound, func(tx *Tx) error { _, err := Notes(&tx.Reader, "other", c.ID, Slice{}); return err })
	})
}
