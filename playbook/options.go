package playbook

import (
	"riposte/connector"
)

// Options is what a check may know of the installation. All of it may be left
// out; what is not known is then a finding or not looked at.
type Options struct {
	// Catalog answers what actions are loaded; nil: none.
	Catalog connector.Catalog
	// Playbooks finds the signature of a playbook that is called; version 0 is
	// the one published now. nil answer: not loaded. nil func: none is.
	Playbooks func(slug string, version int) *Signature
	// People gives the people behind a name such as ann, group:tier1,
	// role:analyst or on-call:soc-lead; ok is false where there is no such user,
	// group, role or rota. nil: nobody is known, and names are only checked for
	// their form.
	People func(name string) (users []string, ok bool)
}

// Signature is what a calling playbook knows of the called one.
type Signature struct {
	ID      string
	Version int
	Inputs  []Input
	Outputs []Output         // Value is not needed
	Impact  connector.Impact // its ceiling
}

// Signature is what others see of the plan. Without a ceiling of its own a
// playbook counts with the highest that may happen in it.
func (p *Plan) Signature() *Signature {
	s := &Signature{ID: p.ID, Version: p.Version, Inputs: p.Inputs, Outputs: p.Outputs, Impact: p.Highest}
	if p.Impact != nil {
		s.Impact = *p.Impact
	}
	return s
}

// Signature is what others see of a file that need not compile. Without a
// ceiling it counts as change.
func (p *Playbook) Signature() *Signature {
	s := &Signature{ID: p.ID.Value, Version: p.Version, Impact: connector.Change}
	if level, ok := connector.ParseImpact(p.Impact.Value); ok {
		s.Impact = level
	}
	for _, in := range p.Inputs {
		s.Inputs = append(s.Inputs, inputOf(in))
	}
	for _, out := range p.Outputs {
		schema, _ := out.Schema.Value.(map[string]any)
		s.Outputs = append(s.Outputs, Output{Name: out.Name, Schema: schema})
	}
	return s
}

// inputOf reads an input's declaration.
func inputOf(e Entry) Input {
	in := Input{Name: e.Name}
	in.Schema, _ = e.Value.Value.(map[string]any)
	in.Default, in.HasDefault = in.Schema["default"]
	in.Required = !in.HasDefault && !nullable(in.Schema)
	return in
}

// nullable tells whether a schema allows null.
func nullable(schema map[string]any) bool {
	switch t := schema["type"].(type) {
	case string:
		return t == "null"
	case []any:
		for _, e := range t {
			if e == "null" {
				return true
			}
		}
	}
	if c, ok := schema["const"]; ok && c == nil {
		return true
	}
	for _, word := range []string{"anyOf", "oneOf"} {
		options, _ := schema[word].([]any)
		for _, o := range options {
			if m, ok := o.(map[string]any); ok && nullable(m) {
				return true
			}
		}
	}
	return false
}
