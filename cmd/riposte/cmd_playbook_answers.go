package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"riposte/internal/expr"
	"riposte/internal/httpapi"
	"riposte/internal/run"
	"riposte/playbook"
)

// answers gathers what --answers and --answer say and holds it against the steps
// that ask.
func (c *playbookRunCmd) answers(s *sheet) (map[string]any, error) {
	var file struct {
		Answer map[string]any `yaml:"answer" doc:"answers by step id; approve or deny for approvals"`
	}
	if c.Answers != "" {
		if err := yamlFile("--answers", c.Answers, &file); err != nil {
			return nil, err
		}
	}
	asks := asking(playbook.Compile(s.checked))
	all := map[string]any{}
	for id, v := range file.Answer {
		if wrong := wrongAnswer(asks, id, v); wrong != "" {
			return nil, misusef("--answers: %s: %s", c.Answers, wrong)
		}
		all[id] = v
	}
	for id, text := range c.Answer {
		var v any = text
		if n := asks[id]; n != nil && n.Ask != nil && n.Ask.Form != nil {
			v = inputValues(map[string]string{"v": text})["v"]
		}
		if wrong := wrongAnswer(asks, id, v); wrong != "" {
			return nil, misusef("--answer: %s", wrong)
		}
		all[id] = v
	}
	return all, nil
}

// asking finds the steps that ask people, by id.
func asking(p *playbook.Plan) map[string]*playbook.Node {
	m := map[string]*playbook.Node{}
	for i := range p.Nodes {
		n := &p.Nodes[i]
		approved := n.Action != nil || n.Call != nil // the policy may want an approval, too
		if n.Step != "" && (n.Ask != nil || approved) {
			m[n.Step] = n
		}
	}
	return m
}

// wrongAnswer says why a step cannot be answered so, "" if it can.
func wrongAnswer(asks map[string]*playbook.Node, id string, v any) string {
	n := asks[id]
	if n == nil {
		ids := []string{}
		for known, n := range asks {
			if n.Ask != nil || n.Action != nil && n.Action.Approve != nil || n.Call != nil && n.Call.Approve != nil {
				ids = append(ids, known)
			}
		}
		slices.Sort(ids)
		return fmt.Sprintf("no step %q asks anybody; those that do: %s", id, cmp.Or(strings.Join(ids, ", "), "none"))
	}
	if n.Ask == nil {
		if v != "approve" && v != "deny" {
			return fmt.Sprintf("step %s is approved or not; say approve or deny", id)
		}
		return ""
	}
	raw, err := expr.EncodeJSON(v)
	if err != nil {
		return fmt.Sprintf("step %s: %s", id, plainError(err))
	}
	q := run.Question{Options: n.Ask.Options, Form: n.Ask.Form}
	if wrong := q.Wrong(raw); wrong != "" {
		return fmt.Sprintf("step %s: %s", id, wrong)
	}
	return ""
}

// questions attends to what a run asks, and what the runs below it ask: answers
// that were given beforehand, else the person at the terminal.
type questions struct {
	server *server
	owner  string // who answers
	run    string
	given  map[string]any
	seen   map[string]bool
	lines  chan string // what is typed; nil before the first prompt
}

func (c *playbookRunCmd) questions(s *server, owner, id string) *questions {
	return &questions{server: s, owner: owner, run: id, given: c.told, seen: map[string]bool{}}
}

// attend goes on until the run has ended.
func (q *questions) attend(ctx context.Context) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, id := range q.family(q.run, nil) {
			open, err := fetchAll[httpapi.Approval](q.server, "/api/approvals", filters("state", "open", "run", id), paging{All: true, Limit: 1})
			if err != nil {
				break // the next look may fare better; the run says how it ends
			}
			for _, a := range open {
				if !q.seen[a.ID] {
					q.seen[a.ID] = true
					q.attendTo(ctx, a)
				}
			}
		}
	}
}

// family lists a run and those that it called.
func (q *questions) family(id string, so []string) []string {
	so = append(so, id)
	children, err := fetchAll[httpapi.Run](q.server, "/api/runs", filters("parent", id), paging{All: true, Limit: 1})
	if err != nil {
		return so
	}
	for _, r := range children {
		so = q.family(r.ID, so)
	}
	return so
}

