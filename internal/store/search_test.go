package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"riposte/internal/alert"
	"riposte/internal/cases"
)

// indexAll brings the index of words up to date.
func indexAll(t testing.TB, d *DB) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = d.IndexSearch(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}

// foundAlerts are the titles of the alerts that a filter finds, sorted.
func foundAlerts(t testing.TB, d *DB, tenant string, f AlertFilter) []string {
	t.Helper()
	titles := []string{}
	read(t, d, func(q *Reader) error {
		p, err := ListAlerts(q, tenant, f, Slice{Limit: 1000})
		for _, a := range p.Items {
			titles = append(titles, a.Title)
		}
		return err
	})
	slices.Sort(titles)
	return titles
}

func TestAlertsAreFoundByTheirWords(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		write(t, d, func(tx *Tx) error {
			for i, a := range []alert.Alert{
				{Title: "mimikatz", Description: "Mimikatz läuft auf Änderungs-Server", Severity: 4},
				{Title: "beacon", Observables: []alert.Observable{{Type: "ip", Value: "198.51.100.23"}, {Type: "domain", Value: "cdn.evil.example"}}},
				{Title: "login", Entities: []alert.Entity{{Kind: "user", Value: `CORP\\m.meier`}}, Fields: map[string]any{"logon": map[string]any{"process": "NtLmSsp"}}, Techniques: []string{"T1110.001"}},
				{Title: "unread", Error: "no JSON", Raw: []byte(`"<134>garbled lsass"`)},
				{Title: "neighbour", Tenant: "other", Description: "mimikatz"},
			} {
				a.Source, a.IdentityKey, a.Received = "s", fmt.Sprint(i), noon
				if _, err := InsertAlert(tx, &a); err != nil {
					return err
				}
			}
			return nil
		})
		indexAll(t, d)
		for _, tt := range []struct {
			search string
			want   []string
		}{
			{"mimikatz", []string{"mimikatz"}},
			{"MIMI", []string{"mimikatz"}},
			{"imikatz", nil},
			{"lauft anderungs", []string{"mimikatz"}},
			{"LÄUFT", []string{"mimikatz"}},
			{"198.51.100.23", []string{"beacon"}},
			{"198.51.1", []string{"beacon"}},
			{"198.51.23", nil},
			{`"198.51.1"`, nil},
			{`"51.100"`, []string{"beacon"}},
			{"evil.example", []string{"beacon"}},
			{"evil login", nil},
			{`CORP\\m.meier`, []string{"login"}},
			{"ntlmssp t1110", []string{"login"}},
			{"lsass", []string{"unread"}},
			{"%", nil},
			{`" ' ) ( * : - ^ & | ! <-> \\ AND`, nil},
			{`mimi" AND *`, nil},
			{"mimi:*", []string{"mimikatz"}},
		} {
			if d := cmp.Diff(append([]string{}, tt.want...), foundAlerts(t, d, "", AlertFilter{Text: tt.search})); d != "" {
				t.Errorf("%q: %s", tt.search, d)
			}
		}
		if got := foundAlerts(t, d, "other", AlertFilter{Text: "mimikatz"}); len(got) != 1 || got[0] != "neighbour" {
			t.Errorf("the other tenant finds %q", got)
		}
		for _, f := range []AlertFilter{
			{Severities: []int{3}}, {Statuses: []alert.Status{alert.Closed}}, {Sources: []string{"else"}}, {Errors: true}, {Group: "g"}, {Category: "c"},
			{Observable: "ip:198.51.100.23"}, {Case: 7}, {From: noon.Add(time.Second)}, {Until: noon},
		} {
			f.Text = "mimikatz"
			if got := foundAlerts(t, d, "", f); len(got) != 0 {
				t.Errorf("%+v finds %q", f, got)
			}
		}
	})
}

