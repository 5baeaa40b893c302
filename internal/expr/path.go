package expr

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// errNilChain ends an optional chain at the first nil; the chain gives nil then.
var errNilChain = errors.New("nil in an optional chain")

// see notes a path such as steps.look_up.output that the text reads.
func (c *compiler) see(n ast.Node) {
	if path, _ := pathOf(n); len(path) > 0 && c.isRoot(path[0]) {
		c.refs = append(c.refs, path)
	}
}

func (c *compiler) isRoot(name string) bool {
	for _, v := range c.lets {
		if v.name == name {
			return false
		}
	}
	_, ok := c.scope.Lookup(name)
	return ok || c.scope.secrets && name == secretsRoot
}

// pathOf reads a chain of literal names. Where a computed name or an index
// follows, the path is what stands before it, and exact is false.
func pathOf(n ast.Node) (path []string, exact bool) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return []string{n.Value}, true
	case *ast.ChainNode:
		return pathOf(n.Node)
	case *ast.MemberNode:
		path, exact := pathOf(n.Node)
		if name, ok := n.Property.(*ast.StringNode); ok && exact {
			return append(path, name.Value), true
		}
		return path, false
	}
	return nil, false
}

func (c *compiler) identifier(n *ast.IdentifierNode) (code, error) {
	name := n.Value
	for i, v := range slices.Backward(c.lets) {
		if v.name == name {
			return code{node: n, typ: v.typ, run: func(m *machine) (any, error) { return m.vars[i], nil }}, nil
		}
	}
	if name == secretsRoot && c.scope.secrets {
		return code{}, failf(where(n), "secrets must be named in full").hinted("write secrets.<connection>.<field>")
	}
	t, ok := c.scope.Lookup(name)
	if !ok {
		return code{}, c.unknownName(n)
	}
	c.refs = append(c.refs, []string{name})
	return c.root(n, t), nil
}

func (c *compiler) root(n *ast.IdentifierNode, t Type) code {
	name := n.Value
	return code{node: n, typ: t, run: func(m *machine) (any, error) { return m.env.Roots[name], nil }}
}

func (c *compiler) unknownName(n *ast.IdentifierNode) error {
	f := failf(where(n), "unknown name %s", quote(n.Value))
	if n.Value == secretsRoot {
		return f.hinted("secrets can only be used inside with of an action")
	}
	words := slices.Collect(c.scope.Names())
	for _, v := range c.lets {
		words = append(words, v.name)
	}
	if word := foreignWord(n.Value); word != "" {
		return f.hinted("write %s", word)
	}
	f.hint = suggest(n.Value, slices.Values(words))
	switch {
	case f.hint != "":
	case isFunction(n.Value):
		f.hint = "it is a function: write " + n.Value + "(…)"
	case len(words) > 0 && len(words) < 12:
		slices.Sort(words)
		f.hint = "known here: " + strings.Join(words, ", ")
	}
	return f
}

// foreignWord translates what other languages call nil, true, false and the
// operators between them.
func foreignWord(name string) string {
	switch name {
	case "null", "None", "undefined", "NULL", "Nil":
		return "nil"
	case "True", "TRUE", "False", "FALSE", "AND", "OR", "NOT", "IN":
		return strings.ToLower(name)
	}
	return ""
}

// secret recognises secrets.<connection>.<field>.
func (c *compiler) secret(n *ast.MemberNode) (code, bool, error) {
	path, exact := pathOf(n)
	if len(path) == 0 || path[0] != secretsRoot || !c.scope.secrets || !c.isRoot(secretsRoot) {
		return code{}, false, nil
	}
	if _, shadowed := c.scope.Lookup(secretsRoot); shadowed {
		return code{}, false, nil
	}
	if !exact || len(path) != 3 {
		return code{}, true, failf(where(n), "a secret is named by its connection and its field, both literal").
			hinted(`write secrets.<connection>.<field>, or secrets["my-connection"].field`)
	}
	return constant(n, Secret{Connection: path[1], Field: path[2]}, secretType()), true, nil
}

