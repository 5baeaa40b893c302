package playbook

import (
	"fmt"
	"slices"
	"strings"
)

// decoder holds a file against the grammar. It reports everything that is
// wrong; building the tree afterwards takes what is right.
type decoder struct {
	g *rules
	r *reporter
}

// visit checks a node against a shape. label names it in messages: its key.
func (d *decoder) visit(n *node, s *shape, label string) {
	switch s.form {
	case choiceForm:
		d.choice(n, s, label)
	case objectForm:
		d.object(n, s.fields, s.what, label)
		d.exactlyOne(n, s, label)
	case stepForm:
		d.step(n)
	case namesForm:
		d.names(n, s, label)
	case listForm:
		d.list(n, s, label)
	case valueForm, literalForm:
		d.value(n, s, label)
	case schemaForm:
		if n.kind != objectNode {
			d.wrong(n, s, label)
		}
	default:
		d.scalar(n, s, label)
	}
}

// wrong reports that a node is not what its place asks for.
func (d *decoder) wrong(n *node, s *shape, label string) {
	hint := ""
	if s.form == textForm || s.form == templateForm {
		switch n.data.(type) {
		case bool, int, float64:
			hint = ": put it in quotes"
		}
	}
	d.r.errorf(n.at, "%s is %s; expected %s%s", label, n.describe(), s.what, hint)
}

func (d *decoder) choice(n *node, s *shape, label string) {
	if c := pick(n, s); c != nil {
		d.visit(n, c, label)
		return
	}
	if n.kind == objectNode {
		d.noChoice(n, s, label)
		return
	}
	d.wrong(n, s, label)
}

// pick finds the choice that a node was meant to be.
func pick(n *node, s *shape) *shape {
	for _, c := range s.choices {
		switch {
		case c.form == objectForm:
			if n.kind == objectNode && (c.least == "" || n.value(c.least) != nil) && !emptyOutput(n, s) {
				return c
			}
		case c.form == listForm:
			if n.kind == listNode {
				return c
			}
		case c.form == valueForm:
			if !typedOutput(n) {
				return c
			}
		case c.form == integerForm && len(s.choices) > 1 && s.choices[1].form == exprForm:
			if _, ok := n.data.(int); ok && n.kind == scalarNode {
				return c
			}
		case n.kind == scalarNode:
			return c
		}
	}
	return nil
}

// typedOutput tells an output's { value, schema } from a value that is a mapping.
func typedOutput(n *node) bool {
	return n.kind == objectNode && len(n.pairs) == 2 && n.value("value") != nil && n.value("schema") != nil
}

func emptyOutput(n *node, s *shape) bool {
	return s.choices[0].form == valueForm && !typedOutput(n)
}

// noChoice reports a mapping of which no key tells what it is.
func (d *decoder) noChoice(n *node, s *shape, label string) {
	var words []string
	for _, c := range s.choices {
		if c.least != "" {
			words = append(words, c.least)
		}
	}
	for _, p := range n.pairs {
		if best := nearest(p.key.text, words); best != "" {
			d.r.errorf(p.key.at, "unknown key %s; did you mean %q?", quoted(p.key.text), best)
			return
		}
	}
	d.wrong(n, s, label)
}

// object checks a mapping with keys of the grammar.
func (d *decoder) object(n *node, fields []field, what, label string) {
	if n.kind != objectNode {
		d.r.errorf(n.at, "%s is %s; expected %s", label, n.describe(), what)
		return
	}
	known := keys(fields)
	misspelt := map[string]bool{}
	for _, p := range n.pairs {
		i := slices.Index(known, p.key.text)
		if i < 0 {
			best := nearest(p.key.text, known)
			misspelt[best] = true
			d.unknownKey(p, best, known)
			continue
		}
		d.visit(p.value, fields[i].shape, p.key.text)
	}
	for _, f := range fields {
		if f.need && n.pair(f.key) == nil && !misspelt[f.key] {
			d.r.errorf(n.at, "%s has no %q; expected %s", label, f.key, f.shape.what)
		}
	}
}

// exactlyOne demands one of the keys that exclude each other.
func (d *decoder) exactlyOne(n *node, s *shape, label string) {
	if n.kind != objectNode || len(s.one) == 0 {
		return
	}
	var there []*node
	nearly := false
	for _, p := range n.pairs {
		if slices.Contains(s.one, p.key.text) {
			there = append(there, p.key)
		}
		nearly = nearly || nearest(p.key.text, s.one) != ""
	}
	switch {
	case len(there) > 1:
		d.r.errorf(there[1].at, "%s has %s; expected one of them", label, allOf(s.one))
	case len(there) == 0 && !nearly:
		d.r.errorf(n.at, "%s has no %s; expected %s", label, s.one[0], anyOf(s.one))
	}
}

