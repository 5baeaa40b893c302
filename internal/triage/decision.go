// Package triage decides what becomes of an alert: ordered rules, written as
// data, drop it, fold it into one that is open, attach it to a case, open a case
// for it or keep it for people, and say which playbooks start. The package is
// pure: the time, the alert and what is open come as arguments, and what has to
// be remembered from alert to alert is a value, State.
package triage

import (
	"cmp"
	"fmt"
	"strings"

	"riposte/internal/alert"
)

// Act is what a decision does with an alert.
type Act string

// The acts.
const (
	Keep     Act = "keep"      // it stays new, for people and playbooks
	Drop     Act = "drop"      // it is noise; it is kept, and nothing starts
	Fold     Act = "fold"      // it is one more of an alert that is open
	Attach   Act = "attach"    // it belongs to a case that is open
	OpenCase Act = "open_case" // a case is opened for it
	Storm    Act = "storm"     // it is one of far too many: folded, kept and counted
)

// Status is the status that an alert ends in by an act.
func (a Act) Status() alert.Status {
	switch a {
	case Drop:
		return alert.Dropped
	case Fold, Storm:
		return alert.Folded
	case Attach, OpenCase:
		return alert.InCase
	case Keep:
	}
	return alert.New
}

// Decision is what becomes of one alert, and why. It is the same for the same
// alert, rules and state.
type Decision struct {
	Act     Act
	Rule    string // the rule that decided; "" where none did
	Outcome string // one sentence for people

	Severity int // what the rules made of the alert
	Category string
	Tags     []string
	Changes  []Changed

	Key      string      // what alerts that belong together share: of a fold, a case, a storm
	Into     alert.ID    // of a fold or storm: the open alert
	Case     int64       // of attach: the open case
	Open     *CasePlan   // of open_case
	Storm    *StormBegin // of the alert that makes a storm of those before it
	Starts   []Start     // playbooks that rules and routes name, each once
	Triggers bool        // playbooks' own triggers are asked, too
	Problems []Problem   // rules that could not be worked out; the next one was asked
}

// Changed is an adjustment that a rule has made.
type Changed struct {
	Rule  string
	Field string // severity, category, tags
	Old   any
	New   any
}

// String says it in words: severity from low to high by NAME.
func (c Changed) String() string {
	word := func(v any) string {
		switch v := v.(type) {
		case int:
			return severityWords[v]
		case []string:
			return "[" + strings.Join(v, ", ") + "]"
		}
		return cmp.Or(fmt.Sprint(v), "none")
	}
	return fmt.Sprintf("%s from %s to %s by %s", c.Field, word(c.Old), word(c.New), c.Rule)
}

// Start is a playbook that starts for an alert.
type Start struct {
	Playbook string
	With     map[string]any // inputs; those left out are filled from the alert by name
	By       string         // rule:NAME or route:NAME
}

// CasePlan is a case to open.
type CasePlan struct {
	Template    string
	Title       string
	Description string
	Severity    int
	Category    string
	Owner       string
	TLP, PAP    string
	Tags        []string
	Tasks       []Task
	Group       string // alerts with this key belong to it while it is open
}

// Task is something that people have to do in a case.
type Task struct {
	Title    string
	Text     string
	Assignee string
}

// StormBegin says that a storm has begun with an alert.
type StormBegin struct {
	Rule    string
	Key     string
	Subject string     // for people: what its alerts share
	PerMin  int        // the rate that it exceeds
	Before  int        // alerts of it in the minute before
	Alone   []alert.ID // those of them that stand by themselves: they belong to it, too
}

// Problem is a rule that could not be worked out for an alert.
type Problem struct{ Rule, What string }

func (p Problem) String() string { return p.Rule + ": " + p.What }
