package playbook

import (
	"fmt"
	"slices"
	"strings"
)

// step checks a step: exactly one verb, and with it only the keys that go with
// that verb.
func (d *decoder) step(n *node) {
	if n.kind != objectNode {
		d.r.errorf(n.at, "a step is %s; expected a mapping with exactly one verb: %s", n.describe(), anyOf(d.verbNames()))
		return
	}
	rule := d.verbOf(n)
	if rule == nil {
		return
	}
	for _, p := range n.pairs {
		d.stepKey(n, p, rule)
	}
	for _, f := range rule.fields {
		if f.need && n.pair(f.key) == nil && !d.misspelt(n, f.key, rule) {
			d.r.errorf(n.at, "%s step has no %q; expected %s", article(rule.verb.String()), f.key, f.shape.what)
		}
	}
}

func (d *decoder) verbNames() []string {
	all := make([]string, len(d.g.verbs))
	for i, v := range d.g.verbs {
		all[i] = v.verb.String()
	}
	return all
}

// verbOf finds the step's verb and reports none or more than one.
func (d *decoder) verbOf(n *node) *verbRule {
	var found []*verbRule
	for _, p := range n.pairs {
		for i := range d.g.verbs {
			if d.g.verbs[i].verb.String() == p.key.text {
				found = append(found, &d.g.verbs[i])
			}
		}
	}
	switch len(found) {
	case 1:
		return found[0]
	case 0:
		d.noVerb(n)
		return nil
	}
	var names []string
	for _, f := range found {
		names = append(names, quoted(f.verb.String()))
	}
	d.r.errorf(n.pair(found[1].verb.String()).key.at, "a step with %d verbs: %s; expected exactly one, make two steps of it", len(found), allOf(names))
	return nil
}

// noVerb reports a step without a verb, as a typing mistake where it looks like
// one.
func (d *decoder) noVerb(n *node) {
	known := append(d.verbNames(), keys(d.g.common)...)
	told := false
	for _, p := range n.pairs {
		if slices.Contains(known, p.key.text) || d.ownerOf(p.key.text) != "" {
			continue
		}
		best := nearest(p.key.text, d.verbNames())
		told = told || best != ""
		d.unknownKey(p, nearest(p.key.text, known), d.verbNames())
	}
	if !told {
		d.r.errorf(n.at, "a step without a verb; expected one of %s", anyOf(d.verbNames()))
	}
}

func (d *decoder) stepKey(n *node, p *pair, rule *verbRule) {
	own := keys(rule.fields)
	if i := slices.Index(own, p.key.text); i >= 0 {
		d.visit(p.value, rule.fields[i].shape, p.key.text)
		return
	}
	i := slices.IndexFunc(d.g.common, func(f field) bool { return f.key == p.key.text })
	if i >= 0 && slices.Contains(rule.common, p.key.text) {
		d.visit(p.value, d.g.common[i].shape, p.key.text)
		if p.key.text == "on_error" {
			d.undoHandler(p.value, rule)
		}
		return
	}
	verb := rule.verb.String()
	switch owner := d.ownerOf(p.key.text); {
	case i >= 0:
		d.r.errorf(p.key.at, "%s does not go with %s; expected it only on %s steps", quoted(p.key.text), verb, anyOf(d.allowedVerbs(p.key.text)))
	case owner != "":
		d.r.errorf(p.key.at, "%s does not go with %s; it belongs to %s", quoted(p.key.text), verb, owner)
	default:
		known := append(own, rule.common...)
		d.unknownKey(p, nearest(p.key.text, known), known)
	}
}

// undoHandler refuses on_error: undo where there is nothing inside to take back.
func (d *decoder) undoHandler(n *node, rule *verbRule) {
	if n.isText() && n.text == "undo" && !rule.undoes {
		d.r.errorf(n.at, "on_error: undo does not go with %s; expected it only on blocks, playbook steps and at the top", rule.verb)
	}
}

// allowedVerbs lists the verbs that a common key goes with.
func (d *decoder) allowedVerbs(key string) []string {
	var all []string
	for _, v := range d.g.verbs {
		if slices.Contains(v.common, key) {
			all = append(all, v.verb.String())
		}
	}
	return all
}

// ownerOf names the verb that a key belongs to, "" if none has it.
func (d *decoder) ownerOf(key string) string {
	var owners []string
	for _, v := range d.g.verbs {
		if slices.Contains(keys(v.fields), key) {
			owners = append(owners, v.verb.String())
		}
	}
	return anyOf(owners)
}

// misspelt tells whether a missing key was written with a mistake, which has
// been reported already.
func (d *decoder) misspelt(n *node, key string, rule *verbRule) bool {
	known := append(keys(rule.fields), rule.common...)
	return slices.ContainsFunc(n.pairs, func(p *pair) bool {
		return !slices.Contains(known, p.key.text) && nearest(p.key.text, known) == key
	})
}

// article puts a or an before a word.
func article(word string) string {
	if strings.ContainsAny(word[:1], "aeiou") {
		return fmt.Sprintf("an %s", word)
	}
	return "a " + word
}
