package expr

import (
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// Limits of looking through a value: what is deeper or more is not found.
const (
	maxLeaves    = 5000
	maxLeafDepth = 40
	maxPicked    = 200
)

// leafIndex finds the texts, numbers and booleans of a value by the names of
// their fields, at any depth.
type leafIndex struct {
	of     uintptr // the object that it is of
	nodes  []leafNode
	leaves []leaf
	byName map[string][]int32 // the last name -> leaves
	names  map[string][]string
}

// leafNode is a name on the way to a leaf.
type leafNode struct {
	name   string
	parent int32 // -1 at the top
	depth  int32
}

type leaf struct {
	node  int32
	value any
}

// nameTokens cuts a name up at its dots, and makes of each part what is compared:
// small letters and digits only, so that srcIp, src_ip and SRC-IP are the same. A
// leading dot, which binds the name to the top, is the token "".
func nameTokens(s string) []string {
	var out []string
	if strings.HasPrefix(s, ".") {
		out, s = append(out, ""), s[1:]
	}
	for part := range strings.SplitSeq(s, ".") {
		if t := nameToken(part); t != "" {
			out = append(out, t)
		}
	}
	if len(out) == 1 && out[0] == "" {
		return nil
	}
	return out
}

func nameToken(s string) string {
	plain := true
	for i := range len(s) {
		if c := s[i]; c == '_' || c == '-' || c == ' ' || c == '@' || c == '.' || c >= 'A' && c <= 'Z' {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '_' || r == '-' || r == ' ' || r == '@' || r == '.':
			return -1
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// index gives the index of an object; nil where v is none. The last one is kept
// while the values of one event are worked out.
func (m *machine) index(v any) (*leafIndex, error) {
	object, ok := v.(map[string]any)
	if !ok || len(object) == 0 {
		return nil, nil
	}
	of := reflect.ValueOf(object).Pointer()
	if x := m.env.indexed; x != nil && x.of == of && m.env.held != nil {
		return x, nil
	}
	x := &leafIndex{of: of, byName: make(map[string][]int32, 64), names: map[string][]string{}}
	x.object(object, -1, 0)
	if m.env.held != nil {
		m.env.indexed = x
	}
	return x, m.scan(64 * len(x.nodes))
}

func (x *leafIndex) full() bool { return len(x.nodes) >= maxLeaves || len(x.leaves) >= maxLeaves }

func (x *leafIndex) object(object map[string]any, parent, depth int32) {
	if name, value, ok := namedValue(object); ok {
		x.walk(x.child(name, parent), value, depth+1)
	}
	for key, v := range object {
		if x.full() {
			return
		}
		if v != nil {
			x.walk(x.child(key, parent), v, depth+1)
		}
	}
}

// namedValue reads {"name": "userAgent", "value": …}, as many products write
// their fields: the value counts as a field of that name as well.
func namedValue(object map[string]any) (name string, value any, ok bool) {
	if len(object) < 2 || len(object) > 3 {
		return "", nil, false
	}
	for _, key := range [...]string{"name", "Name", "key", "Key", "@Name"} {
		if name, _ = object[key].(string); name != "" {
			break
		}
	}
	if attributes, ok := object["#attributes"].(map[string]any); ok && name == "" { // XML that became JSON
		name, _ = attributes["Name"].(string)
	}
	if name == "" {
		return "", nil, false
	}
	for _, key := range [...]string{"value", "Value", "ValueString", "text", "#text"} {
		if value, ok = object[key]; ok && value != nil {
			return name, value, true
		}
	}
	return "", nil, false
}

// child adds the names of a key below a node and gives the last.
func (x *leafIndex) child(key string, parent int32) int32 {
	tokens, ok := x.names[key]
	if !ok {
		if tokens = nameTokens(strings.TrimLeft(key, ".")); len(tokens) == 0 {
			tokens = []string{"?"}
		}
		x.names[key] = tokens
	}
	for _, t := range tokens {
		depth := int32(0)
		if parent >= 0 {
			depth = x.nodes[parent].depth + 1
		}
		x.nodes = append(x.nodes, leafNode{name: t, parent: parent, depth: depth})
		parent = int32(len(x.nodes) - 1)
	}
	return parent
}

func (x *leafIndex) walk(node int32, v any, depth int32) {
	if depth > maxLeafDepth || x.full() {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		x.object(v, node, depth)
	case []any:
		for _, e := range v {
			x.walk(node, e, depth+1)
		}
	case string:
		if saysText(v) {
			x.leaf(node, v)
		}
	case int, float64, bool:
		x.leaf(node, v)
	}
}

func (x *leafIndex) leaf(node int32, v any) {
	name := x.nodes[node].name
	x.byName[name] = append(x.byName[name], int32(len(x.leaves)))
	x.leaves = append(x.leaves, leaf{node, v})
}

// matches tells whether the path of a node ends in a name.
func (x *leafIndex) matches(node int32, name []string) bool {
	for _, t := range slices.Backward(name) {
		switch {
		case t == "":
			return node < 0
		case node < 0 || x.nodes[node].name != t:
			return false
		}
		node = x.nodes[node].parent
	}
	return true
}

// all gives the leaves of a name, nearest to the top first; of equally near ones
// the first by their paths.
func (x *leafIndex) all(name []string) []int32 {
	var out []int32
	for _, i := range x.byName[name[len(name)-1]] {
		if x.matches(x.leaves[i].node, name) {
			out = append(out, i)
		}
	}
	slices.SortStableFunc(out, x.order)
	return out
}

// best gives the first that all would give, -1 where there is none.
func (x *leafIndex) best(name []string, words bool) int32 {
	best := int32(-1)
	for _, i := range x.byName[name[len(name)-1]] {
		if words && !hasLetter(x.leaves[i].value) {
			continue
		}
		if x.matches(x.leaves[i].node, name) && (best < 0 || x.order(i, best) < 0) {
			best = i
		}
	}
	return best
}

// hasLetter tells whether a value is a text that holds words, not only digits.
func hasLetter(v any) bool {
	s, ok := v.(string)
	return ok && strings.ContainsFunc(s, unicode.IsLetter)
}

func (x *leafIndex) order(a, b int32) int {
	m, n := x.leaves[a].node, x.leaves[b].node
	if m == n {
		return int(a - b)
	}
	if d := x.nodes[m].depth - x.nodes[n].depth; d != 0 {
		return int(d)
	}
	if c := slices.Compare(x.path(m), x.path(n)); c != 0 {
		return c
	}
	return 0
}

func (x *leafIndex) path(node int32) []string {
	var out []string
	for ; node >= 0; node = x.nodes[node].parent {
		out = append(out, x.nodes[node].name)
	}
	slices.Reverse(out)
	return out
}
