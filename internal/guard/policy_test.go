package guard

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"riposte/connector"
	"riposte/internal/fault"
)

func TestWhatConditionsSee(t *testing.T) {
	t.Parallel()
	q := on("host", []any{"ws-1", "web01"}, labelled("vip", "eu"), of("isolate_host"))
	q.Tenant, q.Verdict, q.Confidence, q.Severity = "b", "suspicious", 60, 4
	tests := map[string]bool{
		`impact == "change"`: true, `impact == "destroy"`: false,
		`capability == "isolate_host"`: true, `connector == "acme"`: true, `action == "acme.act_on_host"`: true,
		`connection == "fw-edge"`: true, `playbook startsWith "block"`: true, `tenant == "b"`: true,
		`by == "trigger:indicator"`: true, `person`: false,
		`count == 2`: true, `count > 2`: false, `"host" in kinds`: true, `kinds == ["host"]`: true, `"ip" in kinds`: false,
		`"vip" in labels`: true, `"VIP" in labels`: false, `len(labels) == 2`: true,
		`target.kind == "host" and target.value == "ws-1"`: true, `"eu" in target.labels`: true,
		`all(targets, .kind == "host")`: true, `any(targets, .value startsWith "web")`: true,
		`verdict == "suspicious"`: true, `confidence >= 60`: true, `severity > 3`: true,
		`hour == 12`: true, `hour < 8 or hour >= 18`: false, `weekday == "wednesday"`: true, `weekday in ["saturday", "sunday"]`: false,
		`reversible`: true, `ends`: true, `not ends`: false,
	}
	for when, want := range tests {
		p := policyOf(t, fmt.Sprintf("rules:\n  - { rule: tested, reason: x, when: '%s', then: allow }\n", when))
		d := newGuard(t, Settings{Policy: p}).Check(q)
		if got := d.Outcome == Allow; got != want {
			t.Errorf("%s: %s (%s)", when, d.Outcome, d.Message)
		}
	}
}

func TestWhatIsNotKnownHasAValueAllTheSame(t *testing.T) {
	t.Parallel()
	q := block("203.0.113.9")
	q.TakeBack, q.By = TakeBack{}, "ana"
	q.Action = &connector.Action{Connector: "case", ID: "note", Impact: connector.Notify} // raised to change by its step
	for _, when := range []string{
		`verdict == "unknown"`, `confidence == 0`, `severity == 0`, `labels == []`, `targets == []`, `target == nil`, `count == 0`,
		`kinds == []`, `capability == ""`, `tenant == ""`, `not reversible`, `not ends`, `person`,
	} {
		p := policyOf(t, fmt.Sprintf("rules:\n  - { rule: tested, reason: x, when: '%s', then: allow }\n", when))
		if d := newGuard(t, Settings{Policy: p}).Check(q); d.Outcome != Allow {
			t.Errorf("%s: %s (%s)", when, d.Outcome, d.Message)
		}
	}
}

func TestHoursAreThoseOfThePolicysZone(t *testing.T) {
	t.Parallel()
	p := policyOf(t, "zone: America/New_York\nrules:\n  - { rule: tested, reason: x, when: hour == 7 and weekday == \"wednesday\", then: allow }\n")
	if d := newGuard(t, Settings{Policy: p}).Check(block("203.0.113.9")); d.Outcome != Allow {
		t.Errorf("%s (%s)", d.Outcome, d.Message)
	}
}

func TestAConditionThatFailsDenies(t *testing.T) {
	t.Parallel()
	p := policyOf(t, "rules:\n  - { rule: tested, reason: x, when: 10 / confidence > 1, then: allow }\n  - { rule: rest, reason: x, then: allow }\n")
	d := newGuard(t, Settings{Policy: p}).Check(block("203.0.113.9"))
	if d.Outcome != Deny || d.Rule != "policy tested" {
		t.Errorf("%s by %q (%s)", d.Outcome, d.Rule, d.Message)
	}
}

