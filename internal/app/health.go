package app

import (
	"context"
	"maps"
	"sync"
	"time"

	"riposte/connector"
	"riposte/connector/caller"
)

// How often is looked whose connection's time has come, how long one is left
// alone where its manifest says nothing, and how many are called at once.
const (
	healthTick     = 15 * time.Second
	healthInterval = 5 * time.Minute
	healthAtOnce   = 4
)

// keepHealth calls what manifests name as the sign of health, at their interval,
// until ctx ends.
func (c *core) keepHealth(ctx context.Context) {
	tick := time.NewTicker(healthTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c.lookAtAll(ctx)
	}
}

// lookAtAll looks at every connection whose time has come.
func (c *core) lookAtAll(ctx context.Context) {
	var looking sync.WaitGroup
	places := make(chan struct{}, healthAtOnce)
	for tenant, list := range c.connections.everybodys() {
		for _, x := range list {
			if !c.dueForHealth(tenant, x) {
				continue
			}
			places <- struct{}{}
			looking.Go(func() {
				defer func() { <-places }()
				c.look(ctx, tenant, x)
			})
		}
	}
	looking.Wait()
}

func (c *core) dueForHealth(tenant string, x *connector.Connection) bool {
	m := c.registry.Manifest(x.Connector)
	if x.Disabled || m == nil || m.Health == nil {
		return false
	}
	every := m.Health.Interval
	if every <= 0 {
		every = healthInterval
	}
	return c.now().Sub(c.health.of(tenant, x.Name, x.Revision).at) >= every
}

// look calls a connection's sign of health and remembers what came of it.
func (c *core) look(ctx context.Context, tenant string, x *connector.Connection) caller.Health {
	tenant = tenantOf(tenant)
	h := c.caller.Health(ctx, tenant, x.Name)
	if ctx.Err() != nil {
		return h // nobody waited for it
	}
	now := health{word: string(h.State), detail: detailOf(h), at: utc(h.At)}
	before := c.health.of(tenant, x.Name, x.Revision)
	c.health.set(tenant, x.Name, x.Revision, now)
	if before.word != now.word {
		log := c.log.Info
		if h.State == caller.Down {
			log = c.log.Warn
		}
		log("connection health changed", "tenant", tenant, "connection", x.Name, "from", before.word, "to", now.word, "detail", now.detail)
	}
	return h
}

func detailOf(h caller.Health) string {
	if h.Class != "" {
		return string(h.Class) + ": " + h.Message
	}
	return h.Message
}

// everybodys gives all connections by tenant.
func (c *connections) everybodys() map[string][]*connector.Connection {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return maps.Clone(c.all)
}

// health is how a connection was when it was last looked at.
type health struct {
	word, detail string
	at           time.Time
}

// healths remembers it in memory: after a start nobody has looked yet.
type healths struct {
	mu   sync.Mutex
	last map[connectionKey]seenHealth
}

type connectionKey struct{ tenant, name string }

// seenHealth holds the revision: what a connection was like before it was
// changed says nothing of what it is like.
type seenHealth struct {
	health
	revision int64
}

func (h *healths) of(tenant, name string, revision int64) health {
	h.mu.Lock()
	defer h.mu.Unlock()
	if x, ok := h.last[connectionKey{tenant, name}]; ok && x.revision == revision {
		return x.health
	}
	return health{word: "unknown"}
}

func (h *healths) set(tenant, name string, revision int64, x health) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last == nil {
		h.last = map[connectionKey]seenHealth{}
	}
	h.last[connectionKey{tenant, name}] = seenHealth{x, revision}
}
