package expr

import (
	"errors"
	"slices"
	"sort"

	"github.com/expr-lang/expr/ast"
)

// A loop is a function with a predicate: filter, map, any and so on. Each round
// is a tick.

// loop is a checked call of one.
type loop struct {
	name  string
	node  ast.Node
	list  code
	body  code // of the predicate; run is nil where there is none
	extra code // the third argument
	depth int  // of its frame
	cost  int  // ticks per round
}

// isLoop tells whether name is a function with a predicate.
func isLoop(name string) bool { return loopMethods(name) != nil }

type loopMethod struct {
	boolean bool // the predicate must be true or false
	out     func(l loop) Type
	run     func(l loop, m *machine, list []any) (any, error)
}

func loopMethods(name string) *loopMethod {
	fixed := func(t Type) func(loop) Type { return func(loop) Type { return t } }
	item := func(l loop) Type { return l.list.typ.Elem().Nullable() }
	switch name {
	case "all", "none", "any", "one":
		return &loopMethod{true, fixed(Bool()), loop.quantify}
	case "count":
		return &loopMethod{true, fixed(Int()), loop.count}
	case "filter":
		return &loopMethod{true, func(l loop) Type { return List(l.list.typ.Elem()) }, loop.filter}
	case "find", "findLast":
		return &loopMethod{true, item, loop.find}
	case "findIndex", "findLastIndex":
		return &loopMethod{true, fixed(Int().Nullable()), loop.find}
	case "map":
		return &loopMethod{false, func(l loop) Type { return List(l.body.typ) }, loop.transform}
	case "sum":
		return &loopMethod{false, loop.sumType, loop.sum}
	case "groupBy":
		return &loopMethod{false, func(l loop) Type { return MapOf(List(l.list.typ.Elem())) }, loop.group}
	case "sortBy":
		return &loopMethod{false, func(l loop) Type { return List(l.list.typ.Elem()) }, loop.sortBy}
	case "reduce":
		return &loopMethod{false, func(l loop) Type {
			if l.extra.run == nil {
				return join(l.list.typ.Elem(), l.body.typ)
			}
			return join(l.extra.typ, l.body.typ)
		}, loop.reduce}
	}
	return nil
}

func (c *compiler) loop(n ast.Node, name string, args []ast.Node) (code, error) {
	if len(args) == 0 {
		return code{}, failf(where(n), "%s needs a list", name)
	}
	l := loop{name: name, node: n, cost: 1, depth: len(c.preds)}
	method := loopMethods(name)
	c.frames = max(c.frames, l.depth+1)
	var err error
	if l.list, err = c.compile(args[0]); err != nil {
		return code{}, err
	}
	if !l.list.typ.may(KindList) {
		return code{}, notList(l, article(l.list.typ.String()), l.list.typ)
	}
	if len(args) > 2 { // before the predicate: reduce's first #acc has its type
		if l.extra, err = c.compile(args[2]); err != nil {
			return code{}, err
		}
	}
	if len(args) > 1 {
		if err := c.predicate(&l, args[1], method); err != nil {
			return code{}, err
		}
	}
	return code{node: n, typ: method.out(l).bounded(), run: func(m *machine) (any, error) {
		v, err := l.list.run(m)
		if err != nil {
			return nil, err
		}
		list, ok := v.([]any)
		if !ok && m.lenient {
			list, ok = asList(v), true
		}
		if !ok {
			return nil, notList(l, describe(v), Type{kind: kindOf(v)})
		}
		if err := m.tick(1); err != nil {
			return nil, placed(err, where(n))
		}
		out, err := method.run(l, m, list)
		if err != nil && m.forgive(err) == nil {
			out, err = nil, nil
		}
		m.frames[l.depth].item, m.frames[l.depth].acc = nil, nil
		return out, placed(err, where(n))
	}}, nil
}

func notList(l loop, got string, t Type) error {
	f := failf(l.list.at(), "%s needs a list, but %s is %s", l.name, short(l.list.node), got)
	switch t.kind {
	case KindNil:
		f.hint = "write (… ?? [])"
	case KindObject:
		f.hint = "write values(…) or toPairs(…)"
	default: // nothing is near enough to a list
	}
	return f
}

