package strictyaml

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written as 512KB, 10MB or 1GB.
type Size int64

// Decode fills v, a pointer, from the node. Wrong parts are reported and left
// at their zero values.
func (n Node) Decode(v any) { n.decode(reflect.ValueOf(v).Elem()) }

func (n Node) decode(v reflect.Value) {
	if v.CanAddr() {
		switch u := v.Addr().Interface().(type) {
		case Unmarshaler:
			u.UnmarshalStrict(n)
			return
		case *time.Duration:
			n.duration(u)
			return
		case *Size:
			n.size(u)
			return
		case encoding.TextUnmarshaler:
			if s, ok := n.text(); ok {
				if err := u.UnmarshalText([]byte(s)); err != nil {
					n.Errorf("", "%v", err)
				}
			}
			return
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !n.IsNull() {
			v.Set(reflect.New(v.Type().Elem()))
			n.decode(v.Elem())
			return
		}
		n.expected(v.Type().Elem())
	case reflect.Struct:
		n.decodeStruct(v)
	case reflect.Slice:
		n.decodeList(v)
	case reflect.Map:
		n.decodeMap(v)
	case reflect.Interface:
		if value := n.Value(); value != nil {
			v.Set(reflect.ValueOf(value))
		}
	default:
		n.decodeScalar(v)
	}
}

func (n Node) decodeScalar(v reflect.Value) {
	if n.IsMapping() || n.IsList() {
		n.expected(v.Type())
		return
	}
	switch value := scalar(n.n).(type) {
	case string:
		if v.Kind() == reflect.String {
			v.SetString(value)
			return
		}
	case bool:
		if v.Kind() == reflect.Bool {
			v.SetBool(value)
			return
		}
	case int:
		switch v.Kind() {
		case reflect.Int, reflect.Int64:
			v.SetInt(int64(value))
			return
		case reflect.Float64:
			v.SetFloat(float64(value))
			return
		}
	case float64:
		if v.Kind() == reflect.Float64 {
			v.SetFloat(value)
			return
		}
	}
	n.expected(v.Type())
}

// expected reports that the node is not of the type that was wanted.
func (n Node) expected(t reflect.Type) {
	want := map[reflect.Kind]string{
		reflect.String: "a text", reflect.Bool: "true or false", reflect.Int: "a whole number",
		reflect.Int64: "a whole number", reflect.Float64: "a number", reflect.Slice: "a list",
		reflect.Struct: "a mapping", reflect.Map: "a mapping",
	}[t.Kind()]
	hint := "expected " + want
	if _, isText := scalar(n.n).(string); t.Kind() == reflect.String && !isText && !n.IsMapping() && !n.IsList() && !n.IsNull() {
		hint = "expected a text: put it in quotes"
	}
	n.Errorf(hint, "%s is %s", n.name(), n.describe())
}

// name is the last part of the path, as people would call it.
func (n Node) name() string {
	if n.path == "" {
		return "the document"
	}
	last := n.path[strings.LastIndexByte(n.path, '/')+1:]
	if _, err := strconv.Atoi(last); err == nil {
		return "this entry"
	}
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(last)
}

func (n Node) text() (string, bool) {
	if n.IsText() {
		return n.n.Value, true
	}
	n.expected(reflect.TypeFor[string]())
	return "", false
}

func (n Node) duration(to *time.Duration) {
	if n.IsMapping() || n.IsList() {
		n.Errorf("expected a whole number and a unit, such as 30s, 5m, 12h or 7d", "%s is %s", n.name(), n.describe())
		return
	}
	d, ok := ParseDuration(n.n.Value)
	if !ok {
		n.Errorf("expected a whole number and a unit, such as 30s, 5m, 12h or 7d", "%q is no duration", shorten(n.n.Value))
	}
	*to = d
}

func (n Node) size(to *Size) {
	s, ok := ParseSize(n.n.Value)
	if !ok || n.IsMapping() || n.IsList() {
		n.Errorf("expected a whole number and a unit, such as 512KB, 10MB or 1GB", "%s is %s", n.name(), n.describe())
	}
	*to = Size(s)
}

func (n Node) decodeList(v reflect.Value) {
	if !n.IsList() {
		n.expected(v.Type())
		return
	}
	items := n.Items()
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		item.decode(list.Index(i))
	}
	v.Set(list)
}

