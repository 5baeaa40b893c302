package expr

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/expr-lang/expr/ast"
)

// function is one that takes values: everything but the loops.
type function struct {
	params   []param
	least    int  // how many arguments must be there
	variadic bool // the last parameter may be repeated
	out      func(args []code) Type
	call     func(m *machine, args []any) (any, error)
	// literals looks at the arguments that are literal, at check time.
	literals func(args []ast.Node) error
	// bind, if not nil, gives what call is where some arguments are literal: what
	// can be made ready, such as a pattern, is made once.
	bind func(args []ast.Node) func(m *machine, args []any) (any, error)
}

// param says which kinds an argument may have. No kinds means any but secrets.
type param []Kind

var (
	aText   = param{KindText}
	aNumber = param{KindInt, KindNumber}
	aWhole  = param{KindInt, KindNumber, kindWhole}
	aList   = param{KindList}
	anObj   = param{KindObject}
	aTime   = param{KindTime, KindText}
	aSpan   = param{KindDuration, KindText, KindInt, KindNumber}
	aThing  = param{}
)

// kindWhole marks a parameter that takes whole numbers only.
const kindWhole Kind = 200

func (p param) fits(t Type) bool {
	if len(p) == 0 {
		return t.kind != KindSecret
	}
	return t.may(p...)
}

func (p param) accepts(v any) bool {
	if _, ok := v.(Secret); ok {
		return false
	}
	if len(p) == 0 {
		return true
	}
	if slices.Contains(p, kindWhole) {
		_, ok := whole(v)
		return ok
	}
	k := kindOf(v)
	return slices.Contains(p, k)
}

func (p param) String() string {
	if len(p) == 0 {
		return "a value that is no secret"
	}
	if slices.Contains(p, kindWhole) {
		return "a whole number"
	}
	s := ""
	for i, k := range p {
		if k == KindInt && slices.Contains(p, KindNumber) {
			continue
		}
		if s != "" && i == len(p)-1 {
			s += " or "
		} else if s != "" {
			s += ", "
		}
		s += article(k.String())
	}
	return s
}

// kindOf is the kind of a value.
func kindOf(v any) Kind {
	switch v.(type) {
	case nil:
		return KindNil
	case bool:
		return KindBool
	case int:
		return KindInt
	case float64:
		return KindNumber
	case string:
		return KindText
	case time.Time:
		return KindTime
	case time.Duration:
		return KindDuration
	case []any:
		return KindList
	case map[string]any:
		return KindObject
	case Secret:
		return KindSecret
	case *time.Location:
		return kindZone
	}
	return KindAny
}

func gives(t Type) func([]code) Type { return func([]code) Type { return t } }

// sameAs gives the type of an argument.
func sameAs(i int) func([]code) Type {
	return func(args []code) Type { return args[i].typ.NonNil() }
}

// elemOf gives a list of what the first argument holds.
func elemOf(args []code) Type { return List(args[0].typ.Elem()) }

// lookUp finds a function by its name.
func lookUp(name string) (function, bool) {
	for _, find := range []func(string) (function, bool){textFunction, numberFunction, listFunction, clockFunction, ownFunction} {
		if f, ok := find(name); ok {
			return f, true
		}
	}
	return function{}, false
}

func isFunction(name string) bool {
	_, ok := lookUp(name)
	return ok || isLoop(name) || name == "available" || walkFunction(name) != nil
}

