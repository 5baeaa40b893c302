package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"riposte/internal/httpapi"
	"riposte/internal/score"
)

// scoreKey tells a score file from a file of triage rules.
var scoreKey = regexp.MustCompile(`(?m)^["']?score["']?\s*:`)

func isScoreFile(path string) bool {
	text, err := os.ReadFile(path)
	return err == nil && scoreKey.Match(text)
}

// score checks a score file and runs its tests.
func (c *checkedRules) score(path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		c.Errors = append(c.Errors, pathError(err))
		return
	}
	rules, err := score.Parse(path, text)
	if err != nil {
		c.Errors = append(c.Errors, strings.TrimSuffix(err.Error(), ": invalid"))
		return
	}
	results := rules.Test()
	c.Tests = len(results)
	for _, r := range results {
		for _, what := range r.Wrong {
			c.Failed = append(c.Failed, fmt.Sprintf("%s:%d: %s: %s", path, r.Line, r.Name, what))
		}
	}
}

// published warns of playbooks that a score file has things looked up by, and
// that the server does not have published.
func (c *checkedRules) published(w *world, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return misusef("%s", pathError(err))
	}
	rules, err := score.Parse(path, text)
	if err != nil {
		return nil // said by the check
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	items, err := fetchAll[httpapi.Playbook](s, "/api/playbooks", nil, paging{Limit: 50, All: true})
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, p := range items {
		known[p.ID] = p.Published > 0
	}
	for _, p := range rules.Enrich.Playbooks {
		if !known[p.Playbook] {
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s: enrichment: the playbook %s is not published, so nothing is looked up by it; riposte playbook publish does it", path, p.Playbook))
		}
	}
	return nil
}

type triageClosingCmd struct {
	List  closingListCmd  `cmd:"" help:"List the rules with what they closed and what people said."`
	Show  closingShowCmd  `cmd:"" help:"Show a rule and what it closed, the last first."`
	Start closingStartCmd `cmd:"" help:"Let a rule work again that has stopped itself."`
}

type closingListCmd struct{}

// Examples leads the command's help.
func (closingListCmd) Examples() string { return "riposte triage closing list --json" }

// Run lists closing rules.
func (closingListCmd) Run(w *world) error {
	items, err := closingRules(w)
	if err != nil {
		return err
	}
	return printList(w, items, "the score file closes nothing", []string{"rule", "state", "closed", "to people", "decided", "waiting", "disagreed", "allowed"}, func(r httpapi.ClosingRule) []string {
		state := "works"
		if !r.Stopped.IsZero() {
			state = "stopped " + stamp(r.Stopped)
		}
		return []string{r.Rule, state, fmt.Sprint(r.Closed), fmt.Sprintf("%d (%s)", r.Sampled, r.Sample), fmt.Sprint(r.Samples), fmt.Sprint(r.Waiting), fmt.Sprint(r.Disagree), r.Allowed}
	})
}

func closingRules(w *world) ([]httpapi.ClosingRule, error) {
	s, err := w.connect()
	if err != nil {
		return nil, err
	}
	l, err := fetch[httpapi.List[httpapi.ClosingRule]](s, "/api/closing", nil)
	return l.Items, err
}

type closingShowCmd struct {
	paging
	ID string `arg:"" name:"rule" help:"The rule, such as proven-noise."`
}

// Examples leads the command's help.
func (*closingShowCmd) Examples() string { return "riposte triage closing show proven-noise" }

// Run shows a closing rule and what it closed.
func (c *closingShowCmd) Run(w *world) error {
	rules, err := closingRules(w)
	if err != nil {
		return err
	}
	for i := range rules {
		if r := &rules[i]; r.Rule == c.ID {
			return c.show(w, r)
		}
	}
	names := make([]string, len(rules))
	for i := range rules {
		names[i] = rules[i].Rule
	}
	return misusef("there is no closing rule %q; the score file has: %s", c.ID, strings.Join(names, ", "))
}

func (c *closingShowCmd) show(w *world, r *httpapi.ClosingRule) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	closed, err := fetchAll[httpapi.Alert](s, "/api/closing/"+url.PathEscape(r.Rule)+"/alerts", nil, c.paging)
	if err != nil {
		return err
	}
	if w.json {
		return w.printJSON(struct {
			*httpapi.ClosingRule
			Alerts []httpapi.Alert `json:"alerts"`
		}{r, closed})
	}
	state := "works"
	if !r.Stopped.IsZero() {
		state = "stopped itself " + stamp(r.Stopped) + ": " + r.Why
	}
	w.facts("rule", r.Rule, "reason", r.Reason, "when", r.When, "state", state, "started", stamp(r.Started)+" by "+r.By,
		"window", fmt.Sprint(time.Duration(r.Window)*time.Second), "closed", fmt.Sprint(r.Closed),
		"to people", fmt.Sprintf("%d (%s of what it covers)", r.Sampled, r.Sample), "decided", fmt.Sprint(r.Samples),
		"waiting", fmt.Sprint(r.Waiting), "disagreed", fmt.Sprintf("%d (allowed %s of at least %d)", r.Disagree, r.Allowed, r.Least))
	if len(closed) == 0 {
		return nil
	}
	fmt.Fprintln(w.out)
	rows := make([][]string, len(closed))
	for i, a := range closed {
		rows[i] = []string{a.ID, string(a.Severity), a.Status, clip(a.Title, 60), a.Source, stamp(a.Received)}
	}
	w.table([]string{"id", "severity", "status", "title", "source", "received"}, rows)
	return nil
}

type closingStartCmd struct {
	ID     string `arg:"" name:"rule" help:"The rule, such as proven-noise."`
	Reason string `name:"reason" required:"" help:"Why it may work again; it stands in the audit log."`
}

// Examples leads the command's help.
func (*closingStartCmd) Examples() string {
	return `riposte triage closing start proven-noise --reason "The updater's rule is left out now"`
}

// Run lets a rule work again.
func (c *closingStartCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	var r httpapi.ClosingRule
	_, err = s.do(request{method: http.MethodPost, path: "/api/closing/" + url.PathEscape(c.ID) + "/start", body: map[string]string{"reason": c.Reason}}, &r)
	if err != nil {
		return err
	}
	if w.json {
		return w.printJSON(r)
	}
	fmt.Fprintf(w.out, "%s works again; what people said before does not count\n", r.Rule)
	return nil
}
