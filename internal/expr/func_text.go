package expr

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// textFunction holds the library's functions on texts.
func textFunction(name string) (function, bool) {
	text := gives(Text())
	one := []param{aText}
	two := []param{aText, aText}
	switch name {
	case "upper":
		return mapText(strings.ToUpper), true
	case "lower":
		return mapText(strings.ToLower), true
	case "trim":
		return function{params: two, least: 1, out: text, call: trim}, true
	case "trimPrefix":
		return function{params: two, least: 1, out: text, call: affix(strings.TrimPrefix)}, true
	case "trimSuffix":
		return function{params: two, least: 1, out: text, call: affix(strings.TrimSuffix)}, true
	case "hasPrefix":
		return textTest(strings.HasPrefix), true
	case "hasSuffix":
		return textTest(strings.HasSuffix), true
	case "indexOf":
		return textIndex(strings.Index), true
	case "lastIndexOf":
		return textIndex(strings.LastIndex), true
	case "split":
		return function{params: []param{aText, aText, aWhole}, least: 2, out: gives(List(Text())), call: splitter(strings.SplitN)}, true
	case "splitAfter":
		return function{params: []param{aText, aText, aWhole}, least: 2, out: gives(List(Text())), call: splitter(strings.SplitAfterN)}, true
	case "replace":
		return function{params: []param{aText, aText, aText, aWhole}, least: 3, out: text, call: replace}, true
	case "repeat":
		return function{params: []param{aText, aWhole}, least: 2, out: text, call: repeat}, true
	case "join":
		return function{params: []param{aList, aText}, least: 1, out: text, call: joinTexts}, true
	case "toJSON":
		return function{params: []param{aThing}, least: 1, out: text, call: toJSON}, true
	case "fromJSON":
		return function{params: one, least: 1, out: gives(Any()), call: fromJSON}, true
	case "toBase64":
		return function{params: one, least: 1, out: text, call: toBase64}, true
	case "fromBase64":
		return function{params: one, least: 1, out: text, call: fromBase64}, true
	case "string":
		return function{params: []param{aThing}, least: 1, out: text, call: toText}, true
	}
	return function{}, false
}

func mapText(f func(string) string) function {
	return function{params: []param{aText}, least: 1, out: gives(Text()), call: func(m *machine, args []any) (any, error) {
		s := args[0].(string)
		if err := m.grow(len(s)); err != nil {
			return nil, err
		}
		return f(s), m.scan(len(s))
	}}
}

func textTest(f func(s, part string) bool) function {
	return function{params: []param{aText, aText}, least: 2, out: gives(Bool()), call: func(m *machine, args []any) (any, error) {
		s := args[0].(string)
		return f(s, args[1].(string)), m.scan(len(s))
	}}
}

// textIndex gives a place in characters, as len and [ ] count.
func textIndex(f func(s, part string) int) function {
	return function{params: []param{aText, aText}, least: 2, out: gives(Int()), call: func(m *machine, args []any) (any, error) {
		s := args[0].(string)
		i := f(s, args[1].(string))
		if i > 0 {
			i = utf8.RuneCountInString(s[:i])
		}
		return i, m.scan(len(s))
	}}
}

func trim(m *machine, args []any) (any, error) {
	s := args[0].(string)
	if err := m.scan(len(s)); err != nil {
		return nil, err
	}
	if len(args) == 1 {
		return strings.TrimSpace(s), nil
	}
	return strings.Trim(s, args[1].(string)), nil
}

func affix(f func(s, part string) string) func(*machine, []any) (any, error) {
	return func(m *machine, args []any) (any, error) {
		part := " "
		if len(args) == 2 {
			part = args[1].(string)
		}
		return f(args[0].(string), part), m.scan(len(part))
	}
}

func splitter(f func(s, sep string, n int) []string) func(*machine, []any) (any, error) {
	return func(m *machine, args []any) (any, error) {
		s, sep, n := args[0].(string), args[1].(string), -1
		if len(args) == 3 {
			n, _ = whole(args[2])
		}
		if err := m.scan(len(s)); err != nil {
			return nil, err
		}
		count := strings.Count(s, sep) + 1
		if n >= 0 {
			count = min(count, n)
		}
		if err := m.growList(2 * count); err != nil {
			return nil, err
		}
		parts := f(s, sep, n)
		out := make([]any, len(parts))
		for i, p := range parts {
			out[i] = p
		}
		return out, nil
	}
}

