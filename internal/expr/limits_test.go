package expr_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"riposte/internal/expr"
)

// big is a list of n numbers.
func big(n int) []any {
	list := make([]any, n)
	for i := range list {
		list[i] = i
	}
	return list
}

func TestLimitsEndHostileTextsQuicklyAndTheSameWay(t *testing.T) {
	t.Parallel()
	const ticks, memory = "too much work", "too much memory"
	doubling := func(seed, step, last string, n int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "let v0 = %s; ", seed)
		for i := range n {
			fmt.Fprintf(&b, "let v%d = "+step+"; ", i+1, i, i)
		}
		return b.String() + fmt.Sprintf(last, n, n)
	}
	for _, c := range []struct{ name, src, want string }{
		{"nested predicates over a large list", `any(list, any(list, any(list, # < 0)))`, ticks},
		{"nested predicates over ranges", `count(1..10000, count(1..10000, # > 5) > 3)`, ticks},
		{"closures in closures", `map(list, map(list, map(list, map(list, #))))`, ticks},
		{"many small loops", `all(1..1000, all(1..1000, len(filter([1], true)) == 1))`, ticks},
		{"a call for each pair", `any(list, let x = #; any(list, lower(string(x)) == "no"))`, ticks},
		{"a long predicate body", `all(1..1000000, ` + strings.Repeat("1 + ", 4000) + `1 > 0)`, ticks},
		{"a growing accumulator", `reduce(list, #acc + #acc, "x")`, memory},
		{"a doubled text", doubling(`"xxxxxxxxxxxxxxxx"`, `v%d + v%d`, `v%d`+"[0:0]+v%d", 30), memory},
		{"a doubled list", doubling(`[1,2,3,4]`, `concat(v%d, v%d)`, `len(v%d) + len(v%d)`, 30), memory},
		{"a list that holds itself many times, written", doubling(`["x"]`, `[v%d, v%d]`, `toJSON([v%d, v%d])`, 40), memory},
		{"a list that holds itself many times, compared", doubling(`["x"]`, `[v%d, v%d]`, `v%d == [v%d]`, 40) + ` or ` + `v40 == [v39, v39]`, ticks},
		{"a list that holds itself many times, as result", doubling(`["x"]`, `[v%d, v%d]`, `[v%d, v%d]`, 40), "too large"},
		{"a list that holds itself many times, flattened", doubling(`["x"]`, `[v%d, v%d]`, `flatten([v%d, v%d])`, 40), memory},
		{"an object that holds itself many times", doubling(`{"x": 1}`, `{"a": v%d, "b": v%d}`, `{"a": v%d, "b": v%d}`, 40), "too large"},
		{"a huge range", `1..2000000000`, memory},
		{"the largest range", `-9223372036854775807..9223372036854775807`, memory},
		{"repeat", `repeat("abc", 100000000)`, memory},
		{"repeat of repeat", `repeat(repeat("a", 4000), 5000)`, memory},
		{"repeat in a loop", `map(1..1000, repeat("a", 100000))`, memory},
		{"a negative repeat", `repeat("a", -1)`, "from 0 on"},
		{"replace of nothing", `replace(repeat("a", 1000000), "", repeat("b", 100))`, memory},
		{"join of long texts", `join(map(1..1000, repeat("a", 1000)), repeat("b", 100000))`, memory},
		{"toJSON of many", `map(1..1000, toJSON(list))`, memory},
		{"split into letters", `map(1..100, split(repeat("a", 100000), ""))`, memory},
		{"a slow pattern", `any(1..1000000, text matches "(x+x+)+y")`, ticks},
		{"a pattern that repeats repetitions", `any(1..1000000, text matches ("((a{0,30}){0,30})" + string(#)))`, ticks},
		{"long comparisons", `any(1..1000000, text + "a" == text + "b")`, memory},
		{"long comparisons without new texts", `any(1..1000000, text < text)`, ticks},
		{"len of a long text", `any(1..1000000, len(text) < 0)`, ticks},
		{"a search in a list in a loop", `any(list, -1 in list or -2 in list)`, ticks},
		{"uniq of many objects", `any(list, len(uniq(map(1..100000, ({"a": #})))) < 0)`, memory},
		{"sorting again and again", `any(list, len(sort(list)) < 0)`, ""},
		{"hashing again and again", `any(1..1000000, hash(text, "sha512") == "")`, ticks},
		{"a nested list from reduce", `reduce(1..100000, [#acc], [])`, "nested too deeply"},
		{"a nested list from reduce, compared", `let a = reduce(1..100000, [#acc], []); a == [a]`, "nested too deeply"},
		{"fromJSON of much", `map(1..1000, fromJSON(text2))`, memory},
		{"max of a list that holds itself many times", doubling(`[1]`, `[v%d, v%d]`, `max(v%d, v%d)`, 40), memory},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := expr.NewScope().With("list", expr.List(expr.Int())).With("text", expr.Text()).With("text2", expr.Text())
			env := &expr.Env{Roots: map[string]any{"list": big(5000), "text": strings.Repeat("x", 20_000), "text2": "[" + strings.Repeat("1,", 10_000) + "1]"}}
			p, err := expr.Compile(c.src, s, expr.Any())
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			_, first := p.Eval(env)
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("took %v", took)
			} else {
				t.Logf("took %v: %v", took, first)
			}
			if first == nil || c.want != "" && !strings.Contains(first.Error(), c.want) {
				t.Fatalf("got %v, want %q", first, c.want)
			}
			if time.Since(begin) > time.Second {
				return // the others show that the second time is like the first
			}
			if _, second := p.Eval(env); second == nil || second.Error() != first.Error() {
				t.Fatalf("first %v, then %v", first, second)
			}
		})
	}
}

