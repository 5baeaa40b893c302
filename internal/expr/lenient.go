package expr

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Lenient texts read data whose shape is not theirs to decide. Everything that
// would be an error of the data is nil there, or what a reader would have made
// of it:
//
//   - a field or an element of what has none is nil;
//   - a condition that is nil is false, and so is what is neither true nor false
//     nor one of the two as a text;
//   - where a list is needed, nil is an empty one and a single value a list of it;
//   - where a text is needed, a number is taken as text; where a number is, a text
//     that holds one;
//   - + with a text on one side puts the other in as a template would, nil as
//     nothing;
//   - a comparison of what has no order is false; every other part that cannot be
//     worked out is nil.
//
// The limits hold: what uses one up is an error here too.

// forgive drops an error of the data where the text is lenient.
func (m *machine) forgive(err error) error {
	if err == nil || !m.lenient || errors.Is(err, errNilChain) {
		return err
	}
	var f *failure
	if errors.As(err, &f) && f.limit {
		return err
	}
	return nil
}

// likeTrue reads a condition's value.
func likeTrue(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		return strings.EqualFold(v, "true")
	}
	return false
}

// asList reads what should be a list.
func asList(v any) []any {
	switch v := v.(type) {
	case []any:
		return v
	case nil:
		return nil
	}
	return []any{v}
}

// asNumber reads what should be a number.
func asNumber(v any) (any, bool) {
	switch v := v.(type) {
	case int, float64:
		return v, true
	case string:
		s := strings.TrimSpace(v)
		if n, err := strconv.Atoi(s); err == nil {
			return n, true
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return f, true
		}
	}
	return nil, false
}

// adapt makes a value fit a parameter where a reader would.
func (p param) adapt(v any) (any, bool) {
	for _, k := range p {
		switch {
		case k == KindText:
			switch v.(type) {
			case int, float64, bool:
				s, err := textOf(v)
				return s, err == nil
			}
		case k == KindList:
			if _, secret := v.(Secret); !secret {
				return asList(v), true
			}
		case k == KindInt || k == KindNumber:
			if n, ok := asNumber(v); ok && p.accepts(n) {
				return n, true
			}
		default: // nothing else is near enough
		}
	}
	return nil, false
}

// retry works an operator out once more, with sides that a reader would have
// taken for what fits.
func (m *machine) retry(op string, do operationFunc, a, b any, err error) (any, error) {
	if m.forgive(err) != nil {
		return nil, err
	}
	test := false // the operator answers true or false
	switch op {
	case "+":
		_, left := a.(string)
		_, right := b.(string)
		if left || right {
			return m.append(a, b)
		}
	case "contains", "startsWith", "endsWith", "matches", "<", ">", "<=", ">=":
		test = true
	}
	if errors.Is(err, errMismatch) {
		if x, ok := asNumber(a); ok {
			if y, ok := asNumber(b); ok {
				if v, err := do(m, x, y); err == nil {
					return v, nil
				}
			}
		}
	}
	if test {
		return false, nil
	}
	return nil, nil
}

// append is + of two values as texts.
func (m *machine) append(a, b any) (any, error) {
	s, err := textOf(a)
	if err != nil {
		return nil, err
	}
	t, err := textOf(b)
	if err != nil {
		return nil, err
	}
	return m.text(s + t)
}
