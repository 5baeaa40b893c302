package expr

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"riposte/internal/fault"
)

// DecodeJSON reads one JSON value (RFC 8259). Numbers written without a fraction
// or an exponent become int where they fit, all others float64. Of a key that
// stands twice the last counts. Nesting deeper than 1000 and anything after the
// value are errors. {"$secret": …} stays an object: what comes from outside must
// never become a credential.
func DecodeJSON(b []byte) (any, error) { return decodeJSON(b, "", false) }

// DecodeEvent is DecodeJSON for a value that lives as long as its text does,
// such as an event that is kept with its record: the texts in it share one copy
// of b, which is twice as fast, and keep all of it in memory.
func DecodeEvent(b []byte) (any, error) { return decodeJSON(b, string(b), false) }

// DecodeStored reads what EncodeStored wrote.
func DecodeStored(b []byte) (any, error) { return decodeJSON(b, "", true) }

func decodeJSON(b []byte, shared string, stored bool) (any, error) {
	var keys [32]string // enough for most values, without a step to the heap
	var values [32]any
	d := jsonDecoder{b: b, stored: stored, shared: shared, keys: keys[:0], values: values[:0]}
	d.space()
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	d.space()
	if d.at < len(d.b) {
		return nil, d.fail("more text after the value")
	}
	return v, nil
}

// jsonDecoder reads values as it goes through the bytes once. The library's
// decoder, asked for numbers that keep their form, is several times slower.
type jsonDecoder struct {
	b      []byte
	at     int
	stored bool
	shared string // the same as b: texts are cut from it; "": each has its own copy
	// What the lists and objects under way hold so far: each is made when its end
	// is seen, in the size that it needs.
	keys   []string
	values []any
}

func (d *jsonDecoder) fail(what string) error {
	if d.at >= len(d.b) {
		return fmt.Errorf("JSON: the value ends too early: %w", fault.Invalid)
	}
	return fmt.Errorf("JSON: %s, at byte %d: %w", what, d.at+1, fault.Invalid)
}

func (d *jsonDecoder) space() {
	for d.at < len(d.b) {
		switch d.b[d.at] {
		case ' ', '\t', '\n', '\r':
			d.at++
		default:
			return
		}
	}
}

func (d *jsonDecoder) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, d.fail("nested too deeply")
	}
	if d.at >= len(d.b) {
		return nil, d.fail("")
	}
	switch c := d.b[d.at]; {
	case c == '{':
		return d.object(depth)
	case c == '[':
		return d.list(depth)
	case c == '"':
		return d.text()
	case c == '-' || c >= '0' && c <= '9':
		return d.number()
	case c == 't':
		return true, d.word("true")
	case c == 'f':
		return false, d.word("false")
	case c == 'n':
		return nil, d.word("null")
	}
	return nil, d.fail("no value starts with " + quote(string(d.rune())))
}

func (d *jsonDecoder) rune() rune {
	r, _ := utf8.DecodeRune(d.b[d.at:])
	return r
}

func (d *jsonDecoder) word(w string) error {
	for i := range len(w) {
		if d.at >= len(d.b) || d.b[d.at] != w[i] {
			return d.fail("expected " + w)
		}
		d.at++
	}
	return nil
}

// next goes past blanks and one of two separators; more is false after the end.
func (d *jsonDecoder) next(end byte) (more bool, err error) {
	d.space()
	switch {
	case d.at < len(d.b) && d.b[d.at] == ',':
		d.at++
		d.space()
		return true, nil
	case d.at < len(d.b) && d.b[d.at] == end:
		d.at++
		return false, nil
	}
	return false, d.fail("expected a comma or " + quote(string(end)))
}

// begin goes past the opening bracket; it tells whether anything is inside.
func (d *jsonDecoder) begin(end byte) bool {
	d.at++
	d.space()
	if d.at < len(d.b) && d.b[d.at] == end {
		d.at++
		return false
	}
	return true
}

func (d *jsonDecoder) list(depth int) (any, error) {
	base := len(d.values)
	for more := d.begin(']'); more; {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		d.values = append(d.values, v)
		if more, err = d.next(']'); err != nil {
			return nil, err
		}
	}
	out := make([]any, len(d.values)-base)
	copy(out, d.values[base:])
	d.values = d.values[:base]
	return out, nil
}

func (d *jsonDecoder) object(depth int) (any, error) {
	keys, base := len(d.keys), len(d.values)
	for more := d.begin('}'); more; {
		if d.at >= len(d.b) || d.b[d.at] != '"' {
			return nil, d.fail("expected a key in quotes")
		}
		key, err := d.text()
		if err != nil {
			return nil, err
		}
		d.space()
		if d.at >= len(d.b) || d.b[d.at] != ':' {
			return nil, d.fail("expected a colon")
		}
		d.at++
		d.space()
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		d.keys, d.values = append(d.keys, key), append(d.values, v)
		if more, err = d.next('}'); err != nil {
			return nil, err
		}
	}
	out := make(map[string]any, len(d.keys)-keys)
	for i, key := range d.keys[keys:] {
		out[key] = d.values[base+i]
	}
	d.keys, d.values = d.keys[:keys], d.values[:base]
	if d.stored {
		return restore(out), nil
	}
	return out, nil
}

