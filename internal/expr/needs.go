package expr

import (
	"slices"

	"github.com/expr-lang/expr/ast"
)

// Needs lists fields of a root that cannot be nil where the condition is true:
// of event.kind == "x" and event.id != nil they are kind and id. Whoever asks
// many conditions about one object looks at these first. An empty list says
// nothing.
func (p *Program) Needs(root string) []string {
	source, _ := unwrap(p.text)
	tree, err := parse(source)
	if err != nil {
		return nil
	}
	fields := needs(tree, root)
	slices.Sort(fields)
	return slices.Compact(fields)
}

func needs(n ast.Node, root string) []string {
	b, ok := n.(*ast.BinaryNode)
	if !ok {
		return nil
	}
	switch b.Operator {
	case "and", "&&":
		return append(needs(b.Left, root), needs(b.Right, root)...)
	case "or", "||":
		left, right := needs(b.Left, root), needs(b.Right, root)
		return slices.DeleteFunc(left, func(f string) bool { return !slices.Contains(right, f) })
	case "!=":
		if isNil(b.Right) {
			return fieldOf(b.Left, root)
		}
		if isNil(b.Left) {
			return fieldOf(b.Right, root)
		}
	case "==":
		if isLiteral(b.Right) {
			return fieldOf(b.Left, root)
		}
		if isLiteral(b.Left) {
			return fieldOf(b.Right, root)
		}
	case "contains", "startsWith", "endsWith", "matches":
		return fieldOf(b.Left, root)
	}
	return nil
}

// fieldOf is the first field of a path below the root.
func fieldOf(n ast.Node, root string) []string {
	path, exact := pathOf(n)
	if len(path) < 2 || path[0] != root || !exact {
		return nil
	}
	return []string{path[1]}
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
