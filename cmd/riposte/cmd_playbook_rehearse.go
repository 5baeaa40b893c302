package main

import (
	"fmt"
	"os"
	"time"

	"riposte/internal/rehearse"
	"riposte/playbook"
)

type playbookTestCmd struct {
	checking
	JUnit    string `name:"junit" placeholder:"FILE" help:"Write the results for a CI server."`
	Coverage int    `name:"coverage" placeholder:"PERCENT" help:"Fail where the tests go through fewer of the branches."`
}

// Examples leads the command's help.
func (*playbookTestCmd) Examples() string {
	return "riposte playbook test block-bad-ip.playbook.yaml\nriposte playbook test playbooks/ --junit results.xml --coverage 100"
}

// testReport is what the tests showed, as --json writes it.
type testReport struct {
	Passed    bool              `json:"passed"`
	Tests     int               `json:"tests"`
	Failed    int               `json:"failed"`
	Playbooks []rehearsedReport `json:"playbooks"`
}

type rehearsedReport struct {
	rehearse.Report
	Passed  bool    `json:"passed"`
	Percent float64 `json:"coverage_percent"`
}

// Run runs the tests of playbooks.
func (c *playbookTestCmd) Run(w *world) error {
	if c.Coverage < 0 || c.Coverage > 100 {
		return misusef("--coverage: %d is not a percentage", c.Coverage)
	}
	b, err := c.open(w)
	if err != nil {
		return err
	}
	if err := b.refuse(w); err != nil {
		return err
	}
	out := testReport{Passed: true, Playbooks: []rehearsedReport{}}
	var reports []rehearse.Report
	for _, s := range b.sheets {
		r := rehearse.All(playbook.Compile(s.checked), s.file, s.checked.Playbook.Tests)
		reports = append(reports, r)
		out.add(r, c.Coverage)
	}
	if c.JUnit != "" {
		xml, err := rehearse.JUnit(reports, time.Now())
		if err != nil {
			return err
		}
		if err := os.WriteFile(c.JUnit, xml, 0o644); err != nil {
			return misusef("--junit: %s", pathError(err))
		}
	}
	if w.json {
		err = w.printJSON(out)
	} else {
		c.tell(w, out)
	}
	if err == nil && !out.Passed {
		err = silent{exitFailed}
	}
	return err
}

func (t *testReport) add(r rehearse.Report, coverage int) {
	if r.Tests == nil {
		r.Tests = []rehearse.Result{}
	}
	one := rehearsedReport{Report: r, Percent: r.Coverage.Percent(), Passed: r.Passed() && r.Coverage.Percent() >= float64(coverage)}
	for _, x := range r.Tests {
		t.Tests++
		if len(x.Problems) > 0 {
			t.Failed++
		}
	}
	t.Passed = t.Passed && one.Passed
	t.Playbooks = append(t.Playbooks, one)
}

func (c *playbookTestCmd) tell(w *world, t testReport) {
	for _, p := range t.Playbooks {
		for _, r := range p.Tests {
			word := w.paint(green, "passed")
			if len(r.Problems) > 0 {
				word = w.paint(red, "FAILED")
			}
			fmt.Fprintf(w.out, "%s  %s: %s (%s)\n", word, p.Playbook, r.Name, virtual(r.Virtual))
			for _, x := range r.Problems {
				fmt.Fprintf(w.out, "  %s:%d:%d: %s\n", p.File, x.Line, x.Column, x.Message)
			}
		}
		fmt.Fprintf(w.out, "%s: %s, %d of %s (%.0f %%)\n", p.Playbook, count(len(p.Tests), "test"), p.Coverage.Taken,
			branches(p.Coverage.Total), p.Percent)
		if !p.Passed && p.Report.Passed() {
			fmt.Fprintf(w.out, "%s: fewer than %d %% of the branches\n", p.File, c.Coverage)
		}
		for _, m := range p.Coverage.Missing {
			fmt.Fprintf(w.out, "  %s:%d:1: no test goes %s of %s\n", p.File, m.Line, m.Way, m.Step)
		}
	}
	fmt.Fprintf(w.err, "%s, %d failed\n", count(t.Tests, "test"), t.Failed)
}

func branches(n int) string {
	if n == 1 {
		return "1 branch"
	}
	return fmt.Sprintf("%d branches", n)
}

func virtual(d time.Duration) string {
	if d == 0 {
		return "at once"
	}
	return playbook.FormatDuration(d.Round(time.Second)) + " of virtual time"
}
