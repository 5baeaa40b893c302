package guard

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Usage is how much of a limit is used, for pages.
type Usage struct {
	Limit   string `json:"limit"`
	Of      string `json:"of"`      // what is counted apart: tenant, then what the limit names, joined by |
	Waiting int    `json:"waiting"` // reserved by steps that wait
	Hour    int    `json:"hour"`    // called in the last hour
	Day     int    `json:"day"`     // called in the last 24 hours
	MaxHour int    `json:"max_hour,omitempty"`
	MaxDay  int    `json:"max_day,omitempty"`
}

// Limits tells how much of the limits is used, the fullest first.
func (g *Guard) Limits(at time.Time) []Usage {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := []Usage{}
	for name, c := range g.limiter.counters {
		limit, of, _ := strings.Cut(name, "|")
		u := Usage{Limit: limit, Of: of, Waiting: c.held, Hour: c.hour.count(at), Day: c.day.count(at)}
		for i := range g.limiter.limits {
			if l := &g.limiter.limits[i]; l.Name == limit {
				u.MaxHour, u.MaxDay = l.Hour, l.Day
			}
		}
		if u.Waiting+u.Day > 0 {
			list = append(list, u)
		}
	}
	slices.SortFunc(list, func(a, b Usage) int {
		return cmp.Or(cmp.Compare(b.fill(), a.fill()), cmp.Compare(a.Limit, b.Limit), cmp.Compare(a.Of, b.Of))
	})
	return list
}

func (u Usage) fill() float64 {
	full := 0.0
	if u.MaxHour > 0 {
		full = float64(u.Waiting+u.Hour) / float64(u.MaxHour)
	}
	if u.MaxDay > 0 {
		full = max(full, float64(u.Waiting+u.Day)/float64(u.MaxDay))
	}
	return full
}
