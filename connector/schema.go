package connector

import (
	"fmt"
	"maps"
	"slices"

	"riposte/internal/expr"
	"riposte/internal/fault"
)

// Properties gives the fields that an object schema declares, each a schema.
func (s Schema) Properties() map[string]any {
	p, _ := s["properties"].(map[string]any)
	return p
}

// Property gives the schema of one field, nil when it is not declared.
func (s Schema) Property(name string) Schema {
	p, _ := s.Properties()[name].(map[string]any)
	return p
}

// Required lists the fields that must be there.
func (s Schema) Required() []string {
	var names []string
	switch list := s["required"].(type) {
	case []any:
		for _, e := range list {
			if name, ok := e.(string); ok {
				names = append(names, name)
			}
		}
	case []string:
		names = list
	}
	return names
}

// Requires tells whether a field must be there.
func (s Schema) Requires(name string) bool { return slices.Contains(s.Required(), name) }

// WithDefaults is values with the defaults of all fields that are not there.
// It copies only when there is something to add.
func (s Schema) WithDefaults(values map[string]any) map[string]any {
	copied := false
	for name, p := range s.Properties() {
		if _, there := values[name]; there {
			continue
		}
		field, _ := p.(map[string]any)
		fallback, ok := field["default"]
		if !ok {
			continue
		}
		if !copied {
			values, copied = maps.Clone(values), true
			if values == nil {
				values = map[string]any{}
			}
		}
		values[name] = fallback
	}
	return values
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// UnmarshalJSON keeps whole numbers whole.
func (s *Schema) UnmarshalJSON(b []byte) error {
	v, err := expr.DecodeJSON(b)
	if err != nil {
		return err
	}
	m, ok := v.(map[string]any)
	if !ok && v != nil {
		return fmt.Errorf("a schema is an object: %w", fault.Invalid)
	}
	*s = m
	return nil
}
