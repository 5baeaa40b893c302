package httpapi

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

func joined(words []string, sep string) string { return strings.Join(words, sep) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// pointerTo makes a JSON pointer.
func pointerTo(parts ...any) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(fmt.Sprint(p)))
	}
	return b.String()
}

func number(n int) string { return strconv.Itoa(n) }
