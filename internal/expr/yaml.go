package expr

import (
	"cmp"
	"errors"
	"fmt"

	"riposte/internal/strictyaml"
)

// TellAt tells what is wrong with an expression in a file, at its place there.
// kind is what the expression is called: a condition, an expression.
func TellAt(doc *strictyaml.Document, at, kind string, err error) {
	var e *Error
	if !errors.As(err, &e) {
		doc.Errorf(at, "", "%v", err)
		return
	}
	what := e.Message
	if e.Line > 1 || e.Column > 1 {
		what = fmt.Sprintf("%s (line %d, letter %d of the %s)", what, e.Line, e.Column, kind)
	}
	doc.Errorf(at, e.Hint, "%s", what)
}

// ValueAt compiles a value of a file, with the expressions in it. What is wrong
// is told at its place, with hint where the error has none of its own; nil then.
func ValueAt(doc *strictyaml.Document, at string, v any, scope *Scope, hint string) *Value {
	out, err := CompileValue(v, scope, func(in []any, e *Error) error {
		place := at
		for _, key := range in {
			place = strictyaml.Join(place, key)
		}
		doc.Errorf(place, cmp.Or(e.Hint, hint), "%s", e.Message)
		return e
	})
	if err != nil {
		return nil
	}
	return out
}
