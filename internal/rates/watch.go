package rates

import (
	"fmt"
	"math"
	"time"
)

// Limits are what somebody said of a source. The zero value leaves everything to
// what is learned.
type Limits struct {
	AtLeast    int           // events that must come …
	Within     time.Duration // … in this time; 0: nothing is said
	MoreThan   int           // events are a flood …
	FloodIn    time.Duration // … in this time; 0: nothing is said
	Times      float64       // more than this many times the usual is a flood; 0 means 10
	NotLearned bool          // only what is said counts
}

// String says what is said of what must come, "" where nothing is.
func (l Limits) String() string {
	if l.Within <= 0 {
		return ""
	}
	return fmt.Sprintf("at least %d within %s", max(1, l.AtLeast), inWords(l.Within))
}

const (
	// falsePerMonth is how many alarms a month a source may raise by chance that
	// sends as it always did.
	falsePerMonth = 0.02
	// leastSilence is how long nothing must come at least: looks and minutes are not
	// finer.
	leastSilence = 2 * time.Minute
	// dropTo is to which share of the usual a source must fall to count as silent
	// though something still comes; back is from which on it is as it was.
	dropTo, back = 0.1, 0.25
	// dropEnough is how many events must have been due for that.
	dropEnough = 50
	// A flood must bring floodLeast. What comes in as few minutes as shortFlood may
	// come at the usual peak all the time.
	floodLeast   = 100
	shortFlood   = 3
	defaultTimes = 10
	// catchUp is how long after a pause what has gathered meanwhile may come in.
	catchUp = 10 * time.Minute
	// calm is how long a flood must be over.
	calm = 5 * time.Minute
	// dropSpan is how far back a fall is looked for.
	dropSpan = time.Hour
)

// Watch follows one source. The zero value begins now; Remember tells it what
// was before.
type Watch struct {
	began   time.Time // of the first step
	last    time.Time // of the last event, zero: none is known
	stepped time.Time
	heard   time.Time     // since when it has been listened to without a break
	due     float64       // events that should have come since the last one
	quiet   time.Duration // for which it was listened to since, and nothing came
	minutes []minute      // the last ones, the oldest first
	gone    bool          // it is silent, and nothing has come since
	silent  string
	flood   string
	floodAt time.Time // when the flood was last seen
	overAt  time.Time // when the last flood ended
}

// minute is what came in one minute and what was due in it.
type minute struct {
	at     int64 // minutes since 1970
	events int
	due    float64
}

// floodMinutes are looked at together: a source that sends bursts floods only
// when too many of them come.
var floodMinutes = [...]int{shortFlood, 15, 60}

// Verdict is how a source does: why it counts as silent or as flooding, "" where
// it does not.
type Verdict struct{ Silent, Flood string }

// Remember tells of minutes before the first step, the oldest first, and when
// the last event came, if it is known.
func (w *Watch) Remember(minutes []Count, last time.Time) {
	for _, m := range minutes {
		w.minutes = append(w.minutes, minute{at: m.At.Unix() / 60, events: m.Events})
	}
	w.last = last
}

// Resume sets what was due since the last event before a restart, and whether an
// alarm is open: it then stays until things are well.
func (w *Watch) Resume(due float64, silent, flood string) {
	w.due, w.silent, w.flood, w.gone = due, silent, flood, silent != ""
}

// Last is when the last event came; zero: none is known.
func (w *Watch) Last() time.Time { return w.last }

// PerMinute is how much came a minute, over the last five.
func (w *Watch) PerMinute(now time.Time) float64 { return float64(w.came(now, 5*time.Minute)) / 5 }

// Step says what came since the step before; listening is false where nothing
// could.
func (w *Watch) Step(now time.Time, events int, listening bool, p *Profile, l Limits) Verdict {
	if w.began.IsZero() {
		w.began, w.stepped, w.heard = now, now, now
	}
	passed := min(max(0, now.Sub(w.stepped)), time.Minute)
	w.stepped = now
	usual := p.At(now)
	due := usual.Low * passed.Minutes()
	if !listening {
		due, passed, w.heard = 0, 0, now
	}
	w.note(now, events, due, l)
	if events > 0 {
		if w.silent != "" {
			w.heard = now // what has gathered may come now
		}
		w.last, w.due, w.quiet, w.gone = now, 0, 0, false
	} else {
		w.due += due
		w.quiet += passed
	}
	if listening || events > 0 {
		w.silent = w.isSilent(now, p, l)
	}
	w.flood = w.isFlood(now, usual, p, l)
	return Verdict{w.silent, w.flood}
}

// note adds to the minutes and forgets old ones.
func (w *Watch) note(now time.Time, events int, due float64, l Limits) {
	at := now.Unix() / 60
	if n := len(w.minutes); n == 0 || w.minutes[n-1].at < at {
		w.minutes = append(w.minutes, minute{at: at})
	}
	m := &w.minutes[len(w.minutes)-1]
	m.events += events
	m.due += due
	keep := int64(max(dropSpan, l.Within, l.FloodIn)/time.Minute) + 1
	old := 0
	for old < len(w.minutes) && w.minutes[old].at < at-keep {
		old++
	}
	if old > 64 || old == len(w.minutes) { // not one by one
		w.minutes = append(w.minutes[:0], w.minutes[old:]...)
	}
}

// came counts the events of the minutes that lie in a span, the one under way
// included.
func (w *Watch) came(now time.Time, span time.Duration) (n int) {
	from := now.Add(-span).Unix() / 60
	for i := len(w.minutes) - 1; i >= 0 && w.minutes[i].at > from; i-- {
		n += w.minutes[i].events
	}
	return n
}

