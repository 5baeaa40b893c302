package main

import (
	"fmt"
	"net/http"
	"strings"

	"riposte/internal/httpapi"
)

type approvalCmd struct {
	List    approvalListCmd    `cmd:"" help:"List what people are asked, the longest waiting first."`
	Show    approvalShowCmd    `cmd:"" help:"Show a question with everything that is needed to decide."`
	Approve approvalApproveCmd `cmd:"" help:"Say yes."`
	Deny    approvalDenyCmd    `cmd:"" help:"Say no."`
	Answer  approvalAnswerCmd  `cmd:"" help:"Answer a question of a playbook."`
}

type approvalListCmd struct {
	paging
	State string `name:"state" enum:"open,closed,all" default:"open" help:"open, closed or all."`
	Mine  bool   `name:"mine" help:"Only those that ask you."`
	OfRun string `name:"run" help:"Only those of this run."`
	Case  string `name:"case" help:"Only those of this case."`
}

// Examples leads the command's help.
func (*approvalListCmd) Examples() string {
	return "riposte approval list --mine\nriposte approval list --state all --case C-1042 --json"
}

// Run lists questions.
func (c *approvalListCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	q := filters("state", c.State, "run", c.OfRun, "case", c.Case)
	if c.Mine {
		q.Set("mine", "true")
	}
	items, err := fetchAll[httpapi.Approval](s, "/api/approvals", q, c.paging)
	if err != nil {
		return err
	}
	return printList(w, items, "nobody is asked anything", []string{"id", "kind", "state", "title", "asks", "until", "run"}, func(a httpapi.Approval) []string {
		state := a.State
		if a.Result != "" {
			state = a.Result
		}
		return []string{a.ID, a.Kind, state, clip(a.Title, 60), asked(a), stamp(a.Until), a.Run}
	})
}

func asked(a httpapi.Approval) string {
	var all []string
	for _, q := range a.Asks {
		all = append(all, fmt.Sprintf("%d of %s", q.Need, strings.Join(q.People, ", ")))
	}
	return strings.Join(all, "; ")
}

type approvalShowCmd struct {
	ID string `arg:"" help:"The question, such as AP-5519."`
}

// Examples leads the command's help.
func (*approvalShowCmd) Examples() string { return "riposte approval show AP-5519" }

// Run shows a question.
func (c *approvalShowCmd) Run(w *world) error {
	path, err := recordPath("approvals", "AP", c.ID)
	if err != nil {
		return err
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	a, err := fetch[httpapi.Approval](s, path, nil)
	if err != nil {
		return err
	}
	return w.showApproval(a)
}

func (w *world) showApproval(a httpapi.Approval) error {
	if w.json {
		return w.printJSON(a)
	}
	var targets []string
	for _, t := range a.Targets {
		targets = append(targets, t.Kind+" "+t.Value)
	}
	undo := a.Undo
	if undo == "" && a.Action != "" {
		undo = "cannot be taken back"
	}
	state := a.State
	if a.Result != "" {
		state += ", " + a.Result
	}
	w.facts("id", a.ID, "kind", a.Kind, "state", state, "title", a.Title, "text", a.Text, "action", a.Action, "connection", a.Connection,
		"on", strings.Join(targets, ", "), "inputs", string(a.Inputs), "undo", undo, "why", a.Rule, "options", strings.Join(a.Options, ", "),
		"asks", asked(a), "asked", stamp(a.Asked), "until", stamp(a.Until), "playbook", a.Playbook, "run", a.Run, "step", a.Step, "by", a.By,
		"case", a.Case, "alert", a.Alert, "hash", a.Hash)
	for _, g := range a.Answers {
		fmt.Fprintf(w.out, "%s  %s  %s %s\n", stamp(g.At), g.By, said(g), oneLine(g.Note))
	}
	return nil
}

func said(g httpapi.GivenAnswer) string {
	switch {
	case g.Value != nil:
		return oneLine(string(g.Value))
	case g.Yes != nil && *g.Yes:
		return "yes"
	}
	return "no"
}

type approvalApproveCmd struct {
	ID   string `arg:"" help:"The question."`
	Note string `name:"note" help:"For the record."`
	Hash string `name:"hash" help:"The hash that you saw: refused where the action is another one by now."`
}

// Examples leads the command's help.
func (*approvalApproveCmd) Examples() string {
	return "riposte approval approve AP-5519 --note \"seen, it is ours\""
}

// Run says yes.
func (c *approvalApproveCmd) Run(w *world) error {
	return w.decide(c.ID, "approve", map[string]any{"note": c.Note, "hash": c.Hash})
}

type approvalDenyCmd struct {
	ID   string `arg:"" help:"The question."`
	Note string `name:"note" help:"Why, for the record."`
}

// Examples leads the command's help.
func (*approvalDenyCmd) Examples() string {
	return "riposte approval deny AP-5519 --note \"this is the backup server\""
}

// Run says no.
func (c *approvalDenyCmd) Run(w *world) error {
	return w.decide(c.ID, "deny", map[string]any{"note": c.Note})
}

type approvalAnswerCmd struct {
	ID    string `arg:"" help:"The question."`
	Value string `arg:"" help:"One of the options, or JSON for a form; done or not_done where it is asked whether something was done."`
	Note  string `name:"note" help:"For the record."`
}

// Examples leads the command's help.
func (*approvalAnswerCmd) Examples() string {
	return "riposte approval answer AP-12 block\nriposte approval answer AP-13 '{\"owner\": \"it\", \"days\": 3}'"
}

// Run answers. Only a form is answered by JSON: an option is a text, even if it
// looks like a number.
func (c *approvalAnswerCmd) Run(w *world) error {
	path, err := recordPath("approvals", "AP", c.ID)
	if err != nil {
		return err
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	a, err := fetch[httpapi.Approval](s, path, nil)
	if err != nil {
		return err
	}
	var value any = c.Value
	if a.Form != nil {
		value = inputValues(map[string]string{"v": c.Value})["v"]
	}
	return w.decide(c.ID, "answer", map[string]any{"value": value, "note": c.Note})
}

func (w *world) decide(id, verb string, body map[string]any) error {
	path, err := recordPath("approvals", "AP", id)
	if err != nil {
		return err
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	var a httpapi.Approval
	if _, err := s.do(request{method: http.MethodPost, path: path + "/" + verb, body: body}, &a); err != nil {
		return err
	}
	if w.json {
		return w.printJSON(a)
	}
	state := a.State
	if a.Result != "" {
		state = a.Result
	}
	fmt.Fprintf(w.out, "%s: %s\n", a.ID, state)
	return nil
}
