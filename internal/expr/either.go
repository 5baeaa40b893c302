package expr

import (
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// maxWays bounds how many ways to be true are told apart.
const maxWays = 24

// Either lists the ways in which a condition can be true, each by the fields
// right below a root that must be there for it: where none of the ways has all
// of its fields, the condition is false and need not be worked out. nil means
// that nothing is known. It holds for lenient texts.
func (p *Program) Either(root string) [][]string {
	source, _ := unwrap(p.text)
	tree, err := parse(source)
	if err != nil {
		return nil
	}
	out := ways(tree, root)
	for i, way := range out {
		slices.Sort(way)
		if out[i] = slices.Compact(way); len(out[i]) == 0 {
			return nil
		}
	}
	return smallest(out)
}

// smallest leaves out each way that needs all that another needs.
func smallest(all [][]string) [][]string {
	slices.SortStableFunc(all, func(a, b []string) int { return len(a) - len(b) })
	var out [][]string
	for _, way := range all {
		if !slices.ContainsFunc(out, func(less []string) bool {
			return !slices.ContainsFunc(less, func(f string) bool { return !slices.Contains(way, f) })
		}) {
			out = append(out, way)
		}
	}
	return out
}

// ways gives the ways; one without fields may always be.
func ways(n ast.Node, root string) [][]string {
	always := [][]string{{}}
	b, ok := n.(*ast.BinaryNode)
	if !ok {
		return always
	}
	switch b.Operator {
	case "and", "&&":
		return both(ways(b.Left, root), ways(b.Right, root))
	case "or", "||":
		out := slices.Concat(ways(b.Left, root), ways(b.Right, root))
		if len(out) > maxWays {
			return always
		}
		return out
	case "!=":
		switch {
		case isNil(b.Right):
			return present(b.Left, root)
		case isNil(b.Left):
			return present(b.Right, root)
		}
	case "==":
		switch {
		case isLiteral(b.Right):
			return present(b.Left, root)
		case isLiteral(b.Left):
			return present(b.Right, root)
		}
	case "in":
		if list, ok := b.Right.(*ast.ArrayNode); ok && !slices.ContainsFunc(list.Nodes, isNil) {
			return present(b.Left, root)
		}
	case "contains", "startsWith", "endsWith", "matches":
		if part, ok := b.Right.(*ast.StringNode); ok && part.Value != "" && b.Operator != "matches" {
			return present(unwrapText(b.Left), root)
		}
		return present(b.Left, root)
	}
	return always
}

// both are the ways in which two conditions are true together.
func both(a, b [][]string) [][]string {
	if len(a)*len(b) > maxWays {
		if len(b) < len(a) || len(a[0]) == 0 {
			return b
		}
		return a
	}
	var out [][]string
	for _, x := range a {
		for _, y := range b {
			out = append(out, slices.Concat(x, y))
		}
	}
	return out
}

// unwrapText takes string(… ?? "") off a value whose text must hold something.
func unwrapText(n ast.Node) ast.Node {
	for {
		name, args := called(n)
		if (name != "string" && name != "lower") || len(args) != 1 {
			break
		}
		n = args[0]
	}
	if b, ok := n.(*ast.BinaryNode); ok && b.Operator == "??" {
		if s, ok := b.Right.(*ast.StringNode); ok && s.Value == "" {
			return b.Left
		}
	}
	return n
}

// called gives the name and the arguments of a call.
func called(n ast.Node) (string, []ast.Node) {
	switch n := n.(type) {
	case *ast.BuiltinNode:
		return n.Name, n.Arguments
	case *ast.CallNode:
		if f, ok := n.Callee.(*ast.IdentifierNode); ok {
			return f.Value, n.Arguments
		}
	}
	return "", nil
}

// present are the ways in which a value is not nil.
func present(n ast.Node, root string) [][]string {
	if b, ok := n.(*ast.BinaryNode); ok && b.Operator == "??" {
		return slices.Concat(present(b.Left, root), present(b.Right, root))
	}
	switch name, args := called(n); {
	case name == "some":
		var out [][]string
		for _, a := range args {
			out = append(out, present(a, root)...)
		}
		return out
	case (name == "number" || name == "lower") && len(args) == 1:
		return present(args[0], root)
	case name == "at" && len(args) > 1:
		if id, ok := args[0].(*ast.IdentifierNode); ok && id.Value == root {
			return pathWays(args[1:])
		}
		return present(args[0], root)
	}
	if path, _ := pathOf(n); len(path) > 1 && path[0] == root {
		return [][]string{{path[1]}}
	}
	return [][]string{{}}
}

// pathWays are the fields of which at can begin: the first name of a path, or
// more of them in one name.
func pathWays(args []ast.Node) [][]string {
	var out [][]string
	for _, a := range args {
		s, ok := a.(*ast.StringNode)
		if !ok {
			return [][]string{{}}
		}
		parts := strings.Split(s.Value, ".")
		for i := range parts {
			if way := []string{strings.Join(parts[:i+1], ".")}; !slices.ContainsFunc(out, func(w []string) bool { return w[0] == way[0] }) {
				out = append(out, way)
			}
		}
	}
	if len(out) > maxWays {
		return [][]string{{}}
	}
	return out
}

func isNil(n ast.Node) bool {
	_, ok := n.(*ast.NilNode)
	return ok
}

func isLiteral(n ast.Node) bool {
	switch n.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return true
	}
	return false
}
