package score_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"riposte/internal/alert"
	"riposte/internal/intel"
	"riposte/internal/score"
)

var now = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

// drawAlert makes any alert, sensible or not.
func drawAlert(t *rapid.T) *alert.Alert {
	a := &alert.Alert{
		Source: "sensor", Title: rapid.String().Draw(t, "title"), Severity: rapid.IntRange(-1, 6).Draw(t, "severity"),
		Techniques: rapid.SliceOfN(rapid.SampledFrom([]string{"T1486", "T1059.001", "T1595", "T9999", "TA0006:T1110.003", "no technique", ""}), 0, 4).Draw(t, "techniques"),
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "observables") {
		a.Observables = append(a.Observables, alert.Observable{Type: "ip", Value: fmt.Sprintf("203.0.113.%d", i)})
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "entities") {
		a.Entities = append(a.Entities, alert.Entity{Kind: rapid.SampledFrom([]string{"host", "user"}).Draw(t, "kind"), Value: fmt.Sprintf("e%d", i)})
	}
	return a
}

var verdicts = []intel.Verdict{intel.Harmless, intel.Unknown, intel.Suspicious, intel.Malicious}

func drawFacts(t *rapid.T, a *alert.Alert) score.Facts {
	notes := rapid.SampledFrom([]string{"low", "medium", "high", "critical", "critical, privileged", ""})
	list := []score.Entry{{Value: "e0", Note: notes.Draw(t, "note")}, {Value: "e1", Note: notes.Draw(t, "note")}}
	f := score.Facts{
		Assets: score.NewInventory(list).Assets(a), Identities: score.NewInventory(list).Identities(a),
		History: score.History{TruePositive: rapid.IntRange(0, 30).Draw(t, "true"), FalsePositive: rapid.IntRange(0, 30).Draw(t, "false")},
		Seen:    score.Seen{Alerts: rapid.IntRange(0, 90).Draw(t, "seen"), Verdict: rapid.SampledFrom([]string{"", "true_positive", "false_positive"}).Draw(t, "said")},
	}
	for _, o := range a.Observables {
		f.Verdicts = append(f.Verdicts, score.Verdict{
			Type: o.Type, Value: o.Value, Verdict: rapid.SampledFrom(verdicts).Draw(t, "verdict"), Confidence: rapid.IntRange(0, 100).Draw(t, "confidence"),
		})
	}
	return f
}

func TestEveryScoreIsBetween0And100AndItsReasonsAddUp(t *testing.T) {
	t.Parallel()
	r := shipped(t)
	rapid.Check(t, func(t *rapid.T) {
		a := drawAlert(t)
		got := r.Score(a, nil, drawFacts(t, a), now)
		sum := 0
		for _, x := range got.Reasons {
			sum += x.Points
			if x.Why == "" || x.Factor == "" || strings.HasPrefix(x.Why, "could not") {
				t.Fatalf("a reason that is none: %+v", x)
			}
		}
		if sum != got.Score || got.Score < 0 || got.Score > 100 || got.Band != r.Band(got.Score) {
			t.Fatalf("reasons add up to %d: %+v", sum, got)
		}
	})
}

func TestAWorseVerdictNeverLowersTheScore(t *testing.T) {
	t.Parallel()
	r := shipped(t)
	rapid.Check(t, func(t *rapid.T) {
		a := drawAlert(t)
		f := drawFacts(t, a)
		if len(f.Verdicts) == 0 {
			return
		}
		before := r.Score(a, nil, f, now)
		v := &f.Verdicts[rapid.IntRange(0, len(f.Verdicts)-1).Draw(t, "which")]
		for i, is := range verdicts {
			if is == v.Verdict {
				v.Verdict = verdicts[rapid.IntRange(i, len(verdicts)-1).Draw(t, "worse")]
				break
			}
		}
		if after := r.Score(a, nil, f, now); after.Score < before.Score {
			t.Fatalf("%d became %d:\n%+v\n%+v", before.Score, after.Score, before.Reasons, after.Reasons)
		}
	})
}

