package app

import (
	"context"
	"errors"
	"time"

	"riposte/internal/alert"
	"riposte/internal/cases"
	"riposte/internal/fault"
	"riposte/internal/score"
	"riposte/internal/store"
)

const (
	// learnAtOnce is how many decisions of people one transaction learns from.
	learnAtOnce = 50
	// mostOfCase is how many alerts of a case teach anything: what more of them
	// would say, these have said.
	mostOfCase = 500
)

// lesson is what one decision changes in memory, once it is on disk.
type lesson struct {
	detection score.Detection
	verdict   string
	n         int
	store.Judged
	pairs []uint64
}

// learnDecisions takes what people have decided into the history of detections and the
// record of closing rules.
func (c *core) learnDecisions(ctx context.Context) error {
	for {
		var list []store.Decision
		err := c.db.Read(ctx, func(q *store.Reader) (err error) {
			list, err = store.Decisions(q, learnAtOnce)
			return err
		})
		if err != nil || len(list) == 0 {
			return err
		}
		var lessons []lesson
		touched := map[string]bool{}
		err = c.db.Write(ctx, func(tx *store.Tx) error {
			lessons = nil
			for i := range list {
				l, err := c.learnOne(tx, &list[i], touched)
				if err != nil {
					return err
				}
				lessons = append(lessons, l...)
				if err := store.DropDecision(tx, list[i].Seq); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, l := range lessons {
			c.score.memory.Decided(l.detection, l.verdict, l.At, l.n)
			if l.n > 0 {
				c.score.memory.Said(l.pairs, l.verdict, l.At)
			} else {
				c.score.memory.Said(l.pairs, "", l.At)
			}
		}
		for rule := range touched {
			if err := c.judgeClosing(ctx, rule); err != nil {
				return err
			}
		}
	}
}

// learnOne learns from one decision: what was said of the subject before is taken
// back, and what is said now counts, once for each detection.
func (c *core) learnOne(tx *store.Tx, d *store.Decision, touched map[string]bool) (lessons []lesson, err error) {
	alerts, err := decidedAlerts(tx, d)
	if err != nil {
		return nil, err
	}
	before, err := store.JudgedOf(&tx.Reader, d.Tenant, d.Subject())
	if err != nil {
		return nil, err
	}
	var pairs []uint64
	for i := range alerts {
		pairs = append(pairs, pairsOf(&alerts[i])...)
	}
	for _, j := range before {
		lessons = append(lessons, lesson{score.Detection{Tenant: j.Tenant, Source: j.Source, Rule: j.Rule}, j.Verdict, -1, j, pairs})
	}
	if err := store.ForgetJudged(tx, d.Tenant, d.Subject()); err != nil {
		return nil, err
	}
	for i := range alerts {
		a := &alerts[i]
		if err := c.tellClosing(tx, d, a, touched); err != nil {
			return nil, err
		}
		if d.Status != "closed" || !counts(d.Verdict) {
			continue
		}
		det, of := detection(a), pairsOf(a)
		j := store.Judged{Tenant: det.Tenant, Source: det.Source, Rule: det.Rule, Subject: d.Subject(), Verdict: d.Verdict, At: d.At, Who: d.Who}
		if err := store.KeepJudged(tx, j, of); err != nil {
			return nil, err
		}
		lessons = append(lessons, lesson{det, d.Verdict, 1, j, of})
	}
	return onceEach(lessons), nil
}

// onceEach lets a detection count once for a decision, however many alerts of it
// were decided about; their pairs are all kept.
func onceEach(lessons []lesson) []lesson {
	first := map[score.Detection]int{}
	var out []lesson
	for _, l := range lessons {
		if at, ok := first[l.detection]; ok && l.n > 0 {
			out[at].pairs = append(out[at].pairs, l.pairs...)
			continue
		}
		if l.n > 0 {
			first[l.detection] = len(out)
		}
		out = append(out, l)
	}
	return out
}

// counts tells whether a verdict teaches anything.
func counts(verdict string) bool {
	switch cases.Verdict(verdict) {
	case cases.TruePositive, cases.BenignPositive, cases.FalsePositive:
		return true
	case cases.Undetermined:
	}
	return false
}

// decidedAlerts are the alerts that a decision is about; none where they are gone.
func decidedAlerts(tx *store.Tx, d *store.Decision) ([]alert.Alert, error) {
	if d.Case == 0 {
		a, err := store.Alert(&tx.Reader, d.Tenant, d.Alert)
		if errors.Is(err, fault.NotFound) {
			return nil, nil
		}
		return []alert.Alert{a}, err
	}
	page, err := store.AlertsOfCase(&tx.Reader, d.Tenant, d.Case, store.Slice{Limit: mostOfCase})
	if errors.Is(err, fault.NotFound) {
		return nil, nil
	}
	return page.Items, err
}

// tellClosing keeps what a person said of an alert that a closing rule closed or
// left as a sample. A true positive disagrees, and so does opening again what the
// rule closed.
func (c *core) tellClosing(tx *store.Tx, d *store.Decision, a *alert.Alert, touched map[string]bool) error {
	acts, err := store.ClosingsOf(&tx.Reader, a.ID)
	if err != nil {
		return err
	}
	for i := range acts {
		act := &acts[i]
		switch {
		case d.Status == "closed" && counts(d.Verdict):
			// Who closes again as noise what was opened takes the disagreement back.
			act.Decided, act.Verdict, act.Disagree = d.At, d.Verdict, d.Verdict == string(cases.TruePositive)
		case d.Status != "closed" && !act.Sampled:
			act.Decided, act.Verdict, act.Disagree = d.At, "reopened", true
		case d.Status != "closed":
			act.Decided, act.Verdict, act.Disagree = time.Time{}, "", false // a sample waits again
		default:
			continue
		}
		act.Who = d.Who
		if err := store.DecideClosing(tx, act); err != nil {
			return err
		}
		touched[act.Rule] = true
	}
	return nil
}
