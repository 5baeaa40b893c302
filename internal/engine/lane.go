package engine

import (
	"container/heap"
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"riposte/internal/fault"
	"riposte/internal/run"
)

// lane owns the runs whose ID falls to it: only its goroutine touches them, so
// they need no locks. Everything reaches it as a message.
type lane struct {
	e     *Engine
	index int

	mu    sync.Mutex
	inbox []message
	wake  chan struct{}

	// Owned by the lane's goroutine.
	runs     map[run.ID]*live
	loads    map[run.ID][]message // for runs that are being read from disk
	watchers map[run.ID][]*watcher
	near     timers
	horizon  time.Time // all timers of runs in memory due up to then are in near
	lazy     []*live   // have events that may wait a little for their record
	idle     []*live   // have begun to wait, longest first
	timerAt  time.Time
	stop     func() bool
}

type msgKind uint8

const (
	msgEvent   msgKind = iota // ev for a run
	msgTake                   // a run whose first record, ev at seq, is on disk
	msgWritten                // entries are on disk
	msgLoaded                 // a run was read from disk
	msgBegin                  // a granted task may begin
	msgOn                     // on is to be called with the run
	msgDo                     // fn is to be called
	msgDue                    // a waiting run is due
)

type message struct {
	kind    msgKind
	run     run.ID
	ev      *event
	writes  []func(tx Tx, seq int64) error
	reply   func(error)
	mail    int64
	seq     int64
	task    *task
	entries []*entry
	live    *live
	err     error
	on      func(*live)
	fn      func(*lane)
	wakes   []run.Wake
}

// lazily is how long the result of a read may wait for its record.
const lazily = 25 * time.Millisecond

// nearby is how far ahead timers are held in memory.
const nearby = 30 * time.Second

func newLane(e *Engine, i int) *lane {
	return &lane{
		e: e, index: i, wake: make(chan struct{}, 1),
		runs: map[run.ID]*live{}, loads: map[run.ID][]message{}, watchers: map[run.ID][]*watcher{},
	}
}

// post puts a message into the inbox. It never blocks.
func (l *lane) post(m message) {
	l.mu.Lock()
	l.inbox = append(l.inbox, m)
	first := len(l.inbox) == 1
	l.mu.Unlock()
	if first {
		l.poke()
	}
}

func (l *lane) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// loop is the lane's goroutine.
func (l *lane) loop(ctx context.Context) {
	var batch []message
	for {
		select {
		case <-l.wake:
		case <-ctx.Done():
			l.disarm()
			return
		}
		for {
			l.mu.Lock()
			batch, l.inbox = l.inbox, batch[:0]
			l.mu.Unlock()
			if len(batch) == 0 {
				break
			}
			for i := range batch {
				l.handle(&batch[i])
			}
			clear(batch)
		}
		l.tick()
	}
}

func (l *lane) handle(m *message) {
	switch m.kind {
	case msgWritten:
		for _, en := range m.entries {
			en.live.written(en)
		}
	case msgTake:
		l.take(m)
	case msgLoaded:
		l.loaded(m)
	case msgDo:
		m.fn(l)
	case msgDue:
		l.due(m)
	case msgBegin:
		m.task.live.begin(m.task)
	case msgEvent, msgOn:
		r := l.runs[m.run]
		if r == nil {
			l.load(m)
			return
		}
		r.message(m)
	}
}

// take makes a run live whose first record is on disk.
func (l *lane) take(m *message) {
	l.e.took(m.run)
	if l.runs[m.run] != nil || m.seq <= l.e.recovered {
		return
	}
	r, err := l.e.newLive(l, m.ev.Start)
	if err != nil {
		l.e.planMissing(m.run, err)
		return
	}
	r.lastSeq = m.seq
	l.adopt(r)
	r.begun(m.ev.Event)
	r.settle()
}

func (l *lane) adopt(r *live) {
	l.runs[r.id] = r
	l.e.came(r.start.Tenant)
}

// load reads a run from disk, off the lane, and keeps its messages until then.
func (l *lane) load(m *message) {
	waiting, loading := l.loads[m.run]
	l.loads[m.run] = append(waiting, *m)
	if loading {
		return
	}
	id := m.run
	l.e.pool.run(func() {
		r, err := l.e.read(l.e.ctx, l, id)
		l.post(message{kind: msgLoaded, run: id, live: r, err: err})
	})
}

// loaded goes on with a run that was read from disk.
func (l *lane) loaded(m *message) {
	waiting := l.loads[m.run]
	delete(l.loads, m.run)
	r := l.runs[m.run]
	if r == nil && m.err == nil {
		r = m.live
		l.adopt(r)
		r.wakeUp()
	}
	for i := range waiting {
		if r == nil || r.gone {
			l.nobody(&waiting[i], m.err)
			continue
		}
		r.message(&waiting[i])
	}
	if r != nil && !r.gone {
		r.settle()
	}
}

