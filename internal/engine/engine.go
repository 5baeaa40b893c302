package engine

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"riposte/connector"
	"riposte/internal/fault"
	"riposte/internal/run"
)

// Engine drives runs. Journal, Runs, Plans and Caller are required; the rest
// may be left zero. Call Open once, then Run; the methods that start and change
// runs may be called from Open on and take effect once Run has recovered what
// was under way.
type Engine struct {
	Journal   Journal
	Runs      Runs
	Plans     Plans
	Caller    Caller
	Gate      Gate      // nil: everything is allowed
	Questions Questions // nil: questions live in the runs only
	Ledger    Ledger    // nil: nothing is ever taken back
	Cases     Cases     // nil: there are no cases
	Blobs     Blobs     // nil: large values stay in the journal
	Clock     Clock     // nil: the machine's
	Log       *slog.Logger

	Lanes     int           // goroutines that fold runs; 0 means one per processor, at most 8
	Workers   int           // calls at once; 0 means 256
	PerRun    int           // calls of one run at once; 0 means 32
	MaxActive int           // runs in memory from which new ones are refused; 0 means 200,000
	PerTenant int           // the same for each tenant; 0 means MaxActive
	MaxBytes  int64         // results of one run; 0 means 64 MiB
	Idle      time.Duration // how long a waiting run stays in memory; 0 means 2 s
	Keep      time.Duration // how long ended runs are kept; 0 means for ever
	Stop      time.Duration // how long a stop waits for changes under way; 0 means 10 s
	// OnProject is told of every batch of summaries once lists show it. It must
	// not block. nil: nobody is told.
	OnProject func([]run.Summary)

	clock   Clock
	log     *slog.Logger
	idleFor time.Duration
	ctx     context.Context // ends when the engine has ended
	cancel  context.CancelFunc
	always  context.Context // never ends: for what must be stored during a stop

	lanes        []*lane
	commit       *committer
	sched        *scheduler
	calls        *callers
	pool         *pool // for what reads the store
	gates        *pool // for what asks the guard
	waits        *wakeLoader
	undos        *undoer
	project      *projector
	starts       *starts
	alarms       *alarms
	stats        counters
	checkpointed atomic.Int64
	recovered    int64 // records up to this one were folded by recovery
	end          atomic.Int64
	resident     atomic.Int64
	tenants      sync.Map // of *atomic.Int64: runs in memory
	stopping     atomic.Bool
	ready        chan struct{}
	readied      sync.Once
	open         sync.Once
	openErr      error
}

// Open checks the fields and reads where the journal ends.
func (e *Engine) Open(ctx context.Context) error {
	e.open.Do(func() { e.openErr = e.setUp(ctx) })
	return e.openErr
}

func (e *Engine) setUp(ctx context.Context) error {
	for name, missing := range map[string]bool{
		"Journal": e.Journal == nil, "Runs": e.Runs == nil, "Plans": e.Plans == nil, "Caller": e.Caller == nil,
	} {
		if missing {
			return fmt.Errorf("open the engine: %s is not set: %w", name, fault.Invalid)
		}
	}
	e.clock, e.log = e.Clock, e.Log
	if e.clock == nil {
		e.clock = machineClock{}
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	fillIn(&e.Lanes, min(runtime.GOMAXPROCS(0), 8))
	fillIn(&e.Workers, 256)
	fillIn(&e.PerRun, 32)
	fillIn(&e.MaxActive, 200_000)
	fillIn(&e.PerTenant, e.MaxActive)
	fillIn(&e.MaxBytes, 64<<20)
	fillIn(&e.Stop, 10*time.Second)
	e.idleFor = e.Idle
	fillIn(&e.idleFor, 2*time.Second)
	e.always = context.WithoutCancel(ctx)
	e.ctx, e.cancel = context.WithCancel(e.always)
	e.alarms = newAlarms(e)
	e.pool, e.gates = &pool{most: 16}, &pool{most: 16}
	e.commit = newCommitter(e)
	e.sched = newScheduler(e.Workers, e.PerRun, e.clock)
	e.sched.grant = e.granted
	e.sched.keepRate = e.keepRate
	e.calls = newCallers(e)
	e.waits = &wakeLoader{e: e}
	e.undos = newUndoer(e)
	e.project = newProjector(e)
	e.starts = newStarts(e)
	for i := range e.Lanes {
		e.lanes = append(e.lanes, newLane(e, i))
	}
	end, _, err := e.Journal.Mark(ctx)
	if err != nil {
		return fmt.Errorf("open the engine: %w", err)
	}
	e.end.Store(end)
	e.recovered = end
	return nil
}

func fillIn[T int | int64 | time.Duration](v *T, or T) {
	if *v <= 0 {
		*v = or
	}
}

// Ready is closed when everything that was under way is at work again.
func (e *Engine) Ready() <-chan struct{} { return e.readiness() }

func (e *Engine) readiness() chan struct{} {
	e.readied.Do(func() { e.ready = make(chan struct{}) })
	return e.ready
}

// Run brings back what was under way, drives runs until ctx ends, and then lets
// changes under way end and everything known reach the disk.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.Open(ctx); err != nil {
		return err
	}
	defer e.cancel()
	if err := e.recover(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop before it began: the next start recovers
		}
		return err
	}
	var wg sync.WaitGroup
	loops := []func(context.Context){e.waits.loop, e.undos.loop, e.project.loop, e.checkpoints, e.retention, e.starts.loop, e.watchClock}
	for _, l := range e.lanes {
		loops = append(loops, l.loop)
		l.poke()
	}
	for _, f := range loops {
		wg.Go(func() { f(e.ctx) })
	}
	close(e.readiness())
	<-ctx.Done()
	e.windDown()
	wg.Wait()
	e.pool.wg.Wait()
	e.gates.wg.Wait()
	return nil
}

