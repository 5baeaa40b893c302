package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"riposte/internal/alert"
	"riposte/internal/cases"
	"riposte/internal/fault"
)

func exampleAlert(n int) *alert.Alert {
	return &alert.Alert{
		Source: "suricata", IdentityKey: fmt.Sprint("event-", n), GroupKey: "203.0.113.9", Title: fmt.Sprintf("ET SCAN number %d", n),
		Description: "a scan", Severity: 1 + n%5, Category: "recon", Time: noon.Add(time.Duration(n-1) * time.Second),
		Received: noon.Add(time.Duration(n) * time.Second), Techniques: []string{"T1046"}, Link: "https://ids.example/1",
		Entities:    []alert.Entity{{Kind: "host", Value: "web-1", Role: "target"}},
		Observables: []alert.Observable{{Type: "ip", Value: "203.0.113.9", Role: "source"}, {Type: "ip", Value: fmt.Sprint("10.0.0.", n%10)}},
		Fields:      map[string]any{"dest_port": "22"}, Raw: json.RawMessage(`{"event_type":"alert"}`),
		Mapping: "suricata", MappingNo: 3,
	}
}

func TestAnAlertComesBackAsItWasStored(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		a := exampleAlert(1)
		write(t, d, func(tx *Tx) error { _, err := InsertAlert(tx, a); return err })
		want := *a
		want.FirstSeen, want.LastSeen = a.Time, a.Time
		read(t, d, func(q *Reader) error {
			got, err := Alert(q, "", a.ID)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			byKey, err2 := AlertByKey(q, DefaultTenant, "suricata", "event-1")
			if byKey.ID != a.ID || err2 != nil {
				t.Errorf("by key: %v, %v", byKey.ID, err2)
			}
			return err
		})
		wantErr(t, d, fault.NotFound, func(tx *Tx) error { _, err := Alert(&tx.Reader, "other", a.ID); return err })
		wantErr(t, d, fault.NotFound, func(tx *Tx) error { return MoveAlert(tx, "other", a.ID, alert.Event{Status: alert.Closed}) })
		wantErr(t, d, fault.Invalid, func(tx *Tx) error { _, err := InsertAlert(tx, &alert.Alert{Source: "x"}); return err })
	})
}

func TestTheSameEventTwiceIsOneAlert(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		var ids []alert.ID
		var fresh []bool
		for i := range 3 {
			a := exampleAlert(1)
			a.Time = a.Time.Add(time.Duration(i) * time.Hour)
			write(t, d, func(tx *Tx) error {
				f, err := InsertAlert(tx, a)
				fresh = append(fresh, f)
				return err
			})
			ids = append(ids, a.ID)
			if a.Count != i+1 {
				t.Errorf("count is %d after report %d", a.Count, i+1)
			}
		}
		if !slices.Equal(fresh, []bool{true, false, false}) || ids[0] != ids[2] {
			t.Errorf("fresh %v, IDs %v", fresh, ids)
		}
		other, tenant := exampleAlert(1), exampleAlert(1)
		other.Source, tenant.Tenant = "zeek", "other"
		write(t, d, func(tx *Tx) error {
			for _, a := range []*alert.Alert{other, tenant} {
				if f, err := InsertAlert(tx, a); !f || err != nil {
					t.Errorf("the key of another source or tenant is taken: %v, %v", f, err)
				}
			}
			a, err := Alert(&tx.Reader, "", ids[0])
			if !a.FirstSeen.Equal(noon) || !a.LastSeen.Equal(noon.Add(2*time.Hour)) {
				t.Errorf("seen from %s to %s", a.FirstSeen, a.LastSeen)
			}
			return err
		})
	})
}

