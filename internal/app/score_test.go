package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"riposte/internal/app"
	"riposte/internal/auth"
	"riposte/internal/store/storetest"
)

// scoredAlert is what these tests read of an alert.
type scoredAlert struct {
	ID, Status, Band, Title, Verdict, Rule, Outcome string
	Score                                           *int
	Reasons                                         []struct {
		Factor string
		Points int
		Why    string
	}
	Waiting bool
	Ready   time.Time
	Failed  []string
	Closing *struct {
		Rule    string
		Sampled bool
	}
}

func (a scoredAlert) why() string {
	var b strings.Builder
	for _, r := range a.Reasons {
		fmt.Fprintf(&b, "%s %+d: %s\n", r.Factor, r.Points, r.Why)
	}
	return b.String()
}

const scoreHead = `score: tested
version: 1
bands: { analyst: 25, automatic: 80 }
severity: { unknown: 35, informational: 10, low: 22, medium: 38, high: 52, critical: 65 }
factors:
  - factor: malicious
    when: verdicts.worst == "malicious"
    points: 40
    why: "malicious: ${{ verdicts.names }}"
  - factor: asset
    when: assets.level >= 4
    points: 15
    why: "a critical machine: ${{ assets.names }}"
  - factor: noise
    when: history.false_positive >= 2 and history.true_positive == 0
    points: -20
    why: noise
  - factor: repeated
    when: seen.verdict == "true_positive"
    points: 10
    why: true before
`

// keepsAll are triage rules that fold nothing: here the same comes again and again.
const keepsAll = `triage: tested
title: Keep everything
version: 1
rules:
  - { rule: all, title: Everything, why: Each is looked at., then: keep }
`

