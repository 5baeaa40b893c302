package cases

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"riposte/internal/fault"
)

// Limits on what a case takes in, in bytes.
const (
	maxTitle = 500
	maxText  = 1 << 20
	maxTag   = 200
	maxTags  = 200 // how many
)

// Applied is what a change did. A change that alters nothing has no Entries, and
// the case keeps its version.
type Applied struct {
	Case    Case
	Entries []Entry // numbered, oldest first
	// The part that was added or changed, nil where none was.
	Task       *Task
	Note       *Note
	Alert      *AlertLink
	Observable *Observable
	Evidence   *Evidence
	Unlinked   *AlertLink // taken away
}

// applier collects what a change does.
type applier struct {
	Applied
	parts Parts
	at    time.Time
	by    By
	err   error
}

// Apply does a change to a case: at tells when, by who does it, and parts holds
// what c.Part() named. It returns fault.Invalid for a change that makes no
// sense, fault.NotFound where it names a part that is not there, and
// fault.Conflict where the state of the case forbids it.
func Apply(c Case, parts Parts, ch Change, at time.Time, by By) (Applied, error) {
	a := &applier{Applied: Applied{Case: c}, parts: parts, at: at.UTC(), by: by}
	a.Case.Tags = slices.Clone(c.Tags)
	a.Case.Fields = maps.Clone(c.Fields)
	if _, open := ch.(Open); !open && c.ID == 0 {
		return Applied{Case: c}, fmt.Errorf("change a case that is not there: %w", fault.NotFound)
	}
	err := ch.apply(a)
	if err == nil {
		err = a.err
	}
	if err != nil {
		return Applied{Case: c}, err
	}
	if len(a.Entries) > 0 {
		a.Case.Version++
		a.Case.Updated = a.at
	}
	return a.Applied, nil
}

// say adds an entry to the timeline.
func (a *applier) say(e Entry) {
	a.Case.Entries++
	e.N, e.At, e.By = a.Case.Entries, a.at, a.by
	a.Entries = append(a.Entries, e)
}

// changed notes a field that went from old to new.
func (a *applier) changed(kind EntryKind, subject, field string, old, next any, links ...string) {
	a.say(Entry{
		Kind: kind, Field: field, Old: a.json(old), New: a.json(next), Links: links,
		What: fmt.Sprintf("%s: %s is now %s", subject, strings.ReplaceAll(field, "_", " "), show(next)),
	})
}

func (a *applier) json(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil && a.err == nil {
		a.err = fmt.Errorf("%v cannot be written as JSON: %w", v, fault.Invalid)
	}
	return b
}

// show writes a value for the sentence of an entry.
func show(v any) string {
	switch v := v.(type) {
	case string:
		if v == "" {
			return "empty"
		}
		return short(v)
	case []string:
		return short(strings.Join(v, ", "))
	case time.Time:
		if v.IsZero() {
			return "empty"
		}
		return v.Format(time.RFC3339)
	}
	return short(fmt.Sprint(v))
}

// short cuts a text for a sentence; the whole of it is in the entry.
func short(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) <= 120 {
		return s
	}
	return string([]rune(s)[:119]) + "…"
}

// set changes one field of the head, if the new value is another one.
func set[T comparable](a *applier, field string, p *T, to *T) {
	if to == nil || *p == *to {
		return
	}
	old := *p
	*p = *to
	a.changed(Changed, "Case", field, old, *to)
}

func oneOf[T ~string](what string, v T, allowed []T) error {
	if v == "" || slices.Contains(allowed, v) {
		return nil
	}
	names := make([]string, len(allowed))
	for i, n := range allowed {
		names[i] = string(n)
	}
	return fmt.Errorf("there is no %s %q; it is one of %s: %w", what, string(v), strings.Join(names, ", "), fault.Invalid)
}

func severity(n int) error {
	if n < 1 || n > 5 {
		return fmt.Errorf("severity is %d; it is 1 (informational) to 5 (critical): %w", n, fault.Invalid)
	}
	return nil
}

func title(what, s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return fmt.Errorf("%s has no title: %w", what, fault.Invalid)
	case len(s) > maxTitle:
		return fmt.Errorf("%s has a title of %d bytes; at most %d are allowed: %w", what, len(s), maxTitle, fault.Invalid)
	case !utf8.ValidString(s):
		return fmt.Errorf("the title of %s is not UTF-8 text: %w", what, fault.Invalid)
	}
	return nil
}

func text(what, s string) error {
	if len(s) > maxText {
		return fmt.Errorf("%s has %d bytes; at most %d are allowed: %w", what, len(s), maxText, fault.Invalid)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s is not UTF-8 text: %w", what, fault.Invalid)
	}
	return nil
}

// first returns the first error, so that a check reads as a list.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
