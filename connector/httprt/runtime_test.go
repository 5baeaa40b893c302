package httprt

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/connector"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// manifest puts an action's http section (and what else it needs) into a whole
// manifest.
const manifest = `connector: test
version: 1.0.0
contract: 1
title: Test
runtime: http
config:
  type: object
  required: [base_url]
  properties:
    base_url: { type: string }
    site: { type: string, default: main }
    user: { type: string }
    token: { type: string, secret: true }
    password: { type: string, secret: true }
%s
http:
  base: ${{ config.base_url }}
%s
actions:
  - id: look
    impact: read
    inputs:
      type: object
      properties: { id: { type: string }, ids: { type: array, items: { type: string } }, n: { type: integer }, any: {} }
%s
  - id: act
    impact: change
    idempotency: none
    targets: [{ input: id, kind: rule }]
    inputs:
      type: object
      properties: { id: { type: string }, comment: { type: string } }
%s
`

// world is a server, a runtime and a connection to it.
type world struct {
	t      *testing.T
	rt     *Runtime
	server *httptest.Server
	m      *connector.Manifest
	conn   *connector.Connection
	config map[string]any
}

type parts struct{ top, http, look, act string }

func indent(s string, by int) string {
	return strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n"+strings.Repeat(" ", by))
}

func newWorld(t *testing.T, p parts, handler http.HandlerFunc) *world {
	t.Helper()
	if p.look == "" {
		p.look = "http: { path: /look }"
	}
	if p.act == "" {
		p.act = "http: { method: POST, path: \"/act/${{ inputs.id }}\", body: { json: { comment: \"${{ inputs.comment }}\" } } }"
	}
	if p.http != "" {
		p.http = "  " + indent(p.http, 2)
	}
	text := fmt.Sprintf(manifest, p.top, p.http, "    "+indent(p.look, 4), "    "+indent(p.act, 4))
	m, err := connector.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	w := &world{t: t, rt: &Runtime{}, m: m}
	if handler != nil {
		w.server = httptest.NewServer(handler)
		t.Cleanup(w.server.Close)
	}
	t.Cleanup(w.rt.Close)
	w.conn = &connector.Connection{Name: "c", Connector: "test", AllowLoopback: true, Revision: 1}
	w.config = map[string]any{"site": "main", "user": "ann"}
	if w.server != nil {
		w.config["base_url"] = w.server.URL
	}
	return w
}

func (w *world) run(action string, inputs map[string]any) (connector.Result, any) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	return w.runCtx(ctx, action, inputs)
}

