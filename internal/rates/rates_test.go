package rates

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// begin is a Monday, midnight.
var begin = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

const (
	tick = 10 * time.Second
	day  = 24 * time.Hour
)

// source is a simulated one in virtual time.
type source struct {
	perMinute func(t time.Time) float64
	burst     int // events that come together; 0 means 1
	random    *rand.Rand
	history   History
	profile   Profile
	watch     Watch
	limits    Limits
	last      time.Time
	was       Verdict
}

func newSource(perMinute func(t time.Time) float64) *source {
	return &source{perMinute: perMinute, random: rand.New(rand.NewPCG(1, 2)), history: History{Listened: map[time.Time]int{}}}
}

func steady(perMinute float64) func(time.Time) float64 {
	return func(time.Time) float64 { return perMinute }
}

// office is a source that follows people: busy on work days, a tenth by night
// and at the weekend.
func office(perMinute, night float64) func(time.Time) float64 {
	return func(t time.Time) float64 {
		if h := t.Hour(); t.Weekday() == time.Saturday || t.Weekday() == time.Sunday || h < 7 || h >= 18 {
			return night
		}
		return perMinute * (1 + 0.3*math.Sin(float64(t.Hour()*60+t.Minute()-7*60)/660*math.Pi))
	}
}

// poisson draws how many events come where so many are expected.
func (s *source) poisson(mean float64) int {
	if mean > 50 {
		return max(0, int(math.Round(mean+math.Sqrt(mean)*s.random.NormFloat64())))
	}
	limit, k, p := math.Exp(-mean), 0, s.random.Float64()
	for p > limit {
		k++
		p *= s.random.Float64()
	}
	return k
}

func (s *source) draw(t time.Time, span time.Duration) int {
	n := max(1, s.burst)
	return n * s.poisson(s.perMinute(t)*span.Minutes()/float64(n))
}

// remember adds a minute to the history.
func (s *source) remember(t time.Time, events int) {
	hour := t.Truncate(time.Hour)
	s.history.Listened[hour] = 60
	if events == 0 {
		return
	}
	s.last = t.Add(time.Minute - 1)
	s.history.Minutes = append(s.history.Minutes, Count{At: t.Truncate(time.Minute), Events: events})
	if n := len(s.history.Hours); n == 0 || s.history.Hours[n-1].At != hour {
		s.history.Hours = append(s.history.Hours, Count{At: hour})
	}
	h := &s.history.Hours[len(s.history.Hours)-1]
	h.Events += events
	h.Peak = max(h.Peak, events)
}

// learn lets a span go by, and learns from it.
func (s *source) learn(from time.Time, span time.Duration) time.Time {
	for t := from; t.Before(from.Add(span)); t = t.Add(time.Minute) {
		s.remember(t, s.draw(t, time.Minute))
	}
	s.relearn(from.Add(span))
	return from.Add(span)
}

func (s *source) relearn(now time.Time) {
	for len(s.history.Minutes) > 0 && now.Sub(s.history.Minutes[0].At) > 8*day {
		s.history.Minutes = s.history.Minutes[1:]
	}
	s.profile = Learn(s.history, now)
}

// run lets a span go by tick by tick, and tells each new alarm.
func (s *source) run(from time.Time, span time.Duration, raised func(t time.Time, v Verdict)) time.Time {
	if s.watch.began.IsZero() {
		s.watch.Remember(nil, s.last)
	}
	inMinute := 0
	for t := from; t.Before(from.Add(span)); t = t.Add(tick) {
		n := s.draw(t, tick)
		inMinute += n
		v := s.watch.Step(t, n, true, &s.profile, s.limits)
		if v.Silent != "" && s.was.Silent == "" || v.Flood != "" && s.was.Flood == "" {
			raised(t, v)
		}
		s.was = v
		if t.Add(tick).Truncate(time.Minute) != t.Truncate(time.Minute) {
			s.remember(t, inMinute)
			inMinute = 0
		}
		if t.Truncate(6*time.Hour) == t {
			s.relearn(t)
		}
	}
	return from.Add(span)
}

func TestASourceThatSendsAsAlwaysRaisesNoAlarm(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*source{
		"1,000 a minute":                    newSource(steady(1000)),
		"10 a minute":                       newSource(steady(10)),
		"one a minute":                      newSource(steady(1)),
		"one an hour":                       newSource(steady(1.0 / 60)),
		"one a day":                         newSource(steady(1.0 / 60 / 24)),
		"people, and a tenth by night":      newSource(office(100, 10)),
		"people, and nothing by night":      newSource(office(20, 0)),
		"few by day, nothing by night":      newSource(office(0.05, 0)),
		"bursts of 200, three an hour":      {perMinute: steady(10), burst: 200},
		"bursts of 50, people and by night": {perMinute: office(100, 1), burst: 50},
		"every five minutes, by a pull":     newSource(pulled(100)),
		"a batch every night":               newSource(nightly(5000)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if s.random == nil {
				s.random, s.history.Listened = rand.New(rand.NewPCG(1, 2)), map[time.Time]int{}
			}
			now := s.learn(begin, 15*day)
			alarms := 0
			s.run(now, 30*day, func(at time.Time, v Verdict) {
				alarms++
				if alarms < 4 {
					t.Logf("%s: %+v", at.Format("Mon 02 15:04:05"), v)
				}
			})
			if alarms > 0 {
				t.Errorf("%d alarms in 30 days; dispersion %.1f", alarms, s.profile.Dispersion)
			}
		})
	}
}

