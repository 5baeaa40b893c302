package score_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"riposte/internal/alert"
	"riposte/internal/score"
)

func closing(t *testing.T, sample string) *score.Closing {
	t.Helper()
	return parse(t, fmt.Sprintf("closing: [{ close: c-c, reason: r, when: alert.severity == 1, sample: %s, max_disagreement: 5%%, least: 20 }]\n", sample)+least).Closing[0]
}

func TestTheSampleIsTheShareThatTheRuleSays(t *testing.T) {
	t.Parallel()
	const alerts = 10_000
	for _, share := range []float64{0.5, 10, 50, 100} {
		c := closing(t, fmt.Sprintf("%g%%", share))
		sampled, other := 0, 0
		for i := range alerts {
			key := fmt.Sprintf("%032x", i)
			one := c.Sampled([]byte("secret"), "default", "sensor", key)
			if one != c.Sampled([]byte("secret"), "default", "sensor", key) {
				t.Fatal("asked twice, it is not the same")
			}
			if one {
				sampled++
			}
			if one != c.Sampled([]byte("another"), "default", "sensor", key) {
				other++
			}
		}
		p := share / 100
		if d := math.Abs(float64(sampled) - alerts*p); d > 5*math.Sqrt(alerts*p*(1-p)) {
			t.Errorf("%g%%: %d of %d", share, sampled, alerts)
		}
		if p < 1 && other == 0 {
			t.Errorf("%g%%: another key gives the same sample", share)
		}
	}
}

func TestARuleStopsWhenPeopleDisagreeTooOften(t *testing.T) {
	t.Parallel()
	c := closing(t, "10%")
	for _, tt := range []struct {
		samples, disagree int
		goes              bool
	}{
		{0, 0, true}, {1, 1, true}, {2, 2, false}, {19, 1, true}, {20, 1, true}, {20, 2, false}, {39, 2, false}, {40, 2, true}, {100, 5, true}, {100, 6, false}, {0, 3, false},
	} {
		goes, why := c.Judge(score.Record{Samples: tt.samples, Disagree: tt.disagree})
		if goes != tt.goes || goes != (why == "") {
			t.Errorf("%d of %d: %v (%s)", tt.disagree, tt.samples, goes, why)
		}
	}
}

func TestOnlyFalsePositivesThatAreFullyKnownAreClosed(t *testing.T) {
	t.Parallel()
	r := parse(t, "closing: [{ close: c-c, reason: r, when: alert.severity == 1, sample: 10%, max_disagreement: 5% }, { close: c-odd, reason: r, when: alert.fields.x > 1, sample: 10%, max_disagreement: 5% }]\n"+least)
	for _, tt := range []struct {
		name string
		a    alert.Alert
		f    score.Facts
		want int
	}{
		{"covered", alert.Alert{Severity: 1}, score.Facts{}, 1},
		{"not covered", alert.Alert{Severity: 2}, score.Facts{}, 0},
		{"for an analyst", alert.Alert{Severity: 3}, score.Facts{}, 0},
		{"unreadable", alert.Alert{Severity: 1, Error: "no JSON"}, score.Facts{}, 0},
		{"a source has not answered", alert.Alert{Severity: 1}, score.Facts{Missing: []string{"reputation"}}, 0},
	} {
		res := r.Score(&tt.a, nil, tt.f, now)
		if got := r.Closes(&tt.a, nil, tt.f, res, now); len(got) != tt.want {
			t.Errorf("%s: %d rules", tt.name, len(got))
		}
	}
}

func TestHistoryIsThatOf90Days(t *testing.T) {
	t.Parallel()
	var m score.Memory
	d := score.DetectionOf(&alert.Alert{Source: "s", Title: "T", Fields: map[string]any{"rule_id": 2001}})
	if d.Rule != "2001" {
		t.Fatalf("%+v", d)
	}
	m.Decided(d, "false_positive", now.AddDate(0, 0, -91), 1)
	m.Decided(d, "false_positive", now.AddDate(0, 0, -89), 1)
	m.Decided(d, "true_positive", now, 1)
	m.Decided(d, "undetermined", now, 1)
	m.Decided(d, "false_positive", now, 1)
	m.Decided(d, "false_positive", now, -1)
	want := score.History{TruePositive: 1, FalsePositive: 1}
	if got := m.History(d, now); got != want {
		t.Errorf("%+v", got)
	}
	m.Forget(now.Add(48 * time.Hour))
	if got := m.History(d, now); got != (score.History{TruePositive: 1}) {
		t.Errorf("%+v", got)
	}
}