func (d *jsonDecoder) text() (string, error) {
	d.at++
	start, ascii := d.at, true
	for d.at < len(d.b) {
		switch c := d.b[d.at]; {
		case c >= utf8.RuneSelf:
			ascii = false
		case c == '"':
			s := d.b[start:d.at]
			d.at++
			if d.shared != "" && (ascii || utf8.Valid(s)) {
				return d.shared[start : d.at-1], nil
			}
			return validText(s), nil
		case c == '\\':
			return d.escaped(start)
		case c < ' ':
			return "", d.fail("a control character inside a text")
		}
		d.at++
	}
	return "", d.fail("")
}

// escaped reads on from the first backslash of a text.
func (d *jsonDecoder) escaped(start int) (string, error) {
	out := append(make([]byte, 0, 2*(d.at-start)+16), d.b[start:d.at]...)
	for d.at < len(d.b) {
		c := d.b[d.at]
		switch {
		case c == '"':
			d.at++
			return validText(out), nil
		case c < ' ':
			return "", d.fail("a control character inside a text")
		case c != '\\':
			out = append(out, c)
			d.at++
			continue
		}
		var err error
		if out, err = d.escape(out); err != nil {
			return "", err
		}
	}
	return "", d.fail("")
}

// validText puts U+FFFD for each byte that is no UTF-8.
func validText(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var s strings.Builder
	for _, r := range string(b) {
		s.WriteRune(r)
	}
	return s.String()
}

func (d *jsonDecoder) escape(out []byte) ([]byte, error) {
	d.at++
	if d.at >= len(d.b) {
		return nil, d.fail("")
	}
	c := d.b[d.at]
	if c == 'u' {
		return d.unicode(out)
	}
	i := strings.IndexByte("\"\\/bfnrt", c)
	if i < 0 {
		return nil, d.fail("unknown escape " + quote("\\"+string(d.rune())))
	}
	d.at++
	return append(out, "\"\\/\b\f\n\r\t"[i]), nil
}

// unicode reads \uXXXX, and two of them where they are one character.
func (d *jsonDecoder) unicode(out []byte) ([]byte, error) {
	r, ok := d.hex4(d.at + 1)
	if !ok {
		return nil, d.fail("a wrong \\u escape")
	}
	d.at += 5
	if utf16.IsSurrogate(r) {
		pair := rune(utf8.RuneError)
		if d.at+1 < len(d.b) && d.b[d.at] == '\\' && d.b[d.at+1] == 'u' {
			if low, ok := d.hex4(d.at + 2); ok {
				if pair = utf16.DecodeRune(r, low); pair != utf8.RuneError {
					d.at += 6
				}
			}
		}
		r = pair
	}
	return utf8.AppendRune(out, r), nil
}

func (d *jsonDecoder) hex4(at int) (rune, bool) {
	if at+4 > len(d.b) {
		return 0, false
	}
	var r rune
	for _, c := range d.b[at : at+4] {
		i := strings.IndexByte(hexDigits, c|0x20)
		if i < 0 || c < '0' {
			return 0, false
		}
		r = r<<4 | rune(i)
	}
	return r, true
}

// number reads a number as the grammar has it: no leading zero, no bare dot.
func (d *jsonDecoder) number() (any, error) {
	start, plain := d.at, true
	if d.b[d.at] == '-' {
		d.at++
	}
	if d.at < len(d.b) && d.b[d.at] == '0' {
		d.at++
	} else if !d.digits() {
		return nil, d.fail("a digit is missing")
	}
	if d.at < len(d.b) && d.b[d.at] == '.' {
		plain = false
		d.at++
		if !d.digits() {
			return nil, d.fail("a digit is missing")
		}
	}
	if d.at < len(d.b) && d.b[d.at]|0x20 == 'e' {
		plain = false
		d.at++
		if d.at < len(d.b) && (d.b[d.at] == '+' || d.b[d.at] == '-') {
			d.at++
		}
		if !d.digits() {
			return nil, d.fail("a digit is missing")
		}
	}
	s := d.b[start:d.at]
	if plain && len(s) < 19 {
		return smallInt(s), nil
	}
	return number(string(s)), nil
}

func (d *jsonDecoder) digits() bool {
	start := d.at
	for d.at < len(d.b) && d.b[d.at] >= '0' && d.b[d.at] <= '9' {
		d.at++
	}
	return d.at > start
}

// smallInt reads digits that surely fit.
func smallInt(s []byte) int {
	n := 0
	for _, c := range s {
		if c != '-' {
			n = n*10 + int(c-'0')
		}
	}
	if s[0] == '-' {
		return -n
	}
	return n
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
