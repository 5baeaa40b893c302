package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"riposte/internal/alert"
	"riposte/internal/fault"
)

// Schedule makes an event of its own at given times. Times that went by while
// nothing ran are made up once.
type Schedule struct {
	Source Source
	Sink   Sink
	Cursor []byte                    // when it was due last, nil: never
	Next   func(time.Time) time.Time // the time after another at which it is due; zero: never again
	Body   map[string]any            // the event, to which schedule is added
	Now    func() time.Time          // nil means time.Now
}

// due is a schedule's cursor.
type due struct {
	At time.Time `json:"at"` // the last time that was due and is stored
}

// longestScheduleWait is how long is waited without a look at the clock, which
// may be set meanwhile.
const longestScheduleWait = 10 * time.Second

// Run makes events until ctx ends.
func (s *Schedule) Run(ctx context.Context) error {
	now := s.Now
	if now == nil {
		now = time.Now
	}
	var last due
	if len(s.Cursor) > 0 {
		if err := json.Unmarshal(s.Cursor, &last); err != nil {
			return fmt.Errorf("cursor of source %s: %v: %w", s.Source.Name, err, fault.Invalid)
		}
	} else { // from now on, also where it stops before the first time
		last.At = now().UTC()
		if err := s.keep(ctx, last, Batch{Source: s.Source.Name}); err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		next := s.Next(last.At)
		if next.IsZero() {
			<-ctx.Done()
			return nil
		}
		if wait := next.Sub(now()); wait > 0 {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(min(wait, longestScheduleWait)):
			}
			continue
		}
		last.At = s.latest(next, now())
		if err := s.fire(ctx, last, now()); err != nil {
			return err
		}
	}
	return nil
}

// latest is the last time that is due by now.
func (s *Schedule) latest(from, now time.Time) time.Time {
	for again := s.Next(from); !again.IsZero() && !again.After(now); again = s.Next(again) {
		from = again
	}
	return from
}

// fire stores the event of one time.
func (s *Schedule) fire(ctx context.Context, at due, now time.Time) error {
	event := maps.Clone(s.Body)
	if event == nil {
		event = map[string]any{}
	}
	event["schedule"] = map[string]any{"name": s.Source.Name, "due": at.At.UTC().Format(time.RFC3339Nano)}
	raw, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("event of schedule %s: %v: %w", s.Source.Name, err, fault.Invalid)
	}
	b := Batch{Source: s.Source.Name}
	if r := s.Source.readEvent(raw, now.UTC().Truncate(time.Microsecond)); r.is {
		b.Alerts = []alert.Alert{r.alert}
	}
	return s.keep(ctx, at, b)
}

// keep stores a batch and the time that it was due.
func (s *Schedule) keep(ctx context.Context, at due, b Batch) (err error) {
	if b.Cursor, err = json.Marshal(at); err != nil {
		return err
	}
	_, err = s.Sink.Take(ctx, b)
	return err
}
