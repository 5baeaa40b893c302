package playbook

import (
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"riposte/internal/strictyaml"
)

type nodeKind uint8

const (
	scalarNode nodeKind = iota
	listNode
	objectNode
)

var nodeKindNames = [...]string{"a scalar", "a list", "a mapping"}

type nodeStyle uint8

const (
	plainStyle nodeStyle = iota
	singleStyle
	doubleStyle
	literalStyle // |
	foldedStyle  // >
	flowStyle    // lists and mappings in [ ] and { }
)

// node is one node of the file. Unlike the YAML library's it knows where it
// ends, so that a place inside a text can be found again in the file.
type node struct {
	kind  nodeKind
	style nodeStyle
	at    Pos
	start int    // offset of its first byte
	end   int    // of the byte after its last
	text  string // of a scalar
	data  any    // of a scalar: nil, bool, int, float64 or string
	items []*node
	pairs []*pair
	src   *source
}

// pair is one entry of a mapping.
type pair struct {
	key, value *node
}

// value finds the value of a key, nil if the mapping lacks it.
func (n *node) value(key string) *node {
	if p := n.pair(key); p != nil {
		return p.value
	}
	return nil
}

func (n *node) pair(key string) *pair {
	if n == nil {
		return nil
	}
	for _, p := range n.pairs {
		if p.key.text == key {
			return p
		}
	}
	return nil
}

// isText tells whether a scalar is a text and no number, boolean or null.
func (n *node) isText() bool {
	_, ok := n.data.(string)
	return n.kind == scalarNode && ok
}

// isNull tells whether nothing (or null) was written.
func (n *node) isNull() bool { return n.kind == scalarNode && n.data == nil }

// describe names what a node is, for messages.
func (n *node) describe() string {
	if n.kind != scalarNode {
		return nodeKindNames[n.kind]
	}
	switch v := n.data.(type) {
	case nil:
		return "nothing"
	case bool:
		return fmt.Sprintf("the boolean %t", v)
	case string:
		return fmt.Sprintf("the text %s", quoted(v))
	}
	return "the number " + n.text
}

// decode gives the node as plain data: nil, bool, int, float64, string, []any
// and map[string]any.
func (n *node) decode() any {
	switch n.kind {
	case listNode:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = item.decode()
		}
		return list
	case objectNode:
		object := make(map[string]any, len(n.pairs))
		for _, p := range n.pairs {
			object[p.key.text] = p.value.decode()
		}
		return object
	default: // a scalar
	}
	return n.data
}

// quoted writes a text for a message, shortened.
func quoted(s string) string {
	if runes := []rune(s); len(runes) > 60 {
		s = string(runes[:57]) + "…"
	}
	return strconv.Quote(s)
}

// readNodes parses a file into nodes. The answer is nil when there is nothing
// to go on with; what is wrong is then in r.
func readNodes(src *source, r *reporter) *node {
	if line, directive := strictyaml.Directive(src.text); line > 0 {
		r.errorf(Pos{line, 1}, "the directive %s; leave it out, playbooks have no directives", directive)
		return nil
	}
	loader, err := yaml.NewLoader(strings.NewReader(src.text))
	if err != nil {
		r.errorf(Pos{1, 1}, "not YAML: %s", err)
		return nil
	}
	var doc, next yaml.Node
	if err := loader.Load(&doc); errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		r.errorf(Pos{1, 1}, "the file is empty; a playbook begins with playbook: and its id")
		return nil
	} else if err != nil {
		reportYAML(err, src, r)
		return nil
	}
	if err := loader.Load(&next); err == nil {
		r.errorf(Pos{next.Line, next.Column}, "a second document begins here; a file holds one playbook")
		return nil
	} else if !errors.Is(err, io.EOF) {
		reportYAML(err, src, r)
		return nil
	}
	c := converter{src: src, r: r}
	root := c.convert(doc.Content[0], 0)
	if c.failed {
		return nil
	}
	return root
}

