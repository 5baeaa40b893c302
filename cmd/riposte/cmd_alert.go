package main

import (
	"fmt"
	"strings"

	"riposte/internal/httpapi"
)

type alertCmd struct {
	List alertListCmd `cmd:"" help:"List alerts, the newest first."`
	Show alertShowCmd `cmd:"" help:"Show an alert with everything that came, and what became of it."`

	Close  alertCloseCmd  `cmd:"" help:"Close alerts with a verdict."`
	Reopen alertReopenCmd `cmd:"" help:"Open alerts again that were closed or dropped."`
	Drop   alertDropCmd   `cmd:"" help:"Drop alerts: they are noise, and kept all the same."`
	Attach alertAttachCmd `cmd:"" help:"Put alerts into a case, or open one for them."`
	Detach alertDetachCmd `cmd:"" help:"Take alerts out of their case."`
	Fold   alertFoldCmd   `cmd:"" help:"Fold alerts into one that is open."`
	Unfold alertUnfoldCmd `cmd:"" help:"Take alerts out of the one that they are folded into."`

	ReadAgain alertReadAgainCmd `cmd:"" help:"Read events again that could not be read, after their mapping was put right."`
}

type alertListCmd struct {
	paging
	Status     string `name:"status" enum:",new,folded,in_case,closed,dropped" default:"" help:"Only alerts of this status."`
	Source     string `name:"source" help:"Only alerts of this source."`
	Severity   string `name:"min-severity" enum:",informational,low,medium,high,critical" default:"" help:"This severity or a higher one."`
	Band       string `name:"band" enum:",false_positive,analyst,automatic" default:"" help:"Only alerts whose score is in this band."`
	Into       string `name:"into" placeholder:"ALERT" help:"Only those that are folded into this alert."`
	Observable string `name:"observable" help:"Only alerts with this value in them."`
	Unread     bool   `name:"unread" help:"Only events that could not be read, with the reason."`
	Text       string `name:"text" short:"q" help:"Only those with these words in them, anywhere."`
}

// Examples leads the command's help.
func (*alertListCmd) Examples() string {
	return "riposte alert list --min-severity high\nriposte alert list --unread\nriposte alert list --observable 198.51.100.23 --json"
}

// Run lists alerts.
func (c *alertListCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	unread := ""
	if c.Unread {
		unread = "true"
	}
	items, err := fetchAll[httpapi.Alert](s, "/api/alerts",
		filters("status", c.Status, "source", c.Source, "min_severity", c.Severity, "observable", c.Observable, "q", c.Text, "into", c.Into, "band", c.Band, "unread", unread), c.paging)
	if err != nil {
		return err
	}
	if c.Unread {
		return printList(w, items, "every event could be read", []string{"id", "source", "received", "count", "why it could not be read"}, func(a httpapi.Alert) []string {
			return []string{a.ID, a.Source, stamp(a.Received), fmt.Sprint(a.Count), a.Error}
		})
	}
	return printList(w, items, "no alerts", []string{"id", "score", "severity", "status", "title", "source", "count", "folded", "received", "outcome"}, func(a httpapi.Alert) []string {
		return []string{a.ID, scoreOf(&a), string(a.Severity), a.Status, clip(a.Title, 60), a.Source, fmt.Sprint(a.Count), fmt.Sprint(a.Folded), stamp(a.Received), clip(a.Outcome, 60)}
	})
}

type alertShowCmd struct {
	ID string `arg:"" help:"The alert, such as A-5521."`
}

// Examples leads the command's help.
func (*alertShowCmd) Examples() string { return "riposte alert show A-5521 --json" }

// Run shows an alert.
func (c *alertShowCmd) Run(w *world) error {
	path, err := recordPath("alerts", "A", c.ID)
	if err != nil {
		return err
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	a, err := fetch[httpapi.Alert](s, path, nil)
	if err != nil {
		return err
	}
	if w.json {
		return w.printJSON(a)
	}
	folded := ""
	if a.Folded > 0 {
		folded = fmt.Sprintf("%d alerts; riposte alert list --into %s", a.Folded, a.ID)
	}
	w.facts("alert", a.ID, "title", a.Title, "severity", string(a.Severity), "status", a.Status, "outcome", a.Outcome, "rule", a.Rule,
		"verdict", a.Verdict, "into", a.Into, "folded into it", folded, "tags", strings.Join(a.Tags, ", "), "problems", strings.Join(a.Problems, "; "), "source", a.Source, "category", a.Category,
		"description", a.Description, "case", a.Case, "count", fmt.Sprint(a.Count), "time", stamp(a.Time), "received", stamp(a.Received),
		"last seen", stamp(a.LastSeen), "link", a.Link, "error", a.Error)
	w.alertScore(&a)
	for _, o := range a.Observables {
		fmt.Fprintf(w.out, "%s  %s  %s\n", o.Type, oneLine(o.Value), o.Role)
	}
	w.history(a.History)
	if len(a.Raw) > 0 {
		fmt.Fprintf(w.out, "\n%s\n", oneLine(string(a.Raw)))
	}
	return nil
}

// scoreOf is an alert's score with its band, for a cell.
func scoreOf(a *httpapi.Alert) string {
	if a.Score == nil {
		return ""
	}
	return fmt.Sprintf("%d %s", *a.Score, a.Band)
}

// alertScore shows the score with its reasons, and what it could not rest on.
func (w *world) alertScore(a *httpapi.Alert) {
	ready := stamp(a.Ready)
	if a.Waiting {
		ready = "not yet: it waits for what is looked up for it"
	}
	closing := ""
	if c := a.Closing; c != nil {
		if closing = "closed by the rule " + c.Rule; c.Sampled {
			closing = "left to a person, as one of the sample of the rule " + c.Rule
		}
	}
	w.facts("score", scoreOf(a), "ready", ready, "failed sources", strings.Join(a.Failed, "; "), "closing", closing)
	list := make([]reason, len(a.Reasons))
	for i, r := range a.Reasons {
		list[i] = reason(r)
	}
	w.reasons(list)
}
