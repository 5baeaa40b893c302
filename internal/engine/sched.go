package engine

import (
	"sync"
	"time"

	"riposte/internal/run"
	"riposte/playbook"
)

// task is one call that a run wants made, from the command to its result.
type task struct {
	do       *run.Do
	child    *run.CallRun // instead of do: a child run that only waits for its rate
	live     *live
	run      run.ID
	severity int
	book     *playbookShare
	leaf     *leaf
	conn     *conn
	key      string // of serialize, "" if none
	rate     string // the key of its step's rate, "" if none
	rated    bool   // the rate has let it pass
	queued   time.Time

	place   taskPlace // guarded by sched.mu
	dropped bool      // guarded by sched.mu: nobody waits for the result

	// Owned by whoever holds the granted task.
	cleared time.Time // when the guard said yes
	began   bool      // its Began event is on disk
}

// fresh tells whether the guard said yes so lately that it need not be asked
// again before the call.
func (t *task) fresh(now time.Time) bool {
	d := now.Sub(t.cleared)
	return !t.cleared.IsZero() && d >= 0 && d < time.Second
}

// taskPlace is where a task stands.
type taskPlace uint8

const (
	nowhere  taskPlace = iota
	inLine             // in a leaf of the fair queue
	onKey              // waits for a serialize key
	onRate             // waits for its step's rate
	onRun              // waits for its run's other calls
	granted            // holds a place, its connection and its key
	released           // done
)

// conn is what the scheduler knows of a connection.
type conn struct {
	name     string
	limits   Limits
	inFlight int
	bucket   bucket
	until    time.Time // asked by the product to leave it alone until then
	blocked  []*leaf
}

// scheduler decides which call may leave next. A call that waits for anything
// (its turn, its connection, its step's rate, another call on the same target)
// holds no place.
type scheduler struct {
	places   int // calls at once
	perRun   int // of one run
	clock    Clock
	grant    func(*task)                          // a queued task may go; called without the lock
	keepRate func(key string, passed []time.Time) // a rate has let a call pass

	mu      sync.Mutex
	used    int
	queue   fairQueue
	conns   map[connKey]*conn
	keys    map[string]*holder
	rates   map[string]*window
	runs    map[run.ID]*holder
	wakeAt  time.Time
	stop    func() bool
	waiting int // tasks not granted
}

type connKey struct{ tenant, name string }

// holder counts who holds something and lists who waits for it.
type holder struct {
	held    int
	waiting taskList
}

// window lets at most times calls pass in any span of per.
type window struct {
	times   int
	per     time.Duration
	passed  []time.Time // the last ones, oldest first
	waiting taskList
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
}

func newScheduler(places, perRun int, clock Clock) *scheduler {
	return &scheduler{
		places: places, perRun: perRun, clock: clock,
		conns: map[connKey]*conn{}, keys: map[string]*holder{}, rates: map[string]*window{}, runs: map[run.ID]*holder{},
	}
}

// add takes a task in. It returns true if the task may leave at once; else it
// stands in line, and grant is called when its turn has come.
func (s *scheduler) add(t *task, tenant, playbook, connection string, l Limits) bool {
	s.mu.Lock()
	if t.dropped {
		s.mu.Unlock()
		return false
	}
	now := s.clock.Now()
	t.book = s.queue.account(tenant, playbook)
	t.conn = s.connection(tenant, connection, l, now)
	t.queued = now
	s.waiting++
	if t.do.Rate != nil {
		t.rate = tenant + "/" + t.do.RateKey
	}
	// Nobody is overtaken: a place is free only when nobody in line could use it.
	if s.used < s.places && len(t.conn.blocked) == 0 && !s.full(t.book) && s.take(t, now) {
		s.hold(t)
		s.mu.Unlock()
		return true
	}
	if t.place == nowhere {
		s.enqueue(t, false)
	}
	s.mu.Unlock()
	return false
}

func (s *scheduler) enqueue(t *task, front bool) {
	t.place = inLine
	s.queue.push(t, t.conn, front)
}

