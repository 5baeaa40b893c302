package event

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"riposte/internal/fault"
)

// readLEEF reads QRadar's Log Event Extended Format 1.0 and 2.0, from LEEF: on.
// 2.0 may name the character between pairs, also as hex.
func readLEEF(s string) (map[string]any, error) {
	version, rest, _ := strings.Cut(strings.TrimPrefix(s, "LEEF:"), "|")
	version = strings.TrimSpace(version)
	head, rest := bars(rest, 4)
	if len(head) < 4 {
		return nil, fmt.Errorf("LEEF header has %d of 4 parts (vendor, product, version, event); was the message cut? %w", len(head), fault.Invalid)
	}
	delimiter := "\t"
	if strings.HasPrefix(version, "2") {
		if d, after, ok := strings.Cut(rest, "|"); ok && !strings.Contains(d, "=") {
			if d = leefDelimiter(d); d != "" {
				delimiter = d
			}
			rest = after
		}
	}
	v := map[string]any{"leef_version": version, "ext": leefPairs(rest, delimiter)}
	for i, name := range []string{"vendor", "product", "device_version", "event_id"} {
		v[name] = nil
		if part := strings.TrimSpace(head[i]); part != "" {
			v[name] = part
		}
	}
	return v, nil
}

// leefDelimiter reads a delimiter: a character, or its code as x5E or 0x5E.
func leefDelimiter(s string) string {
	hex := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(s)), "0")
	if code, ok := strings.CutPrefix(hex, "x"); ok && code != "" {
		if n, err := strconv.ParseUint(code, 16, 21); err == nil && n != 0 && utf8.ValidRune(rune(n)) {
			return string(rune(n))
		}
	}
	if s == `\t` {
		return "\t"
	}
	return s
}

// leefPairs splits pairs. Relays write a tab as \t, as #011 or as a blank; then
// a value ends where the next key begins.
func leefPairs(s, delimiter string) map[string]any {
	if delimiter == "\t" && !strings.Contains(s, "\t") {
		s = strings.NewReplacer(`\t`, "\t", "#011", "\t").Replace(s)
	}
	if !strings.Contains(s, delimiter) {
		return extension(s)
	}
	out := map[string]any{}
	for pair := range strings.SplitSeq(s, delimiter) {
		key, value, ok := strings.Cut(pair, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if ok && key != "" && value != "" && out[key] == nil {
			out[key] = value
		}
	}
	return out
}
