package mail

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// breaks are the elements that begin a new line.
var breaks = map[atom.Atom]bool{
	atom.Br: true, atom.P: true, atom.Div: true, atom.Tr: true, atom.Li: true, atom.H1: true, atom.H2: true, atom.H3: true, atom.H4: true,
	atom.H5: true, atom.H6: true, atom.Table: true, atom.Ul: true, atom.Ol: true, atom.Blockquote: true, atom.Hr: true, atom.Pre: true, atom.Title: true,
}

// leads names the attributes that lead somewhere.
var leads = map[atom.Atom]string{
	atom.A: "href", atom.Area: "href", atom.Base: "href", atom.Link: "href", atom.Img: "src", atom.Iframe: "src", atom.Embed: "src",
	atom.Object: "data", atom.Form: "action", atom.Button: "formaction", atom.Input: "src", atom.Script: "src", atom.Source: "src",
	atom.Video: "src", atom.Audio: "src",
}

// readHTML gives the text of HTML as somebody reads it, and where it leads to.
// Nothing is fetched.
func readHTML(src string, mostLinks int) (text string, links []Link) {
	z := html.NewTokenizer(strings.NewReader(src))
	z.SetMaxBuf(1 << 20)
	h := &htmlReader{most: mostLinks, seen: map[Link]bool{}}
	for {
		switch z.Next() {
		case html.ErrorToken:
			h.endLink()
			return h.String(), h.links
		case html.TextToken:
			h.textToken(string(z.Text()))
		case html.StartTagToken, html.SelfClosingTagToken:
			h.start(z)
		case html.EndTagToken:
			name, _ := z.TagName()
			h.end(atom.Lookup(name))
		default:
		}
	}
}

type htmlReader struct {
	b      strings.Builder
	blank  bool // white space is owed
	hidden int  // inside script, style
	links  []Link
	open   *Link // an <a> whose text is being read
	words  strings.Builder
	most   int
	seen   map[Link]bool
}

func (h *htmlReader) String() string { return strings.TrimSpace(h.b.String()) }

func (h *htmlReader) textToken(s string) {
	if h.hidden > 0 {
		return
	}
	for i, word := range strings.FieldsFunc(s, isSpace) {
		if (i > 0 || h.blank || isSpace(rune(s[0]))) && h.b.Len() > 0 && !strings.HasSuffix(h.b.String()[max(0, h.b.Len()-1):], "\n") {
			h.b.WriteByte(' ')
		}
		h.blank = false
		h.b.WriteString(word)
		if h.open != nil && h.words.Len() < 300 {
			if h.words.Len() > 0 {
				h.words.WriteByte(' ')
			}
			h.words.WriteString(word)
		}
	}
	if s != "" && isSpace(rune(s[len(s)-1])) {
		h.blank = true
	}
}

func isSpace(r rune) bool {
	return r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == '\f' || r == 0xa0 || r == 0x200b || r == 0x200c || r == 0xfeff
}

func (h *htmlReader) newLine() {
	h.blank = false
	if n := h.b.Len(); n > 0 && h.b.String()[n-1] != '\n' {
		h.b.WriteByte('\n')
	}
}

func (h *htmlReader) start(z *html.Tokenizer) {
	name, more := z.TagName()
	tag := atom.Lookup(name)
	if breaks[tag] {
		h.newLine()
	}
	if tag == atom.Td || tag == atom.Th {
		h.blank = true
	}
	if tag == atom.Script || tag == atom.Style {
		h.hidden++
	}
	want := leads[tag]
	refresh, content := false, ""
	for more {
		var key, value []byte
		key, value, more = z.TagAttr()
		switch {
		case want != "" && string(key) == want:
			h.lead(tag, string(value))
		case tag == atom.Meta && string(key) == "http-equiv":
			refresh = strings.EqualFold(string(value), "refresh")
		case tag == atom.Meta && string(key) == "content":
			content = string(value)
		}
	}
	if refresh {
		if i := strings.Index(strings.ToLower(content), "url="); i >= 0 {
			h.lead(tag, strings.Trim(content[i+4:], "'\" "))
		}
	}
}

func (h *htmlReader) end(tag atom.Atom) {
	switch tag {
	case atom.A:
		h.endLink()
	case atom.Script, atom.Style:
		if h.hidden > 0 {
			h.hidden--
		}
	default:
	}
	if breaks[tag] {
		h.newLine()
	}
}

// lead notes where an element leads to.
func (h *htmlReader) lead(tag atom.Atom, address string) {
	address = strings.Map(func(r rune) rune { // browsers leave these out
		if r == '\n' || r == '\r' || r == '\t' {
			return -1
		}
		return r
	}, strings.TrimSpace(address))
	low := strings.ToLower(address[:min(len(address), 12)])
	if address == "" || len(address) > 8192 || strings.HasPrefix(low, "#") || strings.HasPrefix(low, "data:") || strings.HasPrefix(low, "cid:") {
		return
	}
	if tag == atom.A {
		h.endLink()
		h.open = &Link{URL: address, From: "a"}
		h.words.Reset()
		return
	}
	h.add(Link{URL: address, From: tag.String()})
}

func (h *htmlReader) endLink() {
	if h.open == nil {
		return
	}
	h.open.Text = cutText(h.words.String(), 300)
	h.add(*h.open)
	h.open = nil
}

func (h *htmlReader) add(l Link) {
	if !h.seen[l] && len(h.links) < h.most {
		h.seen[l] = true
		h.links = append(h.links, l)
	}
}