// predicate compiles the body of a loop, in which # is an element.
func (c *compiler) predicate(l *loop, n ast.Node, method *loopMethod) error {
	body := n
	if p, ok := n.(*ast.PredicateNode); ok {
		body = p.Node
	}
	p := predicate{item: l.list.typ.Elem()}
	if l.name == "reduce" {
		p.acc = true
	}
	nodes, loops := c.nodes, c.loops
	c.preds = append(c.preds, p)
	var err error
	l.body, err = c.compile(body)
	c.preds = c.preds[:l.depth]
	if err != nil {
		return err
	}
	own := c.nodes - nodes - (c.loops - loops)
	c.loops += own
	l.cost = 1 + own/nodesPerTick
	if method.boolean {
		return wantBool(l.body, "what "+l.name+" asks of each element")
	}
	return nil
}

// enter makes element i the one that # means, and counts the round.
func (l loop) enter(m *machine, list []any, i int) error {
	f := &m.frames[l.depth]
	f.item, f.index = list[i], i
	return m.tick(l.cost)
}

// holds asks the predicate about element i. Without one the element itself must
// be true or false.
func (l loop) holds(m *machine, list []any, i int) (bool, error) {
	if err := l.enter(m, list, i); err != nil {
		return false, err
	}
	if l.body.run == nil {
		b, ok := list[i].(bool)
		if !ok {
			return false, failf(where(l.node), "%s without a condition needs a list of true and false, but element %d is %s", l.name, i, describe(list[i]))
		}
		return b, nil
	}
	return truth(m, l.body, "what "+l.name+" asks of each element")
}

// value works out the predicate for element i, or gives the element itself.
func (l loop) value(m *machine, list []any, i int) (any, error) {
	if err := l.enter(m, list, i); err != nil {
		return nil, err
	}
	if l.body.run == nil {
		return list[i], nil
	}
	return l.body.run(m)
}

func (l loop) quantify(m *machine, list []any) (any, error) {
	hits := 0
	for i := range list {
		ok, err := l.holds(m, list, i)
		if err != nil {
			return nil, err
		}
		switch {
		case ok && l.name == "any":
			return true, nil
		case ok && l.name == "none", !ok && l.name == "all":
			return false, nil
		case ok:
			hits++
		}
	}
	switch l.name {
	case "any":
		return false, nil
	case "one":
		return hits == 1, nil
	}
	return true, nil
}

func (l loop) count(m *machine, list []any) (any, error) {
	hits := 0
	for i := range list {
		ok, err := l.holds(m, list, i)
		if err != nil {
			return nil, err
		}
		if ok {
			hits++
		}
	}
	return hits, nil
}

func (l loop) filter(m *machine, list []any) (any, error) {
	out := []any{}
	for i := range list {
		ok, err := l.holds(m, list, i)
		if err != nil {
			return nil, err
		}
		if ok {
			if err := m.grow(slotBytes); err != nil {
				return nil, err
			}
			out = append(out, list[i])
		}
	}
	return out, nil
}

func (l loop) find(m *machine, list []any) (any, error) {
	last := l.name == "findLast" || l.name == "findLastIndex"
	for k := range list {
		i := k
		if last {
			i = len(list) - 1 - k
		}
		ok, err := l.holds(m, list, i)
		if err != nil {
			return nil, err
		}
		if ok && (l.name == "find" || l.name == "findLast") {
			return list[i], nil
		}
		if ok {
			return i, nil
		}
	}
	return nil, nil
}

