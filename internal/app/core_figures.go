package app

import (
	"sync"
	"time"

	"riposte/internal/ingest"
	"riposte/internal/store"
)

// figures count what comes by each source. They are written every few seconds,
// not with each event: a crash costs the counts of these seconds, no alert.
type figures struct {
	mu      sync.Mutex
	totals  map[string]*store.SourceCounts    // since the start, by source
	pending map[figureKey]*store.SourceCounts // not written yet
	minutes map[string]*minuteCount           // what came in the minute under way
	fresh   map[string]int                    // events since the watch looked last
}

type figureKey struct {
	source string
	minute int64
}

type minuteCount struct {
	minute int64
	events int
}

func newFigures() *figures {
	return &figures{
		totals: map[string]*store.SourceCounts{}, pending: map[figureKey]*store.SourceCounts{},
		minutes: map[string]*minuteCount{}, fresh: map[string]int{},
	}
}

// count adds what came by a source at a time.
func (f *figures) count(n store.SourceCounts, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	minute := at.Unix() / 60
	m := f.minutes[n.Source]
	if m == nil || m.minute != minute {
		m = &minuteCount{minute: minute}
		f.minutes[n.Source] = m
	}
	m.events += n.Received
	n.Peak = m.events
	k := figureKey{n.Source, minute}
	p := f.pending[k]
	if p == nil {
		p = &store.SourceCounts{Source: n.Source, At: time.Unix(minute*60, 0).UTC()}
		f.pending[k] = p
	}
	p.Add(n)
	total := f.totals[n.Source]
	if total == nil {
		total = &store.SourceCounts{Source: n.Source}
		f.totals[n.Source] = total
	}
	total.Add(n)
	f.fresh[n.Source] += n.Received
}

// sinceLook is how many events came by a source since it was asked last.
func (f *figures) sinceLook(source string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.fresh[source]
	delete(f.fresh, source)
	return n
}

// since is what came by each source since the start.
func (f *figures) since() map[string]store.SourceCounts {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make(map[string]store.SourceCounts, len(f.totals))
	for name, n := range f.totals {
		out[name] = *n
	}
	return out
}

// take gives what is not written yet, to be written.
func (f *figures) take() []store.SourceCounts {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]store.SourceCounts, 0, len(f.pending))
	for _, n := range f.pending {
		list = append(list, *n)
	}
	clear(f.pending)
	return list
}

// put takes back what could not be written.
func (f *figures) put(list []store.SourceCounts) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range list {
		k := figureKey{n.Source, n.At.Unix() / 60}
		if p := f.pending[k]; p != nil {
			p.Add(n)
			continue
		}
		f.pending[k] = &n
	}
}

// tally counts a batch that was stored.
func (c *core) tally(b ingest.Batch, taken []ingest.Taken, at time.Time) {
	n := store.SourceCounts{Source: b.Source, Received: b.Skipped, Skipped: b.Skipped}
	for i := range b.Alerts {
		if i < len(taken) && taken[i].LeftOut {
			continue // a pull looked back at it
		}
		n.Received++
		n.Bytes += int64(len(b.Alerts[i].Raw))
		switch {
		case b.Alerts[i].Error != "":
			n.Unread++
		case i < len(taken) && taken[i].Duplicate:
			n.Duplicates++
		default:
			n.Accepted++
		}
	}
	if n.Received > 0 && !b.Again {
		c.figures.count(n, at)
	}
	if !b.Again {
		c.roadUp(b.Source)
	}
}

// turnedAway counts events that a source was not let in with, or that are lost.
func (c *core) turnedAway(source string, events int) {
	c.figures.count(store.SourceCounts{Source: source, Refused: events}, c.now())
}
