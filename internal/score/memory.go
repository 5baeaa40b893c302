package score

import (
	"hash/fnv"
	"sync"
	"time"

	"riposte/internal/alert"
)

// HistoryDays is how far back decisions about a detection count.
const HistoryDays = 90

// Detection names the rule of a product that made an alert.
type Detection struct {
	Tenant, Source, Rule string
}

// DetectionOf tells which rule of which source made an alert: its rule_id, else
// its title.
func DetectionOf(a *alert.Alert) Detection {
	rule := ""
	for _, name := range []string{"rule_id", "rule"} {
		if v, ok := a.Fields[name]; ok && rule == "" {
			if list := alert.Texts(v); len(list) > 0 {
				rule = list[0]
			}
		}
	}
	if rule == "" {
		rule = a.Title
	}
	return Detection{Tenant: a.Tenant, Source: a.Source, Rule: rule}
}

// Memory answers at once how people decided about a detection, and what was seen
// before. It is filled from records and told of every change. The zero value
// knows nothing. It may be used by many goroutines at once.
type Memory struct {
	mu       sync.RWMutex
	history  map[Detection]map[int32]History // by day
	old, now map[uint64]sighting             // by pair; what is not met for two generations is forgotten
}

// sighting is how often a pair was seen, and what a person said of it last.
type sighting struct {
	alerts  uint32
	verdict uint8
	said    int32 // the day
}

// generation is how many pairs one generation holds; two take about 20 MB.
const generation = 200_000

var outcomes = [4]string{"", "true_positive", "benign_positive", "false_positive"}

func outcomeNumber(verdict string) uint8 {
	for i, w := range outcomes {
		if w == verdict {
			return uint8(i)
		}
	}
	return 0
}

// day counts days since 1970.
func day(t time.Time) int32 { return int32(t.Unix() / (24 * 3600)) }

// Decided counts a decision of a person about a detection, or with n = -1 takes
// one back that was changed. A verdict that says neither is not counted.
func (m *Memory) Decided(d Detection, verdict string, at time.Time, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.history == nil {
		m.history = map[Detection]map[int32]History{}
	}
	days := m.history[d]
	if days == nil {
		days = map[int32]History{}
		m.history[d] = days
	}
	h := days[day(at)]
	switch verdict {
	case "true_positive":
		h.TruePositive = max(0, h.TruePositive+n)
	case "benign_positive":
		h.BenignPositive = max(0, h.BenignPositive+n)
	case "false_positive":
		h.FalsePositive = max(0, h.FalsePositive+n)
	}
	if h == (History{}) {
		delete(days, day(at))
		return
	}
	days[day(at)] = h
}

// History tells how people decided about a detection within HistoryDays.
func (m *Memory) History(d Detection, now time.Time) (h History) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	first := day(now) - HistoryDays
	for on, x := range m.history[d] {
		if on >= first {
			h.TruePositive += x.TruePositive
			h.BenignPositive += x.BenignPositive
			h.FalsePositive += x.FalsePositive
		}
	}
	return h
}

// Forget drops decisions that are too old to count.
func (m *Memory) Forget(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	first := day(now) - HistoryDays
	for d, days := range m.history {
		for on := range days {
			if on < first {
				delete(days, on)
			}
		}
		if len(days) == 0 {
			delete(m.history, d)
		}
	}
}

// pairsOfEach is how many observables and entities of one alert make pairs.
const pairsOfEach = 8

// Pairs names the pairs of an observable and an entity that an alert of a tenant
// is about; one of which it has none is paired with nothing.
func Pairs(tenant string, a *alert.Alert) []uint64 {
	entities := a.Entities[:min(len(a.Entities), pairsOfEach)]
	observables := a.Observables[:min(len(a.Observables), pairsOfEach)]
	list := make([]uint64, 0, max(len(observables), 1)*max(len(entities), 1))
	pair := func(o alert.Observable, e alert.Entity) {
		if o.Type == e.Kind && o.Value == e.Value {
			return // the same thing twice says nothing of two
		}
		h := fnv.New64a()
		for _, s := range [...]string{tenant, o.Type, o.Value, e.Kind, e.Value} {
			h.Write([]byte(s))
			h.Write([]byte{0})
		}
		list = append(list, h.Sum64())
	}
	for _, o := range observables {
		for _, e := range entities {
			pair(o, e)
		}
		if len(entities) == 0 {
			pair(o, alert.Entity{})
		}
	}
	if len(observables) == 0 {
		for _, e := range entities {
			pair(alert.Observable{}, e)
		}
	}
	return list
}

// Seen tells what is known of earlier alerts with one of the pairs: the most of
// any, and the last word of a person.
func (m *Memory) Seen(pairs []uint64) (s Seen) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	last := int32(-1)
	for _, p := range pairs {
		x, ok := m.now[p]
		if !ok {
			x = m.old[p]
		}
		s.Alerts = max(s.Alerts, int(x.alerts))
		if x.verdict != 0 && x.said > last {
			last, s.Verdict = x.said, outcomes[x.verdict]
		} else if x.verdict == 1 && x.said == last {
			s.Verdict = outcomes[1] // of two words on one day the graver one counts
		}
	}
	return s
}

// Saw counts an alert with these pairs.
func (m *Memory) Saw(pairs []uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range pairs {
		x := m.take(p)
		if x.alerts < 1<<31 {
			x.alerts++
		}
		m.now[p] = x
	}
}

// Said keeps what a person said of an alert with these pairs; "" takes it back.
func (m *Memory) Said(pairs []uint64, verdict string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range pairs {
		x := m.take(p)
		if d := day(at); d >= x.said || verdict == "" {
			x.verdict, x.said = outcomeNumber(verdict), d
		}
		m.now[p] = x
	}
}

// take finds a pair in either generation and makes room for it.
func (m *Memory) take(p uint64) sighting {
	x, ok := m.now[p]
	if !ok {
		x = m.old[p]
		if m.now == nil || len(m.now) >= generation {
			m.old, m.now = m.now, make(map[uint64]sighting, 1024)
		}
	}
	return x
}
