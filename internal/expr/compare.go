package expr

import (
	"cmp"
	"errors"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
)

// equalable tells whether comparing l and r with == can make sense.
func equalable(l, r Type) bool {
	if l.kind == KindSecret || r.kind == KindSecret {
		return false
	}
	soft := func(a, b Type) bool { return a.is(KindTime, KindDuration) && b.kind == KindText }
	return l.is(KindAny, KindNil) || r.is(KindAny, KindNil) || l.kind == r.kind ||
		l.isNumber() && r.isNumber() || soft(l, r) || soft(r, l)
}

func equality(n *ast.BinaryNode, l, r code) (code, error) {
	if !equalable(l.typ, r.typ) {
		if l.typ.kind == KindSecret || r.typ.kind == KindSecret {
			return code{}, failf(where(n), "a secret cannot be compared")
		}
		return code{}, mismatch(n, article(l.typ.String()), article(r.typ.String()), l.typ, r.typ)
	}
	not := n.Operator == "!="
	left, right := l.run, r.run
	return code{node: n, typ: Bool(), run: func(m *machine) (any, error) {
		a, err := left(m)
		if err != nil {
			return nil, err
		}
		b, err := right(m)
		if err != nil {
			return nil, err
		}
		same, err := m.equal(a, b, 0)
		if err != nil {
			return nil, placed(err, where(n))
		}
		return same != not, nil
	}}, nil
}

// placed gives a failure that has no place yet one.
func placed(err error, at place) error {
	if err == nil {
		return nil
	}
	var f *failure
	if errors.As(err, &f) && f.at < 0 {
		g := *f
		g.at = at
		return &g
	}
	return err
}

// equal compares two values: numbers by value, lists and objects through and
// through, a time also with its text.
func (m *machine) equal(a, b any, depth int) (bool, error) {
	if depth > maxDepth {
		return false, failf(-1, "a value is nested too deeply to be compared")
	}
	switch a := a.(type) {
	case Secret:
		return false, failf(-1, "a secret cannot be compared")
	case nil:
		_, secret := b.(Secret)
		if secret {
			return false, failf(-1, "a secret cannot be compared")
		}
		return b == nil, nil
	case bool:
		b, ok := b.(bool)
		return ok && a == b, nil
	case string:
		if b, ok := b.(string); ok {
			return a == b, m.scan(min(len(a), len(b)))
		}
		if isClock(b) {
			return m.equal(b, a, depth)
		}
	case int, float64:
		if c, ok := compareNumbers(a, b); ok {
			return c == 0, nil
		}
	case time.Time:
		t, ok := asTime(b)
		return ok && a.Equal(t), nil
	case time.Duration:
		if s, ok := b.(string); ok {
			return durationText(a) == s, nil
		}
		b, ok := b.(time.Duration)
		return ok && a == b, nil
	case []any:
		return m.equalLists(a, b, depth)
	case map[string]any:
		return m.equalObjects(a, b, depth)
	}
	if _, ok := b.(Secret); ok {
		return false, failf(-1, "a secret cannot be compared")
	}
	return false, nil
}

func isClock(v any) bool {
	switch v.(type) {
	case time.Time, time.Duration:
		return true
	}
	return false
}

