package enginetest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"riposte/connector"
	"riposte/internal/engine"
	"riposte/internal/engine/enginetest"
	"riposte/internal/run"
	"riposte/internal/store"
)

// instant answers every call at once, with the same bytes.
type instant struct {
	answer json.RawMessage
	hold   chan struct{} // when set, calls of hold.* wait for it
	calls  atomic.Int64
}

func (i *instant) Route(_, connection, _ string) (string, engine.Limits) {
	return connection, engine.Limits{}
}

func (i *instant) Call(ctx context.Context, c engine.Call) engine.Answer {
	i.calls.Add(1)
	if i.hold != nil && strings.HasPrefix(c.Name, "hold.") {
		select {
		case <-i.hold:
		case <-ctx.Done():
		}
	}
	return engine.Answer{Result: connector.Result{Status: connector.OK, Output: i.answer}}
}

// stand is an engine without a test's world around it.
type stand struct {
	e    *engine.Engine
	db   *store.DB
	plan map[string]string // hash by slug
	stop func()
}

func newStand(tb testing.TB, dir string, caller engine.Caller, texts ...string) *stand {
	tb.Helper()
	db, err := store.Open(context.Background(), filepath.Join(dir, "riposte.db"), store.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	plans, err := enginetest.NewPlans(texts...)
	if err != nil {
		tb.Fatal(err)
	}
	s := &stand{db: db, plan: map[string]string{}}
	for _, text := range texts {
		p, err := plans.Published("", strings.Fields(text)[1], 0)
		if err != nil {
			tb.Fatal(err)
		}
		s.plan[p.ID] = p.Hash
	}
	j := db.Journal()
	s.e = &engine.Engine{Journal: j, Runs: j, Plans: plans, Caller: caller, Gate: openGate{}}
	if err := s.e.Open(context.Background()); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.e.Run(ctx) }()
	<-s.e.Ready()
	s.stop = func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	}
	return s
}

// openGate allows everything at no cost.
type openGate struct{}

func (openGate) Check(context.Context, engine.Call) (run.CheckResult, func(engine.Tx) error, error) {
	return run.CheckResult{Hash: "h", Connection: "fw"}, nil, nil
}
func (openGate) Admit(context.Context, engine.Call) (bool, run.CheckResult, error) {
	return true, run.CheckResult{}, nil
}
func (openGate) Release(engine.Tx, run.ID, run.Act) error { return nil }
func (openGate) Result(engine.Call, connector.Result)     {}

// start starts n runs, many in one transaction, and returns when they are on disk.
func (s *stand) start(tb testing.TB, n int, st run.Start) {
	tb.Helper()
	st.Plan, st.Version, st.By = s.plan[st.Playbook], 1, "ann"
	var wg sync.WaitGroup
	j := s.db.Journal()
	for n > 0 {
		some := min(n, 200)
		n -= some
		wg.Add(1)
		var begins []func()
		j.Submit(func(tx engine.Tx) error {
			begins = begins[:0]
			for range some {
				_, begin, err := s.e.StartIn(tx, st, "")
				if err != nil {
					return err
				}
				begins = append(begins, begin)
			}
			return nil
		}, func(err error) {
			if err != nil {
				tb.Error(err)
			}
			for _, begin := range begins {
				begin()
			}
			wg.Done()
		})
	}
	wg.Wait()
}

func (s *stand) ended(n int64) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s.e.Stats().Ended < n {
		<-tick.C
	}
}

