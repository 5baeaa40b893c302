package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"riposte/internal/httpapi"
)

// found is a detection of the EDR at a time.
func found(id string, at time.Time) string {
	return fmt.Sprintf(`{"id":%q,"name":"Found %s","severity":"low","host":"h","technique":"T1","created_at":%q}`, id, id, at.Format(time.RFC3339))
}

func TestAProductThatHasMoreThanCameRaisesAnAlarm(t *testing.T) {
	t.Parallel()
	const grace = 5 * time.Minute
	until := time.Now().UTC().Add(-grace).Truncate(time.Hour)
	s, _ := oddPull(t, time.Hour, func(_ int, r *http.Request) (int, map[string]string, string) {
		if strings.HasSuffix(r.URL.Path, "/count") {
			return http.StatusOK, nil, `{"total":5}`
		}
		before, inside := until.Add(-61*time.Minute), until.Add(-30*time.Minute)
		return http.StatusOK, nil, `{"detections":[` + found("before", before) + `,` + found("a", inside) + `,` + found("b", inside) + `,` + found("after", until) + `],"next":null}`
	})
	s.until("the alarm", func() bool { return len(s.alarmsOf("source_missing")) == 1 })
	if got := s.alarmsOf("source_missing")[0]; !strings.Contains(got, "5 events") || !strings.Contains(got, "2 came") || !strings.Contains(got, "3 are missing") {
		t.Errorf("the alarm says %q", got)
	}
	var d httpapi.SourceDetail
	s.send(http.MethodGet, "/api/sources/found", nil, &d)
	if len(d.Checks) != 1 || d.Checks[0].Sent != 5 || d.Checks[0].Came != 2 || d.Checks[0].Missing != 3 || !d.Checks[0].Until.Equal(until) {
		t.Errorf("checks: %+v", d.Checks)
	}
	if d.State != "working" || !strings.Contains(d.Problem, "missing") {
		t.Errorf("state %s, problem %q", d.State, d.Problem)
	}
}

func TestASenderReportsHowManyItSentAndIsToldWhatCame(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, t.TempDir(), "")
	bearer := []string{"Authorization", "Bearer sender"}
	for i := range 3 {
		s.ask(http.MethodPost, "/api/ingest/eve", map[string]any{"event_type": "alert", "flow_id": i + 1, "timestamp": "2026-01-05T08:50:00Z",
			"alert": map[string]any{"signature": fmt.Sprint("S", i), "signature_id": i + 1, "severity": 1}}, bearer...)
	}
	now := time.Now().UTC()
	report := func(from, until time.Time, sent int) (c httpapi.SourceCheck) {
		t.Helper()
		res, body := s.ask(http.MethodPost, "/api/ingest/eve/count", map[string]any{"from": from, "until": until, "sent": sent}, bearer...)
		if res.StatusCode != http.StatusAccepted {
			t.Fatalf("%s: %s", res.Status, body)
		}
		var d httpapi.SourceDetail
		s.send(http.MethodGet, "/api/sources/eve", nil, &d)
		return d.Checks[0]
	}
	if c := report(now.Add(-time.Hour), now, 3); c.Came != 3 || c.Missing != 0 || c.By == "" {
		t.Errorf("all came: %+v", c)
	}
	if c := report(now.Add(-time.Hour), now.Add(time.Second), 7); c.Came != 3 || c.Missing != 4 {
		t.Errorf("four are missing: %+v", c)
	}
	if got := s.alarmsOf("source_missing"); len(got) != 1 || !strings.Contains(got[0], "4 are missing") {
		t.Errorf("alarms: %q", got)
	}
	report(now.Add(-time.Hour), now.Add(2*time.Second), 3)
	if got := s.alarmsOf("source_missing"); len(got) != 0 {
		t.Errorf("they agree again: %q", got)
	}
}

func TestAReportThatIsWrongIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, t.TempDir(), "")
	now := time.Now().UTC()
	good := map[string]any{"from": now.Add(-time.Hour), "until": now, "sent": 1}
	with := func(key string, v any) map[string]any {
		m := map[string]any{"from": good["from"], "until": good["until"], "sent": good["sent"], key: v}
		return m
	}
	for name, c := range map[string]struct {
		body any
		says string
	}{
		"negative":       {with("sent", -1), "0 or more"},
		"a fraction":     {with("sent", 1.5), "sent"},
		"a word":         {with("sent", "many"), "sent"},
		"null":           {with("sent", nil), "lacks"},
		"no time":        {with("from", "yesterday"), "2026-01-05"},
		"turned round":   {with("until", now.Add(-2*time.Hour)), "before until"},
		"the future":     {with("until", now.Add(time.Hour)), "is over"},
		"long ago":       {map[string]any{"from": now.Add(-30 * 24 * time.Hour), "until": now.Add(-29 * 24 * time.Hour), "sent": 1}, "no more"},
		"unknown field":  {with("send", 1), "send"},
		"not an object":  {[]int{1}, "2026-01-05"},
		"a span of ages": {with("from", now.Add(-300*24*time.Hour)), "apart"},
	} {
		p := s.refused(http.StatusBadRequest, http.MethodPost, "/api/ingest/eve/count", c.body, "Authorization", "Bearer sender")
		if !strings.Contains(p.Detail, c.says) {
			t.Errorf("%s: %q, want %q", name, p.Detail, c.says)
		}
	}
	s.refused(http.StatusRequestEntityTooLarge, http.MethodPost, "/api/ingest/eve/count", with("note", strings.Repeat("x", 10000)))
	s.refused(http.StatusUnauthorized, http.MethodPost, "/api/ingest/eve/count", good, "Authorization", "Bearer wrong-token")
	s.refused(http.StatusUnauthorized, http.MethodPost, "/api/ingest/nobody/count", good, "Authorization", "Bearer sender")
}
