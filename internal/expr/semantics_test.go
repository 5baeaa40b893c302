package expr_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/expr"
	"riposte/internal/fault"
)

var eventTime = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// world is a scope and an environment like those of a playbook.
func world() (*expr.Scope, *expr.Env) {
	open := expr.Object(nil, true)
	step := func(output expr.Type) expr.Type {
		return expr.Object(map[string]expr.Type{
			"status": expr.Text(), "output": output.Nullable(), "answer": expr.Any(), "by": expr.Text().Nullable(),
			"error": expr.Object(map[string]expr.Type{"message": expr.Text(), "code": expr.Text()}, false).Nullable(),
		}, false)
	}
	s := expr.NewScope().
		With("steps", expr.Object(map[string]expr.Type{
			"look_up": step(open),
			"failed":  step(open),
			"typed": step(expr.Object(map[string]expr.Type{
				"hits":  expr.List(expr.Object(map[string]expr.Type{"ip": expr.Text(), "bad": expr.Bool()}, false)),
				"score": expr.Int(), "name": expr.Text(),
			}, false)),
		}, false)).
		With("inputs", expr.Object(map[string]expr.Type{
			"score": expr.Int(), "name": expr.Text(), "ip": expr.Text(), "user": expr.Text().Nullable(), "loose": expr.Any(),
			"flag": expr.Bool(), "list": expr.List(expr.Int()), "at": expr.Time(),
		}, false)).
		With("alert", open)
	env := &expr.Env{
		Now:       eventTime,
		Available: map[string]bool{"firewall": true},
		Roots: map[string]any{
			"steps": map[string]any{
				"look_up": map[string]any{"status": "succeeded", "output": map[string]any{"malicious": 7, "list": []any{1, 2, 3}, "text": "80"}},
				"failed":  map[string]any{"status": "failed", "output": nil, "error": map[string]any{"message": "no", "code": "auth"}},
				"typed": map[string]any{"status": "succeeded", "output": map[string]any{
					"hits": []any{map[string]any{"ip": "192.0.2.1", "bad": true}, map[string]any{"ip": "192.0.2.2", "bad": false}}, "score": 80, "name": "x",
				}},
			},
			"inputs": map[string]any{
				"score": 80, "name": "Ann", "ip": "10.1.2.3", "user": nil, "loose": "80", "flag": true, "list": []any{3, 1, 2},
				"at": "2026-03-14T15:00:00Z",
			},
			"alert": map[string]any{"b": 2, "a": 1, "nested": map[string]any{"x": 1.5}},
		},
	}
	return s, env
}

