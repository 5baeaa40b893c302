package expr

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// numberFunction holds the library's functions on numbers.
func numberFunction(name string) (function, bool) {
	one := []param{aNumber}
	switch name {
	case "abs":
		return function{params: one, least: 1, out: sameAs(0), call: absolute}, true
	case "ceil":
		return function{params: one, least: 1, out: gives(Number()), call: rounding(math.Ceil)}, true
	case "floor":
		return function{params: one, least: 1, out: gives(Number()), call: rounding(math.Floor)}, true
	case "round":
		return function{params: one, least: 1, out: gives(Number()), call: rounding(math.Round)}, true
	case "int":
		return function{params: []param{{KindText, KindInt, KindNumber}}, least: 1, out: gives(Int()), call: toInt}, true
	case "float":
		return function{params: []param{{KindText, KindInt, KindNumber}}, least: 1, out: gives(Number()), call: toFloat}, true
	case "max", "min", "mean", "median":
		return statistics(name), true
	case "bitand", "bitor", "bitxor", "bitnand", "bitshl", "bitshr", "bitushr":
		return function{params: []param{aWhole, aWhole}, least: 2, out: gives(Int()), call: bits(name)}, true
	case "bitnot":
		return function{params: []param{aWhole}, least: 1, out: gives(Int()), call: func(_ *machine, args []any) (any, error) {
			i, _ := whole(args[0])
			return ^i, nil
		}}, true
	}
	return function{}, false
}

func absolute(_ *machine, args []any) (any, error) {
	switch x := args[0].(type) {
	case int:
		if x == math.MinInt {
			return nil, failf(-1, "the result is too large for a whole number")
		}
		return max(x, -x), nil
	case float64:
		return math.Abs(x), nil
	}
	return nil, failf(-1, "abs needs a number")
}

// rounding gives a whole number where it fits, so that it stays one in JSON.
func rounding(f func(float64) float64) func(*machine, []any) (any, error) {
	return func(_ *machine, args []any) (any, error) {
		if i, ok := args[0].(int); ok {
			return i, nil
		}
		x, _ := asFloat(args[0])
		x = f(x)
		if i, ok := whole(x); ok {
			return i, nil
		}
		return x, nil
	}
}

// toNumber gives a number, also one that is written as a text; nil where there
// is none.
func toNumber(_ *machine, args []any) (any, error) {
	switch x := args[0].(type) {
	case int, float64:
		return x, nil
	case string:
		s := strings.TrimSpace(x)
		if i, err := strconv.Atoi(s); err == nil {
			return i, nil
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return f, nil
		}
	}
	return nil, nil
}

func toInt(_ *machine, args []any) (any, error) {
	switch x := args[0].(type) {
	case int:
		return x, nil
	case float64:
		if x >= math.MaxInt64 || x <= math.MinInt64 {
			return nil, failf(-1, "%s is too large for a whole number", floatText(x))
		}
		return int(x), nil
	case string:
		i, err := strconv.Atoi(strings.TrimSpace(x))
		if err != nil {
			return nil, failf(-1, "%s is not a whole number", quote(x))
		}
		return i, nil
	}
	return nil, failf(-1, "int needs a number or a text")
}

func toFloat(_ *machine, args []any) (any, error) {
	if s, ok := args[0].(string); ok {
		f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, failf(-1, "%s is not a number", quote(s))
		}
		return f, nil
	}
	f, _ := asFloat(args[0])
	return f, nil
}

// statistics are functions of numbers, or of lists of numbers, or both.
func statistics(name string) function {
	out := func(args []code) Type {
		t := Number()
		for i, a := range args {
			if a.typ.kind == KindList {
				a.typ = a.typ.Elem()
			}
			if a.typ.kind != KindInt || name == "mean" || name == "median" {
				t = Number()
				break
			}
			if i == 0 {
				t = Int()
			}
		}
		if name == "max" || name == "min" {
			return t.Nullable()
		}
		return t
	}
	return function{
		params: []param{{KindList, KindInt, KindNumber}}, least: 1, variadic: true, out: out,
		call: func(m *machine, args []any) (any, error) {
			var all []any
			if err := m.numbers(&all, args, name, 0); err != nil {
				return nil, err
			}
			return summary(name, all)
		},
	}
}

// numbers gathers all numbers of nested lists.
func (m *machine) numbers(all *[]any, list []any, name string, depth int) error {
	if depth > maxDepth {
		return failf(-1, "the list is nested too deeply")
	}
	if err := m.growList(len(list)); err != nil {
		return err
	}
	if err := m.scan(slotBytes * len(list)); err != nil {
		return err
	}
	for _, e := range list {
		switch e := e.(type) {
		case int, float64:
			*all = append(*all, e)
		case []any:
			if err := m.numbers(all, e, name, depth+1); err != nil {
				return err
			}
		default:
			return failf(-1, "%s needs numbers, but one of them is %s", name, describe(e))
		}
	}
	return nil
}

func summary(name string, all []any) (any, error) {
	if len(all) == 0 {
		if name == "max" || name == "min" {
			return nil, nil
		}
		return 0.0, nil
	}
	switch name {
	case "max", "min":
		best := all[0]
		for _, v := range all[1:] {
			if c, _ := compareNumbers(v, best); c > 0 == (name == "max") && c != 0 {
				best = v
			}
		}
		return best, nil
	case "mean":
		sum := 0.0
		for _, v := range all {
			x, _ := asFloat(v)
			sum += x
		}
		return sum / float64(len(all)), nil
	}
	floats := make([]float64, len(all))
	for i, v := range all {
		floats[i], _ = asFloat(v)
	}
	slices.Sort(floats)
	n := len(floats)
	if n%2 == 1 {
		return floats[n/2], nil
	}
	return (floats[n/2-1] + floats[n/2]) / 2, nil
}

func bits(name string) func(*machine, []any) (any, error) {
	return func(_ *machine, args []any) (any, error) {
		x, _ := whole(args[0])
		y, _ := whole(args[1])
		switch name {
		case "bitand":
			return x & y, nil
		case "bitor":
			return x | y, nil
		case "bitxor":
			return x ^ y, nil
		case "bitnand":
			return x &^ y, nil
		}
		if y < 0 {
			return nil, failf(-1, "%s cannot shift by %d", name, y)
		}
		switch name {
		case "bitshl":
			return x << y, nil
		case "bitshr":
			return x >> y, nil
		}
		return int(uint(x) >> y), nil
	}
}