// scoring is a server with a score file and a generic source.
func scoring(t *testing.T, data, password, file string, more ...func(*app.Config)) (*server, string) {
	t.Helper()
	path, rules := filepath.Join(data, "score.yaml"), filepath.Join(data, "triage.yaml")
	for name, text := range map[string]string{path: file, rules: keepsAll} {
		if text == "" {
			continue
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return serve(t, data, password, append(more, func(c *app.Config) {
		c.Triage.Score, c.Triage.Rules = path, rules
		c.Sources = map[string]app.SourceConfig{"in": {Type: "webhook", Mapping: app.MappingNames{"generic-json"}, TokenHash: auth.HashSecret("sender")}}
	})...)
}

// newAlert sends an event and gives its alert's ID.
func (s *server) newAlert(event map[string]any) string {
	s.t.Helper()
	var taken struct{ Alert string }
	s.send(http.MethodPost, "/api/ingest/in", event, &taken)
	if taken.Alert == "" {
		s.t.Fatalf("no alert of %v", event)
	}
	return taken.Alert
}

func (s *server) scored(id string) (a scoredAlert) {
	s.t.Helper()
	s.send(http.MethodGet, "/api/alerts/"+id, nil, &a)
	return a
}

func TestEveryAlertHasAScoreWithItsReasons(t *testing.T) {
	t.Parallel()
	s, _ := scoring(t, t.TempDir(), "", scoreHead)
	s.send(http.MethodPost, "/api/lists/assets/import", map[string]any{"entries": []any{map[string]any{"value": "dc-01", "note": "critical, domain controller"}}}, nil)
	a := s.scored(s.newAlert(map[string]any{"id": "1", "title": "T", "severity": "high", "host": "DC-01.example.org", "src_ip": "203.0.113.9"}))
	if a.Score == nil || *a.Score != 67 || a.Band != "analyst" || a.Waiting || a.Ready.IsZero() {
		t.Fatalf("%+v\n%s", a, a.why())
	}
	for _, want := range []string{"severity +52: its source calls it high", "asset +15: a critical machine: DC-01.example.org", "not-known +0: no verdict on 2 things in it"} {
		if !strings.Contains(a.why(), want) {
			t.Errorf("no %q in\n%s", want, a.why())
		}
	}
	low := s.newAlert(map[string]any{"id": "2", "title": "L", "severity": "low"})
	var list struct{ Items []scoredAlert }
	if s.send(http.MethodGet, "/api/alerts?sort=score", nil, &list); len(list.Items) != 2 || list.Items[0].ID != a.ID {
		t.Errorf("%+v", list.Items)
	}
	if s.send(http.MethodGet, "/api/alerts?band=false_positive", nil, &list); len(list.Items) != 1 || list.Items[0].ID != low {
		t.Errorf("%+v", list.Items)
	}
	s.refused(http.StatusUnprocessableEntity, http.MethodGet, "/api/alerts?sort=score&status=closed", nil)
}

// source is a reputation service as the simulated product has it; what it
// answers can be changed.
type source struct {
	*httptest.Server
	answer atomic.Value // func(w http.ResponseWriter, r *http.Request)
}

func newSource(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) *source {
	t.Helper()
	s := &source{}
	s.answer.Store(answer)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		s.answer.Load().(func(http.ResponseWriter, *http.Request))(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) connectReputation(at string) {
	s.t.Helper()
	s.send(http.MethodPost, "/api/connections", map[string]any{
		"name": "reputation", "connector": "reputation-sim", "config": map[string]any{"base_url": at, "allow_loopback": true}, "secrets": map[string]string{"key": "k"},
	}, nil)
	text, err := os.ReadFile("../../content/playbooks/enrich-observables.playbook.yaml")
	if err != nil {
		s.t.Fatal(err)
	}
	s.publish("enrich-observables", string(text))
}

func says(points int, verdict string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"score":%d,"verdict":%q,"tags":[],"reporters":3}`, points, verdict)
	}
}

const enriched = "enrichment: { deadline: 3s, playbooks: [{ playbook: enrich-observables, when: alert.ip != nil }] }\n"

func TestAnAlertIsShownWhenItsEnrichmentIsDone(t *testing.T) {
	t.Parallel()
	s, _ := scoring(t, t.TempDir(), "", scoreHead+enriched)
	hold := make(chan struct{})
	src := newSource(t, func(w http.ResponseWriter, r *http.Request) {
		<-hold
		says(95, "malicious")(w, r)
	})
	s.connectReputation(src.URL)
	s.publish("on-band", "playbook: on-band\ntitle: On band\non: [{ alert: 'alert.band == \"automatic\"' }]\nsteps: [{ action: log.note, with: { text: x } }]\n")
	id := s.newAlert(map[string]any{"id": "1", "title": "T", "severity": "high", "src_ip": "203.0.113.9"})
	var list struct{ Items []scoredAlert }
	s.send(http.MethodGet, "/api/alerts?ready=false", nil, &list)
	if len(list.Items) != 1 || !list.Items[0].Waiting || *list.Items[0].Score != 52 {
		t.Errorf("waiting: %+v", list.Items)
	}
	if s.send(http.MethodGet, "/api/alerts", nil, &list); len(list.Items) != 0 {
		t.Errorf("people see it before it is ready: %+v", list.Items)
	}
	close(hold)
	s.until("the readiness", func() bool { return !s.scored(id).Waiting })
	a := s.scored(id)
	if *a.Score != 92 || a.Band != "automatic" || len(a.Failed) != 0 || !strings.Contains(a.why(), "malicious +40: malicious: 203.0.113.9") {
		t.Errorf("%+v\n%s", a, a.why())
	}
	s.until("the playbook of the band", func() bool {
		var runs struct{ Items []struct{ Playbook string } }
		s.send(http.MethodGet, "/api/runs?playbook=on-band", nil, &runs)
		return len(runs.Items) == 1
	})
}

func TestASourceThatFailsLiesOrIsSlowIsNamed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request)
		failed string
	}{
		{"wrong key", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, "reputation: auth: "},
		{"down", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "deadline passed: reputation has not answered within 3s"},
		{"a score that cannot be", says(4000, "malicious"), "reputation: "},
		{"a word that is none", says(50, "evil\u202egood"), "reputation: "},
		{"no JSON", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, "reputation: "},
		{"slow", func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(time.Minute):
			}
		}, "deadline passed: reputation has not answered within 3s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, _ := scoring(t, t.TempDir(), "", scoreHead+enriched)
			s.connectReputation(newSource(t, tt.answer).URL)
			id := s.newAlert(map[string]any{"id": "1", "title": "T", "severity": "high", "src_ip": "203.0.113.9"})
			s.until("the readiness", func() bool { return !s.scored(id).Waiting })
			a := s.scored(id)
			if len(a.Failed) != 1 || !strings.HasPrefix(a.Failed[0], tt.failed) || *a.Score != 52 || !strings.Contains(a.why(), a.Failed[0]) {
				t.Errorf("%+v\n%s", a, a.why())
			}
		})
	}
}

func TestADeadlineHoldsOverARestart(t *testing.T) {
	t.Parallel()
	t.Run("with a file", func(t *testing.T) { t.Parallel(); deadlineOverRestart(t, func(*app.Config) {}) })
	t.Run("with PostgreSQL", func(t *testing.T) {
		t.Parallel()
		where := storetest.Postgres(t)
		deadlineOverRestart(t, func(c *app.Config) { c.Database = where })
	})
}

func deadlineOverRestart(t *testing.T, database func(*app.Config)) {
	t.Helper()
	data := t.TempDir()
	s, password := scoring(t, data, "", scoreHead+enriched, database)
	s.connectReputation(newSource(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(time.Minute):
		}
	}).URL)
	id := s.newAlert(map[string]any{"id": "1", "title": "T", "severity": "high", "src_ip": "203.0.113.9"})
	if !s.scored(id).Waiting {
		t.Fatal("it does not wait")
	}
	s.stop()
	s, _ = scoring(t, data, password, "", database)
	s.until("the readiness", func() bool { return !s.scored(id).Waiting })
	if a := s.scored(id); len(a.Failed) != 1 || !strings.HasPrefix(a.Failed[0], "deadline passed: ") {
		t.Errorf("%+v", a)
	}
}

const closes = `closing:
  - { close: noise, reason: It is noise., when: alert.title == "noise", sample: 30%, max_disagreement: 5%, least: 2 }
`

func TestAClosingRuleStopsItselfWhenPeopleDisagree(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s, password := scoring(t, data, "", scoreHead+closes)
	var closed, sample []string
	for i := range 60 {
		id := s.newAlert(map[string]any{"id": fmt.Sprint(i), "title": "noise", "severity": "informational"})
		a := s.scored(id)
		switch {
		case a.Status == "closed" && a.Verdict == "false_positive" && a.Rule == "noise" && strings.Contains(a.Outcome, "It is noise"):
			closed = append(closed, id)
		case a.Status == "new" && a.Closing == nil && !strings.Contains(a.why(), "closing"):
			sample = append(sample, id)
		default:
			t.Fatalf("%+v", a)
		}
	}
	if len(closed) < 20 || len(sample) < 4 {
		t.Fatalf("%d closed, %d left", len(closed), len(sample))
	}
	var rules struct {
		Items []struct {
			Rule, Why                          string
			Stopped                            time.Time
			Closed, Samples, Disagree, Waiting int
		}
	}
	s.close(sample[0], "false_positive")
	s.close(sample[1], "true_positive")
	s.until("the stop", func() bool {
		s.send(http.MethodGet, "/api/closing", nil, &rules)
		return !rules.Items[0].Stopped.IsZero()
	})
	if r := rules.Items[0]; r.Closed != len(closed) || r.Samples != 2 || r.Disagree != 1 || r.Waiting != len(sample)-2 || !strings.Contains(r.Why, "people disagreed 1 times in 2 samples") {
		t.Errorf("%+v", r)
	}
	if a := s.scored(sample[1]); a.Closing == nil || a.Closing.Rule != "noise" || !a.Closing.Sampled {
		t.Errorf("%+v", a)
	}
	s.alarmed("closing_stopped", "noise")
	s.stop() // it stays so
	s, _ = scoring(t, data, password, "")
	if a := s.scored(s.newAlert(map[string]any{"id": "x", "title": "noise", "severity": "informational"})); a.Status != "new" {
		t.Errorf("a rule that has stopped closed %+v", a)
	}
	s.alarmed("closing_stopped", "noise")
	var review struct{ Items []scoredAlert }
	if s.send(http.MethodGet, "/api/closing/noise/alerts?limit=100", nil, &review); len(review.Items) != len(closed) {
		t.Errorf("%d to look at again, want %d", len(review.Items), len(closed))
	}
	s.send(http.MethodPost, "/api/closing/noise/start", map[string]any{"reason": "looked at"}, nil)
	s.refused(http.StatusConflict, http.MethodPost, "/api/closing/noise/start", map[string]any{"reason": "again"})
	s.refused(http.StatusNotFound, http.MethodPost, "/api/closing/nose/start", map[string]any{"reason": "again"})
	n := 0
	for i := range 10 {
		if s.scored(s.newAlert(map[string]any{"id": fmt.Sprint("y", i), "title": "noise", "severity": "informational"})).Status == "closed" {
			n++
		}
	}
	if n == 0 {
		t.Error("started again, it closes nothing")
	}
}

func TestOpeningWhatARuleClosedDisagrees(t *testing.T) {
	t.Parallel()
	s, _ := scoring(t, t.TempDir(), "", scoreHead+strings.Replace(closes, "sample: 30%", "sample: 1%", 1))
	for i, n := 0, 0; n < 2; i++ {
		id := s.newAlert(map[string]any{"id": fmt.Sprint(i), "title": "noise", "severity": "informational"})
		if s.scored(id).Status == "closed" {
			n++
			s.reopen(id)
		}
	}
	s.until("the stop", func() bool {
		var rules struct{ Items []struct{ Stopped time.Time } }
		s.send(http.MethodGet, "/api/closing", nil, &rules)
		return !rules.Items[0].Stopped.IsZero()
	})
}

func TestTheScoreLearnsFromWhatPeopleDecide(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s, password := scoring(t, data, "", scoreHead)
	event := func(id, title string) map[string]any {
		return map[string]any{"id": id, "title": title, "severity": "high", "src_ip": "203.0.113.9", "host": "ws-01"}
	}
	first := s.newAlert(event("1", "one"))
	s.close(s.newAlert(event("2", "one")), "false_positive")
	s.close(first, "false_positive")
	s.until("the lesson", func() bool {
		return strings.Contains(s.scored(s.newAlert(event(fmt.Sprint(time.Now().UnixNano()), "one"))).why(), "noise -20")
	})
	s.close(s.newAlert(event("3", "another")), "true_positive")
	s.until("the second lesson", func() bool {
		return strings.Contains(s.scored(s.newAlert(event(fmt.Sprint(time.Now().UnixNano()), "third"))).why(), "repeated +10")
	})
	s.stop()
	s, _ = scoring(t, data, password, "")
	if a := s.scored(s.newAlert(event("9", "one"))); !strings.Contains(a.why(), "noise -20") || !strings.Contains(a.why(), "repeated +10") {
		t.Errorf("after a restart:\n%s", a.why())
	}
}

func (s *server) alarmed(kind, subject string) {
	s.t.Helper()
	s.until("the alarm", func() bool {
		res, raw := s.ask(http.MethodGet, "/api/alarms", nil)
		var list struct {
			Items []struct{ Kind, Subject string }
		}
		if res.StatusCode != http.StatusOK || json.Unmarshal(raw, &list) != nil {
			return false
		}
		for _, a := range list.Items {
			if a.Kind == kind && a.Subject == subject {
				return true
			}
		}
		return false
	})
}

func (s *server) close(id, verdict string) {
	s.t.Helper()
	s.send(http.MethodPost, "/api/alerts/"+id+"/close", map[string]any{"verdict": verdict, "reason": "looked at"}, nil)
}

func (s *server) reopen(id string) {
	s.t.Helper()
	s.send(http.MethodPost, "/api/alerts/"+id+"/reopen", map[string]any{"reason": "no noise"}, nil)
}
