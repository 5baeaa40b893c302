package guard

import (
	"testing"
	"time"

	"riposte/connector"
)

// onTwo is a block that two firewalls serve.
func onTwo(ip string) Request {
	q := block(ip)
	q.Clearance.TLP = "red"
	second := *q.Action
	second.Connector = "bastion"
	q.Others = []Server{{Connection: "fw-core", Action: &second, Clearance: connector.Clearance{TLP: "red"}}}
	return q
}

func TestACapabilityHasToPassForEveryConnectionThatServesIt(t *testing.T) {
	t.Parallel()
	settings := func(rules string) Settings {
		return Settings{Policy: policyOf(t, rules), Limits: Limits{Limits: []Limit{
			{Name: "core", Reason: "it is small", For: LimitFor{Connection: []string{"fw-core"}}, Hour: 1, Over: Quorum{By: []string{"ben"}, Need: 1, Within: time.Hour}},
		}}}
	}
	t.Run("clearance", func(t *testing.T) {
		t.Parallel()
		q := onTwo("203.0.113.9")
		q.Marks.TLP = "red"
		if d := newGuard(t, settings(allowAll)).Check(q); d.Outcome != Allow {
			t.Errorf("%s: %s", d.Outcome, d.Message)
		}
		q.Others[0].Clearance.TLP = "amber"
		if d := newGuard(t, settings(allowAll)).Check(q); d.Outcome != Deny || d.By != CheckClearance {
			t.Errorf("%s by %s", d.Outcome, d.By)
		}
	})
	for _, s := range []Switch{{Scope: OfConnection, Name: "fw-core"}, {Scope: OfConnector, Name: "bastion"}} {
		t.Run("kill switch of "+s.String(), func(t *testing.T) {
			t.Parallel()
			g := newGuard(t, settings(allowAll))
			mustSwitchOff(t, g, s)
			if d := g.Check(onTwo("203.0.113.9")); d.Outcome != Deny || d.By != CheckKillSwitch {
				t.Errorf("%s by %s", d.Outcome, d.By)
			}
		})
	}
	t.Run("policy", func(t *testing.T) {
		t.Parallel()
		g := newGuard(t, settings(`
rules:
  - { rule: core, reason: everything hangs on it, when: connection == "fw-core", ask: { by: ana, within: 1h } }
  - { rule: bastion-off, reason: not yet, when: connector == "bastion" and person, then: deny }
  - { rule: rest, reason: fine, then: allow }
`))
		if d := g.Check(onTwo("203.0.113.9")); d.Outcome != Ask || d.Rule != "policy core" {
			t.Errorf("%s by %s", d.Outcome, d.Rule)
		}
	})
	t.Run("limits", func(t *testing.T) {
		t.Parallel()
		g := newGuard(t, settings(allowAll))
		if d := g.Check(onTwo("203.0.113.9")); d.Outcome != Allow {
			t.Fatalf("%s: %s", d.Outcome, d.Message)
		}
		q := onTwo("203.0.113.10")
		q.Run++
		d := g.Check(q)
		if d.Outcome != Ask || d.Rule != "limit core" {
			t.Errorf("%s by %s", d.Outcome, d.Rule)
		}
		g.Restore([]Reservation{*d.Reserved}, noon)
		if u := g.Limits(noon); len(u) != 1 || u[0].Waiting != 1 {
			t.Errorf("%+v", u)
		}
	})
	t.Run("hash", func(t *testing.T) {
		t.Parallel()
		g := newGuard(t, settings(allowAll))
		q := onTwo("203.0.113.9")
		q.Hash = g.Check(q).Hash
		q.Others[0].Connection = "fw-new" // another firewall has come in between
		if d := g.Admit(q); d.Outcome != Ask {
			t.Errorf("%s: %s", d.Outcome, d.Message)
		}
	})
	t.Run("the call stays with all of them", func(t *testing.T) {
		t.Parallel()
		q := onTwo("203.0.113.9")
		d := newGuard(t, settings(allowAll)).Check(q)
		if r := d.Result(&q); r.Connection != "" || r.Action != "" {
			t.Errorf("bound to %s %s", r.Connection, r.Action)
		}
	})
}
