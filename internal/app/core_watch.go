package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"riposte/internal/fault"
	"riposte/internal/rates"
	"riposte/internal/store"
)

const (
	// watchTick is how often counts are written and sources are looked at.
	watchTick = 5 * time.Second
	// learnEvery is how often is learned anew what is usual for a source.
	learnEvery = time.Hour
	// learnHours and learnMinutes are how far back is learned from.
	learnHours   = 91 * 24 * time.Hour
	learnMinutes = 7 * 24 * time.Hour
	// downAfter is for how long a road must fail to be called down: a log that is
	// rotated is away for a moment.
	downAfter = 15 * time.Second
	// upAfter is for how long a road that says nothing of itself must hold to count
	// as working.
	upAfter = 10 * time.Second
)

// sourceAlarms are the alarms of a source; their subject is its name.
var sourceAlarms = []alarmKind{alarmSourceSilent, alarmSourceFlood, alarmSourceDown, alarmSourceLost, alarmSourceMissing}

// watched is what is known of one source while the program runs.
type watched struct {
	name   string
	conf   SourceConfig
	limits rates.Limits

	mu      sync.Mutex
	road    road // that is open; nil: none is
	watch   rates.Watch
	profile rates.Profile
	learned time.Time // zero: it was not remembered yet
	down    error     // why its road does not work
	downAt  time.Time // since when
	beat    int64     // the last minute that was noted as listened in
	compare time.Time // when it is due to be held against what its source says
}

func newWatched(name string, s SourceConfig) *watched {
	l := rates.Limits{AtLeast: s.Expect.AtLeast, Within: s.Expect.Within, MoreThan: s.Flood.MoreThan, FloodIn: s.Flood.Within, Times: float64(s.Flood.Times)}
	if l.MoreThan > 0 && l.FloodIn == 0 {
		l.FloodIn = time.Minute
	}
	return &watched{name: name, conf: s, limits: l}
}

// roadDown notes that a source's road does not work. An error of the database is
// none of the road's.
func (c *core) roadDown(name string, err error) {
	w := c.watching[name]
	if w == nil || errors.Is(err, fault.Transient) || errors.Is(err, context.Canceled) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down == nil {
		w.downAt = c.now()
	}
	w.down = err
}

// roadUp notes that it works.
func (c *core) roadUp(name string) {
	if w := c.watching[name]; w != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.down = nil
	}
}

// roadOpened notes the road that is open, nil when it is not any more.
func (c *core) roadOpened(name string, r road) {
	if w := c.watching[name]; w != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.road = r
	}
}

// roadTold is for roads that tell how they do: nil, or why they cannot go on for
// now.
func (c *core) roadTold(name string) func(error) {
	return func(err error) {
		if err == nil {
			c.roadUp(name)
			return
		}
		c.roadDown(name, err)
	}
}

// keepWatch writes counts and looks whether sources do as they always did, until
// ctx ends.
func (c *core) keepWatch(ctx context.Context) {
	c.settleStrangers()
	tick := time.NewTicker(watchTick)
	defer tick.Stop()
	for {
		c.lookAtSources(ctx, c.now())
		c.lookAtWaits(ctx)
		c.lookAtIntake(c.now())
		c.lookAtLosses(c.now())
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), watchTick)
			defer cancel()
			c.writeFigures(last)
			return
		case <-tick.C:
		}
		c.writeFigures(ctx)
	}
}

// settleStrangers ends the alarms of sources that are configured no more.
func (c *core) settleStrangers() {
	for _, a := range c.alarms.list("") {
		if slices.Contains(sourceAlarms, alarmKind(a.Kind)) && c.watching[a.Subject] == nil {
			c.settle(alarmKind(a.Kind), a.Subject)
		}
	}
}

// writeFigures writes what was counted. What cannot be written stays for the
// next time.
func (c *core) writeFigures(ctx context.Context) {
	list := c.figures.take()
	if len(list) == 0 {
		return
	}
	// Those who write at the same time lock the rows in the same order.
	slices.SortFunc(list, func(a, b store.SourceCounts) int { return cmp.Or(cmp.Compare(a.Source, b.Source), a.At.Compare(b.At)) })
	err := c.db.Write(ctx, func(tx *store.Tx) error { return store.AddSourceCounts(tx, list) })
	if err != nil {
		c.figures.put(list)
		if !errors.Is(err, context.Canceled) {
			c.log.Debug("counts of sources not written yet", "error", err)
		}
	}
}

// lookAtSources looks at every source once.
func (c *core) lookAtSources(ctx context.Context, now time.Time) {
	for _, w := range c.watching {
		if err := c.lookAtSource(ctx, w, now); err != nil && ctx.Err() == nil {
			c.log.Warn("source not watched", "source", w.name, "error", err)
		}
	}
}

func (c *core) lookAtSource(ctx context.Context, w *watched, now time.Time) error {
	if now.Sub(w.learned) >= learnEvery {
		if err := c.learn(ctx, w, now); err != nil {
			return err
		}
	}
	events := c.figures.sinceLook(w.name)
	w.mu.Lock()
	down, downAt := w.down, w.downAt
	verdict := w.watch.Step(now, events, down == nil, &w.profile, w.limits)
	minute := now.Unix() / 60
	beat := down == nil && w.beat != minute
	if beat {
		w.beat = minute
	}
	w.mu.Unlock()
	if beat {
		c.figures.count(store.SourceCounts{Source: w.name, Listened: 1}, now)
	}
	if down != nil && now.Sub(downAt) >= downAfter {
		c.raise(alarm{Kind: alarmSourceDown, Subject: w.name, Message: strings.Join(strings.Fields(down.Error()), " "), Since: downAt})
	} else if down == nil {
		c.settle(alarmSourceDown, w.name)
	}
	if w.conf.Unwatched {
		verdict = rates.Verdict{}
	}
	c.tell(alarmSourceSilent, w.name, verdict.Silent)
	c.tell(alarmSourceFlood, w.name, verdict.Flood)
	return nil
}