func cpu() time.Duration {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

func steps(n int) string {
	return "playbook: steps\ntitle: Steps\nsteps:\n" + strings.Repeat("  - action: noop.get_it\n", n)
}

// BenchmarkSteps measures durable steps that do nothing, 1,000 runs of 50 at once.
func BenchmarkSteps(b *testing.B) {
	s := newStand(b, b.TempDir(), &instant{answer: json.RawMessage(`{}`)}, steps(50))
	defer s.stop()
	runs := max(b.N/50, 1000)
	b.ResetTimer()
	began, used := time.Now(), cpu()
	for i := 0; i < runs; i += 1000 {
		s.start(b, 1000, run.Start{Playbook: "steps", Inputs: json.RawMessage(`{}`)})
		s.ended(int64(i + 1000))
	}
	n := float64(runs/1000*1000) * 50
	b.ReportMetric(n/time.Since(began).Seconds(), "steps/s")
	b.ReportMetric(float64((cpu()-used).Nanoseconds())/n/1000, "cpu-us/step")
	b.ReportMetric(0, "ns/op")
}

const benchAlert = `{"id":"a-1","src_ip":"203.0.113.9","score":91,"text":"%s"}`

// BenchmarkRuns measures the workflow of the speed targets without its HTTP:
// three reads, a condition, a change.
func BenchmarkRuns(b *testing.B) {
	s := newStand(b, b.TempDir(), &instant{answer: json.RawMessage(`{"score":91,"verdict":"bad","tags":["a","b","c"],"text":"` + strings.Repeat("x", 150) + `"}`)}, enrichBlock)
	defer s.stop()
	alert := json.RawMessage(fmt.Sprintf(benchAlert, strings.Repeat("y", 1600)))
	runs := max(b.N, 1000)
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	b.ResetTimer()
	began, used := time.Now(), cpu()
	for i := 0; i < runs; i += 100 {
		s.start(b, 100, run.Start{Playbook: "enrich-block", Inputs: json.RawMessage(`{"ip":"203.0.113.9"}`), Alert: alert, AlertID: 7, Severity: 3})
		for s.e.Stats().Active > 200 {
			<-tick.C
		}
	}
	total := int64((runs + 99) / 100 * 100)
	s.ended(total)
	b.ReportMetric(float64(total)/time.Since(began).Seconds(), "runs/s")
	b.ReportMetric(float64((cpu()-used).Nanoseconds())/float64(total)/1000, "cpu-us/run")
	b.ReportMetric(float64(s.e.Stats().End)/float64(total), "records/run")
	b.ReportMetric(0, "ns/op")
}

const enrichBlock = `playbook: enrich-block
title: Look up, then block
inputs:
  ip: { type: string }
steps:
  - { id: one, action: rep.get_ip, with: { q: "${{ inputs.ip }}" } }
  - { id: two, action: rep.get_domain, with: { q: "${{ inputs.ip }}" } }
  - { id: three, action: rep.get_hash, with: { q: "${{ inputs.ip }}" } }
  - if: steps.three.output.score > 80
    then:
      - id: block
        action: fw.block_ip
        with: { ip: "${{ inputs.ip }}" }
`

// BenchmarkWaiting measures the memory of runs that wait for an hour.
func BenchmarkWaiting(b *testing.B) {
	s := newStand(b, b.TempDir(), &instant{answer: json.RawMessage(`{}`)}, "playbook: waits\ntitle: Waits\nsteps:\n  - wait: 1h\n")
	defer s.stop()
	s.e.Idle = time.Millisecond
	runs := max(b.N, 20_000)
	before := heap()
	began, used := time.Now(), cpu()
	for i := 0; i < runs; i += 1000 {
		s.start(b, 1000, run.Start{Playbook: "waits", Inputs: json.RawMessage(`{}`)})
	}
	total := int64((runs + 999) / 1000 * 1000)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s.e.Stats().Parked < total {
		<-tick.C
	}
	b.ReportMetric(float64(total)/time.Since(began).Seconds(), "runs/s")
	b.ReportMetric(float64((cpu()-used).Nanoseconds())/float64(total)/1000, "cpu-us/run")
	b.ReportMetric(float64(heap()-before)/float64(total), "bytes/run")
	b.ReportMetric(0, "ns/op")
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkRecovery measures the time from opening the files to every run being
// at work again, with runs under way (b.N, at least 10,000), each after two reads.
func BenchmarkRecovery(b *testing.B) {
	dir := b.TempDir()
	text := "playbook: holds\ntitle: Holds\ninputs:\n  ip: { type: string }\nsteps:\n  - { id: one, action: rep.get_ip, with: { q: \"${{ inputs.ip }}\" } }\n  - { id: two, action: rep.get_domain }\n  - { id: three, action: hold.get_it }\n"
	caller := &instant{answer: json.RawMessage(`{"score":91,"text":"` + strings.Repeat("x", 200) + `"}`), hold: make(chan struct{})}
	s := newStand(b, dir, caller, text)
	runs := max(b.N, 10_000)
	alert := json.RawMessage(fmt.Sprintf(benchAlert, strings.Repeat("y", 1600)))
	for i := 0; i < runs; i += 1000 {
		s.start(b, 1000, run.Start{Playbook: "holds", Inputs: json.RawMessage(`{"ip":"203.0.113.9"}`), Alert: alert, AlertID: 7, Severity: 3})
	}
	total := int64((runs + 999) / 1000 * 1000)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for st := s.e.Stats(); int64(st.Queued)+int64(st.Calls) < total; st = s.e.Stats() {
		<-tick.C
	}
	time.Sleep(200 * time.Millisecond)
	records := s.e.Stats().End
	s.e.Stop = time.Nanosecond
	s.stop()
	runtime.GC()
	b.ResetTimer()
	began, used := time.Now(), cpu()
	s = newStand(b, dir, caller, text)
	ready := time.Since(began)
	for st := s.e.Stats(); int64(st.Queued)+int64(st.Calls) < total; st = s.e.Stats() {
		<-tick.C
	}
	b.ReportMetric(ready.Seconds(), "s-ready")
	b.ReportMetric(time.Since(began).Seconds(), "s-all-queued")
	b.ReportMetric((cpu() - used).Seconds(), "cpu-s")
	b.ReportMetric(float64(records), "records")
	b.ReportMetric(0, "ns/op")
	close(caller.hold)
	s.e.Stop = time.Nanosecond
	s.stop()
}