// windDown stops: nothing new leaves, reads are cut off, changes under way may
// end, and what is known is written. Whatever is cut off here is begun anew
// after the next start, as after a crash.
func (e *Engine) windDown() {
	e.stopping.Store(true)
	e.calls.cancelUpTo(connector.Read)
	deadline := time.Now().Add(e.Stop)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(deadline) && !e.quietNow() {
		<-tick.C
	}
	e.calls.cancelUpTo(connector.Destroy)
	e.cancel()
}

// quietNow tells whether no call is under way and everything known is on disk.
func (e *Engine) quietNow() bool {
	if e.calls.count() > 0 || !e.commit.empty() || e.project.behind() {
		return false
	}
	clean := make(chan bool, len(e.lanes))
	for _, l := range e.lanes {
		l.post(message{kind: msgDo, fn: func(l *lane) { clean <- l.flushAll() }})
	}
	all := true
	for range e.lanes {
		select {
		case ok := <-clean:
			all = all && ok
		case <-time.After(time.Second):
			return false
		}
	}
	return all && e.commit.empty()
}

// came and went count the runs in memory.
func (e *Engine) came(tenant string) {
	e.resident.Add(1)
	e.tenantRuns(tenant).Add(1)
}

func (e *Engine) went(tenant string) {
	e.resident.Add(-1)
	e.tenantRuns(tenant).Add(-1)
}

func (e *Engine) tenantRuns(tenant string) *atomic.Int64 {
	if n, ok := e.tenants.Load(tenant); ok {
		return n.(*atomic.Int64)
	}
	n, _ := e.tenants.LoadOrStore(tenant, new(atomic.Int64))
	return n.(*atomic.Int64)
}

// watchClock notices when the machine's clock jumps: timers go by it.
func (e *Engine) watchClock(ctx context.Context) {
	last := e.clock.Now()
	e.every(ctx, 10*time.Second, func(context.Context) {
		now := e.clock.Now()
		// With a monotonic reading Sub ignores the wall clock, without it it does not.
		jump := now.Round(0).Sub(last.Round(0)) - now.Sub(last)
		last = now
		if jump.Abs() < 5*time.Second {
			e.alarms.clearAfter(AlarmClock, time.Hour)
			return
		}
		e.alarms.raise(Alarm{Kind: AlarmClock, Message: fmt.Sprintf("the machine's clock jumped by %s; timers go by the new time", jump.Round(time.Second))})
	})
}

// laneOf gives the lane of a run.
func (e *Engine) laneOf(id run.ID) *lane { return e.lanes[uint64(id)%uint64(len(e.lanes))] }

// now is the time as it is stored.
func (e *Engine) now() time.Time { return time.UnixMicro(e.clock.Now().UnixMicro()).UTC() }

// stamp is the time of an event: never before the one that came before it,
// whatever the clock says.
func (e *Engine) stamp(last time.Time) time.Time {
	if now := e.now(); now.After(last) {
		return now
	}
	return last
}

// advance notes how far the journal reaches.
func (e *Engine) advance(seq int64) {
	for {
		old := e.end.Load()
		if seq <= old || e.end.CompareAndSwap(old, seq) {
			return
		}
	}
}
