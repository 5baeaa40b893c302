package cases

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"riposte/internal/fault"
)

func (c AddNote) apply(a *applier) error {
	if c.Key != "" && a.parts.Note != nil {
		return nil // the same call, made again
	}
	if strings.TrimSpace(c.Text) == "" {
		return fmt.Errorf("write a note: it is empty: %w", fault.Invalid)
	}
	if err := text("the note", c.Text); err != nil {
		return err
	}
	a.Case.Notes++
	n := a.Case.Notes
	a.Note = &Note{N: n, Text: c.Text, Created: a.at, By: a.by, Key: c.Key}
	a.say(Entry{Kind: Noted, What: short(c.Text), New: a.json(c.Text), Links: []string{link("note", n)}})
	return nil
}

func (c EditNote) apply(a *applier) error {
	old := a.parts.Note
	if old == nil {
		return fmt.Errorf("edit note %d of case %s: there is none: %w", c.N, a.Case.ID, fault.NotFound)
	}
	if strings.TrimSpace(c.Text) == "" {
		return fmt.Errorf("edit note %d: it would be empty: %w", c.N, fault.Invalid)
	}
	if err := text("the note", c.Text); err != nil {
		return err
	}
	if c.Text == old.Text {
		return nil
	}
	next := *old
	next.Text, next.Edited = c.Text, a.at
	a.Note = &next
	a.say(Entry{Kind: NoteEdited, What: fmt.Sprintf("Note %d edited: %s", c.N, short(c.Text)),
		Field: "text", Old: a.json(old.Text), New: a.json(c.Text), Links: []string{link("note", c.N)}})
	return nil
}

func (c AddTask) apply(a *applier) error {
	if c.Key != "" && a.parts.Task != nil {
		return nil // the same call, made again
	}
	if err := first(title("the task", c.Title), text("the task's text", c.Text)); err != nil {
		return err
	}
	h := &a.Case
	h.Tasks++
	h.OpenTasks++
	a.Task = &Task{
		N: h.Tasks, Title: c.Title, Text: c.Text, Assignee: c.Assignee, Due: c.Due.UTC(), Created: a.at, By: a.by, Key: c.Key,
		Evidence: slices.DeleteFunc(slices.Clone(c.Evidence), func(s string) bool { return s == "" }),
	}
	if c.Due.IsZero() {
		a.Task.Due = time.Time{}
	}
	a.say(Entry{Kind: TaskAdded, What: fmt.Sprintf("Task %d: %s", h.Tasks, short(c.Title)), New: a.json(a.Task), Links: []string{link("task", h.Tasks)}})
	return nil
}

func (c SetTask) apply(a *applier) error {
	if a.parts.Task == nil {
		return fmt.Errorf("change task %d of case %s: there is none: %w", c.N, a.Case.ID, fault.NotFound)
	}
	err := first(
		ifSet(c.Title, func(s string) error { return title("the task", s) }),
		ifSet(c.Text, func(s string) error { return text("the task's text", s) }))
	if err != nil {
		return err
	}
	t := *a.parts.Task
	before := len(a.Entries)
	setTask(a, &t, "title", &t.Title, c.Title)
	setTask(a, &t, "text", &t.Text, c.Text)
	setTask(a, &t, "assignee", &t.Assignee, c.Assignee)
	if c.Due != nil {
		due := *c.Due
		if !due.IsZero() {
			due = due.UTC()
		}
		if !due.Equal(t.Due) {
			setTask(a, &t, "due", &t.Due, &due)
		}
	}
	if c.Done != nil && *c.Done == t.Done.IsZero() {
		a.finish(&t, *c.Done)
	}
	if len(a.Entries) > before {
		a.Task = &t
	}
	return nil
}

// setTask changes one field of a task, if the new value is another one.
func setTask[T comparable](a *applier, t *Task, field string, p *T, to *T) {
	if to == nil || *p == *to {
		return
	}
	old := *p
	*p = *to
	a.changed(TaskChanged, fmt.Sprintf("Task %d", t.N), field, old, *to, link("task", t.N))
}

