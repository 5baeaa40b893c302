package app

import (
	"context"
	"errors"
	"time"

	"riposte/internal/store"
)

// How often old records and blobs that nothing refers to are removed. Finding
// the blobs in use reads the whole journal.
const (
	sweepEvery       = time.Hour
	sweepBlobs       = 24 * time.Hour
	blobsYoungerThan = 24 * time.Hour // may belong to something not yet written
)

// keepTidy removes what is older than it is to be kept, until ctx ends.
func (c *core) keepTidy(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	blobs := c.now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c.sweep(ctx)
		if c.now().Sub(blobs) >= sweepBlobs {
			blobs = c.now()
			c.sweepBlobs(ctx)
		}
	}
}

// sweep removes old records. What is over in the ledger stays as long as runs do.
func (c *core) sweep(ctx context.Context) {
	keep := store.Keep{Alerts: c.cfg.Retention.Alerts, Ledger: c.cfg.Retention.Runs}
	swept, err := c.db.Sweep(ctx, c.now(), keep)
	if err != nil && !errors.Is(err, context.Canceled) {
		c.log.Warn("old records not removed", "error", err)
	}
	if !swept.Nothing() {
		c.log.Info("old records removed", "alerts", swept.Alerts, "ledger", swept.Ledger, "questions", swept.Questions, "others", swept.Others)
	}
}

// sweepBlobs removes blobs that no run, case or alert refers to.
func (c *core) sweepBlobs(ctx context.Context) {
	used, err := c.engine.BlobsInUse(ctx)
	if err == nil {
		err = c.db.Read(ctx, func(q *store.Reader) error {
			hashes, err := store.EvidenceHashes(q)
			if err != nil {
				return err
			}
			mails, err := store.AlertBlobs(q)
			for _, h := range append(hashes, mails...) {
				used[h] = true
			}
			return err
		})
	}
	removed := 0
	if err == nil {
		removed, err = c.blobs.Sweep(ctx, c.now(), blobsYoungerThan, func(hash string) bool { return used[hash] })
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		c.log.Warn("unused blobs not removed", "error", err)
	}
	if removed > 0 {
		c.log.Info("unused blobs removed", "blobs", removed)
	}
}