// connection finds what is known of a connection and takes its limits over.
func (s *scheduler) connection(tenant, name string, l Limits, now time.Time) *conn {
	k := connKey{tenant, name}
	c := s.conns[k]
	if c == nil {
		c = &conn{name: name}
		s.conns[k] = c
	}
	if c.limits != l {
		c.limits = l
		burst := float64(max(l.Burst, 1))
		c.bucket = bucket{rate: l.Rate, burst: burst, tokens: burst, at: now}
	}
	return c
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

// pass lets a call of a rated step go and remembers when.
func (s *scheduler) pass(key string, w *window, now time.Time) {
	w.pass(now)
	if s.keepRate != nil {
		s.keepRate(key, append([]time.Time(nil), w.passed...))
	}
}

// restore takes over what was kept of a rate before a restart.
func (s *scheduler) restore(key string, passed []time.Time) {
	s.mu.Lock()
	s.rates[key] = &window{times: len(passed), per: time.Hour, passed: passed}
	s.mu.Unlock()
}

// limit lets a task go that needs nothing but its rate. It returns true if it
// may go now; else grant is called when it may.
func (s *scheduler) limit(t *task, tenant, key string, r *playbook.Rate) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.dropped {
		return false
	}
	t.rate = tenant + "/" + key
	now := s.clock.Now()
	w := s.window(t.rate, r)
	wait, ok := w.ready(now)
	if ok && w.waiting.len() == 0 {
		s.pass(t.rate, w, now)
		t.place = released
		return true
	}
	t.place, t.queued = onRate, now
	w.waiting.push(t)
	s.waiting++
	s.wake(now, wait)
	return false
}

// take gets everything that a task needs to leave, or nothing. Where something
// other than the connection is missing it makes the task wait for that.
func (s *scheduler) take(t *task, now time.Time) bool {
	if h := s.runs[t.run]; h != nil && h.held >= s.perRun {
		t.place = onRun
		h.waiting.push(t)
		return false
	}
	if t.key != "" {
		if h := s.keys[t.key]; h != nil && h.held > 0 {
			t.place = onKey
			h.waiting.push(t)
			return false
		}
	}
	if t.rate != "" && !t.rated {
		w := s.window(t.rate, t.do.Rate)
		wait, ok := w.ready(now)
		if !ok || w.waiting.len() > 0 {
			t.place = onRate
			w.waiting.push(t)
			s.wake(now, wait)
			return false
		}
	}
	if !s.open(t.conn, now) {
		return false
	}
	if t.rate != "" && !t.rated {
		s.pass(t.rate, s.rates[t.rate], now)
		t.rated = true
	}
	return true
}

// open tells whether a connection takes another call now.
func (s *scheduler) open(c *conn, now time.Time) bool {
	if c.limits.MaxInFlight > 0 && c.inFlight >= c.limits.MaxInFlight {
		return false
	}
	if wait := c.until.Sub(now); wait > 0 {
		s.wake(now, wait)
		return false
	}
	wait, ok := c.bucket.ready(now)
	if !ok {
		s.wake(now, wait)
	}
	return ok
}

// hold books what take found to be free.
func (s *scheduler) hold(t *task) {
	t.place = granted
	s.waiting--
	s.used++
	t.conn.inFlight++
	t.conn.bucket.take()
	hold(s.runs, t.run)
	if t.key != "" {
		hold(s.keys, t.key)
	}
	t.book.running++
	t.book.tenant.running++
	s.queue.charge(t.book, t.severity)
	s.refill(t.book)
}

func hold[K comparable](m map[K]*holder, k K) {
	h := m[k]
	if h == nil {
		h = &holder{}
		m[k] = h
	}
	h.held++
}

// share of the places that one playbook and one tenant may hold: some always
// stay free for the others, however long the calls of one take.
func (s *scheduler) full(b *playbookShare) bool {
	return b.running >= max(1, s.places-s.places/4) || b.tenant.running >= max(1, s.places-s.places/8)
}

// refill keeps the books of who may hold no more.
func (s *scheduler) refill(b *playbookShare) {
	full := b.running >= max(1, s.places-s.places/4)
	tenantFull := b.tenant.running >= max(1, s.places-s.places/8)
	if full != b.full || tenantFull != b.tenant.full {
		b.full, b.tenant.full = full, tenantFull
		s.queue.fix(b)
	}
}

// done gives back what a granted task holds and lets others leave. It tells
// whether the task was dropped meanwhile.
func (s *scheduler) done(t *task) (dropped bool) {
	s.mu.Lock()
	dropped = t.dropped
	if t.place == granted {
		s.release(t)
	}
	list := s.fill()
	s.mu.Unlock()
	s.start(list)
	return dropped
}

func (s *scheduler) release(t *task) {
	t.place = released
	s.used--
	t.conn.inFlight--
	t.book.running--
	t.book.tenant.running--
	s.refill(t.book)
	s.free(t)
	s.unblock(t.conn)
}

