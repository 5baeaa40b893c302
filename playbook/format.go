package playbook

import (
	"fmt"
	"slices"
	"strings"

	"riposte/internal/fault"
)

// Format writes a file in its one canonical form: keys in the order of the
// grammar, two blanks for each level, quotes only where they are needed, no
// ${{ }} where an expression stands anyway. Comments, empty lines (one at most)
// and the line breaks of long texts are kept. Formatting twice changes nothing
// more. The error, a fault.Invalid, says why a text is no YAML that a playbook
// can be written in, as Unformatted where it is at a place; other mistakes in the
// file do not matter.
func Format(src []byte) ([]byte, error) {
	r := &reporter{file: "playbook"}
	s := newSource(strings.TrimPrefix(string(src), "\uFEFF"))
	var root *node
	if s.checkText(r) {
		root = readNodes(s, r)
	}
	if all := r.sorted(); root == nil || len(all) > 0 {
		return nil, &Unformatted{All: all}
	}
	f := &formatter{notes: annotate(s, root)}
	out := f.file(root)
	if err := sameMeaning(root, out); err != nil {
		return nil, err
	}
	return []byte(out), nil
}

// Unformatted is why a text cannot be formatted.
type Unformatted struct{ All []Diagnostic }

// Error tells the first thing.
func (u *Unformatted) Error() string {
	d := u.All[0]
	return fmt.Sprintf("format: line %d, column %d: %s: %s", d.Line, d.Column, d.Message, fault.Invalid)
}

// Unwrap makes it a fault.Invalid.
func (u *Unformatted) Unwrap() error { return fault.Invalid }

// In is what is wrong with the text as what is wrong with a file.
func (u *Unformatted) In(file string) []Diagnostic {
	all := slices.Clone(u.All)
	for i := range all {
		all[i].File = file
	}
	return all
}

// sameMeaning reads what was written again: a formatter must rather fail than
// change a playbook.
func sameMeaning(root *node, out string) error {
	r := &reporter{}
	again := readNodes(newSource(out), r)
	if again == nil || len(r.all) > 0 || !equalNodes(root, again, grammar.playbook) {
		return fmt.Errorf("format: the result would not mean the same; please report this file: %w", fault.Invalid)
	}
	return nil
}

// equalNodes compares two nodes by what they mean.
func equalNodes(a, b *node, s *shape) bool {
	if a.kind != b.kind || len(a.items) != len(b.items) || len(a.pairs) != len(b.pairs) {
		return false
	}
	s = resolved(a, s)
	for i := range a.items {
		if !equalNodes(a.items[i], b.items[i], s.item()) {
			return false
		}
	}
	for _, p := range a.pairs {
		q := b.pair(p.key.text)
		if q == nil || !equalNodes(p.value, q.value, s.field(a, p.key.text)) {
			return false
		}
	}
	if a.kind != scalarNode {
		return true
	}
	if s.expression() && !a.isNull() {
		return bare(a) == bare(b)
	}
	return a.data == b.data
}

// bare is an expression without ${{ }} and white space around it.
func bare(n *node) string {
	inner, _, _ := unwrap(n.text)
	return strings.TrimSpace(inner)
}

// anything is the shape of what the grammar says nothing about.
var anything = &shape{form: literalForm}

// resolved is the choice that a node takes, or the shape itself.
func resolved(n *node, s *shape) *shape {
	for s != nil && s.form == choiceForm {
		s = pick(n, s)
	}
	if s == nil {
		return anything
	}
	return s
}

func (s *shape) item() *shape {
	if s.form == listForm {
		return s.of
	}
	return anything
}

// field is the shape of a key's value.
func (s *shape) field(n *node, key string) *shape {
	switch s.form {
	case namesForm:
		return s.of
	case objectForm, stepForm:
		for _, f := range s.order(n) {
			if f.key == key {
				return f.shape
			}
		}
	default: // the others have nothing of the kind
	}
	return anything
}

func (s *shape) expression() bool { return s.form == exprForm }

// order lists the keys of a mapping as the canonical form has them.
func (s *shape) order(n *node) []field {
	switch s.form {
	case objectForm:
		return s.fields
	case stepForm:
		return stepOrder(n)
	default: // the others have nothing of the kind
	}
	return nil
}

// stepOrder puts what names a step first, then when it runs, then its verb,
// then the rest.
func stepOrder(n *node) []field {
	all := slices.Clone(grammar.common[:4]) // id, name, note, when
	for _, v := range grammar.verbs {
		if n.pair(v.verb.String()) != nil {
			all = append(all, v.fields...)
		}
	}
	return append(all, grammar.common[4:]...)
}

// formatter writes one file.
type formatter struct {
	notes *annotated
	out   strings.Builder
}

func (f *formatter) file(root *node) string {
	for _, line := range f.notes.head {
		f.line(0, line)
	}
	if len(f.notes.head) > 0 {
		f.line(0, "")
	}
	if root.kind == scalarNode || f.notes.flow(root) {
		f.line(0, f.inline(root, grammar.playbook))
	} else {
		f.block(root, grammar.playbook, 0)
	}
	return strings.TrimRight(f.out.String(), "\n") + "\n"
}