func TestABatchCountsWhatItHoldsTwiceAndWhatWasThere(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		there := exampleAlert(3)
		write(t, d, func(tx *Tx) error { _, err := InsertAlert(tx, there); return err })
		var all []NewAlert
		for i := range 80 {
			n, err := ReadyAlert(exampleAlert(i % 75))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, n)
		}
		write(t, d, func(tx *Tx) error { return InsertAlerts(tx, all) })
		for i, n := range all {
			first := &all[i%75]
			switch {
			case i%75 == 3 && (n.Fresh || n.ID != there.ID):
				t.Errorf("alert %d: fresh %v with ID %s; it was there as %s", i, n.Fresh, n.ID, there.ID)
			case i%75 != 3 && n.Fresh != (i < 75), n.ID != first.ID:
				t.Errorf("alert %d: fresh %v with ID %s, the first of its key has %s", i, n.Fresh, n.ID, first.ID)
			}
		}
		if all[3].Count != 2 || all[78].Count != 3 || all[79].Count != 2 {
			t.Errorf("counts are %d, %d and %d", all[3].Count, all[78].Count, all[79].Count)
		}
		read(t, d, func(q *Reader) error {
			p, err := ListAlerts(q, "", AlertFilter{Observable: "ip:203.0.113.9"}, Slice{Limit: 100})
			if len(p.Items) != 75 {
				t.Errorf("%d alerts are found by what all have", len(p.Items))
			}
			return err
		})
	})
}

func TestListsOfAlertsFilterAndPage(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		const n = 120
		write(t, d, func(tx *Tx) error {
			for i := 1; i <= n; i++ {
				a := exampleAlert(i)
				if i%3 == 0 {
					a.Source = "zeek"
				}
				if i%7 == 0 {
					a.Error, a.GroupKey = "no mapping", ""
				}
				if _, err := InsertAlert(tx, a); err != nil {
					return err
				}
				if i%2 == 0 {
					if err := MoveAlert(tx, "", a.ID, alert.Event{Status: alert.Closed}); err != nil {
						return err
					}
				}
			}
			done, err := OpenCase(tx, "", cases.Open{Title: "x", Severity: 1}, noon, ana)
			if err != nil {
				return err
			}
			for i := 10; i <= n; i += 10 { // the IDs of the alerts are their numbers
				if _, err := ChangeCase(tx, "", done.Case.ID, 0, cases.AddAlert{Alert: alert.ID(i)}, noon, ana); err != nil {
					return err
				}
			}
			stranger := exampleAlert(1)
			stranger.Tenant = "other"
			_, err = InsertAlert(tx, stranger)
			return err
		})
		indexAll(t, d)
		tests := []struct {
			name string
			f    AlertFilter
			fits func(i int) bool
		}{
			{"all", AlertFilter{}, func(int) bool { return true }},
			{"one status", AlertFilter{Statuses: []alert.Status{alert.New}}, func(i int) bool { return i%2 == 1 }},
			{"a case", AlertFilter{Case: 1}, func(i int) bool { return i%10 == 0 }},
			{"a case, time and severity", AlertFilter{Case: 1, Statuses: []alert.Status{alert.InCase}, From: noon.Add(time.Minute)}, func(i int) bool { return i%10 == 0 && i >= 60 }},
			{"a case and an observable", AlertFilter{Case: 1, Observable: "ip:10.0.0.0", Errors: true}, func(i int) bool { return i%70 == 0 }},
			{"statuses and severities", AlertFilter{Statuses: []alert.Status{alert.New, alert.Closed, alert.InCase, alert.New}, Severities: []int{4, 5}}, func(i int) bool { return i%5 >= 3 }},
			{"severity", AlertFilter{Severities: []int{1}}, func(i int) bool { return i%5 == 0 }},
			{"source", AlertFilter{Sources: []string{"zeek"}}, func(i int) bool { return i%3 == 0 }},
			{"source and status", AlertFilter{Sources: []string{"zeek"}, Statuses: []alert.Status{alert.Closed}}, func(i int) bool { return i%6 == 0 && i%10 != 0 }},
			{"group", AlertFilter{Group: "203.0.113.9"}, func(i int) bool { return i%7 != 0 }},
			{"group, source and status", AlertFilter{Group: "203.0.113.9", Sources: []string{"suricata"}, Statuses: []alert.Status{alert.New}},
				func(i int) bool { return i%7 != 0 && i%3 != 0 && i%2 == 1 }},
			{"errors", AlertFilter{Errors: true}, func(i int) bool { return i%7 == 0 }},
			{"errors of a source", AlertFilter{Errors: true, Sources: []string{"zeek"}}, func(i int) bool { return i%21 == 0 }},
			{"observable", AlertFilter{Observable: "ip:10.0.0.4"}, func(i int) bool { return i%10 == 4 }},
			{"observable, status and text", AlertFilter{Observable: "ip:10.0.0.4", Statuses: []alert.Status{alert.Closed}, Text: "NUMBER-1"},
				func(i int) bool { return i%10 == 4 && fmt.Sprint(i)[0] == '1' }},
			{"observable and group", AlertFilter{Observable: "ip:10.0.0.4", Group: "203.0.113.9", Errors: true}, func(i int) bool { return false }},
			{"time", AlertFilter{From: noon.Add(10 * time.Second), Until: noon.Add(20 * time.Second)}, func(i int) bool { return i >= 10 && i < 20 }},
			{"time and status", AlertFilter{From: noon.Add(10 * time.Second), Statuses: []alert.Status{alert.New}}, func(i int) bool { return i >= 10 && i%2 == 1 }},
			{"category", AlertFilter{Category: "malware"}, func(int) bool { return false }},
			{"text that is a pattern elsewhere", AlertFilter{Text: "%"}, func(int) bool { return false }},
		}
		for _, tt := range tests {
			var want []int
			for i := n; i > 0; i-- {
				if tt.fits(i) {
					want = append(want, i)
				}
			}
			for _, size := range []int{1, 7, 500} {
				var got []int
				for _, a := range walk(t, d, size, func(q *Reader, s Slice) (Page[alert.Alert], error) { return ListAlerts(q, "", tt.f, s) }) {
					var i int
					fmt.Sscanf(a.IdentityKey, "event-%d", &i)
					got = append(got, i)
					if a.Raw != nil {
						t.Error("a list carries raw events")
					}
				}
				if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s, pages of %d:\n%s", tt.name, size, diff)
				}
			}
			plans(t, d, func(q *Reader) error { _, err := ListAlerts(q, "", tt.f, Slice{}); return err })
		}
	})
}

