package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"riposte/internal/httpapi"
)

type runCmd struct {
	List   runListCmd   `cmd:"" help:"List runs, the newest first."`
	Show   runShowCmd   `cmd:"" help:"Show a run with its steps."`
	Start  runStartCmd  `cmd:"" help:"Start a run of a published playbook."`
	Watch  runWatchCmd  `cmd:"" help:"Follow a run until it has ended."`
	Cancel runCancelCmd `cmd:"" help:"Cancel a run: what alters something ends first, finally runs."`
	Pause  runPauseCmd  `cmd:"" help:"Pause a run: what is under way ends, nothing new starts."`
	Resume runResumeCmd `cmd:"" help:"Let a paused run go on."`
	Retry  runRetryCmd  `cmd:"" help:"Retry a failed run from where it failed, or all that failed for one reason."`
}

type runListCmd struct {
	paging
	Status   string `name:"status" enum:",pending,running,waiting,succeeded,failed,timed_out,denied,cancelled" default:"" help:"Only runs of this status."`
	Playbook string `name:"playbook" help:"Only runs of this playbook."`
	Case     string `name:"case" help:"Only runs in this case."`
	Alert    string `name:"alert" help:"Only runs on this alert."`
	Code     string `name:"code" help:"Only runs with this error code."`
}

// Examples leads the command's help.
func (*runListCmd) Examples() string {
	return "riposte run list --status failed\nriposte run list --playbook block-indicator --limit 10 --json"
}

// Run lists runs.
func (c *runListCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	runs, err := fetchAll[httpapi.Run](s, "/api/runs",
		filters("status", c.Status, "playbook", c.Playbook, "case", c.Case, "alert", c.Alert, "code", c.Code), c.paging)
	if err != nil {
		return err
	}
	return printList(w, runs, "no runs", []string{"id", "playbook", "status", "started", "by", "case", "error"}, func(r httpapi.Run) []string {
		return []string{r.ID, versioned(r), runStatus(r), stamp(r.Started), r.By, r.Case, clip(errorText(r.Error), 60)}
	})
}

func versioned(r httpapi.Run) string {
	switch {
	case r.Undoes != "":
		return "undo of " + r.Undoes
	case r.Version == 0:
		return r.Playbook + " (draft)"
	}
	return fmt.Sprintf("%s v%d", r.Playbook, r.Version)
}

func runStatus(r httpapi.Run) string {
	s := r.Status
	if r.Waiting != "" {
		s += " (" + r.Waiting + ")"
	}
	if r.Paused {
		s += ", paused"
	}
	return s
}

func errorText(e *httpapi.RunError) string {
	if e == nil {
		return ""
	}
	text := e.Code + ": " + e.Message
	if e.Step != "" {
		text = e.Step + ": " + text
	}
	return text
}

type runShowCmd struct {
	ID string `arg:"" help:"The run, such as R-88213."`
}

// Examples leads the command's help.
func (*runShowCmd) Examples() string {
	return "riposte run show R-88213\nriposte run show R-88213 --json"
}

