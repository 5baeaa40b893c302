package expr

import (
	"errors"
	"maps"
	"slices"
)

// Value is a compiled value of a playbook: any tree whose texts may hold
// expressions. It may be used by many goroutines at once.
type Value struct {
	eval      func(env *Env, used *usage) (any, error)
	constant  bool
	value     any // where constant
	typ       Type
	refs      [][]string
	available []string
}

// CompileValue compiles a tree of nil, bool, int, float64, string, []any and
// map[string]any. A text that is exactly one ${{ … }} gives the expression's
// value with its type; inside longer text the value is put in as text. Keys
// are taken as they are. at, if not nil, turns an error and the path (keys and
// indices) of the text that it is in into the error to return, so that a caller
// can add the position in its file. All errors are collected.
func CompileValue(v any, s *Scope, at func(path []any, e *Error) error) (*Value, error) {
	if at == nil {
		at = func(_ []any, e *Error) error { return e }
	}
	c := valueCompiler{scope: s, at: at}
	out := c.compile(v, nil)
	if len(c.errs) == 1 {
		return nil, c.errs[0]
	}
	if len(c.errs) > 1 {
		return nil, errors.Join(c.errs...)
	}
	out.refs, out.available = uniquePaths(c.refs), uniqueTexts(c.available)
	return out, nil
}

type valueCompiler struct {
	scope     *Scope
	at        func([]any, *Error) error
	errs      []error
	refs      [][]string
	available []string
}

func (c *valueCompiler) fail(path []any, err error) *Value {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Line: 1, Column: 1, Message: err.Error()}
	}
	if err := c.at(slices.Clone(path), e); err != nil {
		c.errs = append(c.errs, err)
	}
	return fixed(nil)
}

func fixed(v any) *Value {
	return &Value{
		constant: true, value: v, typ: TypeOf(v),
		eval: func(*Env, *usage) (any, error) { return v, nil },
	}
}

func (c *valueCompiler) compile(v any, path []any) *Value {
	if len(path) > maxNesting {
		return c.fail(path, &Error{Line: 1, Column: 1, Message: "the value is nested too deeply"})
	}
	switch v := Normalize(v).(type) {
	case string:
		return c.textValue(v, path)
	case []any:
		return c.list(v, path)
	case map[string]any:
		return c.object(v, path)
	default:
		if !isPlain(v) {
			return c.fail(path, &Error{Line: 1, Column: 1, Message: "the value is of an unknown type"})
		}
		return fixed(v)
	}
}

