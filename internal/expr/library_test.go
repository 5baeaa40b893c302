package expr_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	lib "github.com/expr-lang/expr"
	"github.com/google/go-cmp/cmp"

	"riposte/internal/expr"
)

// Where we differ from the library on purpose: functions that give whole numbers
// or JSON where the library gives others, what the library's machine gets wrong,
// and names that its own test environment has and we do not.
var deliberate = regexp.MustCompile(`\$env|add|greet|String|now\(|ceil|floor|round|toJSON|string\(|findLast|groupBy|median|get\(mean|foo: .*foo: `)

// What we refuse and the library answers, each with a message of its own.
var refused = regexp.MustCompile(`needs |division by zero|has no field|has no elements|must be true or false|never in|cannot stand between|no function of|is chosen by|can.* be written`)

// TestAgreesWithTheLibrary evaluates the expressions that the library generates
// for its own tests with both: where both give a value, it is the same.
func TestAgreesWithTheLibrary(t *testing.T) {
	t.Parallel()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/expr-lang/expr").Output()
	if err != nil {
		t.Skipf("the library's source is not at hand: %v", err)
	}
	f, err := os.Open(filepath.Join(strings.TrimSpace(string(dir)), "testdata", "generated.txt"))
	if err != nil {
		t.Skipf("the library's expressions are not at hand: %v", err)
	}
	defer f.Close()
	env := map[string]any{
		"ok": true, "i": 1, "str": "str", "f64": .5, "array": []any{1, 2, 3, 4, 5}, "foo": map[string]any{"Bar": "foo"},
		"list": []any{map[string]any{"Bar": "bar"}, map[string]any{"Bar": "baz"}},
	}
	s := expr.NewScope()
	for name, v := range env {
		s = s.With(name, expr.TypeOf(v))
	}
	same, other := 0, 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		src := lines.Text()
		if deliberate.MatchString(src) {
			continue
		}
		want, err := lib.Eval(src, env)
		if err != nil {
			continue
		}
		got, err := evalOnce(src, s, &expr.Env{Roots: env, Now: eventTime})
		switch {
		case err != nil && !refused.MatchString(err.Error()):
			t.Errorf("%s: the library gives %v, we refuse: %v", src, want, err)
		case err != nil:
			other++
		case !cmp.Equal(expr.Normalize(want), got):
			t.Errorf("%s: the library gives %#v, we give %#v", src, want, got)
		default:
			same++
		}
	}
	t.Logf("%d with the same value, %d refused by us", same, other)
	if same < 10_000 {
		t.Errorf("only %d expressions were compared", same)
	}
}

func evalOnce(src string, s *expr.Scope, env *expr.Env) (any, error) {
	p, err := expr.Compile(src, s, expr.Any())
	if err != nil {
		return nil, err
	}
	return p.Eval(env)
}
