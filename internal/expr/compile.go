package expr

import "github.com/expr-lang/expr/ast"

// The library parses; checking and evaluation are ours, because its machine
// cannot count work, lets a long loop use any amount of memory, and gives
// infinity for a division by zero. One pass over the tree finds the type of
// every part, refuses what cannot work, and binds the rest to functions.

// code is a checked part of a text, ready to run.
type code struct {
	run  run
	typ  Type
	node ast.Node
}

// at is where the part stands in the text.
func (c code) at() place { return where(c.node) }

// compiler is the state of one compilation.
type compiler struct {
	scope     *Scope
	nodes     int // parts seen so far
	loops     int // of them, those in predicates that are finished
	lets      []variable
	vars      int // the most variables alive at once
	preds     []predicate
	frames    int // the most predicates open at once
	refs      [][]string
	available []string
}

type variable struct {
	name string
	typ  Type
}

// predicate is what # means where the compiler stands.
type predicate struct {
	item Type
	acc  bool // #acc is there; its type is not known before the body is
}

func (c *compiler) compile(n ast.Node) (code, error) {
	c.nodes++
	if c.nodes > MaxNodes {
		return code{}, failf(0, "the expression is too long: over %d parts", MaxNodes)
	}
	switch n := n.(type) {
	case *ast.NilNode:
		return constant(n, nil, Nil()), nil
	case *ast.BoolNode:
		return constant(n, n.Value, Bool()), nil
	case *ast.IntegerNode:
		return constant(n, n.Value, Int()), nil
	case *ast.FloatNode:
		return constant(n, n.Value, Number()), nil
	case *ast.StringNode:
		return constant(n, n.Value, Text()), nil
	case *ast.IdentifierNode:
		return c.identifier(n)
	case *ast.MemberNode:
		c.see(n)
		return c.member(n)
	case *ast.ChainNode:
		c.see(n)
		return c.chain(n)
	case *ast.PointerNode:
		return c.pointer(n)
	case *ast.SliceNode:
		return c.slice(n)
	case *ast.UnaryNode:
		return c.unary(n)
	case *ast.BinaryNode:
		return c.binary(n)
	case *ast.ConditionalNode:
		return c.conditional(n)
	case *ast.VariableDeclaratorNode:
		return c.let(n)
	case *ast.SequenceNode:
		return c.sequence(n)
	case *ast.ArrayNode:
		return c.list(n)
	case *ast.MapNode:
		return c.object(n)
	case *ast.BuiltinNode:
		return c.call(n, n.Name, n.Arguments)
	case *ast.CallNode:
		return c.callNode(n)
	}
	return code{}, failf(where(n), "this is not allowed here")
}

// where is the place of a part: of a path its first name, of an operator itself.
func where(n ast.Node) place {
	for {
		switch m := n.(type) {
		case *ast.MemberNode:
			n = m.Node
		case *ast.ChainNode:
			n = m.Node
		case *ast.SliceNode:
			n = m.Node
		default:
			return place(n.Location().From)
		}
	}
}

func constant(n ast.Node, v any, t Type) code {
	return code{node: n, typ: t, run: func(*machine) (any, error) { return v, nil }}
}

func (c *compiler) conditional(n *ast.ConditionalNode) (code, error) {
	cond, err := c.compile(n.Cond)
	if err != nil {
		return code{}, err
	}
	if err := wantBool(cond, "a condition"); err != nil {
		return code{}, err
	}
	yes, err := c.compile(n.Exp1)
	if err != nil {
		return code{}, err
	}
	no, err := c.compile(n.Exp2)
	if err != nil {
		return code{}, err
	}
	return code{node: n, typ: join(yes.typ, no.typ), run: func(m *machine) (any, error) {
		ok, err := truth(m, cond, "a condition")
		switch {
		case err != nil:
			return nil, err
		case ok:
			return yes.run(m)
		}
		return no.run(m)
	}}, nil
}

func (c *compiler) let(n *ast.VariableDeclaratorNode) (code, error) {
	for _, v := range c.lets {
		if v.name == n.Name {
			return code{}, failf(where(n), "%s is there already", quote(n.Name)).hinted("take another name")
		}
	}
	if _, ok := c.scope.Lookup(n.Name); ok || isFunction(n.Name) || n.Name == secretsRoot {
		return code{}, failf(where(n), "%s has a meaning already", quote(n.Name)).hinted("take another name")
	}
	value, err := c.compile(n.Value)
	if err != nil {
		return code{}, err
	}
	slot := len(c.lets)
	c.lets = append(c.lets, variable{n.Name, value.typ})
	c.vars = max(c.vars, len(c.lets))
	body, err := c.compile(n.Expr)
	c.lets = c.lets[:slot]
	if err != nil {
		return code{}, err
	}
	return code{node: n, typ: body.typ, run: func(m *machine) (any, error) {
		v, err := value.run(m)
		if err != nil {
			return nil, err
		}
		m.vars[slot] = v
		return body.run(m)
	}}, nil
}

func (c *compiler) sequence(n *ast.SequenceNode) (code, error) {
	parts := make([]code, len(n.Nodes))
	for i, p := range n.Nodes {
		var err error
		if parts[i], err = c.compile(p); err != nil {
			return code{}, err
		}
	}
	last := parts[len(parts)-1]
	return code{node: n, typ: last.typ, run: func(m *machine) (v any, err error) {
		for _, p := range parts {
			if v, err = p.run(m); err != nil {
				return nil, err
			}
		}
		return v, nil
	}}, nil
}

