package expr_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/expr"
)

func TestValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		in, want any
	}{
		{"a plain text", "hello", "hello"},
		{"an empty text", "", ""},
		{"a whole expression keeps its type", "${{ inputs.score }}", 80},
		{"blanks around make it a longer text", " ${{ inputs.score }}", " 80"},
		{"a whole expression may be a list", "${{ inputs.list }}", []any{3, 1, 2}},
		{"a whole expression may be an object", `${{ {"a": {"b": 1}} }}`, map[string]any{"a": map[string]any{"b": 1}}},
		{"an object literal that touches the braces", `${{{"a": {"b": 1}}}}`, map[string]any{"a": map[string]any{"b": 1}}},
		{"braces in quotes do not count", `${{ "}}" + '{{' + ` + "`}`" + ` }}!`, "}}{{}!"},
		{"an escaped quote does not end a text", `${{ "\"}}" }}!`, `"}}!`},
		{"numbers in longer text", "n=${{ inputs.score }} f=${{ 7/2 }} b=${{ true }}", "n=80 f=3.5 b=true"},
		{"nil in longer text is nothing", "<${{ inputs.user }}>", "<>"},
		{"a list in longer text is JSON", "l=${{ inputs.list }}", "l=[3,1,2]"},
		{"an object in longer text is JSON in order", `o=${{ {"b": 1, "a": "<x>"} }}`, `o={"a":"<x>","b":1}`},
		{"a time in longer text", "at ${{ now() }}", "at 2026-03-14T15:09:26Z"},
		{"a duration in longer text", "${{ duration(\"48h\") }}!", "2d!"},
		{"two expressions", "${{ inputs.name }}${{ inputs.name }}", "AnnAnn"},
		{"a literal", "$${{ inputs.name }}", "${{ inputs.name }}"},
		{"a literal and an expression", "a $${{ b ${{ inputs.name }}", "a ${{ b Ann"},
		{"a dollar before a literal", "$$${{ x }}", "$${{ x }}"},
		{"a text without end braces elsewhere", "a }} b {{ c", "a }} b {{ c"},
		{"a tree", map[string]any{"a": []any{"${{ inputs.score }}", 1, nil}, "b": map[string]any{"c": "x"}},
			map[string]any{"a": []any{80, 1, nil}, "b": map[string]any{"c": "x"}}},
		{"keys are no templates", map[string]any{"${{ a }}": 1}, map[string]any{"${{ a }}": 1}},
		{"an integer of another kind", int64(5), 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, env := world()
			v, err := expr.CompileValue(c.in, s, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := v.Eval(env)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if constant, ok := v.Const(); ok && !cmp.Equal(constant, got) {
				t.Errorf("Const gives %v, Eval %v", constant, got)
			}
			if reason := expr.TypeOf(got).Fits(v.Type().Nullable()); reason != "" {
				t.Errorf("the type is %s, but %s", v.Type(), reason)
			}
		})
	}
}

