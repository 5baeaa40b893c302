package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"riposte/internal/app"
	"riposte/internal/demo/simulated"
)

// detect reports a detection to the simulated EDR.
func detect(t *testing.T, p *simulated.Product, id string, at time.Time) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"id": id, "name": "Found " + id, "severity": "high", "host": "ws-17", "technique": "T1204", "created_at": at})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+"/api/v1/detections", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.Secret)
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		t.Fatal(res.Status)
	}
}

// alertsOf gives the titles of a source's alerts and how often each was reported.
func (s *server) alertsOf(source string) map[string]int {
	s.t.Helper()
	found := map[string]int{}
	for cursor := ""; ; {
		var page struct {
			Items []struct {
				Title string
				Count int
			}
			Next string `json:"next_cursor"`
		}
		path := "/api/alerts?limit=200&source=" + source
		if cursor != "" {
			path += "&cursor=" + cursor
		}
		s.send(http.MethodGet, path, nil, &page)
		for _, a := range page.Items {
			found[a.Title] += a.Count
		}
		if cursor = page.Next; cursor == "" {
			return found
		}
	}
}

// alarmsOf gives the messages of the open alarms of a kind.
func (s *server) alarmsOf(kind string) (messages []string) {
	s.t.Helper()
	var page struct {
		Items []struct{ Kind, Subject, Reason, Message string }
	}
	s.send(http.MethodGet, "/api/alarms", nil, &page)
	for _, a := range page.Items {
		if a.Kind == kind {
			messages = append(messages, a.Subject+": "+a.Message+a.Reason)
		}
	}
	return messages
}

func pulled(connection string, every time.Duration) func(*app.Config) {
	return func(c *app.Config) {
		c.Sources["found"] = app.SourceConfig{Type: "pull", Connection: connection, Every: every}
	}
}

func TestAProductIsAskedForItsAlerts(t *testing.T) {
	t.Parallel()
	p, err := simulated.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	now := time.Now().UTC()
	for i := range 250 { // more than two pages
		detect(t, p.EDR, fmt.Sprintf("x-%d", i), now.Add(-time.Hour+time.Duration(i)*time.Second))
	}
	data := t.TempDir()
	s, password := serve(t, data, "", pulled("edr", 50*time.Millisecond))
	s.connect(p) // the connection may come later than the source
	s.until("all that was there", func() bool { return len(s.alertsOf("found")) == 250 })
	// One that arrives late, within the look-back, is found all the same.
	detect(t, p.EDR, "late", now.Add(-4*time.Minute))
	s.until("the one that came late", func() bool { return s.alertsOf("found")["Found late on ws-17"] == 1 })
	// While it is down nothing is lost, and nothing is taken twice afterwards.
	s.stop()
	detect(t, p.EDR, "meanwhile", time.Now().UTC())
	s, _ = serve(t, data, password, pulled("edr", 50*time.Millisecond))
	s.until("what came while nobody looked", func() bool { return s.alertsOf("found")["Found meanwhile on ws-17"] == 1 })
	detect(t, p.EDR, "last", time.Now().UTC())
	s.until("the last one", func() bool { return s.alertsOf("found")["Found last on ws-17"] == 1 })
	for title, n := range s.alertsOf("found") {
		if n != 1 {
			t.Errorf("%q was counted %d times", title, n)
		}
	}
}

// odd is a product that pages in wrong ways.
type odd struct {
	mu     sync.Mutex
	calls  int
	answer func(n int, r *http.Request) (status int, headers map[string]string, body string)
}

func (o *odd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	o.calls++
	status, headers, body := o.answer(o.calls, r)
	o.mu.Unlock()
	for k, v := range headers {
		w.Header().Set(k, v)
	}
	w.WriteHeader(status)
	_, _ = fmt.Fprint(w, body) // the caller may have gone away
}

func (o *odd) called() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.calls
}

