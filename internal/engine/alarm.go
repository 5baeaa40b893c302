package engine

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"riposte/internal/run"
)

// AlarmKind names what is wrong.
type AlarmKind string

// The alarms.
const (
	AlarmJournal    AlarmKind = "journal"     // the disk takes no writes: runs stand still
	AlarmRefused    AlarmKind = "refused"     // the store refuses an event of one run
	AlarmBroken     AlarmKind = "broken"      // a run cannot be folded
	AlarmPlan       AlarmKind = "plan"        // the plan of a run is not to be found
	AlarmAbandoned  AlarmKind = "abandoned"   // an action ignores its time limit
	AlarmNoRun      AlarmKind = "no_run"      // a run was accepted and not begun
	AlarmNoProgress AlarmKind = "no_progress" // a run is under way and nothing happens
	AlarmGuard      AlarmKind = "guard"       // the guard cannot decide
	AlarmWakes      AlarmKind = "wakes"       // waiting runs may be late
	AlarmProjection AlarmKind = "projection"  // lists are behind
	AlarmClock      AlarmKind = "clock"       // the clock jumped
	AlarmUndo       AlarmKind = "undo"        // the ledger cannot be read or an undo not be started
)

// Alarm is something that people must know. It stays until its cause is gone.
type Alarm struct {
	Kind    AlarmKind `json:"kind"`
	Run     run.ID    `json:"run,omitzero"` // 0: it is about the whole engine
	Message string    `json:"message"`
	Since   time.Time `json:"since"`
	Count   int       `json:"count"` // how often it was raised since
}

type alarms struct {
	e  *Engine
	mu sync.Mutex
	m  map[alarmKey]*Alarm
	n  atomic.Int64
}

type alarmKey struct {
	kind AlarmKind
	run  run.ID
}

func newAlarms(e *Engine) *alarms { return &alarms{e: e, m: map[alarmKey]*Alarm{}} }

func (a *alarms) raise(x Alarm) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := alarmKey{x.Kind, x.Run}
	if old := a.m[k]; old != nil {
		old.Message = x.Message
		old.Count++
		return
	}
	x.Since, x.Count = a.e.now(), 1
	a.m[k] = &x
	a.n.Add(1)
	a.e.log.Warn("alarm raised", "alarm", x.Kind, "run_id", x.Run, "reason", x.Message)
}

// clear ends an alarm. It costs nothing while there is none.
func (a *alarms) clear(k AlarmKind, id run.ID) {
	if a.n.Load() == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.m[alarmKey{k, id}] != nil {
		delete(a.m, alarmKey{k, id})
		a.n.Add(-1)
		a.e.log.Info("alarm over", "alarm", k, "run_id", id)
	}
}

// clearAfter ends an alarm of the whole engine that is old enough.
func (a *alarms) clearAfter(k AlarmKind, d time.Duration) {
	if a.n.Load() == 0 {
		return
	}
	a.mu.Lock()
	x := a.m[alarmKey{k, 0}]
	old := x != nil && a.e.now().Sub(x.Since) > d
	a.mu.Unlock()
	if old {
		a.clear(k, 0)
	}
}

// clearRun ends all alarms of a run, when it ends.
func (a *alarms) clearRun(id run.ID) {
	if a.n.Load() == 0 {
		return
	}
	for _, k := range []AlarmKind{AlarmRefused, AlarmBroken, AlarmPlan, AlarmNoProgress, AlarmGuard, AlarmNoRun} {
		a.clear(k, id)
	}
}

// Alarms lists what is wrong now, oldest first.
func (e *Engine) Alarms() []Alarm {
	e.alarms.mu.Lock()
	defer e.alarms.mu.Unlock()
	list := make([]Alarm, 0, len(e.alarms.m))
	for _, a := range e.alarms.m {
		list = append(list, *a)
	}
	slices.SortFunc(list, func(a, b Alarm) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Run, b.Run))
	})
	return list
}

// OldestFirstCall is since when the run waits that has waited longest for its
// first call; zero: none does.
func (e *Engine) OldestFirstCall() time.Time { return e.sched.oldestFirst() }

// planMissing notes that a run cannot go on without its plan.
func (e *Engine) planMissing(id run.ID, err error) {
	e.alarms.raise(Alarm{Kind: AlarmPlan, Run: id, Message: err.Error()})
}

// stuck is how long a run may be under way without anything happening.
const stuck = 5 * time.Minute

// progress raises an alarm where a run is under way, waits for nothing and does
// not move.
func (r *live) progress(now time.Time) {
	e := r.e()
	switch idle := now.Sub(r.moved); {
	case idle < stuck || r.finished && r.clean():
	case r.broken: // has its own alarm
	case r.flying != nil && now.Sub(r.flying.added) > stuck:
		e.alarms.raise(Alarm{Kind: AlarmNoProgress, Run: r.id, Message: "an event of the run does not reach the disk"})
		return
	case len(r.items) == 0 && !r.state.Paused():
		e.alarms.raise(Alarm{Kind: AlarmNoProgress, Run: r.id, Message: "the run is under way and waits for nothing"})
		return
	}
	e.alarms.clear(AlarmNoProgress, r.id)
}

// counters are what Stats shows.
type counters struct {
	started, ended, parked, woken, removed, recovered, events atomic.Int64
}

// Stats is how the engine does. Counters count since it was opened.
type Stats struct {
	Active     int64         `json:"active"`     // runs in memory
	Calls      int           `json:"calls"`      // under way
	Queued     int           `json:"queued"`     // calls that wait for their turn, a limit or a rate
	Abandoned  int           `json:"abandoned"`  // calls that ignored their time limit and still run
	Lag        time.Duration `json:"lag"`        // of lists behind the journal
	End        int64         `json:"end"`        // last record of the journal
	Checkpoint int64         `json:"checkpoint"` // where recovery would begin
	Started    int64         `json:"started"`    // runs
	Ended      int64         `json:"ended"`      // runs
	Events     int64         `json:"events"`     // on disk
	Parked     int64         `json:"parked"`     // times a waiting run left memory
	Woken      int64         `json:"woken"`      // times one came back
	Removed    int64         `json:"removed"`    // runs removed by retention
	Recovered  int64         `json:"recovered"`  // runs taken up again at the start
	Journal    string        `json:"journal"`    // why the disk takes no writes, "" if it does
}

// Stats tells how the engine does.
func (e *Engine) Stats() Stats {
	s := Stats{
		Active: e.resident.Load(), Lag: e.project.lag(), End: e.end.Load(),
		Started: e.stats.started.Load(), Ended: e.stats.ended.Load(), Events: e.stats.events.Load(),
		Parked: e.stats.parked.Load(), Woken: e.stats.woken.Load(), Removed: e.stats.removed.Load(), Recovered: e.stats.recovered.Load(),
		Checkpoint: e.checkpointed.Load(),
	}
	s.Calls, s.Queued = e.sched.load()
	s.Abandoned = e.calls.lost()
	if err := e.commit.healthy(); err != nil {
		s.Journal = err.Error()
	}
	return s
}
