package event

import (
	"strconv"
	"strings"
	"time"
)

// stampForm is how a time was written, which tells what may follow it.
type stampForm int

const (
	noStamp   stampForm = iota
	isoStamp            // 2024-03-14T09:26:53Z: a host follows
	bsdStamp            // Mar 14 09:26:53: a host follows
	bareStamp           // any other: a host follows only where a program does
)

var months = map[string]time.Month{"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12}

// readStamp reads a time at the beginning of a text. A time of no real day (May
// 00) is a stamp all the same, without a time.
func readStamp(s string, now time.Time) (t time.Time, form stampForm, rest string) {
	if len(s) < 6 {
		return t, noStamp, s
	}
	switch {
	case s[0] == '[':
		return bracketStamp(s, now)
	case digit(s[0]):
		return numberStamp(s, now)
	}
	return nameStamp(s, now)
}

// scan goes through a time part by part.
type scan struct {
	s  string
	ok bool
}

func newScan(s string) *scan { return &scan{s: s, ok: true} }

// number reads digits, from low to high of them.
func (c *scan) number(low, high int) int {
	n := 0
	for n < len(c.s) && n < high && digit(c.s[n]) {
		n++
	}
	if !c.ok || n < low {
		c.ok = false
		return 0
	}
	v, _ := strconv.Atoi(c.s[:n]) // a few digits
	c.s = c.s[n:]
	return v
}

// one reads one of some characters.
func (c *scan) one(of string) byte {
	if !c.ok || c.s == "" || strings.IndexByte(of, c.s[0]) < 0 {
		c.ok = false
		return 0
	}
	b := c.s[0]
	c.s = c.s[1:]
	return b
}

func (c *scan) blanks() { c.s = strings.TrimLeft(c.s, " ") }

// clock reads 09:26:53 and a fraction after a dot or a comma.
func (c *scan) clock() (h, m, s, ns int) {
	h = c.number(1, 2)
	c.one(":")
	m = c.number(2, 2)
	c.one(":")
	s = c.number(2, 2)
	if c.ok && len(c.s) > 1 && (c.s[0] == '.' || c.s[0] == ',') && digit(c.s[1]) {
		n := 1
		for n < len(c.s) && digit(c.s[n]) {
			n++
		}
		if c.s[0] == ',' && n-1 != 3 && n-1 != 6 {
			return h, m, s, 0 // a column follows
		}
		frac := (c.s[1:n] + "000000000")[:9]
		ns, _ = strconv.Atoi(frac)
		c.s = c.s[n:]
	}
	return h, m, s, ns
}

// zone reads Z, +0200, +02:00 or -0800; without one it is UTC. Some senders
// write Z after an offset.
func (c *scan) zone() *time.Location {
	if c.s == "" {
		return time.UTC
	}
	if c.s[0] == 'Z' {
		c.s = c.s[1:]
		return time.UTC
	}
	if c.s[0] != '+' && c.s[0] != '-' {
		return time.UTC
	}
	z := newScan(c.s[1:])
	hours := z.number(2, 2)
	if strings.HasPrefix(z.s, ":") {
		z.one(":")
	}
	minutes := z.number(2, 2)
	if !z.ok || hours > 14 || minutes > 59 {
		return time.UTC
	}
	offset := (hours*60 + minutes) * 60
	if c.s[0] == '-' {
		offset = -offset
	}
	c.s = strings.TrimPrefix(z.s, "Z")
	return time.FixedZone("", offset)
}

// ended tells whether a time ends here: at a blank or a mark.
func (c *scan) ended() bool {
	return c.ok && (c.s == "" || strings.IndexByte(" \t:,];|", c.s[0]) >= 0)
}

// moment makes a time of its parts, zero for a day that there is not.
func moment(year int, month time.Month, day, h, m, s, ns int, zone *time.Location) time.Time {
	if year < 1 || month < 1 || month > 12 || day < 1 || day > 31 || h > 23 || m > 59 || s > 60 {
		return time.Time{}
	}
	return time.Date(year, month, day, h, m, s, ns/1000*1000, zone).UTC()
}

// nearest is the year that puts a day nearest to now, but not more than a day
// ahead of it: devices have clocks that are wrong, and logs that are late, but
// none of next month.
func nearest(now time.Time, month time.Month, day, h, m, s, ns int, zone *time.Location) time.Time {
	for year := now.Year() + 1; year >= now.Year()-4; year-- {
		t := moment(year, month, day, h, m, s, ns, zone)
		leapless := month == time.February && day == 29 && t.UTC().Month() == time.March && t.UTC().Day() == 1
		if !t.IsZero() && !leapless && t.Sub(now) <= 24*time.Hour {
			return t
		}
	}
	return time.Time{}
}

// nameStamp reads times that begin with a name: Mar 14 09:26:53, with a year
// after the day or at the end, and with the day of the week before it.
func nameStamp(s string, now time.Time) (time.Time, stampForm, string) {
	c := newScan(s)
	if len(s) > 4 && s[3] == ' ' && weekday(s[:3]) {
		c.s = strings.TrimLeft(s[4:], " ")
	}
	if len(c.s) < 12 {
		return time.Time{}, noStamp, s
	}
	month, ok := months[strings.ToLower(c.s[:3])]
	if !ok || c.s[3] != ' ' {
		return time.Time{}, noStamp, s
	}
	c.s = c.s[3:]
	c.blanks()
	day := c.number(1, 2)
	if strings.HasPrefix(c.s, ",") {
		c.one(",")
	}
	if c.s == "" || c.s[0] != ' ' {
		return time.Time{}, noStamp, s
	}
	c.blanks()
	year, form := 0, bsdStamp
	if len(c.s) > 5 && c.s[4] == ' ' && digit(c.s[3]) {
		year = c.number(4, 4)
		c.blanks()
	}
	h, m, sec, ns := c.clock()
	c.trailingParts()
	zone := c.zone()
	if !c.ended() {
		return time.Time{}, noStamp, s
	}
	if year == 0 {
		if at, rest, ok := yearAtEnd(c.s); ok {
			year, c.s, form = at, rest, bareStamp
		}
	}
	if year > 0 {
		return moment(year, month, day, h, m, sec, ns, zone), form, c.s
	}
	return nearest(now, month, day, h, m, sec, ns, zone), form, c.s
}

// trailingParts goes past more parts after a fraction, as Huawei's devices write
// them: 11:03:11.50.3.
func (c *scan) trailingParts() {
	for len(c.s) > 1 && c.s[0] == '.' && digit(c.s[1]) {
		n := 1
		for n < len(c.s) && digit(c.s[n]) {
			n++
		}
		c.s = c.s[n:]
	}
}

func weekday(s string) bool {
	switch strings.ToLower(s) {
	case "mon", "tue", "wed", "thu", "fri", "sat", "sun":
		return true
	}
	return false
}

// yearAtEnd reads the year of Mon Oct 24 11:32:53 2016 and of … 03:17:27 CDT
// 2011.
func yearAtEnd(s string) (int, string, bool) {
	rest := strings.TrimLeft(s, " ")
	if word, after, ok := strings.Cut(rest, " "); ok && len(word) >= 3 && len(word) <= 4 && strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
		rest = after
	}
	if len(rest) < 4 || len(rest) > 4 && digit(rest[4]) {
		return 0, s, false
	}
	year, err := strconv.Atoi(rest[:4])
	if err != nil || year < 1990 || year > 2100 || len(rest) > 4 && rest[4] != ' ' && rest[4] != ']' {
		return 0, s, false
	}
	return year, rest[4:], true
}

