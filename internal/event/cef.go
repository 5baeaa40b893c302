package event

import (
	"fmt"
	"strings"

	"riposte/internal/fault"
)

// readCEF reads ArcSight's Common Event Format, from CEF: on. Custom fields are
// there under their own names and under their labels. An empty value is left
// out: devices write a key for what they do not know.
func readCEF(s string) (map[string]any, error) {
	version, rest, _ := strings.Cut(strings.TrimPrefix(s, "CEF:"), "|")
	head, rest := bars(rest, 6)
	if len(head) < 5 {
		return nil, fmt.Errorf("CEF header has %d of 6 parts (vendor, product, version, class, name, severity); was the message cut? %w", len(head), fault.Invalid)
	}
	if len(head) == 5 {
		head = append(head, "")
	}
	ext := extension(rest)
	label(ext)
	v := map[string]any{"cef_version": strings.TrimSpace(version), "ext": ext}
	for i, name := range []string{"vendor", "product", "device_version", "class_id", "name", "severity"} {
		v[name] = nil
		if part := strings.TrimSpace(head[i]); part != "" {
			v[name] = part
		}
	}
	return v, nil
}

// bars splits a header at its bars, at most n parts, and undoes its escapes; the
// rest is what stands after them.
func bars(s string, n int) (parts []string, rest string) {
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '|':
			parts = append(parts, unescapeHeader(s[start:i]))
			start = i + 1
			if len(parts) == n {
				return parts, s[start:]
			}
		}
	}
	if last := s[min(start, len(s)):]; last != "" {
		parts = append(parts, unescapeHeader(last))
	}
	return parts, ""
}

func unescapeHeader(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\|`, "|", `\\`, `\`).Replace(s)
}

// extension reads key=value pairs whose values may hold blanks: a value ends
// where the next key begins.
func extension(s string) map[string]any {
	out := map[string]any{}
	key, start := "", 0
	set := func(end int) {
		if v := strings.TrimSpace(unescapeValue(s[start:end])); key != "" && v != "" && out[key] == nil {
			out[key] = v
		}
	}
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '=':
			from := keyStart(s, i, start)
			if from == i || from > 0 && !blankByte(s[from-1]) {
				continue // a sign inside a value
			}
			set(max(from, start))
			key, start = s[from:i], i+1
		}
	}
	set(len(s))
	return out
}

// keyStart goes back from a sign to where its key begins, not before the last
// value.
func keyStart(s string, at, least int) int {
	for at > least && keyByte(s[at-1]) {
		at--
	}
	return at
}

func keyByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == '-' || c == '[' || c == ']'
}

func blankByte(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

var valueEscapes = strings.NewReplacer(`\=`, "=", `\\`, `\`, `\n`, "\n", `\r`, "\r", `\|`, "|")

func unescapeValue(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return valueEscapes.Replace(s)
}

// label gives custom fields the names that their labels say.
func label(ext map[string]any) {
	for key, name := range ext {
		base, ok := strings.CutSuffix(key, "Label")
		if !ok || base == "" || ext[base] == nil {
			continue
		}
		if name, ok := name.(string); ok && ext[name] == nil {
			ext[name] = ext[base]
		}
	}
}
