package cases

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"riposte/internal/fault"
)

func (c Open) apply(a *applier) error {
	if a.Case.ID != 0 {
		return fmt.Errorf("open case %s: it is there already: %w", a.Case.ID, fault.Conflict)
	}
	err := first(title("the case", c.Title), text("the description", c.Description), text("the category", c.Category),
		text("the owner", c.Owner), text("the group key", c.Group), severity(c.Severity), oneOf("TLP", c.TLP, TLPs), oneOf("PAP", c.PAP, PAPs))
	if err != nil {
		return err
	}
	tags, err := addTags(nil, c.Tags)
	if err != nil {
		return err
	}
	fields := maps.Clone(c.Fields)
	for name, v := range fields {
		if err := holdsJSON(name, v); err != nil {
			return err
		}
		if isNull(v) {
			delete(fields, name)
		}
	}
	a.Case = Case{
		Tenant: a.Case.Tenant, Title: c.Title, Description: c.Description, Category: c.Category, Severity: c.Severity,
		Status: IsOpen, Owner: c.Owner, TLP: c.TLP, PAP: c.PAP, Tags: tags, Group: c.Group,
		Fields: fields, Opened: a.at,
	}
	a.say(Entry{Kind: Opened, What: "Case opened: " + short(c.Title), New: a.json(a.Case.Severity), Field: "severity"})
	return nil
}

func (c Set) apply(a *applier) error {
	h := &a.Case
	err := first(
		ifSet(c.Title, func(s string) error { return title("the case", s) }),
		ifSet(c.Description, func(s string) error { return text("the description", s) }),
		ifSet(c.Summary, func(s string) error { return text("the summary", s) }),
		ifSet(c.Category, func(s string) error { return text("the category", s) }),
		ifSet(c.Owner, func(s string) error { return text("the owner", s) }),
		ifSet(c.Severity, severity),
		ifSet(c.Verdict, h.judged),
		ifSet(c.TLP, func(s string) error { return oneOf("TLP", s, TLPs) }),
		ifSet(c.PAP, func(s string) error { return oneOf("PAP", s, PAPs) }),
	)
	if err != nil {
		return err
	}
	set(a, "title", &h.Title, c.Title)
	set(a, "description", &h.Description, c.Description)
	set(a, "summary", &h.Summary, c.Summary)
	set(a, "category", &h.Category, c.Category)
	set(a, "severity", &h.Severity, c.Severity)
	set(a, "verdict", &h.Verdict, c.Verdict)
	set(a, "owner", &h.Owner, c.Owner)
	set(a, "tlp", &h.TLP, c.TLP)
	set(a, "pap", &h.PAP, c.PAP)
	if err := c.tags(a); err != nil {
		return err
	}
	return c.fields(a)
}

// judged checks a new verdict: an open case may lose its own, a closed one never
// stands there without any.
func (c *Case) judged(v Verdict) error {
	if v == "" && c.Status == IsClosed {
		return fmt.Errorf("take the verdict from case %s: a closed case has a verdict; reopen it first, or give another: %w", c.ID, fault.Conflict)
	}
	return oneOf("verdict", v, Verdicts)
}

func ifSet[T any](p *T, check func(T) error) error {
	if p == nil {
		return nil
	}
	return check(*p)
}

func (c Set) tags(a *applier) error {
	old := a.Case.Tags
	tags, err := addTags(old, c.AddTags)
	if err != nil {
		return err
	}
	for _, gone := range c.RemoveTags {
		tags = slices.DeleteFunc(tags, func(t string) bool { return t == strings.TrimSpace(gone) })
	}
	if slices.Equal(old, tags) {
		return nil
	}
	a.Case.Tags = tags
	a.changed(Changed, "Case", "tags", old, tags)
	return nil
}

