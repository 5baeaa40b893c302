package alert

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"riposte/internal/expr"
)

// timeForms are the forms of time that products write, besides those of readISO.
// A fraction of a second is read behind the seconds of any of them.
var timeForms = []string{
	"Mon, 2 Jan 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04:05", "Monday, 02-Jan-06 15:04:05", time.RubyDate, time.ANSIC,
	"02/Jan/2006:15:04:05 -0700", "2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04:05", "02-Jan-2006 15:04:05", "Jan _2 2006 15:04:05", "Jan 2, 2006 15:04:05",
	"Jan 2, 2006 3:04:05 PM", "Jan 2, 2006, 3:04:05 PM", "2006 Jan _2 15:04:05", "Mon Jan _2 15:04:05 2006 -0700", "Mon Jan _2 2006 15:04:05",
	"1/2/2006 3:04:05 PM", "1/2/2006 15:04:05", "1/2/2006-15:04:05", "2.1.2006 15:04:05", "1-2-2006T15:04:05",
	"20060102150405", "20060102T150405Z", "20060102T150405", "20060102T150405-0700", "2006-01-02T15-04-05Z",
}

// Time reads a time: a time; a text in a usual form, which is UTC where it names
// no zone; a number since 1970 of seconds, milliseconds, microseconds or
// nanoseconds; or the number of 100 nanoseconds since 1601 that Windows counts
// (FILETIME) or since the year 1 (.NET). One that RFC 3339 cannot write is an
// error: it could be stored, and never be shown.
func Time(v any) (time.Time, error) {
	t, err := readTime(v)
	if y := t.Year(); err == nil && (y < 1 || y > 9999) {
		return time.Time{}, fmt.Errorf("time %v is out of range; expected a year from 1 to 9999", v)
	}
	return t, err
}

func readTime(v any) (time.Time, error) {
	switch v := v.(type) {
	case time.Time:
		return v.UTC(), nil
	case int:
		return epochInt(v), nil
	case float64:
		return epoch(v), nil
	case string:
		if t, ok := textTime(v); ok {
			return t.UTC().Truncate(time.Microsecond), nil
		}
		return time.Time{}, fmt.Errorf("time %q is in no known form; expected RFC 3339, such as 2026-01-31T10:00:00Z", cut(v, 60))
	case []any:
		if len(v) > 0 {
			return readTime(v[0])
		}
	}
	return time.Time{}, fmt.Errorf("time is %s; expected a text or a number", expr.Describe(v))
}

func textTime(s string) (time.Time, bool) {
	if t, ok := readISO(s); ok {
		return t, true
	}
	s = strings.TrimSpace(s)
	if t, ok := readISO(s); ok {
		return t, true
	}
	if len(s) > 80 || s == "" {
		return time.Time{}, false
	}
	if n, err := strconv.Atoi(s); err == nil {
		if len(s) == 14 && (s[:2] == "19" || s[:2] == "20") {
			if t, err := time.Parse("20060102150405", s); err == nil {
				return t, true
			}
		}
		return epochInt(n), true
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return epoch(f), true
	}
	if in, ok := strings.CutPrefix(s, "/Date("); ok { // as JSON of older .NET has it
		in, _, _ = strings.Cut(in, ")")
		if n, err := strconv.Atoi(in); err == nil {
			return epochInt(n), true
		}
	}
	return namedTime(s)
}

// namedTime reads the forms with names of months and days, and a zone's name.
func namedTime(s string) (time.Time, bool) {
	body, offset, ok := cutZone(strings.Join(strings.Fields(s), " "))
	if !ok {
		return time.Time{}, false
	}
	if t, ok := readISO(body); ok {
		return t.Add(-offset), true
	}
	for _, form := range timeForms {
		if t, err := time.Parse(form, body); err == nil {
			return t.Add(-offset), true
		}
	}
	return time.Time{}, false
}

