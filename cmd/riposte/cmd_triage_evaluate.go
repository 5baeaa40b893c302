package main

import (
	"fmt"
	"strings"

	"riposte/internal/score"
)

type triageEvaluateCmd struct {
	scoring
	Files []string `arg:"" name:"labelled" help:"Files of alerts or events with outcome in each, or files and folders of events with the outcomes in truth/ beside them; - is standard input."`
	Truth string   `name:"truth" placeholder:"FILE" help:"The outcomes of the events of one file, or a folder with a file of the same name for each: NDJSON of {line, outcome}."`
	Level int      `name:"level" placeholder:"N" help:"Where the truth gives a rule's level only: from N up the alert counts as true, below as false. That is a stand-in for outcomes, and no more."`
}

// Examples leads the command's help.
func (*triageEvaluateCmd) Examples() string {
	return "riposte triage evaluate labelled.jsonl\nriposte triage evaluate alerts/ --score draft.yaml --json\nriposte triage evaluate events.log --truth outcomes.jsonl"
}

// evaluated is what riposte triage evaluate --json writes.
type evaluated struct {
	Rules    string `json:"rules"` // the score file, with its version
	Files    int    `json:"files"`
	Left     int    `json:"without_outcome"` // events that nobody said anything about; they are in no figure
	Unread   int    `json:"unreadable"`      // events that no mapping reads; they are in the figures
	Outcomes string `json:"outcomes"`        // what the outcomes are made of
	score.Table
}

// Run scores each alert by itself and prints the error table.
func (c *triageEvaluateCmd) Run(w *world) error {
	s, err := c.open(w)
	if err != nil {
		return err
	}
	if c.Level < 0 || c.Level > 100 {
		return misusef("--level: %d is no level; expected 1 to 100, such as 7", c.Level)
	}
	files, err := labelledFiles(c.Files, c.Truth)
	if err != nil {
		return err
	}
	e := evaluated{Rules: fmt.Sprintf("%s %d", s.rules.Name, s.rules.Version), Files: len(files), Outcomes: "as labelled"}
	if c.Level > 0 {
		e.Outcomes = fmt.Sprintf("as labelled; where only a level is known, %d and more counts as true", c.Level)
	}
	var all []score.Labelled
	for _, f := range files {
		list, err := c.file(w, s, f, &e)
		if err != nil {
			return err
		}
		all = append(all, list...)
	}
	if len(all) == 0 {
		return misusef("no event of %s has a known outcome; write outcome (true_positive, benign_positive, false_positive, true or false) into each, or name the outcomes with --truth", strings.Join(c.Files, ", "))
	}
	e.Table = score.Evaluate(all)
	if w.json {
		return w.printJSON(e)
	}
	w.evaluated(&e)
	return nil
}

// file scores the events of a file whose outcome is known.
func (c *triageEvaluateCmd) file(w *world, s *scorer, f labelledFile, e *evaluated) (all []score.Labelled, err error) {
	truth, err := readTruth(w, f.truth, c.Level)
	if err != nil {
		return nil, err
	}
	items, _, err := readEvents(w, f.events, s.mappings)
	if err != nil {
		return nil, err
	}
	last := 0
	for n, item := range items {
		where := itemPlace(f.events, item.Line, n)
		line := item.Line
		if line == 0 {
			line = n + 1
		}
		last = max(last, line)
		raw, outcome, known, err := unlabel(item.Raw)
		if err != nil {
			return nil, misusef("%s: %v", where, err)
		}
		if t, ok := truth[line]; ok && !known {
			outcome, known = t, t != ""
		}
		if !known {
			e.Left++
			continue
		}
		x, err := s.read(f.events, raw)
		if err != nil {
			return nil, misusef("%s: %v", where, err)
		}
		a, _, res := s.score(&x)
		title := a.Title
		if a.Error != "" {
			e.Unread++
			title = "unreadable"
		}
		all = append(all, score.Labelled{
			Name: where + " " + clip(oneLine(title), 80), Source: a.Source, Rule: score.DetectionOf(a).Rule, Outcome: outcome, Score: res.Score, Band: res.Band,
		})
	}
	for line := range truth {
		if line > last {
			return nil, misusef("%s: line %d has an outcome, and %s ends at line %d; is it the truth of another file?", f.truth, line, f.events, last)
		}
	}
	return all, nil
}

