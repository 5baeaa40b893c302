package simulated_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/connector"
	"riposte/connector/httprt"
	"riposte/internal/demo/simulated"
)

// update records the fixtures again, from the products themselves.
var update = flag.Bool("update", false, "write the fixtures of the demo's connectors")

const folder = "../../../content/connectors"

// bench is one connector, its product and a connection between them.
type bench struct {
	t       *testing.T
	product *simulated.Product
	m       *connector.Manifest
	rt      *httprt.Runtime
	conn    *connector.Connection
	config  map[string]any
	secrets map[string]string
}

func newBench(t *testing.T, name string) *bench {
	t.Helper()
	m, err := connector.Load(os.DirFS(folder), name)
	if err != nil {
		t.Fatalf("%s:\n%v", name, err)
	}
	products, err := simulated.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, m: m, rt: &httprt.Runtime{}}
	t.Cleanup(func() {
		b.rt.Close()
		if err := products.Stop(); err != nil {
			t.Error(err)
		}
	})
	i := slices.IndexFunc(products.All(), func(p *simulated.Product) bool { return p.Name+"-sim" == name })
	b.product = products.All()[i]
	b.conn = &connector.Connection{Name: "demo", Connector: name, AllowLoopback: true, Revision: 1}
	b.config = map[string]any{"base_url": b.product.URL}
	if b.product.User != "" {
		b.config["username"] = b.product.User
	}
	b.secrets = map[string]string{}
	for _, field := range m.SecretFields() {
		b.secrets[field] = b.product.Secret
	}
	return b
}

// call runs one action at base, with what the engine would add.
func (b *bench) call(base, action, key string, inputs map[string]any) connector.Result {
	b.t.Helper()
	a := b.m.Action(action)
	if a == nil {
		b.t.Fatalf("%s has no action %q", b.m.Connector, action)
	}
	config := map[string]any{}
	for k, v := range b.config {
		config[k] = v
	}
	config["base_url"] = base
	conn := *b.conn
	b.conn = &conn
	b.conn.Revision++ // what was prepared for another address is made anew
	result, output := b.rt.Run(b.t.Context(), &connector.Invocation{
		Call:   connector.Call{Connection: "demo", Action: a, Inputs: a.Inputs.WithDefaults(inputs), Key: key},
		Impact: a.Impact, Connection: b.conn, Config: config, Secrets: b.secrets, Now: time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC),
	})
	if output != nil {
		text, err := json.Marshal(output)
		if err != nil {
			b.t.Fatal(err)
		}
		result.Output = text
	}
	return result
}

// rehearsal is one action as it is tried: before holds actions that come first.
type rehearsal struct {
	action string
	inputs map[string]any
	before []rehearsal
	// once marks an action that is no write or is never so already.
	once bool
}

var rehearsals = map[string][]rehearsal{
	"edr-sim": {
		{action: "token", once: true},
		{action: "get_host", inputs: with("host", "ws-17"), once: true},
		{action: "list_isolated", before: []rehearsal{{action: "isolate", inputs: with("host", "ws-17")}}, once: true},
		{action: "isolate", inputs: with("host", "ws-17", "comment", "C-1")},
		{action: "release", inputs: with("host", "ws-17"), before: []rehearsal{{action: "isolate", inputs: with("host", "ws-17")}}},
		{action: "find_file", inputs: with("sha256", malware), once: true},
		{action: "list_detections", inputs: with("since", "2026-01-05T08:00:00Z"), once: true},
		{action: "count_detections", inputs: with("since", "2026-01-05T08:51:00Z"), once: true},
		{action: "collect_memory", inputs: with("host", "ws-17"), once: true},
		{action: "job", inputs: with("id", "j-1"), before: []rehearsal{{action: "collect_memory", inputs: with("host", "ws-17")}}, once: true},
		{action: "cancel_job", inputs: with("id", "j-1"), before: []rehearsal{{action: "collect_memory", inputs: with("host", "ws-17")}}},
		{action: "block_hash", inputs: with("hash", malware)},
		{action: "unblock_hash", inputs: with("hash", malware), before: []rehearsal{{action: "block_hash", inputs: with("hash", malware)}}},
	},
	"firewall-sim": {
		{action: "system", once: true},
		{action: "find_block", inputs: with("value", "198.51.100.23"), once: true},
		{action: "list_blocks", before: []rehearsal{{action: "block_ip", inputs: with("ip", "198.51.100.23")}}, once: true},
		{action: "block_ip", inputs: with("ip", "198.51.100.23", "comment", "C-1")},
		{action: "unblock_ip", inputs: with("ip", "198.51.100.23", "id", "b-1001"), before: []rehearsal{{action: "block_ip", inputs: with("ip", "198.51.100.23")}}},
		{action: "block_domain", inputs: with("domain", "invoice-update.example")},
		{action: "unblock_domain", inputs: with("domain", "invoice-update.example"), before: []rehearsal{{action: "block_domain", inputs: with("domain", "invoice-update.example")}}},
	},
	"directory-sim": {
		{action: "self", once: true},
		{action: "get_user", inputs: with("user", "alice"), once: true},
		{action: "list_disabled", before: []rehearsal{{action: "disable_user", inputs: with("user", "alice")}}, once: true},
		{action: "disable_user", inputs: with("user", "alice", "comment", "C-1")},
		{action: "enable_user", inputs: with("user", "alice"), before: []rehearsal{{action: "disable_user", inputs: with("user", "alice")}}},
		{action: "revoke_sessions", inputs: with("user", "carol")},
		{action: "add_to_group", inputs: with("user", "bob", "group", "suspended")},
		{action: "remove_from_group", inputs: with("user", "alice", "group", "vpn")},
	},
	"reputation-sim": {
		{action: "quota", once: true},
		{action: "lookup", inputs: with("type", "ip", "value", "203.0.113.66"), once: true},
		{action: "ip", inputs: with("ip", "198.51.100.23"), once: true},
		{action: "domain", inputs: with("domain", "invoice-update.example"), once: true},
		{action: "hash", inputs: with("hash", malware), once: true},
		{action: "url", inputs: with("url", "http://login.invoice-update.example/verify?id=1"), once: true},
	},
}

