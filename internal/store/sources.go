package store

import (
	"fmt"
	"time"
)

// The spans that source counts are kept for.
const (
	Minute = time.Minute
	Hourly = time.Hour
)

// How long counts of sources are kept.
const (
	MinutesFor = 8 * 24 * time.Hour
	HoursFor   = 92 * 24 * time.Hour
)

// SourceCounts is what came by a source in one minute or hour.
type SourceCounts struct {
	Tenant     string
	Source     string
	At         time.Time // when the span began
	Received   int       // events; each is one of the next four
	Accepted   int
	Duplicates int
	Skipped    int
	Unread     int
	Refused    int // turned away or lost: not among those received
	Bytes      int64
	Peak       int // the most received in one minute of it
	Listened   int // minutes of an hour in which something could have come
}

// Add adds what came in the same span.
func (c *SourceCounts) Add(o SourceCounts) {
	c.Received += o.Received
	c.Accepted += o.Accepted
	c.Duplicates += o.Duplicates
	c.Skipped += o.Skipped
	c.Unread += o.Unread
	c.Refused += o.Refused
	c.Bytes += o.Bytes
	c.Peak = max(c.Peak, o.Peak)
	c.Listened += o.Listened
}

// nothing tells whether nothing came and nothing was turned away.
func (c *SourceCounts) nothing() bool { return c.Received == 0 && c.Refused == 0 }

const countColumns = "received, accepted, duplicates, skipped, unread, refused, bytes, peak, listened"

