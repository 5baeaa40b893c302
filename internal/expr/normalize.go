package expr

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// Normalize turns a value into a plain one: nil, bool, int, float64, string,
// []any, map[string]any or Secret. Times become texts in RFC 3339 (UTC),
// durations texts such as 90s or 7d, other integers int, other lists and maps
// the plain ones. Plain values come back as they are, not copied.
func Normalize(v any) any { return normalize(v, 0) }

func normalize(v any, depth int) any {
	if depth > maxDepth {
		return nil
	}
	switch v := v.(type) {
	case nil, bool, int, float64, string, Secret:
		return v
	case time.Time:
		return timeText(v)
	case time.Duration:
		return durationText(v)
	case []any:
		return normalizeList(v, depth)
	case map[string]any:
		return normalizeObject(v, depth)
	case json.Number:
		return number(v.String())
	case *time.Location:
		return v.String()
	}
	return normalizeOther(reflect.ValueOf(v), depth)
}

func normalizeList(list []any, depth int) any {
	for i, e := range list {
		if isPlainDepth(e, depth+1) {
			continue
		}
		out := make([]any, len(list))
		copy(out, list[:i])
		for j := i; j < len(list); j++ {
			out[j] = normalize(list[j], depth+1)
		}
		return out
	}
	if list == nil {
		return []any{}
	}
	return list
}

func normalizeObject(object map[string]any, depth int) any {
	for _, e := range object {
		if isPlainDepth(e, depth+1) {
			continue
		}
		out := make(map[string]any, len(object))
		for name, f := range object {
			out[name] = normalize(f, depth+1)
		}
		return out
	}
	if object == nil {
		return map[string]any{}
	}
	return object
}

func normalizeOther(v reflect.Value, depth int) any {
	switch v.Kind() {
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return int(v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if u := v.Uint(); u <= math.MaxInt64 {
			return int(u)
		}
		return float64(v.Uint())
	case reflect.Float32, reflect.Float64:
		return v.Float()
	case reflect.String:
		return v.String()
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return normalize(v.Elem().Interface(), depth+1)
	case reflect.Slice, reflect.Array:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = normalize(v.Index(i).Interface(), depth+1)
		}
		return out
	case reflect.Map:
		out := make(map[string]any, v.Len())
		for it := v.MapRange(); it.Next(); {
			out[fmt.Sprint(it.Key().Interface())] = normalize(it.Value().Interface(), depth+1)
		}
		return out
	}
	return v.Interface()
}

// isPlain tells whether v is a plain value through and through.
func isPlain(v any) bool { return isPlainDepth(v, 0) }

func isPlainDepth(v any, depth int) bool {
	if depth > maxDepth {
		return false
	}
	switch v := v.(type) {
	case nil, bool, int, float64, string, Secret:
		return true
	case []any:
		for _, e := range v {
			if !isPlainDepth(e, depth+1) {
				return false
			}
		}
		return v != nil
	case map[string]any:
		for _, e := range v {
			if !isPlainDepth(e, depth+1) {
				return false
			}
		}
		return v != nil
	}
	return false
}

func timeText(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// durationText writes a duration as playbooks do, in the largest unit that fits
// exactly: 7d, 36h, 90s. Parts of a second are written as Go does.
func durationText(d time.Duration) string {
	units := []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}}
	if d == 0 {
		return "0s"
	}
	for _, u := range units {
		if d%u.size == 0 {
			return strconv.FormatInt(int64(d/u.size), 10) + u.name
		}
	}
	return d.String()
}

// textOf writes a value as it is put into a longer text: nil as nothing, lists
// and objects as JSON.
func textOf(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case float64:
		return floatText(v), nil
	case time.Time:
		return timeText(v), nil
	case time.Duration:
		return durationText(v), nil
	case *time.Location:
		return v.String(), nil
	case Secret:
		return "", errSecret
	}
	b, err := appendJSON(nil, v, encodeInside, 0)
	return string(b), err
}

// settle makes a result plain. One that was built may hold the same part many
// times, so it is measured as the tree that it will be when it is written.
func (m *machine) settle(v any, built bool) (any, error) {
	if !built && m.env.held != nil {
		switch v.(type) {
		case []any, map[string]any: // of the session's roots, which are plain
			return v, nil
		}
	}
	if !built {
		return Normalize(v), nil
	}
	s := settler{}
	v, _, err := s.settle(v, 0)
	return v, err
}

type settler struct{ size int }

func (s *settler) add(n int) error {
	if s.size += n; s.size > MaxMemory {
		return failf(0, "the result is too large: over %d MB", MaxMemory>>20)
	}
	return nil
}

// settle gives v as a plain value; changed tells whether it is another one.
func (s *settler) settle(v any, depth int) (out any, changed bool, err error) {
	if depth > maxDepth {
		return nil, false, failf(0, "the result is nested too deeply: over %d levels", maxDepth)
	}
	switch v := v.(type) {
	case nil, bool, int, float64, Secret:
		return v, false, nil
	case string:
		return v, false, s.add(len(v))
	case []any:
		return s.list(v, depth)
	case map[string]any:
		return s.object(v, depth)
	}
	return Normalize(v), true, nil
}

func (s *settler) list(list []any, depth int) (any, bool, error) {
	if err := s.add(slotBytes * len(list)); err != nil {
		return nil, false, err
	}
	out := list
	for i, e := range list {
		n, changed, err := s.settle(e, depth+1)
		if err != nil {
			return nil, false, err
		}
		if changed {
			if len(out) > 0 && &out[0] == &list[0] {
				out = slices.Clone(list)
			}
			out[i] = n
		}
	}
	return out, len(out) > 0 && &out[0] != &list[0], nil
}

func (s *settler) object(object map[string]any, depth int) (any, bool, error) {
	out, copied := object, false
	for name, e := range object {
		if err := s.add(entryBytes + len(name)); err != nil {
			return nil, false, err
		}
		n, changed, err := s.settle(e, depth+1)
		if err != nil {
			return nil, false, err
		}
		if changed && !copied {
			out, copied = maps.Clone(object), true
		}
		if changed {
			out[name] = n
		}
	}
	return out, copied, nil
}
