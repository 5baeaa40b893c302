package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"riposte/bench/meter"
	"riposte/internal/engine"
)

// children are what a benchmark does in a process of its own. Each writes lines
// of JSON.
var children = map[string]func(args []string) error{
	"steps": childSteps, "waiting": childWaiting, "fill": childFill, "recover": childRecover,
}

func tell(v any) error { return json.NewEncoder(os.Stdout).Encode(v) }

func chain(slug, action string, steps int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "playbook: %s\ntitle: Steps that do nothing\nsteps:\n", slug)
	for range steps {
		fmt.Fprintf(&b, "  - action: %s\n", action)
	}
	return b.String()
}

type stepsTold struct {
	PerSecond float64 `json:"per_second"`
	CPU       float64 `json:"cpu_us"`
}

// childSteps runs many runs of many steps that do nothing.
func childSteps(args []string) error {
	f := flag.NewFlagSet("steps", flag.ContinueOnError)
	dir, action := f.String("data", "", ""), f.String("action", "", "")
	runs, steps := f.Int("runs", 0, ""), f.Int("steps", 0, "")
	if err := f.Parse(args); err != nil {
		return err
	}
	w, err := openWorld(*dir, noop{}, chain("noop", *action, *steps))
	if err != nil {
		return err
	}
	cpu, begin := meter.Self(), time.Now()
	if err := w.begin("noop", *runs, nil); err != nil {
		return err
	}
	if err := w.until("all runs have ended", 5*time.Minute, func(s engine.Stats) bool { return s.Ended >= int64(*runs) }); err != nil {
		return err
	}
	n, seconds := float64(*runs**steps), time.Since(begin).Seconds()
	told := stepsTold{PerSecond: n / seconds, CPU: float64((meter.Self() - cpu).Microseconds()) / n}
	if err := tell(told); err != nil {
		return err
	}
	return w.close()
}

const waiting = "playbook: waits\ntitle: Waits for a month\nsteps:\n  - action: rep.get_ip\n  - wait: 30d\n  - action: log.note_end\n"

type waitingTold struct {
	Heap    float64 `json:"heap_bytes"` // each
	PSS     float64 `json:"pss_bytes"`  // each
	Disk    float64 `json:"disk_bytes"` // each
	Seconds float64 `json:"seconds"`    // until all had left memory
	CPU     float64 `json:"cpu_us"`     // each, until then
	Total   float64 `json:"pss_mib"`
}

// childWaiting parks runs and weighs what is left of them in memory.
func childWaiting(args []string) error {
	f := flag.NewFlagSet("waiting", flag.ContinueOnError)
	dir, runs := f.String("data", "", ""), f.Int("runs", 0, "")
	if err := f.Parse(args); err != nil {
		return err
	}
	w, err := openWorld(*dir, noop{}, waiting)
	if err != nil {
		return err
	}
	if err := w.begin("waits", 1000, sampleAlert()); err != nil { // what is only once is there
		return err
	}
	parked := func(n int) func(engine.Stats) bool {
		return func(s engine.Stats) bool { return s.Parked >= int64(n) && s.Active == 0 }
	}
	if err := w.until("the first runs have left memory", time.Minute, parked(1000)); err != nil {
		return err
	}
	heap, pss, disk, begin, cpu := liveHeap(), meter.PSS(os.Getpid()), meter.Kept(*dir), time.Now(), meter.Self()
	for at := 0; at < *runs; at += 50_000 { // more would be refused at the door
		n := min(50_000, *runs-at)
		if err := w.begin("waits", n, sampleAlert()); err != nil {
			return err
		}
		if err := w.until("runs leave memory", 5*time.Minute, func(s engine.Stats) bool { return s.Active < 50_000 }); err != nil {
			return err
		}
	}
	if err := w.until("all runs have left memory", 10*time.Minute, parked(1000+*runs)); err != nil {
		return err
	}
	told := waitingTold{Seconds: time.Since(begin).Seconds()}
	n := float64(*runs)
	told.CPU = float64((meter.Self() - cpu).Microseconds()) / n
	told.Heap = float64(liveHeap()-heap) / n
	told.Total = meter.PSS(os.Getpid())
	told.PSS = (told.Total - pss) * (1 << 20) / n
	told.Disk = float64(meter.Kept(*dir)-disk) / n
	if err := tell(told); err != nil {
		return err
	}
	return w.close()
}

// liveHeap is what the heap holds after everything unused has gone.
func liveHeap() int64 {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

const underWay = "playbook: busy\ntitle: Looks up three times\nsteps:\n  - action: rep.get_ip\n  - action: rep.get_domain\n  - action: rep.get_hash\n  - action: log.note_end\n"

// childFill brings runs under way, says so and waits to be killed.
func childFill(args []string) error {
	f := flag.NewFlagSet("fill", flag.ContinueOnError)
	dir, runs := f.String("data", "", ""), f.Int("runs", 0, "")
	if err := f.Parse(args); err != nil {
		return err
	}
	w, err := openWorld(*dir, noop{}, underWay)
	if err != nil {
		return err
	}
	if err := w.begin("busy", *runs, sampleAlert()); err != nil {
		return err
	}
	// Started and two results each: all of it on disk, the third call asked for.
	err = w.until("all runs are at their third step", 5*time.Minute, func(s engine.Stats) bool {
		return s.Started >= int64(*runs) && s.Events >= int64(3**runs) && s.Calls+s.Queued >= *runs
	})
	if err != nil {
		return err
	}
	if err := tell(w.Stats()); err != nil {
		return err
	}
	select {}
}

type recoverTold struct {
	Ready     float64 `json:"ready_s"`   // every run is scheduled again
	Working   float64 `json:"working_s"` // every call is asked for again
	Recovered int64   `json:"recovered"`
	Calls     int     `json:"calls"` // asked for again
	CPU       float64 `json:"cpu_s"`
	PSS       float64 `json:"pss_mib"`
}

// childRecover opens what a killed process left.
func childRecover(args []string) error {
	f := flag.NewFlagSet("recover", flag.ContinueOnError)
	dir, runs := f.String("data", "", ""), f.Int("runs", 0, "")
	if err := f.Parse(args); err != nil {
		return err
	}
	begin := time.Now()
	w, err := openWorld(*dir, noop{}, underWay)
	if err != nil {
		return err
	}
	told := recoverTold{Ready: time.Since(begin).Seconds()}
	err = w.until("all runs are at work again", 5*time.Minute, func(s engine.Stats) bool { return s.Calls+s.Queued >= *runs })
	if err != nil {
		return err
	}
	s := w.Stats()
	told.Working, told.Recovered, told.Calls, told.PSS = time.Since(begin).Seconds(), s.Recovered, s.Calls+s.Queued, meter.PSS(os.Getpid())
	told.CPU = meter.Self().Seconds()
	return tell(told) // it is killed: nothing here is worth a stop
}