// cutZone takes the name of a zone from the end of a text. Names that the world
// uses for one zone only are known; any other is false, because to guess would
// give a wrong time that looks right.
func cutZone(s string) (body string, offset time.Duration, ok bool) {
	if n := len(s) - len(" 2006"); n > 0 && s[n] == ' ' && digits(s[n+1:]) { // Fri Jan 2 03:04:05 CET 2026
		if body, offset, ok = cutZone(s[:n]); ok {
			return body + s[n:], offset, true
		}
		return s, 0, false
	}
	at := strings.LastIndexByte(s, ' ')
	if at < 0 {
		return s, 0, true
	}
	name := s[at+1:]
	if name == "AM" || name == "PM" || name == "" || name[0] < 'A' || name[0] > 'Z' || strings.ContainsAny(name, "0123456789:") {
		return s, 0, true
	}
	minutes, ok := zoneMinutes(name)
	return s[:at], time.Duration(minutes) * time.Minute, ok
}

func zoneMinutes(name string) (int, bool) {
	switch name {
	case "UTC", "GMT", "Z", "UT", "WET":
		return 0, true
	case "CET", "MEZ", "WEST", "BST":
		return 60, true
	case "CEST", "MESZ", "EET":
		return 120, true
	case "EEST", "MSK":
		return 180, true
	case "IST":
		return 330, true
	case "SGT", "HKT", "AWST":
		return 480, true
	case "JST", "KST":
		return 540, true
	case "AEST":
		return 600, true
	case "AEDT":
		return 660, true
	case "NZST":
		return 720, true
	case "NZDT":
		return 780, true
	case "EST":
		return -300, true
	case "EDT":
		return -240, true
	case "CST":
		return -360, true
	case "CDT":
		return -300, true
	case "MST":
		return -420, true
	case "MDT":
		return -360, true
	case "PST":
		return -480, true
	case "PDT":
		return -420, true
	case "BRT", "ART":
		return -180, true
	}
	return 0, false
}

// readISO reads 2006-01-02T15:04:05.999999+01:00 and what is near to it: a blank,
// a colon or an underscore for the T, a comma for the dot, slashes for the
// hyphens, no seconds, no zone, Z or UTC or +0100, a blank before the zone, or
// the date alone. Nearly every event has its time in this form, so it is read by
// hand: the library needs four attempts for it, each with an error.
func readISO(s string) (time.Time, bool) {
	if len(s) < 10 || len(s) > 60 || s[4] != '-' && s[4] != '/' || s[7] != s[4] {
		return time.Time{}, false
	}
	p := digitReader{s: s, ok: true}
	year, month, day := p.number(0, 4), p.number(5, 2), p.number(8, 2)
	hour, minute, second, nanos, offset := 0, 0, 0, 0, 0
	if p.at = 10; len(s) > 10 {
		if c := s[10]; c != 'T' && c != 't' && c != ' ' && c != ':' && c != '_' && c != '-' || len(s) < 16 || s[13] != ':' {
			return time.Time{}, false
		}
		hour, minute = p.number(11, 2), p.number(14, 2)
		if p.at = 16; len(s) > 16 && s[16] == ':' && len(s) >= 19 {
			second, p.at = p.number(17, 2), 19
			nanos = p.fraction()
		}
		offset = p.zone()
	}
	if !p.ok || p.at != len(s) || month < 1 || month > 12 || day < 1 || day > 31 || hour > 24 || minute > 59 || second > 60 || year == 0 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	if t.Day() != day && hour < 24 && second < 60 {
		return time.Time{}, false // the 30th of February
	}
	return t.Add(-time.Duration(offset) * time.Second), true
}

// digitReader reads the digits of a time.
type digitReader struct {
	s  string
	at int
	ok bool
}

func (p *digitReader) number(at, n int) int {
	if at+n > len(p.s) {
		p.ok = false
		return 0
	}
	out := 0
	for _, c := range []byte(p.s[at : at+n]) {
		if c < '0' || c > '9' {
			p.ok = false
			return 0
		}
		out = out*10 + int(c-'0')
	}
	return out
}

