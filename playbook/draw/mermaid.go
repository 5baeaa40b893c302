package draw

import (
	"fmt"
	"strings"

	"riposte/playbook"
)

// Mermaid draws a playbook as a Mermaid flow chart.
func Mermaid(c *playbook.Checked) string {
	m := &mermaid{checked: c}
	m.line("flowchart TD")
	m.indent = 1
	var starts []string
	for _, t := range c.Playbook.On {
		starts = append(starts, trigger(t))
	}
	if len(starts) == 0 {
		starts = []string{"by hand"}
	}
	m.line(`start(["%s"])`, label(append([]string{c.Playbook.Title.Value}, starts...)))
	ends := m.list(c.Playbook.Steps, []exit{{from: "start"}})
	m.link(ends, "done")
	m.line(`done(["end"])`)
	if h := c.Playbook.OnError; h != nil {
		m.line(`failed{{"error that nobody handled"}}`)
		if h.Word != "" {
			m.line(`failed -.-> failed_do["%s"]`, label([]string{h.Word}))
		} else {
			m.subgraph("on_error", "on error, for the whole run", func() { m.list(h.Do, []exit{{from: "failed", dashed: true}}) })
		}
	}
	if len(c.Playbook.Finally) > 0 {
		m.subgraph("finally", "finally, always", func() { m.list(c.Playbook.Finally, []exit{{from: "done"}}) })
	}
	return m.out.String()
}

// exit is a loose end of the flow: where it comes from and what it is called.
type exit struct {
	from, label string
	dashed      bool
}

type mermaid struct {
	checked *playbook.Checked
	out     strings.Builder
	indent  int
	count   int
}

func (m *mermaid) line(format string, args ...any) {
	m.out.WriteString(strings.Repeat("  ", m.indent))
	fmt.Fprintf(&m.out, format, args...)
	m.out.WriteByte('\n')
}

func (m *mermaid) subgraph(id, title string, inside func()) {
	m.line(`subgraph %s["%s"]`, id, label([]string{title}))
	m.indent++
	inside()
	m.indent--
	m.line("end")
}

func (m *mermaid) name(prefix string) string {
	m.count++
	return fmt.Sprintf("%s%d", prefix, m.count)
}

// link draws the lines from loose ends to a node.
func (m *mermaid) link(from []exit, to string) {
	for _, e := range from {
		arrow := "-->"
		if e.dashed {
			arrow = "-.->"
		}
		if e.label != "" {
			m.line(`%s %s|"%s"| %s`, e.from, arrow, label([]string{e.label}), to)
		} else {
			m.line("%s %s %s", e.from, arrow, to)
		}
	}
}

// list draws steps and gives their loose ends.
func (m *mermaid) list(steps []*playbook.Step, from []exit) []exit {
	for _, s := range steps {
		from = m.step(s, from)
	}
	return from
}

func (m *mermaid) step(s *playbook.Step, from []exit) []exit {
	id := m.name("s")
	open, shut := brackets(s.Verb)
	c := describe(m.checked, s)
	lines := append([]string{c.title, c.detail}, c.lines...)
	f := m.checked.Facts(s)
	if f.Changes {
		lines = append(lines, "impact: "+f.Impact.String())
	}
	var ends []exit
	inside := func() {
		m.line(`%s%s"%s"%s`, id, open, label(lines), shut)
		m.link(from, id)
		ends = m.body(s, id)
	}
	if s.Verb == playbook.ForEach || s.Verb == playbook.While {
		m.subgraph(id+"_loop", "loop", inside)
	} else {
		inside()
	}
	if f.Undo != "" {
		undo := "undo: " + f.Undo
		if f.After != "" && f.After != "0s" {
			undo += " after " + f.After
		}
		m.line(`%s -. "undo" .-> %s_undo[/"%s"/]`, id, id, label([]string{undo}))
	}
	if s.OnError != nil && len(s.OnError.Do) > 0 {
		ends = append(ends, m.list(s.OnError.Do, []exit{{id, "on error", true}})...)
	}
	return ends
}

// body draws what is inside a step and gives the loose ends.
func (m *mermaid) body(s *playbook.Step, id string) []exit {
	switch s.Verb {
	case playbook.If:
		return append(m.list(s.Then, []exit{{from: id, label: "then"}}), m.list(s.Else, []exit{{from: id, label: "else"}})...)
	case playbook.Switch:
		var ends []exit
		for _, b := range s.Branches {
			ends = append(ends, m.list(b.Do, []exit{{from: id, label: b.Name}})...)
		}
		return append(ends, m.list(s.Else, []exit{{from: id, label: "else"}})...)
	case playbook.Parallel:
		var ends []exit
		for _, b := range s.Branches {
			ends = append(ends, m.list(b.Do, []exit{{from: id, label: b.Name}})...)
		}
		if len(ends) == 0 {
			return nil
		}
		join := id + "_join"
		m.line(`%s[/"all branches"\]`, join)
		m.link(ends, join)
		return []exit{{from: join}}
	case playbook.ForEach, playbook.While:
		again := m.list(s.Do, []exit{{from: id, label: "each round"}})
		if len(s.Do) > 0 {
			m.link(again, id)
		}
		return []exit{{from: id, label: "then"}}
	case playbook.Stop:
		if s.When.Set() {
			return []exit{{from: id, label: "not so"}}
		}
		return nil
	default: // nothing to do for the others
	}
	return []exit{{from: id}}
}

// brackets give a verb its shape.
func brackets(v playbook.Verb) (open, shut string) {
	switch v {
	case playbook.If, playbook.Switch:
		return "{", "}"
	case playbook.Call:
		return "[[", "]]"
	case playbook.Parallel:
		return `[\`, "/]"
	case playbook.ForEach, playbook.While:
		return "{{", "}}"
	case playbook.Ask:
		return ">", "]"
	case playbook.Wait:
		return "(", ")"
	case playbook.Stop:
		return "([", "])"
	default: // nothing to do for the others
	}
	return "[", "]"
}

// label writes lines as a Mermaid text. Everything that Mermaid or HTML could
// take for markup becomes an entity.
func label(lines []string) string {
	var out []string
	for _, l := range lines {
		if l = short(l, 70); l != "" {
			out = append(out, entities(l))
		}
	}
	return strings.Join(out, "<br>")
}

func entities(text string) string {
	var b strings.Builder
	for _, c := range text {
		if strings.ContainsRune("\"<>&#`%|\\", c) {
			fmt.Fprintf(&b, "#%d;", c)
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}
