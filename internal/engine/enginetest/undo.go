package enginetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"riposte/connector"
	"riposte/internal/engine"
	"riposte/internal/fault"
	"riposte/internal/run"
)

const blockForAWhile = `playbook: block-for-a-while
title: Block
steps:
  - id: block
    action: fw.block_ip
    with: { ip: "203.0.113.9" }
    retry: { times: 2, every: 1s }
    undo:
      action: fw.free_ip
      with: { rule: "${{ output.rule }}" }
      after: 7d
`

const blockAll = `playbook: block-all
title: Block all
steps:
  - id: all
    for_each: "[\"203.0.113.1\", \"203.0.113.2\", \"203.0.113.3\"]"
    do:
      - action: fw.block_ip
        with: { ip: "${{ item }}" }
        undo: { action: fw.free_ip, with: { ip: "${{ item }}" } }
  - action: rep.get_ip
on_error: undo
`

const blockInside = `playbook: block-inside
title: Block inside
steps:
  - action: fw.block_ip
    with: { ip: "203.0.113.7" }
    undo: { action: fw.free_ip, with: { ip: "203.0.113.7" } }
`

const callAndFail = `playbook: call-and-fail
title: Call and fail
steps:
  - playbook: block-inside
  - action: fw.block_ip
    with: { ip: "203.0.113.8" }
    undo: { action: fw.free_ip, with: { ip: "203.0.113.8" } }
  - action: rep.get_ip
on_error: undo
`

func failing(b *bench, action string) {
	b.world.Caller.On(action, func(context.Context, engine.Call) engine.Answer { return Fail(connector.Permanent, "no") })
}

func (b *bench) state(entry int) string {
	list := b.entries()
	if entry >= len(list) {
		return ""
	}
	return list[entry].State
}

