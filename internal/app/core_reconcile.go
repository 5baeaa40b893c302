package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"riposte/internal/fault"
	"riposte/internal/ingest"
	"riposte/internal/store"
)

const (
	// countPath ends the path at which a sender reports how many it has sent.
	countPath = "/count"
	// compareSpan is the span that a source is asked about.
	compareSpan = time.Hour
	// compareTick is how often is looked which sources are due.
	compareTick = 5 * time.Second
	// compareAgain is how long what was found holds while something is missing, or
	// could not be asked.
	compareAgain = 5 * time.Minute
	// leastGrace is how long after its end a span is compared at the earliest; more
	// where the source is looked back at for longer.
	leastGrace = 5 * time.Minute
	// onItsWay is how long an event may be on its way from a sender.
	onItsWay = time.Minute
	// givenUp is how long what is missing of a report may still come.
	givenUp = 24 * time.Hour
	// theSender is who reported a count, where the source was not asked.
	theSender = "the sender"
	// maxCountBody is the largest body of a report.
	maxCountBody = 4096
	// longestCount and oldestCount bound what may be reported: counts by minute are
	// kept for eight days.
	longestCount = 7 * 24 * time.Hour
	oldestCount  = store.MinutesFor - time.Hour
)

// keepComparing holds what came against what sources say, until ctx ends.
func (c *core) keepComparing(ctx context.Context) {
	tick := time.NewTicker(compareTick)
	defer tick.Stop()
	for {
		for _, w := range c.watching {
			if err := c.compareDue(ctx, w, utc(c.now())); err != nil && ctx.Err() == nil {
				c.log.Warn("counts not compared with the source", "source", w.name, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// compareDue compares one source when it is due: the last hour that is over for
// it, once, and again while something is missing.
func (c *core) compareDue(ctx context.Context, w *watched, now time.Time) error {
	if now.Before(w.compare) {
		return nil
	}
	if w.conf.Type == "webhook" {
		w.compare = now.Add(compareAgain)
		return c.compareReported(ctx, w.name, now)
	}
	if w.conf.Type != "pull" {
		w.compare = now.Add(compareSpan)
		return nil
	}
	plan, err := c.pullPlan(w.conf)
	if errors.Is(err, fault.NotFound) {
		return nil // its connection is made later
	}
	if err != nil || plan.Counts == nil {
		w.compare = now.Add(compareSpan)
		return err
	}
	grace := max(leastGrace, plan.LookBack)
	until := now.Add(-grace).Truncate(compareSpan)
	from := until.Add(-compareSpan)
	last, ready, err := c.comparable(ctx, w, from, until.Add(grace), plan.ID)
	if err != nil || !ready {
		return err
	}
	if last.Until.Equal(until) && last.Came >= last.Told {
		w.compare = until.Add(compareSpan + grace)
		return nil
	}
	return c.compareAsked(ctx, w, from, until, grace, now)
}

// comparable tells whether a source has been read far enough for a span to be
// compared, and was read from its beginning. last is its last comparison.
func (c *core) comparable(ctx context.Context, w *watched, from, read time.Time, plan string) (last store.SourceCheck, ready bool, err error) {
	err = c.db.Read(ctx, func(q *store.Reader) error {
		cursor, err := store.Cursor(q, "", w.name)
		if err != nil || ingest.PulledUntil(cursor, w.conf.Connection+"."+plan).Before(read) {
			return err
		}
		begun, err := store.SourceBegun(q, "", w.name)
		if err != nil || begun.IsZero() {
			return err
		}
		first := w.conf.First
		if first == 0 {
			first = ingest.FirstPull
		}
		// It is known by the hour when the first look was.
		ready = !from.Before(begun.Add(compareSpan - first))
		checks, err := store.SourceChecks(q, "", w.name, 1)
		if len(checks) > 0 {
			last = checks[0]
		}
		return err
	})
	return last, ready, err
}

// compareAsked asks a source how many it has of a span and compares.
func (c *core) compareAsked(ctx context.Context, w *watched, from, until time.Time, grace time.Duration, now time.Time) error {
	w.compare = now.Add(compareAgain)
	told, known, err := c.CountAtSource(ctx, w.name, from, until)
	if err != nil || !known {
		return err
	}
	c.writeFigures(ctx)
	k := store.SourceCheck{Source: w.name, From: from, Until: until, Told: told, Checked: now}
	err = c.db.Read(ctx, func(q *store.Reader) error {
		came, err := store.CameOf(q, "", w.name, from, until)
		if err != nil {
			return err
		}
		// What became no alert of its own has no time but that at which it came.
		minutes, err := store.SourceHistory(q, "", w.name, store.Minute, from, until.Add(grace))
		for _, m := range minutes {
			came += m.Duplicates + m.Skipped + m.Unread
		}
		k.Came = came
		return err
	})
	if err != nil {
		return err
	}
	return c.keepCheck(ctx, k)
}

// compareReported looks again at what a sender reported last, while something of
// it is missing: it may have come by now.
func (c *core) compareReported(ctx context.Context, name string, now time.Time) error {
	var checks []store.SourceCheck
	err := c.db.Read(ctx, func(q *store.Reader) (err error) {
		checks, err = store.SourceChecks(q, "", name, 1)
		return err
	})
	if err != nil || len(checks) == 0 || checks[0].Came >= checks[0].Told || checks[0].Until.Before(now.Add(-givenUp)) {
		return err
	}
	k := checks[0]
	k.Checked = now
	return c.compareCount(ctx, &k)
}

// compareCount compares what a sender says it sent with what came, by the
// minutes in which it came. Where that is less, what came a moment later, or
// a moment earlier by another clock, is looked at too.
func (c *core) compareCount(ctx context.Context, k *store.SourceCheck) error {
	c.writeFigures(ctx)
	first, end := k.From.Truncate(time.Minute), k.Until.Add(time.Minute-1).Truncate(time.Minute)
	k.Came = 0
	around := 0
	err := c.db.Read(ctx, func(q *store.Reader) error {
		minutes, err := store.SourceHistory(q, "", k.Source, store.Minute, first.Add(-onItsWay), end.Add(onItsWay))
		for _, m := range minutes {
			if m.At.Before(first) || !m.At.Before(end) {
				around += m.Received
				continue
			}
			k.Came += m.Received
		}
		return err
	})
	if err != nil {
		return err
	}
	if k.Came < k.Told {
		k.Came = min(k.Told, k.Came+around)
	}
	return c.keepCheck(ctx, *k)
}

// keepCheck keeps a comparison and raises or settles the alarm. One of an older
// span than the last changes no alarm.
func (c *core) keepCheck(ctx context.Context, k store.SourceCheck) error {
	var last []store.SourceCheck
	err := c.db.Write(ctx, func(tx *store.Tx) (err error) {
		if err = store.PutSourceCheck(tx, k); err == nil {
			last, err = store.SourceChecks(&tx.Reader, "", k.Source, 1)
		}
		return err
	})
	if err != nil || len(last) == 0 || !last[0].Until.Equal(k.Until) {
		return err
	}
	if k.Came >= k.Told {
		c.settle(alarmSourceMissing, k.Source)
		return nil
	}
	who := "The source has"
	if k.By != "" {
		who = "The sender has sent"
	}
	c.raise(alarm{Kind: alarmSourceMissing, Subject: k.Source, Message: fmt.Sprintf(
		"%s %d events from %s until %s, and %d came: %d are missing. Look at the road between, and at what was refused; riposte source status %s shows both.",
		who, k.Told, k.From.Format(time.RFC3339), k.Until.Format(time.RFC3339), k.Came, k.Told-k.Came, k.Source)})
	return nil
}

// takeCount takes a sender's report of how many it has sent.
func (a *api) takeCount(w http.ResponseWriter, r *http.Request, e *entrance) {
	k, err := a.readCount(w, r, e)
	if err == nil {
		err = a.compareCount(r.Context(), &k)
	}
	if err != nil {
		a.senderError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(wireCheck(k)) // the sender has gone; it is kept
}

// readCount reads a report, from a sender that may send.
func (a *api) readCount(w http.ResponseWriter, r *http.Request, e *entrance) (k store.SourceCheck, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCountBody))
	if err != nil {
		return k, fmt.Errorf("read the report, at most %d bytes: %w: %w", maxCountBody, err, fault.Invalid)
	}
	if e.Signed != nil {
		if _, err := e.Signed(r, body); err != nil {
			return k, err
		}
	}
	var said struct {
		From, Until *time.Time
		Sent        *int
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&said); err != nil {
		return k, fmt.Errorf(`the report is not as {"from": "2026-01-05T08:00:00Z", "until": "2026-01-05T09:00:00Z", "sent": 120}: %w: %w`, err, fault.Invalid)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return k, fmt.Errorf("something follows the report; send one object: %w", fault.Invalid)
	}
	now := utc(a.now())
	switch {
	case said.From == nil || said.Until == nil || said.Sent == nil:
		return k, fmt.Errorf("the report lacks from, until or sent; all three are needed: %w", fault.Invalid)
	case *said.Sent < 0:
		return k, fmt.Errorf("sent is %d; give 0 or more: %w", *said.Sent, fault.Invalid)
	case !said.From.Before(*said.Until):
		return k, fmt.Errorf("from is not before until: %w", fault.Invalid)
	case said.Until.Sub(*said.From) > longestCount:
		return k, fmt.Errorf("from and until are more than %d days apart; report shorter spans: %w", longestCount/(24*time.Hour), fault.Invalid)
	case said.Until.After(now.Add(onItsWay)):
		return k, fmt.Errorf("until is %s and it is %s: report what is over: %w", said.Until.Format(time.RFC3339), now.Format(time.RFC3339), fault.Invalid)
	case said.From.Before(now.Add(-oldestCount)):
		return k, fmt.Errorf("from is more than %s ago, and what came then is counted by the minute no more: %w", oldestCount, fault.Invalid)
	}
	return store.SourceCheck{Source: e.Name, From: utc(*said.From), Until: utc(*said.Until), Told: *said.Sent, Checked: now, By: theSender}, nil
}
