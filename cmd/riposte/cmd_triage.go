package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"riposte/internal/httpapi"
	"riposte/internal/strictyaml"
	"riposte/internal/triage"
)

type triageCmd struct {
	Check   triageCheckCmd   `cmd:"" help:"Check triage rule files and score files, on this machine."`
	Test    triageTestCmd    `cmd:"" help:"Run the tests of triage rule files and score files, on this machine."`
	Preview triagePreviewCmd `cmd:"" help:"Show what rules would have done with the alerts that a server has stored."`
	Explain triageExplainCmd `cmd:"" help:"Show which rules were asked about an alert, and why it ended as it did."`
	Rules   triageRulesCmd   `cmd:"" help:"Show the rules in force."`
	Reload  triageReloadCmd  `cmd:"" help:"Have the server read its rules again."`
	Storms  triageStormsCmd  `cmd:"" help:"List storms, the newest first."`

	Score    triageScoreCmd    `cmd:"" help:"Score the events of a file and say why, on this machine."`
	Evaluate triageEvaluateCmd `cmd:"" help:"Hold scores against alerts whose outcome is known, on this machine."`
	Closing  triageClosingCmd  `cmd:"" help:"What is closed without a person, and how people see it."`
}

// rulesFile reads and compiles one rule file.
func rulesFile(path string) (*triage.Rules, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, misusef("%s", pathError(err))
	}
	return triage.Parse(path, text)
}

type triageCheckCmd struct {
	Files  []string `arg:"" name:"file" help:"Rule files."`
	Server bool     `name:"server" help:"Ask the server, too, which of the playbooks are published."`
}

// Examples leads the command's help.
func (*triageCheckCmd) Examples() string {
	return "riposte triage check rules.yaml\nriposte triage check --server rules.yaml"
}

// checkedRules is what a check of one file found.
type checkedRules struct {
	File string `json:"file"`
	httpapi.TriageCheck
}

func (c *checkedRules) bad() bool { return len(c.Errors)+len(c.Failed) > 0 }

// Run checks files, and runs their tests.
func (c *triageCheckCmd) Run(w *world) error {
	var all []checkedRules
	for _, path := range c.Files {
		one := checkedRules{File: path, TriageCheck: httpapi.TriageCheck{Errors: []string{}, Warnings: []string{}, Failed: []string{}}}
		if c.Server && !isScoreFile(path) {
			if err := c.ask(w, path, &one); err != nil {
				return err
			}
		} else if one.check(path); c.Server {
			if err := one.published(w, path); err != nil {
				return err
			}
		}
		all = append(all, one)
	}
	return w.checkedRules(all)
}

func (c *checkedRules) check(path string) {
	if isScoreFile(path) {
		c.score(path)
		return
	}
	rules, err := rulesFile(path)
	if err != nil {
		c.Errors = append(c.Errors, strings.TrimSuffix(err.Error(), ": invalid"))
		return
	}
	for _, x := range rules.Warnings(time.Now().UTC(), nil) {
		c.Warnings = append(c.Warnings, fmt.Sprintf("%s:%d: %s", path, x.Line, x.What))
	}
	c.test(path, rules)
}

func (c *checkedRules) test(path string, rules *triage.Rules) {
	results := rules.Test()
	c.Tests = len(results)
	for _, r := range results {
		for _, what := range r.Wrong {
			c.Failed = append(c.Failed, fmt.Sprintf("%s:%d: %s: %s", path, r.Line, r.Name, what))
		}
	}
}

func (c *triageCheckCmd) ask(w *world, path string, one *checkedRules) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return misusef("%s", pathError(err))
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	body := map[string]string{"file": path, "text": string(text)}
	_, err = s.do(request{method: http.MethodPost, path: "/api/triage/check", body: body}, &one.TriageCheck)
	return err
}

// checkedRules tells what was found; files that are wrong are a failure.
func (w *world) checkedRules(all []checkedRules) error {
	failed := false
	if w.json {
		if err := w.printJSON(map[string]any{"files": all}); err != nil {
			return err
		}
	}
	for i := range all {
		c := &all[i]
		failed = failed || c.bad()
		if w.json {
			continue
		}
		for _, line := range c.Errors {
			fmt.Fprintf(w.out, "%s\n", line)
		}
		for _, line := range c.Warnings {
			fmt.Fprintf(w.out, "%s %s\n", w.paint(yellow, "warning:"), line)
		}
		for _, line := range c.Failed {
			fmt.Fprintf(w.out, "%s %s\n", w.paint(red, "failed:"), line)
		}
		if !c.bad() {
			fmt.Fprintf(w.out, "%s: %s, %d tests passed\n", c.File, w.paint(green, "ok"), c.Tests)
		}
	}
	if failed {
		return silent{exitFailed}
	}
	return nil
}

type triageTestCmd struct {
	Files []string `arg:"" name:"file" help:"Rule files."`
}

