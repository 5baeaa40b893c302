package playbook

import (
	"fmt"
	"slices"
	"strings"

	"riposte/connector"
	"riposte/internal/fault"
)

// FillInputs holds the inputs given to a run against the plan's declarations
// and fills in the defaults. The error, a fault.Invalid, names every input that
// is wrong, unknown or missing, without its value.
func (p *Plan) FillInputs(given map[string]any) (map[string]any, error) {
	filled := make(map[string]any, len(p.Inputs))
	var wrong []string
	for _, in := range p.Inputs {
		v, there := given[in.Name]
		switch {
		case there:
			filled[in.Name] = v
			wrong = append(wrong, in.wrong(v)...)
		case in.HasDefault:
			filled[in.Name] = in.Default
		case in.Required:
			wrong = append(wrong, in.Name+" is missing")
		default:
			filled[in.Name] = nil
		}
	}
	for _, name := range sortedKeys(given) {
		if !slices.ContainsFunc(p.Inputs, func(in Input) bool { return in.Name == name }) {
			wrong = append(wrong, fmt.Sprintf("%s is not an input of it", name))
		}
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("inputs of playbook %s: %s: %w", p.ID, strings.Join(wrong, "; "), fault.Invalid)
	}
	return filled, nil
}

// wrong lists what is wrong with a value for the input.
func (in Input) wrong(v any) []string {
	compiled := in.compiled
	if compiled == nil {
		var err error
		if compiled, err = connector.CompileSchema(in.Schema); err != nil {
			return []string{in.Name + ": " + err.Error()}
		}
	}
	var all []string
	for _, p := range compiled.Check(v) {
		all = append(all, connector.FieldName(append([]string{in.Name}, p.Path...))+" "+p.What)
	}
	return all
}
