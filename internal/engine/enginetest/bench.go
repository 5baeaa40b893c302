package enginetest

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"riposte/internal/engine"
	"riposte/internal/run"
	"riposte/playbook"
)

// bench is one test's world and the engine in it.
type bench struct {
	*testing.T
	factory Factory
	dir     string
	world   World
	*Running
	ctx context.Context
}

func newBench(t *testing.T, f Factory) *bench {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return &bench{
		T: t, factory: f, dir: t.TempDir(), ctx: ctx,
		world: World{Caller: NewCaller(), Gate: &Gate{}},
	}
}

// open begins the engine with some playbooks.
func (b *bench) open(texts ...string) {
	b.Helper()
	plans, err := NewPlans(texts...)
	if err != nil {
		b.Fatal(err)
	}
	b.world.Plans = plans
	b.reopen()
	b.Cleanup(func() { b.Stop() })
}

// virtual gives the engine a clock that the test moves.
func (b *bench) virtual() *Clock {
	c := NewClock()
	b.world.Clock = c
	return c
}

func (b *bench) reopen() { b.Running = b.factory(b.T, b.dir, b.world) }

// crash ends the engine as a crash would and begins a new one.
func (b *bench) crash() {
	b.Kill()
	b.reopen()
}

// start starts a run of a published playbook.
func (b *bench) start(slug string, inputs map[string]any) run.ID {
	b.Helper()
	p, err := b.world.Plans.Published("", slug, 0)
	if err != nil {
		b.Fatal(err)
	}
	return b.startPlan(p, inputs, run.Start{})
}

func (b *bench) startPlan(p *playbook.Plan, inputs map[string]any, s run.Start) run.ID {
	b.Helper()
	id, err := b.Start(b.ctx, b.starting(p, inputs, s), "")
	if err != nil {
		b.Fatal(err)
	}
	return id
}

func (b *bench) starting(p *playbook.Plan, inputs map[string]any, s run.Start) run.Start {
	b.Helper()
	filled, err := p.FillInputs(inputs)
	if err != nil {
		b.Fatal(err)
	}
	raw, err := json.Marshal(filled)
	if err != nil {
		b.Fatal(err)
	}
	s.Playbook, s.Version, s.Plan, s.Inputs = p.ID, p.Version, p.Hash, raw
	if s.By == "" {
		s.By = "ann"
	}
	return s
}

// ends waits until a run has ended and returns how.
func (b *bench) ends(id run.ID) run.Summary {
	b.Helper()
	var last run.Summary
	defer b.nudge()()
	err := b.Watch(b.ctx, id, 0, func(u engine.Update) error {
		last = u.Summary
		return nil
	})
	if err != nil {
		b.Fatalf("wait for run %s: %v; it is %+v; alarms %+v", id, err, last, b.Alarms())
	}
	return last
}

// nudge lets a virtual clock run while a test waits for the end of something: an
// engine that looked at the time just before the test moved it looks again only
// when time goes on. stop ends it.
func (b *bench) nudge() (stop func()) {
	clock, ok := b.world.Clock.(*Clock)
	if !ok {
		return func() {}
	}
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				clock.Move(time.Second)
			}
		}
	}()
	return func() { close(done); <-gone }
}

// endsAs waits until a run has ended and complains if it is not with status.
func (b *bench) endsAs(id run.ID, want run.Status) run.Summary {
	b.Helper()
	s := b.ends(id)
	if s.Status != want {
		b.Errorf("run %s ended as %s (%s: %s), not as %s", id, s.Status, s.Code, s.Message, want)
	}
	return s
}

// until waits for a condition. It moves the clock along where that is virtual
// and step is given.
func (b *bench) until(what string, ok func() bool) {
	b.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			b.Fatalf("waited in vain until %s; alarms %+v; stats %+v", what, b.Alarms(), b.Stats())
		}
		<-tick.C
	}
}

// waits waits until a run waits for something and everything of it is on disk.
func (b *bench) waits(id run.ID, what string) {
	b.Helper()
	b.until("run "+id.String()+" waits for "+what, func() bool {
		s, ok, err := b.Summary(b.ctx, id)
		return err == nil && ok && s.Status == run.Waiting && s.Waiting == what
	})
}

// parked waits until no run is in memory.
func (b *bench) parked() {
	b.Helper()
	b.until("no run is in memory", func() bool { return b.Stats().Active == 0 })
}

// question waits for a question to people and returns it.
func (b *bench) question(id run.ID) engine.Question {
	b.Helper()
	var q engine.Question
	b.until("run "+id.String()+" asks", func() bool {
		list, err := b.OpenQuestions(b.ctx)
		for _, x := range list {
			if err == nil && x.Run == id {
				q = x
				return true
			}
		}
		return false
	})
	return q
}

// step finds a step of a run by its id.
func (b *bench) step(id run.ID, name string) run.StepView {
	b.Helper()
	v, err := b.Get(b.ctx, id)
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range v.Steps {
		if s.Step == name {
			return s
		}
	}
	b.Fatalf("run %s has no step %s: %+v", id, name, v.Steps)
	return run.StepView{}
}

func (b *bench) entries() []engine.Entry {
	b.Helper()
	list, err := b.Entries(b.ctx)
	if err != nil {
		b.Fatal(err)
	}
	return list
}

func (b *bench) calls(action string, want int) {
	b.Helper()
	if n := len(b.world.Caller.Calls(action)); n != want {
		b.Errorf("%s was called %d times, not %d", action, n, want)
	}
}
