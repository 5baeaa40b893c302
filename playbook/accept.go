package playbook

import (
	"slices"
	"strings"
)

// accepted is a comment "# accept: CODE reason".
type accepted struct {
	at     Pos
	code   string
	reason string
	owner  *region
	used   bool
}

// region is what a finding and a comment belong to: a step, an input, a
// variable, a trigger, a test or a key of the playbook, without the steps inside.
type region struct{ from, to int }

const acceptMark = "accept:"

// accept takes out the findings that the file accepts, and reports comments
// that accept nothing.
func (c *checker) accept() {
	marks := c.acceptMarks()
	if len(marks) == 0 {
		return
	}
	regions := c.regions()
	for i := range marks {
		marks[i].owner = innermost(regions, c.aboutLine(marks[i].at))
	}
	c.r.all = slices.DeleteFunc(c.r.all, func(d Diagnostic) bool {
		if d.Severity != SeverityFinding {
			return false
		}
		owner, taken := innermost(regions, d.Line), false
		for i := range marks {
			if marks[i].code == d.Code && marks[i].owner == owner && owner != nil {
				marks[i].used, taken = true, true
			}
		}
		return taken
	})
	for _, m := range marks {
		switch {
		case !slices.Contains(Codes(), m.code):
			c.finding(m.at, CodeAcceptUnknown, "there is no finding %s%s", quoted(m.code), orKnown(m.code, Codes()))
		case m.reason == "":
			c.finding(m.at, CodeAcceptReason, "accepting %s needs a reason; write # accept: %s and why", m.code, m.code)
		case !m.used:
			c.finding(m.at, CodeAcceptUnused, "nothing here is found to be %s; leave the comment out", m.code)
		}
	}
}

// acceptMarks finds the comments that accept something.
func (c *checker) acceptMarks() []accepted {
	var marks []accepted
	if !strings.Contains(c.p.src.text, acceptMark) {
		return nil
	}
	for _, m := range comments(c.p.src, c.p.root) {
		rest, ok := strings.CutPrefix(strings.TrimLeft(m.text, "# \t"), acceptMark)
		if !ok {
			continue
		}
		code, reason, _ := strings.Cut(strings.TrimSpace(rest), " ")
		marks = append(marks, accepted{at: m.at, code: code, reason: strings.TrimSpace(reason)})
	}
	return marks
}

// aboutLine is the line that a comment is about: its own where something stands
// before it, else the next one with anything but a comment.
func (c *checker) aboutLine(at Pos) int {
	src := c.p.src
	for line := at.Line; line <= len(src.lines); line++ {
		end := len(src.text)
		if line < len(src.lines) {
			end = src.lines[line]
		}
		text := strings.TrimSpace(src.text[src.lines[line-1]:end])
		if text != "" && !strings.HasPrefix(text, "#") {
			return line
		}
	}
	return at.Line
}

// regions lists everything that can own a finding.
func (c *checker) regions() []region {
	var all []region
	add := func(n *node, from Pos) { all = append(all, region{from.Line, c.p.src.pos(n.end).Line}) }
	for _, p := range c.p.root.pairs {
		add(p.value, p.key.at)
		for _, item := range items(p.value) {
			add(item, item.at)
		}
		if slices.Contains([]string{"inputs", "vars", "outputs"}, p.key.text) {
			for _, q := range pairs(p.value) {
				add(q.value, q.key.at)
			}
		}
	}
	c.p.All(func(s *Step) { add(s.node, s.Pos) })
	return all
}

// innermost finds the smallest region that holds a line.
func innermost(regions []region, line int) *region {
	var best *region
	for i := range regions {
		r := &regions[i]
		if r.from <= line && line <= r.to && (best == nil || r.to-r.from < best.to-best.from || r.from > best.from) {
			best = r
		}
	}
	return best
}
