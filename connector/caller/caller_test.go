package caller_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"riposte/connector"
	"riposte/connector/caller"
	"riposte/connector/httprt"
	"riposte/internal/expr"
	"riposte/internal/fault"
)

// plainOpener takes sealed secrets for what they are.
type plainOpener struct{}

func (plainOpener) Open(_ string, sealed []byte) ([]byte, error) { return sealed, nil }

// shelf keeps connections in memory.
type shelf map[string]*connector.Connection

func (s shelf) Connection(_, name string) (*connector.Connection, error) {
	if c := s[name]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("connection %s: %w", name, fault.NotFound)
}

func (s shelf) List(string) []*connector.Connection {
	var list []*connector.Connection
	for _, c := range s {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *connector.Connection) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// product is a small server with hosts that can be isolated.
type product struct {
	mu     sync.Mutex
	state  map[string]string
	calls  []string
	answer func(w http.ResponseWriter, r *http.Request) bool // true: answered
}

func (p *product) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, r.Method+" "+r.URL.Path)
	if p.answer != nil && p.answer(w, r) {
		return
	}
	host := strings.Split(r.URL.Path, "/")[2]
	if r.Method == http.MethodPost {
		p.state[host] = "isolated"
	}
	fmt.Fprintf(w, `{"state":%q,"id":"a1","token":%q}`, p.state[host], r.Header.Get("Authorization"))
}

const edr = `connector: NAME
version: 1.0.0
contract: 1
title: EDR
runtime: http
config:
  type: object
  required: [base_url, token]
  properties: { base_url: { type: string }, token: { type: string, secret: true } }
auth: { kind: bearer, token: token }
rate: { requests: 100, every: 1s, burst: 50 }
max_in_flight: 3
http: { base: "${{ config.base_url }}" }
actions:
  - id: state
    impact: read
    inputs: { type: object, required: [host], properties: { host: { type: string }, note: { type: string } } }
    outputs: { type: object, required: [state], properties: { state: { type: string }, token: { type: string } } }
    http: { path: "/hosts/${{ inputs.host }}" }
  - id: isolate
    capability: isolate_host
    impact: change
    targets: [{ input: host, kind: host, max_per_call: 2 }]
    idempotency: precheck
    precheck: { action: state, with: { host: "${{ inputs.host }}" }, when: output.state == "isolated" }
    postcheck: { action: state, with: { host: "${{ inputs.host }}" }, when: output.state == "isolated" }
    inputs: { type: object, required: [host], properties: { host: { type: string }, comment: { type: string } } }
    outputs: { type: object, properties: { id: { type: string } } }
    http: { method: POST, path: "/hosts/${{ inputs.host }}/isolate", output: { id: "${{ body.id }}" } }
`

type world struct {
	*caller.Caller
	product *product
	shelf   shelf
	reg     *connector.Registry
	extra   *connector.Manifest
}

func newWorld(t *testing.T, names ...string) *world {
	t.Helper()
	files := fstest.MapFS{}
	for _, n := range names {
		files[n+"/connector.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(edr, "NAME", n, 1))}
	}
	reg, err := connector.NewRegistry(connector.Folder{FS: files, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	p := &product{state: map[string]string{}}
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	rt := &httprt.Runtime{}
	t.Cleanup(rt.Close)
	s := shelf{}
	for _, n := range names {
		s[n+"-main"] = &connector.Connection{
			Name: n + "-main", Connector: n, AllowLoopback: true, Revision: 1,
			Config: map[string]any{"base_url": srv.URL}, Secrets: map[string][]byte{"token": []byte("s3cr3t-" + n)},
		}
	}
	return &world{product: p, shelf: s, reg: reg, Caller: &caller.Caller{
		Manifests: reg, Connections: s, Opener: plainOpener{}, Runtimes: map[string]connector.Runtime{"http": rt},
		Handlers: map[string]connector.Handler{},
	}}
}

func (w *world) action(t *testing.T, name string) *connector.Action {
	t.Helper()
	a, _ := w.reg.Action(name)
	if a == nil {
		a = w.reg.Capability(name)
	}
	if a == nil {
		t.Fatalf("no action %s", name)
	}
	return a
}

func (w *world) call(t *testing.T, name string, inputs map[string]any) connector.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return w.Call(ctx, connector.Call{Action: w.action(t, name), Inputs: inputs, Key: "k"})
}

func TestACallLooksBeforeAndAfter(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "edr")
	res := w.call(t, "edr.isolate", map[string]any{"host": "ws-7"})
	if res.Status != connector.OK || string(res.Output) != `{"id":"a1"}` || res.Connection != "edr-main" {
		t.Errorf("%+v %s", res, res.Output)
	}
	want := []string{"GET /hosts/ws-7", "POST /hosts/ws-7/isolate", "GET /hosts/ws-7"}
	if !slices.Equal(w.product.calls, want) {
		t.Errorf("calls %v, want %v", w.product.calls, want)
	}
	if res := w.call(t, "edr.isolate", map[string]any{"host": "ws-7"}); res.Status != connector.Already {
		t.Errorf("the second time: %+v", res)
	}
	if n := len(w.product.calls); n != 4 {
		t.Errorf("%d calls, the second time should only look", n)
	}
}

func TestAPostcheckThatDoesNotHoldIsUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "edr")
	w.product.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			_, _ = rw.Write([]byte(`{"id":"a1"}`)) // accepted, and nothing happens
			return true
		}
		return false
	}
	res := w.call(t, "edr.isolate", map[string]any{"host": "ws-7"})
	if res.Status != connector.Unknown || !strings.Contains(res.Message, "does not show it") {
		t.Errorf("%+v", res)
	}
}

func TestAPostcheckSettlesALostAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "edr")
	w.product.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			w.product.state["ws-7"] = "isolated"
			panic(http.ErrAbortHandler) // done, and the connection breaks
		}
		return false
	}
	res := w.call(t, "edr.isolate", map[string]any{"host": "ws-7"})
	if res.Status != connector.OK || res.Class != "" {
		t.Errorf("%+v", res)
	}
}

func TestSecretsNeverComeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "edr")
	w.product.state["x"] = "up"
	res := w.call(t, "edr.state", map[string]any{"host": "x"})
	if strings.Contains(string(res.Output), "s3cr3t") || !strings.Contains(string(res.Output), "[secret]") {
		t.Errorf("output %s", res.Output)
	}
	w.product.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		http.Error(rw, `{"message":"bad token `+r.Header.Get("Authorization")+`"}`, http.StatusForbidden)
		return true
	}
	res = w.call(t, "edr.state", map[string]any{"host": "x"})
	if res.Class != connector.Permission || strings.Contains(res.Message, "s3cr3t") {
		t.Errorf("%+v", res)
	}
	// A secret of an input is sent, and hidden as well.
	w.product.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		fmt.Fprintf(rw, `{"state":%q}`, r.URL.Path)
		return true
	}
	w.shelf["other"] = &connector.Connection{Name: "other", Connector: "edr", Config: w.shelf["edr-main"].Config, Secrets: map[string][]byte{"token": []byte("anoth3r-one")}, Revision: 1}
	ctx := t.Context()
	res = w.Call(ctx, connector.Call{Connection: "edr-main", Action: w.action(t, "edr.state"), Inputs: map[string]any{"host": expr.Secret{Connection: "other", Field: "token"}}})
	if got := string(res.Output); got != `{"state":"/hosts/[secret]"}` {
		t.Errorf("%s %+v", got, res)
	}
}

func TestWrongInputsAreRefusedBeforeTheCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "edr")
	tests := []struct {
		name, action string
		inputs       map[string]any
		says         string
	}{
		{"missing", "edr.state", nil, `input lacks "host"`},
		{"of another type", "edr.state", map[string]any{"host": 7}, "host: is a number, expected a text"},
		{"not declared", "edr.state", map[string]any{"host": "a", "hots": "b"}, `has no field "hots"`},
		{"an empty target", "edr.isolate", map[string]any{"host": ""}, "for many products that means everything"},
		{"a pattern", "edr.isolate", map[string]any{"host": "*"}, "is a pattern and no host"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := w.call(t, tt.action, tt.inputs)
			if res.Class != connector.Invalid || !strings.Contains(res.Message, tt.says) {
				t.Errorf("%+v, want %q", res, tt.says)
			}
		})
	}
	if len(w.product.calls) != 0 {
		t.Errorf("calls %v", w.product.calls)
	}
}

