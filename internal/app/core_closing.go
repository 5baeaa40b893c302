package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"riposte/internal/alert"
	"riposte/internal/cases"
	"riposte/internal/fault"
	"riposte/internal/score"
	"riposte/internal/store"
)

// openClosing takes up the state of the closing rules and gives each new one the
// key by which its sample is drawn.
func (c *core) openClosing(ctx context.Context) error {
	var known []store.ClosingRule
	err := c.db.Read(ctx, func(q *store.Reader) (err error) {
		known, err = store.ClosingRules(q)
		return err
	})
	if err != nil {
		return err
	}
	state := map[string]*store.ClosingRule{}
	for i := range known {
		if known[i].Tenant == store.DefaultTenant {
			state[known[i].Rule] = &known[i]
		}
	}
	for _, r := range c.scoreRules().Closing {
		if state[r.ID] != nil {
			continue
		}
		n := &store.ClosingRule{Tenant: store.DefaultTenant, Rule: r.ID, Salt: make([]byte, 32), Started: utc(c.now()), Who: "the score file"}
		if _, err := rand.Read(n.Salt); err != nil {
			return err
		}
		if err := c.db.Write(ctx, func(tx *store.Tx) error { return store.PutClosingRule(tx, n) }); err != nil {
			return err
		}
		state[r.ID] = n
	}
	c.score.mu.Lock()
	c.score.closing = state
	c.score.mu.Unlock()
	for id, s := range state {
		if !s.Stopped.IsZero() && c.closingRule(id) != nil {
			c.tellStopped(id, s)
		}
	}
	return nil
}

// closingRule finds a rule of the file, nil where there is none of that name.
func (c *core) closingRule(id string) *score.Closing {
	for _, r := range c.scoreRules().Closing {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// closingState is a copy of a rule's state.
func (c *core) closingState(id string) (s store.ClosingRule, ok bool) {
	c.score.mu.RLock()
	defer c.score.mu.RUnlock()
	p := c.score.closing[id]
	if p == nil {
		return s, false
	}
	return *p, true
}

func (c *core) setClosingState(s store.ClosingRule) {
	c.score.mu.Lock()
	defer c.score.mu.Unlock()
	c.score.closing[s.Rule] = &s
}

func (c *core) tellStopped(id string, s *store.ClosingRule) {
	c.raise(alarm{Kind: alarmClosingStopped, Subject: id, Since: s.Stopped, Message: fmt.Sprintf(
		"The closing rule %s has stopped itself: %s. Look at what it closed with riposte triage closing show %s; riposte triage closing start %s lets it work again.", id, s.Why, id, id)})
}

// closeByRule lets the first closing rule that covers an alert close it, or leave
// it to a person as one of its sample. closed tells that it was closed.
func (c *core) closeByRule(tx *store.Tx, a *alert.Alert, object map[string]any, x *assessed, at time.Time) (closed bool, err error) {
	for _, r := range x.rules.Closes(a, object, x.facts, x.result, at) {
		s, ok := c.closingState(r.ID)
		if !ok || !s.Stopped.IsZero() {
			continue
		}
		act := store.ClosingAct{Tenant: a.Tenant, Rule: r.ID, Alert: a.ID, At: at}
		act.Sampled = r.Sampled(s.Salt, tenantOf(a.Tenant), a.Source, a.IdentityKey)
		if err := store.KeepClosing(tx, &act); err != nil || act.Sampled {
			return false, err
		}
		a.Status, a.Rule, a.Verdict, a.Outcome = alert.Closed, r.ID, r.Verdict, fmt.Sprintf("Closed by the rule %s with the score %d: %s", r.ID, a.Score, r.Reason)
		return true, store.MoveAlert(tx, a.Tenant, a.ID, alert.Event{
			At: at, By: string(cases.ByRule) + ":" + r.ID, Status: alert.Closed, Rule: r.ID, Outcome: a.Outcome, Verdict: r.Verdict,
		})
	}
	return false, nil
}

// judgeClosing stops a rule with which people disagree too often.
func (c *core) judgeClosing(ctx context.Context, id string) error {
	r := c.closingRule(id)
	s, ok := c.closingState(id)
	if r == nil || !ok || !s.Stopped.IsZero() {
		return nil
	}
	at := utc(c.now())
	var n store.ClosingCount
	err := c.db.Read(ctx, func(q *store.Reader) (err error) {
		n, err = store.CountClosings(q, "", id, later(at.Add(-r.Window), s.Started))
		return err
	})
	if err != nil {
		return err
	}
	goes, why := r.Judge(score.Record{Samples: n.Samples, Disagree: n.Disagree})
	if goes {
		return nil
	}
	s.Stopped, s.Why = at, why
	if err := c.db.Write(ctx, func(tx *store.Tx) error { return store.PutClosingRule(tx, &s) }); err != nil {
		return err
	}
	c.setClosingState(s)
	c.log.Warn("closing rule stopped", "rule", id, "reason", why)
	c.tellStopped(id, &s)
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// startClosing lets a rule work again that has stopped itself. What people said
// before does not count any more.
func (c *core) startClosing(id, who string) (s store.ClosingRule, change func(tx *store.Tx) error, done func(), err error) {
	if c.closingRule(id) == nil {
		return s, nil, nil, fmt.Errorf("there is no closing rule %q: %w", id, fault.NotFound)
	}
	s, _ = c.closingState(id)
	if s.Stopped.IsZero() {
		return s, nil, nil, fmt.Errorf("the closing rule %s works already: %w", id, fault.Conflict)
	}
	s.Stopped, s.Why, s.Started, s.Who = time.Time{}, "", utc(c.now()), who
	return s, func(tx *store.Tx) error { return store.PutClosingRule(tx, &s) }, func() {
		c.setClosingState(s)
		c.settle(alarmClosingStopped, id)
	}, nil
}