// bracketStamp reads a time in brackets, as web servers write it.
func bracketStamp(s string, now time.Time) (time.Time, stampForm, string) {
	end := strings.IndexByte(s[:min(len(s), 45)], ']')
	if end < 0 {
		return time.Time{}, noStamp, s
	}
	t, form, rest := readStamp(s[1:end], now)
	if form == noStamp || strings.TrimSpace(rest) != "" {
		return time.Time{}, noStamp, s
	}
	return t, bareStamp, strings.TrimLeft(s[end+1:], ", ")
}

// numberStamp reads times that begin with a digit.
func numberStamp(s string, now time.Time) (time.Time, stampForm, string) {
	n := 0
	for n < len(s) && digit(s[n]) {
		n++
	}
	switch {
	case n == len(s):
		return time.Time{}, noStamp, s
	case n == 4 && (s[4] == '-' || s[4] == '/') && len(s) > 5 && digit(s[5]):
		return yearFirst(s)
	case n == 4 && s[4] == ' ' || n == 4 && s[4] == '-' && len(s) > 8 && months[strings.ToLower(s[5:8])] > 0:
		return yearAndName(s)
	case n == 8 && s[8] == ' ':
		return compact(s)
	case n <= 2 && s[n] == '/':
		return slashes(s)
	case n == 10 || n == 13:
		return epochStamp(s, n, now)
	}
	return time.Time{}, noStamp, s
}

