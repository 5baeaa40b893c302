package expr_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/expr"
)

func TestALenientTextReadsWhatIsThere(t *testing.T) {
	t.Parallel()
	s := expr.NewScope().Lenient().With("event", expr.Any())
	event, err := expr.DecodeJSON([]byte(`{"text": "abc", "n": 5, "digits": "7", "list": [{"x": 1}, "odd", null, {"x": 2}], "one": {"x": 3}, "yes": "True", "zero": 0}`))
	if err != nil {
		t.Fatal(err)
	}
	env := &expr.Env{Roots: map[string]any{"event": event}}
	for src, want := range map[string]any{
		`event.none.deeper.still`:                      nil,
		`event.text.field ?? "else"`:                   "else",
		`event.none[0].x`:                              nil,
		`event.list[1].x`:                              nil,
		`event.n["x"]`:                                 nil,
		`map(event.list, #.x)`:                         []any{1, nil, nil, 2},
		`map(event.one, #.x)`:                          []any{3},
		`map(event.none, #.x)`:                         []any{},
		`find(event.list, #.x == 2).x`:                 2,
		`any(event.text, # == "abc")`:                  true,
		`lower(event.none)`:                            nil,
		`upper(event.n)`:                               "5",
		`join(map(event.list, #.none), ",")`:           nil,
		`first(event.text)`:                            "abc",
		`"a " + event.n + " b"`:                        "a 5 b",
		`"a" + event.none`:                             "a",
		`event.none + event.none`:                      nil,
		`event.digits * 2`:                             14,
		`event.digits > 6`:                             true,
		`event.none > 6`:                               false,
		`event.one > 6`:                                false,
		`event.one contains "x"`:                       false,
		`event.text in event.n`:                        false,
		`event.none ? 1 : 2`:                           2,
		`event.yes ? 1 : 2`:                            1,
		`not event.none and event.yes`:                 true,
		`(event.n / event.zero) ?? "no"`:               "no",
		`int(event.text) ?? "no"`:                      "no",
		`fromJSON(event.text) ?? "no"`:                 "no",
		`(-event.text) ?? "no"`:                        "no",
		`event.n[1:2] ?? "no"`:                         "no",
		`sum(event.list) ?? "no"`:                      "no",
		`let a = event.none; let b = a.x; b.y ?? "no"`: "no",
	} {
		p, err := expr.Compile(src, s, expr.Any())
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		got, err := p.Eval(env)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%s: %v %s", src, err, d)
		}
	}
	p, err := expr.Compile(`event.none`, s, expr.Bool())
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := p.EvalBool(env); ok || err != nil {
		t.Errorf("a condition that is nil: %v, %v", ok, err)
	}
}

func TestALenientTextKeepsTheLimitsAndTheCheck(t *testing.T) {
	t.Parallel()
	s := expr.NewScope().Lenient().With("event", expr.Any())
	p, err := expr.Compile(`map(1..2000, map(1..2000, event.x))`, s, expr.Any())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Eval(&expr.Env{}); err == nil || !strings.Contains(err.Error(), "too much") {
		t.Errorf("a text without end: %v", err)
	}
	if _, err := expr.Compile(`evnt.x`, s, expr.Any()); err == nil {
		t.Error("an unknown name passes")
	}
	strict, err := expr.Compile(`event.x.y`, expr.NewScope().With("event", expr.Any()), expr.Any())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := strict.Eval(&expr.Env{Roots: map[string]any{"event": map[string]any{}}}); err == nil {
		t.Errorf("a strict text gives %v", v)
	}
}
