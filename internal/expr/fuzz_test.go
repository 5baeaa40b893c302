package expr_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/expr"
)

// FuzzCompileEval holds that no text makes the package panic, that every error
// is one of ours with a place inside the text, that evaluation ends soon, and
// that a second evaluation gives the same.
func FuzzCompileEval(f *testing.F) {
	for _, src := range playbookExpressions {
		f.Add(src)
	}
	for _, src := range []string{
		`${{ {"a": [1, 2.5, nil]}?.a[0] ?? now() }}`, `map(1..9, let x = #; reduce(1..x, #acc + #, 0))`, `if true { 1 } else { 2 }`,
		`toJSON(alert) matches "a+" ? hash("x", "md5") : extract("a", "(b)|a")`, `sortBy(steps.typed.output.hits, .ip, "desc")[0:1]`,
		`date("2026-01-01").Format("2006") + duration_text("3h")`, `uniq(flatten([[1], [alert]])) | groupBy(#) | toPairs() | fromPairs()`,
		`"a" + 'b' + ` + "`c`", `1 < 2 < 3 and not (4 in [5])`, `steps.failed.output?.x.y?.[0]`, `-9223372036854775808 % -1`,
	} {
		f.Add(src)
	}
	s, env := world()
	s = s.WithSecrets()
	f.Fuzz(func(t *testing.T, src string) {
		p, err := expr.Compile(src, s, expr.Any())
		if err != nil {
			checkPlace(t, src, err)
			return
		}
		begin := time.Now()
		first, err := p.Eval(env)
		if took := time.Since(begin); took > 10*time.Second {
			t.Fatalf("took %v", took)
		}
		if err != nil {
			checkPlace(t, src, err)
		}
		second, again := p.Eval(env)
		if !cmp.Equal(first, second) || (err == nil) != (again == nil) || err != nil && err.Error() != again.Error() {
			t.Fatalf("first %#v, %v, then %#v, %v", first, err, second, again)
		}
		if err == nil && !cmp.Equal(expr.Normalize(first), first) {
			t.Fatalf("%#v is no plain value", first)
		}
	})
}

func checkPlace(t *testing.T, src string, err error) {
	t.Helper()
	var e *expr.Error
	if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(src) || e.Line < 1 || e.Column < 1 || e.Message == "" {
		t.Fatalf("%q: %#v", src, err)
	}
}

// FuzzValue holds the same of texts with expressions in them.
func FuzzValue(f *testing.F) {
	for _, text := range []string{"a ${{ inputs.name }} b", "$${{ x }}", `${{ {"a": "}}"} }}`, "${{", "${{ 1 }}${{ }}", "${{ '}}' }}"} {
		f.Add(text)
	}
	s, env := world()
	f.Fuzz(func(t *testing.T, text string) {
		v, err := expr.CompileValue(text, s, nil)
		if err != nil {
			checkPlace(t, text, err)
			return
		}
		if _, err := v.Eval(env); err != nil {
			checkPlace(t, text, err)
		}
	})
}