// finish makes a task done, or open again.
func (a *applier) finish(t *Task, done bool) {
	kind, what := TaskReopened, "open again"
	if done {
		kind, what = TaskDone, "done"
		t.Done, t.DoneBy = a.at, a.by.Name
		a.Case.OpenTasks--
	} else {
		t.Done, t.DoneBy = time.Time{}, ""
		a.Case.OpenTasks++
	}
	a.say(Entry{Kind: kind, What: fmt.Sprintf("Task %d is %s: %s", t.N, what, short(t.Title)),
		Field: "done", Old: a.json(!done), New: a.json(done), Links: []string{link("task", t.N)}})
}

func (c AddAlert) apply(a *applier) error {
	if c.Alert == 0 {
		return fmt.Errorf("add an alert to case %s: which one is not said: %w", a.Case.ID, fault.Invalid)
	}
	if c.Severity != 0 { // an alert of which nobody said it raises nothing
		if err := severity(c.Severity); err != nil {
			return err
		}
	}
	if a.parts.Alert != nil {
		return nil
	}
	a.Case.Alerts++
	a.Alert = &AlertLink{Alert: c.Alert, Added: a.at}
	what := fmt.Sprintf("Alert %s added", c.Alert)
	if named := short(c.Title); named != "" {
		what += ": " + named
	}
	a.say(Entry{Kind: AlertAdded, What: what, Links: []string{c.Alert.String()}})
	if c.Severity > a.Case.Severity {
		set(a, "severity", &a.Case.Severity, &c.Severity)
	}
	return nil
}

func (c RemoveAlert) apply(a *applier) error {
	if a.parts.Alert == nil {
		return fmt.Errorf("take alert %s out of case %s: it is not in it: %w", c.Alert, a.Case.ID, fault.NotFound)
	}
	a.Case.Alerts--
	a.Unlinked = a.parts.Alert
	a.say(Entry{Kind: AlertRemoved, What: fmt.Sprintf("Alert %s taken out", c.Alert), Links: []string{c.Alert.String()}})
	return nil
}

func (c AddObservable) apply(a *applier) error {
	if c.Type == "" || c.Value == "" {
		return fmt.Errorf("an observable needs a type and a value: %w", fault.Invalid)
	}
	if c.Score < 0 || c.Score > 100 {
		return fmt.Errorf("the score of %s is %d; it is 0 to 100: %w", c.Value, c.Score, fault.Invalid)
	}
	if err := first(oneOf("verdict of an observable", c.Verdict, ObservableVerdicts), text("the value", c.Value), text("the note", c.Note)); err != nil {
		return err
	}
	if a.parts.Observable == nil {
		a.Case.Observables++
		a.Observable = &Observable{Type: c.Type, Value: c.Value, Role: c.Role, Verdict: c.Verdict, Score: c.Score, Note: c.Note, Added: a.at, Updated: a.at}
		a.say(Entry{Kind: ObservableAdded, What: fmt.Sprintf("Observable %s: %s", c.Type, short(c.Value)), New: a.json(a.Observable)})
		return nil
	}
	o := *a.parts.Observable
	before := len(a.Entries)
	subject := fmt.Sprintf("Observable %s %s", o.Type, short(o.Value))
	more(a, subject, "role", &o.Role, c.Role)
	more(a, subject, "verdict", &o.Verdict, c.Verdict)
	more(a, subject, "score", &o.Score, c.Score)
	more(a, subject, "note", &o.Note, c.Note)
	if len(a.Entries) > before {
		o.Updated = a.at
		a.Observable = &o
	}
	return nil
}

// more changes one field of an observable, unless nothing is said about it.
func more[T comparable](a *applier, subject, field string, p *T, to T) {
	var nothing T
	if to == nothing || to == *p {
		return
	}
	old := *p
	*p = to
	a.changed(ObservableChanged, subject, field, old, to)
}

func (c AddEvidence) apply(a *applier) error {
	if c.Hash == "" && c.Link == "" {
		return fmt.Errorf("evidence is a file or a link, neither is given: %w", fault.Invalid)
	}
	if err := title("the evidence", c.Title); err != nil {
		return err
	}
	a.Case.Evidence++
	n := a.Case.Evidence
	a.Evidence = &Evidence{N: n, Title: c.Title, Hash: c.Hash, SizeBytes: c.SizeBytes, MediaType: c.MediaType, Link: c.Link, Added: a.at, By: a.by}
	a.say(Entry{Kind: EvidenceAdded, What: "Evidence: " + short(c.Title), New: a.json(a.Evidence), Links: []string{link("evidence", n)}})
	return nil
}

func link(kind string, n int) string { return fmt.Sprintf("%s:%d", kind, n) }