func TestTheFirstRuleThatHoldsDecides(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(rt, "rules")
		var text strings.Builder
		text.WriteString("rules:\n")
		first := -1
		for i := range n {
			limit := rapid.IntRange(0, 100).Draw(rt, "limit")
			then := rapid.SampledFrom([]string{"then: allow", "then: deny", "ask: role:a", "then: shadow"}).Draw(rt, "then")
			fmt.Fprintf(&text, "  - { rule: rule-%d, reason: x, when: confidence >= %d, %s }\n", i, limit, then)
			if first < 0 && 50 >= limit {
				first = i
			}
		}
		p, err := ParsePolicy("p", []byte(text.String()))
		if err != nil {
			rt.Fatal(err)
		}
		q := block("203.0.113.9")
		q.Confidence = 50
		g, err := New(Settings{Policy: p})
		if err != nil {
			rt.Fatal(err)
		}
		want := "policy"
		if first >= 0 {
			want = fmt.Sprintf("policy rule-%d", first)
		}
		if d := g.Check(q); d.Rule != want {
			rt.Fatalf("%q decided, want %q\n%s", d.Rule, want, text.String())
		}
	})
}

func TestWhoIsAskedAndHow(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, ask string
		people    string
		need      int
		within    time.Duration
		veto, not bool
	}{
		{"one name", "role:soc-lead", "role:soc-lead", 1, DefaultWithin, false, false},
		{"several names", "[role:soc-lead, ana]", "role:soc-lead ana", 1, DefaultWithin, false, false},
		{"a mapping", "{ by: [role:soc-lead, group:night], need: 2, within: 30m, not_author: true }", "role:soc-lead group:night", 2, 30 * time.Minute, false, true},
		{"a veto", "{ by: on-call:soc-lead, veto: 15m }", "on-call:soc-lead", 1, 15 * time.Minute, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGuard(t, Settings{Policy: policyOf(t, "rules:\n  - { rule: tested, reason: x, ask: "+tt.ask+" }\n")})
			d := g.Check(block("203.0.113.9"))
			if d.Outcome != Ask || len(d.Asks) != 1 || strings.Join(d.Asks[0].People, " ") != tt.people || d.Asks[0].Need != tt.need ||
				d.Within != tt.within || d.Veto != tt.veto || d.NotAuthor != tt.not || d.Asks[0].Source != "policy" {
				t.Errorf("%+v", d)
			}
		})
	}
}

func TestAVetoDoesNotPassALimit(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Settings{
		Policy: policyOf(t, "rules:\n  - { rule: tested, reason: x, ask: { by: role:soc-lead, veto: 15m } }\n"),
		Limits: Limits{Limits: []Limit{{Name: "none", Reason: "x", Hour: 1, Over: Quorum{By: []string{"role:admin"}, Within: time.Hour}}}},
	})
	g.Check(act(1, 1, 0))
	if d := g.Check(act(2, 1, 0)); d.Veto || d.Within != time.Hour || len(d.Asks) != 2 {
		t.Errorf("%+v", d)
	}
}

func TestTheAuthorIsKeptOutWhereThePolicySaysSoForAll(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Settings{Policy: policyOf(t, "not_author: true\n"+allowAll)})
	q := block("203.0.113.9")
	if d := g.Check(q); d.Outcome != Allow || !d.NotAuthor || !d.Result(&q).NotAuthor {
		t.Errorf("%+v", d)
	}
}