// inner compiles the base of a member, whose path is already noted.
func (c *compiler) inner(n ast.Node) (code, error) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		if t, ok := c.scope.Lookup(n.Value); ok && c.isRoot(n.Value) {
			c.nodes++
			return c.root(n, t), nil
		}
	case *ast.MemberNode:
		c.nodes++
		return c.member(n)
	case *ast.ChainNode:
		c.nodes++
		return c.chain(n)
	}
	return c.compile(n)
}

func (c *compiler) chain(n *ast.ChainNode) (code, error) {
	in, err := c.inner(n.Node)
	if err != nil {
		return code{}, err
	}
	return catchNil(n, in), nil
}

func catchNil(n ast.Node, in code) code {
	return code{node: n, typ: in.typ.Nullable(), run: func(m *machine) (any, error) {
		v, err := in.run(m)
		if err != nil && errors.Is(err, errNilChain) {
			return nil, nil
		}
		return v, err
	}}
}

func (c *compiler) member(n *ast.MemberNode) (code, error) {
	if s, ok, err := c.secret(n); ok {
		return s, err
	}
	// An index after ?. belongs to the chain: steps.a?.output[0] is nil where
	// steps.a is, though the parser ends the chain before the bracket.
	if chain, ok := n.Node.(*ast.ChainNode); ok {
		open := *n
		open.Node = chain.Node
		in, err := c.member(&open)
		if err != nil {
			return code{}, err
		}
		return catchNil(n, in), nil
	}
	base, err := c.inner(n.Node)
	if err != nil {
		return code{}, err
	}
	if base.typ.kind == KindSecret {
		return code{}, failf(where(n), "a secret has no fields")
	}
	if name, ok := n.Property.(*ast.StringNode); ok {
		c.nodes++
		return c.field(n, base, name.Value)
	}
	return c.index(n, base)
}

func (c *compiler) field(n *ast.MemberNode, base code, name string) (code, error) {
	t, err := fieldType(n, base, name)
	if err != nil {
		return code{}, err
	}
	at, optional := where(n.Property), n.Optional
	from := base.run
	return code{node: n, typ: t, run: func(m *machine) (any, error) {
		v, err := from(m)
		if err != nil {
			return nil, err
		}
		if object, ok := v.(map[string]any); ok {
			return object[name], nil
		}
		if v == nil && optional {
			return nil, errNilChain
		}
		if m.lenient {
			return nil, nil
		}
		return nil, noField(at, n, v, name)
	}}, nil
}

func fieldType(n *ast.MemberNode, base code, name string) (Type, error) {
	at := where(n.Property)
	switch base.typ.kind {
	case KindAny:
		return Any(), nil
	case KindNil:
		if n.Optional {
			return Nil(), nil
		}
		return Any(), failf(at, "%s is nil, so it has no field %s", short(n.Node), quote(name))
	case KindObject:
		t, ok := base.typ.Field(name)
		if ok {
			return t, nil
		}
		f := failf(at, "%s has no field %s", short(n.Node), quote(name))
		if what, ok := declared[short(n.Node)]; ok {
			f = failf(at, "there is no %s %s", what, quote(name))
		}
		f.hint = suggest(name, maps.Keys(base.typ.fields))
		if f.hint == "" && len(base.typ.fields) > 0 {
			names := slices.Sorted(maps.Keys(base.typ.fields))
			if len(names) > 12 {
				names = append(names[:12], "…")
			}
			f.hint = "known: " + strings.Join(names, ", ")
		}
		return Any(), f
	case KindList:
		return Any(), failf(at, "%s is a list, so it has no field %s", short(n.Node), quote(name)).
			hinted("take one element with [0], or a field of all with map(…, .%s)", name)
	default:
		return Any(), failf(at, "%s is %s, so it has no field %s", short(n.Node), article(base.typ.NonNil().String()), quote(name))
	}
}