// fraction reads parts of a second, in nanoseconds.
func (p *digitReader) fraction() int {
	if p.at >= len(p.s) || p.s[p.at] != '.' && p.s[p.at] != ',' {
		return 0
	}
	p.at++
	nanos, scale := 0, 100_000_000
	for ; p.at < len(p.s) && p.s[p.at] >= '0' && p.s[p.at] <= '9'; p.at++ {
		nanos += int(p.s[p.at]-'0') * scale
		scale /= 10
	}
	return nanos
}

// zone reads a zone, in seconds east of Greenwich. A number after a name, as in
// "+0000 UTC", says the same once more.
func (p *digitReader) zone() int {
	s := strings.TrimPrefix(p.s[p.at:], " ")
	if before, _, found := strings.Cut(s, " "); found && before != "" && (before[0] == '+' || before[0] == '-') {
		p.at, s = len(p.s)-len(s), before
		offset := p.offset(s)
		p.at = len(p.s)
		return offset
	}
	if s == "" || s == "Z" || s == "z" || s == "UTC" || s == "GMT" {
		p.at = len(p.s)
		return 0
	}
	if s[0] != '+' && s[0] != '-' {
		return 0 // p.at stays: more text than a time has
	}
	offset := p.offset(s)
	p.at = len(p.s)
	return offset
}

// offset reads +01:00, +0100 or +01.
func (p *digitReader) offset(s string) int {
	d := digitReader{s: strings.Replace(s[1:], ":", "", 1), ok: true}
	if len(d.s) != 2 && len(d.s) != 4 {
		p.ok = false
		return 0
	}
	seconds := d.number(0, 2) * 3600
	if len(d.s) == 4 {
		seconds += d.number(2, 2) * 60
	}
	if p.ok = p.ok && d.ok && seconds < 24*3600; s[0] == '-' {
		return -seconds
	}
	return seconds
}

const (
	fileTimeEpoch = 116_444_736_000_000_000 // 1970 in 100 ns since 1601
	ticksEpoch    = 621_355_968_000_000_000 // 1970 in 100 ns since the year 1
	farthest      = 1e12                    // seconds, well after the year 9999
)

// epochInt reads a whole number since 1970 in the unit that puts it nearest to
// our days, without a loss.
func epochInt(n int) time.Time {
	switch {
	case n >= fileTimeEpoch && n < fileTimeEpoch+50_000_000_000_000_000: // to 2128; as nanoseconds these were 1973 to 1975
		return time.UnixMicro(int64(n-fileTimeEpoch) / 10).UTC()
	case n >= ticksEpoch && n < ticksEpoch+50_000_000_000_000_000: // as nanoseconds these were 1989 to 1991
		return time.UnixMicro(int64(n-ticksEpoch) / 10).UTC()
	case n >= 1e17 || n <= -1e17:
		return time.Unix(0, int64(n)).UTC().Truncate(time.Microsecond)
	case n >= 1e14 || n <= -1e14:
		return time.UnixMicro(int64(n)).UTC()
	case n >= 1e11 || n <= -1e11:
		return time.UnixMilli(int64(n)).UTC()
	}
	return time.Unix(int64(n), 0).UTC()
}

// epoch reads a number with a fraction, or one that is larger than a whole one
// can be.
func epoch(f float64) time.Time {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return epochInt(int(f))
	}
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		f = farthest
	case math.Abs(f) >= 1e17:
		f /= 1e9
	case math.Abs(f) >= 1e14:
		f /= 1e6
	case math.Abs(f) >= 1e11:
		f /= 1e3
	}
	f = max(min(f, farthest), -farthest) // beyond, a whole number would run over
	whole, part := math.Modf(f)
	return time.Unix(int64(whole), int64(math.Round(part*1e6))*1000).UTC()
}
