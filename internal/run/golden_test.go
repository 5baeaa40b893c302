package run_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/connector"
	"riposte/internal/expr"
	"riposte/internal/run"
	"riposte/playbook"
)

var update = flag.Bool("update", false, "write what happens into the golden files; read the diff")

// TestHistories plays the events of each file in testdata/histories and compares
// what the interpreter asks for and reports with the indented lines beneath
// each event. The format of events is told by script.event.
func TestHistories(t *testing.T) {
	files, err := filepath.Glob("testdata/histories/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no histories: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			text, events, ok := strings.Cut(string(raw), "\n-----\n")
			if !ok {
				t.Fatalf("%s has no ----- between playbook and events", f)
			}
			got := text + "\n-----\n" + play(t, load(t, text), events)
			if *update {
				if err := os.WriteFile(f, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(string(raw), got); d != "" {
				t.Errorf("%s (-want +got):\n%s", f, d)
			}
		})
	}
}

// script plays events and writes down what follows.
type script struct {
	plan   *playbook.Plan
	state  *run.State
	now    time.Time
	timers map[string]time.Time
	past   []run.Event
	out    strings.Builder
}

var midnight = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

func play(t *testing.T, p *playbook.Plan, events string) string {
	t.Helper()
	s := &script{plan: p, now: midnight, timers: map[string]time.Time{}}
	for line := range strings.Lines(events) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "    "):
			continue
		case line == "" || strings.HasPrefix(line, "#"):
			fmt.Fprintln(&s.out, line)
			continue
		}
		fmt.Fprintln(&s.out, line)
		s.line(t, line)
	}
	return s.out.String()
}

func (s *script) line(t *testing.T, line string) {
	t.Helper()
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "later":
		d, err := playbook.ParseDuration(rest)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		s.now = s.now.Add(d)
		return
	case "again": // the last event once more
		s.step(s.past[len(s.past)-1])
		return
	}
	e, err := s.event(word, rest)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	s.step(e)
}

// event reads one line:
//
//	start JSON                        inputs
//	checked A.N allow | deny CODE | ask PEOPLE [NEED]
//	began A.N
//	finished A.N ok|already|failed|… [CLASS] [JSON]    JSON: the output
//	fired A.N                         at the timer's time
//	answered A.N BY yes|no|JSON       counts for every quorum
//	ended A.N STATUS [JSON]           of a called playbook
//	undone A.N
//	cancel | pause | resume BY
func (s *script) event(kind, rest string) (run.Event, error) {
	e := run.Event{Kind: run.EventKind(strings.TrimSuffix(kind, "ed")), At: s.now}
	f := strings.Fields(rest)
	if kind != "start" && kind != "cancel" && kind != "pause" && kind != "resume" {
		a, n, _ := strings.Cut(f[0], ".")
		act, err := strconv.Atoi(a)
		if err != nil {
			return e, err
		}
		if e.N, err = strconv.Atoi(n); err != nil {
			return e, err
		}
		e.Act = run.Act(act)
		rest = strings.TrimSpace(strings.TrimPrefix(rest, f[0]))
		f = f[1:]
	}
	e.Kind = run.EventKind(kind)
	switch kind {
	case "start":
		e.Kind = run.Started
		e.Start = &run.Start{Run: 7, Playbook: s.plan.ID, Version: 1, Inputs: json.RawMessage(rest), By: "ann"}
	case "checked":
		e.Check = &run.CheckResult{Hash: "h1", Connection: "c1"}
		switch f[0] {
		case "deny":
			e.Check.Deny, e.Check.Message = f[1], "refused by the guard"
		case "ask":
			e.Check.Asks = []run.Quorum{{People: []string{f[1]}, Need: 1, Source: "policy"}}
			e.Check.Hash = "h2"
		}
	case "finished":
		e.Result = &connector.Result{Status: connector.Status(f[0])}
		rest = strings.TrimSpace(strings.TrimPrefix(rest, f[0]))
		if rest != "" && rest[0] != '{' && rest[0] != '[' {
			e.Result.Class, rest = connector.Class(f[1]), strings.TrimSpace(strings.TrimPrefix(rest, f[1]))
			e.Result.Message = "the product said " + f[1]
			e.Result.Temporary = e.Result.Class == connector.Transient
		}
		if rest != "" {
			e.Result.Output = json.RawMessage(rest)
		}
	case "fired":
		if at, ok := s.timers[fmt.Sprintf("%d.%d", e.Act, e.N)]; ok && at.After(s.now) {
			s.now = at
		}
		e.At = s.now
	case "answered":
		e.Answer = &run.Answer{By: f[0], Quorums: []int{0, 1, 2}}
		switch f[1] {
		case "yes":
			e.Answer.Yes = true
		case "no":
		default:
			e.Answer.Value = json.RawMessage(strings.TrimSpace(strings.TrimPrefix(rest, f[0])))
		}
	case "ended":
		e.Child = &run.ChildResult{Run: 8, Status: run.Status(f[0])}
		if rest = strings.TrimSpace(strings.TrimPrefix(rest, f[0])); rest != "" {
			e.Child.Outputs = json.RawMessage(rest)
		}
		if e.Child.Status.Err() {
			e.Child.Error = &run.Error{Code: "permanent", Message: "the child's trouble"}
		}
	case "cancel", "pause", "resume":
		e.By = rest
	case "began", "undone":
	default:
		return e, fmt.Errorf("no such event")
	}
	return e, nil
}

