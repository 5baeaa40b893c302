package caller_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"riposte/connector"
	"riposte/connector/caller"
)

// extra is what newWorld's connector gets beside its two actions.
func newWorldWith(t *testing.T, top, actions string) *world {
	t.Helper()
	w := newWorld(t, "edr")
	text := strings.Replace(edr, "NAME", "edr", 1)
	text = strings.Replace(text, "max_in_flight: 3\n", "max_in_flight: 3\n"+top, 1) + actions
	m, err := connector.Parse("connector.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	w.Manifests = oneManifest{m}
	w.extra = m
	return w
}

type oneManifest struct{ m *connector.Manifest }

func (o oneManifest) Manifest(name string) *connector.Manifest {
	if name == o.m.Connector {
		return o.m
	}
	return nil
}
func (oneManifest) Serving(string) []*connector.Action { return nil }

func TestHealth(t *testing.T) {
	t.Parallel()
	const top = "health: { action: me, timeout: 2s, scopes: [hosts.read], granted: output.scopes }\n"
	const actions = `  - id: me
    impact: read
    outputs: { type: object, properties: { scopes: { type: array, items: { type: string } } } }
    http: { path: /hosts/me }
  - id: wipe
    impact: destroy
    idempotency: none
    targets: [{ input: host, kind: host }]
    inputs: { type: object, properties: { host: { type: string } } }
    scopes: [hosts.wipe]
    http: { method: DELETE, path: "/hosts/${{ inputs.host }}" }
`
	tests := []struct {
		name   string
		answer func(w http.ResponseWriter)
		want   caller.Health
	}{
		{"all is well", func(w http.ResponseWriter) { fmt.Fprint(w, `{"scopes":["hosts.read","hosts.wipe"]}`) },
			caller.Health{State: caller.Up, Message: "EDR answers, and the credential may do all that is needed", Scopes: map[string]bool{"hosts.read": true, "hosts.wipe": true}}},
		{"it can read and not write", func(w http.ResponseWriter) { fmt.Fprint(w, `{"scopes":["hosts.read"]}`) },
			caller.Health{State: caller.Degraded, Class: connector.Permission, Message: "the credential lacks hosts.wipe; these actions will fail: wipe", Scopes: map[string]bool{"hosts.read": true, "hosts.wipe": false}, Cannot: []string{"wipe"}}},
		{"a bad credential", func(w http.ResponseWriter) { w.WriteHeader(http.StatusUnauthorized) },
			caller.Health{State: caller.Down, Class: connector.Auth}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorldWith(t, top, actions)
			w.product.answer = func(rw http.ResponseWriter, _ *http.Request) bool { tt.answer(rw); return true }
			got := w.Health(t.Context(), "", "edr-main")
			if tt.want.Message == "" {
				got.Message = ""
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(caller.Health{}, "Took", "At")); diff != "" {
				t.Error(diff)
			}
		})
	}
	w := newWorld(t, "edr")
	if h := w.Health(t.Context(), "", "edr-main"); h.State != caller.Untested {
		t.Errorf("%+v", h)
	}
	if h := w.Health(t.Context(), "", "none"); h.State != caller.Down || !strings.Contains(h.Message, "none") {
		t.Errorf("%+v", h)
	}
	w.shelf["edr-main"] = &connector.Connection{Name: "edr-main", Connector: "edr", Revision: 2}
	if h := w.Health(t.Context(), "", "edr-main"); h.State != caller.Down || !strings.Contains(h.Message, "base_url is not set") {
		t.Errorf("%+v", h)
	}
}

func TestVerdictsAreComparable(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, "", `  - id: report
    impact: read
    outputs: { type: object, required: [hits], properties: { hits: { type: [integer, "null"] } } }
    verdict: { score: "output.hits == nil ? nil : min(output.hits * 10, 100)", reliability: B }
    http: { path: /hosts/report }
`)
	for body, want := range map[string]string{
		`{"hits":9}`:    `{"hits":9,"verdict":{"label":"malicious","reliability":"B","score":90}}`,
		`{"hits":3}`:    `{"hits":3,"verdict":{"label":"suspicious","reliability":"B","score":30}}`,
		`{"hits":0}`:    `{"hits":0,"verdict":{"label":"harmless","reliability":"B","score":0}}`,
		`{"hits":null}`: `{"hits":null,"verdict":{"label":"unknown","reliability":"B","score":null}}`,
	} {
		w.product.answer = func(rw http.ResponseWriter, _ *http.Request) bool { fmt.Fprint(rw, body); return true }
		res := w.Call(t.Context(), connector.Call{Action: w.extra.Action("report")})
		if string(res.Output) != want || res.Status != connector.OK {
			t.Errorf("%s gives %s (%+v)", body, res.Output, res)
		}
	}
}

func TestAProductThatKnowsNothingHasTheVerdictUnknown(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, "", `  - id: report
    impact: read
    outputs: { type: object, properties: { word: { type: [string, "null"] } } }
    verdict: { score: "nil", label: output.word, reliability: B }
    http: { path: /hosts/report }
`)
	w.product.answer = func(rw http.ResponseWriter, _ *http.Request) bool { fmt.Fprint(rw, `{"word":null}`); return true }
	res := w.Call(t.Context(), connector.Call{Action: w.extra.Action("report")})
	if want := `{"verdict":{"label":"unknown","reliability":"B","score":null},"word":null}`; string(res.Output) != want || res.Status != connector.OK {
		t.Errorf("it gives %s (%+v)", res.Output, res)
	}
}

