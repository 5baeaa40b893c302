package main

import (
	"fmt"
	"strings"

	"riposte/internal/httpapi"
)

type caseCmd struct {
	List caseListCmd `cmd:"" help:"List cases, the last changed first."`
	Show caseShowCmd `cmd:"" help:"Show a case with its timeline."`
}

type caseListCmd struct {
	paging
	Status   string `name:"status" enum:",open,closed" default:"" help:"open or closed."`
	Owner    string `name:"owner" help:"Only those of this person; me is you."`
	Severity string `name:"min-severity" enum:",informational,low,medium,high,critical" default:"" help:"This severity or a higher one."`
	Text     string `name:"text" short:"q" help:"Only those with these words in them, anywhere."`
}

// Examples leads the command's help.
func (*caseListCmd) Examples() string {
	return "riposte case list --status open --min-severity high\nriposte case list --owner me --json"
}

// Run lists cases.
func (c *caseListCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	items, err := fetchAll[httpapi.Case](s, "/api/cases",
		filters("status", c.Status, "owner", c.Owner, "min_severity", c.Severity, "q", c.Text), c.paging)
	if err != nil {
		return err
	}
	return printList(w, items, "no cases", []string{"id", "severity", "status", "title", "owner", "tasks", "alerts", "updated"}, func(c httpapi.Case) []string {
		return []string{c.ID, string(c.Severity), c.Status, clip(c.Title, 60), c.Owner, fmt.Sprint(c.OpenTasks), fmt.Sprint(c.AlertCount), stamp(c.Updated)}
	})
}

type caseShowCmd struct {
	ID string `arg:"" help:"The case, such as C-1042."`
}

// Examples leads the command's help.
func (*caseShowCmd) Examples() string {
	return "riposte case show C-1042\nriposte case show C-1042 --json"
}

// shownCase is a case and its timeline, as --json writes them.
type shownCase struct {
	httpapi.Case
	Timeline []httpapi.CaseEvent `json:"timeline"`
}

// Run shows a case.
func (c *caseShowCmd) Run(w *world) error {
	path, err := recordPath("cases", "C", c.ID)
	if err != nil {
		return err
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	shown := shownCase{}
	if shown.Case, err = fetch[httpapi.Case](s, path, nil); err != nil {
		return err
	}
	if shown.Timeline, err = fetchAll[httpapi.CaseEvent](s, path+"/timeline", nil, paging{Limit: 1, All: true}); err != nil {
		return err
	}
	if w.json {
		return w.printJSON(shown)
	}
	w.showCase(shown)
	return nil
}

func (w *world) showCase(c shownCase) {
	verdict := c.Verdict
	if c.Reason != "" {
		verdict += ": " + c.Reason
	}
	w.facts("case", c.ID, "title", c.Title, "status", c.Status, "severity", string(c.Severity), "verdict", verdict, "owner", c.Owner,
		"summary", c.Summary, "tags", strings.Join(c.Tags, ", "), "opened", stamp(c.Opened), "closed", stamp(c.Closed),
		"alerts", strings.Join(c.Alerts, ", "), "runs", strings.Join(c.Runs, ", "))
	for _, t := range c.Tasks {
		fmt.Fprintf(w.out, "task %s  %s  %s  %s\n", t.ID, t.Status, oneLine(t.Title), t.Assignee)
	}
	for _, o := range c.Observables {
		fmt.Fprintf(w.out, "%s  %s  %s\n", o.Type, oneLine(o.Value), o.Verdict)
	}
	fmt.Fprintln(w.out)
	widest := 0
	for _, e := range c.Timeline {
		widest = max(widest, len(oneLine(e.By)))
	}
	for _, e := range c.Timeline {
		fmt.Fprintf(w.out, "%s  %-*s  %s\n", stamp(e.Time), widest, oneLine(e.By), oneLine(e.Text))
	}
}