// reportYAML turns the library's error into a diagnostic.
func reportYAML(err error, src *source, r *reporter) {
	var le *yaml.LoadError
	if !errors.As(err, &le) {
		r.errorf(Pos{1, 1}, "not YAML: %s", err)
		return
	}
	if strings.HasPrefix(le.Message, "unknown anchor") {
		r.errorf(Pos{le.Mark.Line, le.Mark.Column}, "an alias (*); write the value out, playbooks have no anchors or aliases")
		return
	}
	message, mark := le.Message, le.Mark
	at := src.offset(Pos{mark.Line, mark.Column})
	if at < len(src.text) && src.text[at] == '\t' {
		r.errorf(Pos{mark.Line, mark.Column}, "not YAML: a tab; indent with blanks")
		return
	}
	if strings.Contains(message, "unexpected end of stream") && le.ContextMark.Line > 0 {
		r.errorf(Pos{le.ContextMark.Line, le.ContextMark.Column}, "not YAML: nothing ends what begins here; a closing quote or bracket was expected")
		return
	}
	if le.ContextMsg != "" {
		message += " " + le.ContextMsg
		if le.ContextMark.Line > 0 && le.ContextMark.Line != le.Mark.Line {
			message += fmt.Sprintf(" that begins in line %d", le.ContextMark.Line)
		}
	}
	r.errorf(Pos{mark.Line, mark.Column}, "not YAML: %s%s", message, yamlRemedy(le.Message))
}

// yamlRemedy says what usually helps against an error of the YAML library.
func yamlRemedy(message string) string {
	switch {
	case strings.Contains(message, "mapping values are not allowed"):
		return "; a text with \": \" in it needs quotes, and keys of one mapping the same indentation"
	case strings.Contains(message, "did not find expected ',' or"):
		return "; a text with { } [ ] or , in it needs quotes inside { } and [ ]"
	case strings.Contains(message, "did not find expected key"), strings.Contains(message, "did not find expected '-'"):
		return "; keys of one mapping and entries of one list need the same indentation"
	case strings.Contains(message, "cannot start any token"):
		return "; a text that begins with this character needs quotes"
	case strings.Contains(message, "escape"):
		return "; in double quotes a backslash is written \\\\"
	}
	return "; one YAML 1.2 document was expected"
}

// converter makes our nodes of the library's and refuses what the language
// leaves out.
type converter struct {
	src    *source
	r      *reporter
	count  int
	failed bool // the tree is not whole
	full   bool // the file holds more than is read
}

func (c *converter) convert(y *yaml.Node, depth int) *node {
	n := &node{at: Pos{y.Line, y.Column}, src: c.src}
	n.start = c.src.offset(n.at)
	n.end = n.start
	if c.count++; c.count > maxNodes || depth > maxDepth {
		if !c.full {
			c.r.errorf(n.at, "too much in one file; a playbook has at most %d values, nested at most %d deep", maxNodes, maxDepth)
		}
		c.failed, c.full = true, true
		return n
	}
	c.refuse(y, n.at)
	switch y.Kind {
	case yaml.MappingNode:
		c.mapping(y, n, depth)
	case yaml.SequenceNode:
		n.kind = listNode
		for _, item := range y.Content {
			n.items = append(n.items, c.convert(item, depth+1))
		}
		if len(n.items) > 0 {
			n.end = n.items[len(n.items)-1].end
		}
	default:
		c.scalar(y, n)
	}
	if y.Style&yaml.FlowStyle != 0 {
		n.style = flowStyle
	}
	return n
}

