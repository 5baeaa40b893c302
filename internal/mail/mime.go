package mail

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// message reads a mail that lies at a depth of parts.
func (r *reader) message(m *Message, raw []byte, depth int) {
	fields, body, junk := cutHeaders(raw)
	if junk {
		r.defect(m, "there are lines among the headers that are none")
	}
	if len(fields) == 0 {
		r.defect(m, "there are no headers")
	}
	r.headers(m, fields)
	b := &bodies{}
	r.part(m, b, fields, body, depth, defaultText)
	m.HTMLText = ""
	html := b.html.String()
	if html != "" {
		text, links := readHTML(html, MaxLinks-r.links)
		r.links += len(links)
		m.Links = links
		m.HTMLText = text
	}
	m.Text = strings.TrimSpace(b.text.String())
	if m.Text == "" {
		m.Text, m.HTMLText = m.HTMLText, ""
	}
}

// bodies collects the texts that people see.
type bodies struct{ text, html strings.Builder }

var defaultText = mediaType{full: "text/plain"}

// part reads one part of a mail: a text, an attachment, or parts again.
func (r *reader) part(m *Message, b *bodies, fields []field, body []byte, depth int, fallback mediaType) {
	if r.parts++; r.parts > MaxParts {
		r.defect(m, "there are more parts than are read")
		return
	}
	typ := fallback
	if v := get(fields, "content-type"); len(bytes.TrimSpace(v)) > 0 {
		if parsed, ok := parseMediaType(v); ok {
			typ = parsed
		} else {
			r.defect(m, "a content type cannot be read")
		}
	}
	encoding := string(get(fields, "content-transfer-encoding"))
	if strings.HasPrefix(typ.full, "multipart/") {
		if depth >= MaxDepth {
			r.defect(m, "parts lie deeper than is read")
			return
		}
		if r.multipart(m, b, typ, encoding, body, depth) {
			return
		}
		typ = defaultText // there are no parts in it: what is there is read as a text
		if looksLikeHTML(body) {
			typ.full = "text/html"
		}
	}
	disposition, params := "", map[string]string(nil)
	if d, ok := parseMediaType(get(fields, "content-disposition")); ok {
		disposition, params = d.full, d.params
	}
	name := first(params["filename"], typ.params["name"])
	decoded := decodeTransfer(encoding, body)
	if (typ.full == "text/plain" || typ.full == "text/html") && disposition != "attachment" && (name == "" || b.empty(typ.full)) {
		r.body(m, b, typ, decoded)
		if name == "" {
			return
		}
	}
	r.attach(m, typ, name, disposition == "inline", strings.Trim(string(get(fields, "content-id")), "<> "), decoded, depth)
}

func (b *bodies) empty(typ string) bool {
	if typ == "text/html" {
		return b.html.Len() == 0
	}
	return b.text.Len() == 0
}

// body adds a text to what people see.
func (r *reader) body(m *Message, b *bodies, typ mediaType, decoded []byte) {
	to, used := &b.text, &r.text
	if typ.full == "text/html" {
		to, used = &b.html, &r.html
	}
	room := MaxTextBytes - *used
	if room <= 0 {
		r.defect(m, "the text is cut at the most that is read")
		return
	}
	// No charset makes more than four bytes of one; what cannot fit is not decoded.
	if len(decoded) > 4*room {
		decoded = decoded[:4*room]
	}
	text := decodeCharset(typ.params["charset"], decoded)
	if len(text) > room {
		r.defect(m, "the text is cut at the most that is read")
		text = strings.ToValidUTF8(text[:room], "")
	}
	*used += len(text)
	if to.Len() > 0 {
		to.WriteString("\n")
	}
	to.WriteString(strings.ReplaceAll(text, "\r\n", "\n"))
}

// attach notes a part that is no text of the mail.
func (r *reader) attach(m *Message, typ mediaType, name string, inline bool, id string, decoded []byte, depth int) {
	if r.work += len(decoded); r.work > maxWork {
		r.defect(m, "attachments inside attachments are larger than is read")
		return
	}
	md, s1, s256 := md5.Sum(decoded), sha1.Sum(decoded), sha256.Sum256(decoded) // the hashes that products ask for
	a := Attachment{
		Name: cutText(strings.TrimSpace(name), 1000), Type: typ.full, Size: len(decoded), Inline: inline, ContentID: cutText(id, 500),
		MD5: hex.EncodeToString(md[:]), SHA1: hex.EncodeToString(s1[:]), SHA256: hex.EncodeToString(s256[:]),
	}
	if isMail(typ.full, a.Name, decoded) {
		if depth+1 >= MaxDepth {
			r.defect(m, "parts lie deeper than is read")
		} else {
			a.Message = &Message{}
			r.message(a.Message, decoded, depth+1)
		}
	}
	m.Attachments = append(m.Attachments, a)
}

