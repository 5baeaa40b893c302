package app

import (
	"context"
	"fmt"

	"riposte/internal/alert"
	"riposte/internal/auth"
	"riposte/internal/fault"
	"riposte/internal/httpapi"
	"riposte/internal/score"
	"riposte/internal/store"
)

// Closings lists the closing rules with what they did.
func (a *api) Closings(ctx context.Context, _ auth.Caller) ([]httpapi.ClosingRule, error) {
	var list []httpapi.ClosingRule
	for _, r := range a.scoreRules().Closing {
		one, err := a.wireClosing(ctx, r)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

func (a *api) wireClosing(ctx context.Context, r *score.Closing) (httpapi.ClosingRule, error) {
	s, _ := a.closingState(r.ID)
	n, err := read(ctx, a, func(q *store.Reader) (store.ClosingCount, error) {
		return store.CountClosings(q, "", r.ID, later(utc(a.now()).Add(-r.Window), s.Started))
	})
	return httpapi.ClosingRule{
		Rule: r.ID, Reason: r.Reason, When: r.When, Sample: r.Sample.String(), Allowed: r.MaxDisagreement.String(), Least: r.Least,
		Window: int(r.Window.Seconds()), Started: s.Started, By: s.Who, Stopped: s.Stopped, Why: s.Why,
		Closed: n.Closed, Sampled: n.Sampled, Samples: n.Samples, Waiting: n.Waiting, Disagree: n.Disagree,
	}, err
}

// ClosedBy lists what a rule closed within its window.
func (a *api) ClosedBy(ctx context.Context, who auth.Caller, rule string, p httpapi.Page) (httpapi.Found[httpapi.Alert], error) {
	r := a.closingRule(rule)
	if r == nil {
		return httpapi.Found[httpapi.Alert]{}, fmt.Errorf("there is no closing rule %q: %w", rule, fault.NotFound)
	}
	page, err := read(ctx, a, func(q *store.Reader) (store.Page[alert.Alert], error) {
		return store.ClosedBy(q, who.Tenant, rule, utc(a.now()).Add(-r.Window), slice(p))
	})
	return found(page, err, wireAlert)
}

// StartClosing lets a rule work again.
func (a *api) StartClosing(ctx context.Context, who auth.Caller, rule, reason string) (httpapi.ClosingRule, error) {
	_, change, done, err := a.startClosing(rule, who.Name)
	if err != nil {
		return httpapi.ClosingRule{}, err
	}
	err = a.db.Write(ctx, func(tx *store.Tx) error {
		if err := change(tx); err != nil {
			return err
		}
		return a.acted(tx, who, "closing.start", rule, map[string]any{"reason": reason})
	})
	if err != nil {
		return httpapi.ClosingRule{}, err
	}
	done()
	return a.wireClosing(ctx, a.closingRule(rule))
}

// wireScore adds the score to an alert as clients see it.
func wireScore(w *httpapi.Alert, r *alert.Alert) {
	w.Waiting, w.Ready, w.Failed = r.Waiting, r.Ready, r.Failed
	if r.Band == "" {
		return
	}
	w.Score, w.Band = &r.Score, string(r.Band)
	for _, x := range r.Reasons {
		w.Reasons = append(w.Reasons, httpapi.ScoreReason{Factor: x.Factor, Points: x.Points, Why: x.Why})
	}
}

// wireClosings tells of an alert that is closed which closing rule closed it, or
// drew it for its sample. Before, nobody may know: who is told that a rule would
// have closed an alert looks at it with the rule's eyes.
func wireClosings(q *store.Reader, w *httpapi.Alert, r *alert.Alert) error {
	if r.Status != alert.Closed {
		return nil
	}
	acts, err := store.ClosingsOf(q, r.ID)
	if len(acts) > 0 {
		w.Closing = &httpapi.AlertClosing{Rule: acts[0].Rule, Sampled: acts[0].Sampled}
	}
	return err
}