func TestWrongFilesAreToldWhereAndWhy(t *testing.T) {
	t.Parallel()
	policy := func(b []byte) error { _, err := ParsePolicy("p.yaml", b); return err }
	limits := func(b []byte) error { _, err := ParseLimits("p.yaml", b); return err }
	protected := func(b []byte) error { _, err := ParseProtected("p.yaml", b); return err }
	tests := []struct {
		name  string
		parse func([]byte) error
		text  string
		want  string
	}{
		{"an empty policy", policy, "", "p.yaml:1:1: the file is empty"},
		{"no rules", policy, "zone: UTC\n", `p.yaml:1:1: the document lacks the key "rules"`},
		{"an empty list of rules", policy, "rules: []\n", "p.yaml:1:8: rules has 0 entries; at least 1"},
		{"an unknown key", policy, "rules:\n  - rule: a-b\n    reason: x\n    wen: person\n    then: deny\n", `p.yaml:4:5: unknown key "wen"; did you mean "when"?`},
		{"an unknown word", policy, "rules:\n  - { rule: a-b, reason: x, then: alow }\n", `p.yaml:2:35: then is "alow"; did you mean "allow"?`},
		{"a rule that decides nothing", policy, "rules:\n  - { rule: a-b, reason: x }\n", `p.yaml:2:5: the rule "a-b" decides nothing; give it then: allow, deny or shadow, or ask`},
		{"a rule that decides twice", policy, "rules:\n  - { rule: a-b, reason: x, then: deny, ask: ana }\n", `p.yaml:2:35: the rule "a-b" has both then and ask`},
		{"a rule without a reason", policy, "rules:\n  - { rule: a-b, then: deny }\n", `p.yaml:2:5: this entry lacks the key "reason"; why it is so; people see it`},
		{"a rule that is never reached", policy, "rules:\n  - { rule: a-b, reason: x, then: deny }\n  - { rule: c-d, reason: x, then: allow }\n", `p.yaml:3:5: the rule "c-d" is never reached: "a-b" above always holds`},
		{"a name twice", policy, "rules:\n  - { rule: a-b, reason: x, when: person, then: deny }\n  - { rule: a-b, reason: x, then: allow }\n", `p.yaml:3:13: the rule "a-b" is here twice`},
		{"a condition that is no condition", policy, "rules:\n  - { rule: a-b, reason: x, when: count, then: deny }\n", "p.yaml:2:35: a condition must be true or false, but count is an int; compare it, such as > 0"},
		{"an unknown name", policy, "rules:\n  - { rule: a-b, reason: x, when: cuont > 1, then: deny }\n", `p.yaml:2:35: unknown name "cuont"; did you mean "count"?`},
		{"a comparison that never holds", policy, "rules:\n  - { rule: a-b, reason: x, when: impact == \"destory\", then: deny }\n", `p.yaml:2:35: impact is never "destory"; did you mean "destroy"?`},
		{"a weekday that is none", policy, "rules:\n  - { rule: a-b, reason: x, when: 'weekday in [\"sunday\", \"Saturday\"]', then: deny }\n", `p.yaml:2:35: weekday is never "Saturday"; did you mean "saturday"?`},
		{"a kind that is none", policy, "rules:\n  - { rule: a-b, reason: x, when: '\"hots\" in kinds', then: deny }\n", `p.yaml:2:35: kinds is never "hots"; did you mean "host"?`},
		{"a text for a number", policy, "rules:\n  - { rule: a-b, reason: x, when: 'hour == \"8\"', then: deny }\n", "p.yaml:2:35: "},
		{"no such time zone", policy, "zone: Mars/Olympus\n" + allowAll, `p.yaml:1:7: "Mars/Olympus" is no time zone`},
		{"nobody is asked", policy, "rules:\n  - { rule: a-b, reason: x, ask: [] }\n", "p.yaml:2:34: nobody is asked; name somebody"},
		{"nobody is asked in a mapping", policy, "rules:\n  - { rule: a-b, reason: x, ask: { by: [] } }\n", "p.yaml:2:40: nobody is asked"},
		{"an ask without people", policy, "rules:\n  - { rule: a-b, reason: x, ask: { need: 2 } }\n", `lacks the key "by"`},
		{"a number where people stand", policy, "rules:\n  - { rule: a-b, reason: x, ask: 2 }\n", "p.yaml:2:34: ask is the number 2"},
		{"need 0", policy, "rules:\n  - { rule: a-b, reason: x, ask: { by: ana, need: 0 } }\n", "p.yaml:2:51: need is 0; at least 1"},
		{"two ends", policy, "rules:\n  - { rule: a-b, reason: x, ask: { by: ana, within: 1h, veto: 1h } }\n", "both within and veto are given"},
		{"a veto of several", policy, "rules:\n  - { rule: a-b, reason: x, ask: { by: ana, need: 2, veto: 1h } }\n", "both need and veto are given"},
		{"a duration that is none", policy, "rules:\n  - { rule: a-b, reason: x, ask: { by: ana, within: soon } }\n", `p.yaml:2:53: "soon" is no duration`},
		{"an anchor", policy, "rules: &a\n  - { rule: a-b, reason: x, then: deny }\n", "p.yaml:1:8: anchor &a"},
		{"a key twice", policy, allowAll + "rules: []\n", `p.yaml:3:1: the key "rules" is here twice`},
		{"no YAML", policy, "rules: [", "p.yaml:2:1: not valid YAML"},
		{"a limit of nothing", limits, "limits:\n  - { limit: a-b, reason: x, over: ana }\n", `p.yaml:2:5: the limit "a-b" limits nothing; give it run, hour, day or percent`},
		{"a limit without people", limits, "limits:\n  - { limit: a-b, reason: x, hour: 2 }\n", `p.yaml:2:5: this entry lacks the key "over"; who is asked when it is used up`},
		{"a limit passed by silence", limits, "limits:\n  - { limit: a-b, reason: x, hour: 2, over: { by: ana, veto: 1h } }\n", "veto does not go with a limit"},
		{"a limit by day below that by hour", limits, "limits:\n  - { limit: a-b, reason: x, hour: 5, day: 2, over: ana }\n", "p.yaml:2:44: day is 2, and hour 5"},
		{"too many per cent", limits, "limits:\n  - { limit: a-b, reason: x, percent: 200, over: ana }\n", "p.yaml:2:39: percent is 200"},
		{"a limit for an unknown kind", limits, "limits:\n  - { limit: a-b, reason: x, hour: 1, for: { kind: [hots] }, over: ana }\n", `p.yaml:2:53: "hots" is no kind of target; did you mean "host"?`},
		{"a limit per what cannot be", limits, "limits:\n  - { limit: a-b, reason: x, hour: 1, per: [run], over: ana }\n", `per is "run"`},
		{"a limit twice", limits, "limits:\n  - { limit: a-b, reason: x, hour: 1, over: ana }\n  - { limit: a-b, reason: x, hour: 1, over: ana }\n", `p.yaml:3:14: the limit "a-b" is here twice`},
		{"a breaker that never opens", limits, "breakers:\n  - { breaker: a-b, reason: x, per: connection }\n", `p.yaml:2:5: the breaker "a-b" never opens`},
		{"a breaker over a year", limits, "breakers:\n  - { breaker: a-b, reason: x, per: connection, volume: { count: 1, in: 365d } }\n", "p.yaml:2:73: in is 365d; a time from 10s to 24h"},
		{"networks that are none", limits, "widest_network: { ipv4: 64, ipv6: 64 }\n", "there are no networks of so many bits"},
		{"a list of nothing", protected, "lists:\n  - { list: a-b, owner: x, reason: y }\n", `p.yaml:2:5: the list "a-b" protects nothing`},
		{"a list without an owner", protected, "lists:\n  - { list: a-b, reason: y, ips: [10.0.0.0/8] }\n", `p.yaml:2:5: this entry lacks the key "owner"`},
		{"an address that is none", protected, "lists:\n  - { list: a-b, owner: x, reason: y, ips: [10.0.0.0/8, 10.0.0.256] }\n", `p.yaml:2:57: "10.0.0.256" is neither an address nor a network`},
		{"a domain with a star", protected, "lists:\n  - { list: a-b, owner: x, reason: y, domains: ['*.example.com'] }\n", `p.yaml:2:49: "*.example.com" is no domain; write it as example.com; all that is below it is meant anyway`},
		{"a pattern that is none", protected, "lists:\n  - { list: a-b, owner: x, reason: y, patterns: { host: ['dc-('] } }\n", "p.yaml:2:58: missing closing )"},
		{"a pattern that matches nothing at all", protected, "lists:\n  - { list: a-b, owner: x, reason: y, patterns: { host: ['.*'] } }\n", "matches everything that is empty"},
		{"an unknown kind", protected, "lists:\n  - { list: a-b, owner: x, reason: y, exact: { hots: [a] } }\n", `p.yaml:2:54: "hots" is no kind of target; did you mean "host"?`},
		{"a day that is none", protected, "lists:\n  - { list: a-b, owner: x, reason: y, expires: soon, hosts: [a] }\n", "p.yaml:2:48: "},
		{"a list twice", protected, "lists:\n  - { list: a-b, owner: x, reason: y, hosts: [a] }\n  - { list: a-b, owner: x, reason: y, hosts: [b] }\n", `p.yaml:3:13: the list "a-b" is here twice`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.parse([]byte(tt.text))
			if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestEverythingWrongWithAFileIsToldAtOnce(t *testing.T) {
	t.Parallel()
	_, err := ParsePolicy("p.yaml", []byte("rules:\n  - { rule: a-b, reason: x, when: cuont, then: deny }\n  - { rule: c-d, reason: x, then: alow }\n"))
	if err == nil || strings.Count(err.Error(), "p.yaml:") != 2 {
		t.Errorf("%v", err)
	}
}

func TestTooManyPatternsAreRefused(t *testing.T) {
	t.Parallel()
	l := List{Name: "a-b", Owner: "x", Reason: "y", Patterns: map[connector.TargetKind][]string{}}
	for i := range maxPatterns + 1 {
		l.Patterns["host"] = append(l.Patterns["host"], fmt.Sprintf("dc-%d", i))
	}
	if _, err := New(Settings{Lists: []List{l}}); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func TestThePolicyInForceCanBePrinted(t *testing.T) {
	t.Parallel()
	rules := defaults(t).Policy.Rules()
	if len(rules) < 5 || rules[0].Rule != "destroy" || rules[0].When != `impact == "destroy"` || rules[0].Then != "ask 2 of role:soc-lead, role:incident-manager" || rules[0].Reason == "" {
		t.Errorf("%+v", rules[0])
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add(string(shipped(f, "policy.yaml")))
	f.Add(allowAll)
	f.Add("rules:\n  - { rule: a-b, reason: x, ask: { by: [ana], need: 2, within: 1h } }\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePolicy("p.yaml", []byte(text))
		if (p == nil) == (err == nil) || err != nil && !errors.Is(err, fault.Invalid) {
			t.Fatalf("%v, %v", p, err)
		}
		if p != nil {
			g, err := New(Settings{Policy: p})
			if err != nil {
				t.Fatal(err)
			}
			g.Check(block("203.0.113.9"))
		}
	})
}

func FuzzLimits(f *testing.F) {
	f.Add(string(shipped(f, "limits.yaml")))
	f.Add(twoAnHour)
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseLimits("p.yaml", []byte(text))
		if err != nil {
			if !errors.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		g, err := New(Settings{Policy: policyOf(t, allowAll), Limits: l})
		if err != nil {
			t.Fatal(err)
		}
		call(g, block("203.0.113.9"))
	})
}

func FuzzProtected(f *testing.F) {
	f.Add(string(shipped(f, "protected.yaml")), "ip", "10.0.0.1")
	f.Add("lists:\n  - { list: a-b, owner: x, reason: y, users: ['A\\b'], hosts: [a.b], domains: [c.d] }\n", "user", `A\b`)
	f.Add("lists:\n  - { list: a-b, owner: x, reason: y, ips: ['::/0'] }\n", "url", "http://[::1]/")
	f.Fuzz(func(t *testing.T, text, kind, value string) {
		lists, err := ParseProtected("p.yaml", []byte(text))
		if err != nil {
			if !errors.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		newIndex(lists, noon).find("", connector.Target{Kind: connector.TargetKind(kind), Value: value}, []string{value})
	})
}