// refuse reports what YAML has and playbooks have not.
func (c *converter) refuse(y *yaml.Node, at Pos) {
	switch {
	case y.Kind == yaml.AliasNode:
		c.r.errorf(at, "an alias (*%s); write the value out, playbooks have no anchors or aliases", y.Value)
		c.failed = true
	case y.Anchor != "":
		c.r.errorf(at, "an anchor (&%s); leave it out, playbooks have no anchors or aliases", y.Anchor)
		c.failed = true
	case y.Style&yaml.TaggedStyle != 0, y.Tag == "!":
		c.r.errorf(at, "a tag (%s); leave it out, playbooks have no tags: quotes make a text", y.Tag)
		c.failed = true
	}
}

func (c *converter) mapping(y *yaml.Node, n *node, depth int) {
	n.kind = objectNode
	seen := map[string]*node{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		key := c.convert(y.Content[i], depth+1)
		value := c.convert(y.Content[i+1], depth+1)
		n.end = max(n.end, value.end, key.end)
		if c.full {
			return // what is left is not read
		}
		switch first := seen[key.text]; {
		case key.kind != scalarNode:
			c.r.errorf(key.at, "%s as a key; a key is a text", nodeKindNames[key.kind])
			continue
		case key.text == "<<" && key.style == plainStyle:
			c.r.errorf(key.at, "a merge key (<<); write the keys out, playbooks have no merge keys")
			continue
		case first != nil:
			c.r.errorf(key.at, "duplicate key %s; the first one is in line %d", quoted(key.text), first.at.Line)
			continue
		}
		seen[key.text] = key
		n.pairs = append(n.pairs, &pair{key: key, value: value})
	}
}

func (c *converter) scalar(y *yaml.Node, n *node) {
	n.kind = scalarNode
	n.text = y.Value
	switch {
	case y.Style&yaml.SingleQuotedStyle != 0:
		n.style = singleStyle
	case y.Style&yaml.DoubleQuotedStyle != 0:
		n.style = doubleStyle
	case y.Style&yaml.LiteralStyle != 0:
		n.style = literalStyle
	case y.Style&yaml.FoldedStyle != 0:
		n.style = foldedStyle
	}
	if places := locate(n); len(places) > 0 {
		n.end = places[len(places)-1]
	}
	if n.style != plainStyle {
		n.data = n.text
		return
	}
	data, problem := resolve(n.text)
	if problem != "" {
		c.r.errorf(n.at, "%s", problem)
	}
	n.data = data
}

var (
	wholeNumber = regexp.MustCompile(`^[-+]?[0-9]+$`)
	baseNumber  = regexp.MustCompile(`^0(o[0-7]+|x[0-9a-fA-F]+)$`)
	realNumber  = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	noNumber    = regexp.MustCompile(`^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$`)
)

// resolve gives a scalar without quotes its type, by the core schema of YAML
// 1.2: yes, no, on and off are texts.
func resolve(text string) (data any, problem string) {
	switch text {
	case "", "~", "null", "Null", "NULL":
		return nil, ""
	case "true", "True", "TRUE":
		return true, ""
	case "false", "False", "FALSE":
		return false, ""
	}
	if c := text[0]; c != '-' && c != '+' && c != '.' && (c < '0' || c > '9') {
		return text, ""
	}
	switch {
	case wholeNumber.MatchString(text):
		i, err := strconv.Atoi(text)
		if err != nil {
			return 0, fmt.Sprintf("the number %s is too large to be kept exactly; put it in quotes", quoted(text))
		}
		return i, ""
	case baseNumber.MatchString(text):
		i, err := strconv.ParseInt(text, 0, 64)
		if err != nil {
			return 0, fmt.Sprintf("the number %s is too large to be kept exactly; put it in quotes", quoted(text))
		}
		return int(i), ""
	case realNumber.MatchString(text):
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(f, 0) {
			return 0, fmt.Sprintf("the number %s is too large; put it in quotes", quoted(text))
		}
		return f, ""
	case noNumber.MatchString(text):
		return 0, fmt.Sprintf("%s is no number that JSON knows; leave it out or put it in quotes", text)
	}
	return text, ""
}
