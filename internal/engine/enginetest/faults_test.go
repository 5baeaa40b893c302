package enginetest_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"riposte/connector"
	"riposte/internal/engine"
	"riposte/internal/engine/enginetest"
	"riposte/internal/fault"
	"riposte/internal/run"
	"riposte/internal/store"
)

const onceText = `playbook: once
title: Once
steps:
  - action: rep.get_ip
  - action: fw.once_it
    with: { ip: "203.0.113.9" }
  - action: rep.get_hash
  - action: fw.key_it
    with: { ip: "203.0.113.9" }
`

// tester drives runs of onceText while something is wrong with the disk.
type tester struct {
	testing.TB
	e     *engine.Engine
	db    *store.DB
	books *books
	calls *enginetest.Caller
	// earlier are undos that left before the power was cut.
	earlier []engine.Call
	plan    string
	stop    func()
}

func newTester(t *testing.T, path string, opt store.Options, wrap func(engine.Journal) engine.Journal) *tester {
	t.Helper()
	db, err := store.Open(context.Background(), path, opt)
	if err != nil {
		t.Fatal(err)
	}
	plans, err := enginetest.NewPlans(onceText, cutText, cuttingText, cutBlocks, cutFails, "playbook: asks\ntitle: Asks\nsteps:\n  - ask: Yes?\n    to: role:analyst\n    options: [\"yes\"]\n")
	if err != nil {
		t.Fatal(err)
	}
	// So that the plan of the undos is known after a restart.
	if _, err := plans.OneStep(context.Background(), engine.OneStep{Action: "fw.free_ip", Retry: 1, Every: 5 * time.Second}); err != nil {
		t.Fatal(err)
	}
	p, err := plans.Published("", "once", 0)
	if err != nil {
		t.Fatal(err)
	}
	x := &tester{TB: t, db: db, books: &books{db: db}, calls: enginetest.NewCaller(), plan: p.Hash}
	if err := x.books.open(); err != nil {
		t.Fatal(err)
	}
	j := db.Journal()
	x.e = &engine.Engine{Journal: wrap(j), Runs: j, Plans: plans, Caller: x.calls, Gate: &enginetest.Gate{}, Questions: x.books, Ledger: x.books}
	if err := x.e.Open(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.e.Run(ctx) }()
	<-x.e.Ready()
	x.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = db.Close()
	}
	return x
}

func same(j engine.Journal) engine.Journal { return j }

// start starts n runs of which some may be refused.
func (x *tester) start(n int) (ids []run.ID, refused []error) {
	for range n {
		id, err := x.e.Start(context.Background(), run.Start{Playbook: "once", Plan: x.plan, Version: 1, By: "ann"}, "")
		if err != nil {
			refused = append(refused, err)
			continue
		}
		ids = append(ids, id)
	}
	return ids, refused
}

func (x *tester) until(what string, ok func() bool) {
	x.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			x.Fatalf("waited in vain until %s: alarms %+v, stats %+v", what, x.e.Alarms(), x.e.Stats())
		}
		<-tick.C
	}
}

func (x *tester) alarm(k engine.AlarmKind) bool {
	for _, a := range x.e.Alarms() {
		if a.Kind == k {
			return true
		}
	}
	return false
}

// allEnd expects every run to end well and nothing to be done twice.
func (x *tester) allEnd(ids []run.ID) {
	x.Helper()
	for _, id := range ids {
		var last run.Summary
		err := x.e.Watch(context.Background(), id, 0, func(u engine.Update) error { last = u.Summary; return nil })
		if err != nil || last.Status != run.Succeeded {
			x.Errorf("run %s: %v, %+v", id, err, last)
		}
	}
	seen := map[run.ID]int{}
	for _, c := range x.calls.Calls("fw.once_it") {
		seen[c.Run]++
	}
	for id, n := range seen {
		if n != 1 {
			x.Errorf("run %s did it %d times", id, n)
		}
	}
	if len(seen) != len(ids) {
		x.Errorf("%d of %d runs did it", len(seen), len(ids))
	}
}

// broken is a journal that takes no writes for a while.
type broken struct {
	engine.Journal
	mode atomic.Int32 // 0 works, 1 fails before, 2 fails after it has run
}

var errDisk = fmt.Errorf("the disk is full: %w", fault.Transient)

var errRefused = errors.New("refused")

func (b *broken) Submit(do func(engine.Tx) error, done func(error)) {
	switch b.mode.Load() {
	case 0:
		b.Journal.Submit(do, done)
	case 1:
		go done(errDisk)
	default:
		b.Journal.Submit(func(tx engine.Tx) error {
			if err := do(tx); err != nil {
				return err
			}
			return errRefused // undoes what it did
		}, func(error) { done(errDisk) })
	}
}

