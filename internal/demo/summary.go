package demo

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Summary is what came of a demo.
type Summary struct {
	AlertsIn        int            `json:"alerts_in"`  // events sent
	Alerts          int            `json:"alerts"`     // different ones
	Duplicates      int            `json:"duplicates"` // events that were there already
	Cases           int            `json:"cases"`
	Runs            map[string]int `json:"runs"`    // by status
	Actions         map[string]int `json:"actions"` // calls of connectors, by the status of their step
	Approvals       Approvals      `json:"approvals"`
	BlocksMade      int            `json:"blocks_made"` // as the firewall says
	BlocksTakenBack int            `json:"blocks_taken_back"`
	Seconds         float64        `json:"seconds"`
	Confirmed       bool           `json:"confirmed"` // by the products
	Checks          int            `json:"checks"`    // comparisons made with what they say
	Problems        []string       `json:"problems"`  // what is otherwise than it should be
}

// Approvals counts questions.
type Approvals struct {
	Asked    int `json:"asked"`
	Approved int `json:"approved"`
	Denied   int `json:"denied"`
	Expired  int `json:"expired"`
}

// problems notes what is wrong.
func (s *Summary) problems(texts ...string) { s.Problems = append(s.Problems, texts...) }

// check notes one comparison.
func (s *Summary) check(ok bool, format string, args ...any) {
	s.Checks++
	if !ok {
		s.problems(fmt.Sprintf(format, args...))
	}
}

// Write prints the summary for people.
func (s *Summary) Write(w io.Writer) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-18s %s\n", name, fmt.Sprintf(format, args...))
	}
	row("alerts in", "%d (%d different, %d duplicates)", s.AlertsIn, s.Alerts, s.Duplicates)
	row("cases", "%d", s.Cases)
	row("runs", "%s", byStatus(s.Runs))
	row("actions", "%s", byStatus(s.Actions))
	row("approvals", "%d asked, %d approved, %d denied", s.Approvals.Asked, s.Approvals.Approved, s.Approvals.Denied)
	row("blocks made", "%d", s.BlocksMade)
	row("blocks taken back", "%d", s.BlocksTakenBack)
	row("seconds", "%.1f", s.Seconds)
	if s.Confirmed {
		row("products", "confirm all of it (%d checks)", s.Checks)
	}
	for _, p := range s.Problems {
		row("WRONG", "%s", p)
	}
}

func byStatus(counts map[string]int) string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[status], strings.ReplaceAll(status, "_", " ")))
	}
	return strings.Join(parts, ", ")
}

// runView is a run as the API shows it.
type runView struct {
	ID, Playbook, Status, By, Case, Alert, Undoes string
	Error                                         *problem
	Steps                                         []stepView
}

// problem is why a run or step ended as it did.
type problem struct{ Code, Message, Step string }

func (p *problem) String() string {
	if p == nil {
		return "without a reason"
	}
	return p.Code + ": " + p.Message
}

// stepView is a step of a run.
type stepView struct {
	Step, Verb, Status, Action, By string
	Error                          *problem
}

// entryView is an entry of the ledger.
type entryView struct {
	ID, State, Done, Undo, Run, Case, Playbook string
	TakenBy                                    string `json:"taken_by"`
	Due                                        time.Time
	Targets                                    []target
}

// about is what was done, and to what.
func (e entryView) about() string { return onFirst(e.Done, e.Targets) }

// caseView is a case.
type caseView struct {
	ID, Title, Status string
	Alerts, Runs      []string
}

// count asks the server for the figures, and looks at its cases.
func (d *Demo) count(ctx context.Context, s *Summary) error {
	s.Runs, s.Actions = map[string]int{}, map[string]int{}
	runs, err := list[runView](ctx, d.Client, "/api/runs", nil)
	if err != nil {
		return err
	}
	for _, r := range runs {
		s.Runs[r.Status]++
		under := slices.Contains(underWay, r.Status) // that it is late has been said
		if err := d.Client.call(ctx, http.MethodGet, "/api/runs/"+r.ID, nil, &r); err != nil {
			return err
		}
		for _, step := range r.Steps {
			if step.Action != "" && step.Status != "pending" && step.Status != "skipped" {
				s.Actions[step.Status]++
				if under {
					continue
				}
				s.check(step.Status == "succeeded" || step.Status == "denied", "%s of %s is %s: %s", step.Action, r.ID, step.Status, step.Error)
			}
		}
		if !under {
			d.judgeRun(r, s)
		}
	}
	questions, err := list[question](ctx, d.Client, "/api/approvals", url.Values{"state": {"all"}})
	if err != nil {
		return err
	}
	for _, q := range questions {
		s.Approvals.Asked++
		switch q.Result {
		case "approved":
			s.Approvals.Approved++
		case "denied":
			s.Approvals.Denied++
		default:
			s.Approvals.Expired++
		}
	}
	return d.judgeCases(ctx, s)
}

// judgeRun looks whether a run ended as it should, and whether what somebody
// should not have tried was refused.
func (d *Demo) judgeRun(r runView, s *Summary) {
	s.check(r.Status == "succeeded", "%s of %s is %s: %s", r.ID, r.Playbook, r.Status, r.Error)
	if r.By == "" || strings.HasPrefix(r.By, "trigger") || r.Undoes != "" {
		return
	}
	for _, t := range temptations {
		if t.playbook != r.Playbook {
			continue
		}
		for _, step := range r.Steps {
			if step.Step == t.step {
				refused := step.Status == "denied" && step.Error != nil && step.Error.Code == "protected"
				s.check(refused, "%s of %s should have been refused as protected and is %s", step.Action, r.ID, step.Status)
			}
		}
	}
}

// judgeCases looks whether the cases tell the whole story.
func (d *Demo) judgeCases(ctx context.Context, s *Summary) error {
	all, err := list[caseView](ctx, d.Client, "/api/cases", nil)
	if err != nil {
		return err
	}
	s.Cases = len(all)
	told := map[string]bool{}
	for _, c := range all {
		entries, err := list[struct {
			Time           time.Time
			Kind, By, Text string
		}](ctx, d.Client, "/api/cases/"+c.ID+"/timeline", nil)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.By == "" || e.Time.IsZero() {
				s.check(false, "%s does not say who or when: %s", c.ID, e.Text)
			}
			for _, word := range stories {
				if strings.Contains(e.Text, word) {
					told[word] = true
				}
			}
		}
	}
	for _, word := range stories {
		s.check(told[word], "no case tells of %s", word)
	}
	return nil
}

// stories are what some case must tell of: what was looked up and what came of
// it, who was asked and who answered, what is in force until when and that it was
// taken back, and that an event which was reported twice is one alert.
var stories = []string{
	"Step reputation (reputation-sim.ip) with ip 198.51.100.23: succeeded on reputation-sim → ", ", score 96",
	"summary is now 198.51.100.23 has the score 96 of 100",
	"asked by demo-check-login: directory-sim.disable_user alice; to answer: 1 of role:soc-lead, until ",
	"answered yes: edr-sim.isolate ws-17 — Go on.", "answered no: edr-sim.isolate ws-23 — It has been cleaned already.",
	"In force: firewall-sim.block_ip 198.51.100.23 (L-", "Taken back: firewall-sim.block_ip 198.51.100.23 (L-",
	"In force: firewall-sim.block_domain login.invoice-update.example (L-", "Taken back: directory-sim.disable_user alice (L-",
	"edr-sim.collect_memory", "is one event, and one alert",
}