// AddSourceCounts adds counts of minutes to what is there, and to their hours.
func AddSourceCounts(tx *Tx, minutes []SourceCounts) error {
	for _, c := range minutes {
		for _, span := range []time.Duration{Minute, Hourly} {
			if span == Minute && c.nothing() {
				continue
			}
			_, err := tx.Exec(`INSERT INTO source_counts (tenant, source, span, at, `+countColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
				ON CONFLICT (tenant, source, span, at) DO UPDATE SET received = source_counts.received + excluded.received,
					accepted = source_counts.accepted + excluded.accepted, duplicates = source_counts.duplicates + excluded.duplicates,
					skipped = source_counts.skipped + excluded.skipped, unread = source_counts.unread + excluded.unread,
					refused = source_counts.refused + excluded.refused, bytes = source_counts.bytes + excluded.bytes,
					listened = source_counts.listened + excluded.listened,
					peak = CASE WHEN excluded.peak > source_counts.peak THEN excluded.peak ELSE source_counts.peak END`,
				tenantOf(c.Tenant), c.Source, int(span.Seconds()), c.At.Truncate(span),
				c.Received, c.Accepted, c.Duplicates, c.Skipped, c.Unread, c.Refused, c.Bytes, c.Peak, c.Listened)
			if err != nil {
				return fmt.Errorf("count what came by source %s: %w", c.Source, err)
			}
		}
	}
	return nil
}

// SourceHistory lists what came by a source in the minutes or hours from a time
// on and before another, the oldest first. Where nothing could come
// there is none.
func SourceHistory(q *Reader, tenant, source string, span time.Duration, from, until time.Time) ([]SourceCounts, error) {
	list, err := all(q, func(r *Rows, c *SourceCounts) error {
		c.Tenant, c.Source = tenantOf(tenant), source
		return r.Scan(&c.At, &c.Received, &c.Accepted, &c.Duplicates, &c.Skipped, &c.Unread, &c.Refused, &c.Bytes, &c.Peak, &c.Listened)
	}, "SELECT at, "+countColumns+" FROM source_counts WHERE tenant = ? AND source = ? AND span = ? AND at >= ? AND at < ? ORDER BY at",
		tenantOf(tenant), source, int(span.Seconds()), from, until)
	if err != nil {
		return nil, fmt.Errorf("read what came by source %s: %w", source, err)
	}
	return list, nil
}

// LastMinute is the last minute in which something came by a source; zero where
// none is known.
func LastMinute(q *Reader, tenant, source string) (at time.Time, err error) {
	for _, span := range []time.Duration{Minute, Hourly} {
		err = q.QueryRow("SELECT at FROM source_counts WHERE tenant = ? AND source = ? AND span = ? AND received > 0 ORDER BY at DESC LIMIT 1",
			tenantOf(tenant), source, int(span.Seconds())).Scan(&at)
		if !isNoRow(err) {
			break
		}
	}
	if err != nil && !isNoRow(err) {
		return at, fmt.Errorf("read what came by source %s: %w", source, err)
	}
	return at, nil
}

// SourceBegun is the first hour in which a source was listened to, of those that
// are kept; zero where there is none.
func SourceBegun(q *Reader, tenant, source string) (at time.Time, err error) {
	err = q.QueryRow("SELECT at FROM source_counts WHERE tenant = ? AND source = ? AND span = ? ORDER BY at LIMIT 1",
		tenantOf(tenant), source, int(Hourly.Seconds())).Scan(&at)
	if err != nil && !isNoRow(err) {
		return at, fmt.Errorf("find when source %s began: %w", source, err)
	}
	return at, nil
}

// mostAhead is how far a source's clock may be ahead of ours for its events to be
// found by their time.
const mostAhead = 24 * time.Hour

// CameOf counts the events of a source that happened from a time on and before
// another, whenever they came. Those that could not be read have no time.
func CameOf(q *Reader, tenant, source string, from, until time.Time) (n int, err error) {
	err = q.QueryRow("SELECT COUNT(*) FROM alerts WHERE tenant = ? AND source = ? AND received >= ? AND at >= ? AND at < ? AND error = ''",
		tenantOf(tenant), source, from.Add(-mostAhead), from, until).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count what came of source %s: %w", source, err)
	}
	return n, nil
}

// SourceCheck holds what a source says it sent against what came.
type SourceCheck struct {
	Tenant  string
	Source  string
	From    time.Time
	Until   time.Time
	Told    int
	Came    int
	Checked time.Time
	By      string // who said it; "": the source was asked
}

// PutSourceCheck keeps a check; one of the same span is replaced.
func PutSourceCheck(tx *Tx, c SourceCheck) error {
	_, err := tx.Exec(`INSERT INTO source_checks (tenant, source, begins, ends, told, came, checked, told_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, source, begins, ends) DO UPDATE SET told = excluded.told, came = excluded.came, checked = excluded.checked, told_by = excluded.told_by`,
		tenantOf(c.Tenant), c.Source, c.From, c.Until, c.Told, c.Came, c.Checked, c.By)
	if err != nil {
		return fmt.Errorf("keep a check of source %s: %w", c.Source, err)
	}
	return nil
}

// SourceChecks lists the last checks of a source, those of the latest spans
// first.
func SourceChecks(q *Reader, tenant, source string, limit int) ([]SourceCheck, error) {
	list, err := all(q, func(r *Rows, c *SourceCheck) error {
		c.Tenant, c.Source = tenantOf(tenant), source
		return r.Scan(&c.From, &c.Until, &c.Told, &c.Came, &c.Checked, &c.By)
	}, "SELECT begins, ends, told, came, checked, told_by FROM source_checks WHERE tenant = ? AND source = ? ORDER BY begins DESC, ends DESC LIMIT ?",
		tenantOf(tenant), source, limit)
	if err != nil {
		return nil, fmt.Errorf("list checks of source %s: %w", source, err)
	}
	return list, nil
}

const (
	sweepMinutes = `DELETE FROM source_counts WHERE (tenant, source, span, at) IN (SELECT tenant, source, span, at FROM source_counts
		WHERE span = 60 AND at < ? ORDER BY at LIMIT ?)`
	sweepHours = `DELETE FROM source_counts WHERE (tenant, source, span, at) IN (SELECT tenant, source, span, at FROM source_counts
		WHERE span = 3600 AND at < ? ORDER BY at LIMIT ?)`
	sweepChecks = `DELETE FROM source_checks WHERE (tenant, source, begins, ends) IN (SELECT tenant, source, begins, ends FROM source_checks
		WHERE checked < ? ORDER BY checked LIMIT ?)`
)
