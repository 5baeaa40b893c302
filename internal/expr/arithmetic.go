package expr

import (
	"math"
	"time"

	"github.com/expr-lang/expr/ast"
)

func (c *compiler) unary(n *ast.UnaryNode) (code, error) {
	in, err := c.compile(n.Node)
	if err != nil {
		return code{}, err
	}
	if n.Operator == "!" || n.Operator == "not" {
		what := "what stands after " + n.Operator
		if err := wantBool(in, what); err != nil {
			return code{}, err
		}
		return code{node: n, typ: Bool(), run: func(m *machine) (any, error) {
			b, err := truth(m, in, what)
			return !b, err
		}}, nil
	}
	if !in.typ.may(KindInt, KindNumber, KindDuration) {
		return code{}, failf(in.at(), "%s is %s, so it has no sign", short(n.Node), article(in.typ.String()))
	}
	minus := n.Operator == "-"
	return code{node: n, typ: in.typ.NonNil(), run: func(m *machine) (any, error) {
		v, err := in.run(m)
		if err != nil {
			return nil, err
		}
		v, err = sign(in, v, minus)
		return v, m.forgive(err)
	}}, nil
}

func sign(c code, v any, minus bool) (any, error) {
	switch v := v.(type) {
	case int:
		if minus && v == math.MinInt {
			return nil, failf(c.at(), "the result is too large for a whole number")
		}
		if minus {
			return -v, nil
		}
		return v, nil
	case float64:
		if minus {
			return -v, nil
		}
		return v, nil
	case time.Duration:
		if minus {
			return -v, nil
		}
		return v, nil
	}
	return nil, failf(c.at(), "%s is %s, so it has no sign", short(c.node), describe(v))
}

func calculate(m *machine, op string, at place, a, b any) (any, error) {
	if x, ok := a.(int); ok {
		if y, ok := b.(int); ok {
			return integers(op, at, x, y)
		}
	}
	x, ok := asFloat(a)
	y, ok2 := asFloat(b)
	if ok && ok2 {
		return floats(op, at, x, y)
	}
	if op == "+" {
		s, ok := a.(string)
		t, ok2 := b.(string)
		if ok && ok2 {
			if err := m.grow(len(s) + len(t)); err != nil {
				return nil, placed(err, at)
			}
			return s + t, placed(m.scan(len(s)+len(t)), at)
		}
	}
	return clockwork(op, at, a, b)
}

func integers(op string, at place, x, y int) (any, error) {
	switch op {
	case "+":
		if sum := x + y; (sum > x) == (y > 0) {
			return sum, nil
		}
	case "-":
		if diff := x - y; (diff < x) == (y > 0) {
			return diff, nil
		}
	case "*":
		if p := x * y; x == 0 || p/x == y && !(x == -1 && y == math.MinInt) {
			return p, nil
		}
	case "%":
		if y == 0 {
			return nil, failf(at, "division by zero")
		}
		if y == -1 {
			return 0, nil
		}
		return x % y, nil
	default:
		return floats(op, at, float64(x), float64(y))
	}
	return nil, failf(at, "the result is too large for a whole number")
}

func floats(op string, at place, x, y float64) (any, error) {
	var f float64
	switch op {
	case "+":
		f = x + y
	case "-":
		f = x - y
	case "*":
		f = x * y
	case "/":
		if y == 0 {
			return nil, failf(at, "division by zero")
		}
		f = x / y
	case "%":
		i, ok := whole(x)
		j, ok2 := whole(y)
		if !ok || !ok2 {
			return nil, failf(at, "%% needs whole numbers")
		}
		return integers(op, at, i, j)
	default:
		f = math.Pow(x, y)
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, failf(at, "the result of %s is not a number that can be written", op)
	}
	return f, nil
}

// clockwork calculates with times and durations.
func clockwork(op string, at place, a, b any) (any, error) {
	d, isD := a.(time.Duration)
	e, isE := b.(time.Duration)
	switch {
	case op == "*" && isE:
		if x, ok := asFloat(a); ok {
			return stretch(at, e, x)
		}
	case op == "*" && isD:
		if x, ok := asFloat(b); ok {
			return stretch(at, d, x)
		}
	case isD && isE && (op == "+" || op == "-"):
		sum, err := integers(op, at, int(d), int(e))
		if err != nil {
			return nil, failf(at, durationTooLong)
		}
		return time.Duration(sum.(int)), nil
	case op == "+" && isD:
		if t, ok := b.(time.Time); ok {
			return t.Add(d), nil
		}
	case op == "+" && isE:
		if t, ok := a.(time.Time); ok {
			return t.Add(e), nil
		}
	case op == "-":
		t, ok := asTime(a)
		if ok && isE {
			return t.Add(-e), nil
		}
		if u, ok2 := asTime(b); ok && ok2 && (isClock(a) || isClock(b)) {
			return t.Sub(u), nil
		}
	}
	return nil, errMismatch
}

const durationTooLong = "the result is too long for a duration"

// stretch is a duration so many times.
func stretch(at place, d time.Duration, times float64) (any, error) {
	f := times * float64(d)
	// The largest duration as a float is one too many, so it is refused as well.
	if math.IsNaN(f) || f >= math.MaxInt64 || f < math.MinInt64 {
		return nil, failf(at, durationTooLong)
	}
	return time.Duration(f), nil
}

// span makes the list a..b.
func span(m *machine, at place, a, b any) (any, error) {
	from, ok := whole(a)
	to, ok2 := whole(b)
	if !ok || !ok2 {
		return nil, errMismatch
	}
	if to < from {
		return []any{}, nil
	}
	// As unsigned, because the distance can be larger than an int.
	size := uint64(to) - uint64(from) + 1
	if size == 0 || size > MaxMemory/slotBytes {
		return nil, placed(m.grow(MaxMemory+1), at)
	}
	if err := m.growList(int(size)); err != nil {
		return nil, placed(err, at)
	}
	list := make([]any, size)
	for i := range list {
		list[i] = from + i
	}
	return list, nil
}
