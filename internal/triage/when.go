package triage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"riposte/internal/expr"
	"riposte/internal/strictyaml"
)

// span is a time between two moments; a zero one is open.
type span struct{ from, until time.Time }

func (s span) holds(at time.Time) bool {
	return (s.from.IsZero() || !at.Before(s.from)) && (s.until.IsZero() || at.Before(s.until))
}

// maintenance is a window in which alerts are expected.
type maintenance struct {
	id, why string
	covers  *expr.Program
	once    []span
	weekly  []weekly
	act     Act
}

// weekly is a window that comes every week, in minutes of the days of its zone.
type weekly struct {
	days        [7]bool
	from, until int // until <= from: it ends on the next day
	zone        *time.Location
}

func (m *maintenance) open(at time.Time) bool {
	return slices.ContainsFunc(m.once, func(s span) bool { return s.holds(at) }) ||
		slices.ContainsFunc(m.weekly, func(w weekly) bool { return w.holds(at) })
}

// holds goes by the clock on the wall: when it is put back, an hour counts twice.
func (w *weekly) holds(at time.Time) bool {
	local := at.In(w.zone)
	day, minute := int(local.Weekday()), local.Hour()*60+local.Minute()
	if w.until > w.from {
		return w.days[day] && minute >= w.from && minute < w.until
	}
	return w.days[day] && minute >= w.from || w.days[(day+6)%7] && minute < w.until
}

func (c *compiler) window(at string, t *maintenanceText) {
	c.named(at+"/maintenance", t.Maintenance, "maintenance window")
	m := maintenance{id: t.Maintenance, why: t.Why, act: Drop, covers: c.condition(at+"/covers", t.Covers, c.plain)}
	if t.Then != "" {
		m.act = Act(t.Then)
	}
	if len(t.Once)+len(t.Weekly) == 0 {
		c.doc.Errorf(at, "give it once or weekly", "the maintenance window %q is never", t.Maintenance)
	}
	for i := range t.Once {
		place := strictyaml.Join(at+"/once", i)
		s := c.span(place, &t.Once[i])
		if s.from.IsZero() || s.until.IsZero() {
			c.doc.Errorf(place, "give it from and until", "a window has a beginning and an end")
		}
		m.once = append(m.once, s)
	}
	for i := range t.Weekly {
		m.weekly = append(m.weekly, c.weekly(strictyaml.Join(at+"/weekly", i), &t.Weekly[i]))
	}
	c.r.maintenance = append(c.r.maintenance, m)
}

func (c *compiler) weekly(at string, t *weeklyText) weekly {
	w := weekly{from: minutes(t.From), until: minutes(t.Until), zone: c.location(at+"/zone", t.Zone, c.r.zone)}
	for _, d := range t.Days {
		for n := range w.days {
			w.days[n] = w.days[n] || strings.EqualFold(time.Weekday(n).String(), d)
		}
	}
	return w
}

func minutes(clock string) (n int) {
	var h, m int
	if _, err := fmt.Sscanf(clock, "%d:%d", &h, &m); err != nil {
		return 0
	}
	return h*60 + m
}

// span reads a time with a beginning or an end, in the file's zone.
func (c *compiler) span(at string, t *spanText) (s span) {
	if t.From == "" && t.Until == "" {
		c.doc.Errorf(at, "give it from, until or both", "nothing is said about when")
	}
	s.from, s.until = c.moment(at+"/from", t.From, false), c.moment(at+"/until", t.Until, true)
	if !s.from.IsZero() && !s.until.IsZero() && !s.until.After(s.from) {
		c.doc.Errorf(at+"/until", "give a later one", "it ends before it begins")
	}
	return s
}

// moment reads a day or a time. A day that ends something counts as a whole.
func (c *compiler) moment(at, text string, end bool) time.Time {
	if text == "" {
		return time.Time{}
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC()
	}
	for _, form := range []string{"2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02"} {
		t, err := time.ParseInLocation(form, text, c.r.zone)
		if err != nil {
			continue
		}
		if end && form == "2006-01-02" {
			t = t.AddDate(0, 0, 1)
		}
		return t.UTC()
	}
	c.doc.Errorf(at, "expected 2026-11-24, 2026-11-24 22:00 or RFC 3339", "%q is no time", text)
	return time.Time{}
}
