package expr

import (
	"slices"
	"strings"
)

// maxSchemaDepth bounds nesting and reference chains of a schema; what lies
// deeper is Any.
const maxSchemaDepth = 24

// maxSchemaTypes bounds how many types one schema makes.
const maxSchemaTypes = 4096

// FromSchema reads what a JSON Schema (2020-12, decoded) says about the type of
// a value. It is lenient: whatever it does not understand makes the type wider,
// at last Any. Objects are open unless additionalProperties is false. Fields
// that are not required may be nil.
func FromSchema(schema map[string]any) Type {
	r := schemaReader{root: schema, left: maxSchemaTypes}
	return r.read(schema, 0)
}

// schemaReader reads one schema. left is how many types it may still make: a
// schema that refers to itself describes endlessly many.
type schemaReader struct {
	root map[string]any
	left int
}

func (r *schemaReader) read(s map[string]any, depth int) Type {
	if r.left--; depth > maxSchemaDepth || r.left < 0 || s == nil {
		return Any()
	}
	if ref, ok := s["$ref"].(string); ok {
		return r.read(r.resolve(ref), depth+1)
	}
	if values, ok := s["enum"].([]any); ok && len(values) > 0 {
		return literals(values)
	}
	if v, ok := s["const"]; ok {
		return literals([]any{v})
	}
	for _, word := range []string{"anyOf", "oneOf"} {
		if options, ok := s[word].([]any); ok && len(options) > 0 && s["type"] == nil {
			return r.union(options, depth)
		}
	}
	return r.typed(s, depth)
}

func (r *schemaReader) union(options []any, depth int) Type {
	var t Type
	for i, o := range options {
		m, ok := o.(map[string]any)
		if !ok {
			return Any()
		}
		u := r.read(m, depth+1)
		if i == 0 {
			t = u
		} else {
			t = join(t, u)
		}
	}
	return t
}

func (r *schemaReader) typed(s map[string]any, depth int) Type {
	switch name := s["type"].(type) {
	case string:
		return r.named(name, s, depth)
	case []any:
		return r.namedList(name, s, depth)
	case []string:
		names := make([]any, len(name))
		for i, n := range name {
			names[i] = n
		}
		return r.namedList(names, s, depth)
	}
	switch {
	case s["properties"] != nil:
		return r.named("object", s, depth)
	case s["items"] != nil:
		return r.named("array", s, depth)
	}
	return Any()
}

func (r *schemaReader) namedList(names []any, s map[string]any, depth int) Type {
	var t Type
	for i, n := range names {
		name, ok := n.(string)
		if !ok {
			return Any()
		}
		u := r.named(name, s, depth)
		if i == 0 {
			t = u
		} else {
			t = join(t, u)
		}
	}
	return t
}

func (r *schemaReader) named(name string, s map[string]any, depth int) Type {
	switch name {
	case "boolean":
		return Bool()
	case "integer":
		return Int()
	case "number":
		return Number()
	case "string":
		return Text()
	case "null":
		return Nil()
	case "array":
		items, _ := s["items"].(map[string]any)
		return List(r.read(items, depth+1))
	case "object":
		return r.object(s, depth)
	}
	return Any()
}

func (r *schemaReader) object(s map[string]any, depth int) Type {
	fields, t := map[string]Type{}, Type{open: true}
	required := texts(s["required"])
	properties, _ := s["properties"].(map[string]any)
	for _, name := range sortedKeys(properties) { // in order, as there is a bound
		m, _ := properties[name].(map[string]any)
		f := r.read(m, depth+1)
		if !slices.Contains(required, name) {
			f = f.Nullable()
		}
		fields[name] = f
	}
	switch extra := s["additionalProperties"].(type) {
	case bool:
		t.open = extra || s["patternProperties"] != nil || s["allOf"] != nil
	case map[string]any:
		t.rest = new(r.read(extra, depth+1))
	}
	out := Object(fields, t.open)
	out.rest = t.rest
	return out
}

// resolve follows a reference inside the document, such as #/$defs/host.
func (r *schemaReader) resolve(ref string) map[string]any {
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil
	}
	at := r.root
	for part := range strings.SplitSeq(path, "/") {
		at, _ = at[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)].(map[string]any)
	}
	return at
}

// literals is the type of a value that is one of values.
func literals(values []any) Type {
	var t Type
	for i, v := range values {
		u := TypeOf(v)
		if i == 0 {
			t = u
		} else {
			t = join(t, u)
		}
	}
	if t.kind == KindAny {
		return t
	}
	t.values = values
	return t
}

// TypeOf is the type of a value that is there.
func TypeOf(v any) Type { return typeOf(Normalize(v)).bounded() }

func typeOf(v any) Type {
	switch v := v.(type) {
	case nil:
		return Nil()
	case bool:
		return Bool()
	case int:
		return Int()
	case float64:
		return Number()
	case string:
		return Text()
	case Secret:
		return secretType()
	case []any:
		if len(v) == 0 {
			return List(Any())
		}
		elem := typeOf(v[0])
		for _, e := range v[1:] {
			elem = join(elem, typeOf(e))
		}
		return List(elem)
	case map[string]any:
		fields := make(map[string]Type, len(v))
		for name, f := range v {
			fields[name] = typeOf(f)
		}
		return Object(fields, false)
	}
	return Any()
}

// texts reads a list of texts.
func texts(v any) []string {
	switch v := v.(type) {
	case []string:
		return v
	case []any:
		var out []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}
