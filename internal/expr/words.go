package expr

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
)

// article puts "a" or "an" before a type where English wants one.
func article(s string) string {
	switch {
	case s == "nil" || s == "bool" || strings.HasPrefix(s, "bool "):
		return strings.Replace(s, "bool", "true or false", 1)
	case strings.HasPrefix(s, "any"):
		return "a value of any type"
	case strings.ContainsRune("aeio", rune(s[0])):
		return "an " + s
	}
	return "a " + s
}

// describe names a value in an error message: its type, and what it is where
// that is short.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case bool:
		if v {
			return "true"
		}
		return "false"
	case int, float64:
		s, _ := textOf(v)
		return "the number " + s
	case string:
		return "the text " + quote(v)
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	case Secret:
		return "a secret"
	case time.Time:
		return "a time"
	case time.Duration:
		return "a duration"
	case *time.Location:
		return "a time zone"
	}
	return "a value of an unknown type"
}

// literal writes a value as it would stand in a text.
func literal(v any) string {
	if s, ok := v.(string); ok {
		return quote(s)
	}
	s, _ := textOf(v)
	return s
}

// short writes a part of a text for an error message, which must stay readable.
func short(n ast.Node) string {
	if n == nil {
		return "it"
	}
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return n.Value
	case *ast.PointerNode:
		return "#" + n.Name
	case *ast.MemberNode, *ast.ChainNode:
		if s := memberText(n, 0); len(s) <= 80 {
			return s
		}
		return "it"
	case *ast.StringNode:
		return quote(n.Value)
	case *ast.ArrayNode, *ast.MapNode, *ast.ConditionalNode, *ast.SequenceNode, *ast.VariableDeclaratorNode:
		return "it"
	}
	// Printing walks the whole part, so only small ones are printed.
	if countNodes(n, 24) < 24 {
		if s := n.String(); len(s) <= 80 {
			return s
		}
	}
	return "it"
}

// memberText writes a path as it stands in the text.
func memberText(n ast.Node, depth int) string {
	if depth > 20 {
		return strings.Repeat("…", 81)
	}
	switch n := n.(type) {
	case *ast.ChainNode:
		return memberText(n.Node, depth+1)
	case *ast.MemberNode:
		base, dot := memberText(n.Node, depth+1), "."
		if n.Optional {
			dot = "?."
		}
		name, ok := n.Property.(*ast.StringNode)
		switch {
		case ok && plainName(name.Value):
			if p, ok := n.Node.(*ast.PointerNode); ok && p.Name == "" {
				return "." + name.Value
			}
			return base + dot + name.Value
		case n.Optional:
			return base + "?.[" + short(n.Property) + "]"
		}
		return base + "[" + short(n.Property) + "]"
	case *ast.IdentifierNode:
		return n.Value
	case *ast.PointerNode:
		return "#" + n.Name
	}
	return "(" + short(n) + ")"
}

func plainName(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

type nodeCounter struct{ n int }

func (c *nodeCounter) Visit(*ast.Node) { c.n++ }

// countNodes counts the parts of a small tree; from limit on it may stop.
func countNodes(n ast.Node, limit int) int {
	switch n := n.(type) {
	case *ast.BuiltinNode:
		if len(n.Arguments) > limit {
			return limit
		}
	case *ast.BinaryNode:
		// The left side of a long chain nests deeply: look before walking it.
		depth := 0
		for at := ast.Node(n); depth < limit; depth++ {
			b, ok := at.(*ast.BinaryNode)
			if !ok {
				break
			}
			at = b.Left
		}
		if depth >= limit {
			return limit
		}
	}
	var c nodeCounter
	ast.Walk(&n, &c)
	return c.n
}

func sortedKeys(object map[string]any) []string { return slices.Sorted(maps.Keys(object)) }
