package event

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// foundTime is a time that a key says.
type foundTime struct {
	key  string
	text string
	rank int
}

var auditTime = regexp.MustCompile(`\baudit\((\d{10})\.(\d{3}):`)

// keyTime keeps what keys say about when it happened; which one is believed is
// decided when all are known.
func (f *finder) keyTime(key, s string, rank int) {
	if len(f.times) < 20 {
		f.times = append(f.times, foundTime{key, s, rank})
	}
}

// time decides when it happened: what the payload says with a zone or as a
// number, else the header, unless the payload is on another day: a header
// without a year has a guessed one.
func (f *finder) time(e Event) {
	header, _ := time.Parse(time.RFC3339Nano, textOf(e.Syslog["time"])) // the zero time where there is none
	if m := auditTime.FindStringSubmatch(f.message); m != nil {
		f.keyTime("rt", m[1]+"."+m[2], -1)
	}
	var best, local time.Time
	bestRank, localRank := 1<<30, 1<<30
	for _, k := range f.times {
		t, sure := f.readTime(k)
		switch {
		case t.IsZero() || t.Year() < 1990 || t.Year() > 2100:
		case sure && k.rank < bestRank:
			best, bestRank = t, k.rank
		case !sure && k.rank < localRank:
			local, localRank = t, k.rank
		}
	}
	switch {
	case !best.IsZero():
	case header.IsZero() || !local.IsZero() && local.Sub(header).Abs() > 26*time.Hour:
		best = local
	default:
		best = header
	}
	if !best.IsZero() {
		f.out["time"] = best.UTC().Format(time.RFC3339Nano)
	}
}

// readTime reads one time; sure tells that it says its zone, or needs none.
func (f *finder) readTime(k foundTime) (t time.Time, sure bool) {
	s := strings.TrimSpace(k.text)
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		return epoch(n), true
	}
	if k.key == "date" {
		if clock := f.other("time"); clock != "" && len(s) < 12 {
			s += " " + strings.ReplaceAll(clock, " ", "")
		} else if len(s) < 12 {
			return time.Time{}, false
		}
	}
	t, form, rest := readStamp(s, f.now)
	if form == noStamp {
		for _, layout := range []string{"02-Jan-2006 15:04:05", "January 02, 2006 15:04:05", "Jan 2, 2006 03:04 PM", "02.01.2006 15:04:05", "2006-01-02 15:04:05 MST"} {
			if t, err := time.Parse(layout, s); err == nil {
				return t, false
			}
		}
		return time.Time{}, false
	}
	rest = strings.TrimSpace(rest)
	zoned := rest == "UTC" || rest == "GMT" || strings.HasSuffix(s, "Z") || zoneAtEnd.MatchString(s)
	if zone := f.zone(); !zoned && zone != nil {
		return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone), true
	}
	return t, zoned
}

var zoneAtEnd = regexp.MustCompile(`[T ]?\d{2}:\d{2}.*[+-]\d{2}:?\d{2}Z?$`)

// other is what another key said, as it was written.
func (f *finder) other(key string) string {
	for _, k := range f.times {
		if k.key == key {
			return k.text
		}
	}
	return ""
}

// zone is the zone that a key of its own says, nil for none.
func (f *finder) zone() *time.Location {
	s, ok := f.out["timezone"].(string)
	if !ok {
		return nil
	}
	c := newScan(strings.TrimPrefix(strings.TrimPrefix(strings.Trim(s, `"`), "UTC"), "GMT"))
	if len(c.s) == 3 {
		c.s += "00"
	}
	if z := c.zone(); z != time.UTC || strings.Contains(s, "0000") {
		return z
	}
	return nil
}

// epoch reads a number of seconds, milliseconds, microseconds or nanoseconds
// since 1970; zero for what is none of our days.
func epoch(n float64) time.Time {
	switch {
	case n >= 1e17:
		n /= 1e9
	case n >= 1e14:
		n /= 1e6
	case n >= 1e11:
		n /= 1e3
	}
	if n < 6e8 || n > 4.2e9 {
		return time.Time{}
	}
	return time.UnixMicro(int64(n * 1e6)).UTC()
}