// isSilent tells why a source counts as silent.
func (w *Watch) isSilent(now time.Time, p *Profile, l Limits) string {
	if why := w.lessThanSaid(now, l); why != "" {
		return why
	}
	if l.NotLearned || !p.Known {
		return ""
	}
	// How many gaps as long as this one chance would make in a month, were it a
	// source that sends each event, or each burst, on its own.
	need := math.Log(max(1, p.PerMonth/p.Dispersion)) - math.Log(falsePerMonth)
	since := w.last
	if since.IsZero() {
		since = w.began
	}
	if w.gone || w.due/p.Dispersion >= need && w.quiet >= leastSilence {
		w.gone = true // until something comes
		return fmt.Sprintf("nothing has come for %s; at this time %s are usual", inWords(now.Sub(since)), perTime(p.At(now).Usual))
	}
	return w.fallen(now, p)
}

// lessThanSaid holds what came against what somebody said must come.
func (w *Watch) lessThanSaid(now time.Time, l Limits) string {
	grace := min(l.Within, catchUp)
	if w.last.IsZero() {
		grace = l.Within
	}
	if l.Within <= 0 || now.Sub(w.began) < grace || now.Sub(w.heard) < min(l.Within, time.Minute) {
		return ""
	}
	n := w.came(now, l.Within)
	if l.AtLeast == 1 && !w.last.IsZero() && now.Sub(w.last) < l.Within {
		n = max(n, 1) // minutes are coarse
	}
	if n >= max(1, l.AtLeast) {
		return ""
	}
	return fmt.Sprintf("%d came within %s; at least %d must", n, inWords(l.Within), max(1, l.AtLeast))
}

// fallen looks for a source that still sends something, but hardly any of what
// it did. What counted as silent stays so until much of the usual comes again.
func (w *Watch) fallen(now time.Time, p *Profile) string {
	at := now.Unix() / 60
	n, due := 0, 0.0
	for i := len(w.minutes) - 1; i >= 0 && w.minutes[i].at > at-int64(dropSpan/time.Minute); i-- {
		m := w.minutes[i]
		if m.at == at {
			continue // it is not over
		}
		n, due = n+m.events, due+m.due
		if due/p.Dispersion >= dropEnough && at-m.at >= 5 {
			share := dropTo
			if w.silent != "" {
				share = back
			}
			if float64(n) < share*due {
				return fmt.Sprintf("%d came in %s; at this time %s are usual", n, inWords(time.Duration(at-m.at)*time.Minute), perTime(p.At(now).Usual))
			}
			return ""
		}
	}
	return ""
}

// isFlood tells why a source counts as flooding.
func (w *Watch) isFlood(now time.Time, usual Hour, p *Profile, l Limits) string {
	why := w.moreThanSaid(now, l)
	if why == "" {
		why = w.moreThanUsual(now, usual, p, l)
	}
	switch {
	case why != "":
		w.floodAt = now
		return why
	case w.flood != "" && now.Sub(w.floodAt) < calm && !w.floodAt.IsZero():
		return w.flood
	case w.flood != "" && w.floodAt.IsZero(): // it was flooding before a restart
		w.floodAt = now
		return w.flood
	}
	if w.flood != "" {
		w.overAt = now
	}
	return ""
}

func (w *Watch) moreThanSaid(now time.Time, l Limits) string {
	if l.FloodIn <= 0 || l.MoreThan <= 0 {
		return ""
	}
	n := w.came(now, l.FloodIn)
	if n <= l.MoreThan {
		return ""
	}
	return fmt.Sprintf("%d came within %s; more than %d are a flood", n, inWords(l.FloodIn), l.MoreThan)
}

func (w *Watch) moreThanUsual(now time.Time, usual Hour, p *Profile, l Limits) string {
	// Until a while after a pause a source hands over what has gathered.
	if l.NotLearned || usual.Peak == 0 && usual.Usual == 0 || now.Sub(w.heard) < catchUp {
		return ""
	}
	times := l.Times
	if times <= 0 {
		times = defaultTimes
	}
	for _, minutes := range floodMinutes {
		span := float64(minutes)
		most := max(floodLeast, span*times*usual.High, byChance(span*usual.High/p.Dispersion)*p.Dispersion)
		if minutes <= shortFlood {
			most = max(most, (span+0.5)*usual.Peak)
		}
		if w.flood != "" && minutes > shortFlood {
			return "" // it is over when a few minutes are as usual
		}
		if w.flood != "" {
			most /= 2
		}
		back := time.Duration(minutes) * time.Minute
		if !w.overAt.IsZero() { // what belonged to the last flood is none of the next
			back = min(back, now.Sub(w.overAt))
		}
		if n := w.came(now, back); float64(n) > most {
			return fmt.Sprintf("%d came within %d min; at this time %s are usual", n, minutes, perTime(usual.Usual))
		}
	}
	return ""
}

// byChance is how many bursts come at most where so many are expected, but for
// once in a billion.
func byChance(mean float64) float64 {
	const never = 1e-9
	if mean > 30 {
		return mean + 6*math.Sqrt(mean)
	}
	p := math.Exp(-mean)
	n, rest := 0, 1-p
	for rest > never && n < 200 {
		n++
		p *= mean / float64(n)
		rest -= p
	}
	return float64(n + 1)
}

// perTime writes a rate in the unit that people would choose.
func perTime(perMinute float64) string {
	for _, u := range []struct {
		times float64
		name  string
	}{{1, "a minute"}, {60, "an hour"}, {60 * 24, "a day"}} {
		if n := perMinute * u.times; n >= 1 || u.name == "a day" {
			if n >= 10 {
				return fmt.Sprintf("%.0f %s", n, u.name)
			}
			return fmt.Sprintf("%.1f %s", n, u.name)
		}
	}
	return ""
}

// inWords writes a span without needless parts.
func inWords(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
