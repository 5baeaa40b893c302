package strictyaml

import (
	"encoding"
	"reflect"
	"time"
)

// SchemaGiver is a type that describes itself, for those that decode
// themselves.
type SchemaGiver interface {
	StrictSchema() map[string]any
}

// Schema makes the JSON Schema 2020-12 of the files that decode into t, a
// struct type. Editors use it for completion.
func Schema(t reflect.Type, title string) map[string]any {
	s := schemaMaker{defs: map[string]any{}}
	root := s.object(t)
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = title
	if len(s.defs) > 0 {
		root["$defs"] = s.defs
	}
	return root
}

type schemaMaker struct{ defs map[string]any }

func (s schemaMaker) of(t reflect.Type) map[string]any {
	if g, ok := reflect.New(t).Interface().(SchemaGiver); ok {
		return g.StrictSchema()
	}
	switch t {
	case reflect.TypeFor[time.Duration]():
		return map[string]any{"type": "string", "pattern": "^[0-9]+[smhd]$"}
	case reflect.TypeFor[Size]():
		return map[string]any{"type": "string", "pattern": "^[0-9]+(B|KB|MB|GB)$"}
	}
	if t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		if _, ok := s.defs[t.Name()]; !ok {
			s.defs[t.Name()] = true // a placeholder, for types that hold themselves
			s.defs[t.Name()] = s.object(t)
		}
		return map[string]any{"$ref": "#/$defs/" + t.Name()}
	}
	return map[string]any{}
}

func (s schemaMaker) object(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []any{}
	for name, f := range fieldsOf(t) {
		p := s.of(f.typ)
		if f.doc != "" {
			p["description"] = f.doc
		}
		limit := p
		if items, ok := p["items"].(map[string]any); ok {
			limit = items
		}
		if f.enum != nil {
			list := make([]any, len(f.enum))
			for i, e := range f.enum {
				list[i] = e
			}
			limit["enum"] = list
		}
		if f.pattern != nil {
			limit["pattern"] = f.pattern.String()
		}
		if f.min != nil {
			switch p["type"] {
			case "array":
				p["minItems"] = *f.min
			case "string":
				p["minLength"] = *f.min
			default:
				p["minimum"] = *f.min
			}
		}
		properties[name] = p
	}
	for _, name := range fieldNames(t) {
		if fieldsOf(t)[name].required {
			required = append(required, name)
		}
	}
	object := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		object["required"] = required
	}
	return object
}
