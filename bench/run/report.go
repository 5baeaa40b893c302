package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"riposte/bench/meter"
)

// report is the result as JSON has it.
type report struct {
	At       time.Time  `json:"at"`
	Go       string     `json:"go"`
	Machine  string     `json:"machine"`
	Cores    int        `json:"cores"`
	Load     [2]float64 `json:"load"` // over the last minute, before and after
	Rounds   int        `json:"rounds"`
	Figures  []figure   `json:"figures"`
	Notes    []string   `json:"notes,omitempty"`
	Failures []string   `json:"failures,omitempty"`
}

// figure is one thing measured, once a round.
type figure struct {
	Part    string    `json:"part"`
	Name    string    `json:"name"`
	Unit    string    `json:"unit,omitempty"`
	Values  []float64 `json:"values"`
	Median  float64   `json:"median"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	Target  *target   `json:"target,omitempty"`
	Verdict string    `json:"verdict,omitempty"` // aim, enough, missed
}

// target is what docs/architecture.md asks for.
type target struct {
	AtLeast float64 `json:"at_least"`
	Aim     float64 `json:"aim"`
	Less    bool    `json:"less_is_better,omitempty"`
}

// more and less make targets.
func more(atLeast, aim float64) *target { return &target{AtLeast: atLeast, Aim: aim} }
func less(atMost, aim float64) *target  { return &target{AtLeast: atMost, Aim: aim, Less: true} }

func (t *target) verdict(v float64) string {
	switch {
	case t == nil:
		return ""
	case t.Less && v <= t.Aim, !t.Less && v >= t.Aim:
		return "aim"
	case t.Less && v <= t.AtLeast, !t.Less && v >= t.AtLeast:
		return "enough"
	}
	return "missed"
}

func (b *bench) head() {
	b.report.At, b.report.Go, b.report.Cores = time.Now().UTC().Truncate(time.Second), runtime.Version(), runtime.NumCPU()
	b.report.Machine, b.report.Rounds = processor(), b.rounds
	b.report.Load[0] = meter.Load()
	fmt.Fprintf(b.out, "%s, %d cores, %s; load %.1f\n", b.report.Machine, b.report.Cores, b.report.Go, b.report.Load[0])
	if b.report.Load[0] > 0.5 {
		b.note("the machine is not quiet: compare shares of the floor, not absolute figures")
	}
}

func (b *bench) foot() {
	b.report.Load[1] = meter.Load()
	fmt.Fprintf(b.out, "\nload at the end %.1f\n", b.report.Load[1])
}

func (b *bench) section(name, what string) {
	fmt.Fprintf(b.out, "\n%s: %s (load %.1f)\n", name, what, meter.Load())
	fmt.Fprintf(b.out, "  %-44s %12s  %-24s %s\n", "", "median", "range", "target: at least, aim")
}

func (b *bench) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	b.report.Notes = append(b.report.Notes, text)
	fmt.Fprintf(b.out, "  note: %s\n", text)
}

func (b *bench) failed(part string, err error) {
	text := part + ": " + err.Error()
	b.report.Failures = append(b.report.Failures, text)
	fmt.Fprintf(b.out, "  FAILED: %v\n", err)
}

// figure adds a figure and prints it.
func (b *bench) figure(part, name, unit string, t *target, values ...float64) {
	f := figure{
		Part: part, Name: name, Unit: unit, Values: values, Target: t,
		Median: meter.Quantile(values, .5), Min: meter.Quantile(values, 0), Max: meter.Quantile(values, 1),
	}
	f.Verdict = t.verdict(f.Median)
	b.report.Figures = append(b.report.Figures, f)
	label := name
	if unit != "" {
		label += ", " + unit
	}
	line := fmt.Sprintf("  %-44s %12s  %-24s", label, short(f.Median), short(f.Min)+" to "+short(f.Max))
	if t != nil {
		line += fmt.Sprintf(" %s, %s: %s", short(t.AtLeast), short(t.Aim), f.Verdict)
	}
	fmt.Fprintln(b.out, strings.TrimRight(line, " "))
}

// short writes a number with three digits that count.
func short(v float64) string {
	switch {
	case v >= 1000:
		s := fmt.Sprintf("%.0f", v)
		for i := len(s) - 3; i > 0; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// processor is the name of the machine's processor.
func processor() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
