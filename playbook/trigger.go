package playbook

import (
	"fmt"
	"time"

	"riposte/internal/expr"
	"riposte/internal/fault"
)

// Occasion is what started a playbook: the object of an alert, case or
// indicator trigger, or the body that a webhook was sent. Absent ones are nil.
type Occasion struct {
	Alert, Case, Indicator map[string]any
	Body                   any
	Now                    time.Time // when it happened
}

func (o Occasion) env() *expr.Env {
	roots := map[string]any{"body": o.Body}
	for name, object := range map[string]map[string]any{"alert": o.Alert, "case": o.Case, "indicator": o.Indicator} {
		roots[name] = nil
		if object != nil {
			roots[name] = object
		}
	}
	return &expr.Env{Roots: roots, Now: o.Now}
}

// Matches tells whether the trigger's condition holds. Kind and event are the
// caller's to compare.
func (t Trigger) Matches(o Occasion) (bool, error) {
	if t.Where == nil {
		return true, nil
	}
	ok, err := t.Where.EvalBool(o.env())
	if err != nil {
		return false, fmt.Errorf("condition of the %s trigger in line %d: %w", t.Kind, t.Line, err)
	}
	return ok, nil
}

// InputsFor fills the plan's inputs for a start by this trigger: by the with
// beside it, else from fields of the same name of the object (of an alert also
// of its fields), or of a webhook's body; then by default. The error is a
// fault.Invalid when an input is missing or wrong.
func (p *Plan) InputsFor(t Trigger, o Occasion) (map[string]any, error) {
	given := map[string]any{}
	for _, in := range p.Inputs {
		if v := o.field(t.Kind, in.Name); v != nil {
			given[in.Name] = v
		}
	}
	if t.With != nil {
		with, err := t.With.Eval(o.env())
		if err != nil {
			return nil, fmt.Errorf("inputs of playbook %s from the %s trigger in line %d: %w", p.ID, t.Kind, t.Line, err)
		}
		named, ok := with.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("inputs of playbook %s: with is no mapping: %w", p.ID, fault.Invalid)
		}
		for name, v := range named {
			given[name] = v
		}
	}
	return p.FillInputs(given)
}

// field finds what an object has under an input's name, nil if nothing.
func (o Occasion) field(kind TriggerKind, name string) any {
	switch kind {
	case OnAlert:
		if v := o.Alert[name]; v != nil {
			return v
		}
		fields, _ := o.Alert["fields"].(map[string]any)
		return fields[name]
	case OnCase:
		return o.Case[name]
	case OnIndicator:
		if v := o.Indicator[name]; v != nil {
			return v
		}
		if o.Indicator["type"] == name {
			return o.Indicator["value"]
		}
		return nil
	case OnWebhook:
		body, _ := o.Body.(map[string]any)
		return body[name]
	case OnSchedule:
		return nil
	case OnManual: // the page that it was started from
		for _, object := range []map[string]any{o.Alert, o.Case, o.Indicator} {
			if v := object[name]; v != nil {
				return v
			}
		}
	}
	return nil
}
