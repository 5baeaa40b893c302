package app

import (
	"context"
	"time"

	"riposte/internal/ingest"
	"riposte/internal/store"
)

// road is a way by which alerts come in that works by itself: it listens, follows
// or asks. What is sent to the HTTP server needs none.
type road interface {
	// Run works until ctx ends and returns nil then. An error says why it cannot go
	// on; it is told, and the road is tried again later.
	Run(ctx context.Context) error
}

const (
	// roadPause and longestRoadPause are how long a road that failed rests: twice as
	// long each time, until it holds for as long as the longest.
	roadPause        = time.Second
	longestRoadPause = time.Minute
)

// openRoad makes the road of a source; nil where it needs none.
func (c *core) openRoad(ctx context.Context, name string, s SourceConfig) (road, error) {
	switch s.Type {
	case "file":
		cursor, err := c.cursor(ctx, name)
		if err != nil {
			return nil, err
		}
		return &ingest.Tail{Path: s.Path, Source: c.sources[name], Sink: (*intake)(c), Cursor: cursor, Log: c.log}, nil
	}
	return nil, nil
}

// cursor is where a source that is read went on last; nil at first.
func (c *core) cursor(ctx context.Context, source string) (cursor []byte, err error) {
	err = c.db.Read(ctx, func(q *store.Reader) (err error) {
		cursor, err = store.Cursor(q, "", source)
		return err
	})
	return cursor, err
}

// keepRoads keeps all roads open until ctx ends.
func (c *core) keepRoads(ctx context.Context) {
	for name, s := range c.cfg.Sources {
		c.running.Go(func() { c.keepRoad(ctx, name, s) })
	}
}

// keepRoad opens a road again and again when it fails: a mail server comes back,
// a port becomes free.
func (c *core) keepRoad(ctx context.Context, name string, s SourceConfig) {
	for pause := roadPause; ctx.Err() == nil; pause = min(2*pause, longestRoadPause) {
		opened := c.now()
		r, err := c.openRoad(ctx, name, s)
		if err == nil && r != nil {
			err = r.Run(ctx)
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		if c.now().Sub(opened) >= longestRoadPause {
			pause = roadPause
		}
		c.log.Error("source stopped; it is tried again", "source", name, "error", err, "after", pause)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}