var undoTests = []test{
	{"what was done is taken back when its time is over, by a run of its own", func(b *bench) {
		clock := b.virtual()
		b.world.Keep = 24 * time.Hour // the run is gone long before
		b.world.Caller.On("fw.block_ip", func(context.Context, engine.Call) engine.Answer {
			a := OK(map[string]any{"rule": "r-5"})
			a.Connection = "fw-2"
			return a
		})
		b.open(blockForAWhile)
		id := b.start("block-for-a-while", nil)
		b.endsAs(id, run.Succeeded)
		if e := b.entries()[0]; e.State != "open" || e.Due.Sub(clock.Now()) < 6*24*time.Hour || e.Run != id {
			b.Errorf("the entry is %+v", e)
		}
		for range 6 {
			clock.Set(clock.Now().Add(24 * time.Hour))
			clock.Move(2 * time.Minute)
		}
		b.crash()
		b.calls("fw.free_ip", 0)
		clock.Set(clock.Now().Add(24 * time.Hour))
		b.until("the undo leaves", func() bool {
			clock.Move(time.Second)
			return len(b.world.Caller.Calls("fw.free_ip")) > 0
		})
		b.until("it is taken back", func() bool { return b.state(0) == "undone" })
		b.calls("fw.free_ip", 1)
		c := b.world.Caller.Calls("fw.free_ip")[0]
		if c.Inputs["rule"] != "r-5" || c.Connection != "fw-2" || c.Undoes != b.entries()[0].ID {
			b.Errorf("the call is %+v", c)
		}
	}},
	{"timer, person and handler take an entry once", func(b *bench) {
		clock := b.virtual()
		began, release := make(chan struct{}), make(chan struct{})
		var n atomic.Int32
		b.world.Caller.On("fw.free_ip", func(context.Context, engine.Call) engine.Answer {
			if n.Add(1) == 1 {
				close(began)
			}
			<-release
			return OK(nil)
		})
		b.open(strings.Replace(blockForAWhile, "7d", "30s", 1))
		b.endsAs(b.start("block-for-a-while", nil), run.Succeeded)
		entry := b.entries()[0].ID
		by, err := b.Undo(b.ctx, entry, "ann", "wrong")
		if err != nil || by == 0 {
			b.Fatalf("%s, %v", by, err)
		}
		<-began
		if _, err := b.Undo(b.ctx, entry, "bob", "wrong"); !errors.Is(err, fault.Conflict) {
			b.Errorf("the second person gets %v", err)
		}
		clock.Set(clock.Now().Add(40 * time.Second))
		clock.Move(time.Second)
		close(release)
		if s := b.endsAs(by, run.Succeeded); s.Undoes != entry || s.By != "ann" {
			b.Errorf("%+v", s)
		}
		clock.Move(time.Minute)
		b.calls("fw.free_ip", 1)
		if s := b.state(0); s != "undone" {
			b.Errorf("the entry is %s", s)
		}
	}},
	{"a failed undo raises a task, and a person may try again", func(b *bench) {
		b.world.Caller.On("fw.free_ip", func(context.Context, engine.Call) engine.Answer { return Fail(connector.Transient, "away") })
		b.open(blockForAWhile)
		b.endsAs(b.start("block-for-a-while", nil), run.Succeeded)
		entry := b.entries()[0].ID
		by, err := b.Undo(b.ctx, entry, "ann", "wrong")
		if err != nil {
			b.Fatal(err)
		}
		b.endsAs(by, run.Failed)
		b.calls("fw.free_ip", 2) // with the step's retry
		if s := b.state(0); s != "failed" {
			b.Errorf("the entry is %s", s)
		}
		tasks, err := b.Tasks(b.ctx)
		if err != nil || len(tasks) != 1 || tasks[0].Entry != entry || tasks[0].Reason != "away" || tasks[0].Run != by {
			b.Errorf("tasks: %+v, %v", tasks, err)
		}
		b.world.Caller.On("fw.free_ip", func(context.Context, engine.Call) engine.Answer { return OK(nil) })
		if by, err = b.Undo(b.ctx, entry, "ann", "wrong"); err != nil {
			b.Fatal(err)
		}
		b.endsAs(by, run.Succeeded)
		if s := b.state(0); s != "undone" {
			b.Errorf("the entry is %s", s)
		}
	}},
	{"on_error undo takes all back, newest first, and waits for it", func(b *bench) {
		failing(b, "rep.get_ip")
		b.open(blockAll)
		b.endsAs(b.start("block-all", nil), run.Failed)
		var order []any
		for _, c := range b.world.Caller.Calls("fw.free_ip") {
			order = append(order, c.Inputs["ip"])
		}
		if len(order) != 3 || order[0] != "203.0.113.3" || order[2] != "203.0.113.1" {
			b.Errorf("the order was %v", order)
		}
		for i := range 3 {
			if s := b.state(i); s != "undone" {
				b.Errorf("entry %d is %s", i, s)
			}
		}
	}},
	{"an undo that fails does not keep the others from running", func(b *bench) {
		failing(b, "rep.get_ip")
		b.world.Caller.On("fw.free_ip", func(_ context.Context, c engine.Call) engine.Answer {
			if c.Inputs["ip"] == "203.0.113.2" {
				return Fail(connector.Permanent, "no")
			}
			return OK(nil)
		})
		b.open(blockAll)
		b.endsAs(b.start("block-all", nil), run.Failed)
		b.calls("fw.free_ip", 3)
		if b.state(0) != "undone" || b.state(1) != "failed" || b.state(2) != "undone" {
			b.Errorf("the entries are %+v", b.entries())
		}
	}},
	{"on_error undo takes back what called runs did", func(b *bench) {
		failing(b, "rep.get_ip")
		b.open(blockInside, callAndFail)
		b.endsAs(b.start("call-and-fail", nil), run.Failed)
		calls := b.world.Caller.Calls("fw.free_ip")
		if len(calls) != 2 || calls[0].Inputs["ip"] != "203.0.113.8" || calls[1].Inputs["ip"] != "203.0.113.7" {
			b.Errorf("%+v", calls)
		}
	}},
	{"on_error undo goes on after a crash in its middle", func(b *bench) {
		failing(b, "rep.get_ip")
		began := make(chan struct{})
		var n atomic.Int32
		release := make(chan struct{})
		b.world.Caller.On("fw.free_ip", func(ctx context.Context, _ engine.Call) engine.Answer {
			if n.Add(1) == 2 {
				close(began)
				<-release
			}
			return OK(nil)
		})
		b.open(blockAll)
		id := b.start("block-all", nil)
		<-began
		b.Kill()
		close(release)
		b.reopen()
		b.endsAs(id, run.Failed)
		for i := range 3 {
			if s := b.state(i); s != "undone" {
				b.Errorf("entry %d is %s", i, s)
			}
		}
	}},
	{"entries wanted back together go newest first, over a crash, and past one that fails", func(b *bench) {
		release := make(chan struct{})
		began := make(chan struct{})
		var n atomic.Int32
		b.world.Caller.On("fw.free_ip", func(_ context.Context, c engine.Call) engine.Answer {
			if n.Add(1) == 1 {
				close(began)
				<-release
			}
			if c.Inputs["ip"] == "203.0.113.2" {
				return Fail(connector.Permanent, "no")
			}
			return OK(nil)
		})
		b.open(strings.Replace(blockAll, "  - action: rep.get_ip\n", "", 1))
		b.endsAs(b.start("block-all", nil), run.Succeeded)
		list := b.entries()
		ids := []int64{list[0].ID, list[1].ID, list[2].ID}
		if err := b.UndoAll(b.ctx, ids, "ann", "wrong"); err != nil {
			b.Fatal(err)
		}
		<-began
		if err := b.UndoAll(b.ctx, ids, "bob", "wrong"); err != nil { // they are on their way already
			b.Fatal(err)
		}
		b.Kill()
		close(release)
		b.reopen()
		b.until("all are through", func() bool {
			return b.state(0) == "undone" && b.state(1) == "failed" && b.state(2) == "undone"
		})
		var order []any
		for _, c := range b.world.Caller.Calls("fw.free_ip") {
			if c.By != "ann" {
				b.Errorf("it was taken back for %s", c.By)
			}
			order = append(order, c.Inputs["ip"])
		}
		want := []any{"203.0.113.3", "203.0.113.3", "203.0.113.2", "203.0.113.1"} // the first was cut off
		if !slices.Equal(order, want) {
			b.Errorf("the order was %v", order)
		}
		if tasks, err := b.Tasks(b.ctx); err != nil || len(tasks) != 1 || tasks[0].Entry != ids[1] {
			b.Errorf("tasks: %+v, %v", tasks, err)
		}
	}},
	{"an undo asks first where it says so", func(b *bench) {
		b.open("playbook: careful\ntitle: Careful\nsteps:\n  - action: fw.block_ip\n    with: { ip: \"203.0.113.9\" }\n    undo: { action: fw.free_ip, with: { ip: \"203.0.113.9\" }, approve: role:lead }\n")
		b.endsAs(b.start("careful", nil), run.Succeeded)
		by, err := b.Undo(b.ctx, b.entries()[0].ID, "ann", "wrong")
		if err != nil {
			b.Fatal(err)
		}
		q := b.question(by)
		b.calls("fw.free_ip", 0)
		if err := b.Answer(b.ctx, by, q.Act, q.N, run.Answer{By: "lea", Yes: true, Quorums: []int{0}}); err != nil {
			b.Fatal(err)
		}
		b.endsAs(by, run.Succeeded)
		b.calls("fw.free_ip", 1)
	}},
	{"an undo whose action is not there any more fails with a task", func(b *bench) {
		b.open("playbook: orphan\ntitle: Orphan\nsteps:\n  - action: fw.block_ip\n    with: { ip: \"203.0.113.9\" }\n    undo: { action: gone.free_ip, with: {} }\n")
		b.endsAs(b.start("orphan", nil), run.Succeeded)
		by, err := b.Undo(b.ctx, b.entries()[0].ID, "ann", "wrong")
		if err != nil || by != 0 {
			b.Errorf("%s, %v", by, err)
		}
		tasks, err := b.Tasks(b.ctx)
		if err != nil || len(tasks) != 1 || b.state(0) != "failed" {
			b.Errorf("tasks %+v, %v; the entry is %s", tasks, err, b.state(0))
		}
	}},
}