const malware = "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"

func with(pairs ...string) map[string]any {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

// fixture is one call of an action, as it was recorded. A connector's folder
// has them in testdata/ACTION.json.
type fixture struct {
	Case      string           `json:"case"` // success, already, rate_limit, bad_credential, malformed
	Inputs    map[string]any   `json:"inputs"`
	Exchanges []exchange       `json:"exchanges"`
	Result    connector.Result `json:"result"`
}

// exchange is one request and its answer; the credential is not in it.
type exchange struct {
	Request struct {
		Method string `json:"method"`
		Path   string `json:"path"`
		Query  string `json:"query,omitempty"`
		Body   string `json:"body,omitempty"`
	} `json:"request"`
	Response struct {
		Status  int               `json:"status"`
		Headers map[string]string `json:"headers,omitempty"`
		Body    string            `json:"body,omitempty"`
	} `json:"response"`
}

// cases spoil the call, or the state before it.
var cases = []struct {
	name  string
	fault *simulated.Fault
	twice bool
}{
	{name: "success"},
	{name: "already", twice: true},
	{name: "rate_limit", fault: &simulated.Fault{Kind: simulated.Slowdown, DelayMS: 2000}},
	{name: "bad_credential", fault: &simulated.Fault{Kind: simulated.Expired}},
	{name: "malformed", fault: &simulated.Fault{Kind: simulated.Garbage}},
}

func TestFixturesTellWhatTheProductsAnswer(t *testing.T) {
	t.Parallel()
	for name, list := range rehearsals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, name)
			tried := []string{}
			for _, r := range list {
				tried = append(tried, r.action)
				if *update {
					b.record(r)
				}
				t.Run(r.action, func(t *testing.T) { b.replay(t, r) })
			}
			slices.Sort(tried)
			if diff := cmp.Diff(slices.Sorted(slices.Values(b.m.ActionIDs())), tried); diff != "" {
				t.Errorf("every action is tried (-manifest +tried):\n%s", diff)
			}
		})
	}
}

// record makes an action's fixtures from the product itself.
func (b *bench) record(r rehearsal) {
	b.t.Helper()
	var all []fixture
	for _, c := range cases {
		if c.twice && r.once {
			continue
		}
		b.product.Reset()
		for _, first := range r.before {
			b.call(b.product.URL, first.action, "k0", first.inputs)
		}
		if c.twice {
			b.call(b.product.URL, r.action, "k1", r.inputs)
		}
		if c.fault != nil {
			if err := b.product.SetFaults(*c.fault); err != nil {
				b.t.Fatal(err)
			}
		}
		f := fixture{Case: c.name, Inputs: r.inputs}
		tap := httptest.NewServer(b.tap(&f))
		f.Result = b.call(tap.URL, r.action, "k2", r.inputs)
		f.Result.Message = "" // its wording is the runtime's
		tap.Close()
		all = append(all, f)
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		b.t.Fatal(err)
	}
	path := filepath.Join(folder, b.m.Connector, "testdata", r.action+".json")
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// tap passes calls on to the product and writes them down.
func (b *bench) tap(f *fixture) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := seen(r)
		pass, err := http.NewRequestWithContext(r.Context(), r.Method, b.product.URL+r.URL.RequestURI(), strings.NewReader(x.Request.Body))
		if err != nil {
			b.t.Error(err)
			return
		}
		pass.Header = r.Header.Clone()
		resp, err := http.DefaultTransport.RoundTrip(pass)
		if err != nil {
			b.t.Error(err)
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			b.t.Error(err)
		}
		x.Response.Status, x.Response.Body = resp.StatusCode, string(body)
		x.Response.Headers = map[string]string{}
		for _, h := range []string{"Content-Type", "Retry-After", "WWW-Authenticate"} {
			if v := resp.Header.Get(h); v != "" {
				x.Response.Headers[h] = v
			}
		}
		f.Exchanges = append(f.Exchanges, x)
		x.answer(w)
	})
}

