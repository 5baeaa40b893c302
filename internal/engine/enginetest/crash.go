package enginetest

import (
	"context"
	"sync/atomic"
	"time"

	"riposte/internal/engine"
	"riposte/internal/run"
)

// stuckIn makes the first call of an action hang until the test ends, as if the
// process had died in it.
func stuckIn(b *bench, action string) (began chan struct{}) {
	began = make(chan struct{})
	over := make(chan struct{})
	b.Cleanup(func() { close(over) })
	var n atomic.Int32
	b.world.Caller.On(action, func(context.Context, engine.Call) engine.Answer {
		if n.Add(1) == 1 {
			close(began)
			<-over
		}
		return OK(nil)
	})
	return began
}

func changing(action string) string {
	return "playbook: changing\ntitle: Changing\nsteps:\n  - action: rep.get_ip\n  - id: change\n    action: " + action + "\n    with: { ip: \"203.0.113.9\" }\n  - action: rep.get_hash\n"
}

// again expects a call that was under way at a crash to be made again, with the
// same key.
func again(action string) func(b *bench) {
	return func(b *bench) {
		began := stuckIn(b, action)
		b.open(changing(action))
		id := b.start("changing", nil)
		<-began
		b.crash()
		b.endsAs(id, run.Succeeded)
		calls := b.world.Caller.Calls(action)
		if len(calls) != 2 || calls[0].Key == "" || calls[0].Key != calls[1].Key {
			b.Errorf("%d calls: %+v", len(calls), calls)
		}
	}
}

var crashTests = []test{
	{"a read under way is done again", again("other.get_it")},
	{"a natural change under way is done again", again("fw.block_ip")},
	{"a change with a key under way is done again with the same key", again("fw.key_it")},
	{"an unrepeatable change under way is not done again and asks a person", func(b *bench) {
		began := stuckIn(b, "fw.once_it")
		b.open(changing("fw.once_it"))
		id := b.start("changing", nil)
		<-began
		b.crash()
		q := b.question(id)
		if q.Kind != run.ForOutcome {
			b.Errorf("it asks %+v", q)
		}
		b.crash()
		if err := b.Answer(b.ctx, id, q.Act, q.N, run.Answer{By: "ann", Yes: true, Quorums: []int{0}}); err != nil {
			b.Fatal(err)
		}
		b.endsAs(id, run.Succeeded)
		b.calls("fw.once_it", 1)
	}},
	{"an unrepeatable change that had not left is simply done", func(b *bench) {
		b.world.Caller.Limit("fw", engine.Limits{MaxInFlight: 1})
		began := stuckIn(b, "fw.block_ip")
		b.open(one("holder", "fw.block_ip"), changing("fw.once_it"))
		b.start("holder", nil)
		<-began
		id := b.start("changing", nil)
		b.until("it waits for the connection", func() bool { return b.Stats().Queued == 1 })
		b.crash()
		b.endsAs(id, run.Succeeded)
		b.calls("fw.once_it", 1)
	}},
	{"what was done before the crash is not done again", func(b *bench) {
		began := stuckIn(b, "last.get_it")
		b.world.Caller.On("first.get_it", func(context.Context, engine.Call) engine.Answer { return OK(map[string]any{"value": 1}) })
		b.open(threeParts)
		id := b.start("three-parts", nil)
		<-began
		b.until("the change is on disk", func() bool {
			events, err := b.History(b.ctx, id)
			finished := 0
			for _, e := range events {
				if e.Kind == run.Finished {
					finished++
				}
			}
			return err == nil && finished >= 2
		})
		b.crash()
		b.endsAs(id, run.Succeeded)
		b.calls("fw.once_it", 1)
		b.calls("first.get_it", 1)
	}},
	{"a stop in order lets changes end and cuts reads off", func(b *bench) {
		reading := make(chan struct{})
		var n atomic.Int32
		b.world.Caller.On("rep.get_ip", func(ctx context.Context, _ engine.Call) engine.Answer {
			if n.Add(1) == 1 {
				close(reading)
				<-ctx.Done()
			}
			return OK(nil)
		})
		writing := make(chan struct{})
		b.world.Caller.On("fw.once_it", func(context.Context, engine.Call) engine.Answer {
			close(writing)
			time.Sleep(50 * time.Millisecond)
			return OK(nil)
		})
		b.open(one("reader", "rep.get_ip"), one("writer", "fw.once_it"))
		reader, writer := b.start("reader", nil), b.start("writer", nil)
		<-reading
		<-writing
		b.Stop()
		b.reopen()
		b.endsAs(reader, run.Succeeded)
		b.endsAs(writer, run.Succeeded)
		b.calls("fw.once_it", 1)
	}},
	{"journal and lists say the same after a crash", func(b *bench) {
		b.world.Caller.On("rep.get_ip", func(_ context.Context, c engine.Call) engine.Answer {
			return OK(map[string]any{"score": int(c.Run) % 100})
		})
		b.open(enrichAndBlock, asking)
		var ids []run.ID
		for i := range 100 {
			if i%3 == 0 {
				ids = append(ids, b.start("asking", nil))
			} else {
				ids = append(ids, b.start("enrich-and-block", map[string]any{"ip": "203.0.113.9"}))
			}
		}
		b.crash()
		for i, id := range ids {
			if i%3 == 0 {
				b.question(id)
			} else {
				b.endsAs(id, run.Succeeded)
			}
		}
		b.agree()
	}},
}

// agree waits until the lists show what the journal says of every run.
func (b *bench) agree() {
	b.Helper()
	b.until("lists and journal say the same", func() bool {
		list, err := b.Listed(b.ctx)
		if err != nil {
			return false
		}
		for _, shown := range list {
			events, err := b.History(b.ctx, shown.Run)
			if err != nil || len(events) == 0 {
				return false
			}
			p, err := b.world.Plans.Plan(events[0].Start.Plan)
			if err != nil {
				return false
			}
			s := run.Fold(p, events, nil)
			if s.Status() != shown.Status || s.Paused() != shown.Paused || !s.EndedAt().Equal(shown.Ended) {
				return false
			}
		}
		return true
	})
}
