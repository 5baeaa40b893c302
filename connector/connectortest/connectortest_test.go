package connectortest_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"riposte/connector"
	"riposte/connector/connectortest"
	"riposte/connector/httprt"
)

// TestShippedConnectorsPassTheirFixtures is the gate for what ships: to add a
// connector, record testdata/ACTION.json for each of its actions.
func TestShippedConnectorsPassTheirFixtures(t *testing.T) {
	t.Parallel()
	reg, err := connector.NewRegistry(connector.Folder{FS: os.DirFS("../../content/connectors"), Name: "content/connectors"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range reg.Connectors() {
		m := reg.Manifest(name)
		if m.Runtime != "http" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rt := &httprt.Runtime{}
			t.Cleanup(rt.Close)
			for _, p := range connectortest.Replay(t.Context(), rt, m) {
				t.Error(p)
			}
		})
	}
}

const small = `connector: small
version: 1.0.0
contract: 1
title: Small
runtime: http
config: { type: object, required: [base_url], properties: { base_url: { type: string, format: url } } }
http: { base: "${{ config.base_url }}" }
actions:
  - id: get
    impact: read
    inputs: { type: object, properties: { id: { type: string } } }
    outputs: { type: object, required: [a], properties: { a: { type: integer } } }
    http: { path: "/x/${{ inputs.id }}", query: { q: 1 } }
`

func TestWhatIsDifferentIsTold(t *testing.T) {
	t.Parallel()
	const good = `{"case":"success","inputs":{"id":"7"},"exchanges":[{"request":{"method":"GET","path":"/x/7","query":"q=1"},"response":{"status":200,"body":"{\"a\":1}"}}],"result":{"status":"ok","output":{"a":1}}}`
	tests := []struct{ name, fixture, says string }{
		{"another path", strings.Replace(good, "/x/7", "/x/8", 1), `its path is "/x/7", recorded was "/x/8"`},
		{"another query", strings.Replace(good, "q=1", "q=2", 1), `its query is "q=1"`},
		{"another output", strings.Replace(good, `"output":{"a":1}`, `"output":{"a":2}`, 1), `the output is {"a":1}, recorded was {"a":2}`},
		{"another status", strings.Replace(good, `"status":"ok"`, `"status":"already"`, 1), "the result is ok"},
		{"a schema that is broken", strings.NewReplacer(`{\"a\":1}`, `{}`, `"output":{"a":1}`, `"output":{}`).Replace(good), `the output breaks the manifest's schema: output lacks "a"`},
		{"too few requests", strings.Replace(good, `],"result"`, `,{"request":{"method":"GET","path":"/y"},"response":{"status":200}}],"result"`, 1), "1 requests were made, recorded were 2"},
		{"no requests", `{"case":"success","inputs":{"id":"7"},"exchanges":[],"result":{"status":"ok"}}`, "one request more than was recorded"},
		{"an unknown key", `{"kase":"success"}`, "unknown field"},
		{"a case that lacks", good, "there is no such fixture"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, err := connector.Load(fstest.MapFS{
				"small/connector.yaml":    {Data: []byte(small)},
				"small/testdata/get.json": {Data: []byte("[" + tt.fixture + "]")},
			}, "small")
			if err != nil {
				t.Fatal(err)
			}
			rt := &httprt.Runtime{}
			t.Cleanup(rt.Close)
			found := false
			problems := connectortest.Replay(t.Context(), rt, m)
			for _, p := range problems {
				found = found || strings.Contains(p.String(), tt.says)
			}
			if !found {
				t.Errorf("%v, want %q", problems, tt.says)
			}
		})
	}
}
