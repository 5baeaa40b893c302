package main

import (
	"fmt"
	"net/http"

	"riposte/internal/httpapi"
)

type alarmCmd struct {
	List        alarmListCmd        `cmd:"" help:"List what is wrong now, or was."`
	Acknowledge alarmAcknowledgeCmd `cmd:"" help:"Say that you have seen an alarm."`
}

type alarmListCmd struct {
	paging
	Ended bool `name:"ended" help:"Those that have ended, too."`
}

// Examples leads the command's help.
func (*alarmListCmd) Examples() string {
	return "riposte alarm list\nriposte alarm list --ended --json"
}

// Run lists alarms.
func (c *alarmListCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	all := ""
	if c.Ended {
		all = "true"
	}
	items, err := fetchAll[httpapi.Alarm](s, "/api/alarms", filters("all", all), c.paging)
	if err != nil {
		return err
	}
	return printList(w, items, "no alarms: nothing is known to be wrong", []string{"id", "alarm", "about", "since", "times", "state", "what"}, func(a httpapi.Alarm) []string {
		return []string{a.ID, a.Kind, a.Subject, stamp(a.Since), fmt.Sprint(a.Count), alarmState(a), a.Message}
	})
}

func alarmState(a httpapi.Alarm) string {
	switch {
	case !a.Ended.IsZero():
		return "ended " + stamp(a.Ended)
	case a.Acknowledged != nil:
		return "seen by " + a.Acknowledged.By
	}
	return "open"
}

type alarmAcknowledgeCmd struct {
	ID   string `arg:"" help:"The alarm, such as AL-12."`
	Note string `name:"note" help:"What is being done about it."`
}

// Examples leads the command's help.
func (*alarmAcknowledgeCmd) Examples() string {
	return "riposte alarm acknowledge AL-12 --note \"the sensor is being replaced\""
}

// Run acknowledges an alarm.
func (c *alarmAcknowledgeCmd) Run(w *world) error {
	path, err := recordPath("alarms", "AL", c.ID)
	if err != nil {
		return err
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	var a httpapi.Alarm
	if _, err := s.do(request{method: http.MethodPost, path: path + "/acknowledge", body: map[string]any{"note": c.Note}}, &a); err != nil {
		return err
	}
	if w.json {
		return w.printJSON(a)
	}
	fmt.Fprintf(w.out, "%s: %s %s, seen; it ends when its cause is gone\n", a.ID, a.Kind, a.Subject)
	return nil
}