// seen is a request without its credential.
func seen(r *http.Request) exchange {
	var x exchange
	body, _ := io.ReadAll(r.Body) // of a test
	query := r.URL.Query()
	query.Del("key")
	x.Request.Method, x.Request.Path, x.Request.Query, x.Request.Body = r.Method, r.URL.EscapedPath(), query.Encode(), string(body)
	return x
}

func (x exchange) answer(w http.ResponseWriter) {
	for name, value := range x.Response.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(x.Response.Status)
	_, _ = io.WriteString(w, x.Response.Body)
}

// replay answers with what was recorded, and looks at the requests and results.
func (b *bench) replay(t *testing.T, r rehearsal) {
	text, err := os.ReadFile(filepath.Join(folder, b.m.Connector, "testdata", r.action+".json"))
	if err != nil {
		t.Fatalf("%v\nrun go test ./internal/demo/simulated -update", err)
	}
	var all []fixture
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&all); err != nil {
		t.Fatal(err)
	}
	have := []string{}
	for _, f := range all {
		have = append(have, f.Case)
		n := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n >= len(f.Exchanges) {
				t.Errorf("%s: one request more than recorded: %s %s", f.Case, r.Method, r.URL)
				return
			}
			x := f.Exchanges[n]
			n++
			if diff := cmp.Diff(x.Request, seen(r).Request); diff != "" {
				t.Errorf("%s: request (-recorded +sent):\n%s", f.Case, diff)
			}
			x.answer(w)
		}))
		got := b.call(server.URL, r.action, "k2", f.Inputs)
		server.Close()
		got.Message = ""
		if diff := cmp.Diff(plain(t, f.Result), plain(t, got)); diff != "" {
			t.Errorf("%s: result (-recorded +got):\n%s", f.Case, diff)
		}
	}
	for _, c := range cases {
		if !slices.Contains(have, c.name) && !(c.twice && r.once) {
			t.Errorf("no fixture for the case %s", c.name)
		}
	}
}

// plain is a result as compact JSON, so that indented fixtures compare.
func plain(t *testing.T, r connector.Result) string {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		t.Fatal(err)
	}
	return compact.String()
}

