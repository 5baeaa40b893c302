// Command testsummary reads the output of "go test -json" and ends it with one
// line that says how many tests ran:
//
//	go test -json ./... | testsummary
//
// A test that has subtests is not counted itself, they are. Failures are shown
// with their output, every skipped test with its reason. The exit code is 1
// when anything failed, also a package that does not build or a check named by
// -failed. Programs other than Go's report one test each by -passed, -failed
// and -skipped.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

func main() {
	var passed, failed, skipped names
	verbose := flag.Bool("v", false, "print one line per package as it ends")
	flag.Var(&passed, "passed", "`name` of a check outside go test that passed (repeatable)")
	flag.Var(&failed, "failed", "`name` of a check outside go test that failed (repeatable)")
	flag.Var(&skipped, "skipped", "`name: reason` of a check outside go test that did not run (repeatable)")
	flag.Parse()

	s := newSummary()
	if *verbose {
		s.progress = os.Stderr
	}
	for _, n := range passed {
		s.add(result{name: n, outcome: "pass"})
	}
	for _, n := range failed {
		s.add(result{name: n, outcome: "fail", output: "its messages stand above\n"})
	}
	for _, n := range skipped {
		name, reason, _ := strings.Cut(n, ": ")
		s.add(result{name: name, outcome: "skip", output: reason})
	}
	if err := s.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testsummary:", err)
		os.Exit(2)
	}
	if !s.write(os.Stdout) {
		os.Exit(1)
	}
}

// names collects a flag that may be given many times.
type names []string

func (n *names) String() string { return strings.Join(*n, ", ") }

// Set is called once for every use of the flag.
func (n *names) Set(s string) error {
	if s == "" {
		return fmt.Errorf("empty name")
	}
	*n = append(*n, s)
	return nil
}
