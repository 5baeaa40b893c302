package triage

import (
	"time"

	"riposte/internal/alert"
)

// LookBack is how far back a state has to know what came: after a restart, or
// for a new rule set, that much is recalled.
func (r *Rules) LookBack() (most time.Duration) {
	for i := range r.rules {
		rule := &r.rules[i]
		if rule.act == Fold {
			most = max(most, rule.within)
		}
		if rule.threshold != nil {
			most = max(most, rule.threshold.within)
		}
	}
	if r.counts {
		most = max(most, 24*time.Hour)
	}
	if len(r.storms) > 0 {
		most = max(most, time.Minute)
	}
	return most
}

// Recall lets a state know of an alert that was decided before, perhaps by
// other rules: what it counts for, and whether others may be folded into it.
// Alerts are recalled in the order in which they came.
func (r *Rules) Recall(s *State, stored *alert.Alert) {
	a := AsItCame(*stored)
	p := r.Prepare(&a, nil)
	w := walk{r: r, p: p, s: s}
	w.Decision = Decision{Severity: a.Severity, Category: a.Category, Tags: a.Tags}
	if a.Error == "" {
		w.recall(stored.Rule)
	}
	d := Decision{Act: Keep, Severity: stored.Severity}
	switch stored.Status {
	case alert.Dropped, alert.Closed:
		d.Act = Drop
	case alert.Folded:
		d.Act = Fold
	case alert.InCase:
		d.Act = Attach
	case alert.New:
	}
	for i := range r.storms {
		st := &r.storms[i]
		if d.Act == Drop || !st.counts(p, &w.Decision, i) {
			continue
		}
		rt := s.rate(hitKey{i, p.storm[i].id})
		rt.add(a.Received, nil)
		if d.Act == Keep && stored.Changes == 0 {
			rt.keep(a.ID, a.Received, st.moreThan)
		}
	}
	r.remember(p, s, &d, w.keys, nil)
}

// recall asks the rules up to the one that decided.
func (w *walk) recall(decided string) {
	for i := range w.r.rules {
		rule := &w.r.rules[i]
		if !rule.valid.holds(w.p.Alert.Received) {
			continue
		}
		if m := w.holds(i); m.err != nil || !m.holds {
			continue
		}
		if enough, err := w.enough(i); err != nil || !enough {
			continue
		}
		if rule.act == Fold {
			if k, ok := w.key(i); ok {
				w.keys = append(w.keys, k.id)
			}
		}
		if rule.id == decided {
			return
		}
		if rule.act == "" {
			w.change(rule)
		}
	}
}
