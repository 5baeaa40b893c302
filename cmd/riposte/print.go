package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// printJSON writes one value as one line.
func (w *world) printJSON(v any) error {
	enc := json.NewEncoder(w.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// printList writes records as JSON or as a table; nothing where there are none
// says so on standard error.
func printList[T any](w *world, items []T, none string, head []string, row func(T) []string) error {
	if w.json {
		return w.printJSON(map[string]any{"items": items})
	}
	if len(items) == 0 {
		fmt.Fprintln(w.err, none)
		return nil
	}
	rows := make([][]string, len(items))
	for i, item := range items {
		rows[i] = row(item)
	}
	w.table(head, rows)
	return nil
}

// table writes rows under a head, columns aligned.
func (w *world) table(head []string, rows [][]string) {
	t := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.ToUpper(strings.Join(head, "\t")))
	for _, r := range rows {
		for i := range r {
			r[i] = oneLine(r[i])
		}
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	_ = t.Flush() // a closed pipe is nobody's loss
}

// facts writes names and values under each other; empty values are left out.
func (w *world) facts(pairs ...string) {
	t := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(t, "%s\t%s\n", pairs[i], oneLine(pairs[i+1]))
		}
	}
	_ = t.Flush()
}

// oneLine keeps what came from outside from breaking a table or steering the
// terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0):
			return -1
		}
		return r
	}, s)
}

// stamp writes a time with its zone, "" for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// clip shortens a text for a table.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// The colours of a terminal, used beside a word and never instead of it.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (w *world) paint(colour, s string) string {
	if !w.colour {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

// status paints a status's word by what it means.
func (w *world) status(s string) string {
	switch s {
	case "succeeded":
		return w.paint(green, s)
	case "failed", "timed_out", "denied":
		return w.paint(red, s)
	case "waiting":
		return w.paint(yellow, s)
	}
	return s
}