// yearFirst reads 2024-03-14T09:26:53.5+00:00 and 2024/03/14 09:26:53.
func yearFirst(s string) (time.Time, stampForm, string) {
	c := newScan(s)
	year := c.number(4, 4)
	c.one("-/")
	month := c.number(1, 2)
	c.one("-/")
	day := c.number(1, 2)
	sep := c.one("T _:")
	h, m, sec, ns := c.clock()
	if c.ok && sep == ' ' && len(c.s) > 2 && c.s[0] == ' ' && (c.s[1] == '+' || c.s[1] == '-') && digit(c.s[2]) {
		c.s = c.s[1:]
	}
	zone := c.zone()
	if rest, ok := strings.CutPrefix(c.s, " UTC"); ok {
		c.s = rest
	}
	if !c.ended() {
		return time.Time{}, noStamp, s
	}
	form := bareStamp
	if sep == 'T' && c.s != "" && c.s[0] == ' ' {
		form = isoStamp
	}
	return moment(year, time.Month(month), day, h, m, sec, ns, zone), form, c.s
}

// yearAndName reads 2014 Dec 20 09:29:47 and 2019-Jul-25 14:28:31.
func yearAndName(s string) (time.Time, stampForm, string) {
	if len(s) < 20 {
		return time.Time{}, noStamp, s
	}
	month, ok := months[strings.ToLower(s[5:8])]
	if !ok {
		return time.Time{}, noStamp, s
	}
	year, _ := strconv.Atoi(s[:4]) // four digits
	c := newScan(s[8:])
	c.one(" -")
	c.blanks()
	day := c.number(1, 2)
	c.one(" ")
	h, m, sec, ns := c.clock()
	if !c.ended() {
		return time.Time{}, noStamp, s
	}
	return moment(year, month, day, h, m, sec, ns, time.UTC), bareStamp, c.s
}

// compact reads 20160806 050000.
func compact(s string) (time.Time, stampForm, string) {
	c := newScan(s)
	year, month, day := c.number(4, 4), c.number(2, 2), c.number(2, 2)
	c.one(" ")
	h, m, sec := c.number(2, 2), c.number(2, 2), c.number(2, 2)
	t := moment(year, time.Month(month), day, h, m, sec, 0, time.UTC)
	if !c.ended() || t.IsZero() || year < 1990 {
		return time.Time{}, noStamp, s
	}
	return t, bareStamp, c.s
}

// slashes reads 14/Jul/2026:15:02:41 +0100 and 02/05/2022 12:12:59 AM, the month
// first where both can be a month.
func slashes(s string) (time.Time, stampForm, string) {
	c := newScan(s)
	first := c.number(1, 2)
	c.one("/")
	month, day := time.Month(first), 0
	if c.ok && len(c.s) > 3 && !digit(c.s[0]) {
		month, day = months[strings.ToLower(c.s[:3])], first
		c.s = c.s[3:]
	} else {
		day = c.number(1, 2)
		if first > 12 {
			month, day = time.Month(day), first
		}
	}
	c.one("/")
	year := c.number(4, 4)
	c.one(" :")
	h, m, sec, ns := c.clock()
	if c.ok && len(c.s) > 1 && c.s[0] == ' ' && (c.s[1] == '+' || c.s[1] == '-') {
		c.s = c.s[1:]
	}
	zone := c.zone()
	if rest, ok := strings.CutPrefix(c.s, " PM"); ok {
		c.s = rest
		if h < 12 {
			h += 12
		}
	} else if rest, ok := strings.CutPrefix(c.s, " AM"); ok {
		c.s = rest
		h %= 12
	}
	if !c.ended() {
		return time.Time{}, noStamp, s
	}
	return moment(year, month, day, h, m, sec, ns, zone), bareStamp, c.s
}

// epochStamp reads seconds or milliseconds since 1970, of years around now.
func epochStamp(s string, n int, now time.Time) (time.Time, stampForm, string) {
	c := newScan(s[n:])
	units, _ := strconv.ParseInt(s[:n], 10, 64) // a few digits
	t := time.Unix(units, 0)
	if n == 13 {
		t = time.UnixMilli(units)
	}
	if strings.HasPrefix(c.s, ".") {
		c.one(".")
		start := len(c.s)
		for c.s != "" && digit(c.s[0]) {
			c.s = c.s[1:]
		}
		frac := (s[len(s)-len(c.s)-(start-len(c.s)):len(s)-len(c.s)] + "000000")[:6]
		micros, _ := strconv.Atoi(frac)
		t = t.Add(time.Duration(micros) * time.Microsecond)
	}
	if !c.ended() || t.Year() < 2000 || t.Year() > now.Year()+30 {
		return time.Time{}, noStamp, s
	}
	return t.UTC(), isoStamp, c.s
}
