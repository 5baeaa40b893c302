package expr

import (
	"errors"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// pairing is one way to use an operator: what stands left and right of it, and
// what comes out.
type pairing struct{ left, right, out Kind }

var (
	ordering = []pairing{
		{KindNumber, KindNumber, KindBool}, {KindText, KindText, KindBool}, {KindTime, KindTime, KindBool},
		{KindTime, KindText, KindBool}, {KindText, KindTime, KindBool}, {KindDuration, KindDuration, KindBool},
	}
	numeric  = []pairing{{KindNumber, KindNumber, KindNumber}}
	textual  = []pairing{{KindText, KindText, KindBool}}
	pairings = map[string][]pairing{
		"<": ordering, ">": ordering, "<=": ordering, ">=": ordering,
		"+": {
			{KindNumber, KindNumber, KindNumber}, {KindText, KindText, KindText}, {KindTime, KindDuration, KindTime},
			{KindDuration, KindTime, KindTime}, {KindDuration, KindDuration, KindDuration},
		},
		"-": {
			{KindNumber, KindNumber, KindNumber}, {KindTime, KindTime, KindDuration}, {KindTime, KindDuration, KindTime},
			{KindTime, KindText, KindDuration}, {KindText, KindTime, KindDuration}, {KindText, KindDuration, KindTime},
			{KindDuration, KindDuration, KindDuration},
		},
		"*": {
			{KindNumber, KindNumber, KindNumber}, {KindNumber, KindDuration, KindDuration},
			{KindDuration, KindNumber, KindDuration},
		},
		"/": numeric, "%": numeric, "**": numeric, "^": numeric, "..": numeric,
		"matches": textual, "contains": textual, "startsWith": textual, "endsWith": textual,
	}
)

// operatorType finds the type of "l op r"; false means that it cannot work.
func operatorType(op string, l, r Type) (Type, bool) {
	fit := func(t Type, k Kind) bool { return t.may(k) || k == KindNumber && t.kind == KindInt }
	var found []Kind
	for _, p := range pairings[op] {
		if fit(l, p.left) && fit(r, p.right) {
			found = append(found, p.out)
		}
	}
	if op == "matches" || op == "contains" || op == "startsWith" || op == "endsWith" {
		// Nil on either side is false, not an error.
		if len(found) == 0 && (l.is(KindNil) && fit(r, KindText) || r.is(KindNil) && fit(l, KindText)) {
			return Bool(), true
		}
	}
	if len(found) == 0 {
		return Any(), false
	}
	out := Type{kind: found[0]}
	for _, k := range found[1:] {
		if k != out.kind {
			out = Any()
		}
	}
	switch {
	case op == "..":
		return List(Int()), true
	case op == "%":
		return Int(), true
	case op == "+" || op == "-" || op == "*":
		if l.kind == KindInt && r.kind == KindInt {
			return Int(), true
		}
	}
	return out, true
}

func (c *compiler) binary(n *ast.BinaryNode) (code, error) {
	l, err := c.compile(n.Left)
	if err != nil {
		return code{}, err
	}
	r, err := c.compile(n.Right)
	if err != nil {
		return code{}, err
	}
	switch n.Operator {
	case "and", "&&", "or", "||":
		return logic(n, l, r)
	case "??":
		return coalesce(n, l, r), nil
	case "==", "!=":
		return equality(n, l, r)
	case "in":
		return membership(n, l, r)
	}
	t, ok := operatorType(n.Operator, l.typ, r.typ)
	if !ok {
		return code{}, mismatch(n, article(l.typ.String()), article(r.typ.String()), l.typ, r.typ)
	}
	do, err := operation(n, r)
	if err != nil {
		return code{}, err
	}
	left, right := l.run, r.run
	return code{node: n, typ: t, run: func(m *machine) (any, error) {
		a, err := left(m)
		if err != nil {
			return nil, err
		}
		b, err := right(m)
		if err != nil {
			return nil, err
		}
		v, err := do(m, a, b)
		if err != nil && m.lenient {
			return m.retry(n.Operator, do, a, b, err)
		}
		if errors.Is(err, errMismatch) {
			return nil, mismatch(n, describe(a), describe(b), Type{kind: kindOf(a)}, Type{kind: kindOf(b)})
		}
		return v, err
	}}, nil
}

// mismatch is the error of an operator between things that it does not join.
func mismatch(n *ast.BinaryNode, l, r string, lt, rt Type) error {
	f := failf(where(n), "%s cannot stand between %s and %s", n.Operator, l, r)
	switch {
	case isNilNode(n.Left) || isNilNode(n.Right):
		f.hint = "only == and != work with nil"
	case l == "nil":
		f.hint = short(n.Left) + " is nil: give another value with (… ?? …)"
	case r == "nil":
		f.hint = short(n.Right) + " is nil: give another value with (… ?? …)"
	case n.Operator == "+" && (lt.kind == KindText || rt.kind == KindText):
		f.hint = "turn the other into a text with string(…)"
	case n.Operator == "+" && lt.kind == KindList && rt.kind == KindList:
		f.hint = "join lists with concat(…, …)"
	case n.Operator == "contains" && lt.kind == KindList:
		f.hint = "write … in list"
	case lt.kind == KindText && rt.isNumber() || lt.isNumber() && rt.kind == KindText:
		f.hint = "turn the text into a number with int(…) or float(…)"
	}
	return f
}

func isNilNode(n ast.Node) bool {
	_, ok := n.(*ast.NilNode)
	return ok
}

// isZero tells whether a part is a number written out, and that number is zero.
func isZero(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IntegerNode:
		return n.Value == 0
	case *ast.FloatNode:
		return n.Value == 0
	}
	return false
}