func TestAJournalThatFailsStallsRunsAndLosesNothing(t *testing.T) {
	t.Parallel()
	for mode := int32(1); mode <= 2; mode++ {
		b := &broken{}
		x := newTester(t, filepath.Join(t.TempDir(), "riposte.db"), store.Options{}, func(j engine.Journal) engine.Journal { b.Journal = j; return b })
		ids, refused := x.start(30)
		if len(refused) > 0 {
			t.Fatal(refused[0])
		}
		b.mode.Store(mode)
		_, refused = x.start(3)
		if len(refused) != 3 || !errors.Is(refused[0], fault.Transient) {
			t.Fatalf("starts were refused with %v", refused)
		}
		x.until("runs stand still", func() bool { return x.alarm(engine.AlarmJournal) })
		b.mode.Store(0)
		more, refused := x.start(5)
		if len(refused) > 0 {
			t.Fatal(refused[0])
		}
		x.allEnd(append(ids, more...))
		x.until("the alarm is over", func() bool { return !x.alarm(engine.AlarmJournal) && x.e.Stats().Journal == "" })
		x.stop()
	}
}

func TestAnEventThatTheStoreRefusesHoldsUpItsRunOnly(t *testing.T) {
	t.Parallel()
	x := newTester(t, filepath.Join(t.TempDir(), "riposte.db"), store.Options{}, same)
	defer x.stop()
	x.books.refuse.Store(true)
	p, err := x.e.Plans.Published("", "asks", 0)
	if err != nil {
		t.Fatal(err)
	}
	bad, err := x.e.Start(context.Background(), run.Start{Playbook: "asks", Plan: p.Hash, Version: 1}, "")
	if err != nil {
		t.Fatal(err)
	}
	ids, _ := x.start(20)
	x.allEnd(ids)
	x.until("there is an alarm", func() bool { return x.alarm(engine.AlarmRefused) })
	x.books.refuse.Store(false)
	x.until("it asks", func() bool {
		list, err := x.books.OpenQuestions(context.Background())
		return err == nil && len(list) == 1 && list[0].Run == bad
	})
	x.until("the alarm is over", func() bool { return !x.alarm(engine.AlarmRefused) })
}

