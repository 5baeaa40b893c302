// Package rates knows how much a source usually sends and tells when it falls
// silent or floods. It learns by the hour of the week from counts, and holds
// what comes against what was learned and against what was said. It is pure:
// counts and times come as arguments.
package rates

import (
	"math"
	"slices"
	"time"
)

// Week is how many hours of a week there are: each has its own usual rate.
const Week = 7 * 24

const (
	// leastHours is how long a source must have been listened to before anything is
	// concluded from it.
	leastHours = 72
	// enough is how many events a rate should rest on: where an hour has fewer, the
	// hours around it are taken in.
	enough = 20
	// mostWeeks is how far back is learned from.
	mostWeeks = 13
)

// Count is what came in one hour or one minute.
type Count struct {
	At     time.Time // when it began
	Events int
	Peak   int // of an hour: the most that came in one minute of it
}

// History is what is known of a source: only spans in which something came need
// to be there.
type History struct {
	Hours   []Count // of the last weeks, the oldest first
	Minutes []Count // of the last days
	// Listened says how many minutes of an hour could have brought something; an
	// hour that is not there could not.
	Listened map[time.Time]int
}

// Hour is what is usual in one hour of the week, in events a minute.
type Hour struct {
	Usual float64
	Low   float64 // what comes at least, but for few weeks
	High  float64 // the usual, be it an hour early or late
	Peak  float64 // the most that comes in one minute
}

// Profile is what is usual for a source. The zero value knows nothing.
type Profile struct {
	Known bool
	Hours [Week]Hour
	// Dispersion says how far the source is from sending each event on its own,
	// which is 1: one that sends bursts of 50 has 50 or more.
	Dispersion float64
	PerMonth   float64 // events in 30 days
}

// At gives what is usual at a time.
func (p *Profile) At(t time.Time) Hour {
	if !p.Known {
		return Hour{}
	}
	return p.Hours[hourOfWeek(t)]
}

// Due is how many events should have come at least in a span, of which only the
// minutes count that were listened in.
func (p *Profile) Due(from, to time.Time, listened map[time.Time]int) (due float64) {
	if !p.Known {
		return 0
	}
	for at := from.Truncate(time.Hour); at.Before(to); at = at.Add(time.Hour) {
		part := min(to.Sub(at), time.Hour) - max(0, from.Sub(at))
		due += p.At(at).Low * min(part.Minutes(), float64(listened[at]))
	}
	return due
}

func hourOfWeek(t time.Time) int { return int(t.Unix()/3600) % Week }

// Learn works out what is usual before now.
func Learn(h History, now time.Time) Profile {
	s := series(h, now)
	if s.listened() < leastHours*60 || s.total() == 0 {
		return Profile{}
	}
	p := Profile{Known: true, PerMonth: s.total() / s.listened() * 60 * 24 * 30}
	rest := s.elsewhere()
	for b := range Week {
		if p.Hours[b] = s.hour(b); p.Hours[b].Low < 0 {
			p.Hours[b] = rest
		}
		p.Hours[b].High = p.Hours[b].Usual
	}
	// Neither people nor clocks begin at the same minute every day.
	hours := p.Hours
	for b := range Week {
		for _, near := range []int{(b + Week - 1) % Week, (b + 1) % Week} {
			p.Hours[b].Low = min(p.Hours[b].Low, hours[near].Low)
			p.Hours[b].Peak = max(p.Hours[b].Peak, hours[near].Peak)
			p.Hours[b].High = max(p.Hours[b].High, hours[near].Usual)
		}
	}
	p.Dispersion = max(1, s.withinHours(h.Minutes), s.betweenHours(&p))
	return p
}

// hours is a history hour by hour, from the first that something came in. Sums
// are those of everything before.
type hours struct {
	first  int64 // hours since 1970
	count  []float64
	up     []float64 // minutes listened
	peak   []float64
	counts []float64 // sum of count before
	ups    []float64 // sum of up before
}

// series lays a history out. The first hour is left out, for it is not whole,
// and so is the one that is still under way.
func series(h History, now time.Time) *hours {
	end := now.Unix() / 3600
	s := &hours{first: end}
	from := end - mostWeeks*Week
	for _, c := range h.Hours {
		if at := c.At.Unix() / 3600; at >= from && at < end {
			s.first = at + 1
			break
		}
	}
	n := max(0, int(end-s.first))
	s.count, s.up, s.peak = make([]float64, n), make([]float64, n), make([]float64, n)
	for at, minutes := range h.Listened {
		if i := at.Unix()/3600 - s.first; i >= 0 && i < int64(n) {
			s.up[i] = float64(min(minutes, 60))
		}
	}
	for _, c := range h.Hours {
		i := c.At.Unix()/3600 - s.first
		if i < 0 || i >= int64(n) || s.up[i] == 0 {
			continue
		}
		s.count[i], s.peak[i] = float64(c.Events), float64(c.Peak)
	}
	s.counts, s.ups = sums(s.count), sums(s.up)
	return s
}

func sums(list []float64) []float64 {
	out := make([]float64, len(list)+1)
	for i, v := range list {
		out[i+1] = out[i] + v
	}
	return out
}

func (s *hours) total() float64    { return s.counts[len(s.count)] }
func (s *hours) listened() float64 { return s.ups[len(s.up)] }

// around is what came in an hour and in k before and behind it, and in how many
// minutes.
func (s *hours) around(i, k int) (events, minutes float64) {
	from, to := max(0, i-k), min(len(s.count), i+k+1)
	return s.counts[to] - s.counts[from], s.ups[to] - s.ups[from]
}

