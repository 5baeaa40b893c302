package expr

import "slices"

// listFunction holds the library's functions on lists and objects.
func listFunction(name string) (function, bool) {
	list := []param{aList}
	switch name {
	case "len":
		return function{params: []param{{KindList, KindObject, KindText}}, least: 1, out: gives(Int()), call: size}, true
	case "type":
		return function{params: []param{aThing}, least: 1, out: gives(Text()), call: typeName}, true
	case "first":
		return function{params: list, least: 1, out: firstElem, call: pick(0)}, true
	case "last":
		return function{params: list, least: 1, out: firstElem, call: pick(-1)}, true
	case "get":
		return function{params: []param{aThing, aThing}, least: 2, out: gives(Any()), call: get}, true
	case "take":
		return function{params: []param{aList, aWhole}, least: 2, out: elemOf, call: take}, true
	case "keys":
		return function{params: []param{anObj}, least: 1, out: gives(List(Text())), call: keys}, true
	case "values":
		return function{params: []param{anObj}, least: 1, out: gives(List(Any())), call: values}, true
	case "toPairs":
		return function{params: []param{anObj}, least: 1, out: gives(List(List(Any()))), call: toPairs}, true
	case "fromPairs":
		return function{params: list, least: 1, out: gives(Object(nil, true)), call: fromPairs}, true
	case "reverse":
		return function{params: list, least: 1, out: elemOf, call: reverse}, true
	case "uniq":
		return function{params: list, least: 1, out: elemOf, call: uniq}, true
	case "concat":
		return function{params: list, least: 1, variadic: true, out: concatType, call: concat}, true
	case "flatten":
		return function{params: list, least: 1, out: gives(List(Any())), call: flatten}, true
	case "sort":
		return function{params: []param{aList, aText}, least: 1, out: elemOf, call: sortList}, true
	}
	return function{}, false
}

func firstElem(args []code) Type { return args[0].typ.Elem().Nullable() }

func concatType(args []code) Type {
	t := args[0].typ.Elem()
	for _, a := range args[1:] {
		t = join(t, a.typ.Elem())
	}
	return List(t)
}

func size(m *machine, args []any) (any, error) {
	switch v := args[0].(type) {
	case []any:
		return len(v), nil
	case map[string]any:
		return len(v), nil
	case string:
		return length(v), m.scan(len(v))
	}
	return nil, failf(-1, "len needs a list, an object or a text")
}

// typeName names a type as the library does.
func typeName(_ *machine, args []any) (any, error) {
	switch kindOf(args[0]) {
	case KindNil:
		return "nil", nil
	case KindBool:
		return "bool", nil
	case KindInt:
		return "int", nil
	case KindNumber:
		return "float", nil
	case KindText:
		return "string", nil
	case KindList:
		return "array", nil
	case KindObject:
		return "map", nil
	case KindTime:
		return "time", nil
	case KindDuration:
		return "duration", nil
	default:
		return "unknown", nil
	}
}

func pick(i int) func(*machine, []any) (any, error) {
	return func(_ *machine, args []any) (any, error) {
		list := args[0].([]any)
		switch {
		case len(list) == 0:
			return nil, nil
		case i < 0:
			return list[len(list)-1], nil
		}
		return list[i], nil
	}
}

// get is [ ] that never fails: what is not there is nil.
func get(m *machine, args []any) (any, error) {
	switch v := args[0].(type) {
	case map[string]any:
		key, err := textOf(args[1])
		if err != nil {
			return nil, failf(-1, "%s", err)
		}
		return v[key], nil
	case []any:
		i, ok := whole(args[1])
		if i < 0 {
			i += len(v)
		}
		if ok && i >= 0 && i < len(v) {
			return v[i], nil
		}
	case string:
		i, ok := whole(args[1])
		if err := m.scan(len(v)); err != nil || !ok {
			return nil, err
		}
		n := length(v)
		if i < 0 {
			i += n
		}
		if i >= 0 && i < n {
			return cut(v, i, i+1), nil
		}
	}
	return nil, nil
}

func take(_ *machine, args []any) (any, error) {
	list := args[0].([]any)
	n, _ := whole(args[1])
	n = min(max(n, 0), len(list))
	return list[:n:n], nil
}

func keys(m *machine, args []any) (any, error) {
	object := args[0].(map[string]any)
	if err := m.growSorted(object); err != nil {
		return nil, err
	}
	out := make([]any, 0, len(object))
	for _, k := range sortedKeys(object) {
		out = append(out, k)
	}
	return out, nil
}