// pulled comes in one minute of five.
func pulled(perPull float64) func(time.Time) float64 {
	return func(t time.Time) float64 {
		if t.Minute()%5 == 0 && t.Second() < 10 {
			return perPull * 6 / 1
		}
		return 0
	}
}

// nightly comes in three minutes after two at night.
func nightly(events float64) func(time.Time) float64 {
	return func(t time.Time) float64 {
		if t.Hour() == 2 && t.Minute() >= 10 && t.Minute() < 13 {
			return events / 3
		}
		return 0
	}
}

func TestASourceThatStopsIsSilentSoonAsItsRateLets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		rate    func(time.Time) float64
		learned time.Duration
		stopAt  time.Duration // after a day's beginning
		within  time.Duration
		atLeast time.Duration
	}{
		{"1,000 a minute", steady(1000), 15 * day, 10 * time.Hour, 3 * time.Minute, 0},
		{"1,000 a minute after four days", steady(1000), 4 * day, 10 * time.Hour, 3 * time.Minute, 0},
		{"1,000 a minute after five weeks", steady(1000), 35 * day, 3 * time.Hour, 3 * time.Minute, 0},
		{"10 a minute", steady(10), 15 * day, 10 * time.Hour, 5 * time.Minute, 0},
		{"10 a minute after five weeks", steady(10), 35 * day, 10 * time.Hour, 4 * time.Minute, 0},
		{"one an hour", steady(1.0 / 60), 35 * day, 10 * time.Hour, 30 * time.Hour, 6 * time.Hour},
		{"one a day", steady(1.0 / 60 / 24), 60 * day, 10 * time.Hour, 21 * day, 3 * day},
		{"people, by day", office(100, 10), 35 * day, 10 * time.Hour, 3 * time.Minute, 0},
		{"people, by night", office(100, 10), 35 * day, 2 * time.Hour, 5 * time.Minute, 0},
		{"people, none by night, in the evening", office(20, 0), 35 * day, 18 * time.Hour, 16 * time.Hour, 13 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSource(c.rate)
			now := s.run(s.learn(begin, c.learned), c.stopAt, func(at time.Time, v Verdict) { t.Errorf("%s: %+v", at, v) })
			s.perMinute = steady(0)
			stopped, found := now, time.Duration(0)
			for found == 0 && now.Sub(stopped) < 2*c.within {
				now = s.run(now, time.Hour, func(at time.Time, _ Verdict) { found = max(found, at.Sub(stopped)) })
			}
			t.Logf("silent after %s; dispersion %.2f", found, s.profile.Dispersion)
			if found == 0 || found > c.within || found < c.atLeast {
				t.Errorf("found after %s, want %s to %s", found, c.atLeast, c.within)
			}
		})
	}
}

func TestAFloodIsFoundAndEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		rate float64
		much float64
	}{{"1,000 a minute, 20 times as much", 1000, 20000}, {"10 a minute, 20 times as much", 10, 200}, {"one an hour, 100 a minute", 1.0 / 60, 100}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSource(steady(c.rate))
			now := s.run(s.learn(begin, 15*day), 10*time.Hour, func(at time.Time, v Verdict) { t.Errorf("%s: %+v", at, v) })
			s.perMinute = steady(c.much)
			began, found := now, time.Duration(0)
			now = s.run(now, 20*time.Minute, func(at time.Time, v Verdict) { found = at.Sub(began); t.Log(v.Flood) })
			if found == 0 || found > 3*time.Minute {
				t.Errorf("found after %s", found)
			}
			s.perMinute = steady(c.rate)
			now = s.run(now, 15*time.Minute, func(time.Time, Verdict) {})
			if v := s.watch.Step(now, 0, true, &s.profile, s.limits); v.Flood != "" {
				t.Errorf("it goes on: %s", v.Flood)
			}
		})
	}
}