func (m *machine) equalLists(a []any, other any, depth int) (bool, error) {
	b, ok := other.([]any)
	if !ok || len(a) != len(b) {
		return false, nil
	}
	if err := m.scan(slotBytes * len(a)); err != nil {
		return false, err
	}
	for i := range a {
		if same, err := m.equal(a[i], b[i], depth+1); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (m *machine) equalObjects(a map[string]any, other any, depth int) (bool, error) {
	b, ok := other.(map[string]any)
	if !ok || len(a) != len(b) {
		return false, nil
	}
	if err := m.scan(4 * entryBytes * len(a)); err != nil {
		return false, err
	}
	// In order, so that the work counted before a difference is always the same.
	for _, key := range sortedKeys(a) {
		v, ok := b[key]
		if !ok {
			return false, nil
		}
		if same, err := m.equal(a[key], v, depth+1); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

func membership(n *ast.BinaryNode, l, r code) (code, error) {
	switch {
	case l.typ.kind == KindSecret:
		return code{}, failf(where(n), "a secret cannot be compared")
	case !r.typ.may(KindList, KindObject, KindNil):
		f := failf(where(n), "in needs a list or an object on its right, but %s is %s", short(n.Right), article(r.typ.String()))
		if r.typ.kind == KindText {
			f.hint = "for a part of a text write text contains part"
		}
		return code{}, f
	case r.typ.kind == KindList && !equalable(l.typ, r.typ.Elem()):
		return code{}, failf(where(n), "%s is %s, which is never in %s", short(n.Left), article(l.typ.String()), article(r.typ.String()))
	case r.typ.kind == KindObject && !l.typ.may(KindText):
		return code{}, failf(where(n), "the fields of an object have texts as names, but %s is %s", short(n.Left), article(l.typ.String()))
	}
	return code{node: n, typ: Bool(), run: func(m *machine) (any, error) {
		needle, err := l.run(m)
		if err != nil {
			return nil, err
		}
		hay, err := r.run(m)
		if err != nil {
			return nil, err
		}
		v, err := m.contains(n, needle, hay)
		if err != nil && m.forgive(err) == nil {
			return false, nil
		}
		return v, err
	}}, nil
}

func (m *machine) contains(n *ast.BinaryNode, needle, hay any) (any, error) {
	switch hay := hay.(type) {
	case nil:
		return false, nil
	case []any:
		if err := m.scan(slotBytes * len(hay)); err != nil {
			return nil, placed(err, where(n))
		}
		for _, e := range hay {
			same, err := m.equal(needle, e, 0)
			if err != nil {
				return nil, placed(err, where(n))
			}
			if same {
				return true, nil
			}
		}
		return false, nil
	case map[string]any:
		name, ok := needle.(string)
		_, found := hay[name]
		return ok && found, nil
	}
	return nil, failf(where(n), "in needs a list or an object on its right, but %s is %s", short(n.Right), describe(hay))
}

func comparison(holds func(int) bool) operationFunc {
	return func(m *machine, a, b any) (any, error) {
		if s, ok := a.(string); ok {
			if err := m.scan(len(s)); err != nil {
				return nil, err
			}
		}
		c, ok := compare(a, b)
		if !ok {
			return nil, errMismatch
		}
		return holds(c), nil
	}
}

// compare orders numbers, texts, times and durations; false means that the two
// have no order.
func compare(a, b any) (int, bool) {
	switch x := a.(type) {
	case int, float64:
		return compareNumbers(a, b)
	case string:
		switch y := b.(type) {
		case string:
			return strings.Compare(x, y), true
		case time.Time:
			t, ok := asTime(x)
			return t.Compare(y), ok
		}
	case time.Time:
		y, ok := asTime(b)
		return x.Compare(y), ok
	case time.Duration:
		if y, ok := b.(time.Duration); ok {
			return cmp.Compare(x, y), true
		}
	}
	return 0, false
}

func compareNumbers(a, b any) (int, bool) {
	if x, ok := a.(int); ok {
		if y, ok := b.(int); ok {
			switch {
			case x < y:
				return -1, true
			case x > y:
				return 1, true
			}
			return 0, true
		}
	}
	x, ok := asFloat(a)
	if !ok {
		return 0, false
	}
	y, ok := asFloat(b)
	switch {
	case x < y:
		return -1, ok
	case x > y:
		return 1, ok
	case x == y:
		return 0, ok
	}
	return -1, ok // not a number: equal to nothing
}

func asFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// asTime takes a time, or a text in RFC 3339.
func asTime(v any) (time.Time, bool) {
	switch v := v.(type) {
	case time.Time:
		return v, true
	case string:
		t, err := time.Parse(time.RFC3339, v)
		return t, err == nil
	}
	return time.Time{}, false
}
