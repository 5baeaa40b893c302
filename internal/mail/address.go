package mail

import (
	"strings"
)

// maxAddresses is how many addresses of one header are read.
const maxAddresses = 500

// parseAddresses reads a list of addresses as leniently as it can: groups,
// comments, names without quotes, and addresses without brackets.
func parseAddresses(value []byte) (out []Address) {
	for _, part := range splitAddresses(string(value)) {
		if len(out) >= maxAddresses {
			break
		}
		if a := parseAddress(part); a != (Address{}) {
			out = append(out, a)
		}
	}
	return out
}

// splitAddresses parts a list at its commas and semicolons, but not inside
// quotes, comments and brackets. The name of a group is dropped.
func splitAddresses(s string) (parts []string) {
	var b strings.Builder
	quoted, depth, angle := false, 0, false
	flush := func() {
		parts = append(parts, b.String())
		b.Reset()
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s) && (quoted || depth > 0):
			b.WriteByte(c)
			i++
			b.WriteByte(s[i])
			continue
		case quoted:
			quoted = c != '"'
		case c == '"':
			quoted = true
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth > 0:
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		case angle:
		case c == ',' || c == ';':
			flush()
			continue
		case c == ':' && !strings.Contains(b.String(), "@"):
			b.Reset() // undisclosed-recipients:
			continue
		}
		b.WriteByte(c)
	}
	flush()
	if (quoted || depth > 0) && len(parts) == 1 && strings.Count(s, "@") > 1 {
		// A quote that is never closed must not swallow the others.
		return strings.FieldsFunc(strings.NewReplacer(`"`, "", "(", " ", ")", " ").Replace(s), func(r rune) bool { return r == ',' || r == ';' })
	}
	return parts
}

func parseAddress(s string) Address {
	s = strings.TrimSpace(s)
	if s == "" {
		return Address{}
	}
	var a Address
	if open := strings.LastIndexByte(s, '<'); open >= 0 {
		inside, after, _ := strings.Cut(s[open+1:], ">")
		a.Name = cleanName(s[:open])
		a.Address = cleanAddress(inside)
		if a.Name == "" {
			a.Name = comment(after)
		}
	} else {
		bare := strings.TrimSpace(dropComments(s))
		if strings.Contains(bare, "@") {
			// NAME address@example.org without brackets
			if i := strings.LastIndexAny(bare, " \t"); i >= 0 && strings.Contains(bare[i:], "@") {
				a.Name, bare = cleanName(bare[:i]), bare[i+1:]
			}
			a.Address = cleanAddress(bare)
			if a.Name == "" {
				a.Name = comment(s)
			}
		} else {
			a.Name = cleanName(s)
		}
	}
	return a
}

// comment is the text in the first brackets.
func comment(s string) string {
	_, inside, ok := strings.Cut(s, "(")
	if !ok {
		return ""
	}
	if i := strings.LastIndexByte(inside, ')'); i >= 0 {
		inside = inside[:i]
	}
	return cleanName(inside)
}

func cleanName(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = unquote(s[1 : len(s)-1])
	} else if strings.Contains(s, `"`) {
		s = unquote(strings.ReplaceAll(s, `"`, ""))
	}
	return strings.Join(strings.Fields(decodeWords([]byte(s))), " ")
}

func unquote(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// cleanAddress drops what has no place in an address: a route, a scheme, blanks.
func cleanAddress(s string) string {
	s = strings.TrimSpace(decodeWords([]byte(s)))
	if strings.HasPrefix(s, "@") {
		if _, rest, ok := strings.Cut(s, ":"); ok {
			s = rest
		}
	}
	s = strings.TrimPrefix(s, "mailto:")
	s = strings.Trim(s, "<>'\" \t")
	return strings.Join(strings.Fields(s), "")
}
