package ingest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"riposte/internal/fault"
)

// ErrBusy says that as much waits to be stored as may wait. It is
// fault.Transient: the same is taken in a moment later.
var ErrBusy = fmt.Errorf("too much waits to be stored; send it again in a few seconds: %w", fault.Transient)

// Gate bounds how much is between the roads and the database: what does not fit
// waits outside, where it costs nothing, in the hands of its sender. One that is
// larger than all the room goes in alone. The zero value lets everything in.
type Gate struct {
	Most int64            // bytes; 0 means without bound
	Now  func() time.Time // nil means time.Now

	mu    sync.Mutex
	inUse int64
	in    map[*Pass]struct{}
	queue []*Pass // those that wait for room, the first to come first
}

// Pass is what somebody has inside of a gate.
type Pass struct {
	gate   *Gate
	source string
	bytes  int64
	events int
	since  time.Time
	room   chan struct{} // closed when it is let in; nil: it is in
}

// Waiting is how much is inside of a gate or waits before it.
type Waiting struct {
	Events int
	Bytes  int64
	Oldest time.Time // since when the one waits that has waited longest; zero: none
}

// Try lets in what fits now; ErrBusy where it does not, or where others wait.
func (g *Gate) Try(source string, bytes int64, events int) (*Pass, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.pass(source, bytes, events)
	if len(g.queue) > 0 || !g.fits(bytes) {
		return nil, ErrBusy
	}
	g.admit(p)
	return p, nil
}

// Wait lets in what fits, in the order in which it came.
func (g *Gate) Wait(ctx context.Context, source string, bytes int64, events int) (*Pass, error) {
	g.mu.Lock()
	p := g.pass(source, bytes, events)
	if len(g.queue) == 0 && g.fits(bytes) {
		g.admit(p)
		g.mu.Unlock()
		return p, nil
	}
	p.room = make(chan struct{})
	g.queue = append(g.queue, p)
	g.mu.Unlock()
	select {
	case <-p.room:
		return p, nil
	case <-ctx.Done():
		p.Leave()
		return nil, ctx.Err()
	}
}

// Grow adds bytes to what is inside already; ErrBusy where there is no room.
func (p *Pass) Grow(bytes int64) error {
	g := p.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.Most > 0 && g.inUse+bytes > g.Most && g.inUse > p.bytes {
		return ErrBusy
	}
	p.bytes += bytes
	g.inUse += bytes
	return nil
}

// Leave makes room. It may be called again.
func (p *Pass) Leave() {
	g := p.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, in := g.in[p]; in {
		delete(g.in, p)
		g.inUse -= p.bytes
	} else {
		for i, w := range g.queue {
			if w == p {
				g.queue = append(g.queue[:i], g.queue[i+1:]...)
				break
			}
		}
	}
	for len(g.queue) > 0 && g.fits(g.queue[0].bytes) {
		next := g.queue[0]
		g.queue = g.queue[1:]
		g.admit(next)
		close(next.room)
	}
}

// Waiting tells how much is inside of the gate and before it: of one source, or
// of all for "".
func (g *Gate) Waiting(source string) (w Waiting) {
	g.mu.Lock()
	defer g.mu.Unlock()
	add := func(p *Pass) {
		if source != "" && p.source != source {
			return
		}
		w.Events += p.events
		w.Bytes += p.bytes
		if w.Oldest.IsZero() || p.since.Before(w.Oldest) {
			w.Oldest = p.since
		}
	}
	for p := range g.in {
		add(p)
	}
	for _, p := range g.queue {
		add(p)
	}
	return w
}

func (g *Gate) pass(source string, bytes int64, events int) *Pass {
	now := time.Now
	if g.Now != nil {
		now = g.Now
	}
	return &Pass{gate: g, source: source, bytes: bytes, events: events, since: now()}
}

func (g *Gate) fits(bytes int64) bool {
	return g.Most <= 0 || g.inUse == 0 || g.inUse+bytes <= g.Most
}

func (g *Gate) admit(p *Pass) {
	if g.in == nil {
		g.in = map[*Pass]struct{}{}
	}
	g.in[p] = struct{}{}
	g.inUse += p.bytes
}
