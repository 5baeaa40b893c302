package main

import (
	"fmt"
	"os"
	"slices"

	"riposte/bench/load"
	"riposte/bench/meter"
)

// column gathers one candidate's outcomes by name.
type column map[string][]float64

func (c column) add(o load.Outcome) {
	for name, v := range map[string]float64{
		"rate": o.PerSecond, "cpu": o.CPU, "load": o.LoadCPU, "others": o.Others, "p50": o.P50, "p99": o.P99,
		"peak": o.Peak, "wrote": o.Wrote / 1000, "kept": o.Kept / 1000,
	} {
		c[name] = append(c[name], v)
	}
}

func whole(o load.Outcome) error {
	if o.Lost == 0 && o.Refused == 0 && o.Done > 0 {
		return nil
	}
	return fmt.Errorf("%w: %d done, %d lost, %d refused: %s", errLost, o.Done, o.Lost, o.Refused, o.Refusal)
}

const window = 64

// contest is Riposte and the floor at work side by side, and the mock that both
// call.
type contest struct {
	mock        *load.Mock
	ours, floor *server
	undo        []func() // what ends it, in the order in which it began
}

// contest starts both, ours on a database: "" is a file of its own.
func (b *bench) contest(database string) (c *contest, err error) {
	c = &contest{}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if c.mock, err = load.StartMock(); err != nil {
		return c, err
	}
	c.undo = append(c.undo, func() { c.mock.Close() })
	dir, err := b.prepare(database)
	if err != nil {
		return c, err
	}
	c.undo = append(c.undo, func() { remove(dir) })
	if c.ours, err = b.serve(dir); err != nil {
		return c, err
	}
	c.undo = append(c.undo, func() { c.ours.stop() })
	if err = c.ours.setUp(b.ctx, c.mock.URL); err != nil {
		return c, err
	}
	if c.floor, err = b.serveFloor(c.mock.URL, "sqlite"); err != nil {
		return c, err
	}
	c.undo = append(c.undo, func() { c.floor.stop() })
	return c, nil
}

// close ends everything, the last first.
func (c *contest) close() {
	for _, f := range slices.Backward(c.undo) {
		f()
	}
}

// workflow measures riposte serve and the floor in turns: an alert by HTTP, three
// lookups, a condition, a block.
func (b *bench) workflow() error {
	c, err := b.contest("")
	if err != nil {
		return err
	}
	defer c.close()
	mock, ours, floor := c.mock, c.ours, c.floor
	riposte := load.Target{URL: ours.url + "/api/ingest/bench", Token: token, PID: ours.pid, Data: ours.data, Body: alertTemplate}
	bare := load.Target{URL: floor.url + "/alert", PID: floor.pid, Data: floor.data, Body: alertTemplate}
	for _, t := range []load.Target{riposte, bare} { // connections are open, code is warm
		if err := whole(load.Send(b.ctx, mock, t, 100, 16)); err != nil {
			return fmt.Errorf("%s: %w; the log says %s", t.URL, err, ours.said())
		}
	}
	r, f, r1, f1, share := column{}, column{}, column{}, column{}, []float64{}
	for range b.rounds {
		many, least := load.Send(b.ctx, mock, riposte, b.runs, window), load.Send(b.ctx, mock, bare, b.runs, window)
		for _, o := range []load.Outcome{many, least} {
			if err := whole(o); err != nil {
				return err
			}
		}
		r.add(many)
		f.add(least)
		share = append(share, many.PerSecond/least.PerSecond*100)
		r1.add(load.Send(b.ctx, mock, riposte, min(b.runs, 200), 1))
		f1.add(load.Send(b.ctx, mock, bare, min(b.runs, 200), 1))
	}
	b.figure("workflow", "share of the floor", "%", more(45, 75), share...)
	b.figure("workflow", "runs", "/s", more(2000, 3500), r["rate"]...)
	b.figure("workflow", "runs of the floor (SQLite)", "/s", nil, f["rate"]...)
	b.figure("workflow", "processor time of a run", "ms", less(0.60, 0.33), r["cpu"]...)
	b.figure("workflow", "the same of the floor", "ms", nil, f["cpu"]...)
	b.figure("workflow", "p50, one at a time", "ms", less(3, 2.4), r1["p50"]...)
	b.figure("workflow", "p99, one at a time", "ms", less(10, 6), r1["p99"]...)
	b.figure("workflow", "p50 of the floor", "ms", nil, f1["p50"]...)
	b.figure("workflow", "p99 of the floor", "ms", nil, f1["p99"]...)
	b.figure("workflow", "memory at the peak", "MiB", less(150, 80), r["peak"]...)
	b.figure("workflow", "memory of the floor at the peak", "MiB", nil, f["peak"]...)
	b.figure("workflow", "written for a run", "kB", less(40, 12), r["wrote"]...)
	b.figure("workflow", "kept of a run", "kB", less(8, 3), r["kept"]...)
	b.figure("workflow", "written for a run by the floor", "kB", nil, f["wrote"]...)
	b.figure("workflow", "mock and generator for a run", "ms", nil, r["load"]...)
	b.figure("workflow", "of the machine that others used", "%", nil, r["others"]...)
	return nil
}

// start measures how long the server needs to answer, what it holds when idle
// and how large the program is.
func (b *bench) start() error {
	info, err := os.Stat(b.riposte)
	if err != nil {
		return fmt.Errorf("%w (make build makes it)", err)
	}
	dir, err := b.prepare("")
	if err != nil {
		return err
	}
	defer remove(dir)
	var took, idle []float64
	first := 0.0
	for i := range b.rounds + 1 {
		s, err := b.serve(dir)
		if err != nil {
			return err
		}
		ms := float64(s.took.Microseconds()) / 1000
		if i == 0 { // the first start makes database and keys
			first = ms
		} else {
			took, idle = append(took, ms), append(idle, meter.Settled(s.pid))
		}
		s.stop()
	}
	b.figure("start", "start to the first answer", "ms", less(250, 100), took...)
	b.figure("start", "the very first, which makes the database", "ms", nil, first)
	b.figure("start", "memory, idle", "MiB", less(40, 25), idle...)
	b.figure("start", "size of the binary", "MB", less(90, 60), float64(info.Size())/1e6)
	return nil
}
