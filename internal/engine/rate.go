package engine

import (
	"slices"
	"time"

	"riposte/playbook"
)

// window lets at most times calls pass in any span of per.
type window struct {
	times   int
	per     time.Duration
	passed  []time.Time // the last ones, oldest first
	waiting taskList
	putOff  int  // tasks that come back later
	dirty   bool // passed has changed since it was kept
}

// ready tells how long the next call must wait.
func (w *window) ready(now time.Time) (time.Duration, bool) {
	if len(w.passed) < w.times {
		return 0, true
	}
	oldest := w.passed[len(w.passed)-w.times]
	// A clock that was turned back must not close the window for longer than it is.
	if oldest.After(now) {
		return w.per, false
	}
	if wait := w.per - now.Sub(oldest); wait > 0 {
		return wait, false
	}
	return 0, true
}

func (w *window) pass(now time.Time) {
	for i := range w.passed {
		if w.passed[i].After(now) {
			w.passed[i] = now
		}
	}
	w.passed = append(w.passed, now)
	if n := len(w.passed) - w.times; n > 0 {
		w.passed = append(w.passed[:0], w.passed[n:]...)
	}
	w.dirty = true
}

// far is how long a task may stand in the line of a rate. One that would have
// to wait longer is put off, so that its run can leave memory.
const far = 2 * nearby

// turn estimates how long one more task has to wait.
func (w *window) turn(now time.Time) time.Duration {
	wait, _ := w.ready(now)
	return wait + time.Duration((w.waiting.len()+w.putOff)/w.times)*w.per
}

// join puts a task in line: severe runs first, then the oldest.
func (w *window) join(t *task) {
	l := &w.waiting
	l.push(t)
	for i := len(l.items) - 1; i > l.head && ahead(t, l.items[i-1]); i-- {
		l.items[i], l.items[i-1] = l.items[i-1], l.items[i]
	}
}

func ahead(a, b *task) bool {
	if a.severity != b.severity {
		return a.severity > b.severity
	}
	return a.run < b.run
}

// inRate tells whether the rate of a task's step lets it pass now. If not, the
// task stands in line, or is put off.
func (s *scheduler) inRate(t *task, r *playbook.Rate, now time.Time) bool {
	w := s.window(t.rate, r)
	wait, ok := w.ready(now)
	if ok && w.waiting.len() == 0 {
		return true
	}
	if turn := w.turn(now); turn > far {
		w.putOff++
		t.place, t.later = putOff, now.Add(turn)
		return false
	}
	t.place = onRate
	w.join(t)
	s.wake(now, wait)
	return false
}

func (s *scheduler) window(key string, r *playbook.Rate) *window {
	w := s.rates[key]
	if w == nil {
		w = &window{}
		s.rates[key] = w
	}
	w.times, w.per = max(r.Times, 1), r.Per
	return w
}

// pass lets a call of a rated step go and sees that this is remembered.
func (s *scheduler) pass(w *window, now time.Time) {
	w.pass(now)
	if s.keepRate != nil && !s.keeping {
		s.keeping = true
		s.clock.AfterFunc(lazily, s.keepRates)
	}
}

// keepRates stores the rates that have changed.
func (s *scheduler) keepRates() {
	changed := map[string][]time.Time{}
	s.mu.Lock()
	s.keeping = false
	for key, w := range s.rates {
		if w.dirty {
			w.dirty = false
			changed[key] = slices.Clone(w.passed)
		}
	}
	s.mu.Unlock()
	for key, passed := range changed {
		s.keepRate(key, passed)
	}
}

// restore takes over what was kept of a rate before a restart. What it allows is
// known only when its step comes by.
func (s *scheduler) restore(key string, passed []time.Time) {
	s.mu.Lock()
	s.rates[key] = &window{times: len(passed), per: 366 * 24 * time.Hour, passed: passed}
	s.mu.Unlock()
}

// limit lets a task go that needs nothing but its rate. It returns true if it
// may go now; else grant is called when it may, or it is put off.
func (s *scheduler) limit(t *task, tenant, key string, r *playbook.Rate) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.dropped {
		return false
	}
	t.rate = tenant + "/" + key
	now := s.clock.Now()
	t.queued = now
	if s.inRate(t, r, now) {
		s.pass(s.rates[t.rate], now)
		t.place = released
		return true
	}
	s.waiting++
	return false
}

// lookRate lets those go whose rate has room again.
func (s *scheduler) lookRate(list []*task, key string, w *window, now time.Time) []*task {
	for w.waiting.len() > 0 {
		wait, ok := w.ready(now)
		if !ok {
			s.wake(now, wait)
			return list
		}
		t := w.waiting.pop()
		s.pass(w, now)
		if t.do == nil { // a child run needs no more than this
			list = append(list, t)
			t.place = released
			s.waiting--
			continue
		}
		t.rated = true
		s.enqueue(t, true)
	}
	if n := len(w.passed); w.putOff == 0 && !w.dirty && (n == 0 || now.Sub(w.passed[n-1]) > w.per) {
		delete(s.rates, key)
	}
	return list
}

// back tells whether a task was put off and when it wants to come back.
func (s *scheduler) back(t *task) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.later, t.place == putOff
}