func TestConnectorsActInTheProducts(t *testing.T) {
	t.Parallel()
	type step struct {
		action string
		inputs map[string]any
		status connector.Status
		class  connector.Class
		holds  string // in the output
	}
	tests := map[string][]step{
		"edr-sim": {
			{"isolate", with("host", "ws-17"), connector.OK, "", `"t-1"`},
			{"isolate", with("host", "192.0.2.117"), connector.Already, "", ""},
			{"get_host", with("host", "ws-17"), connector.OK, "", `"isolated":true`},
			{"list_isolated", nil, connector.OK, "", `["ws-17"]`},
			{"release", with("host", "ws-17"), connector.OK, "", `"t-2"`},
			{"release", with("host", "ws-17"), connector.Already, "", ""},
			{"isolate", with("host", "ws-99"), connector.Failed, connector.NotFound, ""},
			{"get_host", with("host", "ws-99"), connector.OK, "", `"known":false`},
			{"find_file", with("sha256", malware), connector.OK, "", `["ws-17","ws-23"]`},
			{"block_hash", with("hash", malware), connector.OK, "", malware},
			{"block_hash", with("hash", malware), connector.Already, "", ""},
			{"unblock_hash", with("hash", malware), connector.OK, "", ""},
			{"unblock_hash", with("hash", malware), connector.Already, "", ""},
		},
		"firewall-sim": {
			{"block_ip", with("ip", "198.51.100.23"), connector.OK, "", `"b-1001"`},
			{"block_ip", with("ip", "198.51.100.23"), connector.Already, "", `"b-1001"`},
			{"find_block", with("value", "198.51.100.23"), connector.OK, "", `"blocked":true`},
			{"unblock_ip", with("ip", "198.51.100.23"), connector.OK, "", `"b-1001"`},
			{"unblock_ip", with("ip", "198.51.100.23"), connector.Already, "", ""},
			{"find_block", with("value", "198.51.100.23"), connector.OK, "", `"blocked":false`},
			{"block_ip", with("ip", "2001:db8::1"), connector.OK, "", `"b-1002"`},
			{"block_domain", with("domain", "evil.example"), connector.OK, "", `"b-1003"`},
			{"list_blocks", nil, connector.OK, "", `"evil.example"`},
		},
		"directory-sim": {
			{"disable_user", with("user", "alice@lab.test"), connector.OK, "", `"alice"`},
			{"disable_user", with("user", "alice"), connector.Already, "", ""},
			{"list_disabled", nil, connector.OK, "", `["alice"]`},
			{"revoke_sessions", with("user", "alice"), connector.OK, "", `"revoked":2`},
			{"revoke_sessions", with("user", "alice"), connector.Already, "", `"revoked":0`},
			{"enable_user", with("user", "alice"), connector.OK, "", `"alice"`},
			{"get_user", with("user", "alice"), connector.OK, "", `"enabled":true`},
			{"get_user", with("user", "mallory"), connector.OK, "", `"known":false`},
			{"disable_user", with("user", "mallory"), connector.Failed, connector.NotFound, ""},
			{"add_to_group", with("user", "bob", "group", "suspended"), connector.OK, "", ""},
			{"add_to_group", with("user", "bob", "group", "suspended"), connector.Already, "", ""},
			{"remove_from_group", with("user", "bob", "group", "suspended"), connector.OK, "", ""},
			{"remove_from_group", with("user", "bob", "group", "suspended"), connector.Already, "", ""},
			{"remove_from_group", with("user", "mallory", "group", "suspended"), connector.Failed, connector.NotFound, ""},
		},
		"reputation-sim": {
			{"ip", with("ip", "203.0.113.66"), connector.OK, "", `"score":100`},
			{"ip", with("ip", "192.0.2.10"), connector.OK, "", `"known":false`},
			{"lookup", with("type", "url", "value", "http://login.invoice-update.example/verify?id=88213"), connector.OK, "", `"score":98`},
			{"lookup", with("type", "email", "value", "billing@invoice-update.example"), connector.OK, "", `"score":97`},
			{"lookup", with("type", "hash", "value", malware), connector.OK, "", `"malicious"`},
			{"lookup", with("type", "domain", "value", "../quota"), connector.OK, "", `"known":true`},
			{"ip", with("ip", "nonsense"), connector.Failed, connector.Invalid, ""},
		},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, name)
			for i, s := range steps {
				got := b.call(b.product.URL, s.action, fmt.Sprint("k", i), s.inputs)
				if got.Status != s.status || got.Class != s.class || !strings.Contains(string(got.Output), s.holds) || got.Drift != "" {
					t.Errorf("%s %v: %s %s %s, message %q, drift %q; want %s %s with %q",
						s.action, s.inputs, got.Status, got.Class, got.Output, got.Message, got.Drift, s.status, s.class, s.holds)
				}
			}
		})
	}
}

func TestConnectorsAreNotFooledByAProductThatLies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault  simulated.Fault
		read   connector.Class // what a lookup says
		change connector.Class // what a block says
		status connector.Status
	}{
		{simulated.Fault{Kind: simulated.Broken, Status: 503}, connector.Transient, connector.Transient, connector.Failed},
		{simulated.Fault{Kind: simulated.Garbage}, connector.BadAnswer, connector.BadAnswer, connector.Unknown},
		{simulated.Fault{Kind: simulated.HTML}, connector.BadAnswer, connector.BadAnswer, connector.Unknown},
		{simulated.Fault{Kind: simulated.Huge}, connector.BadAnswer, connector.BadAnswer, connector.Unknown},
		{simulated.Fault{Kind: simulated.Lost}, connector.Transient, connector.UnknownOutcome, connector.Unknown},
	}
	for _, tt := range tests {
		t.Run(string(tt.fault.Kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "firewall-sim")
			if err := b.product.SetFaults(tt.fault); err != nil {
				t.Fatal(err)
			}
			if got := b.call(b.product.URL, "system", "k1", nil); got.Status != connector.Failed || got.Class != tt.read {
				t.Errorf("a read: %s %s %q, want failed %s", got.Status, got.Class, got.Message, tt.read)
			}
			got := b.call(b.product.URL, "block_ip", "k2", with("ip", "198.51.100.23"))
			if got.Status != tt.status || got.Class != tt.change {
				t.Errorf("a change: %s %s %q, want %s %s", got.Status, got.Class, got.Message, tt.status, tt.change)
			}
			if changes := b.product.Status().Changes; (changes == 1) != (tt.fault.Kind == simulated.Lost) {
				t.Errorf("%d changes were made", changes)
			}
		})
	}
}
