// Command run measures Riposte beside the floor program, in interleaved rounds,
// and compares with the targets of docs/architecture.md. bench/README.md says
// what each figure means.
//
//	go run ./bench/run              everything
//	go run ./bench/run workflow     one part: workflow, steps, ingest, storm,
//	                                waiting, recovery or start
//	go run ./bench/run --json …     the result as JSON on standard output
//
// Only the figures of a quiet machine count; the load is printed with them. Exit
// codes: 0 measured, whether or not targets are met; 1 something could not be
// measured; 2 a wrong command line.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are what the command line sets.
type options struct {
	rounds   int
	runs     int
	waiting  int
	busy     int
	storm    int
	riposte  string
	postgres string
	json     bool
}

// parts are the benchmarks, in the order in which they are run.
var parts = []struct {
	name, what string
	measure    func(b *bench) error
}{
	{"workflow", "the run workflow of riposte serve beside the floor", (*bench).workflow},
	{"steps", "steps that do nothing, durable, 1,024 runs at once", (*bench).steps},
	{"ingest", "alerts taken in, one a POST and as NDJSON", (*bench).ingest},
	{"storm", "one sensor gone mad, the server killed halfway: nothing lost, nothing doubled", (*bench).storms},
	{"waiting", "memory of waiting runs", (*bench).waiting},
	{"recovery", "back at work after kill -9", (*bench).recovery},
	{"start", "start to ready, idle memory, size of the binary", (*bench).start},
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == "-child" {
		if err := child(os.Args[2], os.Args[3:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(command(os.Args[1:]))
}

func child(name string, args []string) error {
	f := children[name]
	if f == nil {
		return fmt.Errorf("there is no child %q", name)
	}
	return f(args)
}

func command(args []string) int {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&o.rounds, "rounds", 5, "interleaved rounds")
	f.IntVar(&o.runs, "runs", 3000, "runs or posts in each round")
	f.IntVar(&o.waiting, "waiting", 1_000_000, "runs that wait")
	f.IntVar(&o.busy, "busy", 100_000, "runs under way at the kill")
	f.IntVar(&o.storm, "storm", 1_000_000, "alerts in the storm")
	f.StringVar(&o.postgres, "postgres", os.Getenv("LAB_POSTGRES_URL"), "URL of a PostgreSQL to measure, too, in a schema or database that may be filled")
	f.StringVar(&o.riposte, "riposte", "bin/riposte", "the program to measure")
	f.BoolVar(&o.json, "json", false, "print the result as JSON on standard output")
	if err := f.Parse(args); err != nil {
		return 2
	}
	var wanted []string
	for _, a := range f.Args() {
		if a == "--json" || a == "-json" { // also behind the part
			o.json = true
			continue
		}
		wanted = append(wanted, a)
	}
	for _, a := range wanted {
		if !slices.ContainsFunc(parts, func(p struct {
			name, what string
			measure    func(b *bench) error
		},
		) bool {
			return p.name == a
		}) {
			var names []string
			for _, p := range parts {
				names = append(names, p.name)
			}
			fmt.Fprintf(os.Stderr, "there is no part %q; there are %s\n", a, strings.Join(names, ", "))
			return 2
		}
	}
	if o.rounds < 1 || o.runs < 1 || o.waiting < 1 || o.busy < 1 || o.storm < 1 {
		fmt.Fprintln(os.Stderr, "rounds, runs, waiting, busy and storm must be 1 or more")
		return 2
	}
	return all(o, wanted)
}

func all(o options, wanted []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := &bench{options: o, ctx: ctx, out: os.Stdout}
	if o.json {
		b.out = os.Stderr
	}
	var err error
	if b.dir, err = os.MkdirTemp("", "riposte-bench-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer remove(b.dir)
	b.head()
	code := 0
	for _, p := range parts {
		if len(wanted) > 0 && !slices.Contains(wanted, p.name) {
			continue
		}
		b.section(p.name, p.what)
		if err := p.measure(b); err != nil {
			b.failed(p.name, err)
			code = 1
		}
		if ctx.Err() != nil {
			return 1
		}
	}
	b.foot()
	if o.json {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		if err := e.Encode(b.report); err != nil {
			return 1
		}
	}
	return code
}

// bench is one run of the benchmarks.
type bench struct {
	options
	ctx    context.Context
	dir    string // thrown away at the end
	out    io.Writer
	report report
	built  string // the floor program
}

// folder makes a fresh folder.
func (b *bench) folder(name string) (string, error) {
	return os.MkdirTemp(b.dir, name+"-")
}

// floor builds the floor program once.
func (b *bench) floor() (string, error) {
	if b.built != "" {
		return b.built, nil
	}
	path := filepath.Join(b.dir, "floor")
	c := exec.CommandContext(b.ctx, "go", "build", "-trimpath", "-o", path, "./bench/floor")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the floor program (run this from the root of the repository): %w: %s", err, out)
	}
	b.built = path
	return path, nil
}

// inChild runs a part of a benchmark in a process of its own and reads what it
// tells.
func (b *bench) inChild(told any, name string, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return b.output(told, self, append([]string{"-child", name}, args...)...)
}

func (b *bench) output(told any, program string, args ...string) error {
	ctx, cancel := context.WithTimeout(b.ctx, 15*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, program, args...)
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return fmt.Errorf("%s %s: %w", filepath.Base(program), strings.Join(args, " "), err)
	}
	return json.Unmarshal(out, told)
}

//go:embed files/alert.json
var alertTemplate []byte

// sampleAlert is an alert of 1.7 KB, as a run keeps it.
func sampleAlert() json.RawMessage { return alertTemplate }

// remove throws a folder away, so that the next round finds room.
func remove(dir string) {
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