func (n Node) decodeMap(v reflect.Value) {
	if !n.IsMapping() {
		n.expected(v.Type())
		return
	}
	keys, values := n.Entries()
	m := reflect.MakeMapWithSize(v.Type(), len(keys))
	for i, k := range keys {
		e := reflect.New(v.Type().Elem()).Elem()
		values[i].decode(e)
		m.SetMapIndex(reflect.ValueOf(k).Convert(v.Type().Key()), e)
	}
	v.Set(m)
}

func (n Node) decodeStruct(v reflect.Value) {
	if !n.IsMapping() {
		n.expected(v.Type())
		return
	}
	fields := fieldsOf(v.Type())
	seen := map[string]bool{}
	keys, values := n.Entries()
	for i, k := range keys {
		f, ok := fields[k]
		if !ok {
			at := n.doc.at[values[i].path+keyMark]
			n.doc.add(at, fmt.Sprintf("unknown key %q", k), DidYouMean(k, fieldNames(v.Type())))
			continue
		}
		seen[k] = true
		if values[i].IsNull() && !f.nullable {
			values[i].Errorf("give it a value or remove the key", "%s has no value", k)
			continue
		}
		values[i].decode(v.FieldByIndex(f.index))
		values[i].checkField(f, v.FieldByIndex(f.index))
	}
	for _, name := range fieldNames(v.Type()) {
		if f := fields[name]; f.required && !seen[name] {
			n.Errorf(f.doc, "%s lacks the key %q", n.whole(), name)
		}
	}
}

// whole names the mapping that lacks a key: by its id where it has one.
func (n Node) whole() string {
	for _, key := range []string{"id", "action", "name", "connector"} {
		if id, ok := n.Key(key); ok && id.IsText() {
			return strconv.Quote(id.n.Value)
		}
	}
	return n.name()
}

// field is what the tags say of a struct field.
type field struct {
	name, doc string
	index     []int
	required  bool
	nullable  bool // an any: null is a value
	enum      []string
	pattern   *regexp.Regexp
	min       *float64
	typ       reflect.Type
}

func fieldsOf(t reflect.Type) map[string]field {
	fields := map[string]field{}
	for i := range t.NumField() {
		sf := t.Field(i)
		name, options, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		f := field{name: name, doc: sf.Tag.Get("doc"), index: sf.Index, typ: sf.Type,
			required: options == "required", nullable: sf.Type.Kind() == reflect.Interface}
		if enum := sf.Tag.Get("enum"); enum != "" {
			f.enum = strings.Split(enum, ",")
		}
		if p := sf.Tag.Get("pattern"); p != "" {
			f.pattern = regexp.MustCompile("^(?:" + p + ")$")
		}
		if m := sf.Tag.Get("min"); m != "" {
			least, _ := strconv.ParseFloat(m, 64)
			f.min = &least
		}
		fields[name] = f
	}
	return fields
}

// fieldNames lists the keys of a struct in the order of its fields.
func fieldNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

func (n Node) checkField(f field, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		n.checkText(f, v.String())
	case reflect.Slice:
		if f.enum != nil || f.pattern != nil {
			for _, item := range n.Items() {
				if item.IsText() {
					item.checkText(f, item.n.Value)
				}
			}
		}
		if f.min != nil && n.IsList() && float64(v.Len()) < *f.min {
			n.Errorf(fmt.Sprintf("at least %v", *f.min), "%s has %d entries", f.name, v.Len())
		}
	case reflect.Int, reflect.Int64:
		_, isNumber := scalar(n.n).(int)
		if f.min != nil && float64(v.Int()) < *f.min && isNumber {
			n.Errorf(fmt.Sprintf("at least %v", *f.min), "%s is %s", f.name, n.n.Value)
		}
	case reflect.Float64:
		if f.min != nil && v.Float() < *f.min {
			n.Errorf(fmt.Sprintf("at least %v", *f.min), "%s is %s", f.name, n.n.Value)
		}
	}
}

func (n Node) checkText(f field, s string) {
	if !n.IsText() {
		return // already reported
	}
	if f.enum != nil && !slices.Contains(f.enum, s) {
		hint := DidYouMean(s, f.enum)
		if !strings.HasPrefix(hint, "expected") {
			hint += " expected one of " + joinWords(f.enum)
		}
		n.Errorf(hint, "%s is %q", f.name, shorten(s))
	}
	if f.pattern != nil && !f.pattern.MatchString(s) {
		n.Errorf(f.doc, "%s is %q", f.name, shorten(s))
	}
	if f.min != nil && s == "" {
		n.Errorf("write something", "%s is empty", f.name)
	}
}
