package playbook

import (
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"

	"riposte/internal/expr"
)

// comparisons reports texts that a value is compared with and can never be: a
// status that does not exist, an answer that is no option, a word that an enum
// lacks. source stands at offset in the text of n.
func (c *checker) comparisons(source string, n *node, offset int, w where) {
	if !strings.Contains(source, "==") && !strings.Contains(source, "!=") && !strings.Contains(source, " in ") {
		return
	}
	tree, err := parser.Parse(source)
	if err != nil {
		return // compiled already, so it is our own dialect
	}
	v := compareVisitor{scope: c.scope(w), report: func(at int, path []string, word string, values []any) {
		known := texts(values)
		c.finding(n.place(offset+byteOffset(source, at)), CodeNeverEqual, "%s is never %s; expected %s%s",
			strings.Join(path, "."), quoted(word), anyOf(known), didYouMean(word, known))
	}}
	ast.Walk(&tree.Node, &v)
}

// byteOffset turns an offset in characters into one in bytes.
func byteOffset(text string, characters int) int {
	for i := range text {
		if characters == 0 {
			return i
		}
		characters--
	}
	return len(text)
}

type compareVisitor struct {
	scope  *expr.Scope
	report func(at int, path []string, word string, values []any)
}

// Visit looks at one part of an expression.
func (v *compareVisitor) Visit(n *ast.Node) {
	b, ok := (*n).(*ast.BinaryNode)
	if !ok {
		return
	}
	switch b.Operator {
	case "==", "!=":
		v.compare(b.Left, b.Right)
		v.compare(b.Right, b.Left)
	case "in":
		if list, ok := b.Right.(*ast.ArrayNode); ok {
			for _, e := range list.Nodes {
				v.compare(b.Left, e)
			}
		}
	}
}

func (v *compareVisitor) compare(value, literal ast.Node) {
	word, ok := literal.(*ast.StringNode)
	path := namesOf(value)
	if !ok || path == nil {
		return
	}
	t, found := v.scope.Lookup(path[0])
	for _, name := range path[1:] {
		if !found {
			return
		}
		t, found = t.Field(name)
	}
	values := t.Values()
	if !found || len(values) == 0 || slices.Contains(values, any(word.Value)) {
		return
	}
	v.report(literal.Location().From, path, word.Value, values)
}

// namesOf reads a chain of literal names, nil where it is anything else.
func namesOf(n ast.Node) []string {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return []string{n.Value}
	case *ast.ChainNode:
		return namesOf(n.Node)
	case *ast.MemberNode:
		name, ok := n.Property.(*ast.StringNode)
		base := namesOf(n.Node)
		if !ok || base == nil {
			return nil
		}
		return append(base, name.Value)
	}
	return nil
}

// impossibleCases reports cases that the value of a switch can never be.
func (c *checker) impossibleCases(s *Step, t expr.Type) {
	known := texts(t.Values())
	switch {
	case t.Kind() == expr.KindBool:
		known = []string{"true", "false"}
	case len(known) == 0 || len(known) != len(t.Values()):
		return
	}
	for _, b := range s.Branches {
		if !slices.Contains(known, b.Name) {
			c.finding(b.Pos, CodeNeverEqual, "%s is never %s; expected %s%s", strings.TrimSpace(s.Head.Value), quoted(b.Name), anyOf(known), didYouMean(b.Name, known))
		}
	}
}
