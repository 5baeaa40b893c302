package strictyaml

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Node is a value in a document, for types that decode themselves.
type Node struct {
	doc  *Document
	n    *yaml.Node
	path string
}

// Unmarshaler is a type that decodes itself, such as a value that is either a
// text or a mapping. What is wrong it reports with Node.Errorf.
type Unmarshaler interface {
	UnmarshalStrict(n Node)
}

// Path is where the node is, as a JSON pointer.
func (n Node) Path() string { return n.path }

// Pos is where the node begins; that of a block below a key is the key's.
func (n Node) Pos() Pos { return n.doc.At(n.path) }

// IsMapping, IsList and IsText tell what the node is.
func (n Node) IsMapping() bool { return n.n.Kind == yaml.MappingNode }

// IsList tells whether the node is a list.
func (n Node) IsList() bool { return n.n.Kind == yaml.SequenceNode }

// IsText tells whether the node is a text, quoted or plain.
func (n Node) IsText() bool {
	_, ok := scalar(n.n).(string)
	return n.n.Kind == yaml.ScalarNode && ok
}

// IsNull tells whether the node is empty, null or ~.
func (n Node) IsNull() bool { return n.n.Kind == yaml.ScalarNode && scalar(n.n) == nil }

// Errorf reports what is wrong with the node.
func (n Node) Errorf(expected, what string, args ...any) {
	n.doc.add(n.Pos(), fmt.Sprintf(what, args...), expected)
}

// Entries gives the keys of a mapping, in order, and their values.
func (n Node) Entries() (keys []string, values []Node) {
	if !n.IsMapping() {
		return nil, nil
	}
	for i := 0; i+1 < len(n.n.Content); i += 2 {
		k := n.n.Content[i]
		if k.Kind != yaml.ScalarNode || k.Tag == "!!merge" {
			continue
		}
		keys = append(keys, k.Value)
		values = append(values, Node{n.doc, n.n.Content[i+1], Join(n.path, k.Value)})
	}
	return keys, values
}

// Items gives the entries of a list.
func (n Node) Items() []Node {
	if !n.IsList() {
		return nil
	}
	items := make([]Node, len(n.n.Content))
	for i, c := range n.n.Content {
		items[i] = Node{n.doc, c, Join(n.path, i)}
	}
	return items
}

// Key gives a key's value and whether it is there.
func (n Node) Key(name string) (Node, bool) {
	keys, values := n.Entries()
	for i, k := range keys {
		if k == name {
			return values[i], true
		}
	}
	return Node{}, false
}

// Value gives the node as a plain value: nil, bool, int, float64, string,
// []any or map[string]any. Dates, yes, no, on, off and 0777 stay texts.
func (n Node) Value() any {
	switch n.n.Kind {
	case yaml.MappingNode:
		keys, values := n.Entries()
		m := make(map[string]any, len(keys))
		for i, k := range keys {
			m[k] = values[i].Value()
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, len(n.n.Content))
		for i, item := range n.Items() {
			list[i] = item.Value()
		}
		return list
	}
	return scalar(n.n)
}

// describe names what a node is, for messages.
func (n Node) describe() string {
	switch n.n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch scalar(n.n).(type) {
	case nil:
		return "nothing"
	case bool:
		return fmt.Sprintf("the truth value %s", n.n.Value)
	case int, float64:
		return fmt.Sprintf("the number %s", n.n.Value)
	}
	return fmt.Sprintf("the text %q", shorten(n.n.Value))
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:57]) + "…"
	}
	return s
}

var (
	intText   = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)$`)
	floatText = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)
)

// scalar reads a scalar by the rules of JSON: only what JSON would take for a
// number, a truth value or null is one.
func scalar(n *yaml.Node) any {
	if n.Kind != yaml.ScalarNode || n.Style != 0 {
		return n.Value
	}
	switch s := n.Value; {
	case s == "" || s == "null" || s == "~":
		return nil
	case s == "true":
		return true
	case s == "false":
		return false
	case intText.MatchString(s):
		if i, err := strconv.Atoi(s); err == nil {
			return i
		}
		f, _ := strconv.ParseFloat(s, 64)
		return f
	case floatText.MatchString(s):
		if f, err := strconv.ParseFloat(s, 64); err == nil && !math.IsInf(f, 0) {
			return f
		}
	}
	return n.Value
}

var durationText = regexp.MustCompile(`^[0-9]{1,9}[smhd]$`)

// ParseDuration reads integer(s|m|h|d).
func ParseDuration(s string) (time.Duration, bool) {
	if !durationText.MatchString(s) {
		return 0, false
	}
	count, _ := strconv.Atoi(s[:len(s)-1])
	unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[s[len(s)-1]]
	if count > 0 && time.Duration(count) > math.MaxInt64/unit {
		return 0, false
	}
	return time.Duration(count) * unit, true
}

var sizeText = regexp.MustCompile(`^([0-9]{1,9})(B|KB|MB|GB)$`)

// ParseSize reads a number of bytes such as 512KB or 10MB; the units are
// powers of 1024.
func ParseSize(s string) (int64, bool) {
	m := sizeText.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	count, _ := strconv.ParseInt(m[1], 10, 64)
	return count << map[string]int{"B": 0, "KB": 10, "MB": 20, "GB": 30}[m[2]], true
}

func joinWords(words []string) string { return strings.Join(words, ", ") }
