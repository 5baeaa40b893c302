package expr_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/expr"
)

const oddEvent = `{
	"id": "top", "none": null, "blank": " ", "dash": "-", "n": 7, "text": "12.5",
	"alert": {"id": 5, "source": {"ip": "192.0.2.1"}, "srcIp": "192.0.2.2", "rule.name": "R", "tags": ["a", "", "b"]},
	"rule": "a text", "flat.one.two": {"x": 1}, "files": [{"sha256": "aa"}, {"sha256": "-"}, 3, {"sha256": ["bb", "cc"]}],
	"properties": [{"name": "userAgent", "value": "curl"}, {"Key": "actor_user", "ValueString": "ann"}],
	"SRC-IP": "192.0.2.3"}`

func evalEvent(t *testing.T, src string) any {
	t.Helper()
	event, err := expr.DecodeEvent([]byte(oddEvent))
	if err != nil {
		t.Fatal(err)
	}
	p, err := expr.Compile(src, expr.NewScope().With("event", expr.Any()), expr.Any())
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	v, err := p.Eval(&expr.Env{Roots: map[string]any{"event": event}})
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return v
}

func TestWhatOthersHaveWrittenIsFound(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]any{
		`at(event, "alert.source.ip")`:                         "192.0.2.1",
		`at(event, "none", "blank", "dash", "missing", "n")`:   7,
		`at(event, "rule.name", "alert.rule.name")`:            "R",
		`at(event, "flat.one.two.x")`:                          1,
		`at(event, "files.sha256")`:                            []any{"aa", "bb", "cc"},
		`at(event, "files.0.sha256")`:                          "aa",
		`at(event, "files.9.sha256", "files.x")`:               nil,
		`at(event.rule, "a")`:                                  nil,
		`at(nil, "a")`:                                         nil,
		`at(event.alert, "tags")`:                              []any{"a", "", "b"},
		`pick(event, "src_ip")`:                                "192.0.2.3",
		`pick(event, "alert.src_ip")`:                          "192.0.2.2",
		`pick(event, "source.ip")`:                             "192.0.2.1",
		`pick(event, "id")`:                                    "top",
		`pick(event, ".ip", "rule.name")`:                      "R",
		`pick(event, ".id")`:                                   "top",
		`pick(event, "blank", "dash", "none", "useragent")`:    "curl",
		`pick(event, "actoruser")`:                             "ann",
		`pick(event, "alert", "missing")`:                      nil,
		`pick("text", "a")`:                                    nil,
		`pick_all(event, "src_ip", "source.ip", "srcip")`:      []any{"192.0.2.3", "192.0.2.2", "192.0.2.1"},
		`pick_all(event, "tags", "sha256")`:                    []any{"a", "b", "aa", "bb", "cc"},
		`pick_all(event, "nothing")`:                           []any{},
		`some(event.none, event.blank, event.dash, event.n)`:   7,
		`some(nil, [], ({}))`:                                  nil,
		`number(event.text)`:                                   12.5,
		`number(event.n) + 1`:                                  8,
		`number(event.rule) ?? number(nil) ?? number([]) ?? 0`: 0,
		`extract_all("a=1 b=22", "(\\d+)")`:                    []any{"1", "22"},
		`extract_all(event.none, "x")`:                         []any{},
	} {
		if d := cmp.Diff(want, evalEvent(t, src)); d != "" {
			t.Errorf("%s: %s", src, d)
		}
	}
}

func TestNamesToLookForAreLiteral(t *testing.T) {
	t.Parallel()
	s := expr.NewScope().With("event", expr.Any())
	for src, want := range map[string]string{
		`at(event)`:                "at needs a value and at least one name",
		`pick(event, event.x)`:     "pick needs its names as literal texts",
		`pick(event, ".")`:         `"." is no name of a field`,
		`pick_all(event, "_ - @")`: `"_ - @" is no name of a field`,
	} {
		if _, err := expr.Compile(src, s, expr.Any()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", src, err, want)
		}
	}
}

func TestALargeOrDeepValueIsLookedThroughWithinLimits(t *testing.T) {
	t.Parallel()
	wide := map[string]any{}
	for i := range 20_000 {
		wide[fmt.Sprint("k", i)] = map[string]any{"x": i}
	}
	var deep any = "found"
	for range 900 {
		deep = map[string]any{"d": deep}
	}
	p, err := expr.Compile(`[len(pick_all(event, "x")), pick(event, "d")]`, expr.NewScope().With("event", expr.Any()), expr.Any())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		event any
		want  []any
	}{"wide": {wide, []any{200, nil}}, "deep": {deep, []any{0, nil}}} {
		start := time.Now()
		got, err := p.Eval(&expr.Env{Roots: map[string]any{"event": c.event}})
		if d := cmp.Diff(any(c.want), got); err != nil || d != "" {
			t.Errorf("%s: %v %s", name, err, d)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
}

func TestASessionGivesWhatEachEvaluationAloneGives(t *testing.T) {
	t.Parallel()
	scope := expr.NewScope().With("event", expr.Any()).With("more", expr.Any())
	var values []*expr.Value
	for _, src := range []string{
		`${{ pick(event, "a") }}`, `${{ let x = event.a; map([1, 2], # + x) }}`, `${{ event.b?.c }}`, `${{ [1, 2] | filter(# > 1) }}`, `${{ more?.x ?? event.a }}!`,
	} {
		v, err := expr.CompileValue(src, scope, nil)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	roots := func() map[string]any { return map[string]any{"event": map[string]any{"a": 1}, "more": nil} }
	session := expr.NewSession(&expr.Env{Roots: roots()})
	for round := range 2 {
		for i, v := range values {
			alone, err := v.Eval(&expr.Env{Roots: roots()})
			if err != nil {
				t.Fatal(err)
			}
			got, err := session.Eval(v)
			if d := cmp.Diff(alone, got); err != nil || d != "" {
				t.Errorf("round %d, value %d: %v %s", round, i, err, d)
			}
		}
	}
	session.Set("more", map[string]any{"x": 9})
	if s, err := session.Text(values[4]); s != "9!" || err != nil {
		t.Errorf("%q, %v", s, err)
	}
	if v, err := session.Eval(values[0]); v != 1 || err != nil {
		t.Errorf("%v, %v", v, err)
	}
}

func TestAnEventIsReadAsAnyJSON(t *testing.T) {
	t.Parallel()
	for _, src := range []string{
		oddEvent, `[]`, `{}`, `[[],{"a":[1,{"b":null}]}]`, `"caf\u00e9 \ud83d\ude00"`, "\"\xff\"", `{"a":1,"a":{"b":2}}`, `[1,2`, `{"a"`, `1 2`, strings.Repeat("[", 2000),
	} {
		plain, err := expr.DecodeJSON([]byte(src))
		event, err2 := expr.DecodeEvent([]byte(src))
		if d := cmp.Diff(plain, event); d != "" || (err == nil) != (err2 == nil) {
			t.Errorf("%s: %s %v %v", src, d, err, err2)
		}
	}
}
