package alert

import (
	"fmt"
	"strings"

	"riposte/internal/fault"
)

// Verb is what a person does to an alert beside putting it into a case.
type Verb string

// The verbs.
const (
	Close  Verb = "close"  // it was looked at: a verdict
	Reopen Verb = "reopen" // it is to be looked at again
	Drop   Verb = "drop"   // it is noise
	Fold   Verb = "fold"   // it is one more of an alert that is open
	Unfold Verb = "unfold" // it stands by itself
)

// Move says what a person does, and why.
type Move struct {
	Verb    Verb
	Verdict string // of close
	Reason  string
	Into    *Alert // of fold
}

// Do works out how an alert stands after a move; who and when the caller adds.
// fault.Conflict where it stands in a way that the move does not fit.
func (a *Alert) Do(m Move) (e Event, err error) {
	wrong := func(why string) error {
		return fmt.Errorf("%s alert %s: %s: %w", m.Verb, a.ID, why, fault.Conflict)
	}
	if a.Status == InCase {
		return e, wrong("it belongs to a case; close the case, or take the alert out of it first")
	}
	switch m.Verb {
	case Close:
		if a.Status == Closed && a.Verdict == m.Verdict {
			return e, wrong("it is closed so already")
		}
		e = Event{Status: Closed, Verdict: m.Verdict, Outcome: "Closed as " + strings.ReplaceAll(m.Verdict, "_", " ")}
	case Reopen:
		if a.Status != Closed && a.Status != Dropped {
			return e, wrong("it is neither closed nor dropped")
		}
		e = Event{Status: New, Outcome: "Opened again"}
	case Drop:
		if a.Status == Dropped {
			return e, wrong("it is dropped already")
		}
		e = Event{Status: Dropped, Outcome: "Dropped"}
	case Fold:
		switch {
		case m.Into == nil || m.Into.ID == a.ID:
			return e, wrong("it can only be folded into another alert")
		case a.Folded > 0:
			return e, wrong(fmt.Sprintf("%d alerts are folded into it; fold the other one into it instead", a.Folded))
		case m.Into.Status != New && m.Into.Status != InCase:
			return e, wrong(fmt.Sprintf("%s is %s, and takes no others in", m.Into.ID, m.Into.Status))
		case a.Status == Folded && a.Into == m.Into.ID:
			return e, wrong("it is folded into that already")
		}
		e = Event{Status: Folded, Into: m.Into.ID.String(), Outcome: "Folded into " + m.Into.ID.String()}
	case Unfold:
		if a.Status != Folded {
			return e, wrong("it is not folded into another")
		}
		e = Event{Status: New, Outcome: fmt.Sprintf("Taken out of %s; it stands by itself", a.Into)}
	default:
		return e, fmt.Errorf("%q is nothing that is done to an alert: %w", m.Verb, fault.Invalid)
	}
	if m.Reason != "" {
		e.Outcome += ": " + cut(clean(m.Reason), 1000)
	}
	return e, nil
}
