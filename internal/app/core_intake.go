package app

import (
	"context"
	"fmt"
	"time"

	"riposte/internal/alert"
	"riposte/internal/ingest"
	"riposte/internal/store"
	"riposte/playbook"
)

// openSources reads the mappings, and gives each source those that it names.
func (c *core) openSources() error {
	c.sources = map[string]ingest.Source{}
	var err error
	if c.mappings, err = Mappings(c.cfg.Content); err != nil {
		return err
	}
	for name, s := range c.cfg.Sources {
		names := s.Mapping
		if len(names) == 0 {
			names = MappingNames{defaultMappings[s.Type]}
		}
		if names[0] == "" {
			continue // its road finds out
		}
		set := c.mappings
		if !names.auto() {
			if set, err = c.mappings.Only(names...); err != nil {
				return fmt.Errorf("source %s: %w", name, err)
			}
		}
		c.sources[name] = ingest.Source{Name: name, Mapping: set}
	}
	c.webhook = &ingest.Webhook{Sink: (*intake)(c)}
	return nil
}

// intake stores alerts and starts what they start.
type intake core

// Take stores a batch in one transaction, the first records of the runs that it
// starts included.
func (k *intake) Take(ctx context.Context, b ingest.Batch) ([]ingest.Taken, error) {
	c := (*core)(k)
	at := c.now().UTC()
	if len(b.Alerts) == 0 && b.Cursor == nil && b.Forget.IsZero() { // only events that are no alerts
		c.tally(b, nil, at)
		return nil, nil
	}
	pass, err := c.gate.Wait(ctx, b.Source, weight(b), len(b.Alerts))
	if err != nil {
		return nil, err
	}
	defer pass.Leave()
	ready, objects, err := c.ready(b, at)
	if err != nil {
		return nil, err
	}
	taken := make([]ingest.Taken, len(ready))
	var begin []func()
	err = c.db.Write(ctx, func(tx *store.Tx) (err error) {
		begin = nil // the job may be done twice
		rows, place, err := fresh(tx, &b, ready, taken, at)
		if err != nil {
			return err
		}
		if err := store.InsertAlerts(tx, rows); err != nil {
			return err
		}
		for k := range rows {
			n, i := &rows[k], k
			if place != nil {
				i = place[k]
			}
			taken[i] = ingest.Taken{ID: n.ID, Duplicate: !n.Fresh}
			if i < len(b.Blobs) && n.Fresh {
				if err := store.KeepBlobs(tx, n.ID, b.Blobs[i]); err != nil {
					return err
				}
			}
			switch {
			case !n.Fresh:
				err = tellCasesOfRepeated(tx, n.Alert, at)
			case objects[i] != nil:
				begin, err = c.alertCame(tx, n.Alert, objects[i], begin)
			}
			if err != nil {
				return err
			}
		}
		if b.Cursor != nil {
			return store.SaveCursor(tx, "", b.Source, b.Cursor, at)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.tally(b, taken, at)
	beginAll(begin)
	return taken, nil
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

// ready prepares a batch before the writer has it: the rows to store, and the
// objects that triggers look at, nil where none would. An alert that can never
// be stored is kept as an event that could not be read: it must not hold up the
// others of its batch, nor its source for ever.
func (c *core) ready(b ingest.Batch, at time.Time) (ready []store.NewAlert, objects []map[string]any, err error) {
	ready, objects = make([]store.NewAlert, len(b.Alerts)), make([]map[string]any, len(b.Alerts))
	for i := range b.Alerts {
		a := b.Alerts[i]
		n, err := store.ReadyAlert(&a)
		if err != nil {
			a = alert.Keep(b.Source, a.Raw, err, at)
			n, err = store.ReadyAlert(&a)
		}
		if err != nil {
			return nil, nil, err
		}
		if ready[i] = n; a.Error == "" && c.plans.listens(a.Tenant, playbook.OnAlert) {
			objects[i] = a.Object()
		}
	}
	return ready, objects, nil
}
