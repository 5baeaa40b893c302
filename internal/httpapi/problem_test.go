package httpapi

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWrongRequestsAreToldPrecisely(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		kind                     string
		detail                   string // a part of it
		errs                     []ProblemError
	}{
		{name: "no JSON", method: "POST", path: "/api/runs", body: `{"playbook":`, status: 400, kind: "malformed", detail: "not valid JSON"},
		{name: "something after the JSON", method: "POST", path: "/api/runs", body: `{} {}`, status: 400, kind: "malformed"},
		{name: "no body", method: "POST", path: "/api/runs", status: 400, kind: "malformed", detail: "the body is missing"},
		{name: "another format", method: "POST", path: "/api/runs", body: "playbook: x", headers: []string{"Content-Type", "application/yaml"}, status: 415, kind: "unsupported-media-type"},
		{name: "unknown field", method: "POST", path: "/api/runs", body: `{"playbook":"block-ip","inputz":{}}`, status: 422, kind: "invalid",
			detail: "inputz", errs: []ProblemError{{Detail: "there is no such field; did you mean \"inputs\"?", Pointer: "#/inputz"}}},
		{name: "wrong type", method: "POST", path: "/api/runs", body: `{"playbook":7}`, status: 422, kind: "invalid",
			errs: []ProblemError{{Detail: "expected a text", Pointer: "#/playbook"}}},
		{name: "no slug", method: "POST", path: "/api/runs", body: `{"playbook":"Block IP"}`, status: 422, kind: "invalid",
			errs: []ProblemError{{Detail: "expected a playbook's id", Pointer: "#/playbook"}}},
		{name: "missing field", method: "POST", path: "/api/runs", body: `{}`, status: 422, kind: "invalid", detail: "/playbook: it is missing",
			errs: []ProblemError{{Detail: "it is missing", Pointer: "#/playbook"}}},
		{name: "a number that no variable holds", method: "POST", path: "/api/runs", body: `{"playbook":"block-ip","version":1e30}`, status: 422, kind: "invalid",
			errs: []ProblemError{{Detail: "the number is too large", Pointer: "#/version"}}},
		{name: "unknown field far inside", method: "POST", path: "/api/lists/allow/import", body: `{"entries":[{"value":"x"},{"value":"y","notes":"z"}]}`, status: 422, kind: "invalid",
			errs: []ProblemError{{Detail: "there is no such field; did you mean \"note\"?", Pointer: "#/entries/1/notes"}}},
		{name: "wrong inputs", method: "POST", path: "/api/runs", body: `{"playbook":"block-ip","inputs":{"ip":3}}`, status: 422, kind: "invalid",
			detail: "start block-ip: its inputs are wrong", errs: []ProblemError{{Detail: "it is not an address", Pointer: "#/inputs/ip"}}},
		{name: "no ID in the body", method: "POST", path: "/api/runs", body: `{"playbook":"block-ip","alert":"C-1"}`, status: 422, kind: "invalid",
			errs: []ProblemError{{Detail: "it is not an ID of the form A-123", Pointer: "#/alert"}}},
		{name: "unknown parameter", method: "GET", path: "/api/alerts?order=up", status: 422, kind: "invalid",
			errs: []ProblemError{{Detail: "there is no such parameter; expected one of band, case, cursor, into, limit, min_severity, observable, q, ready, sort, source, status, unread", Parameter: "order"}}},
		{name: "limit too high", method: "GET", path: "/api/alerts?limit=501", status: 422, kind: "invalid",
			errs: []ProblemError{{Detail: "expected a number of at most 500", Parameter: "limit"}}},
		{name: "limit that is none", method: "GET", path: "/api/alerts?limit=many", status: 422, kind: "invalid",
			errs: []ProblemError{{Detail: "expected a whole number", Parameter: "limit"}}},
		{name: "a cursor from nowhere", method: "GET", path: "/api/alerts?cursor=%21", status: 422, kind: "invalid",
			errs: []ProblemError{{Detail: "it is not one that this list gave; begin the list again without it", Parameter: "cursor"}}},
		{name: "enum", method: "GET", path: "/api/alerts?status=open", status: 422, kind: "invalid", detail: "status"},
		{name: "no such path", method: "GET", path: "/api/alarums", status: 404, kind: "not-found", detail: "/api/openapi.json"},
		{name: "method", method: "DELETE", path: "/api/alerts", status: 405, kind: "method-not-allowed", detail: "expected GET"},
		{name: "ID of another kind", method: "GET", path: "/api/alerts/C-1", status: 404, kind: "not-found", detail: "A-123"},
		{name: "ID with a leading zero", method: "GET", path: "/api/alerts/A-01", status: 404, kind: "not-found"},
		{name: "no such record", method: "GET", path: "/api/alerts/A-999", status: 404, kind: "not-found"},
		{name: "no such playbook", method: "POST", path: "/api/runs", body: `{"playbook":"nope"}`, status: 404, kind: "not-found", detail: "start nope: there is no such playbook"},
		{name: "wrong reason", method: "POST", path: "/api/ledger/L-1/undo", body: `{"reason":"because"}`, status: 422, kind: "invalid", detail: "reason"},
		{name: "undo of two things", method: "POST", path: "/api/ledger/undo", body: `{"reason":"wrong","run":"R-1","playbook":"x"}`, status: 422, kind: "invalid", detail: "exactly one"},
		{name: "retry of everything", method: "POST", path: "/api/runs/retry", body: `{}`, status: 422, kind: "invalid", detail: "name what the failed runs have in common"},
		{name: "a playbook with errors", method: "POST", path: "/api/playbooks/block-ip/publish", body: `{"text":"bad"}`, status: 422, kind: "invalid", detail: "line 3: unknown key",
			errs: []ProblemError{{Detail: "3:5: unknown key", Pointer: "#/text"}}},
		{name: "a switch of nothing", method: "POST", path: "/api/switches", body: `{"scope":"all","off":true,"reason":"x"}`, status: 422, kind: "invalid", detail: "connector:NAME"},
		{name: "too large", method: "POST", path: "/api/cases", body: `{"title":"` + strings.Repeat("x", 2<<20) + `"}`, status: 413, kind: "too-large"},
	}
	c := serve(t, newWorld(t))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := *c
			d.t = t
			p := d.do(tt.method, tt.path, tt.body, tt.headers...).problem(tt.status, tt.kind)
			if !strings.Contains(p.Detail, tt.detail) {
				t.Errorf("detail %q, want %q in it", p.Detail, tt.detail)
			}
			if tt.errs != nil {
				if diff := cmp.Diff(tt.errs, p.Errors); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestWhatWasSentIsNeverEchoed(t *testing.T) {
	t.Parallel()
	c := serve(t, newWorld(t))
	const secret = "hunter2-hunter2"
	for _, body := range []string{
		`{"name":"x","connector":"y","secrets":{"token":"` + secret + `"},"extra":1}`,
		`{"name":"BAD NAME","connector":"y","secrets":{"token":"` + secret + `"}}`,
		`{"name":"x","connector":"y","secrets":"` + secret + `"}`,
		`{"name":"x","connector":"y","secrets":{"token":"` + secret + `"}`,
	} {
		a := c.do("POST", "/api/connections", body)
		if a.status < 400 || strings.Contains(string(a.body), secret) {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	a := c.do("POST", "/api/connections", `{"name":"edr","connector":"acme","secrets":{"token":"`+secret+`"}}`).ok(201)
	if strings.Contains(string(a.body), secret) || !strings.Contains(string(a.body), `"secrets":["token"]`) {
		t.Errorf("a secret comes out: %s", a.body)
	}
}

func TestUnknownErrorsSayNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail = errors.New("sqlite: password of the database is hunter2")
	p := serve(t, w).do("GET", "/api/alerts", "").problem(500, "internal")
	if p.Detail != "" || p.Title != "Internal error" {
		t.Errorf("it says %+v", p)
	}
}

func TestEveryAnswerIsGuardedByItsHeaders(t *testing.T) {
	t.Parallel()
	c := serve(t, newWorld(t))
	for _, path := range []string{"/api/alerts", "/api/nope", "/", "/api/openapi.json"} {
		a := c.do("GET", path, "")
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		csp := a.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
	}
}

func TestAnotherSitesPageCannotAct(t *testing.T) {
	t.Parallel()
	c := serve(t, newWorld(t)).as("")
	cookie := c.do("POST", "/api/session", `{"name":"root","password":"right-password"}`).ok(200).header.Get("Set-Cookie")
	for _, attribute := range []string{"HttpOnly", "SameSite=Strict", "Path=/"} {
		if !strings.Contains(cookie, attribute) {
			t.Errorf("cookie %q lacks %s", cookie, attribute)
		}
	}
	secret, _, _ := strings.Cut(cookie, ";")
	c.do("POST", "/api/cases", `{"title":"x"}`, "Cookie", secret, "Sec-Fetch-Site", "cross-site").problem(403, "denied")
	c.do("POST", "/api/cases", `{"title":"x"}`, "Cookie", secret, "Origin", "https://evil.example").problem(403, "denied")
	c.do("POST", "/api/cases", `{"title":"x"}`, "Cookie", secret, "Sec-Fetch-Site", "same-origin").ok(http.StatusCreated)
}
