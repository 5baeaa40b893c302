package httprt

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"riposte/internal/expr"
	"riposte/internal/fault"
)

// template is a text with expressions whose values are escaped one by one.
type template struct {
	parts    []part
	constant string
	isFixed  bool
}

type part struct {
	text string
	prog *expr.Program // nil: text
}

func compileTemplate(text string, scope *expr.Scope) (*template, error) {
	segments, err := expr.SplitTemplate(text)
	if err != nil {
		return nil, err
	}
	t := &template{isFixed: true}
	for _, s := range segments {
		if !s.IsExpr {
			t.parts = append(t.parts, part{text: s.Text})
			continue
		}
		prog, err := expr.Compile(s.Text, scope, expr.Any())
		if err != nil {
			return nil, err
		}
		t.isFixed = false
		t.parts = append(t.parts, part{prog: prog})
	}
	if t.isFixed {
		for _, p := range t.parts {
			t.constant += p.text
		}
	}
	return t, nil
}

// eval fills the template in; escape, if not nil, is applied to each value.
func (t *template) eval(env *expr.Env, escape func(string) (string, error)) (string, error) {
	if t.isFixed {
		return t.constant, nil
	}
	if len(t.parts) == 1 && escape == nil {
		return evalText(t.parts[0].prog, env)
	}
	var b strings.Builder
	for _, p := range t.parts {
		if p.prog == nil {
			b.WriteString(p.text)
			continue
		}
		s, err := evalText(p.prog, env)
		if err != nil {
			return "", err
		}
		if escape != nil {
			if s, err = escape(s); err != nil {
				return "", fmt.Errorf("%s: %w", p.prog.Source(), err)
			}
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

func evalText(p *expr.Program, env *expr.Env) (string, error) {
	v, err := p.Eval(env)
	if err != nil {
		return "", fmt.Errorf("%s: %w", p.Source(), err)
	}
	return textOf(v)
}

// textOf writes a value as it stands in URLs, headers and forms.
func textOf(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	}
	b, err := expr.EncodeJSON(v)
	return string(b), err
}

// pathSegment escapes a value for a path. An empty value or one of dots would
// name another object, such as the whole collection, so it is refused.
func pathSegment(s string) (string, error) {
	switch s {
	case "":
		return "", fmt.Errorf("is empty, and the path would mean something else: %w", fault.Invalid)
	case ".", "..":
		return "", fmt.Errorf("is %q, and the path would mean something else: %w", s, fault.Invalid)
	}
	if plainSegment(s) {
		return s, nil
	}
	return escapeSegment(s), nil
}

func plainSegment(s string) bool {
	for i := range len(s) {
		if c := s[i]; !unreserved(c) {
			return false
		}
	}
	return true
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c == '~'
}

const hexDigits = "0123456789ABCDEF"

// escapeSegment escapes everything but unreserved characters: ; and = would
// begin path parameters on some servers.
func escapeSegment(s string) string {
	b := make([]byte, 0, len(s)+16)
	for i := range len(s) {
		if c := s[i]; unreserved(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(b)
}

// rawPath takes a value that holds slashes on purpose, but nothing that would
// leave the path or climb in it.
func rawPath(s string) (string, error) {
	for segment := range strings.SplitSeq(s, "/") {
		if segment == ".." || segment == "." {
			return "", fmt.Errorf("holds %q, and the path would mean something else: %w", segment, fault.Invalid)
		}
	}
	var b strings.Builder
	for i, segment := range strings.Split(s, "/") {
		if i > 0 {
			b.WriteByte('/')
		}
		b.WriteString(escapeSegment(segment))
	}
	return b.String(), nil
}

// named is a name with the value that it gets.
type named struct {
	name  string
	value *expr.Value
	fixed string // of a constant text
	plain bool   // fixed holds it
}

func compileNamed[V any](m map[string]V, scope *expr.Scope, canonical func(string) string) ([]named, error) {
	list := make([]named, 0, len(m))
	for _, name := range sortedKeys(m) {
		v, err := compileValue(any(m[name]), scope)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if v == nil {
			continue
		}
		n := named{name: canonical(name), value: v}
		if s, ok := any(m[name]).(string); ok && !expr.HasTemplate(s) {
			n.fixed, n.plain = s, true
		}
		list = append(list, n)
	}
	return list, nil
}

func compileValue(v any, scope *expr.Scope) (*expr.Value, error) {
	if v == nil {
		return nil, nil
	}
	return expr.CompileValue(v, scope, func(_ []any, e *expr.Error) error { return e })
}

func compileOptional(text string, scope *expr.Scope, want expr.Type) (*expr.Program, error) {
	if text == "" {
		return nil, nil
	}
	p, err := expr.Compile(text, scope, want)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	return p, nil
}

var errNoText = errors.New("neither a text, a number, true or false, nor a list of them")

// appendQuery adds name=value to a query, once for each entry of a list, not at
// all for nil.
func appendQuery(b []byte, name string, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return b, nil
	case []any:
		var err error
		for _, e := range v {
			if b, err = appendQuery(b, name, e); err != nil {
				return nil, err
			}
		}
		return b, nil
	case map[string]any:
		return nil, fmt.Errorf("%s: %w: %w", name, errNoText, fault.Invalid)
	}
	s, err := textOf(v)
	if err != nil {
		return nil, err
	}
	if len(b) > 0 {
		b = append(b, '&')
	}
	b = appendQueryEscaped(b, name)
	b = append(b, '=')
	return appendQueryEscaped(b, s), nil
}

func appendQueryEscaped(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case unreserved(c):
			b = append(b, c)
		case c == ' ':
			b = append(b, '+')
		default:
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return b
}