// Examples leads the command's help.
func (*triageTestCmd) Examples() string { return "riposte triage test rules.yaml" }

// Run runs the files' own tests.
func (c *triageTestCmd) Run(w *world) error {
	var all []checkedRules
	for _, path := range c.Files {
		one := checkedRules{File: path, TriageCheck: httpapi.TriageCheck{Errors: []string{}, Warnings: []string{}, Failed: []string{}}}
		if isScoreFile(path) {
			if one.score(path); len(one.Errors) == 0 && one.Tests == 0 {
				one.Errors = append(one.Errors, path+": it holds no tests")
			}
			all = append(all, one)
			continue
		}
		rules, err := rulesFile(path)
		if err != nil {
			one.Errors = append(one.Errors, strings.TrimSuffix(err.Error(), ": invalid"))
		} else if one.test(path, rules); one.Tests == 0 {
			one.Errors = append(one.Errors, path+": it holds no tests")
		}
		all = append(all, one)
	}
	return w.checkedRules(all)
}

type triagePreviewCmd struct {
	Rules string `name:"rules" placeholder:"FILE" help:"The rule file to try out. Default: the rules in force."`
	Since string `name:"since" placeholder:"TIME" default:"7d" help:"Alerts received since then: a duration such as 12h or 7d, a day, or RFC 3339."`
	Until string `name:"until" placeholder:"TIME" help:"And before; default: now."`
}

// Examples leads the command's help.
func (*triagePreviewCmd) Examples() string {
	return "riposte triage preview --rules rules.yaml --since 7d\nriposte triage preview --rules rules.yaml --since 2026-11-01 --json"
}

// moment reads a time of the command line: a duration back from now, a day, or
// RFC 3339.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if d, ok := strictyaml.ParseDuration(text); ok {
		return now.Add(-d), nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, misusef("--%s: %q is no time; expected 12h, 7d, 2026-11-24 or RFC 3339", flag, text)
}

