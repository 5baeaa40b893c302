package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"
)

// event is one line of "go test -json" (see "go doc test2json").
type event struct {
	Action      string
	Package     string
	ImportPath  string // of a build event
	Test        string
	Output      string
	Elapsed     float64
	FailedBuild string // set on the failure of a package that does not build
}

// result is one test, or one package that failed outside of any test.
type result struct {
	name    string
	outcome string // pass, fail, skip
	output  string
}

// summary folds events into results.
type summary struct {
	progress io.Writer // nil: silent
	output   map[string]*strings.Builder
	parents  map[string]bool // tests that have subtests
	outcomes map[string]string
	inFailed map[string]bool // packages in which a test failed
	extra    []result
}

func newSummary() *summary {
	return &summary{
		output:   map[string]*strings.Builder{},
		parents:  map[string]bool{},
		outcomes: map[string]string{},
		inFailed: map[string]bool{},
	}
}

// add counts something that is no Go test.
func (s *summary) add(r result) { s.extra = append(s.extra, r) }

// read consumes the whole stream. A line that is no event is kept as output of
// the stream itself: the go command reports some errors that way.
func (s *summary) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 1<<20), 64<<20)
	stray := ""
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Action == "" {
			stray += lines.Text() + "\n"
			continue
		}
		s.event(e)
	}
	if stray != "" {
		s.add(result{name: "go test", outcome: "fail", output: stray})
	}
	return lines.Err()
}

func (s *summary) event(e event) {
	key := e.Package + " " + e.Test
	if e.Test == "" {
		key = e.Package
		if e.Action == "build-output" {
			key = e.ImportPath
		}
	}
	switch e.Action {
	case "output", "build-output":
		if s.output[key] == nil {
			s.output[key] = &strings.Builder{}
		}
		s.output[key].WriteString(e.Output)
	case "run":
		if i := strings.LastIndexByte(e.Test, '/'); i > 0 {
			s.parents[e.Package+" "+e.Test[:i]] = true
		}
	case "pass", "fail", "skip":
		if e.Test != "" {
			s.outcomes[key] = e.Action
			s.inFailed[e.Package] = s.inFailed[e.Package] || e.Action == "fail"
			return
		}
		s.endPackage(e)
	}
}

func (s *summary) endPackage(e event) {
	if s.progress != nil && e.Action != "skip" { // skip: no test files
		fmt.Fprintf(s.progress, "%s\t%s\t%.1fs\n", e.Action, e.Package, e.Elapsed)
	}
	// A package can fail without a failed test: it does not build, it panicked,
	// or it ran out of time.
	if e.Action == "fail" && !s.inFailed[e.Package] {
		s.add(result{name: e.Package, outcome: "fail", output: s.text(e.FailedBuild) + s.text(e.Package)})
	}
}

func (s *summary) text(key string) string {
	if b := s.output[key]; b != nil {
		return b.String()
	}
	return ""
}

// results lists what counts, sorted by name.
func (s *summary) results() []result {
	all := append([]result(nil), s.extra...)
	for key, outcome := range s.outcomes {
		// A parent may fail by itself, after its subtests passed.
		if s.parents[key] && !(outcome == "fail" && s.failedAlone(key)) {
			continue
		}
		all = append(all, result{name: key, outcome: outcome, output: s.text(key)})
	}
	// A test that began and never ended took its package down with it; the
	// package is counted as failed and its output tells.
	sort.Slice(all, func(i, j int) bool { return all[i].name < all[j].name })
	return all
}

func (s *summary) failedAlone(parent string) bool {
	for key, outcome := range s.outcomes {
		if outcome == "fail" && strings.HasPrefix(key, parent+"/") {
			return false
		}
	}
	return true
}

// write prints failures, skips and the closing line. It reports whether
// nothing failed.
func (s *summary) write(w io.Writer) bool {
	count := map[string]int{}
	all := s.results()
	for _, r := range all {
		count[r.outcome]++
	}
	for _, r := range all {
		if r.outcome == "fail" {
			fmt.Fprintf(w, "\n--- failed: %s\n%s", r.name, r.output)
		}
	}
	if count["skip"] > 0 {
		fmt.Fprintf(w, "\nnot run, and why:\n")
	}
	for _, r := range all {
		if r.outcome == "skip" {
			fmt.Fprintf(w, "  %s: %s\n", r.name, reason(r.output))
		}
	}
	fmt.Fprintf(w, "\n%d passed, %d failed, %d skipped\n", count["pass"], count["fail"], count["skip"])
	return count["fail"] == 0
}

// reason takes from a skipped test's output what t.Skip said.
func reason(output string) string {
	var said []string
	for _, line := range strings.Split(output, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- SKIP") {
			continue
		}
		// "file_test.go:12: reason" loses its place.
		if place, rest, ok := strings.Cut(line, ": "); ok && strings.Contains(place, ".go:") {
			line = rest
		}
		said = append(said, line)
	}
	if len(said) == 0 {
		return "no reason given"
	}
	return strings.Join(said, " ")
}
