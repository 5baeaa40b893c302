package score

import (
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"riposte/content"
	"riposte/internal/alert"
	"riposte/internal/intel"
)

func TestWhatWasWorkedOutInAdvanceIsWhatWouldBeWorkedOut(t *testing.T) {
	t.Parallel()
	src, err := fs.ReadFile(content.Files(), "triage/score.yaml")
	if err != nil {
		t.Fatal(err)
	}
	fast, err := Parse("score.yaml", src)
	if err != nil {
		t.Fatal(err)
	}
	slow, err := Parse("score.yaml", src)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range slow.factors {
		f.reads = everything
	}
	rapid.Check(t, func(t *rapid.T) {
		a := &alert.Alert{Severity: rapid.IntRange(0, 5).Draw(t, "severity")}
		var f Facts
		for range rapid.IntRange(0, quietMost+3).Draw(t, "things") {
			f.Verdicts = append(f.Verdicts, Verdict{Type: "ip", Value: "203.0.113.9", Verdict: intel.Unknown})
		}
		if len(f.Verdicts) > 0 && rapid.Bool().Draw(t, "one is known") {
			f.Verdicts[0].Verdict, f.Verdicts[0].Confidence = rapid.SampledFrom([]intel.Verdict{intel.Harmless, intel.Malicious}).Draw(t, "verdict"), 50
		}
		if rapid.Bool().Draw(t, "history") {
			f.History.FalsePositive = 30
		}
		if rapid.Bool().Draw(t, "seen") {
			f.Seen = Seen{Alerts: 60, Verdict: "true_positive"}
		}
		if rapid.Bool().Draw(t, "listed") {
			f.Assets.All = []Listed{{Value: "dc", Level: Critical}}
		}
		now := time.Unix(0, 0)
		if diff := cmp.Diff(slow.Score(a, nil, f, now), fast.Score(a, nil, f, now)); diff != "" {
			t.Fatal(diff)
		}
	})
}
