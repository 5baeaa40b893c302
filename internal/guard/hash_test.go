package guard

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"riposte/connector"
	"riposte/internal/expr"
)

func hashOf(t testing.TB, q Request) string {
	t.Helper()
	targets, err := connector.Targets(q.Action, q.Inputs)
	if err != nil {
		t.Fatal(err)
	}
	h, err := Hash(&q, targets)
	if err != nil || len(h) != 64 {
		t.Fatalf("%q, %v", h, err)
	}
	return h
}

func TestTheHashIsOfTheExactAction(t *testing.T) {
	t.Parallel()
	first := hashOf(t, block("203.0.113.9"))
	with := func(change func(q *Request)) Request {
		q := block("203.0.113.9")
		change(&q)
		return q
	}
	for name, q := range map[string]Request{
		"another target":          block("203.0.113.10"),
		"the same target in list": with(func(q *Request) { q.Inputs["target"] = []any{"203.0.113.9"} }),
		"one target more":         with(func(q *Request) { q.Inputs["target"] = []any{"203.0.113.9", "203.0.113.10"} }),
		"another input":           with(func(q *Request) { q.Inputs["comment"] = "good" }),
		"an input more":           with(func(q *Request) { q.Inputs["force"] = false }),
		"an input less":           with(func(q *Request) { delete(q.Inputs, "comment") }),
		"a text for a number":     with(func(q *Request) { q.Inputs["comment"] = 1 }),
		"a secret":                with(func(q *Request) { q.Inputs["comment"] = expr.Secret{Connection: "a", Field: "b"} }),
		"what looks like one":     with(func(q *Request) { q.Inputs["comment"] = map[string]any{"$secret": "a/b"} }),
		"another connection":      with(func(q *Request) { q.Connection = "fw-branch" }),
		"another action":          with(func(q *Request) { q.Action = action("firewall", "block_net", "block_ip", connector.Change, "ip") }),
		"another connector":       with(func(q *Request) { q.Action = action("proxy", "block_ip", "block_ip", connector.Change, "ip") }),
		"another version":         with(func(q *Request) { a := *q.Action; a.Version = "2.0.0"; q.Action = &a }),
		"another manifest":        with(func(q *Request) { a := *q.Action; a.Digest = "x"; q.Action = &a }),
		"another impact":          with(func(q *Request) { q.Impact = connector.Destroy }),
		"no way back":             with(irreversible),
		"another way back":        with(func(q *Request) { q.TakeBack.Action = "firewall.allow" }),
		"another time":            with(func(q *Request) { q.TakeBack.After = time.Hour }),
		"a playbook as way back":  with(func(q *Request) { q.TakeBack.Playbook = "unblock" }),
	} {
		if hashOf(t, q) == first {
			t.Errorf("%s: the hash is the same", name)
		}
	}
	for name, q := range map[string]Request{
		"another run":     with(func(q *Request) { q.Run, q.Act, q.By = 8, 9, "ana" }),
		"another time":    with(func(q *Request) { q.At = noon.Add(time.Hour) }),
		"other knowledge": with(func(q *Request) { q.Verdict, q.Severity = "malicious", 5 }),
	} {
		if hashOf(t, q) != first {
			t.Errorf("%s: the hash differs, though the action is the same", name)
		}
	}
}

// plain draws an input.
func plain(t *rapid.T, depth int) any {
	switch n := rapid.IntRange(0, 6).Draw(t, "kind"); {
	case n == 0:
		return nil
	case n == 1:
		return rapid.Bool().Draw(t, "bool")
	case n == 2:
		return rapid.IntRange(-5, 5).Draw(t, "int")
	case n == 3 || depth > 2:
		return rapid.StringMatching(`[a-c:0-9"]{0,4}`).Draw(t, "text")
	case n == 4:
		return expr.Secret{Connection: "c", Field: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "field")}
	case n == 5:
		list := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "length") {
			list = append(list, plain(t, depth+1))
		}
		return list
	}
	m := map[string]any{}
	for range rapid.IntRange(0, 3).Draw(t, "size") {
		m[rapid.SampledFrom([]string{"a", "b", "c", "$secret"}).Draw(t, "key")] = plain(t, depth+1)
	}
	return m
}

// copyOf builds the value anew, its maps filled in the opposite order.
func copyOf(v any) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = copyOf(e)
		}
		return list
	case map[string]any:
		m := map[string]any{}
		for _, k := range slices.Backward(slices.Sorted(maps.Keys(v))) {
			m[k] = copyOf(v[k])
		}
		return m
	}
	return v
}

func same(a, b any) bool {
	switch a := a.(type) {
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, same)
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, same)
	}
	switch b.(type) {
	case []any, map[string]any:
		return false
	}
	return a == b
}

func TestHashesAreEqualExactlyWhereInputsAre(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		a, b := plain(rt, 0), plain(rt, 0)
		q, r := block("203.0.113.9"), block("203.0.113.9")
		q.Inputs["value"], r.Inputs["value"] = a, b
		if (hashOf(t, q) == hashOf(t, r)) != same(a, b) {
			rt.Fatalf("%#v and %#v", a, b)
		}
		r.Inputs["value"] = copyOf(a)
		if hashOf(t, q) != hashOf(t, r) {
			rt.Fatalf("%#v hashes differently when it is built anew", a)
		}
	})
}
