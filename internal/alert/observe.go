package alert

import (
	"riposte/internal/expr"
	"riposte/internal/observable"
)

// observe collects the observables of a record, each once. A value that is none
// of its type is left out: a sensor that writes "-" for an address is no reason
// to refuse its alert.
func (m *Mapping) observe(a *Alert, e *expr.Env) error {
	seen := map[Observable]bool{}
	add := func(o observable.Observable, role string) {
		one := Observable{Type: string(o.Type), Value: o.Value, Role: role}
		if !seen[one] && len(a.Observables) < MaxObservables {
			seen[one] = true
			a.Observables = append(a.Observables, one)
		}
	}
	for _, p := range m.parts.observables {
		v, err := p.value.Eval(e)
		if err != nil {
			return m.wrong("observables", err)
		}
		for _, text := range Texts(v) {
			if p.kind == "text" {
				for _, f := range observable.Extract(text) {
					add(observable.Observable{Type: f.Type, Value: f.Value}, p.role)
				}
				continue
			}
			if o, err := observable.Parse(observable.Type(p.kind), text); err == nil {
				add(o, p.role)
			}
		}
	}
	return nil
}