func TestErrorsOfValuesTellThePathAndThePlace(t *testing.T) {
	t.Parallel()
	s, _ := world()
	var got []string
	_, err := expr.CompileValue(map[string]any{
		"a": []any{"fine", "x ${{ inputs.scor }}"},
		"b": "line one\n  ${{ inputs.name + 1 }}",
		"c": "no end ${{ inputs.name",
		"d": "${{ secrets.edr.token }}",
		"e": "ä ${{ nope }}",
	}, s, func(path []any, e *expr.Error) error {
		got = append(got, fmt.Sprint(path, " ", place(e), e.Error()))
		return e
	})
	if err == nil {
		t.Fatal("no error")
	}
	want := []string{
		`[a 1] 1:14: there is no input "scor"; did you mean "score"?`,
		`[b] 2:19: + cannot stand between a text and an int; turn the other into a text with string(…)`,
		`[c] 1:8: the expression has no end; close it with }}`,
		`[d] 1:5: unknown name "secrets"; secrets can only be used inside with of an action`,
		`[e] 1:7: unknown name "nope"; known here: alert, inputs, steps`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestPlaceOfARunTimeErrorIsInTheWholeText(t *testing.T) {
	t.Parallel()
	s, env := world()
	v, err := expr.CompileValue("score ${{ 1 }}\nthen ${{ steps.failed.output.x }}", s, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Eval(env)
	checkError(t, err, `2:30: steps.failed.output is nil, so it has no field "x"; write ?. instead of the last dot, which gives nil then, and ?? for another value`)
}

func TestConditions(t *testing.T) {
	t.Parallel()
	s, env := world()
	for _, src := range []string{`inputs.score`, `steps.typed.output.hits`, `inputs.name`, `nil`, `{"a": 1}`, `now()`} {
		_, err := expr.Compile(src, s, expr.Bool())
		if err == nil || !strings.Contains(err.Error(), "a condition must be true or false") {
			t.Errorf("%s as a condition: %v", src, err)
		}
	}
	for src, want := range map[string]string{
		`steps.look_up.output.malicious`: "it is the number 7; compare it",
		`steps.look_up.output.list`:      "it is a list; compare it",
		`steps.look_up.output.nothing`:   "it is nil; write (… ?? false)",
		`inputs.loose`:                   `it is the text "80"; compare it`,
	} {
		p, err := expr.Compile(src, s, expr.Bool())
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err = p.EvalBool(env); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", src, err, want)
			}
		}
	}
	p, err := expr.Compile("${{ inputs.flag }}", s, expr.Bool())
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := p.EvalBool(env); !ok || err != nil {
		t.Error(ok, err)
	}
}

func TestSecretsCanOnlyBeHandedOn(t *testing.T) {
	t.Parallel()
	s, env := world()
	s = s.WithSecrets()
	token := expr.Secret{Connection: "edr-main", Field: "token"}
	for src, want := range map[string]any{
		`secrets["edr-main"].token`:                                  token,
		`inputs.flag ? secrets["edr-main"].token : nil`:              token,
		`{"auth": [secrets["edr-main"].token]}`:                      map[string]any{"auth": []any{token}},
		`first([secrets["edr-main"].token])`:                         token,
		`inputs.user ?? secrets["edr-main"].token`:                   token,
		`let s = secrets["edr-main"].token; s`:                       token,
		`[secrets.edr.token] | map(#) | map(.x?.y ?? 1) | len() > 5`: nil,
	} {
		v, err := expr.CompileValue("${{ "+src+" }}", s, nil)
		if want == nil {
			if err == nil {
				t.Errorf("%s compiles", src)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		got, err := v.Eval(env)
		if err != nil || !cmp.Equal(want, got) || !expr.HasSecret(got) {
			t.Errorf("%s gives %v, %v", src, got, err)
		}
	}
	for _, src := range []string{
		`secrets`, `secrets.edr`, `secrets[inputs.name].token`, `secrets.edr[inputs.name]`, `secrets.edr.token.x`, `keys(secrets)`,
		`secrets.edr.token == "x"`, `"x" != secrets.edr.token`, `secrets.edr.token in ["x"]`, `"Bearer " + secrets.edr.token`,
		`string(secrets.edr.token)`, `toJSON([secrets.edr.token])`, `len(secrets.edr.token)`, `hash(secrets.edr.token, "md5")`,
		`secrets.edr.token matches "x"`, `secrets.edr.token[0]`, `secrets.edr.token ? 1 : 2`, `uniq([secrets.edr.token])`,
		`[secrets.edr.token] == ["x"]`, `{"a": secrets.edr.token} == {"a": nil}`, `join([secrets.edr.token])`, `sort([secrets.edr.token, "a"])`,
		`groupBy([secrets.edr.token], #)`, `nil == [secrets.edr.token][0]`, `"x" in [secrets.edr.token]`, `type(secrets.edr.token)`,
		`{secrets.edr.token: 1}`, `{(secrets.edr.token): 1}`, `flag ?? toBase64(secrets.edr.token)`, `get({"a": 1}, secrets.edr.token)`,
	} {
		v, err := expr.CompileValue("${{ "+src+" }}", s, nil)
		if err == nil {
			var got any
			if got, err = v.Eval(env); err == nil {
				t.Errorf("%s gives %v", src, got)
			}
		}
		if err != nil && strings.Contains(err.Error(), "[secret]") {
			t.Errorf("%s: %v", src, err)
		}
	}
	for _, text := range []string{"Bearer ${{ secrets.edr.token }}", "x ${{ [secrets.edr.token] }}", "x ${{ first([secrets.edr.token]) }}"} {
		v, err := expr.CompileValue(text, s, nil)
		if err == nil {
			_, err = v.Eval(env)
		}
		if err == nil || !strings.Contains(err.Error(), "a secret cannot be") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if got := fmt.Sprintf("%v %+v %#v %s", token, token, token, token); got != "[secret] [secret] [secret] [secret]" {
		t.Error(got)
	}
}

func TestRefsAndAvailable(t *testing.T) {
	t.Parallel()
	s, _ := world()
	v, err := expr.CompileValue(map[string]any{
		"a": "${{ steps.look_up.output.x }} ${{ steps.typed.output.hits[0].ip }} ${{ inputs.list[inputs.score] }}",
		"b": `${{ available("firewall") ? steps?.look_up?.status : alert["b"] }}`,
		"c": `${{ steps.typed.output.hits | filter(.bad and inputs.flag) | map(.ip) }}`,
		"d": `${{ let alertx = steps.failed; alertx.status }}`,
		"e": `${{ inputs.at.Hour() }}`,
	}, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"alert.b", "inputs.at", "inputs.flag", "inputs.list", "inputs.score", "steps.failed", "steps.look_up.output.x", "steps.look_up.status",
		"steps.typed.output.hits",
	}
	var got []string
	for _, path := range v.Refs() {
		got = append(got, strings.Join(path, "."))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"firewall"}, v.Available()); d != "" {
		t.Error(d)
	}
}

func TestAValueHasTheLimitsOfOneEvaluation(t *testing.T) {
	t.Parallel()
	many := make([]any, 100)
	for i := range many {
		many[i] = `${{ repeat("a", 1000000) }}`
	}
	text := strings.Repeat(`${{ repeat("a", 1000000) }}`, 100)
	for _, in := range []any{many, text} {
		v, err := expr.CompileValue(in, expr.NewScope(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Eval(nil); err == nil || !strings.Contains(err.Error(), "over 16 MB") {
			t.Errorf("%v", err)
		}
	}
}

func TestAProgramServesManyAtOnce(t *testing.T) {
	t.Parallel()
	s, env := world()
	v, err := expr.CompileValue("${{ map(1..50, let x = #; count(inputs.list, # < x)) | sum() }} ${{ lower(inputs.name) }}", s, nil)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 50 {
				if got, err := v.Text(env); err != nil || got != "144 ann" {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
	}
	wait.Wait()
}

func TestErrorsAreErrors(t *testing.T) {
	t.Parallel()
	_, err := expr.CompileValue("${{ 1 + }}", expr.NewScope(), nil)
	var e *expr.Error
	if !errors.As(err, &e) || e.Offset != 8 || e.Line != 1 || e.Column != 9 {
		t.Errorf("%#v", err)
	}
}
