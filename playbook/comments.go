package playbook

import (
	"slices"
	"sort"
	"strings"
)

// comment is one comment of the file.
type comment struct {
	at   Pos
	off  int
	text string // from the #, without white space at the end
	own  bool   // nothing else stands on its line
}

// comments finds all comments of a file: every # after white space that is in no
// scalar.
func comments(src *source, root *node) []comment {
	spans := scalarSpans(root, nil)
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	var all []comment
	text := src.text
	for i, next := 0, 0; i < len(text); i++ {
		for next < len(spans) && spans[next].to <= i {
			next++
		}
		if next < len(spans) && spans[next].from <= i {
			i = spans[next].to - 1
			continue
		}
		if text[i] != '#' || i > 0 && strings.IndexByte(" \t\r\n", text[i-1]) < 0 {
			continue
		}
		end := i + len(text[i:])
		if eol := strings.IndexAny(text[i:], "\r\n"); eol >= 0 {
			end = i + eol
		}
		at := src.pos(i)
		before := text[src.lines[at.Line-1]:i]
		all = append(all, comment{
			at: at, off: i, text: strings.TrimRight(text[i:end], " \t"), own: strings.Trim(before, " \t") == "",
		})
		i = end
	}
	return all
}

type span struct{ from, to int }

// scalarSpans lists where the scalars stand. The first line of a block scalar
// is not part of its span: a comment may follow the > there.
func scalarSpans(n *node, spans []span) []span {
	switch n.kind {
	case listNode:
		for _, item := range n.items {
			spans = scalarSpans(item, spans)
		}
	case objectNode:
		for _, p := range n.pairs {
			spans = scalarSpans(p.value, scalarSpans(p.key, spans))
		}
	default:
		from := n.start
		if n.style == literalStyle || n.style == foldedStyle {
			if eol := strings.IndexAny(n.src.text[from:], "\r\n"); eol >= 0 {
				from += eol
			}
		}
		if n.end > from {
			spans = append(spans, span{from, n.end})
		}
	}
	return spans
}

// notes is what stands around an entry of a list or mapping beside its text.
type notes struct {
	blank bool     // an empty line before it (and its comments)
	head  []string // comments on lines of their own before it; "" is an empty line
	line  string   // a comment at the end of its line
}

// entry is one pair of a mapping or one item of a list, in block style.
type blockEntry struct {
	off    int
	column int
	notes  *notes
	of     *node // the collection that it is in
}

// annotated is a tree whose entries know their comments.
type annotated struct {
	pairs map[*pair]*notes
	items map[*node]*notes
	tails map[*node][]string // of collections: comments after the last entry
	head  []string           // of the file, apart from its first entry
	inner map[*node]bool     // flow collections with comments inside
}

// annotate gives every comment and every empty line to the entry it belongs to.
func annotate(src *source, root *node) *annotated {
	a := &annotated{pairs: map[*pair]*notes{}, items: map[*node]*notes{}, tails: map[*node][]string{}, inner: map[*node]bool{}}
	var entries []blockEntry
	all := comments(src, root)
	a.markInner(root, all)
	a.collect(root, &entries)
	sort.SliceStable(entries, func(i, j int) bool { return entries[i].off < entries[j].off })
	pending := map[*notes][]comment{}
	if len(entries) == 0 { // a file without keys, such as an empty mapping
		for _, c := range all {
			a.head = append(a.head, c.text)
		}
		return a
	}
	for _, c := range all {
		next := sort.Search(len(entries), func(i int) bool { return entries[i].off > c.off })
		switch {
		case !c.own && next > 0:
			a.trailing(entries, next-1, c)
		case next < len(entries) && entries[next].column >= c.at.Column || next == 0:
			n := entries[min(next, len(entries)-1)].notes
			pending[n] = append(pending[n], c)
		default:
			a.tail(entries[next-1].of, c, root)
		}
	}
	for i, e := range entries {
		a.before(src, e, pending[e.notes], i == 0)
	}
	return a
}

func (a *annotated) collect(n *node, entries *[]blockEntry) {
	if a.flow(n) {
		return
	}
	for _, p := range n.pairs {
		note := &notes{}
		a.pairs[p] = note
		*entries = append(*entries, blockEntry{p.key.start, p.key.at.Column, note, n})
		a.collect(p.value, entries)
	}
	for _, item := range n.items {
		note := &notes{}
		a.items[item] = note
		off := n.dash(item)
		*entries = append(*entries, blockEntry{off, n.src.pos(off).Column, note, n})
		a.collect(item, entries)
	}
}

