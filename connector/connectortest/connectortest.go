// Package connectortest tries connectors against recorded answers. A connector's
// folder holds testdata/ACTION.json for each of its actions: a list of calls with
// the requests that they make, the answers that came, and the result. Replay
// plays the product, makes the calls, and says what is different. Connectors
// that ship must have the cases of Required.
package connectortest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"reflect"
	"slices"
	"sync"
	"time"

	"riposte/connector"
)

// The cases that decide whether a connector may ship.
const (
	Success       = "success"
	Already       = "already" // it was so before
	RateLimit     = "rate_limit"
	BadCredential = "bad_credential"
	Malformed     = "malformed"
)

// Required lists the cases that an action must have. Already is for changes of
// a state: where a key makes two orders one, nothing can be so before.
func Required(a *connector.Action) []string {
	cases := []string{Success, RateLimit, BadCredential, Malformed}
	if a.Impact >= connector.Change && (a.Idempotency == connector.Natural || a.Idempotency == connector.Precheck) {
		cases = append(cases, Already)
	}
	return cases
}

// Fixture is one recorded call.
type Fixture struct {
	Case      string           `json:"case"`
	Inputs    map[string]any   `json:"inputs,omitempty"`
	Exchanges []Exchange       `json:"exchanges"`
	Result    connector.Result `json:"result"` // without the message: its wording is ours
}

// Exchange is one request and its answer; no credential is in it.
type Exchange struct {
	Request struct {
		Method string `json:"method"`
		Path   string `json:"path"` // escaped
		Query  string `json:"query,omitempty"`
		Body   string `json:"body,omitempty"`
	} `json:"request"`
	Response struct {
		Status  int               `json:"status"`
		Headers map[string]string `json:"headers,omitempty"`
		Body    string            `json:"body,omitempty"`
	} `json:"response"`
}

// Problem is one thing that is wrong with a connector's fixtures or with what
// became of them.
type Problem struct {
	Action, Case, What string
}

func (p Problem) String() string {
	if p.Case == "" {
		return p.Action + ": " + p.What
	}
	return p.Action + ", case " + p.Case + ": " + p.What
}

// now is when all replayed calls are made.
var now = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// Load reads the fixtures of an action: fault.NotFound is not among the errors,
// an action without a file has no fixtures.
func Load(m *connector.Manifest, action string) ([]Fixture, error) {
	file := path.Join("testdata", action+".json")
	b, err := fs.ReadFile(m.Files, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	var list []Fixture
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return list, nil
}

// Replay tries all actions of a connector of runtime http and lists what is
// wrong, nothing when all is well.
func Replay(ctx context.Context, rt connector.Runtime, m *connector.Manifest) []Problem {
	var problems []Problem
	for _, id := range m.ActionIDs() {
		a := m.Action(id)
		list, err := Load(m, id)
		if err != nil {
			problems = append(problems, Problem{Action: id, What: err.Error()})
			continue
		}
		problems = append(problems, missing(a, list)...)
		for i := range list {
			problems = append(problems, replay(ctx, rt, m, a, &list[i])...)
		}
	}
	return problems
}

func missing(a *connector.Action, list []Fixture) []Problem {
	var problems []Problem
	for _, name := range Required(a) {
		if !slices.ContainsFunc(list, func(f Fixture) bool { return f.Case == name }) {
			problems = append(problems, Problem{a.ID, name, "there is no such fixture in testdata/" + a.ID + ".json; record one"})
		}
	}
	return problems
}

// player answers with what was recorded and notes what is different.
type player struct {
	mu       sync.Mutex
	fixture  *Fixture
	next     int
	hidden   string // the query parameter that holds the credential
	problems []string
}

func (p *player) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller went away
	}
	if p.next >= len(p.fixture.Exchanges) {
		p.problems = append(p.problems, fmt.Sprintf("one request more than was recorded: %s %s", r.Method, r.URL.EscapedPath()))
		w.WriteHeader(http.StatusTeapot)
		return
	}
	x := p.fixture.Exchanges[p.next]
	p.next++
	query := r.URL.Query()
	if p.hidden != "" {
		query.Del(p.hidden)
	}
	recorded, _ := url.ParseQuery(x.Request.Query)
	for what, pair := range map[string][2]any{
		"method": {x.Request.Method, r.Method}, "path": {x.Request.Path, r.URL.EscapedPath()},
		"query": {recorded.Encode(), query.Encode()}, "body": {sameText(x.Request.Body), sameText(string(body))},
	} {
		if pair[0] != pair[1] {
			p.problems = append(p.problems, fmt.Sprintf("request %d: its %s is %q, recorded was %q", p.next, what, pair[1], pair[0]))
		}
	}
	for name, value := range x.Response.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(x.Response.Status)
	_, _ = io.WriteString(w, x.Response.Body) // the caller may have gone away
}

