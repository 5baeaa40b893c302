package engine

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"riposte/connector"
	"riposte/internal/run"
	"riposte/playbook"
)

// hand is a clock that is turned by hand.
type hand struct {
	mu     sync.Mutex
	now    time.Time
	timers []handTimer
}

type handTimer struct {
	at time.Time
	f  func()
}

func newHand() *hand { return &hand{now: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)} }

func (h *hand) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *hand) AfterFunc(d time.Duration, f func()) func() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.timers = append(h.timers, handTimer{h.now.Add(d), f})
	return func() bool { return true }
}

func (h *hand) turn(d time.Duration) {
	h.mu.Lock()
	end := h.now.Add(d)
	for {
		slices.SortStableFunc(h.timers, func(a, b handTimer) int { return a.at.Compare(b.at) })
		if len(h.timers) == 0 || h.timers[0].at.After(end) {
			break
		}
		t := h.timers[0]
		h.timers = h.timers[1:]
		h.now = t.at
		h.mu.Unlock()
		t.f()
		h.mu.Lock()
	}
	h.now = end
	h.mu.Unlock()
}

// line is a scheduler whose grants are gathered.
type line struct {
	*scheduler
	clock *hand
	gone  []*task
	own   map[run.ID]*holder
}

func newLine(places int) *line {
	l := &line{clock: newHand(), own: map[run.ID]*holder{}}
	l.scheduler = newScheduler(places, 1000, l.clock)
	l.grant = func(t *task) { l.gone = append(l.gone, t) }
	return l
}

func (l *line) aTask(id int, severity int) *task {
	if l.own[run.ID(id)] == nil {
		l.own[run.ID(id)] = &holder{}
	}
	return &task{own: l.own[run.ID(id)], do: &run.Do{Act: 1, N: 1, Impact: connector.Read}, run: run.ID(id), severity: severity}
}

// put adds a task and notes it if it may leave at once.
func (l *line) put(t *task, tenant, book, conn string, lim Limits) {
	if l.add(t, tenant, book, conn, lim) {
		l.gone = append(l.gone, t)
	}
}

// serve lets n tasks leave one after the other, on one place, and tells whose.
func (l *line) serve(n int, name func(*task) string) (order []string) {
	for i := range n {
		if i >= len(l.gone) {
			break
		}
		order = append(order, name(l.gone[i]))
		l.done(l.gone[i])
	}
	return order
}

func TestPlaybooksTakeTurns(t *testing.T) {
	t.Parallel()
	l := newLine(1)
	of := map[*task]string{}
	put := func(book string, n int) {
		for range n {
			x := l.aTask(len(of), 2)
			of[x] = book
			l.put(x, "", book, "c", Limits{})
		}
	}
	put("flood", 100)
	put("small", 3)
	order := l.serve(12, func(x *task) string { return of[x] })
	last := slices.Index(order, "small")
	for i, who := range order {
		if who == "small" {
			last = i
		}
	}
	if last < 0 || last > 7 {
		t.Errorf("the small one was served in %v", order)
	}
}

func TestTenantsTakeTurns(t *testing.T) {
	t.Parallel()
	l := newLine(1)
	of := map[*task]string{}
	for i := range 60 {
		x := l.aTask(i, 2)
		of[x] = "big"
		l.put(x, "big", fmt.Sprint("book", i%20), "c", Limits{}) // many playbooks give no more
	}
	for i := range 10 {
		x := l.aTask(100+i, 2)
		of[x] = "small"
		l.put(x, "small", "book", "c", Limits{})
	}
	small := 0
	for _, who := range l.serve(20, func(x *task) string { return of[x] }) {
		if who == "small" {
			small++
		}
	}
	if small < 9 {
		t.Errorf("the small tenant got %d of 20 turns", small)
	}
}

func TestSevereRunsGetMoreTurnsAndNobodyStarves(t *testing.T) {
	t.Parallel()
	l := newLine(1)
	of := map[*task]string{}
	for i := range 200 {
		x := l.aTask(i, 1)
		of[x] = "low"
		l.put(x, "", "calm", "c", Limits{})
	}
	for i := range 200 {
		x := l.aTask(1000+i, 5)
		of[x] = "high"
		l.put(x, "", "alarm", "c", Limits{})
	}
	low := 0
	for _, who := range l.serve(100, func(x *task) string { return of[x] }) {
		if who == "low" {
			low++
		}
	}
	if low < 3 || low > 15 {
		t.Errorf("the calm one got %d of 100 turns", low)
	}
}

func TestAFullConnectionHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	l := newLine(10)
	for i := range 20 {
		l.put(l.aTask(i, 2), "", "book", "narrow", Limits{MaxInFlight: 2})
	}
	if len(l.gone) != 2 {
		t.Fatalf("%d calls on a connection for two", len(l.gone))
	}
	l.put(l.aTask(99, 2), "", "book", "wide", Limits{})
	if len(l.gone) != 3 || l.gone[2].conn.name != "wide" {
		t.Errorf("the other connection had to wait")
	}
}