// errMismatch tells a bound operator's caller, which knows the text, to say what
// is wrong.
var errMismatch = errors.New("operator does not fit")

func logic(n *ast.BinaryNode, l, r code) (code, error) {
	what := "what stands beside " + n.Operator
	if err := wantBool(l, what); err != nil {
		return code{}, err
	}
	if err := wantBool(r, what); err != nil {
		return code{}, err
	}
	stop := n.Operator == "or" || n.Operator == "||"
	return code{node: n, typ: Bool(), run: func(m *machine) (any, error) {
		b, err := truth(m, l, what)
		if err != nil {
			return nil, err
		}
		if b == stop {
			return stop, nil
		}
		b, err = truth(m, r, what)
		return b, err
	}}, nil
}

func coalesce(n *ast.BinaryNode, l, r code) code {
	t := join(l.typ.NonNil(), r.typ)
	if l.typ.kind == KindNil {
		t = r.typ
	}
	return code{node: n, typ: t, run: func(m *machine) (any, error) {
		v, err := l.run(m)
		if err != nil || v != nil {
			return v, err
		}
		return r.run(m)
	}}
}

type operationFunc func(m *machine, a, b any) (any, error)

// operation binds a binary operator whose sides fit.
func operation(n *ast.BinaryNode, r code) (operationFunc, error) {
	at := where(n)
	switch n.Operator {
	case "<":
		return comparison(func(c int) bool { return c < 0 }), nil
	case ">":
		return comparison(func(c int) bool { return c > 0 }), nil
	case "<=":
		return comparison(func(c int) bool { return c <= 0 }), nil
	case ">=":
		return comparison(func(c int) bool { return c >= 0 }), nil
	case "+", "-", "*", "/", "%", "**", "^":
		op := n.Operator
		if (op == "/" || op == "%") && isZero(r.node) {
			return nil, failf(at, "division by zero")
		}
		return func(m *machine, a, b any) (any, error) { return calculate(m, op, at, a, b) }, nil
	case "..":
		return func(m *machine, a, b any) (any, error) { return span(m, at, a, b) }, nil
	case "matches":
		return matching(n, r)
	case "contains":
		return search(at, strings.Contains), nil
	case "startsWith":
		return search(at, strings.HasPrefix), nil
	case "endsWith":
		return search(at, strings.HasSuffix), nil
	}
	return nil, failf(at, "unknown operator %s", quote(n.Operator))
}