// Run shows a run.
func (c *runShowCmd) Run(w *world) error {
	path, err := recordPath("runs", "R", c.ID)
	if err != nil {
		return err
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	r, err := fetch[httpapi.Run](s, path, nil)
	if err != nil {
		return err
	}
	return w.showRun(r)
}

func (w *world) showRun(r httpapi.Run) error {
	if w.json {
		return w.printJSON(r)
	}
	w.facts("run", r.ID, "playbook", versioned(r), "status", runStatus(r), "error", errorText(r.Error), "started", stamp(r.Started),
		"ended", stamp(r.Ended), "by", r.By, "case", r.Case, "alert", r.Alert, "parent", r.Parent, "retries", r.From, "undoes", r.Undoes,
		"inputs", string(r.Inputs), "outputs", string(r.Outputs))
	if len(r.Steps) == 0 {
		return nil
	}
	fmt.Fprintln(w.out)
	rows := make([][]string, 0, len(r.Steps))
	for _, st := range r.Steps {
		rows = append(rows, []string{st.Step, st.Status, orDash(st.Action, st.Verb), st.Connection, attempts(st), stepNote(st)})
	}
	w.table([]string{"step", "status", "what", "connection", "tries", "note"}, rows)
	return nil
}

func orDash(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func attempts(s httpapi.Step) string {
	if s.Attempts == 0 {
		return ""
	}
	return fmt.Sprint(s.Attempts)
}

func stepNote(s httpapi.Step) string {
	switch {
	case s.Error != nil:
		text := s.Error.Code + ": " + s.Error.Message
		if s.Handled {
			text += " (handled)"
		}
		return clip(text, 80)
	case s.Taken != "":
		return "went " + s.Taken
	case s.By != "":
		return clip("by "+s.By+" "+string(s.Answer), 80)
	case s.Child != "":
		return s.Child
	}
	return ""
}

type runStartCmd struct {
	Playbook string            `arg:"" help:"The playbook's id."`
	Input    map[string]string `name:"input" short:"i" placeholder:"NAME=VALUE" mapsep:"none" help:"An input; repeat it for more. JSON where it is JSON, else a text."`
	Alert    string            `name:"alert" help:"The alert to run it on."`
	Case     string            `name:"case" help:"The case to run it in."`
	Version  int               `name:"version" help:"A version instead of the one published now."`
	Draft    bool              `name:"draft" help:"The draft instead."`
	Key      string            `name:"key" help:"An idempotency key: the same key never starts twice. Default: a new one."`
	Watch    bool              `name:"watch" help:"Follow the run until it has ended."`
}

// Examples leads the command's help.
func (*runStartCmd) Examples() string {
	return "riposte run start block-indicator --input type=ip --input value=198.51.100.23 --watch\nriposte run start triage --alert A-5521"
}

// Run starts a run.
func (c *runStartCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	if c.Key == "" {
		c.Key = rand.Text()
	}
	n := httpapi.NewRun{Playbook: c.Playbook, Version: c.Version, Draft: c.Draft, Alert: c.Alert, Case: c.Case, Inputs: inputValues(c.Input)}
	var r httpapi.Run
	if _, err := s.do(request{method: http.MethodPost, path: "/api/runs", body: n, header: map[string]string{"Idempotency-Key": c.Key}}, &r); err != nil {
		return err
	}
	if c.Watch {
		return s.watch(r.ID, false)
	}
	return w.started(r)
}

func (w *world) started(r httpapi.Run) error {
	if w.json {
		return w.printJSON(r)
	}
	fmt.Fprintf(w.out, "%s started\n", r.ID)
	return nil
}

// inputValues reads values: JSON where they are JSON.
func inputValues(given map[string]string) map[string]any {
	if len(given) == 0 {
		return nil
	}
	out := map[string]any{}
	for k, v := range given {
		var j any
		if json.Unmarshal([]byte(v), &j) == nil {
			out[k] = j
		} else {
			out[k] = v
		}
	}
	return out
}

type runCancelCmd struct {
	ID     string `arg:"" help:"The run."`
	Reason string `name:"reason" help:"Why, for the timeline."`
	sure
}

// Examples leads the command's help.
func (*runCancelCmd) Examples() string {
	return "riposte run cancel R-88213 --reason \"wrong host\"\nriposte run cancel R-88213 --yes"
}

// Run cancels a run.
func (c *runCancelCmd) Run(w *world) error {
	if _, err := recordPath("runs", "R", c.ID); err != nil {
		return err
	}
	if err := w.confirm(c.sure, "Cancel "+c.ID+"?"); err != nil {
		return err
	}
	return w.control(c.ID, "cancel", c.Reason)
}

type runPauseCmd struct {
	ID     string `arg:"" help:"The run."`
	Reason string `name:"reason" help:"Why, for the timeline."`
}

// Examples leads the command's help.
func (*runPauseCmd) Examples() string {
	return "riposte run pause R-88213 --reason \"wait for the owner\""
}

// Run pauses a run.
func (c *runPauseCmd) Run(w *world) error { return w.control(c.ID, "pause", c.Reason) }

type runResumeCmd struct {
	ID     string `arg:"" help:"The run."`
	Reason string `name:"reason" help:"Why, for the timeline."`
}

// Examples leads the command's help.
func (*runResumeCmd) Examples() string { return "riposte run resume R-88213" }

// Run lets a run go on.
func (c *runResumeCmd) Run(w *world) error { return w.control(c.ID, "resume", c.Reason) }

func (w *world) control(id, verb, reason string) error {
	path, err := recordPath("runs", "R", id)
	if err != nil {
		return err
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	var r httpapi.Run
	if _, err := s.do(request{method: http.MethodPost, path: path + "/" + verb, body: map[string]string{"reason": reason}}, &r); err != nil {
		return err
	}
	if w.json {
		return w.printJSON(r)
	}
	fmt.Fprintf(w.out, "%s: %s\n", r.ID, runStatus(r))
	return nil
}

type runRetryCmd struct {
	ID          string `arg:"" optional:"" help:"The failed run."`
	AllPlaybook string `name:"all-of" placeholder:"PLAYBOOK" help:"Instead: all failed runs of this playbook …"`
	Code        string `name:"code" help:"… that failed with this code …"`
	Step        string `name:"step" help:"… at this step …"`
	Message     string `name:"message" help:"… with this in the message."`
	sure
}

// Examples leads the command's help.
func (*runRetryCmd) Examples() string {
	return "riposte run retry R-88213\nriposte run retry --all-of block-indicator --code transient --yes"
}

// Run retries one run or many.
func (c *runRetryCmd) Run(w *world) error {
	f := httpapi.RetryFilter{Playbook: c.AllPlaybook, Code: c.Code, Step: c.Step, Message: c.Message}
	many := f != httpapi.RetryFilter{}
	switch {
	case c.ID == "" && !many:
		return misusef("name a run, or what the failed runs have in common: --all-of, --code, --step, --message")
	case c.ID != "" && many:
		return misusef("name a run or what many have in common, not both")
	case many:
		return c.many(w, f)
	}
	path, err := recordPath("runs", "R", c.ID)
	if err != nil {
		return err
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	var r httpapi.Run
	if _, err := s.do(request{method: http.MethodPost, path: path + "/retry"}, &r); err != nil {
		return err
	}
	return w.started(r)
}

func (c *runRetryCmd) many(w *world, f httpapi.RetryFilter) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	if err := w.confirm(c.sure, "Retry all runs that failed so?"); err != nil {
		return err
	}
	var r httpapi.Retried
	if _, err := s.do(request{method: http.MethodPost, path: "/api/runs/retry", body: f}, &r); err != nil {
		return err
	}
	if w.json {
		return w.printJSON(r)
	}
	fmt.Fprintf(w.out, "%d started, %d left out\n", len(r.Started), r.Skipped)
	if len(r.Started) > 0 {
		fmt.Fprintln(w.out, strings.Join(r.Started, " "))
	}
	return nil
}
