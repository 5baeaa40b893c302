package expr

import (
	"maps"
	"slices"
	"strings"
)

// Kind is the broad sort of a value.
type Kind uint8

// The kinds. KindAny stands for "not known before the value is there".
const (
	KindAny Kind = iota
	KindNil
	KindBool
	KindInt    // a whole number
	KindNumber // a number, whole or not
	KindText
	KindTime
	KindDuration
	KindList
	KindObject
	KindSecret
	kindZone // a time zone, only ever an argument of date
)

var kindNames = [...]string{
	"any", "nil", "bool", "int", "number", "text", "time", "duration", "list", "object", "secret", "time zone",
}

func (k Kind) String() string { return kindNames[k] }

// Type is what is known of a value when a text is checked. The zero Type is
// Any: nothing is known, and the value is checked when it is there.
type Type struct {
	kind   Kind
	null   bool // may be nil as well
	elem   *Type
	fields map[string]Type
	open   bool  // other fields than those named are allowed
	rest   *Type // the type of other fields; nil means Any
	values []any // the only values it may have; nil means no such limit
	weight int   // of how many types it is made, itself not counted
}

// maxWeight bounds what is remembered of a type that a text builds. Types share
// their parts, so a short text could describe one that takes forever to walk.
const maxWeight = 1024

// Any is the type of a value of which nothing is known.
func Any() Type { return Type{} }

// Nil is the type of nil.
func Nil() Type { return Type{kind: KindNil} }

// Bool is the type of true and false.
func Bool() Type { return Type{kind: KindBool} }

// Int is the type of whole numbers.
func Int() Type { return Type{kind: KindInt} }

// Number is the type of all numbers.
func Number() Type { return Type{kind: KindNumber} }

// Text is the type of texts.
func Text() Type { return Type{kind: KindText} }

// Time is the type of points in time. Its values may also be texts in RFC 3339.
func Time() Type { return Type{kind: KindTime} }

// Duration is the type of lengths of time.
func Duration() Type { return Type{kind: KindDuration} }

// List is the type of lists whose elements have type elem.
func List(elem Type) Type { return Type{kind: KindList, elem: &elem, weight: elem.weight + 1} }

// Object is the type of objects with the given fields. In an open one other
// fields are allowed and of type Any; in a closed one they are a check error.
func Object(fields map[string]Type, open bool) Type {
	weight := 0
	for _, f := range fields {
		weight += f.weight + 1
	}
	return Type{kind: KindObject, fields: fields, open: open, weight: weight}
}

// bounded forgets the parts of a type that is made of too many.
func (t Type) bounded() Type {
	if t.weight <= maxWeight {
		return t
	}
	return Type{kind: t.kind, null: t.null, open: true}
}

// MapOf is the type of objects with fields of any name, all of type elem.
func MapOf(elem Type) Type {
	return Type{kind: KindObject, open: true, rest: &elem, weight: elem.weight + 1}
}

func secretType() Type { return Type{kind: KindSecret} }

// Nullable is t, or nil.
func (t Type) Nullable() Type {
	if t.kind != KindAny && t.kind != KindNil {
		t.null = true
	}
	return t
}

// NonNil is t without nil.
func (t Type) NonNil() Type {
	t.null = false
	return t
}

// OneOf is t limited to the given values.
func (t Type) OneOf(values ...any) Type {
	t.values = values
	return t
}

// Kind tells the broad sort of t.
func (t Type) Kind() Kind { return t.kind }

// IsNullable tells whether nil is among the values of t, as far as is known.
func (t Type) IsNullable() bool { return t.null || t.kind == KindNil || t.kind == KindAny }

// Elem is the type of a list's elements, Any where it is not known.
func (t Type) Elem() Type {
	if t.elem == nil {
		return Any()
	}
	return *t.elem
}

// Fields are the named fields of an object. The map must not be changed.
func (t Type) Fields() map[string]Type { return t.fields }

// Open tells whether an object may have other fields than those named.
func (t Type) Open() bool { return t.open }

// Values are the only values that t may have, nil where there is no such limit.
func (t Type) Values() []any { return t.values }

// Field is the type of a field of an object; false means that a closed object
// has no such field.
func (t Type) Field(name string) (Type, bool) {
	if t.kind != KindObject {
		return Any(), t.kind == KindAny
	}
	if f, ok := t.fields[name]; ok {
		return f, true
	}
	if !t.open {
		return Any(), false
	}
	if t.rest != nil {
		return t.rest.Nullable(), true
	}
	return Any(), true
}

// String writes the type as error messages do: "list of text", "int or nil".
func (t Type) String() string {
	s := t.kind.String()
	if t.kind == KindList && t.elem != nil && t.elem.kind != KindAny {
		s += " of " + t.elem.kind.String()
	}
	if t.null {
		s += " or nil"
	}
	return s
}