// addTags returns the tags, sorted and each once.
func addTags(have, more []string) ([]string, error) {
	tags := slices.Clone(have)
	for _, t := range more {
		t = strings.TrimSpace(t)
		if t == "" || len(t) > maxTag {
			return nil, fmt.Errorf("a tag has 1 to %d bytes, %q does not: %w", maxTag, t, fault.Invalid)
		}
		if !utf8.ValidString(t) {
			return nil, fmt.Errorf("the tag %q is not UTF-8 text: %w", t, fault.Invalid)
		}
		tags = append(tags, t)
	}
	slices.Sort(tags)
	if tags = slices.Compact(tags); len(tags) > maxTags {
		return nil, fmt.Errorf("a case has at most %d tags, not %d: %w", maxTags, len(tags), fault.Invalid)
	}
	return tags, nil
}

func (c Set) fields(a *applier) error {
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		next, old := c.Fields[name], a.Case.Fields[name]
		if err := holdsJSON(name, next); err != nil {
			return err
		}
		if isNull(next) {
			next = nil
		}
		if bytes.Equal(old, next) {
			continue
		}
		if next == nil {
			delete(a.Case.Fields, name)
		} else {
			if a.Case.Fields == nil {
				a.Case.Fields = map[string]json.RawMessage{}
			}
			a.Case.Fields[name] = next
		}
		a.say(Entry{Kind: Changed, Field: "fields." + name, Old: old, New: next,
			What: fmt.Sprintf("Case: field %s is now %s", name, short(string(next)))})
	}
	return nil
}

func holdsJSON(name string, v json.RawMessage) error {
	if !json.Valid(v) {
		return fmt.Errorf("field %s holds no JSON: %w", name, fault.Invalid)
	}
	return nil
}

func isNull(v json.RawMessage) bool { return bytes.Equal(bytes.TrimSpace(v), []byte("null")) }

func (c Close) apply(a *applier) error {
	if c.Verdict == "" {
		return fmt.Errorf("close case %s: it needs a verdict, one of %v: %w", a.Case.ID, Verdicts, fault.Invalid)
	}
	if err := first(oneOf("verdict", c.Verdict, Verdicts), text("the reason", c.Reason)); err != nil {
		return err
	}
	h := &a.Case
	if h.Status == IsClosed {
		if h.Verdict == c.Verdict && h.Reason == c.Reason {
			return nil // closing twice in the same way is no news
		}
		return fmt.Errorf("close case %s as %s: it is closed as %s already; reopen it first: %w", h.ID, c.Verdict, h.Verdict, fault.Conflict)
	}
	if h.OpenTasks > 0 && !c.Even {
		return fmt.Errorf("close case %s: %d open tasks: %w", h.ID, h.OpenTasks, fault.Conflict)
	}
	old := h.Verdict
	h.Status, h.Verdict, h.Reason, h.Closed = IsClosed, c.Verdict, c.Reason, a.at
	what := "Case closed as " + strings.ReplaceAll(string(c.Verdict), "_", " ")
	if c.Reason != "" {
		what += ": " + short(c.Reason)
	}
	a.say(Entry{Kind: Closed, What: what, Field: "verdict", Old: a.json(old), New: a.json(c.Verdict)})
	return nil
}

func (c Reopen) apply(a *applier) error {
	h := &a.Case
	if h.Status == IsOpen {
		return fmt.Errorf("reopen case %s: it is open: %w", h.ID, fault.Conflict)
	}
	if err := text("the reason", c.Reason); err != nil {
		return err
	}
	old := h.Reason
	h.Status, h.Reason, h.Closed = IsOpen, "", time.Time{}
	what := "Case reopened"
	if c.Reason != "" {
		what += ": " + short(c.Reason)
	}
	a.say(Entry{Kind: Reopened, What: what, Field: "reason", Old: a.json(old), New: a.json(c.Reason)})
	return nil
}

func (c Record) apply(a *applier) error {
	if c.Kind == "" || strings.TrimSpace(c.What) == "" {
		return fmt.Errorf("an entry of a timeline needs a kind and a sentence: %w", fault.Invalid)
	}
	if err := text("the entry", c.What); err != nil {
		return err
	}
	a.say(Entry{Kind: c.Kind, What: c.What, Field: c.Field, Old: c.Old, New: c.New, Links: c.Links})
	return nil
}