func TestPairsSeenBeforeAreCountedWithTheLastWord(t *testing.T) {
	t.Parallel()
	var m score.Memory
	of := func(ip, user string) []uint64 {
		return score.Pairs("", &alert.Alert{Observables: []alert.Observable{{Type: "ip", Value: ip}}, Entities: []alert.Entity{{Kind: "user", Value: user}}})
	}
	for range 3 {
		m.Saw(of("203.0.113.1", "ana"))
	}
	m.Said(of("203.0.113.1", "ana"), "false_positive", now)
	if got := m.Seen(of("203.0.113.1", "ana")); got != (score.Seen{Alerts: 3, Verdict: "false_positive"}) {
		t.Errorf("%+v", got)
	}
	if got := m.Seen(of("203.0.113.1", "ben")); got != (score.Seen{}) {
		t.Errorf("another person: %+v", got)
	}
	m.Said(of("203.0.113.1", "ana"), "true_positive", now.AddDate(0, 0, -1)) // heard late
	m.Said(of("203.0.113.1", "ana"), "true_positive", now.AddDate(0, 0, 1))
	if got := m.Seen(of("203.0.113.1", "ana")); got.Verdict != "true_positive" {
		t.Errorf("%+v", got)
	}
	for i := range 500_000 {
		m.Saw([]uint64{uint64(i)})
	}
	if got := m.Seen(of("203.0.113.1", "ana")); got != (score.Seen{}) {
		t.Errorf("what was not met for two generations is kept: %+v", got)
	}
	if n := len(score.Pairs("", &alert.Alert{Observables: make([]alert.Observable, 200), Entities: make([]alert.Entity, 200)})); n > 64 {
		t.Errorf("%d pairs", n)
	}
}

func TestAnInventoryFindsWhatPeopleWrote(t *testing.T) {
	t.Parallel()
	v := score.NewInventory([]score.Entry{
		{"DC-01", "critical, domain controller"}, {"10.0.0.0/8", "low"}, {"10.1.0.0/16", "criticality=high"}, {"10.1.2.3", "criticality: critical"},
		{"db.example.org", ""}, {"2001:db8::/32", "high"}, {"adm-ana", "Privileged; high"}, {"chief@example.org", "critical"},
	})
	for _, tt := range []struct {
		value string
		level score.Level
		admin bool
	}{
		{"dc-01", score.Critical, false}, {"DC-01.corp.example.org.", score.Critical, false}, {"10.1.2.3", score.Critical, false},
		{"::ffff:10.1.2.3", score.Critical, false}, {"10.1.9.9", score.High, false}, {"10.9.9.9", score.Low, false}, {"192.0.2.1", score.NotListed, false},
		{"db.example.org", score.Medium, false}, {"db", score.NotListed, false}, {"2001:db8::7", score.High, false},
		{`EXAMPLE\adm-ana`, score.High, true}, {"adm-ana@example.org", score.High, true}, {"chief@example.org", score.Critical, false}, {"chief", score.NotListed, false},
	} {
		l, ok := v.Find(tt.value)
		if ok != (tt.level != score.NotListed) || l.Level != tt.level || l.Privileged != tt.admin {
			t.Errorf("%s: %+v %v", tt.value, l, ok)
		}
	}
}

func TestTheErrorTableNamesTheDangerousErrors(t *testing.T) {
	t.Parallel()
	one := func(name, outcome string, points int, band alert.Band) score.Labelled {
		return score.Labelled{Name: name, Source: "s", Rule: "r", Outcome: outcome, Score: points, Band: band}
	}
	got := score.Evaluate([]score.Labelled{
		one("a", "true_positive", 90, alert.Automatic), one("b", "true_positive", 50, alert.ForAnalyst), one("c", "true_positive", 10, alert.FalsePositive),
		one("d", "false_positive", 85, alert.Automatic), one("e", "benign_positive", 10, alert.FalsePositive), one("f", "false_positive", 5, alert.FalsePositive),
	})
	// Pairs: 90 beats 85, 10 and 5; 50 beats 10 and 5; 10 beats 5 and ties 10: 6.5 of 9.
	if got.AUC == nil || math.Abs(*got.AUC-6.5/9) > 1e-9 || *got.Automatic.Precision != 0.5 || math.Abs(*got.Automatic.Recall-1.0/3) > 1e-9 {
		t.Errorf("%+v", got)
	}
	if len(got.Missed) != 1 || got.Missed[0].Alert != "c" || math.Abs(got.MissedShare-1.0/3) > 1e-9 || math.Abs(got.NoiseShare-2.0/3) > 1e-9 {
		t.Errorf("%+v", got)
	}
	if d := got.Calibration[1]; d.Total != 2 || *d.Share != 0.5 {
		t.Errorf("%+v", d)
	}
	if none := score.Evaluate(nil); none.AUC != nil || none.Automatic.Precision != nil || len(none.Calibration) != 10 {
		t.Errorf("%+v", none)
	}
}
