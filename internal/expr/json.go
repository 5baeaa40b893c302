package expr

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"riposte/internal/fault"
)

// DecodeJSON reads one JSON value. Numbers written without a fraction or an
// exponent become int where they fit, all others float64. Nesting deeper than
// 1000 and anything after the value are errors. {"$secret": …} stays an object:
// what comes from outside must never become a credential.
func DecodeJSON(b []byte) (any, error) { return decodeJSON(b, false) }

func decodeJSON(b []byte, stored bool) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := decodeValue(d, 0, stored)
	if err != nil {
		return nil, jsonError(err, d.InputOffset())
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("JSON: more text after the value, at byte %d: %w", d.InputOffset(), fault.Invalid)
	}
	return v, nil
}

func jsonError(err error, offset int64) error {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("JSON: the value ends too early: %w", fault.Invalid)
	case errors.As(err, &syntax):
		return fmt.Errorf("JSON: %s, at byte %d: %w", syntax.Error(), syntax.Offset, fault.Invalid)
	}
	return fmt.Errorf("JSON: %s, at byte %d: %w", err, offset, fault.Invalid)
}

var errDeep = errors.New("nested too deeply")

func decodeValue(d *json.Decoder, depth int, stored bool) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, errDeep
	}
	switch t := t.(type) {
	case json.Number:
		return number(t.String()), nil
	case json.Delim:
		if t == '[' {
			return decodeList(d, depth, stored)
		}
		return decodeObject(d, depth, stored)
	}
	return t, nil
}

func decodeList(d *json.Decoder, depth int, stored bool) (any, error) {
	list := []any{}
	for d.More() {
		v, err := decodeValue(d, depth+1, stored)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := d.Token()
	return list, err
}

func decodeObject(d *json.Decoder, depth int, stored bool) (any, error) {
	object := map[string]any{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := decodeValue(d, depth+1, stored)
		if err != nil {
			return nil, err
		}
		object[key.(string)] = v
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if stored {
		return restore(object), nil
	}
	return object, nil
}

// number reads a JSON number.
func number(s string) any {
	if !strings.ContainsAny(s, ".eE") {
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return int(i)
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0.0
	}
	if math.IsInf(f, 0) {
		return math.Copysign(math.MaxFloat64, f)
	}
	return f
}

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

// DecodeStored reads what EncodeStored wrote.
func DecodeStored(b []byte) (any, error) { return decodeJSON(b, true) }

// restore undoes what EncodeStored did to one object.
func restore(object map[string]any) any {
	for key, v := range object {
		switch {
		case key == secretKey && len(object) == 1:
			if ref, ok := v.(string); ok {
				connection, field, _ := strings.Cut(ref, "/")
				return Secret{Connection: connection, Field: field}
			}
		case looksSecret(key) && key != secretKey:
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
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, errors.New("the number is not finite")
	}
	return append(b, floatText(f)...), nil
}

// floatText writes a number as JSON does: without an exponent unless it is very
// large or very small.
func floatText(f float64) string {
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
