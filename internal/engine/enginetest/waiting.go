package enginetest

import (
	"errors"
	"time"

	"riposte/internal/fault"
	"riposte/internal/run"
)

const waitHour = `playbook: wait-hour
title: Wait
steps:
  - wait: 1h
  - id: after
    action: rep.get_ip
`

var waitingTests = []test{
	{"a waiting run leaves memory and wakes when it is time", func(b *bench) {
		clock := b.virtual()
		b.open(waitHour)
		id := b.start("wait-hour", nil)
		b.waits(id, "time")
		clock.Move(time.Minute)
		b.parked()
		clock.Move(58 * time.Minute)
		b.calls("rep.get_ip", 0)
		clock.Move(2 * time.Minute)
		b.endsAs(id, run.Succeeded)
		b.calls("rep.get_ip", 1)
	}},
	{"waiting runs survive a crash", func(b *bench) {
		clock := b.virtual()
		b.open(waitHour)
		var ids []run.ID
		for range 50 {
			ids = append(ids, b.start("wait-hour", nil))
		}
		for _, id := range ids {
			b.waits(id, "time")
		}
		b.crash()
		clock.Move(30 * time.Minute)
		b.crash()
		clock.Move(31 * time.Minute)
		for _, id := range ids {
			b.endsAs(id, run.Succeeded)
		}
		b.calls("rep.get_ip", 50)
	}},
	{"a timer that passed while the engine was down fires at once", func(b *bench) {
		clock := b.virtual()
		b.open(waitHour)
		id := b.start("wait-hour", nil)
		b.waits(id, "time")
		clock.Move(time.Minute)
		b.parked()
		b.Stop()
		clock.Set(clock.Now().Add(5 * time.Hour))
		b.reopen()
		b.endsAs(id, run.Succeeded)
	}},
	{"a clock turned back neither loses a timer nor fires it twice", func(b *bench) {
		clock := b.virtual()
		b.open(waitHour)
		id := b.start("wait-hour", nil)
		b.waits(id, "time")
		clock.Set(clock.Now().Add(-3 * time.Hour))
		clock.Move(time.Hour)
		b.calls("rep.get_ip", 0)
		clock.Move(4 * time.Hour)
		b.endsAs(id, run.Succeeded)
		b.calls("rep.get_ip", 1)
		events, err := b.History(b.ctx, id)
		if err != nil {
			b.Fatal(err)
		}
		for i := 1; i < len(events); i++ {
			if events[i].At.Before(events[i-1].At) {
				b.Errorf("event %d is from before the one ahead of it", i)
			}
		}
	}},
	{"a clock that jumps ahead fires what is due", func(b *bench) {
		clock := b.virtual()
		b.open(waitHour)
		id := b.start("wait-hour", nil)
		b.waits(id, "time")
		clock.Set(clock.Now().Add(48 * time.Hour))
		clock.Move(2 * time.Second)
		b.ends(id)
	}},
	{"a run over its time limit ends", func(b *bench) {
		clock := b.virtual()
		b.open("playbook: limited\ntitle: Limited\ntimeout: 30m\nsteps:\n  - wait: 1h\nfinally:\n  - action: log.note_end\n")
		id := b.start("limited", nil)
		b.waits(id, "time")
		clock.Move(31 * time.Minute)
		b.endsAs(id, run.TimedOut)
		b.calls("log.note_end", 1)
	}},
	{"a cancel reaches a run that waits on disk", func(b *bench) {
		clock := b.virtual()
		b.open(waitHour)
		id := b.start("wait-hour", nil)
		b.waits(id, "time")
		clock.Move(time.Minute)
		b.parked()
		if err := b.Cancel(b.ctx, id, "ann", ""); err != nil {
			b.Fatal(err)
		}
		b.endsAs(id, run.Cancelled)
		if err := b.Cancel(b.ctx, run.ID(999_999), "ann", ""); !errors.Is(err, fault.NotFound) {
			b.Errorf("cancelling a run that never was says %v", err)
		}
	}},
	{"ended runs are removed when their time is over, the others stay", func(b *bench) {
		clock := b.virtual()
		b.world.Keep = 24 * time.Hour
		b.open(waitHour, mailOnce)
		old, waiting := b.start("mail-once", nil), b.start("wait-hour", nil)
		b.endsAs(old, run.Succeeded)
		b.until("lists show it", func() bool {
			list, err := b.Listed(b.ctx)
			return err == nil && len(list) == 2 && list[1].Status.Final()
		})
		clock.Set(clock.Now().Add(25 * time.Hour))
		clock.Move(61 * time.Second)
		b.until("it is removed", func() bool {
			_, err := b.Get(b.ctx, old)
			return errors.Is(err, fault.NotFound)
		})
		if _, err := b.Get(b.ctx, waiting); err != nil {
			b.Errorf("the other one: %v", err)
		}
	}},
}
