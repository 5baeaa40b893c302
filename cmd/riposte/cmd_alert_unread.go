package main

import (
	"fmt"
	"net/http"

	"riposte/internal/httpapi"
)

type alertReadAgainCmd struct {
	ID     string `arg:"" optional:"" help:"The event, such as A-5521."`
	Source string `name:"source" help:"All events of this source that could not be read."`
}

// Examples leads the command's help.
func (*alertReadAgainCmd) Examples() string {
	return "riposte alert list --unread\nriposte alert read-again A-5521\nriposte alert read-again --source sensor-north"
}

// Run reads events again.
func (c *alertReadAgainCmd) Run(w *world) error {
	if (c.ID == "") == (c.Source == "") {
		return misusef("name one event, or a source with --source")
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	if c.Source != "" {
		return c.all(w, s)
	}
	path, err := recordPath("alerts", "A", c.ID)
	if err != nil {
		return err
	}
	var r httpapi.ReadAgain
	if _, err := s.do(request{method: http.MethodPost, path: path + "/read-again", body: map[string]any{}}, &r); err != nil {
		return err
	}
	if w.json {
		err = w.printJSON(r)
	} else {
		fmt.Fprintln(w.out, readAgainText(r))
	}
	if err == nil && r.Outcome == "unread" {
		return silent{exitFailed}
	}
	return err
}

func readAgainText(r httpapi.ReadAgain) string {
	switch r.Outcome {
	case "read":
		return r.ID + " is " + r.Alert + " now"
	case "no_alert":
		return r.ID + " is no alert, its mapping says"
	}
	return r.ID + " still cannot be read: " + oneLine(r.Error)
}

// all reads those of a source, portion by portion.
func (c *alertReadAgainCmd) all(w *world, s *server) error {
	var sum httpapi.ReadAllAgain
	for {
		var r httpapi.ReadAllAgain
		body := map[string]any{"source": c.Source}
		if sum.Next != "" {
			body["cursor"] = sum.Next
		}
		if _, err := s.do(request{method: http.MethodPost, path: "/api/alerts/read-again", body: body}, &r); err != nil {
			return err
		}
		sum.Read, sum.NoAlert, sum.Unread, sum.Next = sum.Read+r.Read, sum.NoAlert+r.NoAlert, sum.Unread+r.Unread, r.Next
		if len(sum.Errors) == 0 {
			sum.Errors = r.Errors
		}
		if r.Next == "" {
			break
		}
	}
	if w.json {
		if err := w.printJSON(sum); err != nil {
			return err
		}
	} else {
		for _, e := range sum.Errors {
			fmt.Fprintln(w.err, readAgainText(e))
		}
		fmt.Fprintf(w.out, "%d read, %d no alerts, %d still cannot be read\n", sum.Read, sum.NoAlert, sum.Unread)
	}
	if sum.Unread > 0 {
		return silent{exitFailed}
	}
	return nil
}