// nobody answers a message for a run that is not under way.
func (l *lane) nobody(m *message, err error) {
	if err == nil {
		err = fmt.Errorf("run %s has ended: %w", m.run, fault.Conflict)
	}
	if m.mail != 0 && l.e.lost(err) {
		l.e.forgetMail(m.mail)
	}
	if m.reply != nil {
		m.reply(err)
	}
}

// due takes in when runs that wait on disk are due.
func (l *lane) due(m *message) {
	for _, w := range m.wakes {
		heap.Push(&l.near, timer{at: w.At, run: w.Run})
	}
}

// tick does what time asks for: timers, lazy records, runs that leave memory.
func (l *lane) tick() {
	now := l.e.now()
	l.flushLazy(now)
	if now.After(l.horizon.Add(-nearby/2)) || l.horizon.Sub(now) > 2*nearby {
		l.sweep(now)
	}
	l.fire(now)
	l.evict(now)
	l.arm(now)
}

func (l *lane) flushLazy(now time.Time) {
	n := 0
	for _, r := range l.lazy { // the longest waiting first
		switch {
		case r.gone || r.lazyAt.IsZero():
		case now.Sub(r.lazyAt) >= lazily || now.Before(r.lazyAt):
			r.lazyAt = time.Time{}
			r.submit()
		default:
			if n > 0 {
				clear(l.lazy[copy(l.lazy, l.lazy[n:]):])
				l.lazy = l.lazy[:len(l.lazy)-n]
			}
			return
		}
		n++
	}
	clear(l.lazy)
	l.lazy = l.lazy[:0]
}

// flushAll writes what has gathered and tells whether all of it is on disk.
func (l *lane) flushAll() bool {
	clean := true
	for _, r := range l.runs {
		r.lazyAt = time.Time{}
		r.submit()
		clean = clean && (r.clean() || r.broken)
	}
	return clean
}

// sweep brings the timers of the next half minute into the heap.
func (l *lane) sweep(now time.Time) {
	from, to := l.horizon, now.Add(nearby)
	if from.After(to) { // the clock was turned back: the heap has more than it needs
		l.horizon = to
		return
	}
	l.horizon = to
	for _, r := range l.runs {
		for i := range r.items {
			if it := &r.items[i]; !it.until.IsZero() && it.until.After(from) && !it.until.After(to) {
				heap.Push(&l.near, timer{at: it.until, run: r.id, act: it.act, n: it.n})
			}
		}
		r.progress(now)
	}
}

// fire delivers the timers that are due.
func (l *lane) fire(now time.Time) {
	for len(l.near) > 0 && !l.near[0].at.After(now) {
		t := heap.Pop(&l.near).(timer)
		r := l.runs[t.run]
		if t.n == 0 {
			l.e.waits.backlog.Add(-1)
		}
		if r == nil {
			l.load(&message{kind: msgOn, run: t.run, on: func(*live) {}})
			continue
		}
		if t.n != 0 {
			r.fire(t.act, t.n, now)
			r.settle()
		}
	}
}

// arm sets the timer for whatever comes next, at most a second away: the wall
// clock may jump, and a second bounds how late that is noticed.
func (l *lane) arm(now time.Time) {
	wait := time.Duration(0)
	soon := func(d time.Duration) {
		d = max(d, time.Millisecond)
		if wait == 0 || d < wait {
			wait = d
		}
	}
	if len(l.lazy) > 0 {
		soon(l.lazy[0].lazyAt.Add(lazily).Sub(now))
	}
	if len(l.near) > 0 {
		soon(min(l.near[0].at.Sub(now), time.Second))
	}
	if len(l.idle) > 0 {
		soon(l.e.idleFor)
	}
	if wait == 0 && len(l.runs) > 0 {
		wait = nearby / 3
	}
	if wait == 0 {
		return
	}
	at := now.Add(wait)
	if !l.timerAt.IsZero() && !at.Before(l.timerAt) && l.timerAt.After(now) {
		return
	}
	l.disarm()
	l.timerAt = at
	l.stop = l.e.clock.AfterFunc(wait, l.poke)
}

func (l *lane) disarm() {
	if l.stop != nil {
		l.stop()
		l.stop = nil
	}
	l.timerAt = time.Time{}
}

// timer is a point in time at which a run wants to be looked at. n is 0 where
// the run waits on disk.
type timer struct {
	at  time.Time
	run run.ID
	act run.Act
	n   int
}

// timers is a heap, earliest first.
type timers []timer

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at.Before(t[j].at) }
func (t timers) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)        { *t = append(*t, x.(timer)) }
func (t *timers) Pop() any {
	old := *t
	x := old[len(old)-1]
	*t = old[:len(old)-1]
	return x
}

// guarded runs a piece of the interpreter. A panic there is a mistake of ours;
// it must cost one run its progress, not all of them.
func guarded(f func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the interpreter panicked: %v\n%s", p, debug.Stack())
		}
	}()
	f()
	return nil
}
