package guard

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"riposte/connector"
	"riposte/internal/run"
)

var noon = time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC) // a Wednesday

func shipped(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "content", "guard", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// defaults are the settings that Riposte ships with.
func defaults(t testing.TB) Settings {
	t.Helper()
	policy, err := ParsePolicy("policy.yaml", shipped(t, "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	limits, err := ParseLimits("limits.yaml", shipped(t, "limits.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	lists, err := ParseProtected("protected.yaml", shipped(t, "protected.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return Settings{Policy: policy, Lists: lists, Limits: limits}
}

func newGuard(t testing.TB, s Settings) *Guard {
	t.Helper()
	g, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// policyOf is a policy of the given rules.
func policyOf(t testing.TB, rules string) *Policy {
	t.Helper()
	p, err := ParsePolicy("policy.yaml", []byte(rules))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const allowAll = "rules:\n  - { rule: all, reason: for the test, then: allow }\n"

func action(connectorID, id, capability string, impact connector.Impact, kind connector.TargetKind) *connector.Action {
	return &connector.Action{
		Connector: connectorID, Version: "1.0.0", ID: id, Capability: capability, Impact: impact, Idempotency: connector.Natural,
		Targets: []connector.TargetSpec{{Input: "target", Kind: kind}},
		Inputs:  connector.Schema{"type": "object", "properties": map[string]any{"target": map[string]any{}}},
	}
}

// block asks to block an address on a firewall, with a way back after a week.
func block(ip any) Request {
	return Request{
		Playbook: "block-indicator", Run: 7, Act: 3, By: "trigger:indicator",
		Action: action("firewall", "block_ip", "block_ip", connector.Change, "ip"), Connection: "fw-edge",
		Impact: connector.Change, Inputs: map[string]any{"target": ip, "comment": "bad"},
		TakeBack: TakeBack{Action: "firewall.unblock_ip", After: 7 * 24 * time.Hour}, At: noon,
	}
}

// on asks for an action on an object of a kind.
func on(kind connector.TargetKind, value any, with ...func(*Request)) Request {
	q := block(value)
	q.Action = action("acme", "act_on_"+string(kind), "", connector.Change, kind)
	for _, f := range with {
		f(&q)
	}
	return q
}

func of(capability string) func(*Request) {
	return func(q *Request) { q.Action.Capability = capability }
}

func irreversible(q *Request) { q.TakeBack = TakeBack{} }

func destroys(q *Request) {
	q.Impact, q.Action.Impact, q.TakeBack = connector.Destroy, connector.Destroy, TakeBack{}
}

func labelled(labels ...string) func(*Request) {
	return func(q *Request) {
		targets, err := connector.Targets(q.Action, q.Inputs)
		if err != nil || len(targets) == 0 {
			return
		}
		q.Labels = map[connector.Target][]string{targets[0]: labels}
	}
}

func TestWhatTheShippedSettingsDecide(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		q    Request
		want Outcome
		rule string
	}{
		{"a block that ends by itself is allowed", block("203.0.113.9"), Allow, "policy reversible"},
		{"a private address is protected", block("10.1.2.3"), Deny, "protected private-networks"},
		{"loopback is protected", block("127.0.0.1"), Deny, "protected private-networks"},
		{"a mapped private address is protected", block("::ffff:10.1.2.3"), Deny, "protected private-networks"},
		{"a private address behind NAT64 is protected", block("64:ff9b::10.1.2.3"), Deny, "protected private-networks"},
		{"the metadata service is protected", block("169.254.169.254"), Deny, "protected private-networks"},
		{"multicast is protected", block("239.1.2.3"), Deny, "protected private-networks"},
		{"a public resolver is protected", block("8.8.8.8"), Deny, "protected public-resolvers"},
		{"a public resolver is protected in IPv6", block("2001:4860:4860:0::8888"), Deny, "protected public-resolvers"},
		{"an address of a content network is protected", block("104.16.132.229"), Deny, "protected shared-hosting"},
		{"a network around a resolver is protected", on("cidr", "8.8.8.0/24"), Deny, "protected public-resolvers"},
		{"another network is asked about", on("cidr", "203.0.113.0/24"), Ask, "policy networks"},
		{"a network as wide as that is refused", on("cidr", "203.0.0.0/8"), Deny, "targets"},
		{"everything is refused", on("cidr", "0.0.0.0/0"), Deny, "targets"},
		{"an evil domain is allowed", on("domain", "evil.example"), Allow, "policy reversible"},
		{"an identity provider is protected", on("domain", "login.microsoftonline.com"), Deny, "protected identity-providers"},
		{"large letters do not help", on("domain", "LOGIN.MicrosoftOnline.com"), Deny, "protected identity-providers"},
		{"what lies above an identity provider is protected", on("domain", "windows.net"), Deny, "protected identity-providers"},
		{"a customer of a shared host is no shared host", on("domain", "evil-7.github.io"), Allow, "policy reversible"},
		{"a shared host is", on("domain", "amazonaws.com"), Deny, "protected shared-hosting"},
		{"a public suffix is refused", on("domain", "co.uk"), Deny, "targets"},
		{"a URL of a shared host is allowed", on("url", "https://storage.googleapis.com/evil/a.zip"), Allow, "policy reversible"},
		{"a whole shared host as a URL is not", on("url", "https://storage.googleapis.com/"), Deny, "protected shared-hosting"},
		{"a URL at an identity provider is protected", on("url", "https://login.live.com/oauth?x=1"), Deny, "protected identity-providers"},
		{"a URL at a private address is protected", on("url", "http://192.168.1.1/a"), Deny, "protected private-networks"},
		{"the empty file is protected", on("hash", "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"), Deny, "protected empty-files"},
		{"a user is allowed", on("user", "dana.r"), Allow, "policy reversible"},
		{"an administrator is protected", on("user", `CORP\Administrator`), Deny, "protected built-in-accounts"},
		{"an administrator is protected by number", on("user", "S-1-5-21-1-2-3-500"), Deny, "protected built-in-accounts"},
		{"a break-glass account is protected", on("user", "svc-breakglass-01"), Deny, "protected labelled-assets"},
		{"several users in one text are refused", on("user", "dana.r,lee.w"), Deny, "targets"},
		{"a group of everybody is protected", on("group", "Domain Users"), Deny, "protected built-in-groups"},
		{"a machine is allowed", on("host", "ws-0417"), Allow, "policy reversible"},
		{"a domain controller is protected", on("host", "dc01", labelled("Domain-Controller")), Deny, "protected labelled-assets"},
		{"a server is asked about", on("host", "web01", labelled("server")), Ask, "policy special-assets"},
		{"an unknown label changes nothing", on("host", "web01", labelled("blue")), Allow, "policy reversible"},
		{"a pattern is no machine", on("host", "ws-*"), Deny, "targets"},
		{"nothing is no target", on("host", ""), Deny, "targets"},
		{"an empty list is no target", on("message", []any{}), Deny, "targets"},
		{"the process of the system is protected", on("process", `C:\Windows\System32\lsass.exe`), Deny, "protected system-programs"},
		{"malware in a user's folder is not", on("file", `C:\Users\dana\AppData\Local\Temp\lsass.exe`), Allow, "policy reversible"},
		{"what cannot be taken back is asked about", on("host", "ws-1", irreversible), Ask, "policy not-reversible"},
		{"signing out needs no way back", on("user", "dana.r", irreversible, of("revoke_sessions")), Allow, "policy leaves-nothing-behind"},
		{"taking evidence needs no way back", on("host", "ws-1", irreversible, of("collect_memory")), Allow, "policy leaves-nothing-behind"},
		{"a command is asked about", on("host", "ws-1", of("run_command")), Ask, "policy run-command"},
		{"destroying is asked about", on("host", "ws-1", destroys), Ask, "policy destroy"},
		{"what we call harmless is asked about", on("ip", "203.0.113.9", func(q *Request) { q.Verdict = "harmless" }), Ask, "policy called-harmless"},
		{"an action nobody knows is refused", on("ip", "203.0.113.9", func(q *Request) { q.Action = nil }), Deny, "targets"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newGuard(t, defaults(t)).Check(tt.q)
			if d.Outcome != tt.want || d.Rule != tt.rule {
				t.Errorf("%s by %q (%s), want %s by %q", d.Outcome, d.Rule, d.Message, tt.want, tt.rule)
			}
			if d.Outcome != Allow && d.Message == "" {
				t.Error("nobody is told why")
			}
			if strings.HasSuffix(d.Message, ": invalid") {
				t.Errorf("the message ends in a word for programs: %s", d.Message)
			}
		})
	}
}

// Whatever is asked at the same time, the guard neither deadlocks nor lets two
// take the last slot. Run with -race.
func TestManyAskAtOnce(t *testing.T) {
	t.Parallel()
	s := defaults(t)
	s.Limits.Limits = []Limit{{Name: "hundred", Reason: "x", Hour: 100, Over: Quorum{By: []string{"role:soc-lead"}}}}
	g := newGuard(t, s)
	var wg sync.WaitGroup
	var allowed atomic.Int32
	for n := range 8 {
		wg.Go(func() {
			for i := range 50 {
				q := act(run.ID(n*1000+i+1), 1, 0)
				d := g.Check(q)
				if d.Outcome == Allow {
					allowed.Add(1)
					q.Hash = d.Hash
					g.Admit(q)
					g.Done(ended(q, connector.OK, ""))
				} else {
					g.Release(q.Run, q.Act)
				}
				switch i % 10 {
				case 0:
					g.Explain(q)
				case 1:
					_ = g.SwitchOff(Switch{Scope: OfPlaybook, Name: "other", By: "ana", Reason: "x"})
				case 2:
					_ = g.SwitchOn("", OfPlaybook, "other")
				case 3:
					g.Limits(noon)
				case 4:
					_ = g.Configure(s)
				}
			}
		})
	}
	wg.Wait()
	if n := allowed.Load(); n != 100 {
		t.Errorf("%d were allowed, want 100", n)
	}
}
