package expr_test

import (
	"testing"

	"riposte/internal/expr"
)

func schema(t *testing.T, text string) expr.Type {
	t.Helper()
	v, err := expr.DecodeJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return expr.FromSchema(v.(map[string]any))
}

func TestTypesOfSchemas(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, schema, path, want string }{
		{"a text", `{"type": "string", "format": "ipv4"}`, "", "text"},
		{"a whole number", `{"type": "integer"}`, "", "int"},
		{"a number", `{"type": "number"}`, "", "number"},
		{"true or false", `{"type": "boolean"}`, "", "bool"},
		{"nil", `{"type": "null"}`, "", "nil"},
		{"a text or nil", `{"type": ["string", "null"]}`, "", "text or nil"},
		{"a text or a number", `{"type": ["string", "integer"]}`, "", "any"},
		{"a number of two kinds", `{"type": ["number", "integer"]}`, "", "number"},
		{"an enum of texts", `{"enum": ["a", "b"]}`, "", "text"},
		{"an enum of texts and nil", `{"enum": ["a", null]}`, "", "text or nil"},
		{"a constant", `{"const": 5}`, "", "int"},
		{"a list", `{"type": "array", "items": {"type": "string"}}`, "", "list of text"},
		{"a list of anything", `{"type": "array"}`, "", "list"},
		{"a list without its type", `{"items": {"type": "integer"}}`, "", "list of int"},
		{"nothing", `{}`, "", "any"},
		{"an unknown type", `{"type": "date"}`, "", "any"},
		{"either of two", `{"anyOf": [{"type": "string"}, {"type": "null"}]}`, "", "text or nil"},
		{"a required field", `{"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}`, "a", "text"},
		{"a field that may be left out", `{"properties": {"a": {"type": "string"}}}`, "a", "text or nil"},
		{"an undeclared field", `{"properties": {"a": {"type": "string"}}}`, "b", "any"},
		{"an undeclared field of a closed object", `{"properties": {"a": {"type": "string"}}, "additionalProperties": false}`, "b", "none"},
		{"an undeclared field with a type", `{"type": "object", "additionalProperties": {"type": "integer"}}`, "b", "int or nil"},
		{"a reference", `{"required": ["h"], "properties": {"h": {"$ref": "#/$defs/host"}}, "$defs": {"host": {"type": "string"}}}`, "h", "text"},
		{"a reference to nowhere", `{"required": ["h"], "properties": {"h": {"$ref": "#/$defs/nope"}}}`, "h", "any"},
		{"a reference to a file", `{"$ref": "other.json"}`, "", "any"},
		{"a schema of itself", `{"required": ["a"], "properties": {"a": {"$ref": "#/properties/a"}}}`, "a", "any"},
		{"a schema of many of itself", `{"$ref": "#/$defs/t", "$defs": {"t": {"properties": {"a": {"$ref": "#/$defs/t"}, "b": {"$ref": "#/$defs/t"}, "c": {"$ref": "#/$defs/t"}}}}}`, "a", "object or nil"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := schema(t, c.schema)
			if c.path != "" {
				f, ok := got.Field(c.path)
				if got = f; !ok {
					if c.want != "none" {
						t.Errorf("no field %s", c.path)
					}
					return
				}
			}
			if got.String() != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestTypesOfExpressions(t *testing.T) {
	t.Parallel()
	s, _ := world()
	for src, want := range map[string]string{
		`1 + 2`:                                  "int",
		`1 + 2.5`:                                "number",
		`7 / 2`:                                  "number",
		`inputs.score * 2 > 5`:                   "bool",
		`inputs.user`:                            "text or nil",
		`inputs.user ?? "x"`:                     "text",
		`inputs.user ?? nil`:                     "text or nil",
		`inputs.flag ? 1 : nil`:                  "int or nil",
		`inputs.flag ? 1 : "x"`:                  "any",
		`steps.typed.output.hits | filter(.bad)`: "list of object",
		`steps.typed.output.hits | filter(.bad) | map(.ip)`: "list of text",
		`first(inputs.list)`:      "int or nil",
		`inputs.list[0]`:          "int or nil",
		`inputs.list[1:]`:         "list of int",
		`steps.look_up.output.x`:  "any",
		`steps.look_up.output?.x`: "any",
		`{"a": 1}`:                "object",
		`{"a": 1}.a`:              "int",
		`now() - inputs.at`:       "duration",
		`now()`:                   "time",
		`split("a", "b")`:         "list of text",
		`alert.x + 1`:             "number",
		`alert.x + "a"`:           "text",
		`alert.x + alert.y`:       "any",
		`sum(inputs.list)`:        "int",
		`1..3`:                    "list of int",
		`sort(inputs.list)`:       "list of int",
		`concat([1], [2.5])`:      "list of number",
	} {
		p, err := expr.Compile(src, s, expr.Any())
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got := p.Type().String(); got != want {
			t.Errorf("%s is %s, want %s", src, got, want)
		}
	}
}

func TestFits(t *testing.T) {
	t.Parallel()
	closed := expr.Object(map[string]expr.Type{"ip": expr.Text(), "ports": expr.List(expr.Int())}, false)
	for _, c := range []struct {
		name      string
		got, want expr.Type
		reason    string
	}{
		{"anything may fit", expr.Any(), expr.Int(), ""},
		{"everything fits anything", expr.Text(), expr.Any(), ""},
		{"a whole number is a number", expr.Int(), expr.Number(), ""},
		{"a text is no number", expr.Text(), expr.Int(), "expected int, got text"},
		{"what may be nil may fit", expr.Text().Nullable(), expr.Text(), ""},
		{"nil does not fit", expr.Nil(), expr.Text(), "expected text, got nil"},
		{"nil fits what may be nil", expr.Nil(), expr.Text().Nullable(), ""},
		{"a time travels as text", expr.Time(), expr.Text(), ""},
		{"a wrong field", expr.Object(map[string]expr.Type{"ip": expr.Int()}, false), closed, "ip: expected text, got int"},
		{"a wrong element", expr.Object(map[string]expr.Type{"ports": expr.List(expr.Text())}, false), closed, "ports[]: expected int, got text"},
		{"an unknown field", expr.Object(map[string]expr.Type{"ipp": expr.Int()}, false), closed, `unknown field "ipp"; did you mean "ip"?`},
		{"a list is no text", expr.List(expr.Any()), expr.Text(), "expected text, got list"},
	} {
		if got := c.got.Fits(c.want); got != c.reason {
			t.Errorf("%s: %q, want %q", c.name, got, c.reason)
		}
	}
}

func TestResultsHaveTheTypeAskedFor(t *testing.T) {
	t.Parallel()
	s, env := world()
	if _, err := expr.Compile(`inputs.name`, s, expr.Int()); err == nil || err.Error() != "expected int, got text" {
		t.Error(err)
	}
	p, err := expr.Compile(`steps.look_up.output.text`, s, expr.Int())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Eval(env); err == nil || err.Error() != "expected int, got text" {
		t.Error(err)
	}
	if p, err = expr.Compile(`steps.look_up.output.list`, s, expr.List(expr.Int())); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Eval(env); err != nil {
		t.Error(err)
	}
}

func TestScopesAreNotChangedByTheirHeirs(t *testing.T) {
	t.Parallel()
	base := expr.NewScope().With("a", expr.Int())
	left, right := base.With("b", expr.Text()), base.With("a", expr.Text())
	if _, ok := base.Lookup("b"); ok {
		t.Error("With changed its scope")
	}
	if _, ok := right.Lookup("b"); ok {
		t.Error("a scope sees its sibling's names")
	}
	if typ, _ := right.Lookup("a"); typ.Kind() != expr.KindText {
		t.Errorf("the newer type does not hold: %s", typ)
	}
	if _, err := expr.Compile("a + 1", left, expr.Any()); err != nil {
		t.Error(err)
	}
}
