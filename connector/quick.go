package connector

import (
	"math"
	"slices"
	"unicode/utf8"
)

// Most values that are checked are right, and most schemas use a small part of
// JSON Schema. For those a quick check says "it fits" without finding out what
// would be wrong; the full one is asked only when it does not.

// quick tells whether a value fits. It may say no to what fits, never yes to
// what does not.
type quick func(v any) bool

// noEffect are keywords that never make a value wrong.
var noEffect = []string{
	"$schema", "$comment", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly",
	"kind", "secret", "redact", "unit", "x-order",
}

// quickOf makes the quick check of a schema, nil if it uses more than is known
// here.
func quickOf(s map[string]any) quick {
	var checks []quick
	for key, arg := range s {
		if slices.Contains(noEffect, key) {
			continue
		}
		check, known := quickKeyword(key, arg, s)
		if !known {
			return nil
		}
		if check != nil {
			checks = append(checks, check)
		}
	}
	switch len(checks) {
	case 0:
		return func(any) bool { return true }
	case 1:
		return checks[0]
	}
	return func(v any) bool {
		for _, check := range checks {
			if !check(v) {
				return false
			}
		}
		return true
	}
}

// quickKeyword makes the check of one keyword; nil for one that another keyword
// takes care of.
func quickKeyword(key string, arg any, s map[string]any) (check quick, known bool) {
	switch key {
	case "type":
		return quickType(arg)
	case "enum":
		return quickEnum(arg)
	case "properties":
		return quickObject(s)
	case "required", "additionalProperties":
		if _, ok := s["properties"]; ok {
			return nil, true
		}
		return quickObject(s)
	case "items":
		return quickItems(arg)
	case "format":
		name, ok := arg.(string)
		if !ok || !slices.Contains(Formats, name) {
			return nil, false
		}
		return func(v any) bool { text, ok := v.(string); return !ok || checkFormat(name, text) }, true
	case "minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum":
		return quickBound(key, arg)
	}
	return nil, false
}

func quickType(arg any) (quick, bool) {
	var names []string
	switch arg := arg.(type) {
	case string:
		names = []string{arg}
	case []any:
		for _, e := range arg {
			name, ok := e.(string)
			if !ok {
				return nil, false
			}
			names = append(names, name)
		}
	default:
		return nil, false
	}
	return func(v any) bool {
		for _, name := range names {
			if isType(v, name) {
				return true
			}
		}
		return false
	}, true
}

func isType(v any, name string) bool {
	switch v := v.(type) {
	case string:
		return name == "string"
	case int:
		return name == "integer" || name == "number"
	case float64:
		return name == "number" || name == "integer" && v == math.Trunc(v) && !math.IsInf(v, 0)
	case bool:
		return name == "boolean"
	case nil:
		return name == "null"
	case map[string]any:
		return name == "object"
	case []any:
		return name == "array"
	}
	return false
}

func quickEnum(arg any) (quick, bool) {
	list, ok := arg.([]any)
	if !ok {
		return nil, false
	}
	for _, e := range list {
		if _, ok := e.(string); !ok {
			return nil, false
		}
	}
	return func(v any) bool {
		_, isText := v.(string)
		return isText && slices.Contains(list, v)
	}, true
}

func quickObject(s map[string]any) (quick, bool) {
	fields := map[string]quick{}
	properties, ok := s["properties"].(map[string]any)
	if !ok && s["properties"] != nil {
		return nil, false
	}
	for name, p := range properties {
		sub, ok := p.(map[string]any)
		if !ok {
			return nil, false
		}
		if fields[name] = quickOf(sub); fields[name] == nil {
			return nil, false
		}
	}
	required := Schema(s).Required()
	if list, ok := s["required"].([]any); ok && len(list) != len(required) {
		return nil, false
	}
	rest := func(any) bool { return true }
	switch extra := s["additionalProperties"].(type) {
	case nil:
	case bool:
		rest = func(any) bool { return extra }
	case map[string]any:
		if rest = quickOf(extra); rest == nil {
			return nil, false
		}
	default:
		return nil, false
	}
	return func(v any) bool {
		object, ok := v.(map[string]any)
		if !ok {
			return true
		}
		for _, name := range required {
			if _, there := object[name]; !there {
				return false
			}
		}
		for name, e := range object {
			check := fields[name]
			if check == nil {
				check = rest
			}
			if !check(e) {
				return false
			}
		}
		return true
	}, true
}

func quickItems(arg any) (quick, bool) {
	sub, ok := arg.(map[string]any)
	if !ok {
		return nil, false
	}
	check := quickOf(sub)
	if check == nil {
		return nil, false
	}
	return func(v any) bool {
		list, _ := v.([]any)
		for _, e := range list {
			if !check(e) {
				return false
			}
		}
		return true
	}, true
}

func quickBound(key string, arg any) (quick, bool) {
	bound, ok := asNumber(arg)
	if !ok {
		return nil, false
	}
	measure := func(v any) (float64, bool) { return asNumber(v) }
	switch key {
	case "minLength", "maxLength":
		measure = func(v any) (float64, bool) {
			s, ok := v.(string)
			return float64(utf8.RuneCountInString(s)), ok
		}
	case "minItems", "maxItems":
		measure = func(v any) (float64, bool) { list, ok := v.([]any); return float64(len(list)), ok }
	}
	if key[:3] == "min" {
		return func(v any) bool { n, ok := measure(v); return !ok || n >= bound }, true
	}
	return func(v any) bool { n, ok := measure(v); return !ok || n <= bound }, true
}

// asNumber gives numbers that a float holds exactly.
func asNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}
