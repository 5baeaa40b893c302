package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"riposte/internal/app"
	"riposte/internal/auth"
	"riposte/internal/demo/simulated"
	"riposte/internal/httpapi"
	"riposte/internal/store/storetest"
)

// server is a whole program at work, with a client that has signed in.
type server struct {
	t        *testing.T
	url      string
	cookie   string
	contract *contract
	stop     func()
}

// serve starts a server on a data folder and signs its administrator in.
func serve(t *testing.T, data, password string, changes ...func(*app.Config)) (*server, string) {
	t.Helper()
	cfg := app.Defaults()
	cfg.Listen, cfg.Data = "127.0.0.1:0", data
	cfg.Sources = map[string]app.SourceConfig{"eve": {Type: "webhook", Mapping: app.MappingNames{"suricata-eve"}, TokenHash: auth.HashSecret("sender")}}
	for _, change := range changes {
		change(&cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a, err := app.New(ctx, cfg, app.Options{Version: "test"})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	if _, first := a.FirstPassword(); first != "" {
		password = first
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	s := &server{t: t, url: "http://" + a.Addr(), contract: newContract(t)}
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	t.Cleanup(s.stop)
	<-a.Ready()
	r := s.send(http.MethodPost, "/api/session", map[string]any{"name": "admin", "password": password}, nil)
	for _, c := range r.Cookies() {
		s.cookie = c.Name + "=" + c.Value
	}
	return s, password
}

// send sends a request and gives the answer, its body read into into.
func (s *server) send(method, path string, body, into any) *http.Response {
	s.t.Helper()
	res, raw := s.ask(method, path, body)
	if res.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %s\n%s", method, path, res.Status, raw)
	}
	if into != nil {
		if err := json.Unmarshal(raw, into); err != nil {
			s.t.Fatalf("%s %s: %v\n%s", method, path, err, raw)
		}
	}
	return res
}

// ask sends a request, whatever comes back; it must be what the document says.
// Headers are pairs of name and value.
func (s *server) ask(method, path string, body any, headers ...string) (*http.Response, []byte) {
	s.t.Helper()
	var r io.Reader
	if text, ok := body.(string); ok {
		r = strings.NewReader(text)
	} else if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, s.url+path, r)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(path, "/api/ingest/") {
		req.Header.Set("Authorization", "Bearer sender")
	} else if s.cookie != "" {
		req.Header.Set("Cookie", s.cookie)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	s.contract.check(s.t, method, path, res, raw)
	return res, raw
}

// refused expects a problem of a status and gives it.
func (s *server) refused(status int, method, path string, body any, headers ...string) (p httpapi.Problem) {
	s.t.Helper()
	res, raw := s.ask(method, path, body, headers...)
	if err := json.Unmarshal(raw, &p); err != nil || res.StatusCode != status {
		s.t.Fatalf("%s %s: %s, want %d\n%s", method, path, res.Status, status, raw)
	}
	return p
}

// until asks again until ok, for at most 20 s.
func (s *server) until(what string, ok func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s has not come about", what)
		}
		<-tick.C
	}
}

// connect adds the connections of the simulated products.
func (s *server) connect(p *simulated.Products) {
	s.t.Helper()
	for _, c := range []struct {
		p       *simulated.Product
		secrets map[string]string
	}{
		{p.Firewall, map[string]string{"key": p.Firewall.Secret}},
		{p.EDR, map[string]string{"token": p.EDR.Secret}},
		{p.Reputation, map[string]string{"key": p.Reputation.Secret}},
	} {
		name := strings.TrimSuffix(c.p.Name, "-sim")
		s.send(http.MethodPost, "/api/connections", map[string]any{
			"name": name, "connector": name + "-sim", "config": map[string]any{"base_url": c.p.URL, "allow_loopback": true}, "secrets": c.secrets,
		}, nil)
	}
}

