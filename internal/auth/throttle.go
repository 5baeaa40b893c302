package auth

import (
	"sync"
	"time"
)

// Throttle slows down whoever guesses passwords: after a few failures in a row
// each further one doubles the wait. Keys are user names and addresses, each
// counted for itself. The zero value is ready.
type Throttle struct {
	mu    sync.Mutex
	tries map[string]tries
}

type tries struct {
	failed int
	last   time.Time
}

const (
	freeTries     = 5
	firstWait     = 2 * time.Second
	longestWait   = 15 * time.Minute
	forgetAfter   = time.Hour
	maxThrottled  = 100_000
	maxKeyLetters = 256
)

// Wait tells how long a key has to wait before it may try again: 0 for at once.
func (t *Throttle) Wait(key string, at time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.tries[shortKey(key)]
	if k.failed < freeTries || at.Sub(k.last) >= forgetAfter {
		return 0
	}
	return max(0, wait(k.failed)-at.Sub(k.last))
}

func wait(failed int) time.Duration {
	w := firstWait
	for range failed - freeTries {
		if w *= 2; w >= longestWait {
			return longestWait
		}
	}
	return w
}

// Failed notes a wrong password.
func (t *Throttle) Failed(key string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tries == nil {
		t.tries = map[string]tries{}
	}
	if len(t.tries) >= maxThrottled {
		t.forget(at)
	}
	k := t.tries[shortKey(key)]
	if at.Sub(k.last) >= forgetAfter {
		k.failed = 0
	}
	t.tries[shortKey(key)] = tries{failed: k.failed + 1, last: at}
}

// Succeeded forgets the failures of a key.
func (t *Throttle) Succeeded(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.tries, shortKey(key))
}

// forget makes room: first what is old, and if an attacker filled the table with
// new names, all of it, rather than growing without end.
func (t *Throttle) forget(at time.Time) {
	for key, k := range t.tries {
		if at.Sub(k.last) >= forgetAfter {
			delete(t.tries, key)
		}
	}
	if len(t.tries) >= maxThrottled {
		clear(t.tries)
	}
}

func shortKey(key string) string {
	if len(key) > maxKeyLetters {
		return HashSecret(key)
	}
	return key
}