func replace(m *machine, args []any) (any, error) {
	s, from, to, n := args[0].(string), args[1].(string), args[2].(string), -1
	if len(args) == 4 {
		n, _ = whole(args[3])
	}
	if err := m.scan(len(s)); err != nil {
		return nil, err
	}
	count := strings.Count(s, from)
	if n >= 0 {
		count = min(count, n)
	}
	// As floats, because the product can be larger than an int.
	if float64(count)*float64(len(to)) > MaxMemory {
		return nil, m.grow(MaxMemory + 1)
	}
	if err := m.grow(len(s) + count*(max(len(to)-len(from), 0))); err != nil {
		return nil, err
	}
	return strings.Replace(s, from, to, n), m.scan(count * len(to))
}

func repeat(m *machine, args []any) (any, error) {
	s := args[0].(string)
	n, _ := whole(args[1])
	if n < 0 {
		return nil, failf(-1, "repeat needs a number from 0 on, not %d", n)
	}
	if len(s) == 0 {
		return "", nil
	}
	if n > MaxMemory/len(s) {
		return nil, m.grow(MaxMemory + 1)
	}
	if err := m.grow(n * len(s)); err != nil {
		return nil, err
	}
	return strings.Repeat(s, n), m.scan(n * len(s))
}

func joinTexts(m *machine, args []any) (any, error) {
	list, glue := args[0].([]any), ""
	if len(args) == 2 {
		glue = args[1].(string)
	}
	var b strings.Builder
	for i, e := range list {
		s, ok := e.(string)
		if !ok {
			return nil, failf(-1, "join needs a list of texts, but element %d is %s", i, describe(e)).
				hinted("turn them into texts first: map(…, string(#))")
		}
		if i > 0 {
			s = glue + s
		}
		if err := m.grow(len(s)); err != nil {
			return nil, err
		}
		b.WriteString(s)
	}
	return b.String(), m.scan(slotBytes*len(list) + b.Len())
}

// toJSON counts before it writes, so that a small value that is shared many
// times cannot become a huge text.
func toJSON(m *machine, args []any) (any, error) {
	if err := m.weigh(args[0], 0); err != nil {
		return nil, err
	}
	b, err := appendJSON(nil, args[0], encodeInside, 0)
	if err != nil {
		return nil, failf(-1, "%s", err)
	}
	return string(b), m.scan(len(b))
}

// weigh counts the text of v as new memory.
func (m *machine) weigh(v any, depth int) error {
	if depth > maxDepth {
		return failf(-1, "a value is nested too deeply to be written")
	}
	switch v := v.(type) {
	case string:
		return m.grow(len(v) + 2)
	case []any:
		if err := m.grow(2 + len(v)); err != nil {
			return err
		}
		for _, e := range v {
			if err := m.weigh(e, depth+1); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		for _, key := range sortedKeys(v) {
			if err := m.grow(len(key) + 4); err != nil {
				return err
			}
			if err := m.weigh(v[key], depth+1); err != nil {
				return err
			}
		}
		return m.grow(2)
	}
	return m.grow(8)
}

func fromJSON(m *machine, args []any) (any, error) {
	s := args[0].(string)
	// A value takes up to about slotBytes for each byte of its text.
	if err := m.grow(len(s) * 4); err != nil {
		return nil, err
	}
	v, err := DecodeJSON([]byte(s))
	if err != nil {
		return nil, failf(-1, "the text is not JSON: %s", jsonReason(err))
	}
	return v, m.scan(len(s) * 4)
}

func jsonReason(err error) string {
	s := strings.TrimPrefix(err.Error(), "JSON: ")
	return strings.TrimSuffix(s, ": invalid")
}

func toBase64(m *machine, args []any) (any, error) {
	return m.text(base64.StdEncoding.EncodeToString([]byte(args[0].(string))))
}

func fromBase64(m *machine, args []any) (any, error) {
	s := args[0].(string)
	if err := m.grow(len(s)); err != nil {
		return nil, err
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		// Many products leave out the padding.
		if b, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "=")); err != nil {
			return nil, failf(-1, "the text is not Base64")
		}
	}
	return string(b), m.scan(len(s))
}

func toText(m *machine, args []any) (any, error) {
	if s, ok := args[0].(string); ok {
		return s, nil
	}
	if err := m.weigh(args[0], 0); err != nil {
		return nil, err
	}
	s, err := textOf(args[0])
	if err != nil {
		return nil, failf(-1, "%s", err)
	}
	return s, m.scan(len(s))
}
