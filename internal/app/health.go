package app

import (
	"sync"
	"time"
)

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
