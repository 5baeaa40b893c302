package enginetest

import (
	"context"
	"errors"
	"time"

	"riposte/internal/engine"
	"riposte/internal/fault"
	"riposte/internal/run"
)

var viewTests = []test{
	{"a watcher sees every step in order, from the beginning or from where it stopped", func(b *bench) {
		b.world.Caller.On("first.get_it", func(context.Context, engine.Call) engine.Answer { return OK(map[string]any{"value": 1}) })
		b.open(threeParts)
		id := b.start("three-parts", nil)
		var all []engine.Update
		if err := b.Watch(b.ctx, id, 0, func(u engine.Update) error { all = append(all, u); return nil }); err != nil {
			b.Fatal(err)
		}
		ended := map[string]bool{}
		for i, u := range all {
			if i > 0 && u.Seq <= all[i-1].Seq {
				b.Errorf("update %d has seq %d after %d", i, u.Seq, all[i-1].Seq)
			}
			for _, s := range u.Steps {
				if s.Status == run.Succeeded {
					ended[s.Step] = true
				}
			}
		}
		if len(ended) != 4 || all[len(all)-1].Summary.Status != run.Succeeded {
			b.Errorf("seen %v, last %+v", ended, all[len(all)-1].Summary)
		}
		var rest []int64
		if err := b.Watch(b.ctx, id, all[0].Seq, func(u engine.Update) error { rest = append(rest, u.Seq); return nil }); err != nil {
			b.Fatal(err)
		}
		if len(rest) != len(all)-1 || len(rest) > 0 && rest[0] != all[1].Seq {
			b.Errorf("the rest is %v of %d", rest, len(all))
		}
	}},
	{"a watcher of a run that waits on disk hears when it wakes", func(b *bench) {
		clock := b.virtual()
		b.open(waitHour)
		id := b.start("wait-hour", nil)
		b.waits(id, "time")
		clock.Move(time.Minute)
		b.parked()
		done := make(chan error, 1)
		var last run.Status
		go func() {
			done <- b.Watch(b.ctx, id, 0, func(u engine.Update) error { last = u.Summary.Status; return nil })
		}()
		clock.Move(time.Hour)
		defer b.nudge()()
		if err := <-done; err != nil || last != run.Succeeded {
			b.Errorf("%v, %s", err, last)
		}
	}},
	{"a watcher of nothing is told so", func(b *bench) {
		b.open(waitHour)
		if err := b.Watch(b.ctx, 4711, 0, nil); !errors.Is(err, fault.NotFound) {
			b.Error(err)
		}
		if _, err := b.Get(b.ctx, 4711); !errors.Is(err, fault.NotFound) {
			b.Error(err)
		}
		if _, err := b.History(b.ctx, 4711); !errors.Is(err, fault.NotFound) {
			b.Error(err)
		}
	}},
	{"a watcher may leave", func(b *bench) {
		b.open(waitHour)
		id := b.start("wait-hour", nil)
		ctx, cancel := context.WithCancel(b.ctx)
		done := make(chan error, 1)
		go func() {
			done <- b.Watch(ctx, id, 0, func(engine.Update) error { cancel(); return nil })
		}()
		if err := <-done; !errors.Is(err, context.Canceled) {
			b.Error(err)
		}
	}},
}
