// Package meter reads what processes used from /proc and makes medians. It works
// on Linux only, as the benchmarks do.
package meter

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ticks is how many clock ticks a second /proc counts in.
const ticks = 100

type process struct {
	parent int
	used   int64 // ticks of the process and of its children that have ended
}

func processes() map[int]process {
	all := map[int]process{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return all
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it has just ended
		}
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(fields) < 15 {
			continue
		}
		var p process
		for _, k := range []int{11, 12, 13, 14} {
			n, _ := strconv.ParseInt(fields[k], 10, 64)
			p.used += n
		}
		p.parent, _ = strconv.Atoi(fields[1])
		all[pid] = p
	}
	return all
}

// family finds a process and all below it.
func family(root int, all map[int]process) []int {
	in := []int{}
	if _, ok := all[root]; ok {
		in = append(in, root)
	}
	for i := 0; i < len(in); i++ {
		for pid, p := range all {
			if p.parent == in[i] {
				in = append(in, pid)
			}
		}
	}
	return in
}

// CPU is the processor time of a process and all below it.
func CPU(pid int) time.Duration {
	all := processes()
	var t int64
	for _, p := range family(pid, all) {
		t += all[p].used
	}
	return time.Duration(t) * time.Second / ticks
}

// PSS is the memory of a process and all below it in MiB; shared pages count in
// shares.
func PSS(pid int) float64 {
	var kb int64
	for _, p := range family(pid, processes()) {
		kb += field(fmt.Sprintf("/proc/%d/smaps_rollup", p), "Pss:")
	}
	return float64(kb) / 1024
}

// Wrote is how many bytes a process and all below it sent towards the disk.
func Wrote(pid int) int64 {
	var n int64
	for _, p := range family(pid, processes()) {
		n += field(fmt.Sprintf("/proc/%d/io", p), "write_bytes:")
	}
	return n
}

// field reads a number behind a name in a file of /proc.
func field(path, name string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				n, _ := strconv.ParseInt(f[0], 10, 64)
				return n
			}
		}
	}
	return 0
}

// Kept is how much of the disk the files of a folder hold.
func Kept(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error { // what vanishes meanwhile holds nothing
		if err != nil || !e.Type().IsRegular() {
			return nil
		}
		if info, err := e.Info(); err == nil {
			if s, ok := info.Sys().(*syscall.Stat_t); ok {
				n += s.Blocks * 512
			}
		}
		return nil
	})
	return n
}

// Busy is the processor time that the whole machine has used.
func Busy() time.Duration {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	var t int64
	for i, f := range strings.Fields(line) {
		if i == 0 || i == 4 || i == 5 || i > 8 { // the name, idle, waiting for the disk, guests
			continue
		}
		n, _ := strconv.ParseInt(f, 10, 64)
		t += n
	}
	return time.Duration(t) * time.Second / ticks
}

// Self is the processor time of this process.
func Self() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Load is the machine's load over the last minute.
func Load() float64 {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(b), " ")
	n, _ := strconv.ParseFloat(first, 64)
	return n
}

// Quantile picks from values; 0.5 is the median. It does not change them.
func Quantile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(p*float64(len(sorted)-1)+0.5)]
}

// Peak watches the memory of a process until stopped.
func Peak(pid int) (stop func() float64) {
	end, result := make(chan struct{}), make(chan float64)
	go func() {
		most := PSS(pid)
		tick := time.NewTicker(300 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				most = max(most, PSS(pid))
			case <-end:
				result <- max(most, PSS(pid))
				return
			}
		}
	}()
	return func() float64 {
		close(end)
		return <-result
	}
}

// Settled waits until a process does nothing and gives its memory in MiB.
func Settled(pid int) float64 {
	before := CPU(pid)
	for range 20 {
		time.Sleep(300 * time.Millisecond)
		now := CPU(pid)
		if now-before <= 20*time.Millisecond {
			break
		}
		before = now
	}
	return PSS(pid)
}