func TestAProductThatAsksForPeaceGetsIt(t *testing.T) {
	t.Parallel()
	l := newLine(10)
	first := l.aTask(1, 2)
	l.put(first, "", "book", "c", Limits{})
	l.quiet(first.conn, time.Minute)
	l.done(first)
	l.put(l.aTask(2, 2), "", "book", "c", Limits{})
	l.clock.turn(59 * time.Second)
	if len(l.gone) != 1 {
		t.Fatal("it was not left alone")
	}
	l.clock.turn(3 * time.Second)
	if len(l.gone) != 2 {
		t.Error("nobody came back")
	}
}

func TestARateLetsNoMoreThroughInAnySpan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := newLine(1000)
		times := rapid.IntRange(1, 5).Draw(t, "times")
		rate := &playbook.Rate{Times: times, Per: time.Minute}
		var left []time.Time
		seen := 0
		look := func() {
			for ; seen < len(l.gone); seen++ {
				left = append(left, l.clock.Now())
			}
		}
		for i := range 30 {
			x := l.aTask(i, rapid.IntRange(0, 5).Draw(t, "severity"))
			x.do.Rate, x.do.RateKey = rate, "p/s"
			l.put(x, "", "book", "c", Limits{})
			look()
			for range rapid.IntRange(0, 20).Draw(t, "seconds") {
				l.clock.turn(time.Second)
				look()
			}
		}
		for i := times; i < len(left); i++ {
			if d := left[i].Sub(left[i-times]); d < time.Minute {
				t.Fatalf("%d calls within %s", times+1, d)
			}
		}
	})
}

// Whatever comes in whatever order, nothing is over its limit at any time, and
// everything that was not dropped leaves once in the end.
func TestEverythingLeavesOnceAndNothingIsOverItsLimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		places := rapid.IntRange(1, 6).Draw(t, "places")
		l := newLine(places)
		l.perRun = rapid.IntRange(1, 3).Draw(t, "per run")
		limit := Limits{MaxInFlight: rapid.IntRange(0, 3).Draw(t, "max in flight"), Rate: float64(rapid.IntRange(0, 5).Draw(t, "rate")), Burst: 2}
		var all []*task
		var under []*task
		dropped := map[*task]bool{}
		seen := 0
		check := func() {
			for ; seen < len(l.gone); seen++ {
				under = append(under, l.gone[seen])
			}
			keys, runs, conns := map[string]int{}, map[run.ID]int{}, map[*conn]int{}
			for _, x := range under {
				keys[x.key]++
				runs[x.run]++
				conns[x.conn]++
				if x.key != "" && keys[x.key] > 1 || runs[x.run] > l.perRun || limit.MaxInFlight > 0 && conns[x.conn] > limit.MaxInFlight {
					t.Fatal("over a limit")
				}
			}
			if len(under) > places {
				t.Fatalf("%d under way on %d places", len(under), places)
			}
		}
		finish := func() {
			if len(under) > 0 {
				i := rapid.IntRange(0, len(under)-1).Draw(t, "which ends")
				x := under[i]
				under = slices.Delete(under, i, i+1)
				l.done(x)
				check()
			}
		}
		for i := range rapid.IntRange(1, 60).Draw(t, "tasks") {
			x := l.aTask(rapid.IntRange(0, 5).Draw(t, "run"), rapid.IntRange(0, 5).Draw(t, "severity"))
			x.do.N = i + 1
			x.key = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "key")
			if rapid.Bool().Draw(t, "rated") {
				x.do.Rate, x.do.RateKey = &playbook.Rate{Times: 3, Per: 10 * time.Second}, "p/s"
			}
			all = append(all, x)
			l.put(x, rapid.SampledFrom([]string{"t1", "t2"}).Draw(t, "tenant"), rapid.SampledFrom([]string{"p", "q"}).Draw(t, "book"), rapid.SampledFrom([]string{"c", "d"}).Draw(t, "conn"), limit)
			check()
			switch rapid.IntRange(0, 5).Draw(t, "then") {
			case 0, 1, 2:
				finish()
			case 3:
				l.clock.turn(time.Second)
				check()
			case 4:
				y := rapid.SampledFrom(all).Draw(t, "dropped")
				if l.drop(y) {
					dropped[y] = true
				}
			}
		}
		for range 100_000 {
			if len(l.gone) == seen && len(under) == 0 && l.waiting == 0 {
				break
			}
			for len(under) > 0 {
				finish()
			}
			l.clock.turn(time.Second)
			check()
			for _, x := range all { // what was put off comes back
				if at, off := l.back(x); off && !at.After(l.clock.Now()) && l.drop(x) {
					again := *x
					again.place, again.dropped, again.leaf = nowhere, false, nil
					dropped[x] = true
					all = append(all, &again)
					l.put(&again, "t1", "p", "c", limit)
					check()
				}
			}
		}
		left := map[*task]int{}
		for _, x := range l.gone {
			left[x]++
		}
		for _, x := range all {
			if want := 1; dropped[x] && left[x] != 0 || !dropped[x] && left[x] != want {
				t.Fatalf("a task (dropped %t) left %d times; it is %q", dropped[x], left[x], l.where(x))
			}
		}
		if l.used != 0 || len(l.keys) > 0 {
			t.Fatalf("left behind: %d places, keys %v", l.used, l.keys)
		}
		for id, h := range l.own {
			if h.held != 0 || h.waiting.len() > 0 {
				t.Fatalf("left behind of run %s: %+v", id, h)
			}
		}
	})
}