func (s *script) step(e run.Event) {
	if s.state != nil && !s.state.Fits(e) {
		s.say("does not fit")
		return
	}
	var commands []run.Command
	s.state, commands = run.Step(s.plan, s.state, e)
	s.past = append(s.past, e)
	for _, c := range s.state.Changes() {
		if v, ok := c.View(); ok {
			s.say("%s %s%s", v.Path+":"+v.Step, v.Status, problem(v.Error, v.Status))
		}
	}
	for _, c := range commands {
		s.say("%s", s.command(c))
	}
}

func problem(e *run.Error, st run.Status) string {
	if e == nil || !st.Final() {
		return ""
	}
	return fmt.Sprintf(" (%s: %s)", e.Code, e.Message)
}

func (s *script) say(format string, args ...any) {
	fmt.Fprintf(&s.out, "    "+format+"\n", args...)
}

func (s *script) command(c run.Command) string {
	switch c := c.(type) {
	case *run.Check:
		return fmt.Sprintf("> check %d.%d %s %s", c.Act, c.N, c.Action.Name, text(c.Action.Inputs))
	case *run.Do:
		return fmt.Sprintf("> do %d.%d %s %s attempt %d", c.Act, c.N, c.Name, text(c.Inputs), c.Attempt)
	case *run.Ask:
		who := []string{}
		for _, q := range c.Question.Asks {
			who = append(who, fmt.Sprintf("%s needs %d of %s", q.Source, q.Need, strings.Join(q.People, "|")))
		}
		return fmt.Sprintf("> ask %d.%d %s %q %q (%s)", c.Act, c.N, c.Question.Kind, c.Question.Title, c.Question.Text, strings.Join(who, ", "))
	case *run.Sleep:
		s.timers[fmt.Sprintf("%d.%d", c.Act, c.N)] = c.Until
		return fmt.Sprintf("> sleep %d.%d %s", c.Act, c.N, playbook.FormatDuration(c.Until.Sub(s.now)))
	case *run.CallRun:
		return fmt.Sprintf("> call %d.%d %s %s", c.Act, c.N, c.Playbook, text(c.Inputs))
	case *run.Enter:
		return fmt.Sprintf("> enter %d %s%s %s after %s", c.Act, c.Entry.Action, c.Entry.Playbook, c.Entry.With, playbook.FormatDuration(c.Entry.After))
	case *run.TakeBack:
		return fmt.Sprintf("> take back %d.%d acts %v calls %v", c.Act, c.N, c.Acts, c.Calls)
	case *run.Drop:
		return fmt.Sprintf("> drop %d.%d", c.Act, c.N)
	case *run.Finish:
		end := fmt.Sprintf("> finish %s", c.Status)
		if c.Error != nil {
			end += fmt.Sprintf(" (%s: %s)", c.Error.Code, c.Error.Message)
		}
		if len(c.Outputs) > 0 {
			end += " " + text(c.Outputs)
		}
		return end
	}
	return "?"
}

func text(v any) string {
	b, err := expr.EncodeJSON(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
