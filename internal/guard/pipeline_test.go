package guard

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/connector"
	"riposte/internal/fault"
	"riposte/internal/run"
)

// tight are settings under which one request can break every rule at once.
func tight(t testing.TB) Settings {
	return Settings{
		Policy: policyOf(t, `
rules:
  - { rule: no-thursday, reason: Thursdays are quiet, when: weekday == "thursday", then: deny }
  - { rule: watch, reason: not trusted yet, when: playbook == "new-one", then: shadow }
  - { rule: leads, reason: a lead looks first, when: by == "trigger:indicator", ask: { by: role:soc-lead, within: 1h } }
  - { rule: rest, reason: a person did it, then: allow }
`),
		Lists:  []List{{Name: "own", Owner: "net team", Reason: "it is ours", IPs: []string{"192.0.2.0/24"}}},
		Limits: Limits{Limits: []Limit{{Name: "two-an-hour", Reason: "for the test", Hour: 2, Over: Quorum{By: []string{"role:incident-manager"}, Need: 1, Within: 30 * time.Minute}}}},
	}
}

func mustSwitchOff(t testing.TB, g *Guard, s Switch) {
	t.Helper()
	if s.By == "" {
		s.By, s.Reason, s.At = "ana", "firewall upgrade", noon
	}
	if err := g.SwitchOff(s); err != nil {
		t.Fatal(err)
	}
}

func TestChecksComeInTheirOrder(t *testing.T) {
	t.Parallel()
	g := newGuard(t, tight(t))
	thursday := noon.Add(24 * time.Hour)
	// Everything is wrong with this one; one thing after the other is put right.
	q := block("192.0.2.7")
	q.At = thursday
	q.Marks.TLP = "red"
	mustSwitchOff(t, g, Switch{Scope: OfConnection, Name: "fw-edge"})
	q.Inputs["target"] = []any{}
	steps := []struct {
		want Check
		code connector.Class
		fix  func()
	}{
		{CheckClearance, connector.Policy, func() { q.Marks.TLP = "" }},
		{CheckKillSwitch, connector.KillSwitch, func() { _ = g.SwitchOn("", OfConnection, "fw-edge") }},
		{CheckTargets, "denied", func() { q.Inputs["target"] = "192.0.2.7" }},
		{CheckProtected, connector.Protected, func() { q.Inputs["target"] = []any{"203.0.113.1", "203.0.113.2", "203.0.113.3"} }},
		{CheckPolicy, connector.Policy, func() { q.At = noon }},
	}
	for _, s := range steps {
		d := g.Check(q)
		if d.Outcome != Deny || d.By != s.want || d.Code != s.code {
			t.Fatalf("%s by %s (%s), want a denial by %s", d.Outcome, d.By, d.Message, s.want)
		}
		if r := d.Result(&q); r.Deny != string(s.code) || r.Message == "" || r.Rule == "" {
			t.Errorf("the interpreter is told %+v", r)
		}
		s.fix()
	}
	d := g.Check(q)
	if d.Outcome != Ask || d.By != CheckLimits || d.Rule != "limit two-an-hour" {
		t.Fatalf("%s by %s %s", d.Outcome, d.By, d.Rule)
	}
	want := []run.Quorum{{People: []string{"role:soc-lead"}, Need: 1, Source: "policy"}, {People: []string{"role:incident-manager"}, Need: 1, Source: "limit"}}
	if diff := cmp.Diff(want, d.Asks); diff != "" || d.Within != 30*time.Minute {
		t.Errorf("within %s\n%s", d.Within, diff)
	}
	q.Agreed, q.Hash = want, d.Hash
	if d := g.Admit(q); d.Outcome != Allow || d.By != CheckApproval {
		t.Errorf("%s by %s (%s)", d.Outcome, d.By, d.Message)
	}
}