func (c *compiler) list(n *ast.ArrayNode) (code, error) {
	elems := make([]run, len(n.Nodes))
	var t Type
	for i, e := range n.Nodes {
		elem, err := c.compile(e)
		if err != nil {
			return code{}, err
		}
		elems[i] = elem.run
		if i == 0 {
			t = elem.typ
		} else {
			t = join(t, elem.typ)
		}
	}
	if v, ok := literalValue(n); ok { // made once: nobody changes a value
		return code{node: n, typ: List(t).bounded(), run: func(m *machine) (any, error) { return v, m.growList(len(elems)) }}, nil
	}
	return code{node: n, typ: List(t).bounded(), run: func(m *machine) (any, error) {
		if err := m.growList(len(elems)); err != nil {
			return nil, err
		}
		out := make([]any, len(elems))
		for i, e := range elems {
			v, err := e(m)
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return out, nil
	}}, nil
}

type entry struct{ key, value code }

// literalValue gives the value of a part that is written out: a text, a number,
// or a list or an object of such parts.
func literalValue(n ast.Node) (any, bool) {
	switch n := n.(type) {
	case *ast.NilNode:
		return nil, true
	case *ast.BoolNode:
		return n.Value, true
	case *ast.IntegerNode:
		return n.Value, true
	case *ast.FloatNode:
		return n.Value, true
	case *ast.StringNode:
		return n.Value, true
	case *ast.ArrayNode:
		out := make([]any, len(n.Nodes))
		for i, e := range n.Nodes {
			v, ok := literalValue(e)
			if !ok {
				return nil, false
			}
			out[i] = v
		}
		return out, true
	case *ast.MapNode:
		return literalObject(n)
	}
	return nil, false
}

func literalObject(n *ast.MapNode) (any, bool) {
	out := make(map[string]any, len(n.Pairs))
	for _, p := range n.Pairs {
		pair, ok := p.(*ast.PairNode)
		if !ok {
			return nil, false
		}
		key, ok := pair.Key.(*ast.StringNode)
		if !ok {
			return nil, false
		}
		v, ok := literalValue(pair.Value)
		if !ok {
			return nil, false
		}
		out[key.Value] = v
	}
	return out, true
}

func (c *compiler) object(n *ast.MapNode) (code, error) {
	entries := make([]entry, len(n.Pairs))
	fields, isOpen := map[string]Type{}, false
	for i, p := range n.Pairs {
		pair := p.(*ast.PairNode)
		c.nodes++
		key, err := c.compile(pair.Key)
		if err != nil {
			return code{}, err
		}
		value, err := c.compile(pair.Value)
		if err != nil {
			return code{}, err
		}
		if !key.typ.may(KindText) {
			return code{}, failf(key.at(), "a field's name must be a text, not %s", article(key.typ.String()))
		}
		entries[i] = entry{key, value}
		if name, ok := pair.Key.(*ast.StringNode); ok {
			if _, twice := fields[name.Value]; twice {
				return code{}, failf(key.at(), "the field %s stands here twice", quote(name.Value))
			}
			fields[name.Value] = value.typ
		} else {
			isOpen = true
		}
	}
	t := Object(fields, isOpen).bounded()
	if v, ok := literalValue(n); ok {
		return code{node: n, typ: t, run: func(m *machine) (any, error) { return v, m.grow(len(entries) * entryBytes) }}, nil
	}
	return code{node: n, typ: t, run: func(m *machine) (any, error) { return makeObject(m, entries) }}, nil
}

func makeObject(m *machine, entries []entry) (any, error) {
	if err := m.grow(len(entries) * entryBytes); err != nil {
		return nil, err
	}
	out := make(map[string]any, len(entries))
	for _, e := range entries {
		k, err := e.key.run(m)
		if err != nil {
			return nil, err
		}
		name, ok := k.(string)
		if !ok {
			return nil, failf(e.key.at(), "a field's name must be a text, not %s", describe(k))
		}
		if out[name], err = e.value.run(m); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// wantBool refuses what is known not to be true or false.
func wantBool(c code, what string) error {
	if c.typ.may(KindBool) {
		return nil
	}
	return notBool(c, what, article(c.typ.String()))
}

func notBool(c code, what, got string) error {
	f := failf(c.at(), "%s must be true or false, but %s is %s", what, short(c.node), got)
	switch c.typ.kind {
	case KindList, KindText, KindObject:
		f.hint = "write len(…) > 0, or != nil"
	case KindInt, KindNumber:
		f.hint = "compare it, such as > 0"
	default:
		f.hint = "compare it, such as == true or != nil"
	}
	return f
}

// truth evaluates a part that must be true or false: nothing else counts as one
// of them.
func truth(m *machine, c code, what string) (bool, error) {
	v, err := c.run(m)
	if err != nil {
		return false, err
	}
	if b, ok := v.(bool); ok {
		return b, nil
	}
	if m.lenient {
		return likeTrue(v), nil
	}
	if v == nil {
		return false, failf(c.at(), "%s must be true or false, but %s is nil", what, short(c.node)).
			hinted("write (… ?? false), or compare it with != nil")
	}
	c.typ = Type{kind: kindOf(v)}
	return false, notBool(c, what, describe(v))
}
