package caller_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"testing/fstest"

	"riposte/connector"
	"riposte/connector/caller"
	"riposte/connector/httprt"
)

const lookUp = `connector: rep
version: 1.0.0
contract: 1
title: Reputation
runtime: http
config:
  type: object
  required: [base_url, token]
  properties: { base_url: { type: string }, token: { type: string, secret: true } }
auth: { kind: bearer, token: token }
http: { base: "${{ config.base_url }}/api/v1" }
errors:
  - { status: 401, class: auth }
  - { status: 5xx, class: transient }
actions:
  - id: ip
    impact: read
    inputs: { type: object, required: [ip], properties: { ip: { type: string, format: ip } } }
    outputs:
      type: object
      required: [known]
      properties: { known: { type: boolean }, malicious: { type: integer }, labels: { type: array, items: { type: string } } }
    http:
      path: /ip/${{ inputs.ip }}
      output: { known: true, malicious: "${{ body.stats.malicious }}", labels: "${{ body.labels }}" }
`

const ipAnswer = `{"id":"203.0.113.9","type":"ip","stats":{"malicious":7,"suspicious":1,"harmless":60,"undetected":20},"labels":["scanner","ssh"],"country":"NL","asn":64500,"last_seen":"2026-11-24T08:00:00Z"}`

// measured starts the clocks of a benchmark: processor time too, since on a busy
// machine the wall's tells little.
func measured(b *testing.B) {
	b.Helper()
	spent := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := spent()
	b.Cleanup(func() { b.ReportMetric(float64(spent()-before)/1e3/float64(b.N), "cpu-µs/op") })
	b.ReportAllocs()
	b.ResetTimer()
}

// BenchmarkCall is one whole call over loopback: connection, checks, request,
// answer, output. BenchmarkBare is the same exchange with net/http alone; both
// pay for the server too.
func BenchmarkCall(b *testing.B) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, ipAnswer)
	}))
	defer srv.Close()
	reg, err := connector.NewRegistry(connector.Folder{Name: "bench", FS: fstest.MapFS{"rep/connector.yaml": {Data: []byte(lookUp)}}})
	if err != nil {
		b.Fatal(err)
	}
	rt := &httprt.Runtime{}
	defer rt.Close()
	c := &caller.Caller{
		Manifests: reg, Opener: plainOpener{}, Runtimes: map[string]connector.Runtime{"http": rt},
		Connections: shelf{"rep": {Name: "rep", Connector: "rep", AllowLoopback: true, Revision: 1, Config: map[string]any{"base_url": srv.URL}, Secrets: map[string][]byte{"token": []byte("t0k3n-value")}}},
	}
	a, _ := reg.Action("rep.ip")
	call := connector.Call{Connection: "rep", Action: a, Inputs: map[string]any{"ip": "203.0.113.9"}, Key: "k"}
	measured(b)
	for b.Loop() {
		if res := c.Call(b.Context(), call); res.Status != connector.OK {
			b.Fatal(res)
		}
	}
}

func BenchmarkBare(b *testing.B) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, ipAnswer)
	}))
	defer srv.Close()
	t := &http.Transport{MaxIdleConnsPerHost: 64}
	defer t.CloseIdleConnections()
	measured(b)
	for b.Loop() {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, srv.URL+"/api/v1/ip/203.0.113.9", nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer t0k3n-value")
		res, err := t.RoundTrip(req)
		if err != nil {
			b.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || len(body) == 0 {
			b.Fatal(fmt.Errorf("%d bytes: %w", len(body), err))
		}
	}
}
