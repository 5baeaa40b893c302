package playbook

import "strings"

// Parse reads a file and holds it against the grammar. The tree is nil when the
// file is no YAML at all; otherwise it holds what could be read, and is whole
// when no diagnostic is an error. file only names the file in messages.
func Parse(file string, src []byte) (*Playbook, []Diagnostic) {
	r := &reporter{file: file}
	p := parse(file, src, r)
	return p, r.sorted()
}

func parse(file string, text []byte, r *reporter) *Playbook {
	src := newSource(strings.TrimPrefix(string(text), "\uFEFF"))
	if !src.checkText(r) {
		return nil
	}
	root := readNodes(src, r)
	if root == nil {
		return nil
	}
	d := decoder{g: grammar, r: r}
	d.visit(root, grammar.playbook, "the playbook")
	b := builder{g: grammar}
	p := b.playbook(root)
	p.File = file
	return p
}
