package alert

import (
	"slices"
	"strings"

	"riposte/internal/expr"
)

// maxTechniqueText is how much of one text is looked through.
const maxTechniqueText = 64 << 10

// Techniques finds the MITRE ATT&CK technique IDs in any value, at any depth:
// T1059, T1059.001, T1059/001, attack.t1059.001, technique_id=T1055,technique_name=…, and
// https://attack.mitre.org/techniques/T1059/001/. Each is given once, in the
// order found; objects are gone through by the names of their fields.
func Techniques(v any) []string { return appendTechniques(nil, v, 0) }

func appendTechniques(out []string, v any, depth int) []string {
	if depth > 40 || len(out) >= MaxTechniques {
		return out
	}
	switch v := v.(type) {
	case string:
		return techniquesIn(out, v)
	case []any:
		for _, e := range v {
			out = appendTechniques(out, e, depth+1)
		}
	case map[string]any:
		// Where nothing is found, the order does not matter: most often.
		if found := appendTechniquesOf(nil, v, depth, false); len(found) > 0 {
			out = mergeTechniques(out, appendTechniquesOf(nil, v, depth, true))
		}
	}
	return out
}

func appendTechniquesOf(out []string, object map[string]any, depth int, ordered bool) []string {
	if !ordered {
		for name, e := range object {
			out = appendTechniques(techniquesIn(out, name), e, depth+1)
		}
		return out
	}
	for _, name := range expr.SortedKeys(object) {
		out = appendTechniques(techniquesIn(out, name), object[name], depth+1)
	}
	return out
}

func mergeTechniques(out, more []string) []string {
	for _, t := range more {
		if len(out) < MaxTechniques && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

// techniquesIn adds the IDs in a text.
func techniquesIn(out []string, s string) []string {
	s = validPrefix(s, maxTechniqueText)
	for i := 0; i+5 <= len(s); {
		next := strings.IndexAny(s[i:], "tT")
		if next < 0 {
			break
		}
		i += next
		n := techniqueLength(s, i)
		if n == 0 {
			i++
			continue
		}
		id := "T" + s[i+1:i+5]
		if n > 5 {
			id += "." + s[i+6:i+n]
		}
		if len(out) < MaxTechniques && !slices.Contains(out, id) {
			out = append(out, id)
		}
		i += n
	}
	return out
}

// techniqueLength is the length of the ID that begins at i; 0 where none does. An
// ID is a word of its own, and not the end of a name such as SRV-T1234.
func techniqueLength(s string, i int) int {
	if i+5 > len(s) || !digits(s[i+1:i+5]) || s[i+1] > '1' {
		return 0
	}
	if i > 0 && (alnum(s[i-1]) || s[i-1] == '-') {
		return 0
	}
	if i+9 <= len(s) && strings.IndexByte("./_-", s[i+5]) >= 0 && digits(s[i+6:i+9]) && (i+9 == len(s) || !alnum(s[i+9])) {
		return 9
	}
	if i+5 < len(s) && alnum(s[i+5]) {
		return 0
	}
	return 5
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func alnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
