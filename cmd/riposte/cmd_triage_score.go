package main

import (
	"fmt"
	"strings"
	"time"

	"riposte/internal/alert"
	"riposte/internal/score"
)

type triageScoreCmd struct {
	scoring
	Files []string `arg:"" name:"file" help:"Files of events of any product, or of alert records; - is standard input."`
}

// Examples leads the command's help.
func (*triageScoreCmd) Examples() string {
	return "riposte triage score alerts.jsonl\nriposte triage score alerts.jsonl --json --lists lists/ --indicators indicators.ndjson\nriposte source map eve.json --json | riposte triage score - --score score.yaml"
}

// scored is one line of riposte triage score --json.
type scored struct {
	File       string     `json:"file"`
	Event      int        `json:"event"` // counted from 1
	Line       int        `json:"line,omitempty"`
	Identity   string     `json:"identity"`
	Source     string     `json:"source"`
	Mapping    string     `json:"mapping,omitempty"`
	Title      string     `json:"title"`
	Score      int        `json:"score"`
	Band       alert.Band `json:"band"`
	Reasons    []reason   `json:"reasons"`
	ClosedBy   string     `json:"closed_by,omitempty"` // the closing rule that would close it, were it not in its sample
	Enrichment []string   `json:"enrichment,omitempty"`
	Skipped    bool       `json:"skipped,omitempty"` // the mapping says that the event is no alert
	Error      string     `json:"error,omitempty"`   // why no mapping could read it
	Rules      string     `json:"rules"`             // the score file, with its version
}

type reason struct {
	Factor string `json:"factor"`
	Points int    `json:"points"`
	Why    string `json:"why"`
}

// Run scores each event of the files by itself.
func (c *triageScoreCmd) Run(w *world) error {
	s, err := c.open(w)
	if err != nil {
		return err
	}
	bands, events := map[alert.Band]int{}, 0
	for _, file := range c.Files {
		items, _, err := readEvents(w, file, s.mappings)
		if err != nil {
			return err
		}
		for n, item := range items {
			x, err := s.read(file, item.Raw)
			if err != nil {
				return misusef("%s: %v", itemPlace(file, item.Line, n), err)
			}
			one := s.scored(&x)
			one.File, one.Event, one.Line = file, n+1, item.Line
			events++
			bands[one.Band]++
			if w.json {
				if err := w.printJSON(one); err != nil {
					return err
				}
				continue
			}
			w.breakdown(&one)
		}
	}
	if !w.json {
		fmt.Fprintf(w.err, "%s: %d false_positive, %d analyst, %d automatic (%s %d)\n", count(events, "event"),
			bands[alert.FalsePositive], bands[alert.ForAnalyst], bands[alert.Automatic], s.rules.Name, s.rules.Version)
	}
	return nil
}

// itemPlace is where an event stands.
func itemPlace(file string, line, n int) string {
	if line == 0 {
		return fmt.Sprintf("%s: event %d", file, n+1)
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// scored scores what was read of a file.
func (s *scorer) scored(x *fromFile) scored {
	a, facts, res := s.score(x)
	one := scored{
		Identity: a.IdentityKey, Source: a.Source, Mapping: a.Mapping, Title: a.Title, Score: res.Score, Band: res.Band,
		Reasons: []reason{}, Enrichment: s.rules.Enrich.Wanted(a.Object(), s.now), Skipped: x.skipped, Error: a.Error,
		Rules: fmt.Sprintf("%s %d", s.rules.Name, s.rules.Version),
	}
	for _, r := range res.Reasons {
		one.Reasons = append(one.Reasons, reason(r))
	}
	if list := s.rules.Closes(a, nil, facts, res, s.now); len(list) > 0 {
		one.ClosedBy = list[0].ID
	}
	return one
}

// breakdown shows a score to people.
func (w *world) breakdown(x *scored) {
	title := x.Title
	if x.Error != "" {
		title = "unreadable: " + x.Error
	}
	fmt.Fprintf(w.out, "%3d %s  %s  (%s)\n", x.Score, w.paint(bandColour(x.Band), string(x.Band)), oneLine(clip(title, 100)), itemPlace(x.File, x.Line, x.Event-1))
	w.reasons(x.Reasons)
	if x.ClosedBy != "" {
		fmt.Fprintf(w.out, "       the rule %s would close it, or give it to a person as one of its sample\n", x.ClosedBy)
	}
	if len(x.Enrichment) > 0 {
		fmt.Fprintf(w.out, "       a server looks up more: %s\n", strings.Join(x.Enrichment, ", "))
	}
	if x.Skipped {
		fmt.Fprintln(w.out, "       the mapping says that this event is no alert")
	}
	fmt.Fprintln(w.out)
}

// reasons shows the parts of a score.
func (w *world) reasons(list []reason) {
	for _, r := range list {
		points := fmt.Sprintf("%+d", r.Points)
		if r.Points == 0 {
			points = "·"
		}
		fmt.Fprintf(w.out, "  %4s  %s: %s\n", points, r.Factor, oneLine(r.Why))
	}
}

func bandColour(b alert.Band) string {
	switch b {
	case alert.Automatic:
		return red
	case alert.ForAnalyst:
		return yellow
	case alert.FalsePositive:
	}
	return green
}

// fromFile is an alert that was read of a file.
type fromFile struct {
	alert   alert.Alert
	skipped bool
}

// score scores an alert by itself, with the facts that were given.
func (s *scorer) score(x *fromFile) (*alert.Alert, score.Facts, score.Result) {
	a := &x.alert
	facts := s.facts(a)
	return a, facts, s.rules.Score(a, nil, facts, s.now)
}

// read makes an alert of an event, or takes an alert record as it is.
func (s *scorer) read(file string, raw []byte) (fromFile, error) {
	if r, ok, err := recordOf(raw); ok || err != nil {
		return fromFile{alert: r}, err
	}
	seen := s.mappings.Show(sourceName(file), raw, s.now.Truncate(time.Microsecond))
	return fromFile{alert: seen.Alert, skipped: !seen.Is}, nil
}