// Run asks the server.
func (c *triagePreviewCmd) Run(w *world) error {
	now := time.Now().UTC()
	body := map[string]any{}
	since, err := moment("since", c.Since, now)
	if err != nil {
		return err
	}
	body["since"] = since
	if c.Until != "" {
		until, err := moment("until", c.Until, now)
		if err != nil {
			return err
		}
		body["until"] = until
	}
	if c.Rules != "" {
		text, err := os.ReadFile(c.Rules)
		if err != nil {
			return misusef("--rules: %s", pathError(err))
		}
		if _, err := triage.Parse(c.Rules, text); err != nil { // with its places, before anything is sent
			return misusef("%s", strings.TrimSuffix(err.Error(), ": invalid"))
		}
		body["file"], body["text"] = c.Rules, string(text)
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	var p httpapi.TriagePreview
	if _, err := s.do(request{method: http.MethodPost, path: "/api/triage/preview", body: body}, &p); err != nil {
		return err
	}
	if w.json {
		return w.printJSON(p)
	}
	w.previewed(&p)
	return nil
}

// previewed shows a preview to people.
func (w *world) previewed(p *httpapi.TriagePreview) {
	fmt.Fprintf(w.out, "%d alerts received from %s until %s: %d would have ended otherwise (%.1f s)\n\n",
		p.Alerts, stamp(p.Since), stamp(p.Until), p.Changed, p.Seconds)
	section := func(title string, head []string, rows [][]string) {
		if len(rows) == 0 {
			return
		}
		if title != "" {
			fmt.Fprintf(w.out, "\n%s\n", title)
		}
		w.table(head, rows)
	}
	var rows [][]string
	for _, o := range p.Outcomes {
		mark := "→"
		if o.Same {
			mark = "="
		}
		rows = append(rows, []string{fmt.Sprint(o.Count), o.Was, mark, o.Would, strings.Join(o.Examples, " ")})
	}
	section("", []string{"alerts", "was", "", "would be", "such as"}, rows)
	rows = nil
	for _, r := range p.Rules {
		rows = append(rows, []string{r.Rule, fmt.Sprint(r.Was), fmt.Sprint(r.Hits)})
	}
	section("What decided", []string{"rule", "was", "would"}, rows)
	rows = nil
	for _, c := range p.Cases {
		rows = append(rows, []string{c.First, string(c.Severity), fmt.Sprint(c.Alerts), c.Rule, clip(c.Title, 60)})
	}
	section(fmt.Sprintf("%d cases would have been opened", p.CaseCount), []string{"first alert", "severity", "alerts", "rule", "title"}, rows)
	rows = nil
	for _, st := range p.Starts {
		rows = append(rows, []string{st.Playbook, st.By, fmt.Sprint(st.Count)})
	}
	section("Playbooks that would have started", []string{"playbook", "by", "times"}, rows)
	rows = nil
	for _, st := range p.Storms {
		rows = append(rows, []string{st.Subject, st.Rule, stamp(st.Began), fmt.Sprint(st.Folded), fmt.Sprint(st.Passed)})
	}
	section("Storms", []string{"of", "rule", "began", "folded", "let through"}, rows)
	rows = nil
	for _, x := range p.Problems {
		rows = append(rows, []string{fmt.Sprint(x.Count), x.Problem, strings.Join(x.Alerts, " ")})
	}
	section("Rules that fail", []string{"alerts", "problem", "such as"}, rows)
	for _, x := range p.Warnings {
		fmt.Fprintf(w.err, "warning: %s\n", x)
	}
}

type triageExplainCmd struct {
	ID string `arg:"" name:"alert" help:"The alert, such as A-5521."`
}

// Examples leads the command's help.
func (*triageExplainCmd) Examples() string { return "riposte triage explain A-5521" }

// Run explains one alert.
func (c *triageExplainCmd) Run(w *world) error {
	path, err := recordPath("alerts", "A", c.ID)
	if err != nil {
		return err
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	e, err := fetch[httpapi.TriageExplanation](s, path+"/triage", nil)
	if err != nil {
		return err
	}
	if w.json {
		return w.printJSON(e)
	}
	w.facts("alert", e.Alert, "outcome", e.Outcome, "rule", e.Rule, "why", e.Why, "rules", e.Version, "note", e.Note,
		"changes", strings.Join(e.Changes, "; "), "starts", strings.Join(e.Starts, "; "))
	var rows [][]string
	for _, a := range e.Asked {
		held := "no"
		if a.Held {
			held = "yes"
		}
		what := a.What
		if a.Error != "" {
			what += " (" + a.Error + ")"
		}
		rows = append(rows, []string{a.Rule, held, what})
	}
	if len(rows) > 0 {
		fmt.Fprintln(w.out)
		w.table([]string{"asked", "held", "what came of it"}, rows)
	}
	w.history(e.History)
	return nil
}

// history shows how an alert came to stand as it does.
func (w *world) history(events []httpapi.AlertEvent) {
	if len(events) == 0 {
		return
	}
	rows := make([][]string, len(events))
	for i, e := range events {
		rows[i] = []string{stamp(e.Time), e.Status, e.By, e.Outcome}
	}
	fmt.Fprintln(w.out)
	w.table([]string{"time", "status", "by", "what happened"}, rows)
}

type triageRulesCmd struct {
	Number int  `arg:"" optional:"" name:"number" help:"The rule set that an alert remembers; default: the one in force."`
	Text   bool `name:"text" help:"Only the file as it was."`
}

// Examples leads the command's help.
func (*triageRulesCmd) Examples() string {
	return "riposte triage rules\nriposte triage rules 3 --text > rules.yaml"
}

// Run shows rules.
func (c *triageRulesCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	path := "/api/triage/rules"
	if c.Number > 0 {
		path += fmt.Sprint("/", c.Number)
	}
	r, err := fetch[httpapi.TriageRules](s, path, nil)
	if err != nil {
		return err
	}
	if c.Text && !w.json {
		_, err := fmt.Fprint(w.out, r.Text)
		return err
	}
	return w.ruleSet(&r)
}

func (w *world) ruleSet(r *httpapi.TriageRules) error {
	if w.json {
		return w.printJSON(r)
	}
	inForce := "no"
	if r.InForce {
		inForce = "yes"
	}
	w.facts("rules", r.Name, "number", fmt.Sprint(r.Number), "in force", inForce, "file", r.File, "loaded", stamp(r.Loaded), "hash", r.Hash,
		"broken", r.Broken)
	for _, x := range r.Warnings {
		fmt.Fprintf(w.out, "%s %s\n", w.paint(yellow, "warning:"), x)
	}
	return nil
}

type triageReloadCmd struct{}

// Examples leads the command's help.
func (triageReloadCmd) Examples() string { return "riposte triage reload" }

// Run has the server read its rules again.
func (triageReloadCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	var r httpapi.TriageRules
	if _, err := s.do(request{method: http.MethodPost, path: "/api/triage/reload"}, &r); err != nil {
		return err
	}
	return w.ruleSet(&r)
}

type triageStormsCmd struct{}

// Examples leads the command's help.
func (triageStormsCmd) Examples() string { return "riposte triage storms" }

// Run lists storms.
func (triageStormsCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	l, err := fetch[struct {
		Storms []httpapi.Storm `json:"storms"`
	}](s, "/api/triage/storms", nil)
	if err != nil {
		return err
	}
	return printList(w, l.Storms, "no storms", []string{"of", "rule", "case", "alert", "began", "ended", "folded"}, func(x httpapi.Storm) []string {
		return []string{x.Subject, x.Rule, x.Case, x.Alert, stamp(x.Began), stamp(x.Ended), fmt.Sprint(x.Folded)}
	})
}