// attendTo answers one question, or says who can.
func (q *questions) attendTo(ctx context.Context, a httpapi.Approval) {
	w := q.server.w
	v, given := q.given[a.Step]
	given = given && a.Run == q.run && a.Kind != string(run.ForOutcome)
	switch {
	case given && a.Mine:
		if err := q.say(a, v, ""); err != nil {
			fmt.Fprintf(w.err, "%s: %s\n", a.ID, plainError(err))
		}
	case !a.Mine:
		fmt.Fprintf(w.err, "%s waits: %s (%s). %s may not answer it; run with --as NAME, or answer it on the page at %s\n",
			a.ID, oneLine(a.Title), asked(a), q.owner, q.server.base)
	case w.askSecret == nil:
		fmt.Fprintf(w.err, "%s waits: %s (%s). Say --answer %s=…, or answer it on the page at %s\n",
			a.ID, oneLine(a.Title), asked(a), a.Step, q.server.base)
	default:
		q.prompt(ctx, a)
	}
}

// say sends an answer.
func (q *questions) say(a httpapi.Approval, v any, note string) error {
	verb, body := "answer", map[string]any{"value": v, "note": note}
	if a.Kind == string(run.ForApproval) {
		verb, body = fmt.Sprint(v), map[string]any{"note": note}
		if verb == "approve" {
			body["hash"] = a.Hash
		}
	}
	_, err := q.server.do(request{method: http.MethodPost, path: "/api/approvals/" + url.PathEscape(a.ID) + "/" + verb, body: body}, nil)
	return err
}

// prompt asks at the terminal until there is an answer that fits, or none is
// wanted any more.
func (q *questions) prompt(ctx context.Context, a httpapi.Approval) {
	w := q.server.w
	talk := *w
	talk.out, talk.json = w.err, false
	fmt.Fprintln(w.err)
	_ = talk.showApproval(a) // to the terminal: there is nobody else to tell
	for {
		fmt.Fprintf(w.err, "%s: ", wanted(a))
		line, ok := q.line(ctx, a.ID)
		if !ok {
			fmt.Fprintf(w.err, "\n%s is closed\n", a.ID)
			return
		}
		if line == "" {
			fmt.Fprintf(w.err, "%s stays open; answer it on the page at %s\n", a.ID, q.server.base)
			return
		}
		v, note, ok := heard(a, line)
		if !ok {
			continue
		}
		err := q.say(a, v, note)
		if err == nil {
			return
		}
		fmt.Fprintln(w.err, plainError(err))
	}
}

// wanted says what may be typed.
func wanted(a httpapi.Approval) string {
	switch {
	case a.Kind == string(run.ForApproval):
		return "approve, or deny and why"
	case a.Kind == string(run.ForOutcome):
		return "done or not_done"
	case len(a.Options) > 0:
		return strings.Join(a.Options, ", ")
	case a.Form != nil:
		return "JSON for the form"
	}
	return "answer"
}

// heard turns a line into an answer: only a form is answered by JSON, and what
// follows a yes or a no is its note. It is not ok where it is neither.
func heard(a httpapi.Approval, line string) (v any, note string, ok bool) {
	if a.Kind == string(run.ForApproval) {
		word, rest, _ := strings.Cut(line, " ")
		switch strings.ToLower(strings.TrimRight(word, ",:;.")) {
		case "approve", "yes", "y":
			return "approve", strings.TrimSpace(rest), true
		case "deny", "no", "n":
			return "deny", strings.TrimSpace(rest), true
		}
		return nil, "", false
	}
	if a.Form != nil && json.Unmarshal([]byte(line), &v) == nil {
		return v, "", true
	}
	return line, "", true
}

// line waits for one line, as long as the question is open.
func (q *questions) line(ctx context.Context, id string) (string, bool) {
	if q.lines == nil {
		q.lines = make(chan string)
		// Nothing can take back a read from a terminal: it ends with the program.
		go hear(bufio.NewScanner(q.server.w.in), q.lines)
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return "", false
		case line := <-q.lines:
			return strings.TrimSpace(line), true
		case <-tick.C:
			a, err := fetch[httpapi.Approval](q.server, "/api/approvals/"+url.PathEscape(id), nil)
			if err == nil && a.State != "open" {
				return "", false
			}
		}
	}
}

// hear hands on what is typed; at its end nothing more comes.
func hear(from *bufio.Scanner, to chan<- string) {
	for from.Scan() {
		to <- from.Text()
	}
	close(to)
}
