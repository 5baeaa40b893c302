package mail

import (
	"bytes"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// mediaType is a content type or disposition with its parameters.
type mediaType struct {
	full   string // in small letters
	params map[string]string
}

// parseMediaType reads text/plain; charset="utf-8" as leniently as it can:
// missing semicolons, quotes that are never closed, and names that are split or
// encoded (RFC 2231, RFC 2047). ok is false where there is nothing like a type.
func parseMediaType(value []byte) (t mediaType, ok bool) {
	s := string(bytes.TrimSpace(value))
	end := strings.IndexAny(s, "; \t\"(")
	if end < 0 {
		end = len(s)
	}
	t.full = strings.ToLower(strings.Trim(s[:end], "'<>,"))
	if t.full == "" || strings.Contains(t.full, "=") {
		return t, false
	}
	if strings.Count(t.full, "/") > 1 {
		t.full = strings.Join(strings.SplitN(t.full, "/", 3)[:2], "/")
	}
	if t.full == "text" {
		t.full = "text/plain"
	}
	raw := cutParams(s[end:])
	t.params = joinParams(raw)
	return t, true
}

const maxParams = 100

// cutParams reads name=value pairs.
func cutParams(s string) map[string]string {
	found := map[string]string{}
	for len(s) > 0 && len(found) < maxParams {
		s = strings.TrimLeft(s, "; \t\r\n,")
		if strings.HasPrefix(s, "(") {
			depth, i := 0, 0
			for ; i < len(s); i++ {
				if s[i] == '(' {
					depth++
				} else if s[i] == ')' {
					if depth--; depth == 0 {
						i++
						break
					}
				}
			}
			s = s[i:]
			continue
		}
		eq := strings.IndexByte(s, '=')
		semi := strings.IndexByte(s, ';')
		if eq < 0 {
			break
		}
		if semi >= 0 && semi < eq { // a word without a value
			s = s[semi+1:]
			continue
		}
		name := strings.ToLower(strings.TrimSpace(s[:eq]))
		if i := strings.LastIndexAny(name, " \t"); i >= 0 { // the semicolon is missing
			name = name[i+1:]
		}
		var value string
		value, s = cutValue(strings.TrimLeft(s[eq+1:], " \t"))
		if _, twice := found[name]; !twice && name != "" {
			found[name] = value
		}
	}
	return found
}

// cutValue reads a value, in quotes or not.
func cutValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexByte(s, ';')
		if end < 0 {
			end = len(s)
		}
		value = strings.TrimSpace(s[:end])
		// Without quotes a value ends at a blank, unless it is a file's name.
		if i := strings.IndexAny(value, " \t"); i >= 0 && strings.Contains(value[i:], "=") {
			return value[:i], s[i:]
		}
		return value, s[end:]
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			// A path of Windows is not meant to be escaped.
			if i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\') {
				i++
			}
			b.WriteByte(s[i])
		case '"':
			return b.String(), s[i+1:]
		default:
			b.WriteByte(s[i])
		}
	}
	// Never closed: it ends where a value without quotes would.
	end := strings.IndexByte(s, ';')
	if end < 0 {
		end = len(s)
	}
	return strings.Trim(s[:end], "\" \t"), s[end:]
}

// joinParams puts split values together and decodes them.
func joinParams(raw map[string]string) map[string]string {
	out := map[string]string{}
	type piece struct {
		n       int
		encoded bool
		text    string
	}
	split := map[string][]piece{}
	for name, value := range raw {
		base, mark, marked := strings.Cut(name, "*")
		if !marked {
			out[name] = decodeWords([]byte(value))
			continue
		}
		encoded := mark == "" || strings.HasSuffix(mark, "*")
		n, err := strconv.Atoi(strings.TrimSuffix(mark, "*"))
		if err != nil {
			n = 0
		}
		split[base] = append(split[base], piece{n, encoded, value})
	}
	for name, pieces := range split {
		sort.Slice(pieces, func(i, k int) bool { return pieces[i].n < pieces[k].n })
		var b []byte
		set := ""
		for i, p := range pieces {
			text := p.text
			if p.encoded {
				if i == 0 && strings.Count(text, "'") >= 2 {
					parts := strings.SplitN(text, "'", 3)
					set, text = parts[0], parts[2]
				}
				b = append(b, unescape(text)...)
				continue
			}
			b = append(b, text...)
		}
		out[name] = decodeCharset(set, b)
	}
	return out
}

// unescape reads %41; what is no escape stays.
func unescape(s string) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
			continue
		}
		out = append(out, s[i])
	}
	return out
}

func (t mediaType) String() string { return fmt.Sprint(t.full, t.params) }
