package enginetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"riposte/internal/engine"
	"riposte/internal/run"
)

// slow makes an action take a moment.
func slow(b *bench, action string, d time.Duration) {
	b.world.Caller.On(action, func(ctx context.Context, _ engine.Call) engine.Answer {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
		return OK(nil)
	})
}

// fan calls rep.get_ip for many items at once.
const fan = `playbook: fan
title: Fan
inputs:
  n: { type: integer, default: 40 }
steps:
  - for_each: 1..inputs.n
    at_once: 50
    do:
      - action: rep.get_ip
`

func one(slug, action string) string {
	return fmt.Sprintf("playbook: %s\ntitle: One\nsteps:\n  - action: %s\n", slug, action)
}

var limitTests = []test{
	{"a connection is never asked for more than it bears", func(b *bench) {
		b.world.Caller.Limit("rep", engine.Limits{MaxInFlight: 3})
		slow(b, "rep.get_ip", 2*time.Millisecond)
		b.open(fan)
		var ids []run.ID
		for range 5 {
			ids = append(ids, b.start("fan", nil))
		}
		for _, id := range ids {
			b.endsAs(id, run.Succeeded)
		}
		b.calls("rep.get_ip", 200)
		if n := b.world.Caller.Most("rep"); n != 3 {
			b.Errorf("%d at once", n)
		}
	}},
	{"a connection has a rate of its own", func(b *bench) {
		b.world.Caller.Limit("rep", engine.Limits{Rate: 100, Burst: 5})
		b.open(fan)
		began := time.Now()
		b.endsAs(b.start("fan", map[string]any{"n": 30}), run.Succeeded)
		if d := time.Since(began); d < 240*time.Millisecond {
			b.Errorf("30 calls at 100 a second with a burst of 5 took %s", d)
		}
	}},
	{"connections that show one credential share its rate", func(b *bench) {
		for _, name := range []string{"rep-a", "rep-b"} {
			b.world.Caller.Limit(name, engine.Limits{Rate: 100, Burst: 5, Bucket: "credential 1"})
		}
		b.open(strings.Replace(fan, "fan", "fan-a", 1)+"        using: rep-a\n", strings.Replace(fan, "fan", "fan-b", 1)+"        using: rep-b\n")
		began := time.Now()
		one, other := b.start("fan-a", map[string]any{"n": 15}), b.start("fan-b", map[string]any{"n": 15})
		b.endsAs(one, run.Succeeded)
		b.endsAs(other, run.Succeeded)
		if d := time.Since(began); d < 240*time.Millisecond {
			b.Errorf("30 calls of two connections at 100 a second with a burst of 5 took %s", d)
		}
	}},
	{"a run has a limit of its own", func(b *bench) {
		b.world.PerRun = 4
		slow(b, "rep.get_ip", 2*time.Millisecond)
		b.open(fan)
		b.endsAs(b.start("fan", nil), run.Succeeded)
		if n := b.world.Caller.Most("rep"); n > 4 {
			b.Errorf("%d at once", n)
		}
	}},
	{"calls are bounded in all", func(b *bench) {
		b.world.Workers = 5
		slow(b, "rep.get_ip", 2*time.Millisecond)
		b.open(fan)
		b.endsAs(b.start("fan", nil), run.Succeeded)
		if n := b.world.Caller.Most("rep"); n > 5 {
			b.Errorf("%d at once", n)
		}
	}},
	{"the rate of a step holds over all runs, versions and restarts", func(b *bench) {
		clock := b.virtual()
		text := "playbook: rated\ntitle: %s\nsteps:\n  - id: look\n    action: rep.get_ip\n    rate: 3/m\n"
		b.open(fmt.Sprintf(text, "One"))
		var ids []run.ID
		for range 4 {
			ids = append(ids, b.start("rated", nil))
		}
		if _, err := b.world.Plans.Publish(fmt.Sprintf(text, "Two")); err != nil {
			b.Fatal(err)
		}
		for range 4 {
			ids = append(ids, b.start("rated", nil))
		}
		b.until("three have left", func() bool { return len(b.world.Caller.Calls("rep.get_ip")) == 3 })
		clock.Move(30 * time.Second)
		b.calls("rep.get_ip", 3)
		b.until("the disk knows", func() bool { return b.Stats().Journal == "" })
		b.Stop()
		b.reopen()
		clock.Move(20 * time.Second)
		b.calls("rep.get_ip", 3)
		clock.Move(15 * time.Second)
		b.until("three more have left", func() bool { return len(b.world.Caller.Calls("rep.get_ip")) == 6 })
		clock.Move(50 * time.Second)
		b.calls("rep.get_ip", 6)
		clock.Move(20 * time.Second)
		for _, id := range ids {
			b.endsAs(id, run.Succeeded)
		}
	}},
	{"two calls never act on the same target at once", func(b *bench) {
		var mu sync.Mutex
		now, most := map[string]int{}, 0
		b.world.Caller.On("fw.block_serial", func(_ context.Context, c engine.Call) engine.Answer {
			ip := strings.ToLower(c.Inputs["ip"].(string)) // as serialize says
			mu.Lock()
			now[ip]++
			most = max(most, now[ip])
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
			now[ip]--
			mu.Unlock()
			return OK(nil)
		})
		b.open("playbook: serial\ntitle: Serial\ninputs:\n  ip: { type: string }\nsteps:\n  - action: fw.block_serial\n    with: { ip: \"${{ inputs.ip }}\" }\n")
		var ids []run.ID
		for i := range 60 {
			ids = append(ids, b.start("serial", map[string]any{"ip": "aA"[i%2:i%2+1] + fmt.Sprint(i%3)}))
		}
		for _, id := range ids {
			b.endsAs(id, run.Succeeded)
		}
		if most != 1 {
			b.Errorf("%d at once on one target", most)
		}
	}},
	{"one playbook that floods the engine does not hold up another", func(b *bench) {
		b.world.Workers = 4
		slow(b, "rep.get_ip", 2*time.Millisecond)
		b.open(fan, one("small", "rep.get_other"))
		flood := b.start("fan", map[string]any{"n": 500})
		b.until("the flood is there", func() bool { return b.Stats().Queued > 20 })
		b.endsAs(b.start("small", nil), run.Succeeded)
		if n := len(b.world.Caller.Calls("rep.get_ip")); n > 400 {
			b.Errorf("the small one waited for %d calls of the flood", n)
		}
		b.endsAs(flood, run.Succeeded)
	}},
	{"slow calls of one playbook leave places for another", func(b *bench) {
		b.world.Workers = 4
		release := make(chan struct{})
		b.world.Caller.On("rep.get_ip", func(ctx context.Context, _ engine.Call) engine.Answer {
			select {
			case <-release:
			case <-ctx.Done():
			}
			return OK(nil)
		})
		b.open(fan, one("small", "rep.get_other"))
		flood := b.start("fan", nil)
		b.until("the flood is there", func() bool { return b.Stats().Calls >= 3 })
		b.endsAs(b.start("small", nil), run.Succeeded)
		close(release)
		b.endsAs(flood, run.Succeeded)
	}},
	{"severe runs come first", func(b *bench) {
		b.world.Workers = 1
		var mu sync.Mutex
		var order []int
		hold := make(chan struct{})
		var n atomic.Int32
		b.world.Caller.On("rep.get_ip", func(_ context.Context, c engine.Call) engine.Answer {
			if n.Add(1) == 1 {
				<-hold
				return OK(nil)
			}
			mu.Lock()
			order = append(order, int(c.Case))
			mu.Unlock()
			return OK(nil)
		})
		b.open(one("alike", "rep.get_ip"))
		p, err := b.world.Plans.Published("", "alike", 0)
		if err != nil {
			b.Fatal(err)
		}
		ids := []run.ID{b.startPlan(p, nil, run.Start{})}
		b.until("the place is taken", func() bool { return n.Load() == 1 })
		for _, severity := range []int{1, 2, 3, 4, 5, 1, 5} {
			ids = append(ids, b.startPlan(p, nil, run.Start{Severity: severity, CaseID: int64(severity)}))
		}
		b.until("all wait", func() bool { return b.Stats().Queued == 7 })
		close(hold)
		for _, id := range ids {
			b.endsAs(id, run.Succeeded)
		}
		for i := 1; i < len(order); i++ {
			if order[i] > order[i-1] {
				b.Errorf("the order was %v", order)
				break
			}
		}
	}},
	{"a call that waits for its turn can be cancelled", func(b *bench) {
		b.world.Workers = 1
		release := make(chan struct{})
		b.world.Caller.On("rep.get_ip", func(context.Context, engine.Call) engine.Answer {
			<-release
			return OK(nil)
		})
		b.open(one("first", "rep.get_ip"), one("second", "fw.once_it"))
		first := b.start("first", nil)
		b.until("the place is taken", func() bool { return b.Stats().Calls == 1 })
		second := b.start("second", nil)
		b.until("the other waits", func() bool { return b.Stats().Queued == 1 })
		if err := b.Cancel(b.ctx, second, "ann", ""); err != nil {
			b.Fatal(err)
		}
		b.endsAs(second, run.Cancelled)
		close(release)
		b.endsAs(first, run.Succeeded)
		b.calls("fw.once_it", 0)
	}},
}
