package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"riposte/internal/alert"
)

type sourceTestCmd struct {
	mappingSet
	Mapping string `arg:"" help:"A mapping: its name, its file, or auto for the one that fits."`
	File    string `arg:"" help:"A file of events; - is standard input."`
	Event   int    `name:"event" placeholder:"N" help:"Show only the Nth event."`
	All     bool   `name:"all" help:"Show all events, not only the first five."`
}

// shownEvents is how many events are shown if nobody asks for more.
const shownEvents = 5

// Examples leads the command's help.
func (*sourceTestCmd) Examples() string {
	return "riposte source test suricata-eve eve.json\nriposte source test draft.source.yaml events.jsonl --event 3\nriposte source test auto events.log --all --json"
}

// tested is one event of riposte source test --json.
type tested struct {
	Event  int          `json:"event"`
	Line   int          `json:"line,omitempty"`
	Format string       `json:"format,omitempty"`
	Input  any          `json:"input"` // what expressions see as event
	Syslog any          `json:"syslog,omitempty"`
	Is     bool         `json:"is_alert"`
	Record *alert.Alert `json:"record,omitempty"`
	Error  string       `json:"error,omitempty"`
}

// Run shows the record beside each event. An event that could not be read makes
// it fail.
func (c *sourceTestCmd) Run(w *world) error {
	set, err := c.named(w, c.Mapping)
	if err != nil {
		return err
	}
	items, how, err := readEvents(w, c.File, set)
	if err != nil {
		return err
	}
	if c.Event < 0 || c.Event > len(items) {
		return misusef("--event: %s has %s", c.File, count(len(items), "event"))
	}
	alerts, others, unread, shown := 0, 0, 0, 0
	for n, item := range items {
		if c.Event > 0 && n+1 != c.Event {
			continue
		}
		seen := set.Show(sourceName(c.File), item.Raw, time.Now().UTC().Truncate(time.Microsecond))
		switch {
		case seen.Err != nil:
			unread++
		case seen.Is:
			alerts++
		default:
			others++
		}
		show := c.All || c.Event > 0 || shown < shownEvents
		switch {
		case w.json && (c.Event == 0 || show):
			if err := w.printJSON(testedOf(n+1, item.Line, seen)); err != nil {
				return err
			}
		case show:
			shown++
			w.besides(n+1, item.Line, item.Raw, seen)
		case seen.Err != nil:
			fmt.Fprintf(w.out, "event %d%s: %s\n", n+1, atLine(item.Line), oneLine(plainError(seen.Err)))
		}
	}
	fmt.Fprintf(w.err, "%s (%s): %s, %d no alert, %d unreadable\n", count(len(items), "event"), how, count(alerts, "alert"), others, unread)
	if hidden := alerts + others + unread - shown; hidden > 0 && !w.json {
		fmt.Fprintf(w.err, "%d not shown; --all shows them, --event N one\n", hidden)
	}
	if unread > 0 {
		return silent{exitFailed}
	}
	return nil
}

func testedOf(n, line int, seen alert.Seen) tested {
	t := tested{Event: n, Line: line, Format: string(seen.Event.Format), Input: seen.Event.Value, Is: seen.Is && seen.Err == nil}
	if seen.Event.Syslog != nil {
		t.Syslog = seen.Event.Syslog
	}
	if seen.Err != nil {
		t.Error = plainError(seen.Err)
		return t
	}
	t.Record = &seen.Alert
	return t
}

func atLine(line int) string {
	if line == 0 {
		return ""
	}
	return fmt.Sprintf(" (line %d)", line)
}

// besides shows an event on the left and its record on the right.
func (w *world) besides(n, line int, raw []byte, seen alert.Seen) {
	head := fmt.Sprintf("event %d%s", n, atLine(line))
	switch {
	case seen.Err != nil:
		fmt.Fprintf(w.out, "%s: %s\n%s\n\n", head, w.paint(red, "unreadable: "+oneLine(plainError(seen.Err))), oneLine(clip(string(raw), 2000)))
		return
	case !seen.Is:
		head += ": no alert for " + seen.Mapping.ID + "; the record that it would be"
	default:
		head += ": " + seen.Mapping.ID
	}
	fmt.Fprintln(w.out, head)
	left, right := eventLines(seen), recordLines(&seen.Alert)
	width := max((w.columns()-3)/2, 30)
	left, right = wrap(left, width), wrap(right, width)
	for i := range max(len(left), len(right)) {
		l, r := "", ""
		if i < len(left) {
			l = left[i]
		}
		if i < len(right) {
			r = right[i]
		}
		fmt.Fprintln(w.out, strings.TrimRight(l+strings.Repeat(" ", width-len([]rune(l)))+" | "+r, " "))
	}
	fmt.Fprintln(w.out)
}

// columns is how wide the terminal is said to be.
func (w *world) columns() int {
	if n, err := strconv.Atoi(w.getenv("COLUMNS")); err == nil && n >= 60 {
		return min(n, 400)
	}
	return 150
}

// eventLines is what expressions see.
func eventLines(seen alert.Seen) []string {
	text := "format: " + string(seen.Event.Format)
	if seen.Event.Syslog != nil {
		text += "\nsyslog: " + pretty(seen.Event.Syslog)
	}
	return strings.Split(text+"\nevent: "+pretty(seen.Event.Value), "\n")
}

// recordLines is a record without what the event says already.
func recordLines(a *alert.Alert) []string {
	out := []string{"title: " + a.Title, "severity: " + strconv.Itoa(a.Severity), "category: " + a.Category, "time: " + stamp(a.Time),
		"identity_key: " + a.IdentityKey, "group_key: " + a.GroupKey, "link: " + a.Link, "techniques: " + strings.Join(a.Techniques, ", ")}
	for _, e := range a.Entities {
		out = append(out, "entity: "+e.Kind+" "+e.Value+roleText(e.Role))
	}
	for _, o := range a.Observables {
		out = append(out, "observable: "+o.Type+" "+o.Value+roleText(o.Role))
	}
	if a.Description != "" {
		out = append(out, "description: "+strings.ReplaceAll(a.Description, "\n", " "))
	}
	if len(a.Fields) > 0 {
		out = append(out, strings.Split("fields: "+pretty(withoutEmpty(a.Fields)), "\n")...)
	}
	kept := out[:0]
	for _, line := range out {
		if !strings.HasSuffix(line, ": ") {
			kept = append(kept, line)
		}
	}
	return kept
}

func roleText(role string) string {
	if role == "" {
		return ""
	}
	return " (" + role + ")"
}

// withoutEmpty leaves out what is nil, and the event, which stands beside.
func withoutEmpty(fields map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range fields {
		if b, err := json.Marshal(v); v != nil && k != "event" && k != "syslog" && err == nil && string(b) != "{}" && string(b) != "[]" {
			out[k] = v
		}
	}
	return out
}

// wrap breaks lines that are wider than a column.
func wrap(lines []string, width int) []string {
	var out []string
	for _, l := range lines {
		r := []rune(oneLine(l))
		for len(r) > width {
			out = append(out, string(r[:width]))
			r = append([]rune("  "), r[width:]...)
		}
		out = append(out, string(r))
	}
	return out
}
