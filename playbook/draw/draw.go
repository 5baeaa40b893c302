// Package draw makes pictures of playbooks: SVG for people and Mermaid for
// documents. The layout is computed from the text, so picture and text cannot
// disagree, and the same text always gives the same picture.
package draw

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"riposte/playbook"
)

// card is what is written on one step.
type card struct {
	title  string   // what people read
	detail string   // what it does, in the playbook's words
	lines  []string // conditions, approval, limits, undo
	full   string   // everything, for a tool tip
}

// describe makes the card of a step.
func describe(c *playbook.Checked, s *playbook.Step) card {
	out := card{detail: detail(s), title: s.Name.Value}
	switch {
	case out.title != "":
	case s.Verb == playbook.Ask:
		out.title = s.Head.Value
	case s.ID.Set():
		out.title = s.ID.Value
	default:
		out.title, out.detail = out.detail, ""
	}
	add := func(format string, args ...any) { out.lines = append(out.lines, fmt.Sprintf(format, args...)) }
	if s.When.Set() {
		add("when %s", s.When.Value)
	}
	if s.Verb == playbook.Ask {
		add("asks %s", people(s.To))
		if len(s.Options) > 0 {
			add("answers: %s", strings.Join(texts(s.Options), ", "))
		}
	}
	if s.Approve != nil {
		add("approval: %s of %s", need(s.Approve), people(s.Approve.By))
	}
	if limits := limits(s); limits != "" {
		add("%s", limits)
	}
	if f := c.Facts(s); f.Undo != "" {
		if f.After != "" && f.After != "0s" {
			add("undo: %s after %s", f.Undo, f.After)
		} else {
			add("undo: %s", f.Undo)
		}
	}
	if s.OnError != nil && s.OnError.Word != "" {
		add("on error: %s", s.OnError.Word)
	}
	out.full = strings.Join(append([]string{out.title, out.detail}, out.lines...), "\n")
	if s.Note.Set() {
		out.full += "\n" + s.Note.Value
	}
	return out
}

// detail says what a step does in one line.
func detail(s *playbook.Step) string {
	switch s.Verb {
	case playbook.Action:
		if s.Using.Set() {
			return s.Head.Value + " on " + s.Using.Value
		}
		return s.Head.Value
	case playbook.Call:
		return "playbook " + s.Head.Value
	case playbook.If:
		return "if " + s.Head.Value
	case playbook.Switch:
		return "switch " + s.Head.Value
	case playbook.Parallel:
		return "at the same time"
	case playbook.ForEach:
		as := "item"
		if s.As.Set() {
			as = s.As.Value
		}
		if s.AtOnce > 1 {
			return fmt.Sprintf("for each %s of %s, %d at once", as, s.Head.Value, s.AtOnce)
		}
		return fmt.Sprintf("for each %s of %s", as, s.Head.Value)
	case playbook.While:
		rounds := s.Max
		if rounds == 0 {
			rounds = playbook.DefaultMax
		}
		return fmt.Sprintf("while %s, at most %d rounds", s.Head.Value, rounds)
	case playbook.Ask:
		return "ask"
	case playbook.Set:
		names := make([]string, len(s.Set))
		for i, e := range s.Set {
			names[i] = e.Name
		}
		return "set " + strings.Join(names, ", ")
	case playbook.Wait:
		if s.Until.Set() {
			return fmt.Sprintf("wait until %s, look every %s", s.Until.Value, s.Every.Value)
		}
		return "wait " + s.Head.Value
	case playbook.Stop:
		if s.Reason.Set() {
			return "stop: " + s.Head.Value + ", " + s.Reason.Value
		}
		return "stop: " + s.Head.Value
	}
	return ""
}

// limits lists timeout, retry and rate.
func limits(s *playbook.Step) string {
	var all []string
	if s.Retry != nil {
		all = append(all, fmt.Sprintf("%d tries", max(s.Retry.Times, 1)))
	}
	if s.Rate.Set() {
		all = append(all, "at most "+s.Rate.Value)
	}
	if s.Timeout.Set() {
		all = append(all, "timeout "+s.Timeout.Value)
	}
	if s.Within.Set() {
		all = append(all, "within "+s.Within.Value)
	}
	return strings.Join(all, ", ")
}

func need(a *playbook.ApprovalText) string {
	if a.Need.Set() {
		return playbook.NeedText(a.Need.Value)
	}
	return "1"
}

// people writes a text or a list of texts.
func people(d playbook.Data) string {
	switch v := d.Value.(type) {
	case string:
		return v
	case []any:
		names := make([]string, len(v))
		for i, e := range v {
			names[i] = fmt.Sprint(e)
		}
		return strings.Join(names, ", ")
	}
	return "nobody"
}

func texts(list []playbook.Text) []string {
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = t.Value
	}
	return out
}

// trigger says in one line what starts a playbook.
func trigger(t *playbook.TriggerText) string {
	event := ""
	if t.Event.Set() {
		event = " " + t.Event.Value
	}
	switch t.Kind {
	case playbook.OnSchedule:
		if t.Zone.Set() {
			return "schedule " + t.Cron.Value + " " + t.Zone.Value
		}
		return "schedule " + t.Cron.Value
	case playbook.OnWebhook:
		return "webhook " + t.Path.Value
	case playbook.OnManual:
		if len(t.From) > 0 {
			return "by hand from " + strings.Join(texts(t.From), ", ")
		}
		return "by hand"
	case playbook.OnAlert, playbook.OnCase, playbook.OnIndicator:
		if t.Where.Set() {
			return string(t.Kind) + event + ": " + t.Where.Value
		}
		return string(t.Kind) + event
	}
	return string(t.Kind)
}

// oneLine puts a text on one line: white space becomes blanks, what cannot be
// shown disappears, expressions lose their dollar sign.
func oneLine(text string) string {
	text = strings.ReplaceAll(text, "${{", "{{")
	text = strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t' || c == '\r':
			return ' '
		case c < ' ' || c >= 0x7f && c < 0xa0 || c >= 0xfff0 && c <= 0xffff || c >= 0x200b && c <= 0x200f || c >= 0x2028 && c <= 0x202e || c >= 0x2066 && c <= 0x2069:
			return -1
		}
		return c
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// short cuts a text to a number of characters.
func short(text string, most int) string {
	text = oneLine(text)
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}
