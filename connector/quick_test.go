package connector

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// drawValue makes a plain value.
func drawValue(t *rapid.T, depth int) any {
	kinds := 5
	if depth < 3 {
		kinds = 7
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return rapid.IntRange(-3, 12).Draw(t, "int")
	case 3:
		return rapid.SampledFrom([]float64{-1.5, 0, 1, 2.5, 1e300}).Draw(t, "float")
	case 4:
		return rapid.SampledFrom([]string{"", "a", "é", "aaa", "203.0.113.9", "example.com", "https://example.com/a", "a@example.com", "7d"}).Draw(t, "text")
	case 5:
		list := make([]any, rapid.IntRange(0, 3).Draw(t, "n"))
		for i := range list {
			list[i] = drawValue(t, depth+1)
		}
		return list
	}
	object := map[string]any{}
	for range rapid.IntRange(0, 3).Draw(t, "n") {
		object[rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key")] = drawValue(t, depth+1)
	}
	return object
}

func drawSchema(t *rapid.T, depth int) map[string]any {
	s := map[string]any{}
	types := []any{"string", "integer", "number", "boolean", "null", "object", "array"}
	switch rapid.IntRange(0, 2).Draw(t, "type") {
	case 0:
		s["type"] = rapid.SampledFrom(types).Draw(t, "one")
	case 1:
		s["type"] = []any{rapid.SampledFrom(types[:4]).Draw(t, "one"), "null"}
	}
	for _, k := range []string{"minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum"} {
		if rapid.IntRange(0, 4).Draw(t, k) == 0 {
			s[k] = rapid.IntRange(0, 3).Draw(t, "bound")
		}
	}
	if rapid.IntRange(0, 4).Draw(t, "format") == 0 {
		s["format"] = rapid.SampledFrom(Formats).Draw(t, "name")
	}
	if rapid.IntRange(0, 5).Draw(t, "enum") == 0 {
		s["enum"] = []any{"a", "aaa"}
	}
	if depth > 2 {
		return s
	}
	if rapid.Bool().Draw(t, "object") {
		s["properties"] = map[string]any{"a": drawSchema(t, depth+1), "b": drawSchema(t, depth+1)}
		if rapid.Bool().Draw(t, "required") {
			s["required"] = []any{"a"}
		}
	}
	switch rapid.IntRange(0, 3).Draw(t, "rest") {
	case 0:
		s["additionalProperties"] = rapid.Bool().Draw(t, "allowed")
	case 1:
		s["additionalProperties"] = drawSchema(t, depth+1)
	}
	if rapid.Bool().Draw(t, "items") {
		s["items"] = drawSchema(t, depth+1)
	}
	return s
}

func TestTheQuickCheckAgreesWithTheFullOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawSchema(t, 0)
		full, err := CompileSchema(s)
		if err != nil {
			t.Fatal(err)
		}
		fast := full.quick
		if fast == nil {
			t.Fatalf("no quick check for %v", s)
		}
		full.quick = nil
		for i := range 5 {
			v := drawValue(t, 0)
			wrong := full.Check(v)
			if ok := fast(v); ok != (len(wrong) == 0) {
				t.Fatalf("%d: quick says %v, full %v, for %v in %v", i, ok, wrong, fmt.Sprint(v), s)
			}
		}
	})
}
