package enginetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"riposte/connector"
	"riposte/internal/engine"
	"riposte/internal/fault"
	"riposte/internal/run"
)

const enrichAndBlock = `playbook: enrich-and-block
title: Look up, then block
inputs:
  ip: { type: string }
steps:
  - id: one
    action: rep.get_ip
    with: { ip: "${{ inputs.ip }}" }
  - id: two
    action: rep.get_domain
  - id: three
    action: rep.get_hash
  - if: steps.one.output.score > 80
    then:
      - id: block
        action: fw.block_ip
        with: { ip: "${{ inputs.ip }}" }
outputs:
  score: "${{ steps.one.output.score }}"
`

const mailOnce = `playbook: mail-once
title: Send a mail
steps:
  - id: look
    action: rep.get_ip
  - id: send
    action: smtp.mail_send
  - id: end
    action: rep.get_hash
`

var runningTests = []test{
	{"a run goes from its alert to its block", func(b *bench) {
		b.world.Caller.On("rep.get_ip", func(context.Context, engine.Call) engine.Answer { return OK(map[string]any{"score": 91}) })
		b.open(enrichAndBlock)
		id := b.start("enrich-and-block", map[string]any{"ip": "203.0.113.9"})
		b.endsAs(id, run.Succeeded)
		b.calls("fw.block_ip", 1)
		v, err := b.Get(b.ctx, id)
		if err != nil {
			b.Fatal(err)
		}
		if v.Outputs["score"] != 91 {
			b.Errorf("outputs are %v", v.Outputs)
		}
		call := b.world.Caller.Calls("fw.block_ip")[0]
		if call.Inputs["ip"] != "203.0.113.9" || call.Hash != "h" || call.Impact != connector.Change || call.Run != id {
			b.Errorf("the call is %+v", call)
		}
		b.until("lists show it", func() bool {
			list, err := b.Listed(b.ctx)
			return err == nil && len(list) == 1 && list[0].Status == run.Succeeded
		})
	}},
	{"many runs at once all end", func(b *bench) {
		b.world.Caller.On("rep.get_ip", func(_ context.Context, c engine.Call) engine.Answer {
			return OK(map[string]any{"score": len(fmt.Sprint(c.Inputs["ip"])) * 10})
		})
		b.open(enrichAndBlock)
		var ids []run.ID
		for i := range 300 {
			ids = append(ids, b.start("enrich-and-block", map[string]any{"ip": strings.Repeat("1", i%20)}))
		}
		want := 0
		for i, id := range ids {
			b.endsAs(id, run.Succeeded)
			if i%20 > 8 {
				want++
			}
		}
		b.calls("fw.block_ip", want)
	}},
	{"a key starts one run however often it is used", func(b *bench) {
		b.open(mailOnce)
		p, err := b.world.Plans.Published("", "mail-once", 0)
		if err != nil {
			b.Fatal(err)
		}
		first, err := b.Start(b.ctx, b.starting(p, nil, run.Start{}), "alert/7/mail-once")
		if err != nil {
			b.Fatal(err)
		}
		again, err := b.Start(b.ctx, b.starting(p, nil, run.Start{}), "alert/7/mail-once")
		if err != nil || again != first {
			b.Errorf("the second start gave %s, %v; the first %s", again, err, first)
		}
		b.endsAs(first, run.Succeeded)
		b.crash()
		if again, err := b.Start(b.ctx, b.starting(p, nil, run.Start{}), "alert/7/mail-once"); err != nil || again != first {
			b.Errorf("the start after a restart gave %s, %v; the first %s", again, err, first)
		}
		b.calls("smtp.mail_send", 1)
	}},
	{"a start with an unknown plan is refused and leaves nothing", func(b *bench) {
		b.open(mailOnce)
		_, err := b.Start(b.ctx, run.Start{Playbook: "nobody", Plan: "none"}, "")
		if !errors.Is(err, fault.NotFound) {
			b.Errorf("the error is %v", err)
		}
		if s := b.Stats(); s.Started != 0 {
			b.Errorf("%+v", s)
		}
	}},
	{"a draft runs beside the published version and runs keep their plan", func(b *bench) {
		release := make(chan struct{})
		b.world.Caller.On("rep.get_ip", func(context.Context, engine.Call) engine.Answer {
			<-release
			return OK(nil)
		})
		b.open("playbook: versions\ntitle: One\nsteps:\n  - action: rep.get_ip\n  - action: old.get_it\n")
		old := b.start("versions", nil)
		if _, err := b.world.Plans.Publish("playbook: versions\ntitle: Two\nsteps:\n  - action: rep.get_ip\n  - action: new.get_it\n"); err != nil {
			b.Fatal(err)
		}
		draft, err := b.world.Plans.Draft("playbook: versions\ntitle: Three\nsteps:\n  - action: draft.get_it\n")
		if err != nil {
			b.Fatal(err)
		}
		fresh := b.start("versions", nil)
		trial := b.startPlan(draft, nil, run.Start{})
		close(release)
		for _, id := range []run.ID{old, fresh, trial} {
			b.endsAs(id, run.Succeeded)
		}
		for _, action := range []string{"old.get_it", "new.get_it", "draft.get_it"} {
			b.calls(action, 1)
		}
		if s := b.ends(trial); s.Version != 0 || b.ends(old).Version != 1 || b.ends(fresh).Version != 2 {
			b.Errorf("versions are wrong: %+v", s)
		}
	}},
	{"what cannot be repeated is on disk before it leaves", func(b *bench) {
		seen := make(chan bool, 1)
		b.world.Caller.On("smtp.mail_send", func(_ context.Context, c engine.Call) engine.Answer {
			events, err := b.History(b.ctx, c.Run)
			began := false
			for _, e := range events {
				began = began || e.Kind == run.Began && e.Act == c.Act
			}
			seen <- err == nil && began
			return OK(nil)
		})
		b.open(mailOnce)
		id := b.start("mail-once", nil)
		b.endsAs(id, run.Succeeded)
		if !<-seen {
			b.Error("the call left before its beginning was on disk")
		}
	}},
	{"a change leaves only when all before it is on disk", func(b *bench) {
		seen := make(chan int, 1)
		b.world.Caller.On("rep.get_ip", func(context.Context, engine.Call) engine.Answer { return OK(map[string]any{"score": 91}) })
		b.world.Caller.On("fw.block_ip", func(_ context.Context, c engine.Call) engine.Answer {
			events, _ := b.History(b.ctx, c.Run)
			finished := 0
			for _, e := range events {
				if e.Kind == run.Finished || e.Kind == run.Checked {
					finished++
				}
			}
			seen <- finished
			return OK(nil)
		})
		b.open(enrichAndBlock)
		b.endsAs(b.start("enrich-and-block", map[string]any{"ip": "203.0.113.9"}), run.Succeeded)
		if n := <-seen; n != 4 {
			b.Errorf("%d of 4 events were on disk", n)
		}
	}},
	{"large values come back whole", func(b *bench) {
		big := strings.Repeat("x", 300_000)
		b.world.Caller.On("rep.get_ip", func(context.Context, engine.Call) engine.Answer { return OK(map[string]any{"text": big}) })
		b.open("playbook: large\ntitle: Large\nsteps:\n  - id: one\n    action: rep.get_ip\n  - ask: Go on?\n    to: role:analyst\n    options: [\"yes\"]\noutputs:\n  size: ${{ len(steps.one.output.text) }}\n")
		id := b.start("large", nil)
		q := b.question(id)
		b.parked()
		b.crash()
		if err := b.Answer(b.ctx, id, q.Act, q.N, run.Answer{By: "ann", Value: []byte(`"yes"`)}); err != nil {
			b.Fatal(err)
		}
		b.endsAs(id, run.Succeeded)
		v, err := b.Get(b.ctx, id)
		if err != nil || v.Outputs["size"] != len(big) {
			b.Errorf("outputs %v, %v", v, err)
		}
	}},
	{"a run has a quota", func(b *bench) {
		b.world.Bytes = 100_000
		big := strings.Repeat("x", 40_000)
		b.world.Caller.On("rep.get_ip", func(context.Context, engine.Call) engine.Answer { return OK(big) })
		b.open("playbook: quota\ntitle: Quota\nsteps:\n  - for_each: \"[1, 2, 3, 4]\"\n    do:\n      - action: rep.get_ip\n")
		s := b.endsAs(b.start("quota", nil), run.Failed)
		if s.Code != "quota" {
			b.Errorf("the code is %q", s.Code)
		}
	}},
	{"a call that ignores its time limit is abandoned", func(b *bench) {
		release := make(chan struct{})
		b.Cleanup(func() { close(release) })
		b.world.Caller.On("rep.get_ip", func(context.Context, engine.Call) engine.Answer {
			<-release
			return OK(nil)
		})
		b.open("playbook: deaf\ntitle: Deaf\nsteps:\n  - id: look\n    action: rep.get_ip\n    timeout: 1s\n    on_error: continue\n  - action: rep.get_hash\n")
		id := b.start("deaf", nil)
		b.endsAs(id, run.Succeeded)
		if s := b.step(id, "look"); s.Status != run.TimedOut {
			b.Errorf("the step is %s", s.Status)
		}
		found := false
		for _, a := range b.Alarms() {
			found = found || a.Kind == engine.AlarmAbandoned && a.Run == id
		}
		if !found || b.Stats().Abandoned != 1 {
			b.Errorf("alarms %+v, stats %+v", b.Alarms(), b.Stats())
		}
	}},
	{"a call is told when its time is over", func(b *bench) {
		b.world.Caller.On("rep.get_ip", func(ctx context.Context, _ engine.Call) engine.Answer {
			<-ctx.Done()
			return Fail(connector.Cancelled, ctx.Err().Error())
		})
		b.open("playbook: slow\ntitle: Slow\nsteps:\n  - id: look\n    action: rep.get_ip\n    timeout: 1s\n")
		if s := b.endsAs(b.start("slow", nil), run.TimedOut); s.Code != "timeout" {
			b.Errorf("the code is %q", s.Code)
		}
	}},
	{"a call that panics fails its step only", func(b *bench) {
		b.world.Caller.On("rep.get_ip", func(context.Context, engine.Call) engine.Answer { panic("a mistake") })
		b.open("playbook: panics\ntitle: Panics\nsteps:\n  - action: rep.get_ip\n    on_error: continue\n  - action: rep.get_hash\n")
		b.endsAs(b.start("panics", nil), run.Succeeded)
	}},
	{"reads are cut off by a cancel and changes end first", func(b *bench) {
		var changed atomic.Bool
		reading, changing := make(chan struct{}), make(chan struct{})
		release := make(chan struct{})
		b.world.Caller.On("rep.get_ip", func(ctx context.Context, _ engine.Call) engine.Answer {
			close(reading)
			<-ctx.Done()
			return Fail(connector.Cancelled, "cut off")
		})
		b.world.Caller.On("fw.block_ip", func(context.Context, engine.Call) engine.Answer {
			close(changing)
			<-release
			changed.Store(true)
			return OK(nil)
		})
		b.open("playbook: both\ntitle: Both\nsteps:\n  - parallel:\n      a:\n        - { id: look, action: rep.get_ip }\n      b:\n        - { id: block, action: fw.block_ip, with: { ip: \"203.0.113.9\" } }\n        - { id: never, action: fw.block_ip, with: { ip: \"203.0.113.10\" } }\nfinally:\n  - action: log.note_end\n")
		id := b.start("both", nil)
		<-reading
		<-changing
		if err := b.Cancel(b.ctx, id, "ann", "enough"); err != nil {
			b.Fatal(err)
		}
		time.AfterFunc(20*time.Millisecond, func() { close(release) })
		b.endsAs(id, run.Cancelled)
		if !changed.Load() {
			b.Error("the run ended before its change")
		}
		if s := b.step(id, "look"); s.Status != run.Cancelled {
			b.Errorf("the read is %s", s.Status)
		}
		b.calls("fw.block_ip", 1)
		b.calls("log.note_end", 1)
		if err := b.Cancel(b.ctx, id, "ann", "again"); !errors.Is(err, fault.Conflict) {
			b.Errorf("a second cancel says %v", err)
		}
	}},
	{"a pause starts nothing new and a resume goes on", func(b *bench) {
		began, release := make(chan struct{}), make(chan struct{})
		b.world.Caller.On("rep.get_ip", func(context.Context, engine.Call) engine.Answer {
			close(began)
			<-release
			return OK(nil)
		})
		b.open(mailOnce)
		id := b.start("mail-once", nil)
		<-began
		if err := b.Pause(b.ctx, id, "ann", "wait"); err != nil {
			b.Fatal(err)
		}
		close(release)
		b.waits(id, "pause")
		b.parked()
		b.calls("smtp.mail_send", 0)
		b.crash()
		if s, _, err := b.Summary(b.ctx, id); err != nil || !s.Paused {
			b.Errorf("after a restart it is %+v, %v", s, err)
		}
		if err := b.Resume(b.ctx, id, "ann", ""); err != nil {
			b.Fatal(err)
		}
		b.endsAs(id, run.Succeeded)
		b.calls("smtp.mail_send", 1)
	}},
}