func TestReadsAndNotificationsMeetOnlyClearanceAndKillSwitch(t *testing.T) {
	t.Parallel()
	for _, impact := range []connector.Impact{connector.Read, connector.Notify} {
		g := newGuard(t, tight(t))
		q := block("192.0.2.7") // protected, and asked about
		q.Impact = impact
		if d := g.Check(q); d.Outcome != Allow || d.Hash == "" || d.Reserved != nil {
			t.Errorf("%s: %s (%s)", impact, d.Outcome, d.Message)
		}
		if d := g.Admit(q); d.Outcome != Allow {
			t.Errorf("%s: %s (%s)", impact, d.Outcome, d.Message)
		}
		marked := q
		marked.Marks.PAP = "red"
		if d := g.Admit(marked); d.By != CheckClearance {
			t.Errorf("%s of marked data: %s by %s", impact, d.Outcome, d.By)
		}
		marked.Connection = "" // stays inside
		if d := g.Admit(marked); d.Outcome != Allow {
			t.Errorf("%s of marked data inside: %s", impact, d.Outcome)
		}
		mustSwitchOff(t, g, Switch{Scope: Everything})
		if d := g.Admit(q); (d.Outcome == Allow) != (impact == connector.Read) {
			t.Errorf("%s with everything off: %s", impact, d.Outcome)
		}
	}
}

func TestWhatAKillSwitchStops(t *testing.T) {
	t.Parallel()
	undo := func(q *Request) { q.Undo = true }
	called := func(q *Request) { q.Playbook, q.Above = "helper", []string{"phishing-triage", "block-indicator"} }
	tests := []struct {
		name string
		s    Switch
		with func(*Request)
		off  bool
	}{
		{"everything", Switch{Scope: Everything}, nil, true},
		{"the connector", Switch{Scope: OfConnector, Name: "firewall"}, nil, true},
		{"another connector", Switch{Scope: OfConnector, Name: "edr"}, nil, false},
		{"the connection", Switch{Scope: OfConnection, Name: "fw-edge"}, nil, true},
		{"another connection", Switch{Scope: OfConnection, Name: "fw-branch"}, nil, false},
		{"the capability", Switch{Scope: OfCapability, Name: "block_ip"}, nil, true},
		{"another capability", Switch{Scope: OfCapability, Name: "block_domain"}, nil, false},
		{"the playbook", Switch{Scope: OfPlaybook, Name: "block-indicator"}, nil, true},
		{"another playbook", Switch{Scope: OfPlaybook, Name: "phishing-triage"}, nil, false},
		{"a playbook above", Switch{Scope: OfPlaybook, Name: "phishing-triage"}, called, true},
		{"everything of another tenant", Switch{Scope: Everything, Tenant: "b"}, nil, false},
		{"everything, for an undo", Switch{Scope: Everything}, undo, false},
		{"the playbook, for an undo", Switch{Scope: OfPlaybook, Name: "block-indicator"}, undo, false},
		{"the capability, for an undo", Switch{Scope: OfCapability, Name: "block_ip"}, undo, false},
		{"the connection, for an undo", Switch{Scope: OfConnection, Name: "fw-edge"}, undo, true},
		{"the connector, for an undo", Switch{Scope: OfConnector, Name: "firewall"}, undo, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGuard(t, Settings{Policy: policyOf(t, allowAll)})
			mustSwitchOff(t, g, tt.s)
			q := block("203.0.113.9")
			if tt.with != nil {
				tt.with(&q)
			}
			for what, d := range map[string]Decision{"check": g.Check(q), "admit": g.Admit(q)} {
				if got := d.Code == connector.KillSwitch; got != tt.off {
					t.Errorf("%s: %s (%s)", what, d.Outcome, d.Message)
				}
				if tt.off && !strings.Contains(d.Message, "switched off by ana since 2026-01-14 12:00 UTC: firewall upgrade") {
					t.Errorf("%s: %s", what, d.Message)
				}
			}
		})
	}
}

func TestSwitchesAreSetAndTakenBackWithAReason(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Settings{})
	for _, bad := range []Switch{
		{}, {Scope: "all", By: "a", Reason: "b"}, {Scope: Everything, Name: "x", By: "a", Reason: "b"},
		{Scope: OfConnector, By: "a", Reason: "b"}, {Scope: Everything, By: "a"}, {Scope: Everything, Reason: "b"},
	} {
		if err := g.SwitchOff(bad); !errors.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	mustSwitchOff(t, g, Switch{Scope: OfPlaybook, Name: "x"})
	mustSwitchOff(t, g, Switch{Scope: Everything})
	if got := g.Switches(); len(got) != 2 || got[0].Scope != Everything {
		t.Errorf("%v", got)
	}
	if err := g.SwitchOn("", OfPlaybook, "y"); !errors.Is(err, fault.NotFound) {
		t.Error(err)
	}
	if err := g.SwitchOn("", Everything, ""); err != nil || len(g.Switches()) != 1 {
		t.Errorf("%v, %v", err, g.Switches())
	}
}

