package triage

import (
	"fmt"
	"strings"
	"time"

	"riposte/internal/alert"
)

// Asked is one rule that was asked about an alert, in the order of asking.
type Asked struct {
	Rule  string
	Held  bool
	What  string // what came of it
	Error string
}

// Explain tells which rules were asked about an alert when it came, and what
// came of each: stored is the alert, came how it stood when it came. What was
// open then, and how many had come before, is known by what came of it.
func (r *Rules) Explain(stored *alert.Alert, came alert.Event) (asked []Asked, d Decision) {
	a := AsItCame(*stored)
	w := walk{r: r, p: r.Prepare(&a, nil), s: NewState(), world: Nowhere{}, dry: true}
	w.Decision = Decision{Severity: a.Severity, Category: a.Category, Tags: a.Tags}
	say := func(rule string, held bool, what string) {
		asked = append(asked, Asked{Rule: rule, Held: held, What: what})
	}
	if a.Error != "" {
		return nil, w.Decision
	}
	for i := range r.maintenance {
		m := &r.maintenance[i]
		switch {
		case !m.open(a.Received):
			say(m.id, false, "no window at that time")
		case m.id == came.Rule:
			say(m.id, true, "its window covers the alert")
			return asked, w.Decision
		default:
			say(m.id, false, "its window does not cover the alert")
		}
	}
	for i := range r.rules {
		rule := &r.rules[i]
		decided := rule.id == came.Rule
		one := w.explain(i, decided)
		asked = append(asked, one)
		if one.Held {
			w.change(rule)
		}
		if decided {
			break
		}
	}
	for i := range r.storms {
		if st := &r.storms[i]; st.id == came.Rule {
			say(st.id, true, fmt.Sprintf("more than %d alerts a minute shared its key", st.moreThan))
		}
	}
	w.sight()
	if came.Status == alert.New || came.Status == alert.InCase {
		r.routed(w.p, &w.Decision)
	} else {
		w.Starts = nil
	}
	return asked, w.Decision
}

func (w *walk) explain(i int, decided bool) (one Asked) {
	rule := &w.r.rules[i]
	one.Rule = rule.id
	if !rule.valid.holds(w.p.Alert.Received) {
		one.What = "not valid at that time"
		return one
	}
	m := w.holds(i)
	switch {
	case m.err != nil:
		one.What, one.Error = "its condition could not be worked out", strings.TrimSuffix(m.err.Error(), ": invalid")
		return one
	case !m.holds:
		one.What = "its condition does not hold"
		return one
	case decided:
		one.Held, one.What = true, "it decided"
		return one
	}
	t := rule.threshold
	switch {
	case rule.act == Fold || rule.act == Attach:
		if k, ok := w.key(i); !ok {
			one.What = "the alert lacks a part of its key"
			if k.err != nil {
				one.Error = strings.TrimSuffix(k.err.Error(), ": invalid")
			}
			return one
		}
		one.What = map[Act]string{
			Fold:   fmt.Sprintf("no open alert of the last %s had its key, or it was less severe", duration(rule.within)),
			Attach: fmt.Sprintf("no open case that was changed in the last %s had its key", duration(rule.within)),
		}[rule.act]
	case t != nil:
		one.What = fmt.Sprintf("fewer than %d within %s, or it changed the alert and asked on", t.count, duration(t.within))
	case rule.act == "":
		one.Held, one.What = true, "it changed the alert and asked on"
	default:
		one.What = "it would decide; something before it did"
	}
	return one
}

// duration writes a time as rule files do.
func duration(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d >= u.unit && d%u.unit == 0 {
			return fmt.Sprintf("%d%s", d/u.unit, u.name)
		}
	}
	return fmt.Sprintf("%ds", d/time.Second)
}
