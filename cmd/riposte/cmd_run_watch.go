package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"riposte/internal/fault"
	"riposte/internal/httpapi"
)

type runWatchCmd struct {
	ID         string `arg:"" help:"The run."`
	ExitStatus bool   `name:"exit-status" help:"Exit with 1 unless the run succeeded."`
}

// Examples leads the command's help.
func (*runWatchCmd) Examples() string {
	return "riposte run watch R-88213\nriposte run watch R-88213 --exit-status && echo done"
}

// Run follows a run.
func (c *runWatchCmd) Run(w *world) error {
	if _, err := recordPath("runs", "R", c.ID); err != nil {
		return err
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	return s.watch(c.ID, c.ExitStatus)
}

// watch prints events until the run has ended. A connection that breaks is made
// again, after the last event that came.
func (s *server) watch(id string, exitStatus bool) error {
	last, failures := "", 0
	for {
		end, err := s.follow(id, &last)
		switch {
		case end != nil:
			if exitStatus && end.Status != "succeeded" {
				return silent{exitFailed}
			}
			return nil
		case err != nil && (isRefusal(err) || failures >= 10):
			return err
		case s.w.ctx.Err() != nil:
			return errors.New("interrupted; the run goes on")
		}
		failures++
		fmt.Fprintln(s.w.err, "the connection broke; trying again")
		select {
		case <-time.After(time.Duration(failures) * time.Second):
		case <-s.w.ctx.Done():
		}
	}
}

// isRefusal tells an answer of the server from a connection that broke.
func isRefusal(err error) bool {
	var r *refusal
	return errors.As(err, &r) && !errors.Is(err, fault.Transient) && r.problem.Status < 500
}

// follow reads one stream. It gives the run when that has ended.
func (s *server) follow(id string, last *string) (*httpapi.Run, error) {
	header := map[string]string{"Accept": "text/event-stream"}
	if *last != "" {
		header["Last-Event-ID"] = *last
	}
	res, err := s.send(request{method: http.MethodGet, path: "/api/runs/" + id + "/events", header: header})
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, s.refused(res)
	}
	lines := bufio.NewReaderSize(res.Body, 64<<10)
	var e event
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return nil, err
		}
		if !e.take(strings.TrimRight(line, "\r\n")) {
			continue
		}
		if e.id != "" {
			*last = e.id
		}
		if end, err := s.print(e); end != nil || err != nil {
			return end, err
		}
		e = event{}
	}
}

// event is one server-sent event.
type event struct{ id, kind, data string }

// take reads a line; true: the event is whole.
func (e *event) take(line string) bool {
	name, value, _ := strings.Cut(line, ":")
	value = strings.TrimPrefix(value, " ")
	switch {
	case line == "":
		return e.data != ""
	case name == "id":
		e.id = value
	case name == "event":
		e.kind = value
	case name == "data":
		e.data += value
	}
	return false
}

func (s *server) print(e event) (end *httpapi.Run, err error) {
	var step httpapi.Step
	var run httpapi.Run
	if e.kind == httpapi.EventStep {
		err = json.Unmarshal([]byte(e.data), &step)
	} else {
		err = json.Unmarshal([]byte(e.data), &run)
	}
	if err != nil {
		return nil, fmt.Errorf("read an event: %w", err)
	}
	w := s.w
	switch {
	case w.json:
		err = w.printJSON(map[string]any{"id": e.id, "event": e.kind, "data": json.RawMessage(e.data)})
	case e.kind == httpapi.EventStep:
		at := step.Ended
		if at.IsZero() {
			at = step.Started
		}
		fmt.Fprintf(w.out, "%s  %-24s %s  %s\n", clock(at), clip(oneLine(step.Step), 24), w.status(step.Status), oneLine(orDash(stepNote(step), step.Action)))
	default:
		fmt.Fprintf(w.out, "%s  %-24s %s  %s\n", clock(latest(run)), run.ID, w.status(run.Status), oneLine(errorText(run.Error)))
	}
	if e.kind == httpapi.EventEnd {
		end = &run
	}
	return end, err
}

func latest(r httpapi.Run) time.Time {
	if !r.Ended.IsZero() {
		return r.Ended
	}
	return r.Started
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "        "
	}
	return t.UTC().Format("15:04:05")
}