func TestWithoutAPolicyNothingIsChanged(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Settings{})
	if d := g.Check(block("203.0.113.9")); d.Outcome != Deny || d.Code != connector.Policy {
		t.Errorf("%s (%s)", d.Outcome, d.Message)
	}
}

func TestShadowIsDecidedAndNotDone(t *testing.T) {
	t.Parallel()
	g := newGuard(t, tight(t))
	q := block("203.0.113.9")
	q.Playbook = "new-one"
	d := g.Check(q)
	if d.Outcome != Shadow || d.OK() || d.Hash == "" || d.Rule != "policy watch" {
		t.Errorf("%s %q (%s)", d.Outcome, d.Rule, d.Message)
	}
	if r := d.Result(&q); !r.Shadow || r.Deny != "" || len(r.Asks) != 0 {
		t.Errorf("the interpreter is told %+v", r)
	}
	if u := g.Limits(noon); len(u) != 0 {
		t.Errorf("it counts: %v", u)
	}
}

func TestAnUndoMeetsNeitherListsNorLimitsNorPolicy(t *testing.T) {
	t.Parallel()
	g := newGuard(t, tight(t))
	q := block("192.0.2.7")
	q.Undo = true
	d := g.Check(q)
	if d.Outcome != Allow || d.Hash == "" {
		t.Fatalf("%s by %s (%s)", d.Outcome, d.By, d.Message)
	}
	q.Hash = d.Hash
	if d := g.Admit(q); d.Outcome != Allow || len(g.Limits(noon)) != 0 {
		t.Errorf("%s, counted %v", d.Outcome, g.Limits(noon))
	}
	q.Inputs["target"] = "*"
	if d := g.Check(q); d.By != CheckTargets {
		t.Errorf("a pattern as an undo's target: %s by %s", d.Outcome, d.By)
	}
}

func TestJustBeforeTheCall(t *testing.T) {
	t.Parallel()
	lead := []run.Quorum{{People: []string{"role:soc-lead"}, Need: 1, Source: "policy"}}
	file := run.Quorum{People: []string{"role:analyst"}, Need: 1, Source: "file"}
	tests := []struct {
		name   string
		agreed []run.Quorum
		change func(g *Guard, q *Request)
		want   Outcome
		by     Check
	}{
		{"what was approved leaves", lead, func(*Guard, *Request) {}, Allow, CheckApproval},
		{"agreed by more than was asked leaves", append([]run.Quorum{file}, lead...), func(*Guard, *Request) {}, Allow, CheckApproval},
		{"what was never checked goes back", lead, func(_ *Guard, q *Request) { q.Hash = "" }, Ask, CheckPolicy},
		{"what nobody approved goes back", nil, func(*Guard, *Request) {}, Ask, CheckPolicy},
		{"other people do not count", []run.Quorum{file}, func(*Guard, *Request) {}, Ask, CheckPolicy},
		{"another input is asked about again", lead, func(_ *Guard, q *Request) { q.Inputs["comment"] = "worse" }, Ask, CheckPolicy},
		{"another target is asked about again", lead, func(_ *Guard, q *Request) { q.Inputs["target"] = "203.0.113.10" }, Ask, CheckPolicy},
		{"another connection is asked about again", lead, func(_ *Guard, q *Request) { q.Connection = "fw-branch" }, Ask, CheckPolicy},
		{"another way back is asked about again", lead, func(_ *Guard, q *Request) { q.TakeBack.After = 0 }, Ask, CheckPolicy},
		{"another version of the connector is asked about again", lead, func(_ *Guard, q *Request) {
			a := *q.Action
			a.Version = "1.0.1"
			q.Action = &a
		}, Ask, CheckPolicy},
		{"a kill switch stops it", lead, func(g *Guard, _ *Request) { _ = g.SwitchOff(Switch{Scope: Everything, By: "ana", Reason: "x"}) }, Deny, CheckKillSwitch},
		{"what has become protected is denied", lead, func(g *Guard, _ *Request) {
			s := tight(t)
			s.Lists[0].IPs = append(s.Lists[0].IPs, "203.0.113.9")
			_ = g.Configure(s)
		}, Deny, CheckProtected},
		{"what policy has come to deny is denied", lead, func(g *Guard, q *Request) { q.At = noon.Add(24 * time.Hour) }, Deny, CheckPolicy},
		{"a policy that has come to ask for more asks again", lead, func(g *Guard, _ *Request) {
			s := tight(t)
			s.Policy = policyOf(t, "rules:\n  - { rule: two, reason: two look, ask: { by: role:soc-lead, need: 2 } }\n")
			_ = g.Configure(s)
		}, Ask, CheckPolicy},
		{"a policy that has come to ask for less does not", lead, func(g *Guard, _ *Request) {
			s := tight(t)
			s.Policy = policyOf(t, "rules:\n  - { rule: any, reason: anybody looks, ask: [role:analyst, role:soc-lead] }\n")
			_ = g.Configure(s)
		}, Allow, CheckApproval},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGuard(t, tight(t))
			q := block("203.0.113.9")
			first := g.Check(q)
			if first.Outcome != Ask {
				t.Fatalf("%s (%s)", first.Outcome, first.Message)
			}
			q.Hash, q.Agreed, q.At = first.Hash, tt.agreed, noon.Add(20*time.Minute)
			tt.change(g, &q)
			d := g.Admit(q)
			if d.Outcome != tt.want || d.By != tt.by {
				t.Fatalf("%s by %s (%s)", d.Outcome, d.By, d.Message)
			}
			if d.Outcome != Ask {
				return
			}
			// Asked again and agreed, it leaves: nobody is asked twice for the same.
			q.Hash, q.Agreed = d.Hash, d.Asks
			if d := g.Admit(q); d.Outcome != Allow {
				t.Errorf("after people agreed: %s by %s (%s)", d.Outcome, d.By, d.Message)
			}
		})
	}
}