// of lists the places of an hour of the week that were listened to.
func (s *hours) of(b int) (places []int) {
	start := int((int64(b) - s.first%Week + Week) % Week)
	for i := start; i < len(s.count); i += Week {
		if s.up[i] >= 30 {
			places = append(places, i)
		}
	}
	return places
}

// widths are how many hours to each side may be taken in.
var widths = [...]int{0, 1, 2, 4, 8, 16, 32, 84}

// hour works out one hour of the week; Low is negative where it never was
// listened to.
func (s *hours) hour(b int) Hour {
	places := s.of(b)
	if len(places) == 0 {
		return Hour{Low: -1}
	}
	return s.usual(places)
}

// elsewhere stands for hours of the week that have not been yet: the least that
// came in any hour.
func (s *hours) elsewhere() Hour {
	var places []int
	for i := range s.count {
		if s.up[i] >= 30 {
			places = append(places, i)
		}
	}
	rates := s.rates(places, s.width(places))
	h := Hour{Usual: middle(rates), Peak: slices.Max(s.peak)}
	if len(rates) > 0 {
		h.Low = slices.Min(rates) / 2
	}
	return h
}

// usual works out what is usual from several times the same hour.
func (s *hours) usual(places []int) Hour {
	k := s.width(places)
	rates := s.rates(places, k)
	h := Hour{Usual: middle(rates)}
	var peaks []float64
	for _, i := range places {
		peaks = append(peaks, s.peak[i])
	}
	switch n := len(rates); {
	case n < 3:
		h.Low, h.Peak, h.Usual = slices.Min(rates)/2, slices.Max(peaks), slices.Max(rates)
	case n < 4:
		h.Low, h.Peak = slices.Min(rates), slices.Max(peaks)
	default:
		h.Low, h.Peak = quantile(rates, 0.25), middle(peaks)
	}
	h.Low = min(h.Low, s.most(places, k))
	return h
}

// most is how much may be due at most: where hours around had to be taken in,
// they say nothing of a night in which nothing ever comes.
func (s *hours) most(places []int, k int) float64 {
	bound := math.Inf(1)
	for _, w := range widths {
		events, minutes := 1.0, 0.0 // the next one may come any moment
		for _, i := range places {
			e, m := s.around(i, w)
			events, minutes = events+e, minutes+m
		}
		bound = min(bound, events/minutes)
		if w == k {
			break
		}
	}
	return bound
}

// width is how many hours around each are needed to rest on enough events.
func (s *hours) width(places []int) int {
	counts := make([]float64, len(places))
	for _, k := range widths {
		for n, i := range places {
			counts[n], _ = s.around(i, k)
		}
		if middle(counts) >= enough {
			return k
		}
	}
	return widths[len(widths)-1]
}

// rates are events a minute around each place.
func (s *hours) rates(places []int, k int) (list []float64) {
	for _, i := range places {
		if events, minutes := s.around(i, k); minutes > 0 {
			list = append(list, events/minutes)
		}
	}
	return list
}

// trimmed is which share of the largest deviations is left out: past failures
// and floods must not hide the next one.
const trimmed = 0.01

// withinHours is the dispersion of minutes around the mean of their hour.
func (s *hours) withinHours(minutes []Count) float64 {
	byHour := map[int][]float64{}
	for _, m := range minutes {
		if i := int(m.At.Unix()/3600 - s.first); i >= 0 && i < len(s.count) && s.up[i] == 60 {
			byHour[i] = append(byHour[i], float64(m.Events))
		}
	}
	if len(byHour) == 0 {
		return 1
	}
	first := len(s.count)
	for i := range byHour {
		first = min(first, i)
	}
	var deviations []float64
	mean := 0.0
	for i := first; i < len(s.count); i++ {
		if s.up[i] < 60 {
			continue
		}
		sum := 0.0
		for _, x := range byHour[i] {
			sum += x
		}
		mu := sum / 60
		for _, x := range byHour[i] {
			deviations = append(deviations, (x-mu)*(x-mu))
		}
		for range 60 - len(byHour[i]) {
			deviations = append(deviations, mu*mu)
		}
		mean += sum
	}
	return dispersion(deviations, mean)
}

// betweenHours is the dispersion of hours around what is usual in them.
func (s *hours) betweenHours(p *Profile) float64 {
	var deviations []float64
	mean := 0.0
	for i, n := range s.count {
		if s.up[i] < 30 {
			continue
		}
		want := p.Hours[int((s.first+int64(i))%Week)].Usual * s.up[i]
		deviations = append(deviations, (n-want)*(n-want))
		mean += want
	}
	return dispersion(deviations, mean)
}

// dispersion is the sum of squared deviations without the largest, over the mean.
func dispersion(squares []float64, mean float64) float64 {
	if mean <= 0 {
		return 1
	}
	slices.Sort(squares)
	sum := 0.0
	for _, d := range squares[:len(squares)-int(float64(len(squares))*trimmed)] {
		sum += d
	}
	return sum / mean
}

func middle(list []float64) float64 { return quantile(list, 0.5) }

// quantile is 0 of nothing.
func quantile(list []float64, q float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Clone(list)
	slices.Sort(sorted)
	at := q * float64(len(sorted)-1)
	low := int(math.Floor(at))
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (sorted[high]-sorted[low])*(at-float64(low))
}