func TestValuesOfExpressions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		src  string
		want any
	}{
		{`steps.look_up.output.malicious >= 5`, true},
		{`${{ steps.look_up.output.malicious }}`, 7},
		{`steps.look_up.output.nothing`, nil},
		{`steps.failed.output?.x ?? "none"`, "none"},
		{`steps.failed.output?.x.y.z ?? "none"`, "none"},
		{`(steps.failed.output?.x ?? 0) > 5`, false},
		{`steps.failed.output?.x?.y[3] ?? 9`, 9},
		{`steps.failed.output?.[3] ?? 9`, 9},
		{`steps.failed.error.code == "auth"`, true},
		{`"x" + string(1)`, "x1"},
		{`string(nil)`, ""},
		{`string([1, "a"])`, `[1,"a"]`},
		{`steps.look_up.output.list[5]`, nil},
		{`steps.look_up.output.list?.[9]`, nil},
		{`steps.look_up.output.list[-9]`, nil},
		{`steps.look_up.output.list[-1]`, 3},
		{`steps.look_up.output.list[1:]`, []any{2, 3}},
		{`7/2`, 3.5},
		{`7%3`, 1},
		{`2 ** 3`, 8.0},
		{`1 == 1.0`, true},
		{`1 < 1.5`, true},
		{`80 == "80"`, errText("== cannot stand between an int and a text")},
		{`inputs.loose == 80`, false},
		{`"héllo"[1]`, "é"},
		{`"héllo"[1:3]`, "él"},
		{`len("héllo")`, 5},
		{`inputs.user == nil`, true},
		{`inputs.user ?? "nobody"`, "nobody"},
		{`inputs.at < now()`, true},
		{`inputs.at < ago("1d")`, false},
		{`now()`, "2026-03-14T15:09:26Z"},
		{`ago("7d")`, "2026-03-07T15:09:26Z"},
		{`now() - date("2026-03-14")`, "54566s"},
		{`duration("90m")`, "90m"},
		{`duration("7d") == duration("168h")`, true},
		{`duration_text("90m")`, "1 hour 30 minutes"},
		{`duration_text(7200)`, "2 hours"},
		{`now().Format("2006-01-02")`, "2026-03-14"},
		{`now().Hour()`, 15},
		{`inputs.at.Hour()`, 15},
		{`(now() - inputs.at).Minutes() > 9`, true},
		{`keys(alert)`, []any{"a", "b", "nested"}},
		{`values({"b": 1, "a": 2})`, []any{2, 1}},
		{`toPairs({"b": 1, "a": 2})`, []any{[]any{"a", 2}, []any{"b", 1}}},
		{`toJSON(alert)`, `{"a":1,"b":2,"nested":{"x":1.5}}`},
		{`fromJSON("{\"n\": 3, \"f\": 3.5}")`, map[string]any{"n": 3, "f": 3.5}},
		{`fromBase64("aGk=")`, "hi"},
		{`steps.typed.output.hits | filter(.bad) | map(.ip)`, []any{"192.0.2.1"}},
		{`any(steps.typed.output.hits, .bad)`, true},
		{`all(steps.typed.output.hits, .bad)`, false},
		{`none(inputs.list, # > 5)`, true},
		{`one(inputs.list, # == 3)`, true},
		{`count(inputs.list, # > 1)`, 2},
		{`count([true, false, true])`, 2},
		{`sum(inputs.list)`, 6},
		{`sum(inputs.list, # * 2)`, 12},
		{`find(inputs.list, # > 1)`, 3},
		{`findLast(inputs.list, # > 1)`, 2},
		{`findIndex(inputs.list, # == 2)`, 2},
		{`findLastIndex(inputs.list, # == 9)`, nil},
		{`map(inputs.list, #index)`, []any{0, 1, 2}},
		{`reduce(inputs.list, #acc + #, 10)`, 16},
		{`reduce(inputs.list, #acc + #)`, 6},
		{`sort(inputs.list, "desc")`, []any{3, 2, 1}},
		{`sortBy(steps.typed.output.hits, .ip, "desc") | map(.ip)`, []any{"192.0.2.2", "192.0.2.1"}},
		{`groupBy(inputs.list, # > 1)`, map[string]any{"true": []any{3, 2}, "false": []any{1}}},
		{`groupBy(inputs.list, # % 2)[1]`, []any{3, 1}},
		{`map(1..3, let x = #; map(1..2, # * x))`, []any{[]any{1, 2}, []any{2, 4}, []any{3, 6}}},
		{`uniq([1, 1.0, "1", {"a": 1}, {"a": 1.0}])`, []any{1, "1", map[string]any{"a": 1}}},
		{`max(1, [5, 2.5])`, 5},
		{`min([])`, nil},
		{`mean([1, 2])`, 1.5},
		{`median([3, 1, 2])`, 2.0},
		{`round(2.5)`, 3},
		{`int("42") + int(1.9)`, 43},
		{`float("1.5")`, 1.5},
		{`concat([1], [2, 3])`, []any{1, 2, 3}},
		{`flatten([1, [2, [3]]])`, []any{1, 2, 3}},
		{`split("a,b", ",")`, []any{"a", "b"}},
		{`join(["a", "b"], "-")`, "a-b"},
		{`replace("aaa", "a", "bb")`, "bbbbbb"},
		{`"abc" matches "^a.c$"`, true},
		{`"abc" contains "b" and "abc" startsWith "a" and "abc" endsWith "c"`, true},
		{`inputs.user contains "x"`, false},
		{`2 in inputs.list`, true},
		{`"a" in alert`, true},
		{`not ("z" in alert)`, true},
		{`1 in nil`, false},
		{`[1, {"a": [2]}] == [1.0, {"a": [2]}]`, true},
		{`in_cidr(inputs.ip, "10.0.0.0/8")`, true},
		{`in_cidr("evil.example", "10.0.0.0/8")`, false},
		{`in_cidr("2001:db8::5", ["10.0.0.0/8", "2001:db8::/32"])`, true},
		{`in_cidr("::ffff:10.1.1.1", "10.0.0.0/8")`, true},
		{`hash("abc", "md5")`, "900150983cd24fb0d6963f7d28e17f72"},
		{`hash("abc", "sha256")`, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{`len(hash("abc", "sha512")) + len(hash("abc", "sha1"))`, 168},
		{`extract("user=bob id=7", "user=(\\w+)")`, "bob"},
		{`extract("user=bob id=7", "id=.")`, "id=7"},
		{`extract("user=bob", "id=(.)")`, nil},
		{`domain_of("https://user@Sub.Evil.example:8443/a?b")`, "sub.evil.example"},
		{`domain_of("bob@mail.example")`, "mail.example"},
		{`refang("hxxp://evil[.]example")`, "http://evil.example"},
		{`defang("http://evil.example")`, "hxxp://evil[.]example"},
		{`available("firewall")`, true},
		{`available("edr")`, false},
		{`inputs.flag ? 1 : "x"`, 1},
		{`let a = 2; let b = a + 1; a * b`, 6},
		{`if inputs.flag { "y" } else { "n" }`, "y"},
		{`{"a": 1, "b": {"c": [1]}}.b.c[0]`, 1},
		{`0x1f + 1_000`, 1031},
	} {
		t.Run(c.src, func(t *testing.T) {
			s, env := world()
			p, err := expr.Compile(c.src, s, expr.Any())
			if want, wrong := c.want.(errText); wrong {
				if err == nil || !strings.Contains(err.Error(), string(want)) {
					t.Fatalf("compile: %v, want %s", err, want)
				}
				return
			}
			if err != nil {
				t.Fatalf("compile: %v", err)
			}
			for range 2 { // a second time: nothing may be left over
				got, err := p.Eval(env)
				if err != nil {
					t.Fatalf("eval: %v", err)
				}
				if d := cmp.Diff(c.want, got); d != "" {
					t.Fatal(d)
				}
			}
		})
	}
}

