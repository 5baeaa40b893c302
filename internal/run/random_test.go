package run_test

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

// randomPlaybook draws a playbook that uses every verb, handlers, loops,
// retries, approvals and undo, and that always comes to an end once everything
// it asks for is answered.
func randomPlaybook(t *rapid.T) string {
	g := &drawer{t: t}
	var b strings.Builder
	b.WriteString("playbook: drawn\ntitle: Drawn\nvars:\n  v: 0\nsteps:\n")
	g.steps(&b, 1, 3, false)
	switch rapid.IntRange(0, 3).Draw(t, "on_error") {
	case 0:
		b.WriteString("on_error:\n")
		g.steps(&b, 1, 0, false)
	case 1:
		b.WriteString("on_error: undo\n")
	}
	if rapid.Bool().Draw(t, "finally") {
		g.noStop = true
		b.WriteString("finally:\n")
		g.steps(&b, 1, 0, false)
	}
	if rapid.Bool().Draw(t, "timeout") {
		b.WriteString("timeout: 10m\n")
	}
	return b.String()
}

// drawer writes random steps; ids are numbered through the file.
type drawer struct {
	t      *rapid.T
	next   int
	noStop bool // inside finally
}

func (g *drawer) pick(of string, n int) int { return rapid.IntRange(0, n-1).Draw(g.t, of) }

func (g *drawer) steps(b *strings.Builder, indent, depth int, noSet bool) {
	for range 1 + g.pick("steps", 3) {
		g.step(b, strings.Repeat("  ", indent), indent, depth, noSet)
	}
}

func (g *drawer) step(b *strings.Builder, pad string, indent, depth int, noSet bool) {
	g.next++
	id := fmt.Sprintf("s%d", g.next)
	fmt.Fprintf(b, "%s- id: %s\n", pad, id)
	in := pad + "  "
	kinds := 7
	if depth > 0 {
		kinds = 12
	}
	line := func(format string, args ...any) { fmt.Fprintf(b, in+format+"\n", args...) }
	list := func(key string, noSet bool) {
		line("%s:", key)
		g.steps(b, indent+2, depth-1, noSet)
	}
	handled, timeout := true, false
	switch g.pick("verb", kinds) {
	case 0, 1:
		line("action: lab.read")
		line("retry: %d", 1+g.pick("retry", 3))
	case 2, 3:
		line("action: lab.change")
		line("with: { x: %d }", g.next)
		if g.pick("approve", 3) == 0 {
			line("approve: { by: role:analyst, within: 1h }")
		}
		line("retry: %d", 1+g.pick("retry", 2))
	case 4:
		line("ask: Go on?")
		line("to: role:analyst")
		line("options: [yes, no]")
		line("within: 30m")
		if g.pick("default", 2) == 0 {
			line("default: \"no\"")
		}
	case 5:
		switch {
		case noSet:
			line("wait: 5s")
		default:
			line("set: { v: \"${{ vars.v + 1 }}\" }")
		}
	case 6:
		if g.noStop || g.pick("stop", 4) > 0 {
			line("action: lab.once")
			break
		}
		line("stop: %s", []string{"succeeded", "failed", "cancelled"}[g.pick("stop", 3)])
		handled = false
	case 7:
		line("if: vars.v > %d", g.pick("if", 3))
		list("then", noSet)
		if g.pick("else", 2) == 0 {
			list("else", noSet)
		}
		timeout = true
	case 8:
		line("parallel:")
		for i := range 1 + g.pick("branches", 3) {
			fmt.Fprintf(b, "%s  b%d:\n", in, i)
			g.steps(b, indent+3, depth-1, true)
		}
		timeout = true
	case 9:
		line("for_each: \"[1, 2, 3]\"")
		line("at_once: %d", 1+g.pick("at_once", 3))
		line("collect: ${{ item }}")
		list("do", true)
		timeout = true
	case 10:
		line("while: index < 2")
		list("do", noSet)
	case 11:
		line("playbook: other")
		timeout = true
	}
	if timeout && g.pick("limit", 3) == 0 {
		line("timeout: 5m")
	}
	if handled {
		switch g.pick("on_error", 5) {
		case 0:
			line("on_error: continue")
		case 1:
			if depth > 0 {
				list("on_error", noSet)
			}
		case 2:
			if timeout {
				line("on_error: undo")
			}
		}
	}
	if g.pick("when", 6) == 0 {
		line("when: vars.v >= 0")
	}
}
