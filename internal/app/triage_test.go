package app_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"riposte/internal/app"
	"riposte/internal/auth"
	"riposte/internal/httpapi"
	"riposte/internal/store/storetest"
)

// jsonSource is a source of any JSON.
func jsonSource(c *app.Config) {
	c.Sources["json"] = app.SourceConfig{Type: "webhook", Mapping: app.MappingNames{"generic-json"}, TokenHash: auth.HashSecret("sender")}
}

// events are numbered events, one a line.
func events(from, n int, format string) string {
	var b strings.Builder
	for i := from; i < from+n; i++ {
		fmt.Fprintf(&b, format+"\n", i)
	}
	return b.String()
}

// post hands events in.
func (s *server) post(lines string) {
	s.t.Helper()
	if res, raw := s.ask(http.MethodPost, "/api/ingest/json", lines, "Content-Type", "application/x-ndjson"); res.StatusCode >= 300 {
		s.t.Fatalf("events: %s\n%s", res.Status, raw)
	}
}

// alerts lists all alerts that a query finds.
func (s *server) alerts(query string) (all []httpapi.Alert) {
	s.t.Helper()
	for cursor := ""; ; {
		var l httpapi.List[httpapi.Alert]
		s.send(http.MethodGet, "/api/alerts?limit=200"+query+"&cursor="+cursor, nil, &l)
		all = append(all, l.Items...)
		if cursor = l.NextCursor; cursor == "" {
			return all
		}
	}
}

const noisy = `{"id":"n-%d","title":"Broken sensor","severity":"critical","host":"h-%[1]d"}`

func TestTenThousandAlertsOfABrokenSensorAreOneCaseAndOneAlarm(t *testing.T) {
	for name, database := range databases(t) {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			change := func(c *app.Config) { jsonSource(c); c.Database = database }
			s, password := serve(t, data, "", change)
			for i := range 10 {
				s.post(events(i*1000, 1000, noisy))
				if i == 6 { // it goes on after a restart
					s.stop()
					s, _ = serve(t, data, password, change)
				}
			}
			s.post(events(0, 1000, noisy)) // sent again
			var cases httpapi.List[httpapi.Case]
			s.send(http.MethodGet, "/api/cases", nil, &cases)
			if len(cases.Items) != 1 || cases.Items[0].AlertCount != 1 {
				t.Fatalf("cases: %+v", cases.Items)
			}
			count := map[string]int{}
			all := s.alerts("")
			ids := map[string]bool{}
			for _, a := range all {
				count[a.Status]++
				ids[a.ID] = true
				if a.Outcome == "" || a.Rule == "" {
					t.Fatalf("%s does not say what happened to it", a.ID)
				}
			}
			if len(all) != 10_000 || len(ids) != 10_000 || count["in_case"] != 1 || count["folded"] != 9_999 {
				t.Errorf("%d alerts: %v", len(all), count)
			}
			head := s.alerts("&status=in_case")[0]
			if head.Folded != 9_999 {
				t.Errorf("%d are folded into %s", head.Folded, head.ID)
			}
			s.until("the alarm", func() bool {
				var l httpapi.List[httpapi.Alarm]
				s.send(http.MethodGet, "/api/alarms", nil, &l)
				n := 0
				for _, a := range l.Items {
					if a.Kind == "storm" {
						n++
					}
				}
				if n > 1 || len(l.Items) > 1 {
					t.Fatalf("alarms: %+v", l.Items)
				}
				return n == 1
			})
			var storms struct{ Storms []httpapi.Storm }
			s.send(http.MethodGet, "/api/triage/storms", nil, &storms)
			if len(storms.Storms) != 1 || storms.Storms[0].Folded != 9_999 {
				t.Errorf("storms: %+v", storms.Storms)
			}
		})
	}
}

// databases are those to test on: SQLite (""), and PostgreSQL where there is one.
func databases(t *testing.T) map[string]string {
	all := map[string]string{"sqlite": ""}
	if os.Getenv("LAB_POSTGRES_URL") != "" {
		all["postgres"] = storetest.Postgres(t)
	}
	return all
}