func (c *valueCompiler) list(list []any, path []any) *Value {
	parts := make([]*Value, len(list))
	constant := true
	var elem Type
	for i, e := range list {
		parts[i] = c.compile(e, append(path, i))
		constant = constant && parts[i].constant
		if i == 0 {
			elem = parts[i].typ
		} else {
			elem = join(elem, parts[i].typ)
		}
	}
	if constant {
		out := make([]any, len(list))
		for i, p := range parts {
			out[i] = p.value
		}
		return fixed(out)
	}
	return &Value{typ: List(elem).bounded(), eval: func(env *Env, used *usage) (any, error) {
		out := make([]any, len(parts))
		for i, p := range parts {
			v, err := p.eval(env, used)
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return out, nil
	}}
}

func (c *valueCompiler) object(object map[string]any, path []any) *Value {
	names := slices.Sorted(maps.Keys(object))
	parts := make([]*Value, len(names))
	constant := true
	fields := make(map[string]Type, len(names))
	for i, name := range names {
		parts[i] = c.compile(object[name], append(path, name))
		constant = constant && parts[i].constant
		fields[name] = parts[i].typ
	}
	if constant {
		out := make(map[string]any, len(names))
		for i, name := range names {
			out[name] = parts[i].value
		}
		return fixed(out)
	}
	return &Value{typ: Object(fields, false), eval: func(env *Env, used *usage) (any, error) {
		out := make(map[string]any, len(names))
		for i, name := range names {
			v, err := parts[i].eval(env, used)
			if err != nil {
				return nil, err
			}
			out[name] = v
		}
		return out, nil
	}}
}

// textValue compiles a text, with or without expressions.
func (c *valueCompiler) textValue(text string, path []any) *Value {
	segments, err := SplitTemplate(text)
	if err != nil {
		return c.fail(path, err)
	}
	whole := len(segments) == 1 && segments[0].IsExpr
	parts := make([]*Program, len(segments))
	constant := true
	for i, s := range segments {
		if !s.IsExpr {
			continue
		}
		constant = false
		p, err := c.expression(text, s)
		if err != nil {
			return c.fail(path, err)
		}
		if !whole && p.typ.kind == KindSecret {
			e := failf(0, "a secret cannot be part of a longer text").hinted("give it alone: ${{ secrets.… }}")
			return c.fail(path, e.located(text, s.Offset))
		}
		parts[i] = p
	}
	switch {
	case constant:
		return fixed(literalText(segments))
	case whole:
		p := parts[0]
		return &Value{typ: p.typ, eval: p.eval}
	}
	t := template{segments: segments, parts: parts}
	return &Value{typ: Text(), eval: t.eval}
}

func literalText(segments []Segment) string {
	if len(segments) == 0 {
		return ""
	}
	return segments[0].Text
}

func (c *valueCompiler) expression(text string, s Segment) (*Program, error) {
	p, err := compileSource(s.Text, c.scope, Any())
	if err != nil {
		var f *failure
		if !errors.As(err, &f) {
			f = failf(0, "%v", err)
		}
		return nil, f.located(text, s.Offset)
	}
	p.text, p.skip = text, s.Offset
	c.refs = append(c.refs, p.refs...)
	c.available = append(c.available, p.available...)
	return p, nil
}

// template is a text with expressions in it.
type template struct {
	segments []Segment
	parts    []*Program
}

func (t template) eval(env *Env, used *usage) (any, error) {
	var out []byte
	for i, s := range t.segments {
		piece := s.Text
		if s.IsExpr {
			v, err := t.parts[i].eval(env, used)
			if err != nil {
				return nil, err
			}
			if piece, err = textOf(v); err != nil {
				return nil, t.parts[i].locate(failf(0, "%s", err))
			}
		}
		if used.memory += len(piece); used.memory > MaxMemory {
			return nil, t.first().locate(failf(0, "the value is too large: over %d MB", MaxMemory>>20))
		}
		out = append(out, piece...)
	}
	return string(out), nil
}

// first is the first expression, for errors of the text as a whole.
func (t template) first() *Program {
	for _, p := range t.parts {
		if p != nil {
			return p
		}
	}
	return &Program{}
}

// Eval works the value out. All of its expressions together have the limits of
// one evaluation. The result may share parts with env and with other results,
// so it must not be changed. The error is an *Error; its place is in the wrong text.
func (v *Value) Eval(env *Env) (any, error) {
	return v.eval(env, &usage{})
}

// Text works the value out and writes it as text, as if it stood inside longer
// text: nil as nothing, lists and objects as JSON, times in RFC 3339.
func (v *Value) Text(env *Env) (string, error) {
	out, err := v.Eval(env)
	if err != nil {
		return "", err
	}
	return valueText(out)
}

func valueText(v any) (string, error) {
	s, err := textOf(v)
	if err != nil {
		return "", &Error{Line: 1, Column: 1, Message: err.Error()}
	}
	return s, nil
}

// Const gives the value where it holds no expressions.
func (v *Value) Const() (any, bool) { return v.value, v.constant }

// Type is what is known of the value.
func (v *Value) Type() Type { return v.typ }

// Refs lists the paths that the value's expressions read; see Program.Refs.
func (v *Value) Refs() [][]string { return v.refs }

// Available lists what the value's expressions ask available about.
func (v *Value) Available() []string { return v.available }