// small mounts a file system of a few megabytes.
func small(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", dir).CombinedOutput()
	if err != nil {
		t.Skipf("a file system of its own cannot be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	return dir
}

func TestAFullDiskStallsRunsAndLosesNothing(t *testing.T) {
	dir := small(t)
	x := newTester(t, filepath.Join(dir, "riposte.db"), store.Options{}, same)
	defer x.stop()
	ids, _ := x.start(20)
	filler := filepath.Join(dir, "filler")
	if err := fillUp(filler); err != nil {
		t.Log(err)
	}
	var refused []error
	x.until("starts are refused", func() bool {
		some, no := x.start(20)
		ids, refused = append(ids, some...), append(refused, no...)
		return len(refused) > 0
	})
	if !errors.Is(refused[0], fault.Transient) || !strings.Contains(refused[0].Error(), "disk is full") {
		t.Errorf("starts were refused with %v", refused[0])
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	x.allEnd(ids)
	x.until("the alarm is over", func() bool { return !x.alarm(engine.AlarmJournal) })
}

func fillUp(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	block := make([]byte, 4096)
	for {
		if _, err := f.Write(block); err != nil {
			return err
		}
	}
}

func TestAReadOnlyDiskIsRefusedAtTheStartAndLosesNothing(t *testing.T) {
	dir := small(t)
	path := filepath.Join(dir, "riposte.db")
	x := newTester(t, path, store.Options{}, same)
	ids, _ := x.start(5)
	x.stop()
	remount := func(how string) {
		if out, err := exec.Command("mount", "-o", "remount,"+how, dir).CombinedOutput(); err != nil {
			t.Skipf("the file system cannot be remounted: %v: %s", err, out)
		}
	}
	remount("ro")
	if db, err := store.Open(context.Background(), path, store.Options{}); err == nil {
		_ = db.Close()
		t.Error("a database that cannot be written was opened")
	} else if text := err.Error(); !strings.Contains(text, "read-only") && !strings.Contains(text, "written") {
		t.Errorf("the error is %q", text)
	}
	remount("rw")
	x = newTester(t, path, store.Options{}, same)
	defer x.stop()
	for _, id := range ids {
		if s, ok, err := x.e.Summary(context.Background(), id); err != nil || !ok {
			t.Errorf("run %s: %+v, %v", id, s, err)
		}
	}
}

func TestADatabaseHeldByAnotherProgramStallsRunsAndLosesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "riposte.db")
	x := newTester(t, path, store.Options{BusyTimeout: 20 * time.Millisecond}, same)
	defer x.stop()
	ids, _ := x.start(10)
	other, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	c, err := other.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ExecContext(context.Background(), "PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	_, refused := x.start(2)
	if len(refused) != 2 || !errors.Is(refused[0], fault.Transient) {
		t.Errorf("starts were refused with %v", refused)
	}
	if _, err := c.ExecContext(context.Background(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	more, refused := x.start(5)
	if len(refused) > 0 {
		t.Fatal(refused[0])
	}
	x.allEnd(append(ids, more...))
}

const cutText = `playbook: cut-inner
title: Inner
steps:
  - action: rep.get_ip
  - action: fw.key_it
    with: { ip: "203.0.113.9" }
outputs:
  done: true
`

const cuttingText = `playbook: cut-outer
title: Outer
steps:
  - action: rep.get_hash
  - playbook: cut-inner
  - action: fw.key_it
    with: { ip: "203.0.113.10" }
`

// cut is a journal whose machine loses power after so many transactions.
type cut struct {
	engine.Journal
	left atomic.Int64
	lost chan struct{}
}

func (c *cut) Submit(do func(engine.Tx) error, done func(error)) {
	switch n := c.left.Add(-1); {
	case n >= 0:
		c.Journal.Submit(do, done)
	case n == -1:
		close(c.lost) // neither done nor refused: nobody is there any more
	}
}

// A called run's first record has a transaction of its own. A crash between any
// two must leave no run that waits for one which does not exist, nor two of them.
func TestACrashBetweenAnyTwoTransactionsLeavesNoCallingRunWaiting(t *testing.T) {
	t.Parallel()
	ended := false
	for k := int64(1); !ended; k++ {
		if k > 40 {
			t.Fatal("the run does not end within 40 transactions")
		}
		path := filepath.Join(t.TempDir(), "riposte.db")
		c := &cut{lost: make(chan struct{})}
		c.left.Store(1 << 30)
		x := newTester(t, path, store.Options{}, func(j engine.Journal) engine.Journal { c.Journal = j; return c })
		p, err := x.e.Plans.Published("", "cut-outer", 0)
		if err != nil {
			t.Fatal(err)
		}
		id, err := x.e.Start(context.Background(), run.Start{Playbook: "cut-outer", Plan: p.Hash, Version: 1, By: "ann"}, "")
		if err != nil {
			t.Fatal(err)
		}
		c.left.Store(k - 1)
		select {
		case <-c.lost:
		case <-time.After(300 * time.Millisecond): // it needs no more than this
		}
		s, _, err := x.e.Summary(context.Background(), id)
		ended = err == nil && s.Status.Final()
		x.e.Stop = time.Nanosecond
		x.stop()
		x = newTester(t, path, store.Options{}, same)
		var last run.Summary
		if err := x.e.Watch(t.Context(), id, 0, func(u engine.Update) error { last = u.Summary; return nil }); err != nil || last.Status != run.Succeeded {
			t.Errorf("cut off after %d transactions: %v, %+v", k-1, err, last)
		}
		x.until("lists are there", func() bool { list, err := x.books.Listed(t.Context()); return err == nil && len(list) == 2 })
		x.stop()
	}
}

const cutBlocks = `playbook: cut-blocks
title: Blocks
steps:
  - id: all
    for_each: "[\"203.0.113.1\", \"203.0.113.2\", \"203.0.113.3\"]"
    do:
      - action: fw.block_ip
        with: { ip: "${{ item }}" }
        undo: { action: fw.free_ip, with: { ip: "${{ item }}" } }
`

const cutFails = `playbook: cut-fails
title: Fails
steps:
  - playbook: cut-blocks
  - action: rep.get_nothing
on_error: undo
`

// cutUndo starts a run of a playbook, lets do ask for its undo, and cuts the power
// after some transactions. It tells whether all was taken back before, and returns
// the engine that comes up after it.
func cutUndo(t *testing.T, slug string, after int64, do func(x *tester)) (x *tester, id run.ID, over bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "riposte.db")
	c := &cut{lost: make(chan struct{})}
	c.left.Store(1 << 30)
	x = newTester(t, path, store.Options{}, func(j engine.Journal) engine.Journal { c.Journal = j; return c })
	fails := make(chan struct{})
	noughts := func(context.Context, engine.Call) engine.Answer {
		<-fails
		return enginetest.Fail(connector.Permanent, "no")
	}
	x.calls.On("rep.get_nothing", noughts)
	p, err := x.e.Plans.Published("", slug, 0)
	if err != nil {
		t.Fatal(err)
	}
	if id, err = x.e.Start(t.Context(), run.Start{Playbook: slug, Plan: p.Hash, Version: 1, By: "ann"}, ""); err != nil {
		t.Fatal(err)
	}
	x.until("all is blocked", func() bool {
		list, err := x.books.Entries(t.Context())
		return err == nil && len(list) == 3
	})
	c.left.Store(after)
	close(fails)
	go do(x)
	x.until("the power is lost or all is taken back", func() bool {
		select {
		case <-c.lost:
			return true
		default:
			over = x.free()
			return over
		}
	})
	calls := x.calls
	x.e.Stop = time.Nanosecond
	x.stop()
	x = newTester(t, path, store.Options{}, same)
	x.earlier = calls.Calls("fw.free_ip")
	x.calls.On("rep.get_nothing", noughts)
	return x, id, over
}

// free tells whether every entry is taken back.
func (x *tester) free() bool {
	list, err := x.books.Entries(context.Background())
	return err == nil && len(list) == 3 && list[0].State == "undone" && list[1].State == "undone" && list[2].State == "undone"
}

// newestFirst expects every address to be freed, the newest first; the one that a
// cut met may be freed again.
func (x *tester) newestFirst(after int64) {
	x.Helper()
	var order []any
	for _, c := range append(x.earlier, x.calls.Calls("fw.free_ip")...) {
		if n := len(order); n == 0 || order[n-1] != c.Inputs["ip"] {
			order = append(order, c.Inputs["ip"])
		}
	}
	if !slices.Equal(order, []any{"203.0.113.3", "203.0.113.2", "203.0.113.1"}) {
		x.Errorf("cut off after %d transactions: the order was %v", after, order)
	}
}

func TestACrashBetweenAnyTwoTransactionsLeavesNothingWantedBackInForce(t *testing.T) {
	t.Parallel()
	for k, over := int64(0), false; !over; k++ {
		if k > 60 {
			t.Fatal("the undos do not end within 60 transactions")
		}
		var x *tester
		asked := make(chan error, 1)
		x, _, over = cutUndo(t, "cut-blocks", k, func(x *tester) {
			asked <- x.e.UndoAll(t.Context(), []int64{1, 2, 3}, "ann", "wrong")
		})
		wanted := false
		select {
		case err := <-asked:
			wanted = err == nil
		default: // whoever asked never heard of it
		}
		if wanted {
			x.until("all is taken back", x.free)
			x.newestFirst(k)
		} else if list, err := x.books.Entries(t.Context()); err != nil || k > 1 {
			t.Errorf("after %d transactions nobody knows that something is wanted back: %+v, %v", k, list, err)
		}
		x.stop()
	}
}

func TestACrashBetweenAnyTwoTransactionsKeepsNoFailedRunFromTakingAllBack(t *testing.T) {
	t.Parallel()
	for k, over := int64(0), false; !over; k++ {
		if k > 60 {
			t.Fatal("the run does not end within 60 transactions")
		}
		x, id, all := cutUndo(t, "cut-fails", k, func(*tester) {})
		over = all
		var last run.Summary
		if err := x.e.Watch(t.Context(), id, 0, func(u engine.Update) error { last = u.Summary; return nil }); err != nil || last.Status != run.Failed {
			t.Errorf("cut off after %d transactions: %v, %+v", k, err, last)
		}
		if !x.free() {
			t.Errorf("cut off after %d transactions: something is still in force", k)
		}
		x.newestFirst(k)
		x.stop()
	}
}

func TestARunThatNobodyBeganRaisesAnAlarmAndIsBegun(t *testing.T) {
	t.Parallel()
	clock := enginetest.NewClock()
	plans, err := enginetest.NewPlans("playbook: idle\ntitle: Idle\nsteps:\n  - wait: 1h\n")
	if err != nil {
		t.Fatal(err)
	}
	r := embedded(t, t.TempDir(), enginetest.World{Plans: plans, Caller: enginetest.NewCaller(), Gate: &enginetest.Gate{}, Clock: clock})
	defer r.Stop()
	e := r.Engine.(*engine.Engine)
	p, err := plans.Published("", "idle", 0)
	if err != nil {
		t.Fatal(err)
	}
	var id run.ID
	done := make(chan error, 1)
	e.Journal.Submit(func(tx engine.Tx) (err error) {
		id, _, err = e.StartIn(tx, run.Start{Playbook: "idle", Plan: p.Hash, Version: 1}, "") // begin is forgotten
		return err
	}, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	x := &tester{TB: t, e: e}
	x.until("it is begun", func() bool {
		clock.Move(time.Second)
		s, ok, err := e.Summary(t.Context(), id)
		return err == nil && ok && s.Status == run.Waiting
	})
	x.until("the alarm is over", func() bool { return !x.alarm(engine.AlarmNoRun) })
}