const judge = `playbook: judge
title: Judge an address and block it
on:
  - alert: alert.category == "intrusion" and alert.src_ip != nil
    with: { ip: "${{ alert.src_ip }}" }
inputs:
  ip: { type: string }
steps:
  - id: look
    action: reputation-sim.ip
    with: { ip: "${{ inputs.ip }}" }
    retry: 3
  - id: tell
    action: case.set
    with: { tags: [judged] }
  - id: block
    action: firewall-sim.block_ip
    with: { ip: "${{ inputs.ip }}", comment: "${{ run.id }}" }
    approve: { by: role:soc-lead, within: 1h, note: "Block ${{ inputs.ip }}" }
    undo:
      action: firewall-sim.unblock_ip
      with: { ip: "${{ inputs.ip }}" }
      after: 1s
    on_error: continue
`

func TestAnAlertIsJudgedBlockedAfterApprovalAndReleased(t *testing.T) {
	t.Parallel()
	t.Run("with a file", func(t *testing.T) {
		t.Parallel()
		judged(t, func(*app.Config) {})
	})
	t.Run("with PostgreSQL", func(t *testing.T) {
		t.Parallel()
		where := storetest.Postgres(t)
		judged(t, func(c *app.Config) { c.Database = where })
	})
}

func judged(t *testing.T, database func(*app.Config)) {
	t.Helper()
	products, err := simulated.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { products.Stop() })
	data := t.TempDir()
	s, password := serve(t, data, "", database)
	s.connect(products)
	s.send(http.MethodPut, "/api/playbooks/judge/draft", map[string]any{"text": judge}, nil)
	s.send(http.MethodPost, "/api/playbooks/judge/publish", map[string]any{"text": judge}, nil)

	var taken struct {
		Alert     string
		Duplicate bool
	}
	event := `{"timestamp":"2026-01-05T10:00:00.000000+0000","flow_id":7,"event_type":"alert","src_ip":"198.51.100.23","dest_ip":"192.0.2.10","alert":{"signature_id":1,"signature":"Guessing","severity":1}}`
	s.send(http.MethodPost, "/api/ingest/eve", event, &taken)
	if taken.Alert == "" || taken.Duplicate {
		t.Fatalf("%+v", taken)
	}
	s.send(http.MethodPost, "/api/ingest/eve", event, &taken)
	if !taken.Duplicate {
		t.Fatal("the same event twice is two alerts")
	}

	var open struct {
		Items []struct{ ID, Run, Hash, Case string }
	}
	s.until("the approval", func() bool {
		s.send(http.MethodGet, "/api/approvals", nil, &open)
		return len(open.Items) == 1
	})
	if open.Items[0].Case == "" {
		t.Errorf("the approval names no case: %+v", open.Items[0])
	}
	// What waits survives a restart.
	s.stop()
	s, _ = serve(t, data, password, database)
	s.send(http.MethodPost, "/api/approvals/"+open.Items[0].ID+"/approve", map[string]any{"hash": open.Items[0].Hash}, nil)

	var run struct {
		Status, Case string
		Steps        []struct{ Step, Status string }
	}
	s.until("the end of the run", func() bool {
		s.send(http.MethodGet, "/api/runs/"+open.Items[0].Run, nil, &run)
		return run.Status != "running" && run.Status != "waiting"
	})
	if run.Status != "succeeded" {
		t.Fatalf("%+v", run)
	}
	var ledger struct {
		Items []struct{ ID, State, Done, Problem string }
	}
	s.until("the release", func() bool {
		s.send(http.MethodGet, "/api/ledger", nil, &ledger)
		return len(ledger.Items) == 1 && ledger.Items[0].State == "undone"
	})
	changes := 0
	for _, e := range products.Firewall.Log() {
		if e.Change != "" {
			changes++
		}
	}
	if changes != 2 {
		t.Errorf("the firewall was changed %d times, want a block and a release: %+v", changes, products.Firewall.Log())
	}
	var timeline struct {
		Items []struct{ Kind, By, Text string }
	}
	s.send(http.MethodGet, "/api/cases/"+run.Case+"/timeline?limit=100", nil, &timeline)
	var told strings.Builder
	for _, e := range timeline.Items {
		fmt.Fprintf(&told, "%s by %s: %s\n", e.Kind, e.By, e.Text)
	}
	for _, want := range []string{"opened by playbook:judge", "alert_added by playbook:judge", "look", "block", "taken_back"} {
		if !strings.Contains(told.String(), want) {
			t.Errorf("the timeline lacks %q:\n%s", want, told.String())
		}
	}
}
