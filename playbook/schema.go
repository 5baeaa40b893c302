package playbook

import (
	"fmt"
	"slices"
	"strings"

	"riposte/connector"
	"riposte/internal/fault"
)

// InputError says which inputs given to a run are wrong, unknown or missing,
// without their values. It is a fault.Invalid.
type InputError struct {
	Playbook string // its slug
	Wrong    []InputProblem
}

// InputProblem is one thing that is wrong with the inputs.
type InputProblem struct {
	Path []string // the input, and what inside it
	What string
}

func (e *InputError) Error() string {
	all := make([]string, len(e.Wrong))
	for i, w := range e.Wrong {
		all[i] = connector.FieldName(w.Path) + " " + w.What
	}
	return fmt.Sprintf("inputs of playbook %s: %s: %v", e.Playbook, strings.Join(all, "; "), fault.Invalid)
}

// Unwrap says of which kind it is.
func (*InputError) Unwrap() error { return fault.Invalid }

// Located gives what is wrong by JSON pointer into an object that holds the
// inputs as inputs.
func (e *InputError) Located() map[string]string {
	m := make(map[string]string, len(e.Wrong))
	for _, w := range e.Wrong {
		at := "/inputs"
		for _, part := range w.Path {
			at += "/" + pointerEscape.Replace(part)
		}
		if before, ok := m[at]; ok {
			m[at] = before + "; " + w.What
			continue
		}
		m[at] = w.What
	}
	return m
}

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1") // RFC 6901

// FillInputs holds the inputs given to a run against the plan's declarations
// and fills in the defaults. The error is an *InputError.
func (p *Plan) FillInputs(given map[string]any) (map[string]any, error) {
	filled := make(map[string]any, len(p.Inputs))
	var wrong []InputProblem
	for _, in := range p.Inputs {
		v, there := given[in.Name]
		switch {
		case there:
			filled[in.Name] = v
			wrong = append(wrong, in.wrong(v)...)
		case in.HasDefault:
			filled[in.Name] = in.Default
		case in.Required:
			wrong = append(wrong, InputProblem{[]string{in.Name}, "is missing"})
		default:
			filled[in.Name] = nil
		}
	}
	for _, name := range sortedKeys(given) {
		if !slices.ContainsFunc(p.Inputs, func(in Input) bool { return in.Name == name }) {
			wrong = append(wrong, InputProblem{[]string{name}, "is not an input of it" + orKnown(name, p.inputNames())})
		}
	}
	if len(wrong) > 0 {
		return nil, &InputError{Playbook: p.ID, Wrong: wrong}
	}
	return filled, nil
}

func (p *Plan) inputNames() []string {
	names := make([]string, len(p.Inputs))
	for i, in := range p.Inputs {
		names[i] = in.Name
	}
	return names
}

// wrong lists what is wrong with a value for the input.
func (in Input) wrong(v any) []InputProblem {
	compiled := in.compiled
	if compiled == nil {
		var err error
		if compiled, err = connector.CompileSchema(in.Schema); err != nil {
			return []InputProblem{{[]string{in.Name}, "cannot be checked: " + err.Error()}}
		}
	}
	var all []InputProblem
	for _, p := range compiled.Check(v) {
		all = append(all, InputProblem{append([]string{in.Name}, p.Path...), p.What})
	}
	return all
}

// Wrong says what is wrong with a value for the output, "" if it keeps to the
// output's schema.
func (o Output) Wrong(v any) string {
	if o.compiled == nil {
		return ""
	}
	var all []string
	for _, p := range o.compiled.Check(v) {
		all = append(all, connector.FieldName(append([]string{o.Name}, p.Path...))+" "+p.What)
	}
	return strings.Join(all, "; ")
}
