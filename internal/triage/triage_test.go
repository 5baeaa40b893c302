package triage

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"riposte/internal/alert"
	"riposte/internal/fault"
)

func shipped(t testing.TB) *Rules {
	t.Helper()
	const name = "../../content/triage/rules.yaml"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Parse(name, text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func passes(t *testing.T, r *Rules) {
	t.Helper()
	for _, res := range r.Test() {
		if len(res.Wrong) > 0 {
			t.Errorf("line %d, %s: %s", res.Line, res.Name, strings.Join(res.Wrong, "; "))
		}
	}
}

func TestTheShippedRulesPassTheirTests(t *testing.T) {
	r := shipped(t)
	if r.Tests() < 8 {
		t.Errorf("%d tests", r.Tests())
	}
	passes(t, r)
}

func TestTheRulesOfTheDocumentPassTheirTests(t *testing.T) {
	text, err := os.ReadFile("../../docs/triage.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	block, _, found := strings.Cut(rest, "\n```")
	if !found {
		t.Fatal("the document shows no rules")
	}
	r, err := Parse("docs/triage.md", []byte(block+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Tests() < 3 {
		t.Errorf("%d tests", r.Tests())
	}
	passes(t, r)
}

func TestWhatIsWrongWithRulesIsToldAtItsPlace(t *testing.T) {
	const head = "triage: test\nversion: 1\nrules:\n"
	tests := []struct{ name, text, want string }{
		{"no decision", head + "  - { rule: one, why: x }\n", "test.yaml:4:5: the rule \"one\" does nothing"},
		{"two decisions", head + "  - { rule: one, why: x, then: keep, fold: { within: 1h } }\n", "has then and fold"},
		{"a name twice", head + "  - { rule: one, why: x, when: \"true\", then: keep }\n  - { rule: one, why: x, then: drop }\n", "test.yaml:5:"},
		{"never reached", head + "  - { rule: one, why: x, then: keep }\n  - { rule: two, why: x, then: drop }\n", "\"two\" is never reached"},
		{"a condition that is none", head + "  - { rule: one, why: x, when: alert.severity + 1, then: keep }\n", "test.yaml:4:"},
		{"an unknown field", head + "  - { rule: one, why: x, when: alert.sevrity > 1, then: keep }\n", "sevrity"},
		{"an unknown key", head + "  - { rule: one, why: x, than: keep }\n", "unknown key \"than\""},
		{"a template that is not there", head + "  - { rule: one, why: x, case: { template: acount } }\n", "there is no template \"acount\""},
		{"an end before the beginning", head + "  - { rule: one, why: x, then: keep, valid: { from: 2026-02-01, until: 2026-01-01 } }\n", "it ends before it begins"},
		{"a route for everything", head + "  - { rule: one, why: x, then: keep }\nroutes: [{ route: all, start: x }]\n", "for everything"},
		{"a storm of two", head + "  - { rule: one, why: x, then: keep }\nstorms: [{ storm: s, why: x, more_than: 2 }]\n", "more_than is 2"},
		{"a window that never is", head + "  - { rule: one, why: x, then: keep }\nmaintenance: [{ maintenance: patches, why: x, covers: \"true\" }]\n", "is never"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("test.yaml", []byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !errors.Is(err, fault.Invalid) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}

// stream is a made-up stream of alerts, the same for the same seed.
func stream(t *rapid.T) []alert.Alert {
	at := monday
	n := rapid.IntRange(1, 200).Draw(t, "alerts")
	all := make([]alert.Alert, n)
	for i := range all {
		at = at.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "seconds")) * time.Second)
		pick := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
		all[i] = alert.Alert{
			ID: alert.ID(i + 1), Source: pick("source", "a", "b"), Title: pick("title", "scan", "login", "noise"), GroupKey: pick("group", "", "g1", "g2"),
			Severity: rapid.IntRange(0, 5).Draw(t, "severity"), Category: pick("category", "", "login_failed"), Status: alert.New,
			Entities: []alert.Entity{{Kind: "user", Value: pick("user", "ana", "ben")}}, Received: at,
		}
		if pick("readable", "yes", "yes", "yes", "no") == "no" {
			all[i].Error = "no JSON"
		}
	}
	return all
}

const everyKind = `triage: every-kind
version: 1
storms: [{ storm: storm, why: x, more_than: 10, by: source, spare: 2 }]
rules:
  - { rule: fails, why: x, when: "alert.fields.a.b.c > 1", severity: high }
  - { rule: up, why: x, when: alert.severity < 3, threshold: { count: 3, within: 10m, by: rule }, severity: raise, tags: [many] }
  - { rule: noise, why: x, when: 'alert.title == "noise"', then: drop }
  - { rule: again, why: x, fold: { within: 30m, by: [group, rule] } }
  - { rule: force, why: x, when: 'alert.category == "login_failed" and seen.rule > 2', case: { by: user, title: "${{ alert.user }}" } }
  - { rule: story, why: x, attach: { within: 1h, by: user } }
`

func TestTheSameStreamEndsTheSame(t *testing.T) {
	r, err := Parse("test.yaml", []byte(everyKind))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		all := stream(t)
		one, two := NewVirtual(r), NewVirtual(r)
		total := 0
		for _, a := range all {
			b := a
			x, y := one.Take(&a), two.Take(&b)
			if diff := cmp.Diff(x, y); diff != "" {
				t.Fatalf("%s: %s", a.ID, diff)
			}
			x.Apply(&a, &b, 1, "C-1")
			if a.Outcome == "" || (a.Status == alert.Folded) != (a.Into != 0) || a.Into >= a.ID && a.Into != 0 {
				t.Fatalf("%s does not say what happened: %+v", a.ID, a)
			}
			if came := AsItCame(a); came.Severity != b.Severity || came.Category != b.Category {
				t.Fatalf("%s came with severity %d, not %d", a.ID, b.Severity, came.Severity)
			}
			if x.Act == Attach || x.Act == OpenCase {
				total++
			}
		}
		inCases := 0
		for _, c := range one.Cases {
			inCases += c.Alerts
		}
		if inCases != total {
			t.Fatalf("%d alerts are in cases, %d were put there", inCases, total)
		}
	})
}

func TestWhatIsTakenBackIsAsIfItHadNotBeen(t *testing.T) {
	r, err := Parse("test.yaml", []byte(everyKind))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		all := stream(t)
		plain, failing := NewState(), NewState()
		for i := range all {
			a, b := all[i], all[i]
			if rapid.Bool().Draw(t, "fails first") {
				var u Undo
				if _, err := r.Decide(r.Prepare(&b, nil), failing, Nowhere{}, &u); err != nil {
					t.Fatal(err)
				}
				u.Back(0)
				b = all[i]
			}
			x, errX := r.Decide(r.Prepare(&a, nil), plain, Nowhere{}, &Undo{})
			y, errY := r.Decide(r.Prepare(&b, nil), failing, Nowhere{}, &Undo{})
			if x.Storm != nil { // which are the minute's others is not taken back
				x.Storm.Alone, y.Storm.Alone = nil, nil
			}
			if diff := cmp.Diff(x, y); diff != "" || errX != nil || errY != nil {
				t.Fatalf("%s: %s", a.ID, diff)
			}
		}
	})
}
