package score_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"riposte/content"
	"riposte/internal/fault"
	"riposte/internal/score"
)

// shipped is the score file that we ship.
func shipped(t testing.TB) *score.Rules {
	t.Helper()
	src, err := fs.ReadFile(content.Files(), "triage/score.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r, err := score.Parse("content/triage/score.yaml", src)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheShippedFilePassesItsOwnTests(t *testing.T) {
	t.Parallel()
	results := shipped(t).Test()
	if len(results) < 10 {
		t.Fatalf("%d tests", len(results))
	}
	for _, r := range results {
		for _, w := range r.Wrong {
			t.Errorf("line %d: %s: %s", r.Line, r.Name, w)
		}
	}
}

const least = `score: small
version: 1
bands: { analyst: 25, automatic: 80 }
severity: { unknown: 35, informational: 10, low: 22, medium: 38, high: 52, critical: 65 }
factors:
  - factor: host
    when: alert.host != nil
    points: 5
    why: "has a host: ${{ alert.host }}"
`

func parse(t testing.TB, text string) *score.Rules {
	t.Helper()
	r, err := score.Parse("score.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAMistakeIsToldAtItsPlaceWithItsRemedy(t *testing.T) {
	t.Parallel()
	parse(t, least)
	for _, tt := range []struct{ name, from, to, want string }{
		{"an unknown key", "bands:", "band: 3\nbands:", `score.yaml:3:1: unknown key "band"`},
		{"a field that is not there", "alert.host != nil", "alert.hots != nil", "hots"},
		{"a fact that is not there", "alert.host != nil", "assets.highst == nil", "highst"},
		{"a verdict that is never", "alert.host != nil", `verdicts.worst == "bad"`, `verdicts.worst is never "bad"; expected one of`},
		{"bands in the wrong order", "automatic: 80", "automatic: 20", "score.yaml:3:34: the band automatic begins at 20, below the band analyst; expected 25 to 101"},
		{"a severity that gives less than a lower one", "high: 52", "high: 30", "high begins with 30 points, fewer than medium"},
		{"more points than there are", "points: 5", "points: 500", "500 points are more than a score has"},
		{"half a point", "points: 5", "points: 0.5", "expected a whole number"},
		{"points that are a text", "points: 5", "points: five", "expected a whole number"},
		{"a group that is not there", "points: 5", "points: 5\n    group: hosts", `there is no group "hosts"`},
		{"a factor that is there twice", "    why: \"has a host: ${{ alert.host }}\"\n", "    why: x\n  - factor: host\n    points: 1\n    why: y\n", `the factor "host" is there already`},
		{"a factor with a name of ours", "factor: host", "factor: severity", "one of Riposte's own reasons"},
		{"a sample that nobody gets", "factors:", "closing: [{ close: c-c, reason: r, when: \"true\", sample: 0%, max_disagreement: 5% }]\nfactors:", "no sample would go to a person"},
		{"a share without its sign", "factors:", "closing: [{ close: c-c, reason: r, when: \"true\", sample: 10, max_disagreement: 5% }]\nfactors:", "10 is no share"},
		{"a share that is no number", "factors:", "closing: [{ close: c-c, reason: r, when: \"true\", sample: NaN%, max_disagreement: 5% }]\nfactors:", "is no share"},
		{"a rule that may always be wrong", "factors:", "closing: [{ close: c-c, reason: r, when: \"true\", sample: 10%, max_disagreement: 60% }]\nfactors:", "people disagree with half"},
		{"a deadline of a week", "factors:", "enrichment: { deadline: 7d, playbooks: [{ playbook: look-up }] }\nfactors:", "expected 1s to 24h"},
		{"a technique in two rows", "factors:", "techniques: [{ name: a, points: 1, ids: [T1486] }, { name: b, points: 2, ids: [T1486] }]\nfactors:", "T1486 is here twice"},
		{"a technique that is none", "factors:", "techniques: [{ name: a, points: 1, ids: [1486x] }]\nfactors:", "ids"},
		{"a test of a factor that is not there", "factors:", "tests: [{ name: n, alert: { severity: high }, expect: { reasons: [hots] } }]\nfactors:", `there is no factor "hots"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(least, tt.from, tt.to, 1)
			if text == least {
				t.Fatal("nothing was changed")
			}
			_, err := score.Parse("score.yaml", []byte(text))
			if err == nil || !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}