// declared are the roots whose fields a text declares itself, and what they are.
var declared = map[string]string{"steps": "step", "inputs": "input", "vars": "variable"}

// noField is the run-time error of reading a field of what has none.
func noField(at place, n *ast.MemberNode, v any, name string) error {
	if v == nil {
		return failf(at, "%s is nil, so it has no field %s", short(n.Node), quote(name)).
			hinted("write ?. instead of the last dot, which gives nil then, and ?? for another value")
	}
	return failf(at, "%s is %s, so it has no field %s", short(n.Node), describe(v), quote(name))
}

func (c *compiler) index(n *ast.MemberNode, base code) (code, error) {
	key, err := c.compile(n.Property)
	if err != nil {
		return code{}, err
	}
	t, err := indexType(n, base, key)
	if err != nil {
		return code{}, err
	}
	optional := n.Optional
	return code{node: n, typ: t, run: func(m *machine) (any, error) {
		v, err := base.run(m)
		if err != nil {
			return nil, err
		}
		if v == nil && optional {
			return nil, errNilChain
		}
		k, err := key.run(m)
		if err != nil {
			return nil, err
		}
		v, err = element(m, n, v, k)
		return v, m.forgive(err)
	}}, nil
}

func indexType(n *ast.MemberNode, base, key code) (Type, error) {
	switch base.typ.kind {
	case KindAny:
		return Any(), nil
	case KindNil:
		if n.Optional {
			return Nil(), nil
		}
		return Any(), failf(where(n), "%s is nil, so it has no elements", short(n.Node))
	case KindList, KindText:
		if !key.typ.may(KindInt, KindNumber) {
			return Any(), failf(key.at(), "an element is chosen by a number, not by %s", article(key.typ.String()))
		}
		if base.typ.kind == KindText {
			return Text().Nullable(), nil
		}
		return base.typ.Elem().Nullable(), nil
	case KindObject:
		if !key.typ.may(KindText, KindInt, KindNumber) {
			return Any(), failf(key.at(), "a field is chosen by a text, not by %s", article(key.typ.String()))
		}
		if base.typ.open && base.typ.rest != nil && len(base.typ.fields) == 0 {
			return base.typ.rest.Nullable(), nil
		}
		return Any(), nil
	default:
		return Any(), failf(where(n), "%s is %s, so it has no elements", short(n.Node), article(base.typ.NonNil().String()))
	}
}

// element reads v[k]. What is out of range is nil; a negative index counts from
// the end.
func element(m *machine, n *ast.MemberNode, v, k any) (any, error) {
	switch v := v.(type) {
	case []any:
		i, ok := whole(k)
		if !ok {
			return nil, failf(where(n.Property), "an element is chosen by a whole number, not by %s", describe(k))
		}
		if i < 0 {
			i += len(v)
		}
		if i < 0 || i >= len(v) {
			return nil, nil
		}
		return v[i], nil
	case string:
		return character(m, n, v, k)
	case map[string]any:
		switch k := k.(type) {
		case string:
			return v[k], nil
		case int, float64:
			name, _ := textOf(k)
			return v[name], nil
		}
		return nil, failf(where(n.Property), "a field is chosen by a text, not by %s", describe(k))
	case nil:
		return nil, failf(where(n), "%s is nil, so it has no elements", short(n.Node)).
			hinted("write ?.[…], which gives nil then, and ?? for another value")
	}
	return nil, failf(where(n), "%s is %s, so it has no elements", short(n.Node), describe(v))
}

func character(m *machine, n *ast.MemberNode, s string, k any) (any, error) {
	i, ok := whole(k)
	if !ok {
		return nil, failf(where(n.Property), "a character is chosen by a whole number, not by %s", describe(k))
	}
	if err := m.scan(len(s)); err != nil {
		return nil, err
	}
	if i < 0 {
		i += length(s)
	}
	if i < 0 {
		return nil, nil
	}
	for _, r := range s {
		if i == 0 {
			return string(r), nil
		}
		i--
	}
	return nil, nil
}

