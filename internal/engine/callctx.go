package engine

import (
	"context"
	"sync"
	"time"
)

// callContext is the context of one call. The watchdog ends it, so it needs no
// timer of its own and no parent: the contexts of the standard library cost a
// short call more than the call itself. What is derived from it hears of its end
// through AfterFunc, which package context looks for.
type callContext struct {
	deadline time.Time

	mu    sync.Mutex
	done  chan struct{} // made when somebody asks for it
	err   error
	after map[int]func()
	n     int
}

var _ context.Context = (*callContext)(nil)

// Deadline is when the call is over.
func (c *callContext) Deadline() (time.Time, bool) { return c.deadline, true }

// Done is closed when the call is over.
func (c *callContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
	}
	return c.done
}

// Err says why the call is over, nil while it is not.
func (c *callContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Value knows nothing.
func (c *callContext) Value(any) any { return nil }

// AfterFunc calls f in a goroutine of its own when the call is over. stop tells
// whether it kept f from being called.
func (c *callContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	if c.after == nil {
		c.after = map[int]func(){}
	}
	c.n++
	n := c.n
	c.after[n] = f
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, there := c.after[n]
		delete(c.after, n)
		return there
	}
}

// end ends the call, once.
func (c *callContext) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	if c.done != nil {
		close(c.done)
	}
	for _, f := range c.after {
		go f()
	}
	c.after = nil
}
