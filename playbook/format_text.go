package playbook

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// textPlace is where a text stands: it decides which ones need quotes.
type textPlace uint8

const (
	blockPlace textPlace = iota // after "key: " or "- "
	flowPlace                   // inside [ ] or { }
	keyPlace
)

// scalar writes a scalar: what stands on the line of its key, and the lines
// after it where it goes over several.
func (f *formatter) scalar(n *node, s *shape, indent int) (head, body string) {
	if n.style == literalStyle || n.style == foldedStyle {
		if s.expression() {
			if inner, _, ok := unwrap(n.text); ok && !strings.Contains(strings.TrimSpace(inner), "\n") {
				return quoteText(strings.TrimSpace(inner), blockPlace), ""
			}
		}
		if head, body, ok := blockText(n, indent); ok && reads(head, body, n.text) {
			return head, body
		}
	}
	if n.style == plainStyle && n.isText() && !s.expression() {
		if body, ok := foldedText(n, indent); ok && reads(">-", body, n.text) {
			return ">-", body
		}
	}
	return f.oneLine(n, s, blockPlace), ""
}

// reads tells whether a block scalar reads as a text: blanks at odd places may
// mean something in one layout and nothing in another.
func reads(head, body, text string) bool {
	n := readNodes(newSource("k: "+head+"\n"+body), &reporter{})
	return n != nil && len(n.pairs) == 1 && n.pairs[0].value.text == text
}

// oneLine writes a scalar in one line.
func (f *formatter) oneLine(n *node, s *shape, at textPlace) string {
	if s.expression() && !n.isNull() {
		if text := bare(n); text != "" {
			return quoteExpr(text, n, at)
		}
	}
	switch v := n.data.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprint(v)
	case string:
		return quoteText(v, at)
	}
	return n.text // a number, as it was written
}

// quoteExpr writes an expression; one that was a number or a boolean stays so.
func quoteExpr(text string, n *node, at textPlace) string {
	if !n.isText() {
		return n.text
	}
	return quoteText(text, at)
}

// blockText writes a block scalar again with its own line breaks.
func blockText(n *node, indent int) (head, body string, ok bool) {
	raw := strings.ReplaceAll(strings.ReplaceAll(n.src.text[n.start:], "\r\n", "\n"), "\r", "\n")
	first, rest, _ := strings.Cut(raw, "\n")
	header, _, _ := strings.Cut(first, " ")
	lines := rawBlock(rest, n.text)
	least := -1
	for _, l := range lines {
		if trimmed := strings.TrimLeft(l, " "); trimmed != "" && (least < 0 || len(l)-len(trimmed) < least) {
			least = len(l) - len(trimmed)
		}
	}
	if least < 0 || strings.ContainsAny(header, "123456789") || strings.Contains(header, "+") {
		return "", "", false
	}
	var b strings.Builder
	for _, l := range lines {
		if strings.Trim(l, " ") != "" {
			b.WriteString(strings.Repeat(" ", indent) + l[least:])
		}
		b.WriteByte('\n')
	}
	// A text that ends without a line break says so, even if only the file's end
	// cut it off.
	if head = header[:1]; !strings.HasSuffix(n.text, "\n") {
		head += "-"
	}
	return head, b.String(), true
}

// rawBlock takes the lines of a block scalar from what follows its header: as
// many as are indented, without empty ones at the end.
func rawBlock(rest, text string) []string {
	var lines []string
	indent := -1
	for line := range strings.SplitSeq(rest, "\n") {
		trimmed := strings.TrimLeft(line, " ")
		width := len(line) - len(trimmed)
		switch {
		case strings.Trim(line, " \t") == "" && indent < 0, strings.Trim(line, " ") == "":
			lines = append(lines, "")
			continue
		case indent < 0:
			indent = width
		}
		if width < indent {
			break
		}
		lines = append(lines, line)
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	if text == "" {
		return nil
	}
	return lines
}

// foldedText writes a text without quotes that goes over several lines as a
// folded block with the same line breaks.
func foldedText(n *node, indent int) (body string, ok bool) {
	raw := n.src.text[n.start:n.end]
	if !strings.ContainsAny(raw, "\r\n") {
		return "", false
	}
	raw = strings.ReplaceAll(strings.ReplaceAll(raw, "\r\n", "\n"), "\r", "\n")
	var b strings.Builder
	for line := range strings.SplitSeq(raw, "\n") {
		if line = strings.Trim(line, " \t"); line != "" {
			b.WriteString(strings.Repeat(" ", indent) + line)
		}
		b.WriteByte('\n')
	}
	return b.String(), true
}

// quoteText writes a text in one line, with quotes only where they are needed.
func quoteText(text string, at textPlace) string {
	switch {
	case plainText(text, at):
		return text
	case strings.ContainsAny(text, `"\`) && printable(text):
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	return doubleQuoted(text)
}

// plainText tells whether a text means itself without quotes.
func plainText(text string, at textPlace) bool {
	if text == "" || !printable(text) || strings.TrimSpace(text) != text {
		return false
	}
	if data, problem := resolve(text); problem != "" || data != any(text) {
		return at == keyPlace && text != "" && keyWord(text)
	}
	if strings.ContainsRune("#,[]{}&*!|>'\"%@`", rune(text[0])) || text == "<<" || text == "=" ||
		strings.HasPrefix(text, "---") || strings.HasPrefix(text, "...") {
		return false
	}
	if strings.ContainsRune("-?:", rune(text[0])) && (len(text) == 1 || strings.IndexByte(" \t,[]{}", text[1]) >= 0) {
		return false
	}
	if strings.Contains(text, ": ") || strings.Contains(text, ":\t") || strings.HasSuffix(text, ":") ||
		strings.Contains(text, " #") || strings.Contains(text, "\t#") {
		return false
	}
	return at == blockPlace || !strings.ContainsAny(text, ",[]{}") && strings.IndexByte("?:", text[0]) < 0 && !strings.Contains(text, "::")
}

// keyWord tells whether a number or word may stand as a key without quotes: keys
// are texts in any case.
func keyWord(text string) bool {
	return strings.Trim(text, "0123456789abcdefghijklmnopqrstuvwxyz") == ""
}

// printable tells whether a text has only characters that YAML takes as they
// are in one line.
func printable(text string) bool {
	for _, c := range text {
		if c < ' ' || c >= 0x7f && c < 0xa0 || c == '\u2028' || c == '\u2029' || c == '\uFEFF' || c == utf8.RuneError ||
			c >= 0xD800 && c < 0xE000 || c == 0xFFFE || c == 0xFFFF {
			return false
		}
	}
	return true
}

// doubleQuoted writes a text in double quotes.
func doubleQuoted(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == '\r':
			b.WriteString(`\r`)
		case !printable(string(c)) && c > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, c)
		case !printable(string(c)):
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
