package enginetest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"riposte/connector"
	"riposte/internal/engine"
	"riposte/internal/fault"
	"riposte/internal/run"
)

const retrying = `playbook: retrying
title: Retry
steps:
  - id: look
    action: rep.get_ip
    retry: { times: 3, every: 10s, backoff: 2 }
`

// threeParts fails in its middle as long as middle.get_it does.
const threeParts = `playbook: three-parts
title: Three parts
inputs:
  n: { type: integer, default: 1 }
steps:
  - id: first
    action: first.get_it
  - id: change
    action: fw.once_it
    with: { ip: "203.0.113.9" }
  - id: middle
    action: middle.get_it
  - id: last
    action: last.get_it
    with: { seen: "${{ steps.first.output.value }}" }
outputs:
  value: "${{ steps.first.output.value }}"
`

var errorTests = []test{
	{"a temporary error is tried again after growing waits", func(b *bench) {
		clock := b.virtual()
		var at []time.Time
		b.world.Caller.On("rep.get_ip", func(context.Context, engine.Call) engine.Answer {
			at = append(at, clock.Now())
			if len(at) < 3 {
				return Fail(connector.Transient, "busy")
			}
			return OK(nil)
		})
		b.open(retrying)
		id := b.start("retrying", nil)
		for i := range 2 {
			b.until("an attempt has failed", func() bool { return len(b.world.Caller.Calls("rep.get_ip")) == i+1 })
			b.waits(id, "time")
			clock.Move(20 * time.Second)
		}
		b.endsAs(id, run.Succeeded)
		if at[1].Sub(at[0]) < 10*time.Second || at[2].Sub(at[1]) < 20*time.Second {
			b.Errorf("attempts were at %v", at)
		}
		if s := b.step(id, "look"); s.Attempts != 3 {
			b.Errorf("attempts: %d", s.Attempts)
		}
	}},
	{"a wait that the product asks for is kept by all and is no attempt", func(b *bench) {
		clock := b.virtual()
		var n atomic.Int32
		b.world.Caller.On("rep.get_ip", func(context.Context, engine.Call) engine.Answer {
			if n.Add(1) == 1 {
				a := Fail(connector.RateLimited, "slow down")
				a.RetryAfter = 2 * time.Minute
				return a
			}
			return OK(nil)
		})
		b.open(retrying)
		id := b.start("retrying", nil)
		b.waits(id, "time")
		other := b.start("retrying", nil)
		clock.Move(time.Minute)
		b.calls("rep.get_ip", 1)
		clock.Move(2 * time.Minute)
		b.endsAs(id, run.Succeeded)
		b.endsAs(other, run.Succeeded)
		if s := b.step(id, "look"); s.Attempts != 1 {
			b.Errorf("attempts: %d", s.Attempts)
		}
	}},
	{"a failed run is retried from the step that failed, by a new run", func(b *bench) {
		var broken atomic.Bool
		broken.Store(true)
		b.world.Caller.On("first.get_it", func(context.Context, engine.Call) engine.Answer { return OK(map[string]any{"value": 7}) })
		b.world.Caller.On("middle.get_it", func(context.Context, engine.Call) engine.Answer {
			if broken.Load() {
				return Fail(connector.Permanent, "no")
			}
			return OK(nil)
		})
		b.open(threeParts)
		id := b.start("three-parts", nil)
		b.endsAs(id, run.Failed)
		broken.Store(false)
		next, err := b.Retry(b.ctx, id, "bob")
		if err != nil {
			b.Fatal(err)
		}
		b.endsAs(next, run.Succeeded)
		b.calls("first.get_it", 1)
		b.calls("fw.once_it", 1)
		b.calls("middle.get_it", 2)
		v, err := b.Get(b.ctx, next)
		if err != nil || v.Outputs["value"] != 7 || v.From != id || v.By != "bob" {
			b.Errorf("%+v, %v", v, err)
		}
		if again, err := b.Retry(b.ctx, id, "bob"); !errors.Is(err, fault.Conflict) || again != next {
			b.Errorf("retrying twice gave %s, %v", again, err)
		}
		if _, err := b.Retry(b.ctx, next, "bob"); !errors.Is(err, fault.Conflict) {
			b.Errorf("retrying what succeeded says %v", err)
		}
		if _, err := b.Retry(b.ctx, 4711, "bob"); !errors.Is(err, fault.NotFound) {
			b.Errorf("retrying what never was says %v", err)
		}
	}},
	{"all runs that failed for one reason are retried at once", func(b *bench) {
		var broken atomic.Bool
		broken.Store(true)
		b.world.Caller.On("first.get_it", func(_ context.Context, c engine.Call) engine.Answer { return OK(map[string]any{"value": int(c.Run)}) })
		b.world.Caller.On("middle.get_it", func(_ context.Context, c engine.Call) engine.Answer {
			switch {
			case broken.Load() && c.Run%3 == 0:
				return Fail(connector.Auth, "the key is wrong")
			case broken.Load():
				return Fail(connector.Permanent, "no")
			}
			return OK(nil)
		})
		b.open(threeParts)
		auth := 0
		for range 30 {
			id := b.start("three-parts", nil)
			if s := b.endsAs(id, run.Failed); s.Code == "auth" {
				auth++
			}
		}
		b.until("lists show them", func() bool {
			list, err := b.Listed(b.ctx)
			n := 0
			for _, s := range list {
				if s.Status == run.Failed {
					n++
				}
			}
			return err == nil && n == 30
		})
		broken.Store(false)
		got, err := b.RetryAll(b.ctx, run.Filter{Playbook: "three-parts", Code: "auth"}, "bob")
		if err != nil || len(got.Started) != auth || len(got.Errors) > 0 {
			b.Fatalf("%+v, %v; %d failed so", got, err, auth)
		}
		for _, id := range got.Started {
			b.endsAs(id, run.Succeeded)
		}
		got, err = b.RetryAll(b.ctx, run.Filter{Playbook: "three-parts", Code: "auth"}, "bob")
		if err != nil || len(got.Started) != 0 || got.Skipped != auth {
			b.Errorf("the second time: %+v, %v", got, err)
		}
	}},
	{"a change of unknown outcome is not repeated and asks a person", func(b *bench) {
		b.world.Caller.On("fw.once_it", func(context.Context, engine.Call) engine.Answer {
			return engine.Answer{Result: connector.Result{Status: connector.Unknown, Class: connector.Timeout, Message: "no answer"}}
		})
		b.open("playbook: unsure\ntitle: Unsure\nsteps:\n  - id: change\n    action: fw.once_it\n    with: { ip: \"203.0.113.9\" }\n  - action: last.get_it\n")
		id := b.start("unsure", nil)
		q := b.question(id)
		if q.Kind != run.ForOutcome {
			b.Fatalf("the question is %+v", q)
		}
		b.calls("fw.once_it", 1)
		if err := b.Answer(b.ctx, id, q.Act, q.N, run.Answer{By: "ann", Yes: true, Quorums: []int{0}}); err != nil {
			b.Fatal(err)
		}
		b.endsAs(id, run.Succeeded)
		b.calls("last.get_it", 1)
	}},
	{"a guard that denies ends the step and gives back what it reserved", func(b *bench) {
		b.world.Gate.OnCheck(func(engine.Call) run.CheckResult {
			return run.CheckResult{Deny: "protected", Message: "a domain controller"}
		})
		b.open("playbook: refused\ntitle: Refused\nsteps:\n  - id: change\n    action: fw.once_it\n    with: { ip: \"203.0.113.9\" }\n")
		id := b.start("refused", nil)
		if s := b.endsAs(id, run.Denied); s.Code != "protected" || s.Message != "a domain controller" {
			b.Errorf("%+v", s)
		}
		b.calls("fw.once_it", 0)
		if len(b.world.Gate.Released()) != 1 {
			b.Errorf("released: %v", b.world.Gate.Released())
		}
	}},
	{"a guard that changes its mind before the call is obeyed", func(b *bench) {
		b.world.Gate.OnAdmit(func(c engine.Call) (bool, run.CheckResult, error) {
			return c.Name != "rep.get_ip", run.CheckResult{Deny: "kill_switch", Message: "off"}, nil
		})
		b.open(retrying)
		id := b.start("retrying", nil)
		if s := b.endsAs(id, run.Denied); s.Code != "kill_switch" {
			b.Errorf("%+v", s)
		}
		b.calls("rep.get_ip", 0)
	}},
	{"a guard that cannot answer is asked again, and nothing leaves meanwhile", func(b *bench) {
		var n atomic.Int32
		b.world.Gate.OnAdmit(func(engine.Call) (bool, run.CheckResult, error) {
			if n.Add(1) < 3 {
				return false, run.CheckResult{}, fault.Transient
			}
			return true, run.CheckResult{}, nil
		})
		b.open("playbook: patient\ntitle: Patient\nsteps:\n  - action: rep.get_ip\n")
		b.endsAs(b.start("patient", nil), run.Succeeded)
		b.calls("rep.get_ip", 1)
	}},
	{"a run whose plan is gone is kept and says so", func(b *bench) {
		b.open(waitHour)
		id := b.start("wait-hour", nil)
		b.waits(id, "time")
		p, err := b.world.Plans.Published("", "wait-hour", 0)
		if err != nil {
			b.Fatal(err)
		}
		b.Kill()
		b.world.Plans.Hide(p.Hash, true)
		b.reopen()
		if err := b.Cancel(b.ctx, id, "ann", ""); err == nil {
			b.Error("a run without its plan was cancelled")
		}
		if len(b.Alarms()) == 0 {
			b.Error("there is no alarm")
		}
		b.Kill()
		b.world.Plans.Hide(p.Hash, false)
		b.reopen()
		if err := b.Cancel(b.ctx, id, "ann", ""); err != nil {
			b.Error(err)
		}
		b.endsAs(id, run.Cancelled)
	}},
}
