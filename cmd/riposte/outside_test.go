package main

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// worldHead begins the connector that reaches the outside world of these tests.
const worldHead = `connector: world
version: 1.0.0
contract: 1
title: The world outside
runtime: http
config:
  type: object
  required: [base_url]
  properties: { base_url: { type: string, format: url } }
auth: { kind: none }
http: { base: "${{ config.base_url }}" }
errors:
  - { status: 5xx, class: transient }
actions:
  - id: look
    impact: read
    inputs: { type: object, required: [n], properties: { n: { type: integer } } }
    outputs: { type: object, properties: { score: { type: integer } } }
    http: { path: "/look/${{ string(inputs.n) }}", output: { score: "${{ body.score }}" } }
`

// worldConnector goes on with a change that cannot be repeated, one with a key,
// one that is taken back, and a message.
func worldConnector() string {
	shape := "    inputs: { type: object, required: [ip, n], properties: { ip: { type: string, format: ip, kind: ip }, n: { type: integer } } }\n"
	act := func(id, more string) string {
		return "  - id: " + id + "\n" + more + shape + "    http: { method: POST, path: \"/" + id + "/${{ string(inputs.n) }}\", headers: { Idempotency-Key: \"${{ call.key }}\" }, answer: none }\n"
	}
	const change = "    impact: change\n    targets: [{ input: ip, kind: ip }]\n    idempotency: "
	return worldHead +
		act("once", change+"none\n") +
		act("keyed", change+"key\n") +
		act("block", change+"natural\n    undo: { action: free, with: { ip: \"${{ inputs.ip }}\", n: \"${{ inputs.n }}\" } }\n    ttl: 7d\n") +
		act("free", change+"natural\n") +
		act("tell", "    impact: notify\n    idempotency: none\n")
}

// outside is the world as it really is: what arrived there, whatever Riposte
// believes.
type outside struct {
	*httptest.Server
	mu      sync.Mutex
	calls   map[string]int             // by action and number, such as once/7
	keys    map[string]map[string]bool // the idempotency keys of each
	blocked map[string]bool            // by number
	slow    time.Duration              // the longest a call takes
}

func newOutside(t *testing.T) *outside {
	o := &outside{calls: map[string]int{}, keys: map[string]map[string]bool{}, blocked: map[string]bool{}, slow: 15 * time.Millisecond}
	o.Server = httptest.NewServer(http.HandlerFunc(o.serve))
	t.Cleanup(o.Close)
	return o
}

func (o *outside) serve(w http.ResponseWriter, r *http.Request) {
	what := strings.TrimPrefix(r.URL.Path, "/")
	action, n, _ := strings.Cut(what, "/")
	o.mu.Lock()
	o.calls[what]++
	first := o.calls[what] == 1
	if o.keys[what] == nil {
		o.keys[what] = map[string]bool{}
	}
	o.keys[what][r.Header.Get("Idempotency-Key")] = true
	switch action {
	case "block":
		o.blocked[n] = true
	case "free":
		delete(o.blocked, n)
	}
	o.mu.Unlock()
	// Half of what is killed is to be killed while a call is under way.
	time.Sleep(rand.N(o.slow))
	switch {
	case action == "look" && first && strings.HasSuffix(n, "3"):
		http.Error(w, "busy", http.StatusServiceUnavailable)
	case action == "look":
		_, _ = io.WriteString(w, `{"score":91}`)
	}
}

func (o *outside) times(what string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.calls[what]
}

// free tells whether every block has been taken back.
func (o *outside) free() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.blocked) == 0
}
