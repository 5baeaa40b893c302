package httprt

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"riposte/connector"
)

func TestAnyRequest(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/text":
			fmt.Fprint(w, "hello")
		case "/broken":
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			fmt.Fprint(w, `{"a": [1,`)
		case "/missing":
			w.WriteHeader(http.StatusNotFound)
		default:
			echo(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	tests := []struct {
		name   string
		inputs map[string]any
		hosts  []any
		class  connector.Class
		says   string
		want   map[string]any // of the body
	}{
		{"GET", map[string]any{"url": srv.URL + "/a?b=1", "query": map[string]any{"c": "d e"}}, nil, "", "", map[string]any{"uri": "/a?b=1&c=d+e", "method": "GET"}},
		{"POST of JSON", map[string]any{"url": srv.URL, "method": "POST", "body": map[string]any{"a": 1}}, nil, "", "", map[string]any{"body": `{"a":1}`, "type": "application/json"}},
		{"POST of text", map[string]any{"url": srv.URL, "method": "POST", "body": "x=1", "headers": map[string]any{"content-type": "application/x-www-form-urlencoded"}}, nil, "", "", map[string]any{"body": "x=1", "type": "application/x-www-form-urlencoded"}},
		{"a bearer token", map[string]any{"url": srv.URL, "bearer": "abc"}, nil, "", "", map[string]any{"auth": "Bearer abc"}},
		{"an allowed host", map[string]any{"url": srv.URL}, []any{"127.0.0.1"}, "", "", map[string]any{"method": "GET"}},
		{"another host", map[string]any{"url": srv.URL}, []any{"api.example.com"}, connector.Policy, "egress list", nil},
		{"404", map[string]any{"url": srv.URL + "/missing"}, nil, connector.NotFound, "answered 404", nil},
		{"an answer that says it is JSON and is not", map[string]any{"url": srv.URL + "/broken"}, nil, connector.BadAnswer, "the answer is no JSON", nil},
		{"a header of the platform", map[string]any{"url": srv.URL, "headers": map[string]any{"Host": "x"}}, nil, connector.Invalid, "set by the platform", nil},
		{"a line break in a header", map[string]any{"url": srv.URL, "headers": map[string]any{"X": "a\nb"}}, nil, connector.Invalid, "line break", nil},
		{"a user in the address", map[string]any{"url": "http://u:p@127.0.0.1/"}, nil, connector.Invalid, "user name", nil},
	}
	run := func(t *testing.T, inputs map[string]any, hosts []any) (connector.Result, map[string]any) {
		t.Helper()
		rt := &Runtime{}
		t.Cleanup(rt.Close)
		config := map[string]any{}
		if hosts != nil {
			config["hosts"] = hosts
		}
		impact := connector.Read
		if m, _ := inputs["method"].(string); m == "POST" {
			impact = connector.Change
		}
		res, out := rt.Request(context.Background(), &connector.Invocation{
			Call: connector.Call{Inputs: inputs}, Impact: impact, Config: config, Now: noon,
			Connection: &connector.Connection{Name: "http", AllowLoopback: true, Revision: -1},
		})
		m, _ := out.(map[string]any)
		return res, m
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res, out := run(t, tt.inputs, tt.hosts)
			if res.Class != tt.class || !strings.Contains(res.Message, tt.says) {
				t.Fatalf("%+v", res)
			}
			got, _ := out["body"].(map[string]any)
			for k, v := range tt.want {
				if diff := cmp.Diff(v, got[k]); diff != "" {
					t.Errorf("%s: %s", k, diff)
				}
			}
		})
	}
	if _, out := run(t, map[string]any{"url": srv.URL + "/text"}, nil); out["body"] != "hello" || out["status"] != 200 {
		t.Errorf("%v", out)
	}
	if res, out := run(t, map[string]any{"url": srv.URL + "/missing", "expect": []any{404}}, nil); res.Status != connector.OK || out["status"] != 404 {
		t.Errorf("%+v %v", res, out)
	}
}
