package playbook

import (
	"encoding/json"
	"slices"
)

// EditorSchema is a JSON Schema 2020-12 of playbooks, for editors that complete
// and check while one types. It is made from the grammar that the decoder uses,
// and kept as playbook.schema.json. What only a check can know, such as scopes
// and types, is not in it.
func EditorSchema() []byte {
	e := editor{defs: map[string]any{}}
	top := e.object(grammar.playbook)
	top["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	top["title"] = "Riposte playbook"
	top["$defs"] = e.defs
	b, err := json.MarshalIndent(top, "", "  ")
	if err != nil { // maps, lists and texts always marshal
		return nil
	}
	return append(b, '\n')
}

// editor turns shapes into JSON Schema.
type editor struct{ defs map[string]any }

// ref is the schema of a shape, or a reference where the shape has a name.
func (e editor) ref(s *shape) map[string]any {
	if s.name == "" {
		return e.schema(s)
	}
	if _, begun := e.defs[s.name]; !begun {
		e.defs[s.name] = nil // shapes contain each other
		e.defs[s.name] = e.schema(s)
	}
	return map[string]any{"$ref": "#/$defs/" + s.name}
}

func (e editor) schema(s *shape) map[string]any {
	switch s.form {
	case exprForm:
		return map[string]any{"type": []string{"string", "boolean", "number"}, "minLength": 1}
	case integerForm:
		return map[string]any{"type": "integer", "minimum": s.min}
	case numberForm:
		return map[string]any{"type": "number", "minimum": s.min}
	case trueForm:
		return map[string]any{"const": true}
	case valueForm:
		return map[string]any{}
	case literalForm, schemaForm:
		return map[string]any{"type": "object"}
	case listForm:
		return e.list(s)
	case objectForm:
		return e.object(s)
	case namesForm:
		return e.names(s)
	case choiceForm:
		var choices []map[string]any
		for _, c := range s.choices {
			choices = append(choices, e.ref(c))
		}
		return map[string]any{"anyOf": choices}
	case stepForm:
		return e.step()
	default: // texts of all sorts
	}
	return text(s)
}

// text is the schema of texts, durations among them.
func text(s *shape) map[string]any {
	out := map[string]any{"type": "string"}
	switch {
	case s.form == durationForm:
		out["pattern"] = s.pattern.String() + `|\$\{\{`
	case len(s.enum) > 0:
		out["enum"] = s.enum
	case s.pattern != nil:
		out["pattern"] = s.pattern.String()
	case s.form == templateForm:
		out["minLength"] = 1
	}
	return out
}

func (e editor) list(s *shape) map[string]any {
	out := map[string]any{"type": "array", "items": e.ref(s.of)}
	if s.some {
		out["minItems"] = 1
	}
	return out
}

func (e editor) names(s *shape) map[string]any {
	out := map[string]any{"type": "object", "additionalProperties": e.ref(s.of)}
	if s.pattern != nil {
		out["propertyNames"] = map[string]any{"pattern": s.pattern.String()}
	}
	if s.some {
		out["minProperties"] = 1
	}
	return out
}

func (e editor) object(s *shape) map[string]any {
	out := e.mapping(s.fields)
	var one []map[string]any
	for _, key := range s.one {
		one = append(one, map[string]any{"required": []string{key}})
	}
	if one != nil {
		out["oneOf"] = one
	}
	return out
}

func (e editor) mapping(fields []field) map[string]any {
	properties := map[string]any{}
	var required []string
	for _, f := range fields {
		p := e.ref(f.shape)
		p["description"] = f.doc
		properties[f.key] = p
		if f.need {
			required = append(required, f.key)
		}
	}
	out := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		out["required"] = required
	}
	return out
}

// step has one alternative for each verb, with the keys that go with it.
func (e editor) step() map[string]any {
	var verbs []map[string]any
	for _, v := range grammar.verbs {
		fields := slices.Clone(v.fields)
		for _, f := range grammar.common {
			if !slices.Contains(v.common, f.key) {
				continue
			}
			if f.key == "on_error" && !v.undoes {
				f.shape = choose(f.shape.what, &shape{form: textForm, enum: []string{"continue"}}, grammar.steps)
			}
			fields = append(fields, f)
		}
		m := e.mapping(fields)
		m["title"] = v.verb.String()
		verbs = append(verbs, m)
	}
	return map[string]any{"oneOf": verbs}
}