func (f *formatter) line(indent int, text string) {
	if text != "" {
		f.out.WriteString(strings.Repeat(" ", indent))
		f.out.WriteString(text)
	}
	f.out.WriteByte('\n')
}

func (f *formatter) comments(indent int, lines []string) {
	for _, l := range lines {
		f.line(indent, l)
	}
}

// block writes a list or a mapping, an entry a line.
func (f *formatter) block(n *node, s *shape, indent int) {
	s = resolved(n, s)
	if n.kind == listNode {
		for i, item := range n.items {
			note := f.notes.items[item]
			f.item(item, s.item(), note, indent, i == 0)
		}
	} else {
		for i, p := range sortedPairs(n, s) {
			f.pair(p, s.field(n, p.key.text), f.notes.pairs[p], indent, i == 0)
		}
	}
	f.comments(indent, f.notes.tails[n])
}

// sortedPairs puts keys in the order of the grammar, unknown ones last.
func sortedPairs(n *node, s *shape) []*pair {
	order := s.order(n)
	if len(order) == 0 {
		return n.pairs
	}
	all := slices.Clone(n.pairs)
	slices.SortStableFunc(all, func(a, b *pair) int { return place(order, a.key.text) - place(order, b.key.text) })
	return all
}

func place(order []field, key string) int {
	if i := slices.IndexFunc(order, func(f field) bool { return f.key == key }); i >= 0 {
		return i
	}
	return len(order)
}

func (f *formatter) before(n *notes, indent int, first bool) {
	if n == nil {
		return
	}
	if n.blank && !first {
		f.line(0, "")
	}
	f.comments(indent, n.head)
}

func (f *formatter) pair(p *pair, s *shape, n *notes, indent int, first bool) {
	f.before(n, indent, first)
	f.out.WriteString(strings.Repeat(" ", indent))
	f.out.WriteString(quoteText(p.key.text, keyPlace))
	f.out.WriteByte(':')
	f.value(p.value, s, n, indent)
}

// value writes what stands after key: and ends the line.
func (f *formatter) value(v *node, s *shape, n *notes, indent int) {
	end := ""
	if n != nil && n.line != "" {
		end = " " + n.line
	}
	s = resolved(v, s)
	switch {
	case v.kind == scalarNode:
		head, body := f.scalar(v, s, indent+2)
		f.out.WriteString(" " + head + end + "\n")
		f.out.WriteString(body)
	case len(v.items)+len(v.pairs) == 0 || f.notes.flow(v):
		f.out.WriteString(" " + f.inline(v, s) + end + "\n")
		f.comments(indent+2, f.notes.tails[v])
	default:
		f.out.WriteString(end + "\n")
		f.block(v, s, indent+2)
	}
}

// item writes one entry of a list: "- " and its value, the first key of a
// mapping on the same line.
func (f *formatter) item(v *node, s *shape, n *notes, indent int, first bool) {
	s = resolved(v, s)
	f.before(n, indent, first)
	dash := strings.Repeat(" ", indent) + "-"
	switch {
	case v.kind == scalarNode || len(v.items)+len(v.pairs) == 0 || f.notes.flow(v):
		f.out.WriteString(dash)
		f.value(v, s, n, indent)
	case v.kind == listNode:
		end := ""
		if n != nil && n.line != "" {
			end = " " + n.line
		}
		f.out.WriteString(dash + end + "\n")
		f.block(v, s, indent+2)
	default:
		f.mappingItem(v, s, n, indent)
	}
}

func (f *formatter) mappingItem(v *node, s *shape, n *notes, indent int) {
	if n != nil && n.line != "" {
		f.line(indent, n.line)
	}
	for i, p := range sortedPairs(v, s) {
		note := f.notes.pairs[p]
		if i > 0 {
			f.pair(p, s.field(v, p.key.text), note, indent+2, false)
			continue
		}
		f.comments(indent, note.head) // no line is free between the - and the key
		f.out.WriteString(strings.Repeat(" ", indent) + "- " + quoteText(p.key.text, keyPlace) + ":")
		f.value(p.value, s.field(v, p.key.text), note, indent+2)
	}
	f.comments(indent+2, f.notes.tails[v])
}

// inline writes a node in one line.
func (f *formatter) inline(n *node, s *shape) string {
	s = resolved(n, s)
	switch n.kind {
	case listNode:
		parts := make([]string, len(n.items))
		for i, item := range n.items {
			parts[i] = f.inline(item, s.item())
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case objectNode:
		if len(n.pairs) == 0 {
			return "{}"
		}
		var parts []string
		for _, p := range sortedPairs(n, s) {
			parts = append(parts, quoteText(p.key.text, flowPlace)+": "+f.inline(p.value, s.field(n, p.key.text)))
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	default: // a scalar
	}
	return f.oneLine(n, s, flowPlace)
}
