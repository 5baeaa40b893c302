package expr

import (
	"cmp"
	"errors"
	"math"
	"regexp"
	"regexp/syntax"
	"strings"
	"time"

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

// equalable tells whether comparing l and r with == can make sense.
func equalable(l, r Type) bool {
	if l.kind == KindSecret || r.kind == KindSecret {
		return false
	}
	soft := func(a, b Type) bool { return a.is(KindTime, KindDuration) && b.kind == KindText }
	return l.is(KindAny, KindNil) || r.is(KindAny, KindNil) || l.kind == r.kind ||
		l.isNumber() && r.isNumber() || soft(l, r) || soft(r, l)
}

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
		return sign(in, v, minus)
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
		return m.contains(n, needle, hay)
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

// search is contains and the like: nil on either side is false.
func search(at place, found func(text, part string) bool) operationFunc {
	return func(m *machine, a, b any) (any, error) {
		if a == nil || b == nil {
			return false, nil
		}
		text, ok := a.(string)
		part, ok2 := b.(string)
		if !ok || !ok2 {
			return nil, errMismatch
		}
		if err := m.scan(len(text)); err != nil {
			return nil, placed(err, at)
		}
		return found(text, part), nil
	}
}

// matching binds matches; a literal pattern is compiled once.
func matching(n *ast.BinaryNode, r code) (operationFunc, error) {
	var fixed *pattern
	if s, ok := n.Right.(*ast.StringNode); ok {
		var err error
		if fixed, err = compilePattern(s.Value); err != nil {
			return nil, placed(err, r.at())
		}
	}
	return func(m *machine, a, b any) (any, error) {
		if a == nil || b == nil {
			return false, nil
		}
		text, ok := a.(string)
		source, ok2 := b.(string)
		if !ok || !ok2 {
			return nil, errMismatch
		}
		p, err := m.pattern(fixed, source)
		if err != nil {
			return nil, placed(err, r.at())
		}
		if err := m.scan(p.work(text)); err != nil {
			return nil, placed(err, where(n))
		}
		return p.re.MatchString(text), nil
	}, nil
}

// pattern is a regular expression (RE2: linear in the text) and its size.
type pattern struct {
	re   *regexp.Regexp
	size int
}

// maxPattern bounds the text of a pattern; with the library's own bound on
// repetitions it bounds the compiled size.
const maxPattern = 4096

func compilePattern(source string) (*pattern, error) {
	if len(source) > maxPattern {
		return nil, failf(-1, "the pattern is too long: over %d bytes", maxPattern)
	}
	re, err := regexp.Compile(source)
	if err != nil {
		return nil, failf(-1, "%s", strings.Replace(err.Error(), "error parsing regexp: ", "the pattern is wrong: ", 1)).
			hinted("patterns are RE2: no backreferences, no lookaround")
	}
	return &pattern{re: re, size: patternSize(source)}, nil
}

// patternSize counts the instructions of a pattern that compiles.
func patternSize(source string) int {
	re, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return len(source)
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return len(source)
	}
	return len(prog.Inst)
}

// pattern gives fixed, or compiles source.
func (m *machine) pattern(fixed *pattern, source string) (*pattern, error) {
	if fixed != nil {
		return fixed, nil
	}
	if err := m.tick(1 + len(source)/16); err != nil {
		return nil, err
	}
	return compilePattern(source)
}

// work estimates the effort of matching a text, in bytes as scan counts them.
func (p *pattern) work(text string) int { return len(text) * (8 + 2*p.size) }

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
			return time.Duration(x * float64(e)), nil
		}
	case op == "*" && isD:
		if x, ok := asFloat(b); ok {
			return time.Duration(x * float64(d)), nil
		}
	case isD && isE && op == "+":
		return d + e, nil
	case isD && isE && op == "-":
		return d - e, nil
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
