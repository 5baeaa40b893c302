package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"riposte/internal/alert"
	"riposte/internal/auth"
	"riposte/internal/fault"
	"riposte/internal/httpapi"
	"riposte/internal/ingest"
	"riposte/internal/store"
)

// mostToldUnread is how many events are named that still cannot be read.
const mostToldUnread = 20

// ReadAgain reads one event with the mapping that its source has now.
func (a *api) ReadAgain(ctx context.Context, who auth.Caller, n int64) (httpapi.ReadAgain, error) {
	rec, err := read(ctx, a, func(q *store.Reader) (alert.Alert, error) { return store.Alert(q, who.Tenant, alert.ID(n)) })
	if err != nil {
		return httpapi.ReadAgain{}, err
	}
	if rec.Error == "" {
		return httpapi.ReadAgain{}, fmt.Errorf("read alert %s again: it was read: %w", rec.ID, fault.Conflict)
	}
	return a.readAgain(ctx, who, rec)
}

// ReadAllAgain reads the events of a source that could not be read.
func (a *api) ReadAllAgain(ctx context.Context, who auth.Caller, source string, limit int, cursor string) (all httpapi.ReadAllAgain, err error) {
	if _, ok := a.cfg.Sources[source]; !ok {
		return all, noSuch("/source", "source "+source, fault.NotFound)
	}
	page, err := read(ctx, a, func(q *store.Reader) (store.Page[alert.Alert], error) {
		return store.ListAlerts(q, who.Tenant, store.AlertFilter{Errors: true, Sources: []string{source}}, store.Slice{Limit: limit, Cursor: cursor})
	})
	if err != nil {
		return all, badCursor(err)
	}
	for _, rec := range page.Items {
		one, err := a.readOne(ctx, who, rec.ID)
		if err != nil {
			return all, err
		}
		switch one.Outcome {
		case wasRead:
			all.Read++
		case wasNoAlert:
			all.NoAlert++
		default:
			if all.Unread++; len(all.Errors) < mostToldUnread {
				all.Errors = append(all.Errors, one)
			}
		}
	}
	all.Next = page.Next
	return all, nil
}

// readOne reads one of many; what cannot be read again holds up no other.
func (a *api) readOne(ctx context.Context, who auth.Caller, n alert.ID) (httpapi.ReadAgain, error) {
	rec, err := read(ctx, a, func(q *store.Reader) (alert.Alert, error) { return store.Alert(q, who.Tenant, n) })
	if err != nil {
		return httpapi.ReadAgain{}, err
	}
	one, err := a.readAgain(ctx, who, rec)
	if errors.Is(err, fault.Conflict) || errors.Is(err, fault.NotFound) {
		return httpapi.ReadAgain{ID: n.String(), Outcome: stillUnread, Error: err.Error()}, nil
	}
	return one, err
}

// What came of an event that was read again.
const (
	wasRead     = "read"
	wasNoAlert  = "no_alert"
	stillUnread = "unread"
)

// readAgain reads an event that was kept. What it becomes is stored as anything
// that comes is: in one transaction with what triage makes of it. Then the record
// of the event says what it has become. A crash in between does no harm: read
// once more, it is the same alert.
func (a *api) readAgain(ctx context.Context, who auth.Caller, rec alert.Alert) (httpapi.ReadAgain, error) {
	out := httpapi.ReadAgain{ID: rec.ID.String()}
	src, err := a.readerOf(rec.Source)
	if err != nil {
		return out, err
	}
	raw, err := original(rec)
	if err != nil {
		return out, err
	}
	again, is, err := src.Again(raw, rec.Received)
	event := alert.Event{At: utc(a.now()), By: "person:" + who.Name, Status: alert.Dropped}
	switch {
	case err != nil:
		out.Outcome, out.Error = stillUnread, again.Error
		return out, nil
	case !is:
		out.Outcome = wasNoAlert
		event.Outcome = "It was read again and is no alert. Before: " + rec.Error
	default:
		taken, err := (*intake)(a.core).Take(ctx, ingest.Batch{Source: rec.Source, Alerts: []alert.Alert{again}, Again: true})
		if err != nil {
			return out, err
		}
		out.Outcome, out.Alert = wasRead, taken[0].ID.String()
		event.Status, event.Into = alert.Folded, out.Alert
		event.Outcome = "It was read again and is " + out.Alert + ". Before: " + rec.Error
	}
	return out, a.db.Write(ctx, func(tx *store.Tx) error {
		if err := store.WasReadAgain(tx, who.Tenant, rec.ID, event); err != nil {
			return err
		}
		return a.acted(tx, who, "alert.read_again", rec.ID.String(), map[string]any{"outcome": out.Outcome, "alert": out.Alert})
	})
}

// readerOf is a source with its mapping.
func (c *core) readerOf(name string) (ingest.Source, error) {
	if src, ok := c.sources[name]; ok {
		return src, nil
	}
	s, ok := c.cfg.Sources[name]
	if !ok {
		return ingest.Source{}, fmt.Errorf("source %s is not configured any more; nothing says how to read its events: %w", name, fault.Conflict)
	}
	if s.Type == "pull" {
		plan, err := c.pullPlan(s)
		if err != nil {
			return ingest.Source{}, err
		}
		return c.pulledBy(name, plan)
	}
	return ingest.Source{}, fmt.Errorf("source %s has no mapping: %w", name, fault.Conflict)
}

// original is an event as it came: what is no JSON is kept as a text of it.
func original(rec alert.Alert) ([]byte, error) {
	if rec.Fields[ingest.CutField] != nil {
		return nil, fmt.Errorf("read alert %s again: only a part of the event was kept: %w", rec.ID, fault.Conflict)
	}
	var text string
	if json.Unmarshal(rec.Raw, &text) != nil {
		return rec.Raw, nil
	}
	if len(text) >= alert.MaxEventBytes {
		return nil, fmt.Errorf("read alert %s again: only the first %d bytes of the event were kept: %w", rec.ID, alert.MaxEventBytes, fault.Conflict)
	}
	return []byte(text), nil
}