func TestTheOrderOfWhatAnAlertHoldsDoesNotMatter(t *testing.T) {
	t.Parallel()
	r := shipped(t)
	rapid.Check(t, func(t *rapid.T) {
		a := drawAlert(t)
		f := drawFacts(t, a)
		before := r.Score(a, nil, f, now)
		b := *a
		b.Observables = rapid.Permutation(a.Observables).Draw(t, "observables")
		b.Entities = rapid.Permutation(a.Entities).Draw(t, "entities")
		b.Techniques = rapid.Permutation(a.Techniques).Draw(t, "techniques")
		f.Verdicts = rapid.Permutation(f.Verdicts).Draw(t, "verdicts")
		if diff := cmp.Diff(before, r.Score(&b, nil, f, now)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestTheOrderOfFactorsDoesNotMatter(t *testing.T) {
	t.Parallel()
	one := "  - { factor: f-one, group: g, when: alert.severity >= 3, points: 30, why: one }\n"
	two := "  - { factor: f-two, group: g, when: alert.severity >= 2, points: -7, why: two }\n"
	three := "  - { factor: f-three, points: 90, why: three }\n"
	head := strings.SplitN(least, "factors:", 2)[0] + "groups: { g: { most: 20 } }\nfactors:\n"
	want := parse(t, head+one+two+three).Score(&alert.Alert{Severity: 4}, nil, score.Facts{}, now)
	for _, text := range []string{one + three + two, two + one + three, three + two + one} {
		if got := parse(t, head+text).Score(&alert.Alert{Severity: 4}, nil, score.Facts{}, now); got.Score != want.Score || len(got.Reasons) != len(want.Reasons) {
			t.Errorf("%+v\n%+v", got, want)
		}
	}
}

func TestWhatIsNotKnownIsSaid(t *testing.T) {
	t.Parallel()
	r := shipped(t)
	why := func(res score.Result, factor string) string {
		for _, x := range res.Reasons {
			if x.Factor == factor {
				return x.Why
			}
		}
		return ""
	}
	a := &alert.Alert{Source: "s", Title: "T", Observables: []alert.Observable{{Type: "ip", Value: "203.0.113.9"}}}
	said := []intel.Opinion{
		{Source: "feed-a", Reliability: "A", Verdict: intel.Harmless, Confidence: 90, At: now},
		{Source: "feed-b", Reliability: "B", Verdict: intel.Malicious, Confidence: 60, At: now},
		{Source: "feed-c", Verdict: intel.Malicious, Confidence: 60, At: now.Add(-2 * time.Hour), Expires: now.Add(-time.Hour)},
	}
	res := r.Score(a, nil, score.Facts{Verdicts: []score.Verdict{score.Judge("ip", "203.0.113.9", said, now)}, Missing: []string{"reputation has not answered within 60s"}}, now)
	for _, tt := range []struct{ factor, want string }{
		{"severity", "its source says no severity"},
		{"contradiction", "sources contradict each other about 203.0.113.9: feed-a decides, feed-b says malicious; taken as unknown"},
		{"not-known", "no verdict on 1 thing in it; no listed machine; no listed account; no technique; detection never judged; nothing like it before; reputation has not answered within 60s"},
	} {
		if got := why(res, tt.factor); got != tt.want {
			t.Errorf("%s: %q\nwant %q", tt.factor, got, tt.want)
		}
	}
	a.Error = "event is not JSON"
	if got := why(r.Score(a, nil, score.Facts{}, now), "severity"); !strings.Contains(got, "could not be read") {
		t.Errorf("%q", got)
	}
}

func TestAPersonsWordDecidesAgainstSources(t *testing.T) {
	t.Parallel()
	v := score.Judge("ip", "203.0.113.9", []intel.Opinion{
		{Source: "feed", Reliability: "A", Verdict: intel.Malicious, Confidence: 90, At: now},
		{Source: "ana", Manual: true, Verdict: intel.Harmless, Confidence: 80, At: now},
	}, now)
	if v.Verdict != intel.Harmless || len(v.Against) != 1 {
		t.Errorf("%+v", v)
	}
	r := shipped(t).Score(&alert.Alert{Severity: 3}, nil, score.Facts{Verdicts: []score.Verdict{{Type: "domain", Value: "example.org", Verdict: intel.Malicious, Confidence: 100, Allowed: "own"}}}, now)
	if r.Score != 38 {
		t.Errorf("what is on the allow list counts as malicious: %+v", r)
	}
}

func TestAFactorThatCannotBeWorkedOutCostsNoScore(t *testing.T) {
	t.Parallel()
	r := parse(t, strings.Replace(least, `when: alert.host != nil`, `when: alert.fields.level > 3`, 1))
	got := r.Score(&alert.Alert{Severity: 3, Fields: map[string]any{"level": "high"}}, nil, score.Facts{}, now)
	if got.Score != 38 || !strings.Contains(fmt.Sprint(got.Reasons), "host 0 could not be worked out") {
		t.Errorf("%+v", got)
	}
}

func TestEnrichmentIsChosenByCondition(t *testing.T) {
	t.Parallel()
	r := parse(t, least+"enrichment: { playbooks: [{ playbook: look-ip, when: alert.ip != nil }, { playbook: look-all }, { playbook: look-odd, when: alert.fields.level > 3 }] }\n")
	if r.Enrich.Deadline != time.Minute {
		t.Errorf("%s", r.Enrich.Deadline)
	}
	a := &alert.Alert{Fields: map[string]any{"level": 1}}
	if diff := cmp.Diff([]string{"look-all"}, r.Enrich.Wanted(a.Object(), now)); diff != "" {
		t.Error(diff)
	}
	a = &alert.Alert{Fields: map[string]any{"level": "x"}, Observables: []alert.Observable{{Type: "ip", Value: "203.0.113.9"}}}
	if diff := cmp.Diff([]string{"look-ip", "look-all", "look-odd"}, r.Enrich.Wanted(a.Object(), now)); diff != "" {
		t.Error(diff)
	}
}

func BenchmarkScore(b *testing.B) {
	r := shipped(b)
	a := &alert.Alert{
		Source: "eve", Title: "ET SCAN Nessus User Agent", Severity: 3, Category: "intrusion",
		Entities:    []alert.Entity{{Kind: "host", Value: "sensor-1"}},
		Observables: []alert.Observable{{Type: "ip", Value: "203.0.113.9", Role: "source"}, {Type: "ip", Value: "192.0.2.10", Role: "destination"}},
	}
	f := score.Facts{Verdicts: []score.Verdict{{Type: "ip", Value: "203.0.113.9", Verdict: intel.Unknown}, {Type: "ip", Value: "192.0.2.10", Verdict: intel.Unknown}}}
	o := a.Object()
	b.ReportAllocs()
	for b.Loop() {
		r.Score(a, o, f, now)
	}
}