// The step's own approval is known to the interpreter alone. Where policy asks
// nobody, a call whose hash is new must still go back, so that the approval is
// asked for what would be done now.
func TestAChangedCallGoesBackEvenWherePolicyAsksNobody(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Settings{Policy: policyOf(t, allowAll)})
	q := block("203.0.113.9")
	first := g.Check(q)
	q.Hash = first.Hash
	if d := g.Admit(q); d.Outcome != Allow {
		t.Fatalf("%s (%s)", d.Outcome, d.Message)
	}
	q.Inputs["comment"] = "other"
	d := g.Admit(q)
	if d.Outcome != Ask || len(d.Asks) != 0 || d.Hash == first.Hash {
		t.Errorf("%s, asks %v", d.Outcome, d.Asks)
	}
	q.Hash = ""
	if d := g.Admit(q); d.OK() {
		t.Error("a call that was never checked leaves")
	}
	notify := block("203.0.113.9")
	notify.Impact, notify.Hash = connector.Notify, "of something else"
	if d := g.Admit(notify); d.Outcome != Ask {
		t.Errorf("an approved notification that has changed: %s", d.Outcome)
	}
}

func TestAProtectionCanBeSetAsideOnce(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Settings{Policy: policyOf(t, allowAll), Lists: tight(t).Lists})
	q := block("192.0.2.7")
	o := Override{Action: "firewall.block_ip", Target: connector.Target{Kind: "ip", Value: "192.0.2.7"}, By: "lee", Reason: "it is the attacker's now", Until: noon.Add(time.Hour)}
	for name, bad := range map[string]func(o *Override){
		"without a name": func(o *Override) { o.By = "" }, "without a reason": func(o *Override) { o.Reason = "" },
		"without a target": func(o *Override) { o.Target.Value = "" }, "for ever": func(o *Override) { o.Until = time.Time{} },
		"for a year": func(o *Override) { o.Until = noon.Add(365 * 24 * time.Hour) },
	} {
		wrong := o
		bad(&wrong)
		if err := g.Override(wrong, noon); !errors.Is(err, fault.Invalid) {
			t.Errorf("an override %s: %v", name, err)
		}
	}
	if d := g.Check(q); d.Code != connector.Protected || !strings.Contains(d.Message, "list own") {
		t.Fatalf("%s (%s)", d.Outcome, d.Message)
	}
	if err := g.Override(o, noon); err != nil {
		t.Fatal(err)
	}
	other := q
	other.Inputs = map[string]any{"target": "192.0.2.8"}
	if d := g.Check(other); d.Code != connector.Protected {
		t.Errorf("another target passes: %s", d.Outcome)
	}
	d := g.Check(q)
	if d.Outcome != Allow || len(d.Overrides) != 1 || d.Overrides[0].By != "lee" {
		t.Fatalf("%s, %v", d.Outcome, d.Overrides)
	}
	second := q
	second.Run = 8
	if d := g.Check(second); d.Code != connector.Protected {
		t.Errorf("a second run passes: %s", d.Outcome)
	}
	q.Hash = d.Hash
	if d := g.Admit(q); d.Outcome != Allow {
		t.Errorf("the call itself: %s (%s)", d.Outcome, d.Message)
	}
	g.Done(ended(q, connector.OK, ""))
	if d := g.Check(q); d.Code != connector.Protected || len(g.Overrides(noon)) != 0 {
		t.Errorf("it passes twice: %s, left %v", d.Outcome, g.Overrides(noon))
	}
}