// whole reads a whole number.
func whole(v any) (int, bool) {
	switch v := v.(type) {
	case int:
		return v, true
	case float64:
		if v == float64(int(v)) && v < 1<<62 && v > -(1<<62) {
			return int(v), true
		}
	}
	return 0, false
}

func (c *compiler) pointer(n *ast.PointerNode) (code, error) {
	if len(c.preds) == 0 {
		return code{}, failf(where(n), "# only has a meaning inside filter, map and the like")
	}
	depth := len(c.preds) - 1
	p := c.preds[depth]
	switch n.Name {
	case "":
		return code{node: n, typ: p.item, run: func(m *machine) (any, error) { return m.frames[depth].item, nil }}, nil
	case "index":
		return code{node: n, typ: Int(), run: func(m *machine) (any, error) { return m.frames[depth].index, nil }}, nil
	case "acc":
		if p.acc {
			return code{node: n, typ: Any(), run: func(m *machine) (any, error) { return m.frames[depth].acc, nil }}, nil
		}
		return code{}, failf(where(n), "#acc only has a meaning inside reduce")
	}
	f := failf(where(n), "unknown name %s", quote("#"+n.Name))
	f.hint = suggest(n.Name, slices.Values([]string{"index", "acc"}))
	return code{}, f
}

func (c *compiler) slice(n *ast.SliceNode) (code, error) {
	base, err := c.compile(n.Node)
	if err != nil {
		return code{}, err
	}
	if !base.typ.may(KindList, KindText) {
		return code{}, failf(where(n), "%s is %s; only a list or a text has parts", short(n.Node), article(base.typ.String()))
	}
	var ends [2]run
	for i, e := range []ast.Node{n.From, n.To} {
		if e == nil {
			continue
		}
		end, err := c.compile(e)
		if err != nil {
			return code{}, err
		}
		if !end.typ.may(KindInt, KindNumber) {
			return code{}, failf(end.at(), "a part is chosen by numbers, not by %s", article(end.typ.String()))
		}
		ends[i] = end.run
	}
	return code{node: n, typ: base.typ.NonNil(), run: func(m *machine) (any, error) {
		v, err := base.run(m)
		if err != nil {
			return nil, err
		}
		v, err = part(m, n, v, ends)
		return v, m.forgive(err)
	}}, nil
}

func part(m *machine, n *ast.SliceNode, v any, ends [2]run) (any, error) {
	size := 0
	switch v := v.(type) {
	case []any:
		size = len(v)
	case string:
		size = length(v)
	default:
		return nil, failf(where(n), "%s is %s; only a list or a text has parts", short(n.Node), describe(v))
	}
	bounds := [2]int{0, size}
	for i, end := range ends {
		if end == nil {
			continue
		}
		k, err := end(m)
		if err != nil {
			return nil, err
		}
		at, ok := whole(k)
		if !ok {
			return nil, failf(where(n), "a part is chosen by whole numbers, not by %s", describe(k))
		}
		if at < 0 {
			at += size
		}
		bounds[i] = min(max(at, 0), size)
	}
	from, to := min(bounds[0], bounds[1]), bounds[1]
	if list, ok := v.([]any); ok {
		return list[from:to:to], nil
	}
	s := v.(string)
	if err := m.scan(len(s)); err != nil {
		return nil, err
	}
	return cut(s, from, to), nil
}

// cut takes the characters from (inclusive) to (exclusive).
func cut(s string, from, to int) string {
	start, end, i := len(s), len(s), 0
	for at := range s {
		if i == from {
			start = at
		}
		if i == to {
			end = at
			break
		}
		i++
	}
	return s[min(start, end):end]
}
