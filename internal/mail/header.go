package mail

import (
	"bytes"
	"strings"
	"time"
)

// field is a header as it came, unfolded.
type field struct {
	name  string
	value []byte
}

// cutHeaders parts the headers from the body. Lines that are no headers are left
// out: some senders write junk between them. Without an empty line everything
// that looks like a header is one.
func cutHeaders(raw []byte) (fields []field, body []byte, junk bool) {
	first := true
	for len(raw) > 0 {
		line, rest := cutLine(raw)
		if len(line) == 0 {
			return fields, rest, junk
		}
		switch {
		case line[0] == ' ' || line[0] == '\t':
			if n := len(fields); n > 0 {
				f := &fields[n-1]
				if len(f.value)+len(line) <= MaxHeaderBytes {
					f.value = append(append(f.value, ' '), bytes.TrimLeft(line, " \t")...)
				}
			} else if len(bytes.TrimSpace(line)) == 0 {
				return fields, rest, junk // an empty line with blanks before any header
			}
		case first && bytes.HasPrefix(line, []byte("From ")): // of an mbox
		case first && bytes.HasPrefix(line, []byte(">From ")):
		default:
			name, value, ok := cutField(line)
			switch {
			case ok && len(fields) < MaxHeaders:
				if len(value) > MaxHeaderBytes {
					value = value[:MaxHeaderBytes]
				}
				fields = append(fields, field{name, bytes.Clone(value)})
			case bytes.HasPrefix(line, []byte("--")) && len(fields) > 0:
				return fields, raw, true // a boundary: the empty line is missing
			default:
				junk = true
			}
		}
		first = false
		raw = rest
	}
	return fields, nil, junk
}

// cutLine takes a line that ends with CRLF, LF or the end.
func cutLine(b []byte) (line, rest []byte) {
	n := bytes.IndexByte(b, '\n')
	if n < 0 {
		return bytes.TrimRight(b, "\r"), nil
	}
	return bytes.TrimRight(b[:n], "\r"), b[n+1:]
}

func cutField(line []byte) (name string, value []byte, ok bool) {
	n := bytes.IndexByte(line, ':')
	if n <= 0 {
		return "", nil, false
	}
	key := bytes.TrimRight(line[:n], " \t")
	if len(key) == 0 || len(key) > 200 {
		return "", nil, false
	}
	for _, c := range key {
		if c <= ' ' || c >= 0x7f {
			return "", nil, false
		}
	}
	return string(key), bytes.TrimSpace(line[n+1:]), true
}

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }

// get is the first value of a header.
func get(fields []field, name string) []byte {
	for i := range fields {
		if equalFold(fields[i].name, name) {
			return fields[i].value
		}
	}
	return nil
}

// headers fills in what stands in the headers of a mail.
func (r *reader) headers(m *Message, fields []field) {
	seen := map[string]bool{}
	for _, f := range fields {
		value := decodeWords(f.value)
		m.Headers = append(m.Headers, Header{Name: f.name, Value: value})
		name := strings.ToLower(f.name)
		switch name {
		case "received":
			if len(m.Received) < 100 {
				m.Received = append(m.Received, parseHop(value))
			}
		case "authentication-results":
			if m.Authentication == nil {
				m.Authentication = parseAuthentication(value)
			}
		case "delivered-to", "x-original-to", "envelope-to":
			if a := parseAddresses(f.value); len(a) > 0 && a[0].Address != "" && len(m.DeliveredTo) < 20 {
				m.DeliveredTo = append(m.DeliveredTo, a[0].Address)
			}
		case "to":
			m.To = append(m.To, parseAddresses(f.value)...)
		case "cc":
			m.Cc = append(m.Cc, parseAddresses(f.value)...)
		}
		if strings.TrimSpace(value) == "" {
			continue // a later one may say more
		}
		if seen[name] {
			if name == "from" || name == "subject" || name == "message-id" || name == "content-type" {
				r.defect(m, "the header "+name+" is there more than once")
			}
			continue
		}
		seen[name] = true
		switch name {
		case "message-id":
			m.MessageID = messageID(value)
		case "in-reply-to":
			m.InReplyTo = messageID(value)
		case "subject":
			m.Subject = strings.TrimSpace(value)
		case "date":
			m.Date = parseDate(value)
		case "from":
			m.From = parseAddresses(f.value)
		case "sender":
			m.Sender = parseAddresses(f.value)
		case "reply-to":
			m.ReplyTo = parseAddresses(f.value)
		case "return-path":
			m.ReturnPath = strings.Trim(value, "<> \t")
		}
	}
}

// messageID takes the first id without its brackets.
func messageID(s string) string {
	if i := strings.IndexByte(s, '<'); i >= 0 {
		if j := strings.IndexByte(s[i:], '>'); j > 0 {
			return strings.TrimSpace(s[i+1 : i+j])
		}
	}
	s, _, _ = strings.Cut(strings.TrimSpace(s), " ")
	return strings.Trim(s, "<>")
}

// dateForms are how dates are written; RFC 5322 and what is met besides.
var dateForms = []string{
	"Mon, 2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04:05 MST", "2 Jan 2006 15:04:05 MST",
	"Mon, 2 Jan 2006 15:04 -0700", "2 Jan 2006 15:04 -0700", "Mon, 2 Jan 06 15:04:05 -0700", "2 Jan 06 15:04:05 -0700",
	"Mon, 2 Jan 06 15:04:05 MST", "Mon Jan 2 15:04:05 2006 -0700", "Mon Jan 2 15:04:05 2006", "Mon Jan 2 15:04:05 MST 2006",
	"Mon, 2 Jan 2006 15:04:05", "2 Jan 2006 15:04:05", time.RFC3339, "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05",
	"Mon, 2 January 2006 15:04:05 -0700", "Monday, 2 January 2006 15:04:05 -0700", "Monday, 2 Jan 2006 15:04:05 -0700",
}

// parseDate reads a date; zero where it cannot be read.
func parseDate(s string) time.Time {
	s = strings.Join(strings.Fields(dropComments(s)), " ")
	s = strings.ReplaceAll(s, " GMT", " +0000")
	s = strings.ReplaceAll(s, " UTC", " +0000")
	if strings.HasSuffix(s, " UT") || strings.HasSuffix(s, " Z") {
		s = s[:strings.LastIndexByte(s, ' ')] + " +0000"
	}
	if len(s) > 80 {
		return time.Time{}
	}
	for _, form := range dateForms {
		t, err := time.Parse(form, s)
		if err == nil && t.Year() > 1900 && t.Year() < 9999 {
			return t.UTC()
		}
	}
	return time.Time{}
}

// dropComments takes (comments) out of a text, also nested ones.
func dropComments(s string) string {
	if !strings.ContainsRune(s, '(') {
		return s
	}
	var b strings.Builder
	depth := 0
	for _, c := range s {
		switch {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth == 0:
			b.WriteRune(c)
		}
	}
	return b.String()
}
