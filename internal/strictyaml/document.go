package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// MaxSizeBytes is how long a file may be.
const MaxSizeBytes = 4 << 20

const maxDepth = 100

// Document is one parsed file. Decode it, add what else is wrong with Errorf,
// and ask for all errors at the end with Err.
type Document struct {
	File string

	root *yaml.Node
	at   map[string]Pos // by path; mappings and lists, their entries and texts
	errs Errors
}

// Parse reads a file's text. What breaks the rules of the file, beyond YAML's
// own syntax, is collected; a text that is no YAML at all is an error at once.
func Parse(file string, data []byte) (*Document, error) {
	d := &Document{File: file, at: map[string]Pos{}}
	if len(data) > MaxSizeBytes {
		return nil, Errors{{File: file, What: fmt.Sprintf("the file has %d bytes", len(data)), Expected: fmt.Sprintf("at most %d are read", MaxSizeBytes)}}
	}
	if !utf8.Valid(data) {
		return nil, Errors{{File: file, Pos: invalidAt(data), What: "not UTF-8", Expected: "save the file as UTF-8"}}
	}
	if line, directive := Directive(string(data)); line > 0 {
		return nil, Errors{{File: file, Pos: Pos{line, 1}, What: "the directive " + directive, Expected: "leave it out: directives are not allowed"}}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var root yaml.Node
	if err := dec.Decode(&root); err != nil && !errors.Is(err, io.EOF) {
		return nil, Errors{d.syntax(err)}
	}
	if root.Kind != yaml.DocumentNode || len(root.Content) == 0 {
		return nil, Errors{{File: file, Pos: Pos{1, 1}, What: "the file is empty", Expected: "expected a mapping of keys and values"}}
	}
	d.root = root.Content[0]
	var second yaml.Node
	if err := dec.Decode(&second); err == nil {
		d.add(Pos{second.Line, second.Column}, "a second document begins here", "one file holds one document")
	} else if !errors.Is(err, io.EOF) {
		return nil, Errors{d.syntax(err)}
	}
	d.check(d.root, "", 0)
	return d, nil
}

// Root is the node that everything hangs on.
func (d *Document) Root() Node { return Node{doc: d, n: d.root} }

// Decode fills v, a pointer to a struct, from the whole document.
func (d *Document) Decode(v any) { d.Root().Decode(v) }

// Err is nil, or all that was found wrong, as Errors in the order of the text.
func (d *Document) Err() error {
	if len(d.errs) == 0 {
		return nil
	}
	return d.errs.sorted()
}

// Errorf adds an error at a path, a JSON pointer such as /actions/2/impact. A
// path that is not in the file gives the place of the nearest one above it.
func (d *Document) Errorf(path, expected, what string, args ...any) {
	d.add(d.At(path), fmt.Sprintf(what, args...), expected)
}

// At is where the value at a path begins, or the nearest one above it.
func (d *Document) At(path string) Pos {
	for {
		if p, ok := d.at[path]; ok {
			return p
		}
		cut := strings.LastIndexByte(path, '/')
		if cut < 0 {
			return Pos{1, 1}
		}
		path = path[:cut]
	}
}

func (d *Document) add(at Pos, what, expected string) {
	if len(d.errs) < 100 {
		d.errs = append(d.errs, &Error{File: d.File, Pos: at, What: what, Expected: expected})
	}
}

var atLine = regexp.MustCompile(`line (\d+)`)

// syntax turns the library's error into ours.
func (d *Document) syntax(err error) *Error {
	e := &Error{File: d.File, What: "not valid YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	var load *yaml.LoadError
	if errors.As(err, &load) && load.Mark.Line > 0 {
		e.Pos = Pos{load.Mark.Line, max(load.Mark.Column, 1)}
		e.What = "not valid YAML: " + load.Message
	} else if m := atLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1])
		e.Pos = Pos{line, 1}
	}
	return e
}

