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
	cursor, err := c.cursor(ctx, name)
	if err != nil {
		return nil, err
	}
	switch s.Type {
	case "schedule":
		return c.openSchedule(name, s, cursor)
	case "imap":
		return c.openMailbox(name, s, cursor)
	case "kafka":
		return c.openKafka(name, s, cursor)
	case "pull":
		return c.openPull(name, s, cursor)
	case "syslog":
		return c.openSyslog(name, s)
	case "file":
		return &ingest.Tail{Path: s.Path, Source: c.sources[name], Sink: (*intake)(c), Cursor: cursor, Told: c.roadTold(name), Log: c.log}, nil
	}
	return nil, nil
}

// openSchedule makes the road of a schedule.
func (c *core) openSchedule(name string, s SourceConfig, cursor []byte) (road, error) {
	next := func(after time.Time) time.Time { return after.Add(s.Every) }
	if s.Cron != "" {
		var err error
		if next, err = cronTimes(s.Cron, s.Zone); err != nil {
			return nil, err
		}
	}
	return &ingest.Schedule{Source: c.sources[name], Sink: (*intake)(c), Cursor: cursor, Next: next, Body: s.Body, Now: c.now}, nil
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
			holds := time.AfterFunc(upAfter, func() { c.roadUp(name) })
			c.roadOpened(name, r)
			err = r.Run(ctx)
			c.roadOpened(name, nil)
			holds.Stop()
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		if c.now().Sub(opened) >= longestRoadPause {
			pause = roadPause
		}
		c.roadDown(name, err)
		c.log.Error("source stopped; it is tried again", "source", name, "error", err, "after", pause)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}
