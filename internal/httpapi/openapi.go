package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

// DocumentPath is where the OpenAPI document is served.
const DocumentPath = "/api/openapi.json"

// config sets huma up without what it brings for show: no documentation page
// from a foreign host, no $schema fields, no other formats than JSON.
func config(version string) huma.Config {
	c := huma.DefaultConfig("Riposte", orVersion(version))
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	c.CreateHooks = nil
	c.Transformers = []huma.Transformer{wording{c.Components.Schemas}.problems}
	c.RejectUnknownQueryParameters = true
	c.Formats = map[string]huma.Format{"application/json": jsonFormat(), "json": jsonFormat()}
	c.Info.Description = "Alerts, cases, runs, approvals, playbooks and the ledger of what is in force. " +
		"Errors are application/problem+json; lists are paged by cursor; times are UTC."
	c.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"session": {Type: "apiKey", In: "cookie", Name: cookieName, Description: "Set by POST /api/session."},
		"token":   {Type: "http", Scheme: "bearer", Description: "An API token."},
	}
	c.Tags = []*huma.Tag{
		{Name: "alerts", Description: "What sources report."},
		{Name: "cases", Description: "What people work on."},
		{Name: "runs", Description: "Executions of playbooks."},
		{Name: "approvals", Description: "What people are asked."},
		{Name: "playbooks", Description: "Texts, drafts and published versions."},
		{Name: "ledger", Description: "What is in force and how it is taken back."},
		{Name: "lists", Description: "Tables of the installation."},
		{Name: "connections", Description: "Configured instances of connectors."},
		{Name: "switches", Description: "What is switched off."},
		{Name: "overrides", Description: "Protections that a person has set aside, once."},
		{Name: "audit", Description: "Who did what, in a chain that shows when it was touched."},
		{Name: "identity", Description: "Who you are."},
	}
	return c
}

func orVersion(v string) string {
	if v == "" {
		return "unknown"
	}
	return v
}

// jsonFormat reads JSON that is one value and nothing else.
func jsonFormat() huma.Format {
	return huma.Format{
		Marshal: huma.DefaultJSONFormat.Marshal,
		Unmarshal: func(data []byte, v any) error {
			dec := json.NewDecoder(bytes.NewReader(data))
			if err := dec.Decode(v); err != nil {
				return decodingError(err)
			}
			if _, err := dec.Token(); err != io.EOF {
				return fmt.Errorf("there is something after the JSON value")
			}
			return nil
		},
	}
}