// Directive finds the first directive before a text's document, such as
// %YAML 1.1: it would change what plain words mean. line counts from 1 and is 0
// where there is none.
func Directive(text string) (line int, directive string) {
	n := 0
	for l := range strings.Lines(strings.TrimPrefix(text, "\uFEFF")) {
		n++
		l = strings.TrimRight(l, " \t\r\n")
		switch {
		case strings.HasPrefix(l, "%"):
			return n, l
		case strings.TrimLeft(l, " \t") != "" && !strings.HasPrefix(strings.TrimLeft(l, " \t"), "#"):
			return 0, ""
		}
	}
	return 0, ""
}

func invalidAt(data []byte) Pos {
	p := Pos{1, 1}
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 {
			break
		}
		if p.Column++; r == '\n' {
			p = Pos{p.Line + 1, 1}
		}
		data = data[size:]
	}
	return p
}

// keyMark after a path gives the place of its key.
const keyMark = "\x00"

// Has tells whether there is something at a path.
func (d *Document) Has(path string) bool {
	_, ok := d.at[path]
	return ok
}

// Join adds a key to a path.
func Join(path string, key any) string {
	s, ok := key.(string)
	if !ok {
		return fmt.Sprintf("%s/%v", path, key)
	}
	if strings.ContainsAny(s, "~/") {
		s = strings.NewReplacer("~", "~0", "/", "~1").Replace(s)
	}
	return path + "/" + s
}

// check walks the tree, notes where everything is and what breaks the rules.
func (d *Document) check(n *yaml.Node, path string, depth int) {
	here := Pos{n.Line, n.Column}
	if _, ok := d.at[path]; !ok {
		d.at[path] = here
	}
	if depth > maxDepth {
		d.add(here, "nested too deeply", fmt.Sprintf("at most %d levels", maxDepth))
		n.Kind, n.Content = yaml.ScalarNode, nil
		return
	}
	switch {
	case n.Kind == yaml.AliasNode:
		d.add(here, fmt.Sprintf("alias *%s", n.Value), "write the value out: anchors and aliases are not allowed")
		n.Kind, n.Alias = yaml.ScalarNode, nil
		return
	case n.Anchor != "":
		d.add(here, fmt.Sprintf("anchor &%s", n.Anchor), "remove it: anchors and aliases are not allowed")
	case n.Style&yaml.TaggedStyle != 0:
		d.add(here, fmt.Sprintf("tag %s", n.ShortTag()), "remove it: tags are not allowed; quotes make a text")
	}
	switch n.Kind {
	case yaml.MappingNode:
		d.checkKeys(n, path, depth)
	case yaml.SequenceNode:
		for i, c := range n.Content {
			d.check(c, Join(path, i), depth+1)
		}
	}
}

func (d *Document) checkKeys(n *yaml.Node, path string, depth int) {
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		here := Pos{k.Line, k.Column}
		switch {
		case k.Kind != yaml.ScalarNode:
			d.add(here, "a key that is no text", "keys are plain texts")
			continue
		case k.Tag == "!!merge":
			d.add(here, "merge key <<", "write the keys out: merging is not allowed")
			continue
		case k.Anchor != "" || k.Style&yaml.TaggedStyle != 0:
			d.add(here, fmt.Sprintf("anchor or tag on the key %q", k.Value), "remove it")
		case seen[k.Value] > 0:
			d.add(here, fmt.Sprintf("the key %q is here twice", k.Value), fmt.Sprintf("it is already on line %d", seen[k.Value]))
			continue
		}
		seen[k.Value] = k.Line
		sub := Join(path, k.Value)
		d.at[sub+keyMark] = here
		if v.Kind != yaml.ScalarNode && v.Style&yaml.FlowStyle == 0 && v.Kind != yaml.AliasNode {
			d.at[sub] = here // a block is found at its key, not a line below
		}
		if v.Kind == yaml.ScalarNode && v.Value == "" && v.Style == 0 && v.Line == 0 {
			v.Line, v.Column = k.Line, k.Column
		}
		d.check(v, sub, depth+1)
	}
}