// growSorted counts a list made of an object's entries in order.
func (m *machine) growSorted(object map[string]any) error {
	if err := m.growList(2 * len(object)); err != nil {
		return err
	}
	return m.scan(entryBytes * len(object))
}

func values(m *machine, args []any) (any, error) {
	object := args[0].(map[string]any)
	if err := m.growSorted(object); err != nil {
		return nil, err
	}
	out := make([]any, 0, len(object))
	for _, k := range sortedKeys(object) {
		out = append(out, object[k])
	}
	return out, nil
}

func toPairs(m *machine, args []any) (any, error) {
	object := args[0].(map[string]any)
	if err := m.grow(entryBytes * len(object)); err != nil {
		return nil, err
	}
	out := make([]any, 0, len(object))
	for _, k := range sortedKeys(object) {
		out = append(out, []any{k, object[k]})
	}
	return out, m.scan(entryBytes * len(object))
}

func fromPairs(m *machine, args []any) (any, error) {
	list := args[0].([]any)
	if err := m.grow(entryBytes * len(list)); err != nil {
		return nil, err
	}
	out := make(map[string]any, len(list))
	for i, e := range list {
		pair, ok := e.([]any)
		if !ok || len(pair) != 2 {
			return nil, failf(-1, "fromPairs needs lists of a name and a value, but element %d is %s", i, describe(e))
		}
		key, err := textOf(pair[0])
		if err != nil {
			return nil, failf(-1, "%s", err)
		}
		out[key] = pair[1]
	}
	return out, m.scan(entryBytes * len(list))
}

func reverse(m *machine, args []any) (any, error) {
	list := args[0].([]any)
	if err := m.growList(len(list)); err != nil {
		return nil, err
	}
	out := slices.Clone(list)
	if out == nil {
		out = []any{}
	}
	slices.Reverse(out)
	return out, m.scan(slotBytes * len(list))
}

// uniq keeps the first of equal elements.
func uniq(m *machine, args []any) (any, error) {
	list := args[0].([]any)
	if err := m.growList(3 * len(list)); err != nil {
		return nil, err
	}
	out, seen := make([]any, 0, len(list)), make(map[any]bool, len(list))
	for _, e := range list {
		key, err := m.uniqKey(e)
		if err != nil {
			return nil, err
		}
		if !seen[key] {
			seen[key] = true
			out = append(out, e)
		}
	}
	return out, m.scan(entryBytes * len(list))
}

// written is what a list or object is told apart by: its JSON.
type written string

// uniqKey gives equal values equal keys.
func (m *machine) uniqKey(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, float64, string:
		return v, nil
	case int:
		if v < 1<<53 && v > -(1<<53) {
			return float64(v), nil
		}
		return v, nil
	}
	if err := m.weigh(v, 0); err != nil {
		return nil, err
	}
	b, err := appendJSON(nil, v, encodeInside, 0)
	if err != nil {
		return nil, failf(-1, "%s", err)
	}
	return written(b), m.scan(4 * len(b))
}

func concat(m *machine, args []any) (any, error) {
	total := 0
	for _, a := range args {
		total += len(a.([]any))
	}
	if err := m.growList(total); err != nil {
		return nil, err
	}
	out := make([]any, 0, total)
	for _, a := range args {
		out = append(out, a.([]any)...)
	}
	return out, m.scan(slotBytes * total)
}

func flatten(m *machine, args []any) (any, error) {
	out := []any{}
	err := m.flatten(&out, args[0].([]any), 0)
	return out, err
}

func (m *machine) flatten(out *[]any, list []any, depth int) error {
	if depth > maxDepth {
		return failf(-1, "the list is nested too deeply")
	}
	if err := m.growList(len(list)); err != nil {
		return err
	}
	if err := m.scan(slotBytes * len(list)); err != nil {
		return err
	}
	for _, e := range list {
		inner, ok := e.([]any)
		if !ok {
			*out = append(*out, e)
			continue
		}
		if err := m.flatten(out, inner, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func sortList(m *machine, args []any) (any, error) {
	list, desc := args[0].([]any), false
	if len(args) == 2 {
		var err error
		if desc, err = direction(args[1]); err != nil {
			return nil, err
		}
	}
	if err := m.growList(2 * len(list)); err != nil {
		return nil, err
	}
	s := sorter{desc: desc, items: append([]any{}, list...), keys: slices.Clone(list)}
	return s.sort(m)
}
