package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"riposte/internal/auth"
	"riposte/internal/fault"
	"riposte/internal/httpapi"
	"riposte/internal/ingest"
	"riposte/internal/store"
)

// Sources tells how every source does.
func (a *api) Sources(ctx context.Context, who auth.Caller) (httpapi.Intake, error) {
	now := a.now()
	age, what := a.oldestWaiting(now)
	in := httpapi.Intake{Waiting: queueOf(a.gate.Waiting(""), now), Oldest: age.Seconds(), For: what}
	if tenantOf(who.Tenant) != store.DefaultTenant { // sources belong to the installation
		return in, nil
	}
	for _, name := range slices.Sorted(maps.Keys(a.watching)) {
		s, err := a.sourceStatus(ctx, a.watching[name], now)
		if err != nil {
			return in, err
		}
		in.Sources = append(in.Sources, s)
	}
	return in, nil
}

// Source tells how one does, with its history.
func (a *api) Source(ctx context.Context, who auth.Caller, name string, minutes, hours int) (d httpapi.SourceDetail, err error) {
	w := a.watching[name]
	if w == nil || tenantOf(who.Tenant) != store.DefaultTenant {
		return d, fmt.Errorf("there is no source %q: %w", name, fault.NotFound)
	}
	now := a.now()
	if d.SourceStatus, err = a.sourceStatus(ctx, w, now); err != nil {
		return d, err
	}
	err = a.db.Read(ctx, func(q *store.Reader) error {
		byMinute, err := store.SourceHistory(q, "", name, store.Minute, now.Add(-time.Duration(minutes)*time.Minute), now)
		if err != nil {
			return err
		}
		byHour, err := store.SourceHistory(q, "", name, store.Hourly, now.Add(-time.Duration(hours)*time.Hour), now)
		if err != nil {
			return err
		}
		checks, err := store.SourceChecks(q, "", name, 20)
		d.Minutes, d.Hours = spansOf(byMinute), spansOf(byHour)
		for _, c := range checks {
			d.Checks = append(d.Checks, wireCheck(c))
		}
		return err
	})
	return d, err
}

func (a *api) sourceStatus(ctx context.Context, w *watched, now time.Time) (s httpapi.SourceStatus, err error) {
	var today store.SourceCounts
	var moved time.Time
	err = a.db.Read(ctx, func(q *store.Reader) error {
		hours, err := store.SourceHistory(q, "", w.name, store.Hourly, now.UTC().Truncate(24*time.Hour), now)
		if err != nil {
			return err
		}
		for _, h := range hours {
			today.Add(h)
		}
		moved, err = store.CursorMoved(q, "", w.name)
		return err
	})
	if err != nil {
		return s, err
	}
	waiting := a.gate.Waiting(w.name)
	w.mu.Lock()
	defer w.mu.Unlock()
	if q, ok := w.road.(queued); ok {
		events, bytes := q.Waiting()
		waiting.Events, waiting.Bytes = waiting.Events+events, waiting.Bytes+int64(bytes)
	}
	s = httpapi.SourceStatus{
		Name: w.name, Type: w.conf.Type, Mapping: strings.Join(w.conf.Mapping, ", "), State: "working", Last: utc(w.watch.Last()), Rate: w.watch.PerMinute(now),
		Today: countedOf(today), Waiting: queueOf(waiting, now), Cursor: moved, Expected: w.limits.String(),
	}
	if w.profile.Known {
		usual := w.profile.At(now).Usual
		s.Usual = &usual
	}
	if b, ok := w.road.(behind); ok {
		if n, unit := b.Behind(); n >= 0 {
			s.Behind = &httpapi.SourceBehind{Amount: n, Unit: unit}
		}
	}
	a.worst(&s, w)
	return s, nil
}

// behind is a road that knows how much its source still holds; negative: it does
// not know for now.
type behind interface {
	Behind() (amount int64, unit string)
}

// queued is a road with a queue of its own before the gate.
type queued interface{ Waiting() (events, bytes int) }

// worst tells what is worst of a source now. A road is down from its first
// error; the alarm waits a moment.
func (a *api) worst(s *httpapi.SourceStatus, w *watched) {
	for _, x := range []struct {
		kind  alarmKind
		state string
	}{{alarmSourceDown, "down"}, {alarmSourceFlood, "flooding"}, {alarmSourceSilent, "silent"}} {
		if why, since := a.alarms.message(x.kind, w.name); why != "" {
			s.State, s.Problem, s.Since = x.state, why, since
			return
		}
	}
	if w.down != nil {
		s.State, s.Problem, s.Since = "down", w.down.Error(), utc(w.downAt)
		return
	}
	if why, since := a.alarms.message(alarmSourceMissing, w.name); why != "" { // it works, and has not brought everything
		s.Problem, s.Since = why, since
	}
}

func queueOf(w ingest.Waiting, now time.Time) httpapi.SourceQueue {
	q := httpapi.SourceQueue{Events: w.Events, Bytes: w.Bytes}
	if !w.Oldest.IsZero() {
		q.Oldest = max(0, now.Sub(w.Oldest).Seconds())
	}
	return q
}

func countedOf(c store.SourceCounts) httpapi.SourceCounted {
	return httpapi.SourceCounted{
		Received: c.Received, Accepted: c.Accepted, Duplicates: c.Duplicates, Skipped: c.Skipped, Unread: c.Unread, Refused: c.Refused, Bytes: c.Bytes,
	}
}

func spansOf(list []store.SourceCounts) []httpapi.SourceSpan {
	out := make([]httpapi.SourceSpan, len(list))
	for i, c := range list {
		out[i] = httpapi.SourceSpan{At: c.At, SourceCounted: countedOf(c)}
	}
	return out
}

func wireCheck(c store.SourceCheck) httpapi.SourceCheck {
	return httpapi.SourceCheck{From: c.From, Until: c.Until, Sent: c.Told, Came: c.Came, Missing: max(0, c.Told-c.Came), Checked: c.Checked, By: c.By}
}
