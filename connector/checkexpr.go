package connector

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"riposte/internal/expr"
	"riposte/internal/strictyaml"
)

// maxCheckWait bounds how long a postcheck may wait for the product.
const maxCheckWait = time.Minute

type (
	scope = *expr.Scope
	want  = expr.Type
)

var (
	wantAny    = expr.Any()
	wantBool   = expr.Bool()
	wantText   = expr.Text().Nullable()
	wantNumber = expr.Number().Nullable()
	wantList   = expr.List(expr.Any()).Nullable()
)

func typeAny() expr.Type { return expr.Any() }

func scopeOf(name string, t expr.Type) scope { return expr.NewScope().With(name, t) }

// typeOfInputs is the type of inputs as an action sees them: those with a
// default are always there.
func typeOfInputs(s Schema) expr.Type {
	if s == nil {
		return expr.Object(nil, false)
	}
	there := s.Required()
	for name := range s.Properties() {
		if _, ok := s.Property(name)["default"]; ok {
			there = append(there, name)
		}
	}
	required := make([]any, len(there))
	for i, name := range there {
		required[i] = name
	}
	return expr.FromSchema(Schema{
		"type": "object", "properties": s["properties"], "required": required, "$defs": s["$defs"],
		"additionalProperties": s["additionalProperties"] == true,
	})
}

func typeOfOutput(s Schema) expr.Type {
	if s == nil {
		return expr.Any()
	}
	return expr.FromSchema(s)
}

// outputScope is what undo, postcheck and poll see of the call.
func outputScope(s *ActionSpec) scope {
	return scopeOf("inputs", typeOfInputs(s.Inputs)).With("output", typeOfOutput(s.Outputs))
}

// ConnectionScope types what templates see of a connection: config holds the
// fields that everybody may see, secrets the others.
func ConnectionScope(config Schema) *expr.Scope {
	open, hidden := map[string]expr.Type{}, map[string]expr.Type{}
	all := typeOfInputs(config).Fields()
	for name := range config.Properties() {
		if secret, _ := config.Property(name)["secret"].(bool); secret {
			hidden[name] = all[name]
		} else {
			open[name] = all[name]
		}
	}
	return expr.NewScope().With("config", expr.Object(open, false)).With("secrets", expr.Object(hidden, false))
}

// RequestScope types what the templates of a request see.
func RequestScope(config, inputs Schema) *expr.Scope {
	return ConnectionScope(config).With("inputs", typeOfInputs(inputs)).
		With("call", expr.Object(map[string]expr.Type{"key": expr.Text(), "now": expr.Time()}, false)).
		With("page", expr.Object(map[string]expr.Type{
			"cursor": expr.Text().Nullable(), "number": expr.Int(), "offset": expr.Int(), "size": expr.Int(),
		}, false))
}

// AnswerScope types what expressions over an answer see: no secrets.
func AnswerScope(config, inputs Schema) *expr.Scope {
	open, _ := ConnectionScope(config).Lookup("config")
	return expr.NewScope().With("config", open).With("inputs", typeOfInputs(inputs)).
		With("status", expr.Int()).With("headers", expr.MapOf(expr.Text().Nullable())).With("body", expr.Any()).
		With("items", expr.List(expr.Any())).With("pages", expr.Int())
}

// SignScope types what the template of a signed text sees.
func SignScope(config Schema) *expr.Scope {
	request := map[string]expr.Type{}
	for _, name := range []string{"method", "path", "query", "host", "body", "timestamp"} {
		request[name] = expr.Text()
	}
	open, _ := ConnectionScope(config).Lookup("config")
	return expr.NewScope().With("config", open).With("request", expr.Object(request, false))
}

func (c *checker) connectionScope() scope { return ConnectionScope(c.m.Config) }

func (c *checker) expression(at, text string, w want, s scope) {
	if _, err := expr.Compile(text, s, w); err != nil {
		c.wrong(at, err)
	}
}

func (c *checker) optional(at, text string, w want, s scope) {
	if text != "" {
		c.expression(at, text, w, s)
	}
}

// wrong reports an expression's error at its key; the key's place is that of
// the text, in which block scalars hide further lines.
func (c *checker) wrong(at string, err error) {
	var e *expr.Error
	if !errors.As(err, &e) {
		c.errorf(at, "", "%v", err)
		return
	}
	what := e.Message
	if e.Line > 1 || e.Column > 1 {
		what = fmt.Sprintf("%s (at letter %d of the expression)", e.Message, e.Column)
		if e.Line > 1 {
			what = fmt.Sprintf("%s (line %d, letter %d of the expression)", e.Message, e.Line, e.Column)
		}
	}
	c.errorf(at, e.Hint, "%s", what)
}

func hasTemplate(s string) bool { return expr.HasTemplate(s) }

// template checks a text with expressions in it.
func (c *checker) template(at, text string, s scope) { c.value(at, text, s) }

// value checks a tree with templates in its texts and gives its type.
func (c *checker) value(at string, v any, s scope) expr.Type {
	compiled, err := expr.CompileValue(v, s, func(path []any, e *expr.Error) error {
		here := at
		for _, part := range path {
			here = strictyaml.Join(here, part)
		}
		c.wrong(here, e)
		return e
	})
	if err != nil {
		return expr.Any()
	}
	return compiled.Type()
}

// fits checks one value that is given to an input of an action.
func (c *checker) fits(at string, v any, inputs expr.Type, name string, s scope) {
	t := c.value(at, v, s)
	wanted, ok := inputs.Field(name)
	if !ok {
		return
	}
	// What may be nil is checked when it is there: an optional field of an answer
	// usually is.
	if wrong := t.NonNil().Fits(wanted); wrong != "" {
		c.errorf(at, "", "%s: %s", name, wrong)
	}
}

// oneOf tells whether a word is in a list.
func oneOf(word string, list ...string) bool {
	return strings.Contains(" "+strings.Join(list, " ")+" ", " "+word+" ")
}