// oddPull serves a product through the manifest of the EDR.
func oddPull(t *testing.T, every time.Duration, answer func(n int, r *http.Request) (int, map[string]string, string)) (*server, *odd) {
	t.Helper()
	o := &odd{answer: answer}
	product := httptest.NewServer(o)
	t.Cleanup(product.Close)
	s, _ := serve(t, t.TempDir(), "", pulled("edr", every))
	s.send(http.MethodPost, "/api/connections", map[string]any{
		"name": "edr", "connector": "edr-sim", "config": map[string]any{"base_url": product.URL, "allow_loopback": true}, "secrets": map[string]string{"token": "x"},
	}, nil)
	return s, o
}

func record(id string) string {
	return fmt.Sprintf(`{"id":%q,"name":"Found %s","severity":"low","host":"h","technique":"T1","created_at":"2026-01-05T08:50:00Z"}`, id, id)
}

func TestAProductThatGivesTheSameCursorForEverIsToldAsAnAlarm(t *testing.T) {
	t.Parallel()
	s, o := oddPull(t, time.Hour, func(int, *http.Request) (int, map[string]string, string) {
		return http.StatusOK, nil, `{"detections":[` + record("a") + `],"next_cursor":"again"}`
	})
	s.until("the alarm", func() bool { return len(s.alarmsOf("source_stuck")) == 1 })
	if got := s.alarmsOf("source_stuck")[0]; !strings.Contains(got, "same cursor") {
		t.Errorf("the alarm says %q", got)
	}
	if n := o.called(); n > 5 {
		t.Errorf("it was asked %d times in one look", n)
	}
	if got := s.alertsOf("found"); got["Found a on h"] != 1 || len(got) != 1 {
		t.Errorf("alerts: %v", got)
	}
}

func TestAProductWithoutEndIsLeft(t *testing.T) {
	t.Parallel()
	s, o := oddPull(t, time.Hour, func(n int, _ *http.Request) (int, map[string]string, string) {
		return http.StatusOK, nil, fmt.Sprintf(`{"detections":[%s],"next_cursor":"c%d"}`, record("a"), n)
	})
	s.until("the alarm", func() bool { return len(s.alarmsOf("source_stuck")) == 1 })
	if n := o.called(); n > 10 {
		t.Errorf("it was asked %d times in one look", n)
	}
}

func TestAProductThatAsksToWaitIsNotAskedMeanwhile(t *testing.T) {
	t.Parallel()
	var first time.Time
	waited := time.Duration(0)
	s, _ := oddPull(t, time.Millisecond, func(n int, _ *http.Request) (int, map[string]string, string) {
		switch n {
		case 1:
			return http.StatusOK, nil, `{"detections":[` + record("a") + `],"next_cursor":"2"}`
		case 2:
			first = time.Now()
			return http.StatusTooManyRequests, map[string]string{"Retry-After": "2"}, `{}`
		case 3:
			waited = time.Since(first)
		}
		return http.StatusOK, nil, `{"detections":[` + record("b") + `],"next_cursor":""}`
	})
	s.until("both pages", func() bool { return len(s.alertsOf("found")) == 2 })
	if waited < 1900*time.Millisecond {
		t.Errorf("it was asked again after %s", waited)
	}
}

func TestWhatAProductAnswersWronglyIsTold(t *testing.T) {
	t.Parallel()
	s, _ := oddPull(t, time.Millisecond, func(n int, _ *http.Request) (int, map[string]string, string) {
		switch n {
		case 1:
			return http.StatusOK, nil, `{"detections":"many","next_cursor":""}`
		case 2:
			return http.StatusOK, nil, `[[[`
		}
		return http.StatusOK, nil, `{"detections":[{"id":7,"name":{},"host":"h","technique":"x"},` + record("b") + `],"next_cursor":""}`
	})
	s.until("the record that can be read, and the one that cannot", func() bool { return len(s.alertsOf("found")) == 2 })
}