func TestAnOverrideThatWasNotUsedCanBe(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Settings{Policy: policyOf(t, allowAll), Lists: tight(t).Lists})
	q := block("192.0.2.7")
	if err := g.Override(Override{Action: "firewall.block_ip", Target: connector.Target{Kind: "ip", Value: "192.0.2.7"}, By: "lee", Reason: "x", Until: noon.Add(time.Hour)}, noon); err != nil {
		t.Fatal(err)
	}
	g.Check(q)
	g.Release(q.Run, q.Act)
	q.Run = 8
	if d := g.Check(q); d.Outcome != Allow {
		t.Errorf("%s (%s)", d.Outcome, d.Message)
	}
	g.Release(q.Run, q.Act)
	q.Run, q.At = 9, noon.Add(time.Hour)
	if d := g.Check(q); d.Code != connector.Protected {
		t.Errorf("it holds beyond its time: %s", d.Outcome)
	}
}

func ended(q Request, s connector.Status, c connector.Class) Ended {
	return Ended{
		Tenant: q.Tenant, Playbook: q.Playbook, Connection: q.Connection, Run: q.Run, Act: q.Act, Impact: q.Impact, Undo: q.Undo,
		Result: connector.Result{Status: s, Class: c}, At: q.At,
	}
}

func TestEveryCheckIsExplained(t *testing.T) {
	t.Parallel()
	g := newGuard(t, tight(t))
	lines := func(q Request) string {
		var b strings.Builder
		for _, f := range g.Explain(q) {
			fmt.Fprintf(&b, "%s %v: %s\n", f.Check, f.OK, f.Text)
		}
		return b.String()
	}
	want := `clearance true: the data may go there
kill_switch true: nothing in its way is switched off
breaker true: no breaker in its way is open
targets true: ip 203.0.113.9
protected true: on none of 1 lists
limits true: limit two-an-hour: 1 more, 0 of 2 in the hour
policy true: rule leads asks 1 of role:soc-lead: a lead looks first
`
	if d := cmp.Diff(want, lines(block("203.0.113.9"))); d != "" {
		t.Error(d)
	}
	mustSwitchOff(t, g, Switch{Scope: Everything})
	q := block([]any{"192.0.2.1", "192.0.2.2", "192.0.2.3"})
	q.At, q.Marks.TLP = noon.Add(24*time.Hour), "red"
	want = `clearance false: nothing may be sent to fw-edge: the data is TLP:red, the connection is cleared up to TLP:amber
kill_switch false: everything is switched off by ana since 2026-01-14 12:00 UTC: firewall upgrade
breaker true: no breaker in its way is open
targets true: ip 192.0.2.1, ip 192.0.2.2, ip 192.0.2.3
protected false: ip 192.0.2.1 is protected by the list own (192.0.2.0/24): it is ours
limits false: limit two-an-hour: 3 more, 0 of 2 in the hour: 1 of role:incident-manager would be asked
policy false: rule no-thursday: deny: Thursdays are quiet
`
	if d := cmp.Diff(want, lines(q)); d != "" {
		t.Error(d)
	}
	if len(g.Limits(noon)) != 0 {
		t.Error("explaining counts")
	}
}