func TestLimitsLetThroughWhatIsJustBelow(t *testing.T) {
	t.Parallel()
	s := expr.NewScope().With("list", expr.List(expr.Int()))
	env := &expr.Env{Roots: map[string]any{"list": big(999)}}
	for _, src := range []string{
		`all(list, all(list, # >= 0))`,
		`len(1..1000000) == 1000000`,
		`count(1..900000, # % 2 == 0) == 450000`,
		`len(repeat("a", 16000000)) == 16000000`,
		`len(sort(1..100000, "desc")) == 100000`,
		`len(uniq(map(1..200000, # % 7))) == 7`,
		strings.Repeat("1 + ", 4000) + "1 == 4001",
	} {
		p, err := expr.Compile(src, s, expr.Bool())
		if err != nil {
			t.Fatalf("%.60s: %v", src, err)
		}
		if ok, err := p.EvalBool(env); !ok || err != nil {
			t.Errorf("%.60s: %v, %v", src, ok, err)
		}
	}
}

func TestHostileTextsAreRefusedWhenCompiled(t *testing.T) {
	t.Parallel()
	deep := "nested too deeply"
	for _, c := range []struct{ name, src, want string }{
		{"round brackets", strings.Repeat("(", 200_000) + "1" + strings.Repeat(")", 200_000), deep},
		{"open brackets only", strings.Repeat("(", 200_000), deep},
		{"square brackets", strings.Repeat("[", 200_000), deep},
		{"braces", strings.Repeat(`{"a":`, 90_000), deep},
		{"calls", strings.Repeat("len(", 100_000), deep},
		{"nots", strings.Repeat("!", 200_000) + "true", deep},
		{"words not", strings.Repeat("not ", 100_000) + "true", deep},
		{"signs", strings.Repeat("-", 200_000) + "1", deep},
		{"conditions", strings.Repeat("true ? 1 : ", 40_000) + "1", deep},
		{"powers", strings.Repeat("1 ** ", 90_000) + "1", deep},
		{"variables", strings.Repeat("let a = 1; ", 40_000) + "1", deep},
		{"sums", strings.Repeat("1 + ", 6000) + "1", "over 10000 parts"},
		{"members", "a" + strings.Repeat(".a", 10_000), "over 10000 parts"},
		{"coalescing", strings.Repeat("nil ?? ", 6000) + "1", "over 10000 parts"},
		{"pipes", "[1]" + strings.Repeat(" | uniq()", 11_000), "over 10000 parts"},
		{"elements", "[" + strings.Repeat("1,", 11_000) + "1]", "over 10000 parts"},
		{"a long text", `"` + strings.Repeat("x", 600_000) + `"`, "too long"},
		{"a large number", strings.Repeat("9", 400), "the number is too large"},
		{"a pattern too long", `"a" matches "` + strings.Repeat("a", 5000) + `"`, "pattern is too long"},
		{"a pattern of repetitions", `"a" matches "((((a{30}){30}){30}){30})"`, "pattern is wrong"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := expr.Compile(c.src, expr.NewScope().With("a", expr.Any()), expr.Any())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %.200v, want %q", err, c.want)
			}
			if len(err.Error()) > 400 || strings.Contains(err.Error(), "\n") {
				t.Errorf("the message is no single short line: %.500v", err)
			}
		})
	}
}

func TestTypesBuiltByATextStaySmall(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`let v0 = {"x": 1}; `)
	for i := range 60 {
		fmt.Fprintf(&b, `let v%d = flag ? {"a": v%d, "b": [v%d, v%d]} : {"a": v%d, "c": v%d}; `, i+1, i, i, i, i, i)
	}
	p, err := expr.Compile(b.String()+"[v60, v60]", expr.NewScope().With("flag", expr.Bool()), expr.Any())
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Type().Fits(expr.List(expr.Int())); got != "" && !strings.Contains(got, "expected int") {
		t.Error(got)
	}
}