// isMail tells whether an attachment is itself a mail. Clients attach mails that
// are reported as files, too.
func isMail(typ, name string, b []byte) bool {
	switch {
	case typ == "message/rfc822" || typ == "message/global" || typ == "text/rfc822-headers" || typ == "message/rfc822-headers":
		return len(b) > 0
	case !strings.HasSuffix(strings.ToLower(name), ".eml"):
		return false
	}
	fields, _, _ := cutHeaders(b[:min(len(b), 64<<10)])
	return get(fields, "from") != nil || get(fields, "received") != nil || get(fields, "subject") != nil
}

// multipart reads the parts of a part; false where its boundary is in none of its
// lines.
func (r *reader) multipart(m *Message, b *bodies, typ mediaType, encoding string, body []byte, depth int) bool {
	boundary := typ.params["boundary"]
	if boundary == "" {
		boundary = guessBoundary(body)
		r.defect(m, "a boundary is missing")
	}
	if boundary == "" {
		return false
	}
	parts, closed := cutParts(body, boundary)
	if len(parts) == 0 {
		// Nothing but parts may be encoded (RFC 2045, 6.4); some encode the whole.
		if decoded := decodeTransfer(encoding, body); len(decoded) > 0 && len(decoded) != len(body) {
			parts, closed = cutParts(decoded, boundary)
		}
	}
	if len(parts) == 0 {
		r.defect(m, "a boundary is in no line")
		return false
	}
	if !closed {
		r.defect(m, "the last part has no end")
	}
	fallback := defaultText
	if typ.full == "multipart/digest" {
		fallback = mediaType{full: "message/rfc822"}
	}
	for _, p := range parts {
		if r.parts >= MaxParts {
			r.defect(m, "there are more parts than are read")
			break
		}
		fields, inner := partHeaders(p)
		r.part(m, b, fields, inner, depth+1, fallback)
	}
	return true
}

// partHeaders parts a part: one that begins with an empty line has no headers,
// nor has one whose first line is none.
func partHeaders(p []byte) (fields []field, body []byte) {
	line, rest := cutLine(p)
	if len(line) == 0 {
		return nil, rest
	}
	if _, _, ok := cutField(line); !ok {
		return nil, p
	}
	fields, body, _ = cutHeaders(p)
	return fields, body
}

// cutParts cuts a body at the lines that are its boundary; closed tells whether
// the last of them says that it is.
func cutParts(body []byte, boundary string) (parts [][]byte, closed bool) {
	mark := []byte("--" + boundary)
	start := -1
	for at := 0; at < len(body); {
		n := bytes.Index(body[at:], mark)
		if n < 0 {
			break
		}
		n += at
		at = n + len(mark)
		if n > 0 && body[n-1] != '\n' {
			continue
		}
		line, rest := cutLine(body[at:])
		last := false
		tail := bytes.TrimRight(line, " \t")
		if bytes.HasPrefix(tail, []byte("--")) {
			last, tail = true, bytes.TrimSpace(tail[2:])
		}
		if len(tail) > 0 { // the beginning of another boundary
			continue
		}
		if start >= 0 {
			parts = append(parts, trimEnd(body[start:n]))
			if len(parts) > MaxParts {
				return parts, true
			}
		}
		if last {
			return parts, true
		}
		start = len(body) - len(rest)
		at = start
	}
	if start >= 0 && start <= len(body) {
		parts = append(parts, body[start:])
	}
	return parts, false
}

// trimEnd drops the end of line that belongs to the boundary after it.
func trimEnd(b []byte) []byte {
	b = bytes.TrimSuffix(b, []byte{'\n'})
	return bytes.TrimSuffix(b, []byte{'\r'})
}

// guessBoundary takes the first line that looks like one.
func guessBoundary(body []byte) string {
	for n := 0; n < 50 && len(body) > 0; n++ {
		line, rest := cutLine(body)
		body = rest
		line = bytes.TrimRight(line, " \t")
		if len(line) > 4 && len(line) < 200 && bytes.HasPrefix(line, []byte("--")) && !bytes.ContainsAny(line, " \t<") {
			return string(line[2:])
		}
	}
	return ""
}

func looksLikeHTML(b []byte) bool {
	head := bytes.ToLower(b[:min(len(b), 4096)])
	return bytes.Contains(head, []byte("<html")) || bytes.Contains(head, []byte("<body")) || bytes.Contains(head, []byte("<!doctype html"))
}

// cutText shortens a text to at most n bytes without breaking a character.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