func (d *decoder) unknownKey(p *pair, best string, known []string) {
	key := p.key
	if best != "" {
		d.r.errorf(key.at, "unknown key %s; did you mean %q?", quoted(key.text), best)
		return
	}
	// The end of a text with a comma inside { } becomes a key without a value.
	noWord := strings.Trim(strings.ToLower(key.text), "abcdefghijklmnopqrstuvwxyz0123456789_-") != ""
	if noWord && p.value.isNull() && p.value.text == "" {
		d.r.errorf(key.at, "unknown key %s; a text with a comma in it needs quotes inside { }", quoted(key.text))
		return
	}
	d.r.errorf(key.at, "unknown key %s; expected %s", quoted(key.text), anyOf(known))
}

func (d *decoder) names(n *node, s *shape, label string) {
	if n.kind != objectNode {
		d.wrong(n, s, label)
		return
	}
	if s.some && len(n.pairs) == 0 {
		d.r.errorf(n.at, "%s is empty; expected %s", label, s.what)
	}
	for _, p := range n.pairs {
		if s.pattern != nil && !s.pattern.MatchString(p.key.text) {
			d.r.errorf(p.key.at, "%s is no name; expected %s", quoted(p.key.text), nameWhat)
		}
		d.visit(p.value, s.of, p.key.text)
	}
}

func (d *decoder) list(n *node, s *shape, label string) {
	if n.kind != listNode {
		d.wrong(n, s, label)
		return
	}
	if s.some && len(n.items) == 0 {
		d.r.errorf(n.at, "%s is empty; expected %s", label, s.what)
	}
	for i, item := range n.items {
		d.visit(item, s.of, fmt.Sprintf("%s[%d]", label, i))
	}
}

var anyValue = &shape{form: valueForm}

// value accepts anything; the templates in it are compiled by the check. Keys
// are taken as they are.
func (d *decoder) value(n *node, s *shape, label string) {
	if s.form == literalForm && n.kind != objectNode {
		d.wrong(n, s, label)
	}
	for _, p := range n.pairs {
		if hasTemplate(p.key.text) {
			d.r.errorf(p.key.place(templateStart(p.key.text)), "${{ }} in a key; expected a key as it is, only values are worked out")
		}
		d.value(p.value, anyValue, p.key.text)
	}
	for _, item := range n.items {
		d.value(item, anyValue, label)
	}
}

func (d *decoder) scalar(n *node, s *shape, label string) {
	if n.kind != scalarNode {
		d.wrong(n, s, label)
		return
	}
	switch s.form {
	case exprForm:
		if n.isNull() || strings.TrimSpace(n.text) == "" {
			d.r.errorf(n.at, "%s is empty; expected %s", label, s.what)
		}
	case integerForm:
		if i, ok := n.data.(int); !ok || i < s.min {
			d.wrong(n, s, label)
		}
	case numberForm:
		if f, ok := number(n.data); !ok || f < float64(s.min) {
			d.wrong(n, s, label)
		}
	case trueForm:
		if n.data != true {
			d.wrong(n, s, label)
		}
	default:
		d.text(n, s, label)
	}
}

func (d *decoder) text(n *node, s *shape, label string) {
	switch {
	case !n.isText():
		d.wrong(n, s, label)
	case s.form != textForm && hasTemplate(n.text):
		return // compiled by the check
	case s.form == durationForm:
		d.duration(n, s, label)
	case hasTemplate(n.text):
		d.r.errorf(n.place(templateStart(n.text)), "${{ }} is not worked out in %s; expected %s as it is", label, s.what)
	case len(s.enum) > 0 && !slices.Contains(s.enum, n.text):
		d.r.errorf(n.at, "%s is %s; expected %s%s", label, quoted(n.text), s.what, didYouMean(n.text, s.enum))
	case s.pattern != nil && !s.pattern.MatchString(n.text):
		d.r.errorf(n.at, "%s is %s; expected %s", label, quoted(n.text), s.what)
	case s.form == templateForm && strings.TrimSpace(n.text) == "":
		d.r.errorf(n.at, "%s is empty; expected %s", label, s.what)
	}
}

func (d *decoder) duration(n *node, s *shape, label string) {
	length, err := ParseDuration(n.text)
	if err != nil {
		d.r.errorf(n.at, "%s is %s; expected %s", label, quoted(n.text), s.what)
		return
	}
	if length == 0 && (label == "timeout" || label == "within") {
		d.r.errorf(n.at, "%s is %s; expected a duration longer than that", label, quoted(n.text))
	}
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}
