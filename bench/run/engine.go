package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
)

// steps measures steps that do nothing, of 1,024 runs at once, in the engine on
// its real store. What a step costs depends on its impact: reads may run ahead
// of the disk, a notification waits until all before it is on disk.
func (b *bench) steps() error {
	floor, err := b.floor()
	if err != nil {
		return err
	}
	const runs, count = 1024, 50
	got := map[string][]float64{}
	for range b.rounds {
		for _, store := range []string{"sqlite", "journal"} {
			dir, err := b.folder("floor")
			if err != nil {
				return err
			}
			var told struct {
				PerSecond float64 `json:"per_second"`
			}
			if err := b.output(&told, floor, "-mode", "steps", "-store", store, "-runs", strconv.Itoa(runs), "-steps", strconv.Itoa(count), "-data", dir); err != nil {
				return err
			}
			got["floor "+store] = append(got["floor "+store], told.PerSecond)
			remove(dir)
		}
		for _, action := range []string{"rep.get_ip", "log.note_it"} {
			dir, err := b.folder("steps")
			if err != nil {
				return err
			}
			var told stepsTold
			if err := b.inChild(&told, "steps", "-data", dir, "-action", action, "-runs", strconv.Itoa(runs), "-steps", strconv.Itoa(count)); err != nil {
				return err
			}
			got[action] = append(got[action], told.PerSecond)
			got[action+" cpu"] = append(got[action+" cpu"], told.CPU)
			remove(dir)
		}
	}
	b.figure("steps", "reads (journaled, may run ahead)", "steps/s", more(100_000, 250_000), got["rep.get_ip"]...)
	b.figure("steps", "processor time of one", "µs", nil, got["rep.get_ip cpu"]...)
	b.figure("steps", "notifications (each waits for the disk)", "steps/s", more(100_000, 250_000), got["log.note_it"]...)
	b.figure("steps", "processor time of one", "µs", nil, got["log.note_it cpu"]...)
	b.figure("steps", "floor on SQLite", "steps/s", nil, got["floor sqlite"]...)
	b.figure("steps", "floor on a log file", "steps/s", nil, got["floor journal"]...)
	return nil
}

// waiting weighs runs that wait for a month.
func (b *bench) waiting() error {
	dir, err := b.folder("waiting")
	if err != nil {
		return err
	}
	defer remove(dir)
	var told waitingTold
	if err := b.inChild(&told, "waiting", "-data", dir, "-runs", strconv.Itoa(b.options.waiting)); err != nil {
		return err
	}
	b.figure("waiting", "runs that wait", "", nil, float64(b.options.waiting))
	b.figure("waiting", "memory of each (PSS of the process)", "B", less(1024, 256), told.PSS)
	b.figure("waiting", "live heap of each", "B", nil, told.Heap)
	b.figure("waiting", "disk of each, alert included", "B", nil, told.Disk)
	b.figure("waiting", "the whole process", "MiB", nil, told.Total)
	b.figure("waiting", "processor time of each", "µs", nil, told.CPU)
	b.figure("waiting", "until all had left memory", "s", nil, told.Seconds)
	return nil
}

// recovery kills a process with runs under way and times how the next one takes
// them up.
func (b *bench) recovery() error {
	dir, err := b.folder("recovery")
	if err != nil {
		return err
	}
	defer remove(dir)
	n := strconv.Itoa(b.busy)
	if err := b.fillAndKill("-data", dir, "-runs", n); err != nil {
		return err
	}
	var ready, working, memory, cpu []float64
	for range min(b.rounds, 3) { // what is left stays the same: nothing ends
		var told recoverTold
		if err := b.inChild(&told, "recover", "-data", dir, "-runs", n); err != nil {
			return err
		}
		if told.Recovered != int64(b.busy) || told.Calls != b.busy {
			return fmt.Errorf("%d of %d runs were taken up and %d calls asked for again", told.Recovered, b.busy, told.Calls)
		}
		ready, working, memory = append(ready, told.Ready), append(working, told.Working), append(memory, told.PSS)
		cpu = append(cpu, told.CPU)
	}
	b.figure("recovery", "runs under way at the kill", "", nil, float64(b.busy))
	b.figure("recovery", "until every run is back at work", "s", less(3, 1), working...)
	b.figure("recovery", "until the engine is ready", "s", nil, ready...)
	b.figure("recovery", "processor time for it", "s", nil, cpu...)
	b.figure("recovery", "memory then", "MiB", nil, memory...)
	return nil
}

// fillAndKill lets a child bring runs under way and kills it with SIGKILL.
func (b *bench) fillAndKill(args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.CommandContext(b.ctx, self, append([]string{"-child", "fill"}, args...)...)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	kill := c.Process.Kill()
	_ = c.Wait() // it says "killed"
	if err != nil || !json.Valid(line) {
		return errors.Join(errors.New("the child ended before its runs were under way"), err)
	}
	return kill
}
