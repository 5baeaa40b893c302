package app_test

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"riposte/internal/app"
	"riposte/internal/demo/simulated"
	"riposte/internal/httpapi"
)

const blocking = `playbook: blocking
title: Block an address
on: [{ manual: true }]
inputs:
  ip: { type: string, format: ip }
steps:
  - id: block
    action: firewall-sim.block_ip
    with: { ip: "${{ inputs.ip }}" }
    approve: { by: role:soc-lead, within: 1h }
    undo:
      action: firewall-sim.unblock_ip
      with: { ip: "${{ inputs.ip }}" }
      after: 1h
`

// soc is a server with a team, a firewall and the playbook above.
type soc struct {
	*server
	products *simulated.Products
	tokens   map[string]string
	password string
	config   func(*app.Config)
	data     string
}

func startSOC(t *testing.T) *soc {
	t.Helper()
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	policy := write("policy.yaml", "not_author: true\nrules:\n  - { rule: all, reason: it can be taken back, then: allow }\n")
	protected := write("protected.yaml", "lists:\n  - { list: old-proxy, owner: net team, reason: it is ours, ips: [203.0.113.7] }\n")
	products, err := simulated.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { products.Stop() })
	x := &soc{products: products, tokens: map[string]string{}, data: t.TempDir(), config: func(c *app.Config) {
		c.Guard.Policy, c.Guard.Protected = policy, []string{protected}
		c.People = map[string]app.PersonConfig{
			"ana": {Roles: []string{"soc-lead"}}, "ben": {Roles: []string{"soc-lead"}}, "dan": {Roles: []string{"analyst"}}, "vic": {Roles: []string{"viewer"}},
		}
	}}
	x.server, x.password = serve(t, x.data, "", x.config)
	x.connect(products)
	x.publish("blocking", blocking)
	for name := range map[string]bool{"ana": true, "ben": true, "dan": true, "vic": true} {
		var made struct{ Secret string }
		x.send(http.MethodPost, "/api/tokens", map[string]any{"name": "t", "owner": name}, &made)
		x.tokens[name] = made.Secret
	}
	return x
}

// as asks as somebody and wants a status.
func (x *soc) as(name string, want int, method, path string, body any) []byte {
	x.t.Helper()
	cookie := x.cookie
	x.cookie = ""
	res, raw := x.ask(method, path, body, "Authorization", "Bearer "+x.tokens[name])
	x.cookie = cookie
	if res.StatusCode != want {
		x.t.Fatalf("%s %s as %s: %s, want %d\n%s", method, path, name, res.Status, want, raw)
	}
	return raw
}

// waiting starts a block and returns the run and the approval that it waits for.
func (x *soc) waiting(by, ip string) (run, approval string) {
	x.t.Helper()
	x.as(by, http.StatusAccepted, http.MethodPost, "/api/runs", map[string]any{"playbook": "blocking", "inputs": map[string]any{"ip": ip}})
	var open struct{ Items []struct{ ID, Run string } }
	x.until("the approval", func() bool {
		x.send(http.MethodGet, "/api/approvals?state=open", nil, &open)
		return len(open.Items) == 1
	})
	return open.Items[0].Run, open.Items[0].ID
}

func (x *soc) ends(run string) (r httpapi.Run) {
	x.t.Helper()
	x.until("the end of "+run, func() bool {
		r = httpapi.Run{}
		x.send(http.MethodGet, "/api/runs/"+run, nil, &r)
		return !r.Ended.IsZero()
	})
	return r
}

func (x *soc) blocks() (n int) {
	for _, e := range x.products.Firewall.Log() {
		if e.Change != "" {
			n++
		}
	}
	return n
}

func TestOnlyWhoIsAskedApprovesAndOnlyOnce(t *testing.T) {
	t.Parallel()
	x := startSOC(t)
	run, approval := x.waiting("ana", "198.51.100.9")
	path := "/api/approvals/" + approval + "/approve"
	x.as("ana", http.StatusForbidden, http.MethodPost, path, map[string]any{}) // she started it
	x.as("dan", http.StatusForbidden, http.MethodPost, path, map[string]any{}) // he has another role
	x.as("vic", http.StatusForbidden, http.MethodPost, path, map[string]any{}) // she may answer nothing
	x.as("ben", http.StatusConflict, http.MethodPost, path, map[string]any{"hash": strings.Repeat("0", 64)})
	if n := x.blocks(); n != 0 {
		t.Fatalf("%d changes before anybody agreed", n)
	}
	x.as("ben", http.StatusOK, http.MethodPost, path, map[string]any{})
	if r := x.ends(run); r.Status != "succeeded" || x.blocks() != 1 {
		t.Fatalf("%s, %d changes", r.Status, x.blocks())
	}
	x.as("ben", http.StatusConflict, http.MethodPost, path, map[string]any{})

	var log httpapi.List[httpapi.AuditEntry]
	x.send(http.MethodGet, "/api/audit?object="+approval, nil, &log)
	got := ""
	for _, e := range log.Items {
		got = e.Who + " " + e.Outcome + ", " + got
	}
	if want := "ana denied, dan denied, ben done, "; got != want {
		t.Errorf("the audit log says %q, want %q", got, want)
	}
}