// Functions lists the names of all functions, sorted.
func Functions() []string {
	var names []string
	for _, name := range functionNames {
		if isFunction(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

var functionNames = []string{
	"all", "none", "any", "one", "filter", "map", "find", "findIndex", "findLast", "findLastIndex", "count", "sum",
	"groupBy", "sortBy", "reduce", "len", "type", "abs", "ceil", "floor", "round", "int", "float", "string", "trim",
	"trimPrefix", "trimSuffix", "upper", "lower", "split", "splitAfter", "replace", "repeat", "join", "indexOf",
	"lastIndexOf", "hasPrefix", "hasSuffix", "max", "min", "mean", "median", "toJSON", "fromJSON", "toBase64",
	"fromBase64", "now", "duration", "date", "timezone", "first", "last", "get", "take", "keys", "values", "toPairs",
	"fromPairs", "reverse", "uniq", "concat", "flatten", "sort", "bitand", "bitor", "bitxor", "bitnand", "bitshl",
	"bitshr", "bitushr", "bitnot", "in_cidr", "defang", "refang", "domain_of", "hash", "extract", "ago", "available",
	"duration_text", "some", "at", "pick", "pick_text", "pick_all", "number", "extract_all",
}

func (c *compiler) callNode(n *ast.CallNode) (code, error) {
	switch callee := n.Callee.(type) {
	case *ast.IdentifierNode:
		return c.call(n, callee.Value, n.Arguments)
	case *ast.MemberNode:
		if name, ok := callee.Property.(*ast.StringNode); ok {
			return c.method(n, callee, name.Value)
		}
	}
	return code{}, failf(where(n), "only functions can be called")
}

func (c *compiler) call(n ast.Node, name string, args []ast.Node) (code, error) {
	if isLoop(name) {
		return c.loop(n, name, args)
	}
	if name == "available" {
		return c.availability(n, args)
	}
	if bind := walkFunction(name); bind != nil {
		return c.walk(n, name, bind, args)
	}
	f, ok := lookUp(name)
	if !ok {
		e := failf(where(n), "unknown function %s", quote(name))
		e.hint = suggest(name, slices.Values(functionNames))
		return code{}, e
	}
	return c.apply(n, name, f, nil, args)
}

// apply checks the arguments of a function and binds it. before is what stands
// in front of them already: the value that a method belongs to.
func (c *compiler) apply(n ast.Node, name string, f function, before []code, nodes []ast.Node) (code, error) {
	args := before
	for _, a := range nodes {
		arg, err := c.compile(a)
		if err != nil {
			return code{}, err
		}
		args = append(args, arg)
	}
	if err := f.checkCount(n, name, len(args), len(before)); err != nil {
		return code{}, err
	}
	for i, arg := range args {
		if p := f.param(i); !p.fits(arg.typ) {
			return code{}, wrongArgument(name, p, arg, article(arg.typ.String()), arg.typ)
		}
	}
	if f.literals != nil {
		if err := f.literals(nodes); err != nil {
			return code{}, placed(err, where(n))
		}
	}
	if f.bind != nil {
		if call := f.bind(nodes); call != nil {
			f.call = call
		}
	}
	return code{node: n, typ: f.out(args).bounded(), run: func(m *machine) (any, error) { return f.evaluate(m, n, name, args) }}, nil
}

func (f function) param(i int) param { return f.params[min(i, len(f.params)-1)] }

func (f function) checkCount(n ast.Node, name string, got, hidden int) error {
	switch {
	case got < f.least:
		return failf(where(n), "%s needs %s, but has %d", name, plural(f.least-hidden, "argument"), got-hidden)
	case got > len(f.params) && !f.variadic:
		return failf(where(n), "%s takes at most %s, but has %d", name, plural(len(f.params)-hidden, "argument"), got-hidden)
	}
	return nil
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}

func (f function) evaluate(m *machine, n ast.Node, name string, args []code) (any, error) {
	base := len(m.stack)
	defer func() { clear(m.stack[base:]); m.stack = m.stack[:base] }()
	for i, a := range args {
		v, err := a.run(m)
		if err != nil {
			return nil, err
		}
		if p := f.param(i); !p.accepts(v) {
			if m.lenient {
				if v, ok := p.adapt(v); ok {
					m.stack = append(m.stack, v)
					continue
				}
				return nil, nil
			}
			return nil, wrongArgument(name, p, a, describe(v), Type{kind: kindOf(v)})
		}
		m.stack = append(m.stack, v)
	}
	if err := m.tick(1); err != nil {
		return nil, placed(err, where(n))
	}
	v, err := f.call(m, m.stack[base:len(m.stack):len(m.stack)])
	if err != nil && m.forgive(err) == nil {
		return nil, nil
	}
	return v, placed(err, where(n))
}

func wrongArgument(name string, p param, arg code, got string, t Type) error {
	f := failf(arg.at(), "%s needs %s, but %s is %s", name, p, short(arg.node), got)
	switch {
	case t.kind == KindNil:
		f.hint = "give another value with (… ?? …)"
	case t.kind == KindSecret:
		f.message = name + " cannot be used on a secret"
	case slices.Equal(p, aText) && !slices.Contains([]Kind{KindList, KindObject}, t.kind):
		f.hint = "turn it into a text with string(…)"
	}
	return f
}

// availability is available("…"), which is answered once per run.
func (c *compiler) availability(n ast.Node, args []ast.Node) (code, error) {
	if len(args) == 1 {
		if s, ok := args[0].(*ast.StringNode); ok {
			c.nodes++
			c.available = append(c.available, s.Value)
			what := s.Value
			return code{node: n, typ: Bool(), run: func(m *machine) (any, error) {
				return m.env.Available[what], m.tick(1)
			}}, nil
		}
	}
	return code{}, failf(where(n), "available needs one literal text").
		hinted(`write available("connector"), or the name of a capability`)
}

// method is a call such as now().Format("15:04"): times and durations have some.
func (c *compiler) method(n *ast.CallNode, callee *ast.MemberNode, name string) (code, error) {
	if path, exact := pathOf(callee.Node); exact {
		c.refs = append(c.refs, rooted(c, path)...)
	}
	base, err := c.inner(callee.Node)
	if err != nil {
		return code{}, err
	}
	f, ok := clockMethod(name)
	if !ok || !f.params[0].fits(base.typ) {
		e := failf(where(callee.Property), "%s is no function of %s", quote(name), article(base.typ.String()))
		if isFunction(name) {
			e.hint = "write " + name + "(…)"
		} else {
			e.hint = suggest(name, slices.Values(slices.Sorted(maps.Keys(methodNames))))
		}
		return code{}, e
	}
	c.nodes += 2
	made, err := c.apply(n, name, f, []code{base}, n.Arguments)
	if err != nil || !callee.Optional {
		return made, err
	}
	run := made.run
	made.typ = made.typ.Nullable()
	made.run = func(m *machine) (any, error) {
		if v, err := base.run(m); err != nil || v == nil {
			return nil, cond(err != nil, err, errNilChain)
		}
		return run(m)
	}
	return made, nil
}

func rooted(c *compiler, path []string) [][]string {
	if c.isRoot(path[0]) {
		return [][]string{path}
	}
	return nil
}

func cond(ok bool, a, b error) error {
	if ok {
		return a
	}
	return b
}