func TestASourceThatKeepsATrickleIsSilentToo(t *testing.T) {
	t.Parallel()
	s := newSource(steady(1000))
	now := s.run(s.learn(begin, 15*day), 10*time.Hour, func(at time.Time, v Verdict) { t.Errorf("%s: %+v", at, v) })
	s.perMinute = steady(20)
	began, found, alarms := now, time.Duration(0), 0
	now = s.run(now, 2*time.Hour, func(at time.Time, v Verdict) { found = max(found, at.Sub(began)); alarms++; t.Log(v.Silent) })
	if found == 0 || found > 10*time.Minute || alarms != 1 {
		t.Errorf("found after %s, %d times", found, alarms)
	}
	s.perMinute = steady(900)
	now = s.run(now, 20*time.Minute, func(at time.Time, v Verdict) { t.Errorf("%s: %+v", at, v) })
	if v := s.watch.Step(now, 0, true, &s.profile, s.limits); v != (Verdict{}) {
		t.Errorf("all is well again: %+v", v)
	}
}

func TestNothingIsConcludedFromTwoDays(t *testing.T) {
	t.Parallel()
	s := newSource(steady(1000))
	now := s.learn(begin, 2*day)
	s.perMinute = steady(0)
	s.run(now, 12*time.Hour, func(at time.Time, v Verdict) { t.Errorf("%s: %+v", at, v) })
}

func TestAFirstWeekendIsNoAlarm(t *testing.T) {
	t.Parallel()
	s := newSource(office(100, 0))
	now := s.learn(begin, 5*day) // Monday to Friday
	s.run(now, 2*day+6*time.Hour, func(at time.Time, v Verdict) { t.Errorf("%s: %+v", at, v) })
}

func TestWhatIsSaidHoldsFromTheBeginning(t *testing.T) {
	t.Parallel()
	s := newSource(steady(0))
	s.limits = Limits{AtLeast: 1, Within: time.Hour, MoreThan: 50, FloodIn: time.Minute}
	var found time.Time
	now := s.run(begin, 3*time.Hour, func(at time.Time, _ Verdict) { found = at })
	if d := found.Sub(begin); d < time.Hour || d > time.Hour+time.Minute {
		t.Errorf("silent after %s", d)
	}
	s.perMinute = steady(20)
	now = s.run(now, 5*time.Minute, func(at time.Time, v Verdict) { t.Errorf("%s: %+v", at, v) })
	s.perMinute = steady(200)
	found = time.Time{}
	s.run(now, 2*time.Minute, func(at time.Time, v Verdict) {
		found = at
		if v.Silent != "" {
			t.Error(v.Silent)
		}
	})
	if found.IsZero() {
		t.Error("the flood was not found")
	}
}

func TestWhileNobodyListensNothingIsDue(t *testing.T) {
	t.Parallel()
	s := newSource(steady(1000))
	now := s.run(s.learn(begin, 15*day), 10*time.Hour, func(at time.Time, v Verdict) { t.Errorf("%s: %+v", at, v) })
	for range 1000 {
		now = now.Add(tick)
		if v := s.watch.Step(now, 0, false, &s.profile, s.limits); v != (Verdict{}) {
			t.Fatalf("%+v", v)
		}
	}
	// What gathered meanwhile comes at once, and is no flood.
	if v := s.watch.Step(now.Add(tick), 1000*150, true, &s.profile, s.limits); v != (Verdict{}) {
		t.Errorf("%+v", v)
	}
}

func TestAProfileHoldsForEveryHistory(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := History{Listened: map[time.Time]int{}}
		hours := rapid.IntRange(0, 15*Week).Draw(t, "hours")
		seed := rapid.Uint64().Draw(t, "seed")
		random := rand.New(rand.NewPCG(seed, 3))
		most := rapid.SampledFrom([]int{1, 3, 100, 100000}).Draw(t, "most")
		for i := range hours {
			at := begin.Add(time.Duration(i) * time.Hour)
			if random.IntN(10) > 0 {
				h.Listened[at] = random.IntN(61)
			}
			if n := random.IntN(most); n > 0 {
				h.Hours = append(h.Hours, Count{At: at, Events: n, Peak: 1 + random.IntN(n)})
				h.Minutes = append(h.Minutes, Count{At: at, Events: n})
			}
		}
		now := begin.Add(time.Duration(hours) * time.Hour)
		p := Learn(h, now)
		if !p.Known {
			return
		}
		if p.Dispersion < 1 || math.IsNaN(p.Dispersion) || math.IsInf(p.Dispersion, 0) || p.PerMonth < 0 {
			t.Fatalf("%f, %f", p.Dispersion, p.PerMonth)
		}
		for b, x := range p.Hours {
			if !(x.Low >= 0 && x.Usual >= 0 && x.Peak >= 0) || math.IsInf(x.Low+x.Usual+x.Peak, 0) || x.Low > x.Usual+1e-9 {
				t.Fatalf("hour %d: %+v", b, x)
			}
		}
		// Events never make a source silent, and a step back in time does no harm.
		var w Watch
		at := now
		for range 50 {
			at = at.Add(time.Duration(random.IntN(200)-20) * time.Second)
			w.Step(at, random.IntN(5), random.IntN(2) == 0, &p, Limits{})
		}
	})
}
