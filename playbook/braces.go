package playbook

import "strings"

// templateStart finds the first ${{ of a text that is not written $${{, which
// stands for itself; -1 where there is none.
func templateStart(text string) int {
	for from := 0; ; {
		i := strings.Index(text[from:], "${{")
		if i < 0 {
			return -1
		}
		if i += from; i == 0 || text[i-1] != '$' {
			return i
		}
		from = i + 3
	}
}

func hasTemplate(text string) bool { return templateStart(text) >= 0 }

// templateEnd finds the }} that ends the expression which begins at from,
// counting braces outside quotes. It gives the offset of the }}, or -1.
func templateEnd(text string, from int) int {
	depth := 0
	for i := from; i < len(text); i++ {
		switch c := text[i]; c {
		case '"', '\'', '`':
			if i = quoteEnd(text, i); i < 0 {
				return -1
			}
		case '{':
			depth++
		case '}':
			if depth == 0 {
				if strings.HasPrefix(text[i:], "}}") {
					return i
				}
				return -1
			}
			depth--
		}
	}
	return -1
}

// quoteEnd finds the quote that ends the one at from, -1 where none does.
func quoteEnd(text string, from int) int {
	for i := from + 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && text[from] != '`':
			i++
		case text[i] == text[from]:
			return i
		}
	}
	return -1
}

// unwrap takes the braces off a text that is exactly one ${{ … }}. skip is how
// many bytes of text stand before inner.
func unwrap(text string) (inner string, skip int, ok bool) {
	trimmed := strings.TrimLeft(text, " \t\r\n")
	if !strings.HasPrefix(trimmed, "${{") {
		return text, 0, false
	}
	skip = len(text) - len(trimmed) + 3
	end := templateEnd(text, skip)
	if end < 0 || strings.TrimSpace(text[end+2:]) != "" {
		return text, 0, false
	}
	return text[skip:end], skip, true
}

// unescape gives a text without ${{ }} its value: $${{ stands for ${{.
func unescape(text string) string { return strings.ReplaceAll(text, "$${{", "${{") }