// document finishes the OpenAPI document and serves it. It is made when it is
// first asked for: most servers never are.
func (a *api) document(mux *http.ServeMux) {
	o := a.huma.OpenAPI()
	o.Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	delete(o.Components.Schemas.Map(), "ErrorModel")
	delete(o.Components.Schemas.Map(), "ErrorDetail")
	a.documentSenders(o)
	text := sync.OnceValues(func() ([]byte, error) { return indented(o) })
	mux.HandleFunc("GET "+DocumentPath, func(w http.ResponseWriter, r *http.Request) {
		b, err := text()
		if err != nil {
			p := problemOf(err)
			a.logged(r.Context(), p)
			writeProblem(w, r, p)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(b) // the client has gone: nobody is left to tell
	})
}

func indented(o *huma.OpenAPI) ([]byte, error) {
	raw, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// documentSenders describes the two routes that are not huma's: they belong to
// products that send, each with a secret of its own.
func (a *api) documentSenders(o *huma.OpenAPI) {
	text := &huma.Schema{Type: "string"}
	answered := func(what string, s *huma.Schema) map[string]*huma.Response {
		return map[string]*huma.Response{
			"202":     {Description: what, Content: map[string]*huma.MediaType{"application/json": {Schema: s}}},
			"default": errorResponses()["default"],
		}
	}
	taken := answered("On disk", &huma.Schema{Type: "object"})
	taken["200"] = &huma.Response{Description: "It was only asked whether somebody answers; nothing is kept", Content: taken["202"].Content}
	o.AddOperation(&huma.Operation{
		Method: http.MethodPost, Path: IngestPath + "{source}", OperationID: "ingest", Tags: []string{"alerts"},
		Summary: "Hand in alerts: one JSON value, an array, or NDJSON",
		Description: "Answered when everything is on disk. What a sender must show the configuration of the source says: a token (Authorization: Bearer, the password of " +
			"basic authentication, or another place), a signature, a client certificate, an address. The same event twice is one alert; the same signed delivery twice is " +
			"refused (409). 503: what came waits to be stored; nothing of this was taken, send it again after Retry-After.",
		Parameters:  []*huma.Param{{Name: "source", In: "path", Required: true, Schema: text, Description: "The configured source."}},
		Security:    []map[string][]string{{"source": {}}},
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{}}, "application/x-ndjson": {Schema: text}}},
		Responses:   taken,
	})
	counted := answered("Kept and compared", o.Components.Schemas.Schema(reflect.TypeFor[SourceCheck](), true, "SourceCheck"))
	moment := &huma.Schema{Type: "string", Format: "date-time"}
	o.AddOperation(&huma.Operation{
		Method: http.MethodPost, Path: IngestPath + "{source}/count", OperationID: "report-count", Tags: []string{"sources"},
		Summary: "Report how many events a sender has sent, to be compared with what came",
		Description: "What came is counted by the minute in which it came; an event that was sent twice came twice. Fewer than were sent raise the alarm source_missing. " +
			"The sender shows what it shows to hand in alerts.",
		Parameters: []*huma.Param{{Name: "source", In: "path", Required: true, Schema: text, Description: "The configured source."}},
		Security:   []map[string][]string{{"source": {}}},
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{
			Type: "object", Required: []string{"from", "until", "sent"}, AdditionalProperties: false,
			Properties: map[string]*huma.Schema{"from": moment, "until": moment, "sent": {Type: "integer", Minimum: new(float64)}},
		}}}},
		Responses: counted,
	})
	started := &huma.Schema{Type: "object", Required: []string{"run"}, Properties: map[string]*huma.Schema{"run": {Type: "string", Examples: []any{"R-88213"}}}}
	begun := answered("A run has started; Location names it", started)
	begun["202"].Headers = map[string]*huma.Param{"Location": {Schema: text}}
	o.AddOperation(&huma.Operation{
		Method: http.MethodPost, Path: HookPath + "{path}", OperationID: "hook", Tags: []string{"runs"},
		Summary: "Start the playbook that has a webhook trigger of this path",
		Description: "The trigger says how a sender is known: a token, a signature (X-Riposte-Signature: sha256=HEX, the HMAC-SHA-256 with the hook's key " +
			"over X-Riposte-Timestamp in seconds, a dot and the body), or a client certificate. The same Idempotency-Key, or the same signature, starts it once.",
		Parameters: []*huma.Param{
			{Name: "path", In: "path", Required: true, Schema: text, Description: "What the trigger names."},
			{Name: keyHeader, In: "header", Schema: text, Description: "The same key starts once."},
			{Name: "X-Riposte-Signature", In: "header", Schema: text},
			{Name: "X-Riposte-Timestamp", In: "header", Schema: text},
		},
		Security:    []map[string][]string{{"hook": {}}, {"certificate": {}}},
		RequestBody: &huma.RequestBody{Required: true, Description: "What the playbook's inputs are filled from.", Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{}}}},
		Responses:   begun,
	})
	o.Components.SecuritySchemes["source"] = &huma.SecurityScheme{Type: "http", Scheme: "bearer", Description: "The token of a source."}
	o.Components.SecuritySchemes["hook"] = &huma.SecurityScheme{Type: "http", Scheme: "bearer", Description: "The token of a webhook; a signed one has none."}
	o.Components.SecuritySchemes["certificate"] = &huma.SecurityScheme{Type: "mutualTLS", Description: "A certificate of tls.client_ca."}
}

// Document gives the OpenAPI document, which depends on nothing but the code.
func Document(version string) ([]byte, error) {
	a := &api{Server: &Server{Version: version}}
	mux := http.NewServeMux()
	a.build(mux)
	return indented(a.huma.OpenAPI())
}