func (t Type) isNumber() bool { return t.kind == KindInt || t.kind == KindNumber }

func (t Type) is(kinds ...Kind) bool { return slices.Contains(kinds, t.kind) }

// may tells whether a value of type t can be of one of the kinds.
func (t Type) may(kinds ...Kind) bool { return t.kind == KindAny || slices.Contains(kinds, t.kind) }

// join is the type of a value that is of type a or of type b.
func join(a, b Type) Type {
	null := a.null || b.null || a.kind == KindNil || b.kind == KindNil
	switch {
	case a.kind == KindNil:
		return b.Nullable()
	case b.kind == KindNil:
		return a.Nullable()
	case a.kind == KindAny || b.kind == KindAny:
		return Any()
	case a.isNumber() && b.isNumber() && a.kind != b.kind:
		return Type{kind: KindNumber, null: null}
	case a.kind != b.kind:
		return Any()
	case a.kind == KindList:
		t := List(join(a.Elem(), b.Elem())).bounded()
		t.null = null
		return t
	case a.kind == KindObject:
		t := joinObjects(a, b)
		t.null = null
		return t
	}
	t := Type{kind: a.kind, null: null}
	if a.values != nil && b.values != nil {
		t.values = slices.Concat(a.values, b.values)
	}
	return t
}

func joinObjects(a, b Type) Type {
	if a.weight+b.weight > 2*maxWeight {
		return Object(nil, true)
	}
	fields := map[string]Type{}
	for name, f := range a.fields {
		if g, ok := b.fields[name]; ok {
			fields[name] = join(f, g)
		} else {
			fields[name] = f.Nullable()
		}
	}
	for name, g := range b.fields {
		if _, ok := a.fields[name]; !ok {
			fields[name] = g.Nullable()
		}
	}
	return Object(fields, a.open || b.open).bounded()
}

// Fits tells whether a value of type t can be used where want is asked for.
// Only what is known to be wrong is refused: the answer is "" where it fits or
// may fit, else what is wrong, such as `expected int, got text`. A value that
// may be nil fits; one that is always nil does not, unless want allows it.
func (t Type) Fits(want Type) string { return t.fits(want, "") }

func (t Type) fits(want Type, path string) string {
	at := func(what string) string {
		if path != "" {
			return path + ": " + what
		}
		return what
	}
	wrong := func() string { return at("expected " + want.String() + ", got " + t.String()) }
	switch {
	case t.kind == KindAny || want.kind == KindAny:
		return ""
	case t.kind == KindNil:
		if want.null || want.kind == KindNil {
			return ""
		}
		return wrong()
	case t.kind == KindSecret && want.kind == KindText:
		return "" // a secret becomes a text when the call is made
	case want.kind == KindNumber && t.kind == KindInt, want.kind == KindInt && t.kind == KindNumber:
		return ""
	case want.kind == KindText && t.is(KindTime, KindDuration), want.kind == KindTime && t.kind == KindText,
		want.kind == KindDuration && t.kind == KindText:
		return "" // times and durations travel as text
	case t.kind != want.kind:
		return wrong()
	case disjoint(t.values, want.values):
		return at("expected " + listed(want.values) + ", got only ever " + listed(t.values))
	case t.kind == KindList:
		return t.Elem().fits(want.Elem(), inside(path, "[]"))
	case t.kind == KindObject:
		for _, name := range slices.Sorted(maps.Keys(t.fields)) {
			f, ok := want.Field(name)
			if !ok {
				return (&Error{Message: inside(path, "unknown field "+quote(name)), Hint: suggest(name, maps.Keys(want.fields))}).Error()
			}
			if s := t.fields[name].fits(f, inside(path, name)); s != "" {
				return s
			}
		}
	}
	return ""
}

// disjoint tells whether two limits are known that have no value in common.
func disjoint(a, b []any) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	return !slices.ContainsFunc(a, func(v any) bool {
		return slices.ContainsFunc(b, func(w any) bool { return sameScalar(v, w) })
	})
}

// sameScalar compares values of enums. Lists and objects count as the same,
// because they may be.
func sameScalar(v, w any) bool {
	x, isX := asFloat(v)
	y, isY := asFloat(w)
	switch {
	case isX && isY:
		return x == y
	case kindOf(v) == KindList, kindOf(v) == KindObject, kindOf(w) == KindList, kindOf(w) == KindObject:
		return true
	}
	return v == w
}

// listed writes the values of an enum for a message.
func listed(values []any) string {
	words := make([]string, 0, len(values))
	for _, v := range values {
		words = append(words, literal(v))
	}
	if len(words) > 8 {
		words = append(words[:8], "…")
	}
	return strings.Join(words, " or ")
}

// inside adds a part to the path in a message.
func inside(path, part string) string {
	if path == "" || part == "[]" {
		return path + part
	}
	return path + "." + part
}