func TestAListThatFindsLittleStopsAndGoesOn(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		const n = lookAt + 500
		write(t, d, func(tx *Tx) error {
			for i := 1; i <= n; i++ {
				a := exampleAlert(i)
				a.Observables = nil
				if i == 100 {
					a.Category = "needle"
				}
				if _, err := InsertAlert(tx, a); err != nil {
					return err
				}
			}
			return nil
		})
		f := AlertFilter{Category: "needle"}
		read(t, d, func(q *Reader) error {
			p, err := ListAlerts(q, "", f, Slice{})
			if len(p.Items) != 0 || p.Next == "" {
				t.Errorf("%d items, next %q: want an empty page with a next one", len(p.Items), p.Next)
			}
			return err
		})
		got := walk(t, d, 10, func(q *Reader, s Slice) (Page[alert.Alert], error) { return ListAlerts(q, "", f, s) })
		if len(got) != 1 {
			t.Errorf("found %d needles", len(got))
		}
	})
}

func TestWrongListsAreRefused(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		tests := []struct {
			name string
			f    AlertFilter
			s    Slice
		}{
			{"a cursor of nobody", AlertFilter{}, Slice{Cursor: "abc"}},
			{"a cursor of another list", AlertFilter{}, Slice{Cursor: place{1, 1}.cursor("cases-opened")}},
			{"an observable without a type", AlertFilter{Observable: "203.0.113.9"}, Slice{}},
			{"a time that ends before it begins", AlertFilter{From: noon, Until: noon.Add(-time.Hour)}, Slice{}},
			{"the same within a case", AlertFilter{Case: 1, From: noon, Until: noon.Add(-time.Hour)}, Slice{}},
		}
		for _, tt := range tests {
			wantErr(t, d, fault.Invalid, func(tx *Tx) error { _, err := ListAlerts(&tx.Reader, "", tt.f, tt.s); return err })
		}
	})
}