// flow tells whether a collection is written in one line: it was, and nothing
// in it needs a line of its own.
func (a *annotated) flow(n *node) bool {
	return n.kind != scalarNode && n.style == flowStyle && !a.inner[n]
}

// dash finds where an item of a list begins: at its -, in block style.
func (n *node) dash(item *node) int {
	if n.style == flowStyle {
		return item.start
	}
	for line := item.at.Line; line >= n.at.Line; line-- {
		off := n.src.offset(Pos{line, n.at.Column})
		if off <= item.start && off < len(n.src.text) && n.src.text[off] == '-' && !strings.Contains(n.src.text[n.src.lines[line-1]:off], "#") {
			return off
		}
	}
	return item.start
}

// markInner finds flow collections that go over several lines or hold comments;
// they are written in block style so that the comments keep their place.
func (a *annotated) markInner(n *node, all []comment) {
	for _, p := range n.pairs {
		a.markInner(p.value, all)
	}
	for _, item := range n.items {
		a.markInner(item, all)
	}
	if n.kind == scalarNode || n.style != flowStyle || n.end == n.start {
		return
	}
	a.inner[n] = n.src.pos(n.end).Line > n.at.Line || slices.ContainsFunc(all, func(c comment) bool { return c.off > n.start && c.off < n.end })
}

// trailing gives a comment to the entry on whose line it stands.
func (a *annotated) trailing(entries []blockEntry, i int, c comment) {
	n := entries[i].notes
	if n.line != "" {
		n.head = append(n.head, c.text)
		return
	}
	n.line = c.text
}

// tail gives a comment to the innermost collection that is not indented more.
func (a *annotated) tail(from *node, c comment, root *node) {
	best := root
	for _, n := range path(root, from) {
		if n.column() <= c.at.Column {
			best = n
		}
	}
	if root.src.emptyLine(c.at.Line - 1) {
		a.tails[best] = append(a.tails[best], "")
	}
	a.tails[best] = append(a.tails[best], c.text)
}

// column is where the entries of a collection begin.
func (n *node) column() int {
	switch {
	case len(n.pairs) > 0:
		return n.pairs[0].key.at.Column
	case len(n.items) > 0:
		return n.src.pos(n.dash(n.items[0])).Column
	}
	return n.at.Column
}

// path lists the collections from root to a node, both included.
func path(root, to *node) []*node {
	if root == to {
		return []*node{root}
	}
	children := slices.Clone(root.items)
	for _, p := range root.pairs {
		children = append(children, p.value)
	}
	for _, child := range children {
		if child.kind == scalarNode || to.start < child.start || to.end > child.end {
			continue
		}
		if rest := path(child, to); rest != nil {
			return append([]*node{root}, rest...)
		}
	}
	return nil
}

// before fills in the comments and empty lines before an entry.
func (a *annotated) before(src *source, e blockEntry, own []comment, first bool) {
	line := src.pos(e.off).Line
	var lines []string
	last := line
	for _, c := range slices.Backward(own) {
		if last-c.at.Line > 1 {
			lines = append(lines, "")
		}
		lines = append(lines, c.text)
		last = c.at.Line
	}
	slices.Reverse(lines)
	e.notes.head = append(lines, e.notes.head...)
	e.notes.blank = src.emptyLine(last - 1)
	if first {
		a.splitHead(e.notes)
	}
}

// splitHead takes what stands before the last empty line at the top of the file
// as the file's own comment.
func (a *annotated) splitHead(n *notes) {
	for i := len(n.head) - 1; i >= 0; i-- {
		if n.head[i] == "" {
			a.head, n.head = n.head[:i], n.head[i+1:]
			return
		}
	}
}

// emptyLine tells whether a line holds nothing.
func (s *source) emptyLine(line int) bool {
	if line < 1 || line > len(s.lines) {
		return false
	}
	end := len(s.text)
	if line < len(s.lines) {
		end = s.lines[line]
	}
	return strings.TrimSpace(s.text[s.lines[line-1]:end]) == ""
}
