package store

import (
	"context"
	"sync/atomic"
)

// SQLite writes each change twice: into its log when it commits, and from there
// into the file at a checkpoint. The checkpoints run beside the writer, so that
// few commits wait for one; only when the log has grown long in spite of them
// does the writer do the small rest itself, after which the log begins anew.
const (
	checkpointEvery = 4000 // pages written between two checkpoints beside the writer
	maxLogPages     = 8000 // pages in the log, 32 MiB, at which the writer helps
)

type checkpointer struct {
	wanted  chan struct{}
	ended   chan struct{}
	working atomic.Bool

	pages int // written since the log began anew; the writer's goroutine only
	since int // written since a checkpoint was last asked for
}

func newCheckpointer() *checkpointer {
	return &checkpointer{wanted: make(chan struct{}, 1), ended: make(chan struct{})}
}

// committed is called by the writer after each commit.
func (c *checkpointer) committed(writer *conn) {
	n := writer.pagesWritten()
	c.pages += n
	c.since += n
	if c.pages >= maxLogPages && !c.working.Load() {
		// An error is no matter: the changes are safe in the log, and the next commit
		// tries again.
		if whole, err := writer.checkpoint(); err == nil && whole {
			c.pages, c.since = 0, 0
		}
		return
	}
	if c.since < checkpointEvery {
		return
	}
	select {
	case c.wanted <- struct{}{}:
		c.since = 0
	default:
	}
}

// work runs checkpoints on a connection of its own until wanted is closed.
func (d *DB) checkpoints() {
	c := d.check
	defer close(c.ended)
	var own *conn
	for range c.wanted {
		c.working.Store(true)
		if own == nil {
			own, _ = newConn(context.Background(), d.be, d.writeTo)
		}
		if own != nil {
			if _, err := own.checkpoint(); err != nil {
				_ = own.close() // the next one opens a fresh connection
				own = nil
			}
		}
		c.working.Store(false)
	}
	if own != nil {
		_ = own.close()
	}
}
