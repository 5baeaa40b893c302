package engine

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"riposte/internal/fault"
	"riposte/internal/run"
)

// entry is what one run, or the engine itself, wants on disk in one piece: a
// record, and whatever belongs to its events.
type entry struct {
	run.Record // no record is written where Data is nil
	writes     []func(tx Tx, seq int64) error
	live       *live           // told when it is on disk
	held       []func()        // run on the lane of live when it is on disk
	done       func(err error) // for entries without live; may be nil
	events     int
	summary    run.Summary
	added      time.Time
}

// committer gathers the entries of all lanes: one batch is with the writer, the
// next gathers meanwhile. Nothing that was handed in is ever given up: what
// cannot be written now is tried again until it can.
type committer struct {
	e *Engine

	mu      sync.Mutex
	open    []*entry
	busy    bool
	stalled error // why the last batch did not reach the disk; nil: it did
	since   time.Time
	tries   int
	refused []*entry // that the store refuses although it takes others
}

func newCommitter(e *Engine) *committer { return &committer{e: e} }

func (c *committer) add(en *entry) {
	en.added = c.e.clock.Now()
	c.mu.Lock()
	c.open = append(c.open, en)
	c.next()
}

// next hands the open batch to the writer unless one is with it. It unlocks.
func (c *committer) next() {
	if c.busy || len(c.open) == 0 {
		c.mu.Unlock()
		return
	}
	batch := c.open
	c.open, c.busy = nil, true
	c.mu.Unlock()
	c.submit(batch)
}

func (c *committer) submit(batch []*entry) {
	c.e.Journal.Submit(func(tx Tx) error { return c.write(tx, batch) }, func(err error) { c.written(batch, err) })
}

// write runs in the writer's transaction, perhaps twice.
func (c *committer) write(tx Tx, batch []*entry) error {
	records := make([]*run.Record, 0, len(batch))
	for _, en := range batch {
		if en.Data != nil {
			records = append(records, &en.Record)
		}
	}
	if len(records) > 0 {
		if err := c.e.Journal.Append(tx, records); err != nil {
			return err
		}
	}
	for _, en := range batch {
		for _, w := range en.writes {
			if err := w(tx, en.Seq); err != nil {
				return fmt.Errorf("store what belongs to an event of %s: %w", en.Run, err)
			}
		}
	}
	return nil
}

// written goes on after a batch: its entries are told, or it is tried again.
func (c *committer) written(batch []*entry, err error) {
	switch {
	case err == nil:
		c.settled(nil)
		c.tell(batch)
	case errors.Is(err, fault.Transient) || len(batch) == 1 && c.stall(batch[0], err):
		c.settled(err)
		c.again(batch)
		return
	case len(batch) > 1:
		// One entry may be to blame: each half on its own finds it.
		c.mu.Lock()
		c.open = append(append([]*entry(nil), batch[len(batch)/2:]...), c.open...)
		c.mu.Unlock()
		c.submit(batch[:len(batch)/2])
		return
	}
	c.mu.Lock()
	c.busy = false
	c.next()
}

// stall decides about a single entry that the store refuses. If the store has
// failed for others too it is tried again with them; else it is set aside, and
// its run stands still with an alarm.
func (c *committer) stall(en *entry, err error) bool {
	c.e.alarms.raise(Alarm{Kind: AlarmRefused, Run: en.Run, Message: "the store refuses an event of the run: " + err.Error()})
	c.mu.Lock()
	c.refused = append(c.refused, en)
	n := len(c.refused)
	c.mu.Unlock()
	if n == 1 {
		c.e.clock.AfterFunc(5*time.Second, c.retryRefused)
	}
	return false
}

// retryRefused gives what was set aside another chance.
func (c *committer) retryRefused() {
	c.mu.Lock()
	for _, en := range c.refused {
		c.e.alarms.clear(AlarmRefused, en.Run)
	}
	c.open = append(c.open, c.refused...)
	c.refused = nil
	c.next()
}

// settled notes whether the disk takes writes.
func (c *committer) settled(err error) {
	c.mu.Lock()
	before := c.stalled
	c.stalled = err
	if err == nil {
		c.tries = 0
	} else {
		if before == nil {
			c.since = c.e.clock.Now()
		}
		c.tries++
	}
	c.mu.Unlock()
	switch {
	case err != nil:
		c.e.alarms.raise(Alarm{Kind: AlarmJournal, Message: "runs stand still: " + err.Error()})
	case before != nil:
		c.e.alarms.clear(AlarmJournal, 0)
		c.e.log.Info("journal takes writes again", "stood_still_seconds", c.e.clock.Now().Sub(c.since).Seconds())
	}
}

// again submits a batch once more after a while.
func (c *committer) again(batch []*entry) {
	c.mu.Lock()
	wait := min(50*time.Millisecond<<min(c.tries, 6), 2*time.Second)
	c.mu.Unlock()
	// Real time: the disk does not know of any other.
	time.AfterFunc(wait, func() { c.submit(batch) })
}

// healthy returns why nothing can be written now, nil if it can.
func (c *committer) healthy() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stalled
}

// tell hands written entries back to their lanes, one message a lane.
func (c *committer) tell(batch []*entry) {
	var last int64
	lanes := make([][]*entry, len(c.e.lanes))
	for _, en := range batch {
		if en.Data != nil {
			last = max(last, en.Seq)
		}
		switch {
		case en.live != nil:
			i := en.live.lane.index
			lanes[i] = append(lanes[i], en)
		case en.done != nil:
			en.done(nil)
		}
	}
	for i, list := range lanes {
		if len(list) > 0 {
			c.e.lanes[i].post(message{kind: msgWritten, entries: list})
		}
	}
	// Only now: whoever sees the new end and then asks a lane finds it told.
	c.e.advance(last)
}

// empty tells whether everything handed in is on disk.
func (c *committer) empty() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.busy && len(c.open) == 0
}
