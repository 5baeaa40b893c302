package alert

import (
	"strings"
	"unicode/utf8"

	"riposte/internal/expr"
)

// Texts reads a text, a number or a list of them; what says nothing, such as a
// blank or "-", is left out.
func Texts(v any) []string {
	if s, ok := v.(string); ok {
		if !expr.Says(s) {
			return nil
		}
		return []string{s}
	}
	return appendTexts(nil, v)
}

func appendTexts(out []string, v any) []string {
	if !expr.Says(v) {
		return out
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			out = appendTexts(out, e)
		}
		return out
	case map[string]any:
		return out
	case string:
		return append(out, v)
	}
	if s, err := expr.Show(v); err == nil {
		out = append(out, s)
	}
	return out
}

// line makes one line of a text.
func line(s string) string {
	s = clean(s)
	if !strings.ContainsAny(s, "\n\t") && !strings.Contains(s, "  ") {
		return strings.TrimSpace(s)
	}
	return strings.Join(strings.Fields(s), " ")
}

// clean drops what has no place in a line of text: control characters and
// directional marks that would let a log line lie about itself.
func clean(s string) string {
	if isClean(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < ' ' || r == 0x7f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

// cut shortens a text to at most n bytes without breaking a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-len("…")], "") + "…"
}

// isClean tells the usual case quickly.
func isClean(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\n' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}

// blank tells whether a value holds nothing at all.
func blank(v any) bool {
	list, ok := v.([]any)
	if !ok {
		return !expr.Says(v)
	}
	for _, e := range list {
		if !blank(e) {
			return false
		}
	}
	return true
}

// validPrefix cuts a long text before something slow looks at it.
func validPrefix(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