func TestCasesAreFoundByWhatIsWrittenInThem(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		c := openCase(t, d, cases.Open{Title: "Odd login", Severity: 3})
		found := func(search string) bool {
			indexAll(t, d)
			var n int
			read(t, d, func(q *Reader) error {
				p, err := ListCases(q, "", CaseFilter{Text: search}, Slice{})
				n = len(p.Items)
				return err
			})
			return n == 1
		}
		if !found("odd") || found("exfiltration") {
			t.Error("the case is not found by its title alone")
		}
		change(t, d, c.ID, cases.AddNote{Text: "looks like exfiltration to 203.0.113.9"})
		if !found("exfiltration 203.0.113") {
			t.Error("a note that was added is not found")
		}
		change(t, d, c.ID, cases.EditNote{N: 1, Text: "nothing"})
		if found("exfiltration") || !found("nothing") {
			t.Error("a note that was changed is found as it was")
		}
	})
}

func TestWhatRetentionRemovedIsNotFound(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		write(t, d, func(tx *Tx) error {
			a := alert.Alert{Source: "s", IdentityKey: "k", Title: "passing", Received: noon, LastSeen: noon, FirstSeen: noon}
			_, err := InsertAlert(tx, &a)
			return err
		})
		indexAll(t, d)
		if got := foundAlerts(t, d, "", AlertFilter{Text: "passing"}); len(got) != 1 {
			t.Fatalf("found %q", got)
		}
		if _, err := d.Sweep(context.Background(), noon.Add(time.Hour), Keep{Alerts: time.Minute}); err != nil {
			t.Fatal(err)
		}
		indexAll(t, d)
		read(t, d, func(q *Reader) error {
			var n int
			err := q.QueryRow("SELECT count(*) FROM search_alerts").Scan(&n)
			if n != 0 {
				t.Errorf("%d alerts are left in the index", n)
			}
			return err
		})
	})
}

// TestASearchFindsWhatItsWordsSay compares both databases with the plain meaning
// of a search, on texts that look like numbers, versions, addresses and operators.
func TestASearchFindsWhatItsWordsSay(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		piece := rapid.SampledFrom([]string{"a", "ab", "1", "12", "1e5", "0x1f", "3.14", "-1", "10.0.0.7", "é", "E", "straße", "文字", "x", "xa", "and", "OR", "'", `\\`, "http://a.b/c?d", "ﬁ", " ", "٣"})
		run := 0
		rapid.Check(t, func(r *rapid.T) {
			run++
			tenant := fmt.Sprintf("t%d", run)
			texts := rapid.SliceOfN(rapid.Map(rapid.SliceOfN(piece, 1, 4), func(p []string) string { return strings.Join(p, " ") }), 1, 5).Draw(r, "texts")
			write(t, d, func(tx *Tx) error {
				for i, text := range texts {
					a := alert.Alert{Tenant: tenant, Source: "s", IdentityKey: fmt.Sprint(i), Title: fmt.Sprint("#", i), Description: text, Received: noon}
					if _, err := InsertAlert(tx, &a); err != nil {
						return err
					}
				}
				return nil
			})
			indexAll(t, d)
			search := strings.Join(rapid.SliceOfN(piece, 1, 3).Draw(r, "search"), " ")
			want := []string{}
			for i, text := range texts {
				if plainlyFinds(search, []string{fmt.Sprint("#", i), text, "s"}) {
					want = append(want, fmt.Sprint("#", i))
				}
			}
			if d := cmp.Diff(want, foundAlerts(t, d, tenant, AlertFilter{Text: search})); d != "" {
				r.Errorf("%q in %q: %s", search, texts, d)
			}
		})
	})
}

// plainlyFinds is what a search means, without an index.
func plainlyFinds(search string, texts []string) bool {
	var have []string
	for _, text := range texts {
		words(text, func(w string) bool { have = append(have, "x"+w); return true })
	}
	list := phrases(search)
	for _, p := range list {
		there := false
		for at := 0; at+len(p.words) <= len(have) && !there; at++ {
			there = true
			for i, w := range p.words {
				if last := i == len(p.words)-1; have[at+i] != w && !(last && p.open && strings.HasPrefix(have[at+i], w)) {
					there = false
				}
			}
		}
		if !there {
			return false
		}
	}
	return len(list) > 0
}
