package engine

import (
	"sync"
	"time"

	"riposte/internal/run"
)

// task is one call that a run wants made, from the command to its result.
type task struct {
	do       *run.Do
	start    *run.Start   // of the run, as it was when the call was arranged
	child    *run.CallRun // instead of do: a child run that only waits for its rate
	live     *live
	run      run.ID
	own      *holder // counts the calls of its run
	severity int
	book     *playbookShare
	leaf     *leaf
	conn     *conn
	key      string // of serialize, "" if none
	rate     string // the key of its step's rate, "" if none
	rated    bool   // the rate has let it pass
	opens    bool   // no call of its run has left before
	queued   time.Time
	later    time.Time // when to come back, where it was put off

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
	putOff             // comes back later: its step's rate has no room for a long time
	granted            // holds a place, its connection and its key
	released           // done
)

// conn is what the scheduler knows of a connection.
type conn struct {
	name     string
	limits   Limits
	inFlight int
	bucket   *bucket   // of its own, or of all that share its rate
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
	buckets map[connKey]*bucket // that connections share, by their name
	keys    map[string]*holder
	rates   map[string]*window
	wakeAt  time.Time
	stop    func() bool
	waiting int  // tasks not granted
	passed  bool // something was passed on: fill has work
	keeping bool // keepRates is about to run
}

type connKey struct{ tenant, name string }

// holder counts who holds something and lists who waits for it.
type holder struct {
	held    int
	waiting taskList
}

func newScheduler(places, perRun int, clock Clock) *scheduler {
	return &scheduler{
		places: places, perRun: perRun, clock: clock,
		conns: map[connKey]*conn{}, buckets: map[connKey]*bucket{}, keys: map[string]*holder{}, rates: map[string]*window{},
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
	if t.book == nil {
		t.book = s.queue.account(tenant, playbook)
	}
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
	var list []*task
	if s.passed {
		list = s.fill()
	}
	s.mu.Unlock()
	s.start(list)
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
	if c.bucket == nil || c.limits != l {
		c.limits = l
		c.bucket = s.bucketOf(tenant, l, now)
	}
	return c
}

// bucketOf is a new bucket for a connection, or the one that it shares.
func (s *scheduler) bucketOf(tenant string, l Limits, now time.Time) *bucket {
	burst := float64(max(l.Burst, 1))
	k := connKey{tenant, l.Bucket}
	b := s.buckets[k]
	if b == nil {
		b = &bucket{tokens: burst, at: now}
	}
	if l.Bucket != "" {
		s.buckets[k] = b
	}
	b.rate, b.burst, b.tokens = l.Rate, burst, min(b.tokens, burst)
	return b
}

// take gets everything that a task needs to leave, or nothing. Where something
// other than the connection is missing it makes the task wait for that.
func (s *scheduler) take(t *task, now time.Time) bool {
	own, same := t.own, s.keys[t.key]
	switch {
	case own.held >= s.perRun:
		t.place = onRun
		own.waiting.push(t)
		return false
	case t.key != "" && same != nil && same.held > 0:
		t.place = onKey
		same.waiting.push(t)
		s.passOn(t)
		return false
	case t.rate != "" && !t.rated && !s.inRate(t, t.do.Rate, now), !s.open(t.conn, now):
		s.passOn(t)
		return false
	}
	if t.rate != "" && !t.rated {
		s.pass(s.rates[t.rate], now)
		t.rated = true
	}
	return true
}

// passOn lets another task have what this one was woken for and does not take,
// now that it waits for something else or is dropped.
func (s *scheduler) passOn(t *task) {
	if t.own != nil && t.own.held < s.perRun {
		s.wakeOne(t.own)
	}
	if h := s.keys[t.key]; t.key != "" && h != nil && h.held == 0 && t.place != onKey {
		s.wakeOne(h)
		if h.waiting.len() == 0 {
			delete(s.keys, t.key)
		}
	}
}

func (s *scheduler) wakeOne(h *holder) {
	if h.waiting.len() > 0 {
		s.enqueue(h.waiting.pop(), true)
		s.passed = true
	}
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
	t.own.held++
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
	t.own.held--
	if h := s.keys[t.key]; t.key != "" && h != nil {
		h.held--
	}
	s.passOn(t)
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
	s.passed = false
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

// drop takes a task out of line. It returns false if the task is already under
// way or done: the result will come and find nobody who waits for it.
func (s *scheduler) drop(t *task) bool {
	s.mu.Lock()
	gone := s.leave(t)
	var list []*task
	if gone {
		s.passOn(t)
		list = s.fill()
	}
	s.mu.Unlock()
	s.start(list)
	return gone
}

func (s *scheduler) leave(t *task) bool {
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
	case putOff:
		s.rates[t.rate].putOff--
	case onRun:
		t.own.waiting.remove(t)
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
	case onRate, putOff:
		return "rate"
	case onRun:
		return "other calls of the run"
	case nowhere, granted, released:
	}
	return ""
}

// oldestFirst is since when the call waits for its turn that has waited longest
// of those which are the first of their run; zero: none does.
func (s *scheduler) oldestFirst() (since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, tenant := range s.queue.tenants {
		for _, book := range tenant.playbooks {
			for _, leaf := range book.all {
				if t := leaf.tasks.first(); t != nil && t.opens && (since.IsZero() || t.queued.Before(since)) {
					since = t.queued
				}
			}
		}
	}
	return since
}

func (s *scheduler) load() (used, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used, s.waiting
}

// call describes the task to guard and connector.
func (t *task) call() Call { return callOf(t.start, t.do) }