// sameText writes JSON in one form, so that order and blanks do not count.
func sameText(s string) string {
	var v any
	if json.Unmarshal([]byte(s), &v) != nil {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return s
	}
	return string(b)
}

func replay(ctx context.Context, rt connector.Runtime, m *connector.Manifest, a *connector.Action, f *Fixture) []Problem {
	p := &player{fixture: f}
	if m.Auth != nil && m.Auth.Kind == "api_key" && m.Auth.In == "query" {
		p.hidden = m.Auth.Name
	}
	server := httptest.NewServer(p)
	defer server.Close()
	config, secrets := sampleConfig(m, server.URL)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// A name of its own: nothing that was prepared for another call is used.
	conn := &connector.Connection{Name: "fixture " + server.URL, Connector: m.Connector, AllowLoopback: true, Revision: 1}
	result, output := rt.Run(ctx, &connector.Invocation{
		Call:   connector.Call{Connection: conn.Name, Action: a, Inputs: a.Inputs.WithDefaults(f.Inputs), Key: "key-1"},
		Impact: connector.ImpactOf(a, f.Inputs), Connection: conn, Config: config, Secrets: secrets, Now: now,
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	problems := p.problems
	if p.next < len(f.Exchanges) {
		problems = append(problems, fmt.Sprintf("%d requests were made, recorded were %d", p.next, len(f.Exchanges)))
	}
	problems = append(problems, compare(f.Result, result, output)...)
	if result.Status == connector.OK || result.Status == connector.Already {
		if where := new(connector.Validator).Output(withoutVerdict(a), output); where != "" {
			problems = append(problems, "the output breaks the manifest's schema: "+where)
		}
	}
	list := make([]Problem, len(problems))
	for i, what := range problems {
		list[i] = Problem{a.ID, f.Case, what}
	}
	return list
}

// withoutVerdict is the action before the platform adds its verdict.
func withoutVerdict(a *connector.Action) *connector.Action {
	if a.Verdict == nil {
		return a
	}
	plain := *a
	plain.Digest = ""
	plain.Outputs = connector.Schema{}
	for k, v := range a.Outputs {
		plain.Outputs[k] = v
	}
	properties := map[string]any{}
	for k, v := range a.Outputs.Properties() {
		if k != "verdict" {
			properties[k] = v
		}
	}
	plain.Outputs["properties"] = properties
	return &plain
}

func compare(want, got connector.Result, output any) []string {
	var problems []string
	note := func(what string, want, got any) {
		problems = append(problems, fmt.Sprintf("%s is %v, recorded was %v", what, got, want))
	}
	if got.Status != want.Status || got.Class != want.Class {
		note("the result", fmt.Sprintf("%s %s", want.Status, want.Class), fmt.Sprintf("%s %s (%s)", got.Status, got.Class, got.Message))
	}
	if got.External != want.External {
		note("the external id", want.External, got.External)
	}
	if got.RetryAfter != want.RetryAfter {
		note("the wait that is asked for", want.RetryAfter, got.RetryAfter)
	}
	text, err := json.Marshal(output)
	if err != nil {
		return append(problems, "the output is no JSON: "+err.Error())
	}
	wanted := want.Output
	if len(wanted) == 0 {
		wanted = []byte("null")
	}
	var a, b any
	if json.Unmarshal(wanted, &a) != nil || json.Unmarshal(text, &b) != nil || !reflect.DeepEqual(a, b) {
		note("the output", string(wanted), string(text))
	}
	return problems
}

// sampleConfig fills in a connection: addresses lead to the player, everything
// else gets its default or a value of its type.
func sampleConfig(m *connector.Manifest, address string) (config map[string]any, secrets map[string]string) {
	config, secrets = m.Config.WithDefaults(map[string]any{}), map[string]string{}
	for name := range m.Config.Properties() {
		p := m.Config.Property(name)
		if secret, _ := p["secret"].(bool); secret {
			secrets[name] = "fixture-" + name
			continue
		}
		if p["format"] == "url" {
			config[name] = address
		}
		if _, there := config[name]; there || !m.Config.Requires(name) {
			continue
		}
		switch list, _ := p["enum"].([]any); {
		case len(list) > 0:
			config[name] = list[0]
		case p["type"] == "integer" || p["type"] == "number":
			config[name] = 1
		case p["type"] == "boolean":
			config[name] = true
		default:
			config[name] = "fixture"
		}
	}
	return config, secrets
}