func TestAnAuditLogThatWasTouchedIsFound(t *testing.T) {
	t.Parallel()
	x := startSOC(t)
	var head httpapi.AuditHead
	x.send(http.MethodGet, "/api/audit/verify", nil, &head)
	if head.Entries == 0 {
		t.Fatal("nothing is in the log")
	}
	x.send(http.MethodPost, "/api/switches", map[string]any{"scope": "capability:block_ip", "off": true, "reason": "test"}, nil)
	x.send(http.MethodGet, "/api/audit/verify?head="+head.Head, nil, nil)
	other := head.Head[:len(head.Head)-1] + string("0123456789abcdef"[(strings.IndexByte("0123456789abcdef", head.Head[len(head.Head)-1])+1)%16])
	x.refused(http.StatusConflict, http.MethodGet, "/api/audit/verify?head="+other, nil)
	x.refused(http.StatusUnprocessableEntity, http.MethodGet, "/api/audit/verify?head=nonsense", nil)
	x.as("dan", http.StatusForbidden, http.MethodGet, "/api/audit", nil)
}

func TestAKillSwitchMeetsWhatWaitsForAnApproval(t *testing.T) {
	t.Parallel()
	x := startSOC(t)
	run, approval := x.waiting("ana", "198.51.100.9")
	x.send(http.MethodPost, "/api/switches", map[string]any{"scope": "capability:block_ip", "off": true, "reason": "test"}, nil)
	x.as("ben", http.StatusOK, http.MethodPost, "/api/approvals/"+approval+"/approve", map[string]any{})
	if r := x.ends(run); r.Status != "denied" || r.Error == nil || r.Error.Code != "kill_switch" || x.blocks() != 0 {
		t.Errorf("%s %+v, %d changes", r.Status, r.Error, x.blocks())
	}
}

func TestAnApprovalOfACancelledRunIsRefused(t *testing.T) {
	t.Parallel()
	x := startSOC(t)
	run, approval := x.waiting("ana", "198.51.100.9")
	x.send(http.MethodPost, "/api/runs/"+run+"/cancel", map[string]any{"reason": "test"}, nil)
	x.ends(run)
	x.as("ben", http.StatusConflict, http.MethodPost, "/api/approvals/"+approval+"/approve", map[string]any{})
	if x.blocks() != 0 {
		t.Errorf("%d changes", x.blocks())
	}
}

func TestAProtectionIsSetAsideOnceAlsoAcrossARestart(t *testing.T) {
	t.Parallel()
	x := startSOC(t)
	start := func() httpapi.Run {
		var r httpapi.Run
		x.send(http.MethodPost, "/api/runs", map[string]any{"playbook": "blocking", "inputs": map[string]any{"ip": "::ffff:203.0.113.7"}}, &r)
		return x.ends(r.ID)
	}
	if r := start(); r.Status != "denied" || r.Error.Code != "protected" {
		t.Fatalf("%s %+v", r.Status, r.Error)
	}
	give := map[string]any{"action": "firewall-sim.block_ip", "target": map[string]any{"kind": "ip", "value": "::ffff:203.0.113.7"}, "reason": "abused", "until": time.Now().Add(time.Hour)}
	x.as("dan", http.StatusForbidden, http.MethodPost, "/api/overrides", give)
	for pointer, bad := range map[string]map[string]any{
		"/reason":       {"reason": " "},
		"/action":       {"action": "firewall-sim.nonsense"},
		"/target/kind":  {"target": map[string]any{"kind": "user", "value": "ana"}},
		"/target/value": {"target": map[string]any{"kind": "ip", "value": "203.0.113.999"}},
		"/until":        {"until": time.Now().Add(25 * time.Hour)},
	} {
		wrong := maps.Clone(give)
		maps.Copy(wrong, bad)
		if p := x.refused(http.StatusUnprocessableEntity, http.MethodPost, "/api/overrides", wrong); len(p.Errors) != 1 || p.Errors[0].Pointer != "#"+pointer {
			t.Errorf("%s: %+v", pointer, p)
		}
	}
	x.as("ana", http.StatusOK, http.MethodPost, "/api/overrides", give)
	x.stop()
	x.server, _ = serve(t, x.data, x.password, x.config)
	run, approval := x.waiting("ana", "::ffff:203.0.113.7")
	x.as("ben", http.StatusOK, http.MethodPost, "/api/approvals/"+approval+"/approve", map[string]any{})
	if r := x.ends(run); r.Status != "succeeded" {
		t.Fatalf("%s %+v", r.Status, r.Error)
	}
	x.stop()
	x.server, _ = serve(t, x.data, x.password, x.config)
	if r := start(); r.Status != "denied" || r.Error.Code != "protected" {
		t.Errorf("a second time: %s %+v", r.Status, r.Error)
	}
}