// tell raises an alarm while there is a reason, and settles it when there is
// none.
func (c *core) tell(kind alarmKind, subject, why string) {
	if why == "" {
		c.settle(kind, subject)
		return
	}
	c.raise(alarm{Kind: kind, Subject: subject, Message: why})
}

// learn reads what came by a source and works out what is usual. The first time
// it also remembers where the last run of the program left off.
func (c *core) learn(ctx context.Context, w *watched, now time.Time) error {
	var h rates.History
	var last time.Time
	err := c.db.Read(ctx, func(q *store.Reader) (err error) {
		if h, err = history(q, w.name, now); err == nil {
			last, err = store.LastMinute(q, "", w.name)
		}
		return err
	})
	if err != nil {
		return err
	}
	profile := rates.Learn(h, now)
	w.mu.Lock()
	defer w.mu.Unlock()
	first := w.learned.IsZero()
	w.profile, w.learned = profile, now
	if first {
		w.remember(h, last, now)
		silent, _ := c.alarms.message(alarmSourceSilent, w.name)
		flood, _ := c.alarms.message(alarmSourceFlood, w.name)
		w.watch.Resume(w.profile.Due(last, now, h.Listened), silent, flood)
	}
	return nil
}

// remember tells the watch what came before the program started.
func (w *watched) remember(h rates.History, last, now time.Time) {
	from := now.Add(-max(time.Hour, w.limits.Within, w.limits.FloodIn))
	at, _ := slices.BinarySearchFunc(h.Minutes, from, func(n rates.Count, t time.Time) int { return n.At.Compare(t) })
	w.watch.Remember(h.Minutes[at:], last)
}

// history reads what came by a source.
func history(q *store.Reader, source string, now time.Time) (h rates.History, err error) {
	hours, err := store.SourceHistory(q, "", source, store.Hourly, now.Add(-learnHours), now)
	if err != nil {
		return h, err
	}
	minutes, err := store.SourceHistory(q, "", source, store.Minute, now.Add(-learnMinutes), now)
	h.Listened = make(map[time.Time]int, len(hours))
	for _, n := range hours {
		h.Listened[n.At] = n.Listened
		if n.Received > 0 {
			h.Hours = append(h.Hours, rates.Count{At: n.At, Events: n.Received, Peak: n.Peak})
		}
	}
	for _, n := range minutes {
		h.Minutes = append(h.Minutes, rates.Count{At: n.At, Events: n.Received})
	}
	return h, err
}

// lookAtIntake holds the alert that waits longest against what is allowed.
func (c *core) lookAtIntake(now time.Time) {
	age, what := c.overdue(now)
	if age < c.cfg.Intake.Waiting {
		c.settle(alarmIntakeWaiting, "")
		return
	}
	c.raise(alarm{Kind: alarmIntakeWaiting, Since: now.Add(-age), Message: fmt.Sprintf("%s for %s; more than %s is too long", what, age.Round(time.Second), c.cfg.Intake.Waiting)})
}

// enriching is since when the alert waits that waits longest for its enrichment,
// and the deadline that is over first; zero where none waits.
type enriching struct {
	mu              sync.Mutex
	began, deadline time.Time
}

// lookAtWaits reads how long alerts have waited for their enrichment. While the
// database does not answer, what was known holds.
func (c *core) lookAtWaits(ctx context.Context) {
	var began, deadline time.Time
	err := c.db.Read(ctx, func(q *store.Reader) error {
		since, n, err := store.OldestWait(q)
		if err != nil || n == 0 {
			return err
		}
		first, err := store.Waits(q, 1)
		if len(first) > 0 {
			began, deadline = since, first[0].Deadline
		}
		return err
	})
	if err != nil {
		return
	}
	c.enriching.mu.Lock()
	defer c.enriching.mu.Unlock()
	c.enriching.began, c.enriching.deadline = began, deadline
}

// oldestWaiting is how long the alert has waited that waits longest, and what
// for; 0: none waits.
func (c *core) oldestWaiting(now time.Time) (age time.Duration, what string) {
	c.enriching.mu.Lock()
	began := c.enriching.began
	c.enriching.mu.Unlock()
	return c.longest(now, began, "an alert waits for its enrichment")
}

// overdue is how long something has waited that should not: what waits for its
// enrichment should until its deadline.
func (c *core) overdue(now time.Time) (age time.Duration, what string) {
	c.enriching.mu.Lock()
	deadline := c.enriching.deadline
	c.enriching.mu.Unlock()
	return c.longest(now, deadline, "the deadline of an alert's enrichment is over and it still waits,")
}

// longest is what of the queues has waited longest.
func (c *core) longest(now, enrichment time.Time, why string) (age time.Duration, what string) {
	look := func(since time.Time, is string) {
		if d := now.Sub(since); !since.IsZero() && d > age {
			age, what = d, is
		}
	}
	look(c.gate.Waiting("").Oldest, "alerts wait to be stored")
	look(c.engine.OldestFirstCall(), "the first step of a run waits for its turn")
	look(enrichment, why)
	return age, what
}
