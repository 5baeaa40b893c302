package enginetest

import (
	"context"
	"time"

	"riposte/connector"
	"riposte/internal/engine"
	"riposte/internal/run"
)

const inner = `playbook: inner
title: Inner
inputs:
  n: { type: integer }
steps:
  - id: look
    action: rep.get_ip
    with: { n: "${{ inputs.n }}" }
outputs:
  twice: "${{ inputs.n * 2 }}"
`

const outer = `playbook: outer
title: Outer
steps:
  - id: call
    playbook: inner
    with: { n: 21 }
outputs:
  answer: "${{ steps.call.output.twice }}"
`

const selfish = `playbook: selfish
title: Selfish
steps:
  - action: rep.get_ip
  - playbook: selfish
`

const sleeper = `playbook: sleeper
title: Sleeper
steps:
  - wait: 1h
`

const asker = `playbook: asker
title: Asker
steps:
  - action: rep.get_ip
  - ask: Go on?
    to: role:analyst
`

const middle = `playbook: middle
title: Middle
steps:
  - playbook: asker
`

const top = `playbook: top
title: Top
steps:
  - playbook: middle
`

const manager = `playbook: manager
title: Manager
steps:
  - id: call
    playbook: sleeper
`

// childOf finds the run that another one called.
func (b *bench) childOf(id run.ID) run.ID {
	b.Helper()
	var child run.ID
	b.until("run "+id.String()+" has called another", func() bool {
		list, err := b.Listed(b.ctx)
		for _, s := range list {
			if err == nil && s.Parent == id {
				child = s.Run
			}
		}
		return child != 0
	})
	return child
}

var childTests = []test{
	{"a called playbook gives its outputs", func(b *bench) {
		b.open(inner, outer)
		id := b.start("outer", nil)
		b.endsAs(id, run.Succeeded)
		v, err := b.Get(b.ctx, id)
		if err != nil || v.Outputs["answer"] != 42 {
			b.Errorf("%+v, %v", v, err)
		}
		child := b.step(id, "call").Child
		if s := b.ends(child); s.Parent != id || s.By != "run:"+id.String() {
			b.Errorf("%+v", s)
		}
	}},
	{"what called runs do counts for who started the outermost one", func(b *bench) {
		called := make(chan engine.Call, 1)
		b.world.Caller.On("rep.get_ip", func(_ context.Context, c engine.Call) engine.Answer {
			called <- c
			return OK(nil)
		})
		b.open(asker, middle, top)
		id := b.start("top", nil)
		child := b.childOf(b.childOf(id))
		if q := b.question(child); q.By != "ann" {
			b.Errorf("the question says that %s started it", q.By)
		}
		if c := <-called; c.Root != id || c.By != "ann" {
			b.Errorf("the call is of run %s by %s", c.Root, c.By)
		}
	}},
	{"a called playbook that fails fails its step", func(b *bench) {
		b.world.Caller.On("rep.get_ip", func(context.Context, engine.Call) engine.Answer { return Fail(connector.NotFound, "nobody knows it") })
		b.open(inner, outer)
		if s := b.endsAs(b.start("outer", nil), run.Failed); s.Code != "not_found" || s.Message != "nobody knows it" {
			b.Errorf("%+v", s)
		}
	}},
	{"a playbook that calls itself for ever is stopped", func(b *bench) {
		b.open("playbook: selfish\ntitle: Selfish\nsteps:\n  - action: rep.get_ip\n")
		if _, err := b.world.Plans.Publish(selfish); err != nil {
			b.Fatal(err)
		}
		b.endsAs(b.start("selfish", nil), run.Failed)
		b.calls("rep.get_ip", 5)
	}},
	{"a playbook that is not published fails its step", func(b *bench) {
		b.open("playbook: lonely\ntitle: Lonely\nsteps:\n  - id: call\n    playbook: nobody\n    on_error: continue\n")
		id := b.start("lonely", nil)
		b.endsAs(id, run.Succeeded)
		if s := b.step(id, "call"); s.Status != run.Failed || s.Error == nil {
			b.Errorf("%+v", s)
		}
	}},
	{"a cancel reaches the runs that were called", func(b *bench) {
		b.open(sleeper, manager)
		id := b.start("manager", nil)
		child := b.childOf(id)
		b.waits(child, "time")
		if err := b.Cancel(b.ctx, id, "ann", "enough"); err != nil {
			b.Fatal(err)
		}
		b.endsAs(id, run.Cancelled)
		b.endsAs(child, run.Cancelled)
	}},
	{"a cancel reaches runs that were called and wait on disk, also over a crash", func(b *bench) {
		clock := b.virtual()
		b.open(sleeper, manager)
		id := b.start("manager", nil)
		child := b.childOf(id)
		b.waits(child, "time")
		clock.Move(time.Minute)
		b.parked()
		b.crash()
		if err := b.Cancel(b.ctx, id, "ann", "enough"); err != nil {
			b.Fatal(err)
		}
		b.endsAs(child, run.Cancelled)
		b.endsAs(id, run.Cancelled)
	}},
	{"parent and child wait on disk and find each other again", func(b *bench) {
		clock := b.virtual()
		b.open(sleeper, manager)
		id := b.start("manager", nil)
		child := b.childOf(id)
		b.waits(id, "playbook")
		b.waits(child, "time")
		clock.Move(time.Minute)
		b.parked()
		b.crash()
		clock.Move(time.Hour)
		b.endsAs(child, run.Succeeded)
		b.endsAs(id, run.Succeeded)
	}},
	{"a child that was cancelled fails its step with code cancelled", func(b *bench) {
		b.open(sleeper, manager)
		id := b.start("manager", nil)
		if err := b.Cancel(b.ctx, b.childOf(id), "bob", ""); err != nil {
			b.Fatal(err)
		}
		if s := b.endsAs(id, run.Failed); s.Code != "cancelled" {
			b.Errorf("%+v", s)
		}
	}},
	{"a playbook over its time limit ends those it called", func(b *bench) {
		clock := b.virtual()
		b.open(sleeper, "playbook: hasty\ntitle: Hasty\nsteps:\n  - id: call\n    playbook: sleeper\n    timeout: 10m\n")
		id := b.start("hasty", nil)
		child := b.childOf(id)
		b.waits(child, "time")
		b.waits(id, "playbook")
		clock.Move(11 * time.Minute)
		b.endsAs(child, run.Cancelled)
		b.endsAs(id, run.TimedOut)
	}},
}
