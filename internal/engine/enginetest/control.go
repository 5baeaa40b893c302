package enginetest

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"riposte/connector"
	"riposte/internal/engine"
	"riposte/internal/fault"
	"riposte/internal/run"
)

const approved = `playbook: approved
title: Approved
steps:
  - action: fw.block_ip
    with: { ip: "203.0.113.9" }
    approve: role:lead
`

const eachOne = `playbook: each-one
title: Each
steps:
  - for_each: 1..3
    do:
      - action: rep.get_ip
        with: { n: "${{ item }}" }
`

const patient = `playbook: patient
title: Patient
steps:
  - action: rep.get_ip
    retry: { times: 3, every: 1m }
`

const outerCall = `playbook: outer-call
title: Outer
steps:
  - playbook: approved
  - action: rep.get_hash
`

func (b *bench) pause(id run.ID) {
	b.Helper()
	if err := b.Pause(b.ctx, id, "ann", "wait"); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) resume(id run.ID) {
	b.Helper()
	if err := b.Resume(b.ctx, id, "ann", ""); err != nil {
		b.Fatal(err)
	}
}

// approve says yes to the question of a run.
func (b *bench) approve(id run.ID) {
	b.Helper()
	q := b.question(id)
	if err := b.Answer(b.ctx, id, q.Act, q.N, run.Answer{By: "lea", Yes: true, Quorums: []int{0}}); err != nil {
		b.Fatal(err)
	}
}

var controlTests = []test{
	{"what is approved during a pause leaves after it", func(b *bench) {
		b.open(approved)
		id := b.start("approved", nil)
		b.question(id)
		b.pause(id)
		b.approve(id)
		b.waits(id, "pause")
		b.parked()
		b.crash()
		b.calls("fw.block_ip", 0)
		b.resume(id)
		b.endsAs(id, run.Succeeded)
		b.calls("fw.block_ip", 1)
	}},
	{"a pause stops a loop between two items", func(b *bench) {
		began, release := make(chan struct{}), make(chan struct{})
		var n atomic.Int32
		b.world.Caller.On("rep.get_ip", func(context.Context, engine.Call) engine.Answer {
			if n.Add(1) == 2 {
				close(began)
				<-release
			}
			return OK(nil)
		})
		b.open(eachOne)
		id := b.start("each-one", nil)
		<-began
		b.pause(id)
		close(release)
		b.waits(id, "pause")
		b.calls("rep.get_ip", 2)
		b.crash()
		b.resume(id)
		b.endsAs(id, run.Succeeded)
		b.calls("rep.get_ip", 3)
	}},
	{"a cancel ends a loop between two items", func(b *bench) {
		b.world.Caller.On("rep.get_ip", func(ctx context.Context, c engine.Call) engine.Answer {
			if c.Inputs["n"] == 2 {
				<-ctx.Done()
			}
			return OK(nil)
		})
		b.open(eachOne)
		id := b.start("each-one", nil)
		b.until("the second is under way", func() bool { return len(b.world.Caller.Calls("rep.get_ip")) == 2 })
		if err := b.Cancel(b.ctx, id, "ann", "enough"); err != nil {
			b.Fatal(err)
		}
		b.endsAs(id, run.Cancelled)
		b.calls("rep.get_ip", 2)
	}},
	{"a try that is due during a pause is made after it", func(b *bench) {
		clock := b.virtual()
		var n atomic.Int32
		b.world.Caller.On("rep.get_ip", func(context.Context, engine.Call) engine.Answer {
			if n.Add(1) == 1 {
				return Fail(connector.Transient, "away")
			}
			return OK(nil)
		})
		b.open(patient)
		id := b.start("patient", nil)
		b.waits(id, "time")
		b.pause(id)
		clock.Move(time.Hour)
		b.waits(id, "pause")
		b.calls("rep.get_ip", 1)
		b.resume(id)
		b.endsAs(id, run.Succeeded)
		b.calls("rep.get_ip", 2)
	}},
	{"a cancel does not wait for the next try", func(b *bench) {
		b.virtual()
		b.world.Caller.On("rep.get_ip", func(context.Context, engine.Call) engine.Answer { return Fail(connector.Transient, "away") })
		b.open(patient)
		id := b.start("patient", nil)
		b.waits(id, "time")
		if err := b.Cancel(b.ctx, id, "ann", "enough"); err != nil {
			b.Fatal(err)
		}
		b.endsAs(id, run.Cancelled)
		b.calls("rep.get_ip", 1)
	}},
	{"a calling run that is paused goes on when it is resumed, the called one ends", func(b *bench) {
		b.open(approved, outerCall)
		id := b.start("outer-call", nil)
		child := b.childOf(id)
		b.question(child)
		b.pause(id)
		b.approve(child)
		b.endsAs(child, run.Succeeded)
		b.waits(id, "pause")
		b.calls("rep.get_hash", 0)
		b.crash()
		b.resume(id)
		b.endsAs(id, run.Succeeded)
		b.calls("rep.get_hash", 1)
	}},
	{"a retry of a retry is a new run, and each can be retried once", func(b *bench) {
		b.world.Caller.On("first.get_it", func(context.Context, engine.Call) engine.Answer { return OK(map[string]any{"value": 7}) })
		failing(b, "middle.get_it")
		b.open(threeParts)
		ids := []run.ID{b.start("three-parts", nil)}
		for i := range 3 {
			b.endsAs(ids[i], run.Failed)
			next, err := b.Retry(b.ctx, ids[i], "bob")
			if err != nil {
				b.Fatal(err)
			}
			again, err := b.Retry(b.ctx, ids[i], "cem")
			if !errors.Is(err, fault.Conflict) || again != next || !strings.Contains(err.Error(), next.String()) {
				b.Errorf("a second retry of %s gives %s, %v; the first gave %s", ids[i], again, err, next)
			}
			ids = append(ids, next)
		}
		b.endsAs(ids[3], run.Failed)
		for i, id := range ids[1:] {
			if v, err := b.Get(b.ctx, id); err != nil || v.From != ids[i] {
				b.Errorf("%s retries %+v, %v; not %s", id, v.From, err, ids[i])
			}
		}
		b.calls("fw.once_it", 1)
		b.calls("middle.get_it", 4)
	}},
	{"a waiting run keeps its version over a publish and a crash, and so does its retry", func(b *bench) {
		text := "playbook: pinned\ntitle: P\nsteps:\n  - action: rep.note_it\n    approve: role:lead\n  - action: old.get_it\n"
		failing(b, "old.get_it")
		b.open(text)
		id := b.start("pinned", nil)
		b.question(id)
		b.parked()
		if _, err := b.world.Plans.Publish(strings.Replace(text, "old.get_it", "new.get_it", 1)); err != nil {
			b.Fatal(err)
		}
		b.crash()
		b.approve(id)
		if s := b.endsAs(id, run.Failed); s.Version != 1 {
			b.Errorf("it ended in version %d", s.Version)
		}
		b.world.Caller.On("old.get_it", func(context.Context, engine.Call) engine.Answer { return OK(nil) })
		next, err := b.Retry(b.ctx, id, "bob")
		if err != nil {
			b.Fatal(err)
		}
		if s := b.endsAs(next, run.Succeeded); s.Version != 1 {
			b.Errorf("its retry ended in version %d", s.Version)
		}
		b.calls("new.get_it", 0)
		b.calls("old.get_it", 2)
	}},
}