func TestABatchOfWhichSomeFailIsPartial(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, "", `  - id: tag
    impact: change
    idempotency: natural
    targets: [{ input: hosts, kind: host }]
    batch: { input: hosts, max_items: 3, results: output.results }
    inputs: { type: object, required: [hosts], properties: { hosts: { type: array, items: { type: string } } } }
    http: { method: POST, path: /hosts/tag, body: { json: { hosts: "${{ inputs.hosts }}" } } }
`)
	call := func(body string, hosts ...any) connector.Result {
		w.product.answer = func(rw http.ResponseWriter, _ *http.Request) bool { fmt.Fprint(rw, body); return true }
		return w.Call(t.Context(), connector.Call{Action: w.extra.Action("tag"), Inputs: map[string]any{"hosts": hosts}})
	}
	if res := call(`{"results":[{"item":"a","ok":true},{"item":"b","ok":true}]}`, "a", "b"); res.Status != connector.OK {
		t.Errorf("%+v", res)
	}
	if res := call(`{"results":[{"item":"a","ok":true},{"item":"b","ok":false,"message":"gone"}]}`, "a", "b"); res.Status != connector.Partial || res.Class != connector.PartialError || !strings.Contains(res.Message, "1 of 2 items failed, first b: gone") {
		t.Errorf("%+v", res)
	}
	if res := call(`{"results":[{"item":"a","ok":false,"message":"gone"}]}`, "a"); res.Status != connector.Failed {
		t.Errorf("%+v", res)
	}
	if res := call(`{}`, "a", "b", "c", "d"); res.Class != connector.Invalid || !strings.Contains(res.Message, "one call takes at most 3") {
		t.Errorf("%+v", res)
	}
}

func TestSecretFieldsOfAnAnswerAreHidden(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, "", `  - id: reset
    impact: read
    outputs: { type: object, properties: { password: { type: string, secret: true }, list: { type: array, items: { type: object, properties: { key: { type: string, secret: true } } } }, user: { type: string } } }
    http: { path: /hosts/reset }
`)
	w.product.answer = func(rw http.ResponseWriter, _ *http.Request) bool {
		fmt.Fprint(rw, `{"password":"new-one","list":[{"key":"k1"}],"user":"ann"}`)
		return true
	}
	res := w.Call(t.Context(), connector.Call{Action: w.extra.Action("reset")})
	if want := `{"list":[{"key":"[secret]"}],"password":"[secret]","user":"ann"}`; string(res.Output) != want {
		t.Errorf("%s", res.Output)
	}
}

func TestWhatIsWorthARetry(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, "", `  - id: once
    impact: change
    idempotency: none
    targets: [{ input: host, kind: host }]
    inputs: { type: object, properties: { host: { type: string } } }
    http: { method: POST, path: /hosts/once }
  - id: often
    impact: change
    idempotency: natural
    targets: [{ input: host, kind: host }]
    inputs: { type: object, properties: { host: { type: string } } }
    http: { method: POST, path: /hosts/often }
`)
	tests := []struct {
		action string
		status int
		want   bool
	}{
		{"state", 503, true}, {"state", 429, true}, {"state", 404, false}, {"state", 401, false},
		{"often", 503, true}, {"often", 400, false}, {"once", 503, false}, {"once", 429, false},
	}
	for _, tt := range tests {
		w.product.answer = func(rw http.ResponseWriter, _ *http.Request) bool { rw.WriteHeader(tt.status); return true }
		res := w.Call(t.Context(), connector.Call{Action: w.extra.Action(tt.action), Inputs: map[string]any{"host": "a"}})
		if res.Temporary != tt.want {
			t.Errorf("%s after %d: temporary %v", tt.action, tt.status, res.Temporary)
		}
	}
}

func TestADeadlineIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "edr")
	w.product.answer = func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }
	begin := time.Now()
	res := w.Call(t.Context(), connector.Call{Action: w.action(t, "edr.state"), Inputs: map[string]any{"host": "a"}, Deadline: begin.Add(300 * time.Millisecond)})
	if res.Class != connector.Timeout || !res.Temporary || time.Since(begin) > 3*time.Second {
		t.Errorf("%+v after %s", res, time.Since(begin))
	}
}

func TestAChangedConnectionIsUsedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "edr")
	w.product.state["a"] = "up"
	if res := w.call(t, "edr.state", map[string]any{"host": "a"}); res.Status != connector.OK {
		t.Fatalf("%+v", res)
	}
	changed := *w.shelf["edr-main"]
	changed.Secrets, changed.Revision = map[string][]byte{"token": []byte("an0ther-token")}, 2
	w.shelf["edr-main"] = &changed
	var seen string
	w.product.answer = func(_ http.ResponseWriter, r *http.Request) bool { seen = r.Header.Get("Authorization"); return false }
	res := w.call(t, "edr.state", map[string]any{"host": "a"})
	if seen != "Bearer an0ther-token" || strings.Contains(string(res.Output), "an0ther") {
		t.Errorf("sent %q, got %s", seen, res.Output)
	}
}