type errText string

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, src, want string }{
		{"an unknown step", `steps.look_upp.output`, `1:7: there is no step "look_upp"; did you mean "look_up"?`},
		{"an unknown root", `input.score > 5`, `1:1: unknown name "input"; did you mean "inputs"?`},
		{"an unknown input", `inputs.scor > 5`, `1:8: there is no input "scor"; did you mean "score"?`},
		{"an unknown function", `lenn(inputs.list)`, `1:1: unknown function "lenn"; did you mean "len"?`},
		{"a text plus a number", `"x" + 1`, `1:5: + cannot stand between a text and an int; turn the other into a text with string(…)`},
		{"?? with a comparison", `steps.failed.output?.x ?? 0 > 5`, `1:29: ?? and > cannot be mixed; write (a ?? b) > c, or a ?? (b > c)`},
		{"truthiness of a list", `not steps.typed.output.hits`, `1:5: what stands after not must be true or false, but steps.typed.output.hits is a list of object; write len(…) > 0, or != nil`},
		{"a condition that is a number", `inputs.score ? 1 : 2`, `1:1: a condition must be true or false, but inputs.score is an int; compare it, such as > 0`},
		{"one equals sign", `inputs.score = 5`, `1:14: unexpected "="; did you mean "=="?`},
		{"an open bracket", `len(inputs.list`, `1:16: the expression ends too early`},
		{"an open quote", `"abc`, `1:5: a text has no closing quote`},
		{"nothing", "  ", `1:1: the expression is empty`},
		{"secrets outside with", `secrets.edr.token`, `1:1: unknown name "secrets"; secrets can only be used inside with of an action`},
		{"available with a computed name", `available(inputs.name)`, `1:1: available needs one literal text; write available("connector"), or the name of a capability`},
		{"a wrong hash", `hash("a", "sha3")`, `1:11: unknown hash "sha3"; write md5, sha1, sha256 or sha512`},
		{"a wrong network", `in_cidr(inputs.ip, "10.0.0.0/33")`, `1:20: "10.0.0.0/33" is no network; write it as 10.0.0.0/8 or 2001:db8::/32`},
		{"a wrong length of time", `ago("7 days")`, `1:5: "7 days" is no length of time; write a whole number and s, m, h or d, such as 7d`},
		{"a lookahead", `"a" matches "(?=a)"`, "1:13: the pattern is wrong: invalid or unsupported Perl syntax: `(?=`; patterns are RE2: no backreferences, no lookaround"},
		{"too few arguments", `split("a")`, `1:1: split needs 2 arguments, but has 1`},
		{"a second line", "inputs.score > 1\n  and nope", `2:7: unknown name "nope"; known here: alert, inputs, steps`},
		{"a word of another language", `inputs.user != null`, `1:16: unknown name "null"; write nil`},
		{"nil in order", `alert.b > nil`, `1:9: > cannot stand between a value of any type and nil; only == and != work with nil`},
		{"a number where a list is needed", `len(5)`, `1:5: len needs a list, an object or a text, but 5 is an int`},
		{"an object in a predicate", `map(inputs.list, {"a": #})`, `1:22: unexpected ":"; where an element is asked for, an object is put in brackets: map(list, ({"a": #}))`},
		{"a field twice", `{a: 1, a: 2}`, `1:8: the field "a" stands here twice`},
		{"division by zero", `inputs.score / 0`, `1:14: division by zero`},
		{"remainder by zero", `7 % 0`, `1:3: division by zero`},
		{"a field of a text", `inputs.name.first`, `1:13: inputs.name is a text, so it has no field "first"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := world()
			_, err := expr.Compile(c.src, s, expr.Any())
			checkError(t, err, c.want)
		})
	}
}

func TestErrorsOfEvaluation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, src, want string }{
		{"a field of nil", `steps.failed.output.x`, `1:21: steps.failed.output is nil, so it has no field "x"; write ?. instead of the last dot, which gives nil then, and ?? for another value`},
		{"an element of nil", `steps.failed.output[0]`, `1:1: steps.failed.output is nil, so it has no elements; write ?.[…], which gives nil then, and ?? for another value`},
		{"remainder by zero", `7 % (inputs.score - 80)`, `1:3: division by zero`},
		{"a duration that grows too long", `duration("2000000h") + duration("2000000h")`, `1:22: the result is too long for a duration`},
		{"a duration many times", `duration("2000000h") * 1e9`, `1:22: the result is too long for a duration`},
		{"division by a zero that is computed", `7.5 / (inputs.score - 80)`, `1:5: division by zero`},
		{"a text compared with a number", `inputs.loose > 5`, `1:14: > cannot stand between the text "80" and the number 5; turn the text into a number with int(…) or float(…)`},
		{"nil compared", `steps.look_up.output.x > 5`, `1:24: > cannot stand between nil and the number 5; steps.look_up.output.x is nil: give another value with (… ?? …)`},
		{"a loop over nil", `filter(alert.x, .y)`, `1:8: filter needs a list, but alert.x is nil; write (… ?? [])`},
		{"a predicate that is a number", `filter([alert.a], #)`, `1:19: what filter asks of each element must be true or false, but # is the number 1; compare it, such as > 0`},
		{"an argument of the wrong type", `lower(alert.a)`, `1:7: lower needs a text, but alert.a is the number 1; turn it into a text with string(…)`},
		{"too large a whole number", `9223372036854775807 + inputs.score`, `1:21: the result is too large for a whole number`},
		{"a huge range", `1..1000000000`, `1:2: too much memory: over 16 MB; work on a smaller list or text`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, env := world()
			p, err := expr.Compile(c.src, s, expr.Any())
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Eval(env)
			checkError(t, err, c.want)
		})
	}
}

func checkError(t *testing.T, err error, want string) {
	t.Helper()
	var e *expr.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want %s", err, want)
	}
	if !errors.Is(err, fault.Invalid) {
		t.Error("the error is no fault.Invalid")
	}
	if got := place(e) + e.Error(); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}
