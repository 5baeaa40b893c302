package playbook

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"riposte/internal/expr"
)

var mentioned = regexp.MustCompile(`\b(steps|inputs|vars)\s*\??\.\s*([a-z][a-z0-9_]*)`)

// mentions counts what a wrong expression names as used: it must not be
// reported as unused on top.
func (c *checker) mentions(text string) {
	used := map[string]map[string]bool{"steps": c.usedSteps, "inputs": c.usedInputs, "vars": c.usedVars}
	for _, m := range mentioned.FindAllStringSubmatch(text, -1) {
		used[m[1]][m[2]] = true
	}
}

// descend follows a path of keys and indices.
func (n *node) descend(path []any) *node {
	for _, part := range path {
		var next *node
		switch part := part.(type) {
		case string:
			next = n.value(part)
		case int:
			if n.kind == listNode && part < len(n.items) {
				next = n.items[part]
			}
		}
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

// reads notes what an expression reads and refuses steps that are not visible.
func (c *checker) reads(refs [][]string, n *node, w where) {
	for _, path := range refs {
		switch path[0] {
		case "inputs":
			use(c.usedInputs, path)
		case "vars":
			use(c.usedVars, path)
		case "steps":
			c.readsStep(path, n, w)
		}
		c.nearMiss(path, n, w)
	}
}

// nearMiss refuses a field that an open object does not name but nearly does:
// manifests leave objects open, and a typing mistake would give nil for ever.
func (c *checker) nearMiss(path []string, n *node, w where) {
	t, ok := c.scope(w).Lookup(path[0])
	for i, name := range path[1:] {
		if !ok || t.Kind() != expr.KindObject {
			return
		}
		if _, named := t.Fields()[name]; !named && t.Open() {
			if best := nearest(name, sortedKeys(t.Fields())); best != "" {
				at := n.mention(path[:i+2]...)
				c.r.errorf(at, "%s has no field %q; did you mean %q?", strings.Join(path[:i+1], "."), name, best)
			}
			return
		}
		t, ok = t.Field(name)
	}
}

// use marks a name as used, "" for all of them.
func use(used map[string]bool, path []string) {
	if len(path) > 1 {
		used[path[1]] = true
	} else {
		used[""] = true
	}
}

func (c *checker) readsStep(path []string, n *node, w where) {
	if len(path) < 2 {
		c.r.errorf(n.mention("steps"), "steps as a whole; expected one step, named by its id: steps.<id>")
		return
	}
	id := path[1]
	s := c.steps[id]
	if s == nil {
		return // the compiler has said so
	}
	c.usedSteps[id] = true
	if w.seen.has(id) || w.all && s.loop == nil {
		return
	}
	c.r.errorf(n.mention("steps", id), "steps.%s %s", id, whyNot(s, w))
}

// whyNot says why a step cannot be seen from a place.
func whyNot(s *Step, w where) string {
	switch loop := s.loop; {
	case loop == nil || slices.Contains(w.loops, loop):
		return "is not visible here; expected a step that comes before, in this list or one around it"
	case loop.ID.Set():
		return fmt.Sprintf("is only visible inside the loop of line %d; expected steps.%s, which has the rounds' results", loop.Pos.Line, loop.ID.Value)
	default:
		return fmt.Sprintf("is only visible inside the loop of line %d; expected the loop itself: give it an id and collect", loop.Pos.Line)
	}
}

// leaves lists the scalars of a node.
func (n *node) leaves() []*node {
	switch n.kind {
	case listNode:
		var all []*node
		for _, item := range n.items {
			all = append(all, item.leaves()...)
		}
		return all
	case objectNode:
		var all []*node
		for _, p := range n.pairs {
			all = append(all, p.value.leaves()...)
		}
		return all
	default: // a scalar
	}
	return []*node{n}
}

// mention finds where a path is written inside a node.
func (n *node) mention(path ...string) Pos {
	parts := make([]string, len(path))
	for i, p := range path {
		parts[i] = regexp.QuoteMeta(p)
	}
	re := regexp.MustCompile(`\b` + strings.Join(parts, `\s*\??\.\s*`) + `\b`)
	for _, leaf := range n.leaves() {
		if at := re.FindStringIndex(leaf.text); at != nil {
			return leaf.place(at[0])
		}
	}
	return n.at
}
