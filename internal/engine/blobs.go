package engine

import (
	"context"
	"fmt"

	"riposte/internal/run"
)

// BlobsInUse finds the hashes of all values that records and snapshots refer
// to, by reading all of them: whoever sweeps the blob store keeps these. A value
// put there after it was called may be missing, so what is young must be kept
// too.
func (e *Engine) BlobsInUse(ctx context.Context) (map[string]bool, error) {
	used := map[string]bool{}
	note := func(hash string) ([]byte, error) {
		used[hash] = true
		return []byte("null"), nil
	}
	end, _, err := e.Journal.Mark(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the blobs in use: %w", err)
	}
	err = e.Journal.Tail(ctx, 0, end, func(r run.Record) error {
		_, err := decodeRecord(r.Data, note)
		if err != nil {
			return fmt.Errorf("record %d of %s: %w", r.Seq, r.Run, err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find the blobs in use: %w", err)
	}
	err = e.Runs.Snapshots(ctx, func(s run.Snapshot) error {
		// One that cannot be read refers to nothing that anybody could use.
		_, _, _ = openSnapshot(s.State, note)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find the blobs in use: %w", err)
	}
	return used, nil
}
