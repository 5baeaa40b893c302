package triage

import (
	"slices"
	"time"

	"riposte/internal/alert"
)

// How much is remembered at most, the oldest is forgotten first: an alert whose
// like is forgotten stands by itself, which is no harm.
const (
	mostHeads = 200_000
	mostHits  = 50_000
	mostSeen  = 100_000
	mostKinds = 10_000
)

// State is what has to be remembered from alert to alert: which are open, how
// many came, which storms go on. It belongs to one rule set and to one goroutine
// at a time.
type State struct {
	heads  map[ident]head
	order  []ident // of heads, the oldest first
	hits   map[hitKey]*hits
	hitQ   []hitKey
	seen   map[ident]*days
	seenQ  []ident
	rates  map[hitKey]*rate
	storms map[hitKey]*storm
}

// NewState is the state before the first alert.
func NewState() *State {
	return &State{
		heads: map[ident]head{}, hits: map[hitKey]*hits{}, seen: map[ident]*days{}, rates: map[hitKey]*rate{}, storms: map[hitKey]*storm{},
	}
}

// head is an open alert that others may be folded into.
type head struct {
	id       alert.ID
	at       int64 // microseconds
	severity int
}

// hitKey is a key of one rule or storm.
type hitKey struct {
	rule int
	key  ident
}

// remember makes an alert the one that others with its keys are folded into.
func (s *State) remember(keys []ident, h head) {
	for _, k := range keys {
		if _, known := s.heads[k]; !known {
			s.order = append(s.order, k)
		}
		s.heads[k] = h
	}
	for len(s.heads) > mostHeads {
		delete(s.heads, s.order[0])
		s.order = s.order[1:]
	}
}

// hits are the last times at which a threshold was hit, the oldest first.
type hits struct{ at []int64 }

// hit counts an alert and tells how many there are within a time, itself
// included. Only the last most are remembered.
func (s *State) hit(k hitKey, at time.Time, within time.Duration, most int, u *Undo) int {
	h := s.hits[k]
	if h == nil {
		h = &hits{}
		s.hits[k], s.hitQ = h, append(s.hitQ, k)
		for len(s.hits) > mostHits {
			delete(s.hits, s.hitQ[0])
			s.hitQ = s.hitQ[1:]
		}
	}
	now := at.UnixMicro()
	h.at = append(h.at[h.past(now-within.Microseconds()):], now)
	if len(h.at) > most {
		h.at = h.at[len(h.at)-most:]
	}
	u.add(func() {
		if i := slices.Index(h.at, now); i >= 0 {
			h.at = slices.Delete(h.at, i, i+1)
		}
	})
	return len(h.at)
}

// peek tells how many there would be.
func (s *State) peek(k hitKey, at time.Time, within time.Duration, most int) int {
	h := s.hits[k]
	if h == nil {
		return 1
	}
	return min(most, len(h.at)-h.past(at.UnixMicro()-within.Microseconds())+1)
}

// past is how many hits are older than a time.
func (h *hits) past(oldest int64) (n int) {
	for n < len(h.at) && h.at[n] <= oldest {
		n++
	}
	return n
}

// days counts the alerts of the last day, by the hour.
type days struct {
	hours [24]int32
	last  int64 // the hour that was counted last
}

func (d *days) move(hour int64) {
	for d.last < hour {
		if hour-d.last > 24 {
			d.last = hour - 24
		}
		d.last++
		d.hours[d.last%24] = 0
	}
}

func (d *days) sum() (n int) {
	for _, h := range d.hours {
		n += int(h)
	}
	return n
}

// before tells how many alerts of a key came in the last day.
func (s *State) before(k ident, at time.Time) int {
	d := s.seen[k]
	if d == nil {
		return 0
	}
	d.move(at.Unix() / 3600)
	return d.sum()
}

func (s *State) count(k ident, at time.Time, u *Undo) {
	d := s.seen[k]
	if d == nil {
		d = &days{last: at.Unix() / 3600}
		s.seen[k], s.seenQ = d, append(s.seenQ, k)
		for len(s.seen) > mostSeen {
			delete(s.seen, s.seenQ[0])
			s.seenQ = s.seenQ[1:]
		}
	}
	d.move(at.Unix() / 3600)
	slot := &d.hours[d.last%24]
	*slot++
	u.add(func() { *slot = max(0, *slot-1) })
}

// Undo takes back what alerts did to a state whose transaction failed. The nil
// Undo remembers nothing.
type Undo struct{ back []func() }

func (u *Undo) add(f func()) {
	if u != nil {
		u.back = append(u.back, f)
	}
}

// Mark is a place to go back to.
func (u *Undo) Mark() int { return len(u.back) }

// Back takes back everything since a mark, the last first.
func (u *Undo) Back(mark int) {
	for i := len(u.back) - 1; i >= mark; i-- {
		u.back[i]()
	}
	u.back = u.back[:mark]
}

// World is what a decision needs to know of records: the state remembers what
// was open, records say whether it still is.
type World interface {
	// Open tells whether an alert can take others in: it is new, or in a case that
	// is open.
	Open(id alert.ID) (bool, error)
	// CaseOf finds the open case of a group key that was changed since a time, 0 if
	// there is none.
	CaseOf(group string, since time.Time) (int64, error)
}

// Nowhere is a world in which nothing is open.
type Nowhere struct{}

// Open is never true.
func (Nowhere) Open(alert.ID) (bool, error) { return false, nil }

// CaseOf finds none.
func (Nowhere) CaseOf(string, time.Time) (int64, error) { return 0, nil }