func (w *world) runCtx(ctx context.Context, action string, inputs map[string]any) (connector.Result, any) {
	w.t.Helper()
	a := w.m.Action(action)
	return w.rt.Run(ctx, &connector.Invocation{
		Call:   connector.Call{Connection: "c", Action: a, Inputs: a.Inputs.WithDefaults(inputs), Key: "k1"},
		Impact: a.Impact, Connection: w.conn, Config: w.config, Now: noon,
		Secrets: map[string]string{"token": "t0k3n-value", "password": "pa/ss word"},
	})
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"method":%q,"uri":%q,"auth":%q,"type":%q,"key":%q,"agent":%q,"body":%q}`,
		r.Method, r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), r.Header.Get("X-Key"), r.UserAgent(), body)
}

func TestRequestsAreMadeFromData(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		parts  parts
		inputs map[string]any
		want   map[string]any // the fields of echo that matter
	}{
		{"a value in the path is one segment", parts{look: "http: { path: \"/a/${{ inputs.id }}/b\" }"},
			map[string]any{"id": "x/../y?z=1#f ü"}, map[string]any{"uri": "/a/x%2F..%2Fy%3Fz%3D1%23f%20%C3%BC/b"}},
		{"raw path keeps slashes", parts{look: "http: { path: \"/a/${{ inputs.id }}\", raw_path: true }"},
			map[string]any{"id": "x/y z"}, map[string]any{"uri": "/a/x/y%20z"}},
		{"query values are escaped, lists repeat, nil is left out", parts{look: "http:\n  path: /a\n  query: { q: \"${{ inputs.id }}\", id: \"${{ inputs.ids }}\", n: \"${{ inputs.n }}\", flag: true }"},
			map[string]any{"id": "a&b=c d", "ids": []any{"1", "2"}}, map[string]any{"uri": "/a?flag=true&id=1&id=2&q=a%26b%3Dc+d"}},
		{"what all actions share", parts{http: "headers: { X-Key: \"${{ config.site }}\" }\nquery: { v: 2 }"},
			nil, map[string]any{"uri": "/look?v=2", "key": "main"}},
		{"an action's own header wins", parts{http: "headers: { x-key: common }", look: "http: { path: /a, headers: { X-Key: own } }"},
			nil, map[string]any{"key": "own"}},
		{"an empty header is left out", parts{look: "http: { path: /a, headers: { X-Key: \"${{ inputs.id }}\" } }"},
			nil, map[string]any{"key": ""}},
		{"JSON without what is nil", parts{look: "http: { method: POST, path: /a, body: { json: { id: \"${{ inputs.id }}\", n: \"${{ inputs.n }}\", in: { deep: \"${{ inputs.any }}\" } } } }"},
			map[string]any{"n": 3}, map[string]any{"body": `{"in":{},"n":3}`, "type": "application/json"}},
		{"JSON with null", parts{look: "http: { method: POST, path: /a, body: { keep_null: true, json: { id: \"${{ inputs.id }}\" } } }"},
			nil, map[string]any{"body": `{"id":null}`}},
		{"a form", parts{look: "http: { method: POST, path: /a, body: { form: { a: \"${{ inputs.id }}\", l: \"${{ inputs.ids }}\", x: \"${{ inputs.n }}\" } } }"},
			map[string]any{"id": "ä b", "ids": []any{"1", "2"}}, map[string]any{"body": "a=%C3%A4+b&l=1&l=2", "type": "application/x-www-form-urlencoded"}},
		{"a raw text", parts{look: "http: { method: PUT, path: /a, body: { raw: { type: text/xml, text: \"<a>${{ inputs.id }}</a>\" } } }"},
			map[string]any{"id": "b"}, map[string]any{"body": "<a>b</a>", "type": "text/xml", "method": "PUT"}},
		{"DELETE with a body", parts{look: "http: { method: DELETE, path: /a, body: { json: [1] } }"},
			nil, map[string]any{"body": "[1]", "method": "DELETE"}},
		{"the key of the step", parts{look: "http: { path: /a, headers: { X-Key: \"${{ call.key }}\" } }"},
			nil, map[string]any{"key": "k1"}},
		{"basic", parts{top: "auth: { kind: basic, username: user, password: password }"},
			nil, map[string]any{"auth": "Basic YW5uOnBhL3NzIHdvcmQ="}},
		{"bearer", parts{top: "auth: { kind: bearer, token: token }"},
			nil, map[string]any{"auth": "Bearer t0k3n-value"}},
		{"a key with a prefix", parts{top: "auth: { kind: api_key, in: header, prefix: \"SSWS \", key: token }"},
			nil, map[string]any{"auth": "SSWS t0k3n-value"}},
		{"a key in a header of its own", parts{top: "auth: { kind: api_key, in: header, name: x-key, key: token }"},
			nil, map[string]any{"key": "t0k3n-value"}},
		{"a key in the query", parts{top: "auth: { kind: api_key, in: query, name: k, key: password }"},
			nil, map[string]any{"uri": "/look?k=pa%2Fss+word"}},
		{"a key in the path", parts{top: "auth: { kind: api_key, in: path, prefix: /bot, key: token }"},
			nil, map[string]any{"uri": "/bott0k3n-value/look"}},
		{"a secret in a template", parts{look: "http: { path: /a, headers: { X-Key: \"Token token=${{ secrets.token }}\" } }"},
			nil, map[string]any{"key": "Token token=t0k3n-value"}},
		{"who is calling", parts{}, nil, map[string]any{"agent": "riposte", "method": "GET"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.parts, echo)
			res, out := w.run("look", tt.inputs)
			if res.Status != connector.OK {
				t.Fatalf("%+v", res)
			}
			got := map[string]any{}
			for k := range tt.want {
				got[k] = out.(map[string]any)[k]
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestValuesThatWouldChangeThePathAreRefused(t *testing.T) {
	t.Parallel()
	for _, id := range []any{"", "..", ".", nil} {
		w := newWorld(t, parts{look: "http: { path: \"/hosts/${{ inputs.id }}\" }"}, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
		res, _ := w.run("look", map[string]any{"id": id})
		if res.Class != connector.Invalid || !strings.Contains(res.Message, "the path would mean something else") {
			t.Errorf("%v: %+v", id, res)
		}
	}
	w := newWorld(t, parts{look: "http: { path: /a, headers: { X-Key: \"${{ inputs.id }}\" } }"}, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	if res, _ := w.run("look", map[string]any{"id": "a\r\nHost: evil"}); res.Class != connector.Invalid {
		t.Errorf("%+v", res)
	}
}

// A connection that is removed and added again has the revision of the old one,
// and two tenants may use the same name.
func TestNothingOfAnotherConnectionIsUsed(t *testing.T) {
	t.Parallel()
	for _, change := range []string{"added again", "of another tenant"} {
		t.Run(change, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, parts{}, echo)
			other := newWorld(t, parts{}, func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, `{"other":true}`) })
			call := func(tenant, base string) any {
				a := w.m.Action("look")
				conn := &connector.Connection{Name: "c", Connector: "test", AllowLoopback: true, Revision: 1, Config: map[string]any{"base_url": base}}
				_, out := w.rt.Run(t.Context(), &connector.Invocation{
					Call:   connector.Call{Connection: "c", Action: a, Origin: connector.Origin{Tenant: tenant}},
					Impact: a.Impact, Connection: conn, Config: conn.Config, Now: noon,
				})
				return out
			}
			tenant := "a"
			call(tenant, w.server.URL)
			if change == "of another tenant" {
				tenant = "b"
			}
			if diff := cmp.Diff(map[string]any{"other": true}, call(tenant, other.server.URL)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
