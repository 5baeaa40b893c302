package main

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"riposte/internal/httpapi"
)

type sourceStatusCmd struct {
	Name string `arg:"" optional:"" help:"One source, with what came hour by hour."`
}

// Examples leads the command's help.
func (*sourceStatusCmd) Examples() string {
	return "riposte source status\nriposte source status sensor-north\nriposte source status --json"
}

// Run shows how sources do.
func (c *sourceStatusCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	if c.Name != "" {
		d, err := fetch[httpapi.SourceDetail](s, "/api/sources/"+pathPart(c.Name), nil)
		if err != nil {
			return err
		}
		return w.source(d)
	}
	in, err := fetch[httpapi.Intake](s, "/api/sources", nil)
	if err != nil {
		return err
	}
	if w.json {
		return w.printJSON(in)
	}
	if len(in.Sources) == 0 {
		fmt.Fprintln(w.err, "no source is configured; docs/sources.md says how")
		return nil
	}
	head := []string{"source", "type", "state", "last event", "a minute", "usual", "today", "unread", "waits", "behind", "problem"}
	rows := make([][]string, len(in.Sources))
	for i, x := range in.Sources {
		rows[i] = []string{x.Name, x.Type, x.State, stamp(x.Last), rate(&x.Rate), rate(x.Usual), fmt.Sprint(x.Today.Received), fmt.Sprint(x.Today.Unread),
			fmt.Sprint(x.Waiting.Events), behindText(x.Behind), clip(x.Problem, 80)}
	}
	w.table(head, rows)
	if in.Oldest >= 1 {
		fmt.Fprintf(w.err, "%s for %s\n", in.For, time.Duration(in.Oldest*float64(time.Second)).Round(time.Second))
	}
	return nil
}

func (w *world) source(d httpapi.SourceDetail) error {
	if w.json {
		return w.printJSON(d)
	}
	w.facts("source", d.Name, "type", d.Type, "mapping", d.Mapping, "state", d.State, "problem", d.Problem, "since", stamp(d.Since), "last event", stamp(d.Last),
		"a minute", rate(&d.Rate), "usual", cmp.Or(rate(d.Usual), "not known yet"), "expected", d.Expected, "today", counted(d.Today),
		"waits", fmt.Sprintf("%d events, %d bytes", d.Waiting.Events, d.Waiting.Bytes), "behind", behindText(d.Behind), "cursor moved", stamp(d.Cursor))
	if len(d.Checks) > 0 {
		fmt.Fprintln(w.out)
		rows := make([][]string, len(d.Checks))
		for i, k := range d.Checks {
			rows[i] = []string{stamp(k.From), stamp(k.Until), fmt.Sprint(k.Sent), fmt.Sprint(k.Came), fmt.Sprint(k.Missing), cmp.Or(k.By, "asked")}
		}
		w.table([]string{"checked from", "until", "sent", "came", "missing", "by"}, rows)
	}
	if len(d.Hours) > 0 {
		fmt.Fprintln(w.out)
		rows := make([][]string, len(d.Hours))
		for i, h := range d.Hours {
			rows[i] = []string{stamp(h.At), fmt.Sprint(h.Received), fmt.Sprint(h.Accepted), fmt.Sprint(h.Duplicates), fmt.Sprint(h.Skipped), fmt.Sprint(h.Unread), fmt.Sprint(h.Refused), fmt.Sprint(h.Bytes)}
		}
		w.table([]string{"hour", "received", "accepted", "duplicates", "skipped", "unread", "refused", "bytes"}, rows)
	}
	return nil
}

func counted(c httpapi.SourceCounted) string {
	return fmt.Sprintf("%d received: %d new, %d duplicates, %d no alerts, %d unread; %d refused or lost; %d bytes",
		c.Received, c.Accepted, c.Duplicates, c.Skipped, c.Unread, c.Refused, c.Bytes)
}

// rate writes events a minute; "" for what is not known.
func rate(perMinute *float64) string {
	switch {
	case perMinute == nil:
		return ""
	case *perMinute >= 10 || *perMinute == 0:
		return strconv.FormatFloat(*perMinute, 'f', 0, 64)
	}
	return strconv.FormatFloat(*perMinute, 'g', 2, 64)
}

func behindText(b *httpapi.SourceBehind) string {
	if b == nil {
		return ""
	}
	return fmt.Sprintf("%d %s", b.Amount, b.Unit)
}
