package expr

import (
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// Functions that find things in what somebody else has written: an event whose
// parts may be missing, empty, or of another type. None of them fails on what
// it meets.

// walkCall is a function that is compiled with its literal texts.
type walkCall func(paths [][]string) func(m *machine, v any) (any, error)

func walkFunction(name string) walkCall {
	switch name {
	case "at":
		return func(names [][]string) func(*machine, any) (any, error) {
			paths := make([]walkPath, len(names))
			for i, n := range names {
				paths[i] = newWalkPath(n)
			}
			return func(m *machine, v any) (any, error) { return at(m, v, paths) }
		}
	case "pick":
		return func(names [][]string) func(*machine, any) (any, error) {
			return func(m *machine, v any) (any, error) { return pickFirst(m, v, names, false) }
		}
	case "pick_text":
		return func(names [][]string) func(*machine, any) (any, error) {
			return func(m *machine, v any) (any, error) { return pickFirst(m, v, names, true) }
		}
	case "pick_all":
		return func(names [][]string) func(*machine, any) (any, error) {
			return func(m *machine, v any) (any, error) { return pickAll(m, v, names) }
		}
	}
	return nil
}

// walk compiles at, pick and pick_all, whose names are literal: they are cut up
// once, when the text is compiled.
func (c *compiler) walk(n ast.Node, name string, bind walkCall, args []ast.Node) (code, error) {
	if len(args) < 2 {
		return code{}, failf(where(n), "%s needs a value and at least one name", name).hinted(`write %s(event, "source.ip")`, name)
	}
	from, err := c.compile(args[0])
	if err != nil {
		return code{}, err
	}
	if from.typ.kind == KindSecret {
		return code{}, failf(from.at(), "%s cannot be used on a secret", name)
	}
	var paths [][]string
	for _, a := range args[1:] {
		s, ok := a.(*ast.StringNode)
		if !ok {
			return code{}, failf(where(a), "%s needs its names as literal texts", name)
		}
		c.nodes++
		path := strings.Split(s.Value, ".")
		if name != "at" {
			if path = nameTokens(s.Value); len(path) == 0 {
				return code{}, failf(where(a), "%s is no name of a field", quote(s.Value))
			}
		}
		paths = append(paths, path)
	}
	t, call := Any(), bind(paths)
	if name == "pick_all" {
		t = List(Any())
	}
	return code{node: n, typ: t, run: func(m *machine) (any, error) {
		v, err := from.run(m)
		if err != nil {
			return nil, err
		}
		if err := m.tick(1); err != nil {
			return nil, placed(err, where(n))
		}
		v, err = call(m, v)
		return v, placed(err, where(n))
	}}, nil
}

// says tells whether a value says something: it is not nil, a blank text or one
// that stands for nothing, such as "-", and not an empty list or object.
func says(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case string:
		return saysText(v)
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return true
}

func saysText(s string) bool {
	if len(s) > 8 {
		return strings.TrimSpace(s) != ""
	}
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "", "-", "--", "n/a", "null", "(null)", "nil", "<nil>":
		return false
	}
	return true
}

// some gives the first of its values that says something; nil where none does.
func some(_ *machine, args []any) (any, error) {
	for _, v := range args {
		if says(v) {
			return v, nil
		}
	}
	return nil, nil
}

// walkPath is a path of names and, for each place in it, the names that a sender
// who flattens his events would have made of what follows.
type walkPath struct {
	names  []string
	joined [][]string // joined[i][n] is names[i] to names[i+n+1]
}

func newWalkPath(names []string) walkPath {
	p := walkPath{names: names, joined: make([][]string, len(names))}
	for i := range names {
		for n := i + 2; n <= len(names); n++ {
			p.joined[i] = append(p.joined[i], strings.Join(names[i:n], "."))
		}
	}
	return p
}

// at gives what stands at the first path that leads to something.
func at(m *machine, v any, paths []walkPath) (any, error) {
	for i := range paths {
		found, err := follow(m, v, &paths[i], 0)
		if err != nil {
			return nil, err
		}
		if says(found) {
			return found, nil
		}
	}
	return nil, nil
}

// follow walks down a path from its name i on. A name with dots in it is found
// too. Of a list it takes an element where the path has a number, and otherwise
// follows on in every element.
func follow(m *machine, v any, path *walkPath, i int) (any, error) {
	if i == len(path.names) {
		return v, nil
	}
	switch v := v.(type) {
	case map[string]any:
		if next, ok := v[path.names[i]]; ok {
			found, err := follow(m, next, path, i+1)
			if err != nil || says(found) {
				return found, err
			}
		}
		for n, name := range path.joined[i] {
			if next, ok := v[name]; ok {
				return follow(m, next, path, i+n+2)
			}
		}
	case []any:
		if k, err := strconv.Atoi(path.names[i]); err == nil {
			if k >= 0 && k < len(v) {
				return follow(m, v[k], path, i+1)
			}
			return nil, nil
		}
		return followAll(m, v, path, i)
	}
	return nil, nil
}

func followAll(m *machine, list []any, path *walkPath, i int) (any, error) {
	var out []any
	for _, e := range list {
		if err := m.tick(1); err != nil {
			return nil, err
		}
		found, err := follow(m, e, path, i)
		if err != nil {
			return nil, err
		}
		if more, ok := found.([]any); ok {
			out = append(out, more...)
		} else if says(found) {
			out = append(out, found)
		}
		if len(out) > maxLeaves {
			break
		}
	}
	if out == nil {
		return nil, nil
	}
	return out, m.growList(len(out))
}

// pickFirst gives the first value, at any depth, whose field has one of the
// names; where it is to be words, the first that is a text with a letter in it.
func pickFirst(m *machine, v any, names [][]string, words bool) (any, error) {
	index, err := m.index(v)
	if err != nil || index == nil {
		return nil, err
	}
	for _, name := range names {
		if i := index.best(name, words); i >= 0 {
			return index.leaves[i].value, nil
		}
	}
	return nil, nil
}

// pickAll gives all values, at any depth, whose field has one of the names, each
// once.
func pickAll(m *machine, v any, names [][]string) (any, error) {
	index, err := m.index(v)
	if err != nil {
		return nil, err
	}
	out := []any{}
	if index == nil {
		return out, nil
	}
	for _, name := range names {
		for _, i := range index.all(name) {
			if v := index.leaves[i].value; !holds(out, v) {
				out = append(out, v)
			}
			if len(out) >= maxPicked {
				return out, m.growList(len(out))
			}
		}
	}
	return out, m.growList(len(out))
}

// holds tells whether a list of texts, numbers and booleans has one.
func holds(list []any, v any) bool {
	for _, e := range list {
		if e == v {
			return true
		}
	}
	return false
}
