package app_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"riposte/internal/app"
)

// scraped reads metrics and gives the lines of figures.
func scraped(t *testing.T, url, token string) (status int, lines []string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return res.StatusCode, lines
}

func TestMetricsAreForThoseWhoMayReadThem(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, t.TempDir(), "", func(c *app.Config) {
		c.People = map[string]app.PersonConfig{"prom": {Roles: []string{"viewer"}}, "nobody": {}}
	})
	tokens := map[string]string{}
	for _, who := range []string{"prom", "nobody"} {
		var made struct{ Secret string }
		s.send(http.MethodPost, "/api/tokens", map[string]any{"name": "monitoring", "owner": who}, &made)
		tokens[who] = made.Secret
	}
	for _, token := range []string{"", "rip_wrong", tokens["nobody"]} {
		if status, lines := scraped(t, s.url+"/metrics", token); status != http.StatusUnauthorized {
			t.Errorf("with %q: %d\n%s", token, status, lines)
		}
	}
	s.send(http.MethodPost, "/api/ingest/eve", "{\"no\":\"event of this product\"}\n{broken\n", nil)
	status, lines := scraped(t, s.url+"/metrics", tokens["prom"])
	if status != http.StatusOK {
		t.Fatalf("%d", status)
	}
	text := "\n" + strings.Join(lines, "\n") + "\n"
	for _, want := range []string{
		`riposte_intake_events_total{result="unread",source="eve"} 2`, `riposte_intake_events_total{result="skipped",source="eve"} 0`,
		`riposte_intake_queue_events 0`, `riposte_intake_oldest_waiting_seconds 0`, `riposte_source_up{source="eve"} 1`, `riposte_database_up 1`,
		`riposte_build_info{version="test"} 1`, `riposte_alerts_decided_total{outcome="unread"} 2`, `riposte_runs_active 0`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	for _, begins := range []string{"riposte_store_commit_seconds_bucket", "riposte_store_writes_total ", "go_goroutines ", "process_resident_memory_bytes "} {
		if !strings.Contains(text, "\n"+begins) {
			t.Errorf("%s is missing", begins)
		}
	}
}
