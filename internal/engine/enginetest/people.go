package enginetest

import (
	"errors"
	"sync"
	"time"

	"riposte/internal/engine"
	"riposte/internal/fault"
	"riposte/internal/run"
)

const asking = `playbook: asking
title: Ask
steps:
  - id: judge
    ask: Is it bad?
    to: role:analyst
    options: [bad, good]
    within: 2h
    default: good
  - if: steps.judge.answer == "bad"
    then:
      - id: block
        action: fw.block_ip
        with: { ip: "203.0.113.9" }
        approve: { by: role:lead, need: 2, within: 1h }
`

var peopleTests = []test{
	{"answers and approvals move a run on", func(b *bench) {
		b.open(asking)
		id := b.start("asking", nil)
		q := b.question(id)
		if q.Text != "Is it bad?" || q.Playbook != "asking" || q.By != "ann" {
			b.Errorf("the question is %+v", q)
		}
		if err := b.Answer(b.ctx, id, q.Act, q.N, run.Answer{By: "bob", Value: []byte(`"perhaps"`)}); !errors.Is(err, fault.Conflict) {
			b.Errorf("an answer that is no option says %v", err)
		}
		if err := b.Answer(b.ctx, id, q.Act, q.N, run.Answer{By: "bob", Value: []byte(`"bad"`)}); err != nil {
			b.Fatal(err)
		}
		if err := b.Answer(b.ctx, id, q.Act, q.N, run.Answer{By: "cem", Value: []byte(`"good"`)}); !errors.Is(err, fault.Conflict) {
			b.Errorf("a second answer says %v", err)
		}
		q = b.question(id)
		for i, who := range []string{"lea", "max"} {
			b.calls("fw.block_ip", 0)
			if err := b.Answer(b.ctx, id, q.Act, q.N, run.Answer{By: who, Yes: true, Quorums: []int{0}}); err != nil {
				b.Fatalf("approval %d: %v", i, err)
			}
		}
		b.endsAs(id, run.Succeeded)
		b.calls("fw.block_ip", 1)
		if list, err := b.OpenQuestions(b.ctx); err != nil || len(list) > 0 {
			b.Errorf("open questions: %v, %v", list, err)
		}
	}},
	{"one no is a no", func(b *bench) {
		b.open(asking)
		id := b.start("asking", nil)
		q := b.question(id)
		if err := b.Answer(b.ctx, id, q.Act, q.N, run.Answer{By: "bob", Value: []byte(`"bad"`)}); err != nil {
			b.Fatal(err)
		}
		q = b.question(id)
		if err := b.Answer(b.ctx, id, q.Act, q.N, run.Answer{By: "lea", Note: "it is ours"}); err != nil {
			b.Fatal(err)
		}
		b.endsAs(id, run.Denied)
		b.calls("fw.block_ip", 0)
		if len(b.world.Gate.Released()) == 0 {
			b.Error("the reservation was kept")
		}
	}},
	{"silence takes the default, and of an approval it is a no", func(b *bench) {
		clock := b.virtual()
		b.open(asking)
		id, other := b.start("asking", nil), b.start("asking", nil)
		q := b.question(other)
		b.question(id)
		if err := b.Answer(b.ctx, other, q.Act, q.N, run.Answer{By: "bob", Value: []byte(`"bad"`)}); err != nil {
			b.Fatal(err)
		}
		b.question(other)
		b.waits(other, "approval")
		clock.Move(time.Minute)
		b.parked()
		clock.Move(61 * time.Minute)
		b.endsAs(other, run.TimedOut)
		clock.Move(time.Hour)
		b.endsAs(id, run.Succeeded)
		b.calls("fw.block_ip", 0)
		if list, err := b.OpenQuestions(b.ctx); err != nil || len(list) > 0 {
			b.Errorf("open questions: %v, %v", list, err)
		}
	}},
	{"questions survive a crash and are asked once", func(b *bench) {
		b.open(asking)
		id := b.start("asking", nil)
		b.question(id)
		for range 3 {
			b.crash()
		}
		list, err := b.OpenQuestions(b.ctx)
		if err != nil || len(list) != 1 {
			b.Fatalf("open questions: %v, %v", list, err)
		}
		q := list[0]
		if err := b.Answer(b.ctx, id, q.Act, q.N, run.Answer{By: "bob", Value: []byte(`"good"`)}); err != nil {
			b.Fatal(err)
		}
		b.endsAs(id, run.Succeeded)
	}},
	{"an answer that was confirmed is never lost", func(b *bench) {
		b.open(asking)
		id := b.start("asking", nil)
		q := b.question(id)
		if err := b.Answer(b.ctx, id, q.Act, q.N, run.Answer{By: "bob", Value: []byte(`"bad"`)}); err != nil {
			b.Fatal(err)
		}
		b.crash()
		if q := b.question(id); q.Kind != run.ForApproval {
			b.Errorf("after the crash it asks %+v", q)
		}
		if s := b.step(id, "judge"); s.By != "bob" {
			b.Errorf("the answer is by %q", s.By)
		}
	}},
	{"of many answers at once one counts", func(b *bench) {
		b.open(asking)
		id := b.start("asking", nil)
		q := b.question(id)
		var wg sync.WaitGroup
		errs := make([]error, 20)
		for i := range errs {
			wg.Go(func() {
				errs[i] = b.Answer(b.ctx, id, q.Act, q.N, run.Answer{By: "bob", Value: []byte(`"good"`)})
			})
		}
		wg.Wait()
		taken := 0
		for _, err := range errs {
			switch {
			case err == nil:
				taken++
			case !errors.Is(err, fault.Conflict):
				b.Error(err)
			}
		}
		if taken != 1 {
			b.Errorf("%d answers were taken", taken)
		}
		b.endsAs(id, run.Succeeded)
	}},
	{"a cancelled run withdraws its question", func(b *bench) {
		b.open(asking)
		id := b.start("asking", nil)
		b.question(id)
		if err := b.Cancel(b.ctx, id, "ann", ""); err != nil {
			b.Fatal(err)
		}
		b.endsAs(id, run.Cancelled)
		if list, err := b.OpenQuestions(b.ctx); err != nil || len(list) > 0 {
			b.Errorf("open questions: %v, %v", list, err)
		}
	}},
	{"the guard is asked again after an approval and may want more", func(b *bench) {
		first := true
		b.world.Gate.OnAdmit(func(c engine.Call) (bool, run.CheckResult, error) {
			if c.Name != "fw.block_ip" || !first {
				return true, run.CheckResult{}, nil
			}
			first = false
			return false, run.CheckResult{Hash: "h2", Asks: []run.Quorum{{People: []string{"role:chief"}, Need: 1, Source: "policy"}}}, nil
		})
		b.open("playbook: twice\ntitle: Twice\nsteps:\n  - action: fw.block_ip\n    with: { ip: \"203.0.113.9\" }\n    approve: role:lead\n")
		id := b.start("twice", nil)
		q := b.question(id)
		if err := b.Answer(b.ctx, id, q.Act, q.N, run.Answer{By: "lea", Yes: true, Quorums: []int{0}}); err != nil {
			b.Fatal(err)
		}
		b.until("it asks again", func() bool {
			list, err := b.OpenQuestions(b.ctx)
			return err == nil && len(list) == 1 && list[0].Hash == "h2"
		})
		q = b.question(id)
		all := make([]int, len(q.Asks))
		for i := range all {
			all[i] = i
		}
		if err := b.Answer(b.ctx, id, q.Act, q.N, run.Answer{By: "zoe", Yes: true, Quorums: all}); err != nil {
			b.Fatal(err)
		}
		b.endsAs(id, run.Succeeded)
		b.calls("fw.block_ip", 1)
	}},
	{"a person sees the case as it is when a wait looks", func(b *bench) {
		clock := b.virtual()
		b.open("playbook: until\ntitle: Until\nsteps:\n  - wait: { until: \"case?.closed ?? false\", every: 1m }\n    timeout: 10m\n    on_error: continue\n  - action: rep.get_ip\n")
		id := b.start("until", nil)
		b.waits(id, "time")
		for range 11 {
			clock.Move(time.Minute)
		}
		b.endsAs(id, run.Succeeded)
	}},
}
