package playbook

import (
	"maps"
	"time"

	"riposte/internal/expr"
)

// moments names the fields that are times in each object that starts a run.
var moments = map[TriggerKind][]string{
	OnAlert: timeFields(AlertType()), OnCase: timeFields(CaseType()), OnIndicator: timeFields(IndicatorType()),
}

func timeFields(t expr.Type) (names []string) {
	for name, f := range t.Fields() {
		if f.Kind() == expr.KindTime {
			names = append(names, name)
		}
	}
	return names
}

// Object makes an object of its JSON form as expressions see it: texts that the
// object's type calls times become times. What is no such text stays.
func Object(kind TriggerKind, v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	m = maps.Clone(m)
	for _, name := range moments[kind] {
		if s, ok := m[name].(string); ok {
			if at, err := time.Parse(time.RFC3339Nano, s); err == nil {
				m[name] = at.UTC()
			}
		}
	}
	return m
}