// free wakes those that wait for the task's run or serialize key.
func (s *scheduler) free(t *task) {
	if h := s.runs[t.run]; h != nil {
		h.held--
		if h.waiting.len() > 0 {
			s.enqueue(h.waiting.pop(), true)
		}
		if h.held == 0 && h.waiting.len() == 0 {
			delete(s.runs, t.run)
		}
	}
	if h := s.keys[t.key]; t.key != "" && h != nil {
		h.held--
		if h.waiting.len() > 0 {
			s.enqueue(h.waiting.pop(), true)
		}
		if h.held == 0 && h.waiting.len() == 0 {
			delete(s.keys, t.key)
		}
	}
}

func (s *scheduler) unblock(c *conn) {
	for _, l := range c.blocked {
		l.blocked = false
		s.queue.list(l)
	}
	c.blocked = c.blocked[:0]
}

// fill grants free places to those whose turn it is.
func (s *scheduler) fill() []*task {
	var list []*task
	now := time.Time{}
	for s.used < s.places {
		l := s.queue.next()
		if l == nil {
			break
		}
		if now.IsZero() {
			now = s.clock.Now()
		}
		t := l.tasks.pop()
		if l.tasks.len() == 0 {
			s.queue.unlist(l)
		}
		t.place = nowhere
		switch {
		case s.take(t, now):
			s.hold(t)
			list = append(list, t)
		case t.place == nowhere: // its connection takes no more now
			l.tasks.pushFront(t)
			t.place = inLine
			s.queue.unlist(l)
			l.blocked = true
			t.conn.blocked = append(t.conn.blocked, l)
		}
	}
	return list
}

func (s *scheduler) start(list []*task) {
	for _, t := range list {
		s.grant(t)
	}
}

// wake makes sure that somebody looks again after a while.
func (s *scheduler) wake(now time.Time, wait time.Duration) {
	// The wall clock may jump; looking once a second bounds what that can do.
	at := now.Add(min(wait, time.Second))
	if !s.wakeAt.IsZero() && !at.Before(s.wakeAt) {
		return
	}
	if s.stop != nil {
		s.stop()
	}
	s.wakeAt = at
	s.stop = s.clock.AfterFunc(at.Sub(now), s.look)
}

// look lets those go on that waited for time to pass.
func (s *scheduler) look() {
	s.mu.Lock()
	s.wakeAt, s.stop = time.Time{}, nil
	now := s.clock.Now()
	var list []*task
	for key, w := range s.rates {
		list = s.lookRate(list, key, w, now)
	}
	for _, c := range s.conns {
		if len(c.blocked) > 0 && s.open(c, now) {
			s.unblock(c)
		}
	}
	list = append(list, s.fill()...)
	s.mu.Unlock()
	s.start(list)
}

func (s *scheduler) lookRate(list []*task, key string, w *window, now time.Time) []*task {
	for w.waiting.len() > 0 {
		wait, ok := w.ready(now)
		if !ok {
			s.wake(now, wait)
			return list
		}
		t := w.waiting.pop()
		s.pass(key, w, now)
		if t.do == nil { // a child run needs no more than this
			list = append(list, t)
			t.place = released
			s.waiting--
			continue
		}
		t.rated = true
		s.enqueue(t, true)
	}
	if n := len(w.passed); n == 0 || now.Sub(w.passed[n-1]) > w.per {
		delete(s.rates, key)
	}
	return list
}

// drop takes a task out of line. It returns false if the task is already under
// way or done: the result will come and find nobody who waits for it.
func (s *scheduler) drop(t *task) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.dropped = true
	switch t.place {
	case inLine:
		t.leaf.tasks.remove(t)
		if t.leaf.tasks.len() == 0 {
			s.queue.unlist(t.leaf)
		}
	case onKey:
		s.keys[t.key].waiting.remove(t)
	case onRate:
		s.rates[t.rate].waiting.remove(t)
	case onRun:
		s.runs[t.run].waiting.remove(t)
	case nowhere: // held until its cause is on disk
		t.place = released
		return true
	case granted, released:
		return false
	}
	t.place = released
	s.waiting--
	return true
}

// quiet leaves a connection alone for as long as its product asked.
func (s *scheduler) quiet(c *conn, d time.Duration) {
	if d <= 0 {
		return
	}
	s.mu.Lock()
	if until := s.clock.Now().Add(d); until.After(c.until) {
		c.until = until
	}
	s.mu.Unlock()
}

func (s *scheduler) isDropped(t *task) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.dropped
}

// where tells what a task waits for, for people.
func (s *scheduler) where(t *task) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch t.place {
	case inLine:
		if t.leaf.blocked {
			return "connection " + t.conn.name
		}
		return "worker"
	case onKey:
		return "another call on " + t.key
	case onRate:
		return "rate"
	case onRun:
		return "other calls of the run"
	case nowhere, granted, released:
	}
	return ""
}

func (s *scheduler) load() (used, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used, s.waiting
}
