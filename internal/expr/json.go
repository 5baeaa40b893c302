package expr

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"riposte/internal/fault"
)

// EncodeJSON writes a value in one canonical form: keys sorted, no blanks, no
// HTML escapes, times in RFC 3339, and a Secret as {"$secret":"connection/field"}.
// Two equal values give the same bytes.
func EncodeJSON(v any) ([]byte, error) {
	b, err := appendJSON(nil, v, encodeShown, 0)
	if err != nil {
		return nil, fmt.Errorf("write JSON: %w: %w", err, fault.Invalid)
	}
	return b, nil
}

// EncodeStored is EncodeJSON for a store that is read back with DecodeStored,
// which gives Secret values again. Objects from outside that look like a
// written Secret are escaped, so they can never become one.
func EncodeStored(v any) ([]byte, error) {
	b, err := appendJSON(nil, v, encodeStored, 0)
	if err != nil {
		return nil, fmt.Errorf("write JSON: %w: %w", err, fault.Invalid)
	}
	return b, nil
}

// restore undoes what EncodeStored did to one object.
func restore(object map[string]any) any {
	if ref, ok := object[secretKey].(string); ok && len(object) == 1 {
		connection, field, _ := strings.Cut(ref, "/")
		return Secret{Connection: connection, Field: field}
	}
	var escaped []string
	for key := range object {
		if looksSecret(key) {
			escaped = append(escaped, key)
		}
	}
	slices.SortFunc(escaped, func(a, b string) int { return len(a) - len(b) }) // the new name is free then
	for _, key := range escaped {
		if v := object[key]; key != secretKey {
			delete(object, key)
			object[key[1:]] = v
		}
	}
	return object
}

// looksSecret tells whether key is $secret, $$secret and so on.
func looksSecret(key string) bool {
	return strings.HasPrefix(key, "$") && strings.TrimLeft(key, "$") == secretKey[1:]
}

type encodeMode uint8

const (
	encodeShown  encodeMode = iota // a Secret is written as its reference
	encodeStored                   // and objects that look like one are escaped
	encodeInside                   // a Secret is an error: inside an expression
)

var errDeep = errors.New("the value is nested too deeply")

var errSecret = errors.New("a secret cannot be written as text")

func appendJSON(b []byte, v any, mode encodeMode, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, errDeep
	}
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case float64:
		return appendFloat(b, v)
	case string:
		return appendString(b, v), nil
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			var err error
			if b, err = appendJSON(b, e, mode, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case map[string]any:
		return appendObject(b, v, mode, depth)
	case Secret:
		if mode == encodeInside {
			return nil, errSecret
		}
		return append(appendString(append(b, `{"$secret":`...), v.Connection+"/"+v.Field), '}'), nil
	case time.Time:
		return appendString(b, timeText(v)), nil
	case time.Duration:
		return appendString(b, durationText(v)), nil
	}
	plain := Normalize(v)
	if !isPlain(plain) {
		return nil, fmt.Errorf("a value of type %T cannot be written as JSON", v)
	}
	return appendJSON(b, plain, mode, depth)
}

func appendObject(b []byte, object map[string]any, mode encodeMode, depth int) ([]byte, error) {
	b = append(b, '{')
	for i, key := range slices.Sorted(maps.Keys(object)) {
		if i > 0 {
			b = append(b, ',')
		}
		written := key
		if mode == encodeStored && looksSecret(key) {
			written = "$" + key
		}
		b = append(appendString(b, written), ':')
		var err error
		if b, err = appendJSON(b, object[key], mode, depth+1); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func appendFloat(b []byte, f float64) ([]byte, error) {
	if f == 0 {
		f = 0 // without the sign, which the whole number that it is read back as has not
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, errors.New("the number is not finite")
	}
	return append(b, floatText(f)...), nil
}

// floatText writes a number as JSON does: without an exponent unless it is very
// large or very small.
func floatText(f float64) string {
	if f == 0 {
		return "0" // also for the zero below zero, which equals it
	}
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

const hexDigits = "0123456789abcdef"

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(append(b, s[start:i]...), `\ufffd`...)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}
