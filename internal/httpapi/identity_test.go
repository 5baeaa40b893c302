package httpapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"riposte/internal/auth"
)

// documented is what the tests read of the OpenAPI document.
type documented struct {
	OpenAPI string `json:"openapi"`
	Paths   map[string]map[string]struct {
		OperationID string                     `json:"operationId"`
		Summary     string                     `json:"summary"`
		Security    []map[string][]string      `json:"security"`
		Permission  auth.Permission            `json:"x-permission"`
		Responses   map[string]json.RawMessage `json:"responses"`
		Parameters  []struct {
			Name, In string
		} `json:"parameters"`
	} `json:"paths"`
}

func theDocument(t *testing.T) documented {
	t.Helper()
	text, err := Document("test")
	if err != nil {
		t.Fatal(err)
	}
	var d documented
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// filled puts something into the places of a path.
func filled(path string) string {
	return strings.NewReplacer("{id}", "R-1", "{slug}", "block-ip", "{version}", "1", "{name}", "edr", "{task}", "1", "{source}", "s").Replace(path)
}

func TestEveryRouteNeedsAnIdentity(t *testing.T) {
	t.Parallel()
	open := map[string]bool{"sign-in": true, "get-health": true}
	c := serve(t, newWorld(t))
	n := 0
	for path, methods := range theDocument(t).Paths {
		for method, op := range methods {
			if bySender(path) { // their handlers know who may send
				continue
			}
			n++
			if open[op.OperationID] {
				if len(op.Security) != 0 {
					t.Errorf("%s is documented as closed", op.OperationID)
				}
				continue
			}
			for _, token := range []string{"", "rip_wrong"} {
				d := c.as(token)
				a := d.do(strings.ToUpper(method), filled(path), "{}")
				p := a.problem(http.StatusUnauthorized, "unauthenticated")
				if a.header.Get("WWW-Authenticate") != "Bearer" || !strings.Contains(p.Detail, "token") {
					t.Errorf("%s %s: %+v", method, path, p)
				}
			}
			if len(op.Security) == 0 {
				t.Errorf("%s is documented as open", op.OperationID)
			}
		}
	}
	if n < 50 {
		t.Errorf("the document has %d operations", n)
	}
}

func TestEveryRouteNeedsItsPermission(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tokens["rip_nothing"] = auth.Token{Name: "test", Owner: "root", Only: []auth.Permission{auth.IntelRead}}
	free := map[string]bool{"get-me": true, "sign-out": true, "list-tokens": true, "create-token": true, "revoke-token": true, "set-switch": true}
	c := serve(t, w).as("rip_nothing")
	for path, methods := range theDocument(t).Paths {
		for method, op := range methods {
			if op.Permission == "" {
				if len(op.Security) > 0 && !free[op.OperationID] && !bySender(path) {
					t.Errorf("%s needs no permission", op.OperationID)
				}
				continue
			}
			p := c.do(strings.ToUpper(method), filled(path), "{}").problem(http.StatusForbidden, "denied")
			if !strings.Contains(p.Detail, string(op.Permission)) {
				t.Errorf("%s %s: %q does not name %s", method, path, p.Detail, op.Permission)
			}
		}
	}
}

func TestWhatAViewerMayNotDo(t *testing.T) {
	t.Parallel()
	c := serve(t, newWorld(t)).as("rip_vic")
	c.do("GET", "/api/alerts", "").ok(200)
	c.do("POST", "/api/runs", `{"playbook":"block-ip","inputs":{"ip":"198.51.100.1"}}`).problem(403, "denied")
	c.do("POST", "/api/switches", `{"scope":"everything","off":true,"reason":"x"}`).problem(403, "denied")
	c.do("GET", "/api/tokens?owner=root", "").problem(403, "denied")
	c.do("POST", "/api/tokens", `{"name":"t","owner":"root"}`).problem(403, "denied")
	a := serve(t, newWorld(t)).as("rip_ana")
	a.do("POST", "/api/switches", `{"scope":"everything","off":true,"reason":"it runs wild"}`).ok(200)
	p := a.do("POST", "/api/switches", `{"scope":"everything","off":false,"reason":"x"}`).problem(403, "denied")
	if !strings.Contains(p.Detail, "switches:on") {
		t.Errorf("%q", p.Detail)
	}
	a.do("POST", "/api/runs", `{"playbook":"block-ip","draft":true,"inputs":{"ip":"x"}}`).problem(403, "denied")
}

func TestASessionOpensAndEnds(t *testing.T) {
	t.Parallel()
	c := serve(t, newWorld(t)).as("")
	cookie, _, _ := strings.Cut(c.do("POST", "/api/session", `{"name":"ana","password":"right-password"}`).ok(200).header.Get("Set-Cookie"), ";")
	var me Me
	c.do("GET", "/api/me", "", "Cookie", cookie).ok(200).into(&me)
	if me.Name != "ana" || me.Token != "" || len(me.Permissions) == 0 {
		t.Errorf("%+v", me)
	}
	gone := c.do("DELETE", "/api/session", "", "Cookie", cookie).ok(204).header.Get("Set-Cookie")
	if !strings.Contains(gone, "Max-Age=0") {
		t.Errorf("the cookie is not taken away: %q", gone)
	}
	c.do("GET", "/api/me", "", "Cookie", cookie).problem(401, "unauthenticated")
	c.do("GET", "/api/me", "", "Authorization", "Basic cm9vdDp4").problem(401, "unauthenticated")
}

func TestGuessingPasswordsGetsSlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := serve(t, w).as("")
	for range 5 {
		p := c.do("POST", "/api/session", `{"name":"ana","password":"wrong"}`).problem(401, "unauthenticated")
		if p.Detail != "name or password is wrong" {
			t.Errorf("%q", p.Detail)
		}
	}
	a := c.do("POST", "/api/session", `{"name":"ana","password":"right-password"}`)
	a.problem(429, "too-many-requests")
	if a.header.Get("Retry-After") == "" {
		t.Error("it does not say how long to wait")
	}
	c.do("POST", "/api/session", `{"name":"root","password":"right-password"}`).problem(429, "too-many-requests") // the same address
	w.mu.Lock()
	w.now = w.now.Add(time.Minute)
	w.mu.Unlock()
	c.do("POST", "/api/session", `{"name":"ana","password":"right-password"}`).ok(200)
}

func TestHealthTellsNoSecrets(t *testing.T) {
	t.Parallel()
	var h Healthy
	serve(t, newWorld(t)).as("").do("GET", "/api/health", "").ok(200).into(&h)
	if h.Status != "ok" || h.Version != "test" {
		t.Errorf("%+v", h)
	}
}