func TestAnAnswerThatBreaksItsSchemaIsDrift(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "edr")
	var told []string
	w.Drifting = func(_, conn, action, where string) { told = append(told, conn+" "+action+" "+where) }
	w.product.answer = func(rw http.ResponseWriter, _ *http.Request) bool {
		_, _ = rw.Write([]byte(`{"state":7}`))
		return true
	}
	res := w.call(t, "edr.state", map[string]any{"host": "a"})
	if res.Status != connector.Failed || res.Class != connector.BadAnswer || !strings.Contains(res.Drift, "state: is a number, expected a text") {
		t.Errorf("%+v", res)
	}
	if len(told) != 1 || !strings.HasPrefix(told[0], "edr-main edr.state ") {
		t.Errorf("told %v", told)
	}
}

func TestWhichConnectionServes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "edr", "xdr")
	if name, l := w.Route("", "", "edr.state"); name != "edr-main" || l != (caller.Limits{MaxInFlight: 3, Rate: 100, Burst: 50}) {
		t.Errorf("%s %+v", name, l)
	}
	if name, _ := w.Route("", "", "isolate_host"); name != "" {
		t.Errorf("two serve it, route says %s", name)
	}
	if name, _ := w.Route("", "xdr-main", "isolate_host"); name != "xdr-main" {
		t.Errorf("route says %s", name)
	}
	if name, _ := w.Route("", "", "case.note"); name != "case" {
		t.Errorf("route says %s", name)
	}
	res := w.Call(t.Context(), connector.Call{Connection: "xdr-main", Action: w.action(t, "edr.state"), Inputs: map[string]any{"host": "a"}})
	if !strings.Contains(res.Message, "belongs to xdr") {
		t.Errorf("%+v", res)
	}
	w.shelf["edr-two"] = &connector.Connection{Name: "edr-two", Connector: "edr"}
	if res := w.call(t, "edr.state", map[string]any{"host": "a"}); !strings.Contains(res.Message, "several connections (edr-main, edr-two); name one with using") {
		t.Errorf("%+v", res)
	}
	w.shelf["edr-two"].Disabled = true
	if !w.Available("", "edr") || !w.Available("", "isolate_host") || w.Available("", "block_ip") || w.Available("", "nothing") {
		t.Error("available is wrong")
	}
	clear(w.shelf)
	if res := w.call(t, "edr.state", map[string]any{"host": "a"}); res.Class != connector.Invalid || !strings.Contains(res.Message, "riposte connection add") {
		t.Errorf("%+v", res)
	}
}

func TestACapabilityIsServedByAllItsConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "edr", "xdr")
	res := w.call(t, "isolate_host", map[string]any{"host": "ws-7"})
	if len(res.Results) != 2 || res.Status != connector.OK {
		t.Fatalf("%+v", res)
	}
	var out struct {
		ID      string
		Results []struct{ Connection, Status string }
	}
	if err := json.Unmarshal(res.Output, &out); err != nil || len(out.Results) != 2 || out.Results[0].Connection != "edr-main" {
		t.Errorf("%s %v", res.Output, err)
	}
}

func TestHandlersServeBuiltInActions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "edr")
	w.Handlers["case.note"] = func(_ context.Context, in *connector.Invocation) (connector.Result, any) {
		return connector.Result{Status: connector.OK}, map[string]any{"case": fmt.Sprint(in.Call.Origin.Case)}
	}
	res := w.Call(t.Context(), connector.Call{Action: w.action(t, "case.note"), Inputs: map[string]any{"text": "hello"}, Origin: connector.Origin{Case: 4}})
	if string(res.Output) != `{"case":"4"}` || res.Connection != "case" {
		t.Errorf("%+v %s", res, res.Output)
	}
	res = w.Call(t.Context(), connector.Call{Action: w.action(t, "case.note"), Inputs: map[string]any{"text": expr.Secret{Connection: "edr-main", Field: "token"}}})
	if res.Class != connector.Invalid || !strings.Contains(res.Message, "a secret cannot be written there") {
		t.Errorf("%+v", res)
	}
	if res := w.call(t, "list.has", map[string]any{"list": "vips", "value": "ann"}); !strings.Contains(res.Message, "no handler") {
		t.Errorf("%+v", res)
	}
}

func TestClearanceStopsACall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "edr")
	w.Clear = func(_ *connector.Call, conn *connector.Connection) error {
		if ok, why := conn.Clearance.Covers(connector.Clearance{TLP: "red"}); !ok {
			return fmt.Errorf("%s: %w", why, fault.Denied)
		}
		return nil
	}
	res := w.call(t, "edr.state", map[string]any{"host": "a"})
	if res.Status != connector.Denied || !strings.Contains(res.Message, "TLP:red") || len(w.product.calls) > 0 {
		t.Errorf("%+v", res)
	}
}
