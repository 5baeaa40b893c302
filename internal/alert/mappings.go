package alert

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"riposte/internal/event"
	"riposte/internal/fault"
)

// Mappings is a set of mappings: each event is read by the one that fits it
// best. It is never changed.
type Mappings struct {
	use []*Mapping // in the order in which they are asked
	// others are all that there are, where only some may read: what fits none of
	// these may look like one of them. nil: all may read.
	others func() []*Mapping
}

// NewMappings makes a set in which every mapping may read. They are asked in
// this order: the more specific first; of equals, one that detects before one
// that takes anything; of these, by ID.
func NewMappings(all []*Mapping) *Mappings {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b *Mapping) int {
		return cmp.Or(cmp.Compare(b.rank(), a.rank()), strings.Compare(a.ID, b.ID))
	})
	return &Mappings{use: all}
}

// ChosenMappings makes a set of some mappings; an event of another is an error
// that names which. others gives all that there are, and is asked when an event
// fits none of the chosen ones.
func ChosenMappings(use []*Mapping, others func() []*Mapping) *Mappings {
	s := NewMappings(use)
	s.others = others
	return s
}

// rank is how early a mapping is asked.
func (m *Mapping) rank() int {
	if m.detect == nil {
		return -1
	}
	if strings.HasPrefix(m.ID, "generic-") {
		return 0
	}
	return m.Specificity
}

// Only is the set in which only some mappings may read. The error is
// fault.NotFound.
func (s *Mappings) Only(ids ...string) (*Mappings, error) {
	var use []*Mapping
	for _, id := range ids {
		at := slices.IndexFunc(s.use, func(m *Mapping) bool { return m.ID == id })
		if at < 0 {
			return nil, NoMapping(id, s.IDs())
		}
		use = append(use, s.use[at])
	}
	return ChosenMappings(use, s.All), nil
}

// NoMapping is the error of a name that no mapping has.
func NoMapping(id string, there []string) error {
	return fmt.Errorf("there is no mapping %s; there are %s, and auto, which chooses: %w", id, strings.Join(there, ", "), fault.NotFound)
}

// IDs names the mappings of the set, sorted.
func (s *Mappings) IDs() []string {
	ids := make([]string, len(s.use))
	for i, m := range s.use {
		ids[i] = m.ID
	}
	slices.Sort(ids)
	return ids
}

// All are the mappings of the set, in the order in which they are asked.
func (s *Mappings) All() []*Mapping { return slices.Clone(s.use) }

// Detect finds the mapping that reads an event, nil where none fits.
func (s *Mappings) Detect(e event.Event) *Mapping { return detect(s.use, e) }

func detect(list []*Mapping, e event.Event) *Mapping {
	env := env(e, time.Time{})
	for _, m := range list {
		if m.detects(env) {
			return m
		}
	}
	return nil
}

// Read makes the alert record of one event with the mapping that fits; see
// Mapping.Read. An event that fits no mapping is an error that tells which
// would read it.
func (s *Mappings) Read(source string, raw []byte, now time.Time) (Alert, bool, error) {
	e, err := event.Read(raw, now)
	if err != nil {
		return Alert{}, false, err
	}
	m := s.Detect(e)
	if m == nil {
		return Alert{}, false, s.unfit(e)
	}
	return m.Make(source, e, raw, now)
}

// Seen is what a set made of one event, for people who try it.
type Seen struct {
	Event   event.Event
	Mapping *Mapping // that read it; nil where none did
	Alert   Alert    // the record, also of an event that is no alert
	Is      bool     // the event is an alert
	Err     error    // why it could not be read; Alert is then what is kept in its place
}

// Show reads one event as Read does, and tells all about it.
func (s *Mappings) Show(source string, raw []byte, now time.Time) Seen {
	var out Seen
	if out.Event, out.Err = event.Read(raw, now); out.Err == nil {
		if out.Mapping = s.Detect(out.Event); out.Mapping == nil {
			out.Err = s.unfit(out.Event)
		} else {
			out.Alert, out.Is, out.Err = out.Mapping.read(source, out.Event, raw, now, true)
		}
	}
	if out.Err != nil {
		out.Alert, out.Is = Keep(source, raw, out.Err, now), true
	}
	return out
}

// With is the set with one mapping more, in place of one of the same ID.
func (s *Mappings) With(m *Mapping) *Mappings {
	all := slices.DeleteFunc(slices.Clone(s.use), func(old *Mapping) bool { return old.ID == m.ID })
	return NewMappings(append(all, m))
}

// Generic tells whether a mapping reads events of many products.
func (m *Mapping) Generic() bool { return m.rank() <= genericSpecificity }

// genericSpecificity is the highest of mappings for many products.
const genericSpecificity = 20

// unfit is the error of an event that no mapping reads.
func (s *Mappings) unfit(e event.Event) error {
	if s.others == nil {
		return fmt.Errorf("no mapping reads this event (%s); write one for its product, or add generic-json or generic-text: %w", e.Format, fault.Invalid)
	}
	names := make([]string, len(s.use))
	for i, m := range s.use {
		names[i] = m.ID
	}
	what := "event is no " + strings.Join(names, " and no ")
	if like := NewMappings(s.others()).Detect(e); like != nil {
		return fmt.Errorf("%s: it looks like %s (%s); make the source's mapping %s, or auto: %w", what, like.ID, like.Title, like.ID, fault.Invalid)
	}
	return fmt.Errorf("%s, and no mapping fits it (%s): %w", what, e.Format, fault.Invalid)
}
