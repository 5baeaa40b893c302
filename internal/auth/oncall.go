package auth

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"riposte/internal/strictyaml"
)

// Duty says who is on call for something.
type Duty struct {
	// People are users, group:… or role:…: all of them at once, or with Rotate
	// one after the other in the order written.
	People []string      `yaml:"people" doc:"users, group:… or role:…; all at once, or with rotate one at a time"`
	Rotate time.Duration `yaml:"rotate" doc:"how long each is on call, such as 7d; default: all at once"`
	From   time.Time     `yaml:"from" doc:"when the first of the list takes over, such as 2026-01-05T08:00:00Z; needed with rotate"`
	// Times are hours of the week with people of their own. The first that holds
	// wins; People are on call when none does.
	Times []Shift `yaml:"times" doc:"hours of the week with people of their own; the first that holds wins"`
}

// UnmarshalStrict reads a list of people, or a mapping.
func (d *Duty) UnmarshalStrict(n strictyaml.Node) {
	if n.IsList() {
		n.Decode(&d.People)
		return
	}
	if !n.IsMapping() {
		n.Errorf("expected a list such as [ana, lee], or a mapping with people and turns", "%s is no list of people", path.Base(n.Path()))
		return
	}
	type mapping Duty // without this method
	n.Decode((*mapping)(d))
}

// StrictSchema describes both forms.
func (*Duty) StrictSchema() map[string]any {
	people := map[string]any{"type": "array", "items": map[string]any{"type": "string"}}
	return map[string]any{"oneOf": []any{people, map[string]any{
		"type": "object", "additionalProperties": false,
		"properties": map[string]any{
			"people": people,
			"rotate": map[string]any{"type": "string", "pattern": "^[0-9]+[smhd]$"},
			"from":   map[string]any{"type": "string", "format": "date-time"},
			"times": map[string]any{"type": "array", "items": map[string]any{
				"type": "object", "additionalProperties": false, "required": []any{"when", "people"},
				"properties": map[string]any{"when": map[string]any{"type": "string"}, "people": people},
			}},
		},
	}}}
}

// Shift is who is on call in some hours of the week, in UTC.
type Shift struct {
	When   Hours    `yaml:"when,required" doc:"days, hours or both, in UTC: mon-fri 08:00-18:00, or sat-sun"`
	People []string `yaml:"people,required" doc:"users, group:… or role:…"`
}

// Hours are hours of a week in UTC, written "mon-fri 08:00-18:00", "sat,sun" or
// "22:00-06:00". Hours that pass midnight belong to the day on which they begin.
// The zero value is the whole week.
type Hours struct {
	days     [7]bool
	some     bool // days are given; else every day
	from, to int  // minutes of the day; equal: all day
	text     string
}

// MarshalText writes the hours as they were read.
func (h Hours) MarshalText() ([]byte, error) { return []byte(h.text), nil }

const badHours = "%q are no hours of the week; write days, hours or both, such as mon-fri 08:00-18:00, sat,sun or 22:00-06:00"

// UnmarshalText reads hours of the week.
func (h *Hours) UnmarshalText(b []byte) error {
	*h = Hours{text: string(b)}
	words := strings.Fields(strings.ToLower(string(b)))
	if len(words) == 0 || len(words) > 2 {
		return fmt.Errorf(badHours, b)
	}
	if !strings.Contains(words[0], ":") {
		if !h.readDays(words[0]) {
			return fmt.Errorf(badHours, b)
		}
		words = words[1:]
	}
	if len(words) == 0 {
		return nil
	}
	if len(words) > 1 || !h.readTimes(words[0]) {
		return fmt.Errorf(badHours, b)
	}
	return nil
}

func (h *Hours) readDays(s string) bool {
	h.some = true
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(part, "-")
		from, ok := weekday(first)
		to := from
		if isRange && ok {
			to, ok = weekday(last)
		}
		if !ok {
			return false
		}
		for day := from; ; day = (day + 1) % 7 {
			h.days[day] = true
			if day == to {
				break
			}
		}
	}
	return true
}

func weekday(s string) (time.Weekday, bool) {
	i := slices.Index([]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}, s)
	return time.Weekday(i), i >= 0
}

func (h *Hours) readTimes(s string) bool {
	first, last, ok := strings.Cut(s, "-")
	if !ok {
		return false
	}
	from, okFrom := minutes(first)
	to, okTo := minutes(last)
	h.from, h.to = from, to
	return okFrom && okTo
}

func minutes(s string) (int, bool) {
	if s == "24:00" {
		return 24 * 60, true
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != 5 {
		return 0, false
	}
	return t.Hour()*60 + t.Minute(), true
}

// Hold tells whether a time is among the hours.
func (h Hours) Hold(at time.Time) bool {
	at = at.UTC()
	now := at.Hour()*60 + at.Minute()
	today, yesterday := at.Weekday(), (at.Weekday()+6)%7
	if h.from == h.to {
		return h.on(today)
	}
	if h.from < h.to {
		return h.on(today) && now >= h.from && now < h.to
	}
	return h.on(today) && now >= h.from || h.on(yesterday) && now < h.to
}

func (h Hours) on(day time.Weekday) bool { return !h.some || h.days[day] }

// now lists who is on call, as references.
func (d Duty) now(at time.Time) []string {
	for _, s := range d.Times {
		if s.When.Hold(at) {
			return s.People
		}
	}
	if d.Rotate <= 0 || len(d.People) == 0 {
		return d.People
	}
	since := at.Sub(d.From)
	turn := int64(since / d.Rotate)
	if since < 0 && since%d.Rotate != 0 { // before the first turn the list runs backwards
		turn--
	}
	n := int64(len(d.People))
	i := (turn%n + n) % n
	return d.People[i : i+1]
}

// everybody lists who is on call at some time, as references.
func (d Duty) everybody() []string {
	all := slices.Clone(d.People)
	for _, s := range d.Times {
		all = append(all, s.People...)
	}
	return all
}

// Problems says what is wrong with a duty, given the names that there are.
func (d Duty) Problems(people, groups, roles []string) []string {
	var wrong []string
	if len(d.People) == 0 && len(d.Times) == 0 {
		wrong = append(wrong, "nobody is named")
	}
	if d.Rotate < 0 || d.Rotate > 0 && d.From.IsZero() {
		wrong = append(wrong, "rotate needs from: when the first of the list takes over")
	}
	for _, s := range d.Times {
		if len(s.People) == 0 {
			wrong = append(wrong, "nobody is named for some hours")
		}
	}
	for _, ref := range d.everybody() {
		kind, name, ok := strings.Cut(ref, ":")
		if !ok {
			kind, name = "person", ref
		}
		known := map[string][]string{"person": people, "group": groups, "role": roles}
		switch {
		case known[kind] == nil && kind != "person" && kind != "group":
			wrong = append(wrong, fmt.Sprintf("%q is no way to name people here; write a user name, group:… or role:…", ref))
		case !slices.Contains(known[kind], name):
			wrong = append(wrong, fmt.Sprintf("there is no %s %q", kind, name))
		}
	}
	return wrong
}