// triageRules configures a rule file of its own.
func triageRules(t *testing.T, text string) (path string, change func(*app.Config)) {
	path = filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, func(c *app.Config) {
		jsonSource(c)
		c.Triage.Rules = path
	}
}

const rulesOfATest = `triage: test
version: 1
rules:
  - rule: noise
    why: It is noise.
    when: alert.title == "noise"
    then: drop
  - rule: fails
    why: Its field may be missing.
    when: alert.fields.number + 1 > 5 and alert.title == "odd"
    severity: critical
  - rule: again
    why: The same again.
    fold: { within: 1h, by: [title, host] }
  - rule: many
    why: Three of a host are a case.
    when: alert.title == "login"
    threshold: { count: 3, within: 10m, by: host }
    tags: [brute-force]
    case:
      title: "Many log-ins on ${{ alert.host }}"
      severity: high
      by: host
      tasks: [{ title: Ask who it was }]
  - rule: rest
    why: Nothing is known of it.
    then: keep
`

func event(id, title, host string) string {
	return fmt.Sprintf(`{"id":%q,"title":%q,"host":%q,"severity":"low"}`, id, title, host)
}

func TestEveryAlertEndsInAStateThatSaysWhatHappened(t *testing.T) {
	path, change := triageRules(t, strings.Replace(rulesOfATest, "by: [title, host] }", "by: [title, host] }\n    when: alert.title != \"login\"", 1))
	s, _ := serve(t, t.TempDir(), "", change)
	s.post(strings.Join([]string{
		event("1", "noise", "a"), event("2", "scan", "a"), event("3", "scan", "a"), event("4", "login", "b"), event("5", "login", "b"),
		event("6", "login", "b"), event("7", "login", "b"), event("8", "odd", "c"), event("2", "scan", "a"),
	}, "\n"))
	var got []string
	all := s.alerts("")
	slices.Reverse(all)
	for _, a := range all {
		got = append(got, fmt.Sprintf("%s %s %s %d", a.ID, a.Status, a.Rule, a.Folded))
	}
	want := []string{"A-1 dropped noise 0", "A-2 new rest 1", "A-3 folded again 0", "A-4 new rest 0", "A-5 new rest 0", "A-6 in_case many 0", "A-7 in_case many 0", "A-8 new rest 0"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	var odd httpapi.Alert
	s.send(http.MethodGet, "/api/alerts/A-8", nil, &odd)
	if len(odd.Problems) != 1 || !strings.HasPrefix(odd.Problems[0], "fails: ") {
		t.Errorf("problems: %q", odd.Problems)
	}
	var c httpapi.Case
	s.send(http.MethodGet, "/api/cases/C-1", nil, &c)
	if c.Title != "Many log-ins on b" || len(c.Tasks) != 1 || c.AlertCount != 2 || c.Severity != "high" {
		t.Errorf("case: %+v", c)
	}
	var e httpapi.TriageExplanation
	s.send(http.MethodGet, "/api/alerts/A-6/triage", nil, &e)
	if e.Rule != "many" || len(e.Asked) < 3 || e.Version != "test version 1" {
		t.Errorf("explanation: %+v", e)
	}
	moves(t, s)
	previewed(t, s)
	reloaded(t, s, path)
}

// moves is what people do.
func moves(t *testing.T, s *server) {
	send := func(id, verb string, body map[string]any) (a httpapi.Alert) {
		s.send(http.MethodPost, "/api/alerts/"+id+"/"+verb, body, &a)
		return a
	}
	a := send("A-2", "close", map[string]any{"verdict": "false_positive", "reason": "our scanner"})
	if a.Status != "closed" || a.Verdict != "false_positive" || len(a.History) != 2 || a.History[1].By != "person:admin" || a.Outcome != "Closed as false positive: our scanner" {
		t.Errorf("closed: %+v", a)
	}
	s.refused(http.StatusConflict, http.MethodPost, "/api/alerts/A-2/unfold", map[string]any{})
	s.refused(http.StatusConflict, http.MethodPost, "/api/alerts/A-6/drop", map[string]any{})
	s.refused(http.StatusUnprocessableEntity, http.MethodPost, "/api/alerts/A-2/close", map[string]any{"verdict": "fine"})
	s.post(event("9", "scan", "a")) // what it would be folded into is closed
	if a = s.alerts("")[0]; a.Status != "new" || a.Title != "scan" {
		t.Errorf("after its like was closed: %+v", a)
	}
	a = send("A-2", "reopen", map[string]any{})
	a = send("A-3", "unfold", map[string]any{"reason": "another host"})
	if a.Status != "new" || a.Into != "" {
		t.Errorf("unfolded: %+v", a)
	}
	a = send("A-4", "fold", map[string]any{"into": "A-5"})
	s.refused(http.StatusConflict, http.MethodPost, "/api/alerts/A-5/fold", map[string]any{"into": "A-4"})
	a = send("A-5", "attach", map[string]any{"case": "C-1", "reason": "one more"})
	if a.Status != "in_case" || a.Into != "C-1" || a.Folded != 1 {
		t.Errorf("attached: %+v", a)
	}
	a = send("A-5", "detach", map[string]any{})
	if a.Status != "new" || a.Case != "" {
		t.Errorf("detached: %+v", a)
	}
	a = send("A-1", "reopen", map[string]any{})
	a = send("A-1", "attach", map[string]any{})
	if a.Case != "C-2" {
		t.Errorf("a case of its own: %+v", a)
	}
}

// previewed is what other rules would have done.
func previewed(t *testing.T, s *server) {
	var p httpapi.TriagePreview
	text := strings.Replace(rulesOfATest, "count: 3", "count: 2", 1)
	s.send(http.MethodPost, "/api/triage/preview", map[string]any{"text": text, "since": time.Now().Add(-time.Hour)}, &p)
	found := func(was, would string) int {
		for _, o := range p.Outcomes {
			if o.Was == was && o.Would == would {
				return o.Count
			}
		}
		return 0
	}
	if p.Alerts != 9 || found("dropped by noise", "dropped by noise") != 1 || found("folded by again", "folded by again") != 1 || found("new by rest", "folded by again") == 0 {
		t.Errorf("preview: %+v", p)
	}
	broken := s.refused(http.StatusUnprocessableEntity, http.MethodPost, "/api/triage/preview", map[string]any{"text": "triage: x\n", "since": time.Now().Add(-time.Hour)})
	if !strings.Contains(broken.Detail, "rules.yaml:1") {
		t.Errorf("broken rules: %+v", broken)
	}
}

// reloaded changes the rules while the server runs.
func reloaded(t *testing.T, s *server, path string) {
	if err := os.WriteFile(path, []byte("triage: broken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	alarms := func() (n int) {
		var l httpapi.List[httpapi.Alarm]
		s.send(http.MethodGet, "/api/alarms", nil, &l)
		for _, a := range l.Items {
			if a.Kind == "triage_rules" && a.Subject == "" {
				n++
			}
		}
		return n
	}
	s.until("an alarm about the broken rules", func() bool { return alarms() == 1 })
	s.post(event("20", "noise", "z"))
	if all := s.alerts("&status=dropped"); len(all) != 1 {
		t.Errorf("the rules of before are not in force: %+v", all)
	}
	if err := os.WriteFile(path, []byte("triage: all-new\nversion: 1\nrules:\n  - { rule: all, why: A test., then: keep }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.until("the end of the alarm", func() bool { return alarms() == 0 })
	var r httpapi.TriageRules
	s.send(http.MethodGet, "/api/triage/rules", nil, &r)
	if r.Name != "all-new" || r.Number != 2 {
		t.Errorf("rules in force: %+v", r)
	}
}