func (l loop) transform(m *machine, list []any) (any, error) {
	if err := m.growList(len(list)); err != nil {
		return nil, err
	}
	out := make([]any, len(list))
	for i := range list {
		v, err := l.value(m, list, i)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func (l loop) sumType() Type {
	t := l.list.typ.Elem()
	if l.body.run != nil {
		t = l.body.typ
	}
	if t.is(KindInt, KindDuration) {
		return t.NonNil()
	}
	if t.kind == KindAny {
		return Any()
	}
	return Number()
}

func (l loop) sum(m *machine, list []any) (any, error) {
	var total any = 0
	for i := range list {
		v, err := l.value(m, list, i)
		if err != nil {
			return nil, err
		}
		if isClock(v) && total == 0 {
			total = v
			continue
		}
		if total, err = calculate(m, "+", where(l.node), total, v); err != nil {
			if errors.Is(err, errMismatch) {
				return nil, failf(where(l.node), "sum needs numbers, but element %d gives %s", i, describe(v))
			}
			return nil, err
		}
		if _, ok := total.(string); ok {
			return nil, failf(where(l.node), "sum needs numbers, but element %d gives %s", i, describe(v))
		}
	}
	return total, nil
}

func (l loop) group(m *machine, list []any) (any, error) {
	out := map[string]any{}
	for i := range list {
		v, err := l.value(m, list, i)
		if err != nil {
			return nil, err
		}
		switch v.(type) {
		case string, int, float64, bool, nil:
		default:
			return nil, failf(where(l.node), "groupBy needs texts, numbers or true and false, but element %d gives %s", i, describe(v))
		}
		key, _ := textOf(v)
		group, _ := out[key].([]any)
		if group == nil {
			if err := m.grow(entryBytes + len(key)); err != nil {
				return nil, err
			}
		}
		if err := m.grow(slotBytes); err != nil {
			return nil, err
		}
		out[key] = append(group, list[i])
	}
	return out, nil
}

func (l loop) sortBy(m *machine, list []any) (any, error) {
	desc, err := l.descending(m)
	if err != nil {
		return nil, err
	}
	if err := m.growList(2 * len(list)); err != nil {
		return nil, err
	}
	s := sorter{desc: desc, items: slices.Clone(list), keys: make([]any, len(list))}
	for i := range list {
		if s.keys[i], err = l.value(m, list, i); err != nil {
			return nil, err
		}
	}
	return s.sort(m)
}

func (l loop) descending(m *machine) (bool, error) {
	if l.extra.run == nil {
		return false, nil
	}
	v, err := l.extra.run(m)
	if err != nil {
		return false, err
	}
	return direction(v)
}

func direction(v any) (bool, error) {
	switch v {
	case "asc":
		return false, nil
	case "desc":
		return true, nil
	}
	return false, failf(-1, `the order must be "asc" or "desc", not %s`, describe(v))
}

// sorter sorts items by keys, keeping the order of equals.
type sorter struct {
	desc        bool
	items, keys []any
	bad         error
}

func (s *sorter) Len() int { return len(s.items) }
func (s *sorter) Swap(i, j int) {
	s.items[i], s.items[j] = s.items[j], s.items[i]
	s.keys[i], s.keys[j] = s.keys[j], s.keys[i]
}

func (s *sorter) Less(i, j int) bool {
	a, b := s.keys[i], s.keys[j]
	if s.desc {
		a, b = b, a
	}
	c, ok := compare(a, b)
	if !ok && s.bad == nil {
		s.bad = failf(-1, "%s and %s have no order", describe(s.keys[i]), describe(s.keys[j]))
	}
	return c < 0
}

func (s *sorter) sort(m *machine) (any, error) {
	// A stable sort makes about n log² n steps; count them in advance.
	steps, size := 1, len(s.keys)
	for n := len(s.items); n > 0; n >>= 1 {
		steps++
	}
	for _, k := range s.keys {
		if t, ok := k.(string); ok {
			size += len(t)
		}
	}
	if err := m.scan(size * steps * steps); err != nil {
		return nil, err
	}
	sort.Stable(s)
	if s.bad != nil {
		return nil, s.bad
	}
	return s.items, nil
}

func (l loop) reduce(m *machine, list []any) (any, error) {
	var acc any
	from := 0
	if l.extra.run != nil {
		var err error
		if acc, err = l.extra.run(m); err != nil {
			return nil, err
		}
	} else {
		if len(list) == 0 {
			return nil, failf(where(l.node), "reduce of an empty list has no result").hinted("give a first value as third argument")
		}
		acc, from = list[0], 1
	}
	for i := from; i < len(list); i++ {
		m.frames[l.depth].acc = acc
		var err error
		if acc, err = l.value(m, list, i); err != nil {
			return nil, err
		}
	}
	return acc, nil
}
