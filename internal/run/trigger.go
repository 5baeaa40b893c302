package run

import (
	"fmt"
	"time"

	"riposte/internal/expr"
	"riposte/internal/fault"
	"riposte/playbook"
)

// Object is what a trigger looks at: an alert, a case, an indicator or the body
// of a webhook, decoded. Case may be set beside Alert.
type Object struct {
	Alert     any
	Case      any
	Indicator any
	Body      any
}

func (o Object) roots() map[string]any {
	return map[string]any{
		"alert": playbook.Object(playbook.OnAlert, o.Alert), "case": playbook.Object(playbook.OnCase, o.Case),
		"indicator": playbook.Object(playbook.OnIndicator, o.Indicator), "body": o.Body,
	}
}

// main is the object of a trigger's kind.
func (o Object) main(k playbook.TriggerKind) map[string]any {
	var v any
	switch k {
	case playbook.OnAlert:
		v = o.Alert
	case playbook.OnCase:
		v = o.Case
	case playbook.OnIndicator:
		v = o.Indicator
	case playbook.OnWebhook:
		v = o.Body
	default: // nothing to do for the others
	}
	m, _ := v.(map[string]any)
	return m
}

// Matches tells whether a trigger's condition holds for an object.
func Matches(t *playbook.Trigger, o Object, now time.Time) (bool, error) {
	if t.Where == nil {
		return true, nil
	}
	ok, err := t.Where.EvalBool(&expr.Env{Roots: o.roots(), Now: now})
	if err != nil {
		return false, fmt.Errorf("trigger on line %d: %w: %w", t.Line, err, fault.Invalid)
	}
	return ok, nil
}

// FromTrigger fills a playbook's inputs from the object that started it: by the
// trigger's with, and by name from the object's fields for the others.
func FromTrigger(p *playbook.Plan, t *playbook.Trigger, o Object, now time.Time) (map[string]any, error) {
	given := map[string]any{}
	if t.With != nil {
		v, err := t.With.Eval(&expr.Env{Roots: o.roots(), Now: now})
		if err != nil {
			return nil, fmt.Errorf("trigger on line %d: with: %w: %w", t.Line, err, fault.Invalid)
		}
		given, _ = expr.Normalize(v).(map[string]any)
		if given == nil {
			given = map[string]any{}
		}
	}
	object := o.main(t.Kind)
	for _, in := range p.Inputs {
		if _, ok := given[in.Name]; ok {
			continue
		}
		if v := named(t.Kind, object, in.Name); v != nil {
			given[in.Name] = v
		}
	}
	return given, nil
}

// named finds a field of an object, nil if it has none. What a source sent
// beyond the normal form is in an alert's fields; an indicator's value also
// answers to the word for its type, so that an input ip takes it.
func named(kind playbook.TriggerKind, object map[string]any, name string) any {
	if v := object[name]; v != nil {
		return v
	}
	switch {
	case kind == playbook.OnAlert:
		fields, _ := object["fields"].(map[string]any)
		return fields[name]
	case kind == playbook.OnIndicator && object["type"] == name:
		return object["value"]
	}
	return nil
}