// evaluated shows the error table to people.
func (w *world) evaluated(e *evaluated) {
	fmt.Fprintf(w.out, "%s with a known outcome, scored with %s; outcomes %s\n", count(e.Alerts, "alert"), e.Rules, e.Outcomes)
	if e.Left > 0 {
		fmt.Fprintf(w.out, "%s left out: nobody said what they were\n", count(e.Left, "event"))
	}
	if e.Unread > 0 {
		fmt.Fprintf(w.out, "%d that no mapping reads are scored as such\n", e.Unread)
	}
	fmt.Fprintln(w.out)
	rows := make([][]string, 0, 3)
	for _, r := range e.Confusion {
		of := r.FalsePositive + r.Analyst + r.Automatic
		rows = append(rows, []string{r.Outcome, fmt.Sprint(of), part(r.FalsePositive, of), part(r.Analyst, of), part(r.Automatic, of)})
	}
	w.table([]string{"outcome", "alerts", "band false_positive", "band analyst", "band automatic"}, rows)
	fmt.Fprintln(w.out)
	w.rates("automatic", e.Automatic)
	w.rates("automatic and analyst", e.Shown)
	w.facts("missed", fmt.Sprintf("%s of the true positives are in the band false_positive", percent(e.MissedShare)),
		"noise kept away", percent(e.NoiseShare)+" of what was no true positive")
	if e.AUC == nil {
		w.facts("AUC", "not known: it needs true positives and others")
	} else {
		w.facts("AUC", fmt.Sprintf("%.3f (0.5 is guessing, 1 is perfect)", *e.AUC))
	}
	w.missed(e.Missed)
	fmt.Fprintln(w.out, "\nHow often alerts of a score are true positives")
	rows = nil
	for _, d := range e.Calibration {
		if d.Total > 0 {
			rows = append(rows, []string{fmt.Sprintf("%d-%d", d.From, d.To), fmt.Sprint(d.Total), fmt.Sprint(d.True), percent(*d.Share)})
		}
	}
	w.table([]string{"score", "alerts", "true", "share"}, rows)
	w.groups("By source", "source", e.BySource)
	w.groups("By detection", "detection", e.ByRule)
}

// shownGroups is how many rows of a group people see; --json has all.
const shownGroups = 25

func (w *world) groups(title, name string, list []score.GroupRow) {
	fmt.Fprintf(w.out, "\n%s\n", title)
	var rows [][]string
	for _, g := range list[:min(len(list), shownGroups)] {
		auc := ""
		if g.AUC != nil {
			auc = fmt.Sprintf("%.2f", *g.AUC)
		}
		rows = append(rows, []string{clip(oneLine(g.Name), 60), fmt.Sprint(g.Alerts), fmt.Sprint(g.True), fmt.Sprint(g.Missed), fmt.Sprint(g.Automatic), auc})
	}
	w.table([]string{name, "alerts", "true", "missed", "wrongly automatic", "AUC"}, rows)
	if more := len(list) - shownGroups; more > 0 {
		fmt.Fprintf(w.out, "and %d more; --json has them\n", more)
	}
}

func (w *world) missed(list []score.Missed) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(w.out, "\nTrue positives in the band false_positive")
	for _, m := range list {
		fmt.Fprintf(w.out, "  %3d  %s\n", m.Score, m.Alert)
	}
}

func (w *world) rates(band string, r score.Rates) {
	text := fmt.Sprintf("%s, %d of them true positives", count(r.Alerts, "alert"), r.True)
	if r.Precision != nil {
		text += fmt.Sprintf("; precision %s (95%%: %s to %s)", percent(*r.Precision), percent(r.PrecisionCI[0]), percent(r.PrecisionCI[1]))
	}
	if r.Recall != nil {
		text += fmt.Sprintf("; recall %s (%s to %s)", percent(*r.Recall), percent(r.RecallCI[0]), percent(r.RecallCI[1]))
	}
	w.facts(band, text)
}

func percent(share float64) string { return fmt.Sprintf("%.1f%%", share*100) }

func part(n, of int) string {
	if of == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%s)", n, percent(float64(n)/float64(of)))
}
