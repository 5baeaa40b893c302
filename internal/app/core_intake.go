package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"riposte/internal/ingest"
	"riposte/internal/store"
)

// openSources reads the mappings, and gives each source those that it names.
func (c *core) openSources() error {
	c.sources = map[string]ingest.Source{}
	var err error
	if c.mappings, err = openShelf(c.cfg.Content); err != nil {
		return err
	}
	for name, s := range c.cfg.Sources {
		names := s.mappings()
		if names[0] == "" {
			continue // its road finds out
		}
		set, err := c.mappings.set(names)
		if err != nil {
			return fmt.Errorf("source %s: %w", name, err)
		}
		c.sources[name] = ingest.Source{Name: name, Mapping: set}
	}
	c.webhook = &ingest.Webhook{Sink: (*intake)(c)}
	return nil
}

// intake stores alerts, decides what becomes of them and starts what they start.
type intake core

// Take stores a batch in one transaction, with what triage made of it and the
// first records of the runs that it starts.
func (k *intake) Take(ctx context.Context, b ingest.Batch) ([]ingest.Taken, error) {
	c := (*core)(k)
	if len(b.Alerts) == 0 && b.Cursor == nil && b.Forget.IsZero() { // only events that are no alerts
		c.tally(b, nil, c.now().UTC())
		return nil, nil
	}
	pass, err := c.gate.Wait(ctx, b.Source, weight(b), len(b.Alerts))
	if err != nil {
		return nil, err
	}
	defer pass.Leave()
	t := &taking{c: c, b: b, at: utc(c.now())}
	if err := t.ready(); err != nil {
		return nil, err
	}
	if err := c.db.Write(ctx, t.do); err != nil {
		t.back()
		return nil, err
	}
	c.tally(b, t.taken, t.at)
	t.done()
	return t.taken, nil
}

// weight is how many bytes of memory a batch stands for, roughly: what was made
// of an event is about as large again.
func weight(b ingest.Batch) (n int64) {
	const each = 1 << 10
	for i := range b.Alerts {
		n += 2*int64(len(b.Alerts[i].Raw)) + each
	}
	return n
}

// fresh gives what of a batch had not been reported before, and the place of each
// in it, nil where nothing is left out; what is is noted in taken.
func fresh(tx *store.Tx, b *ingest.Batch, ready []store.NewAlert, taken []ingest.Taken, at time.Time) (rows []store.NewAlert, place []int, err error) {
	if !b.Forget.IsZero() {
		if err := store.ForgetKeys(tx, "", b.Source, b.Forget); err != nil {
			return nil, nil, err
		}
	}
	if len(b.Once) > 0 {
		before, err := store.MeetKeys(tx, "", b.Source, b.Once, at)
		if err != nil {
			return nil, nil, err
		}
		if slices.Contains(before, true) {
			return nil, nil, ingest.ErrReplayed
		}
	}
	if len(b.Keys) == 0 {
		return ready, nil, nil
	}
	before, err := store.MeetKeys(tx, "", b.Source, b.Keys, at)
	if err != nil {
		return nil, nil, err
	}
	rows, place = []store.NewAlert{}, []int{}
	for i := range ready {
		if before[i] {
			taken[i] = ingest.Taken{LeftOut: true}
			continue
		}
		rows, place = append(rows, ready[i]), append(place, i)
	}
	return rows, place, nil
}
