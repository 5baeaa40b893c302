package expr_test

import (
	"testing"

	"riposte/internal/expr"
)

func benchmark(b *testing.B, src string) {
	s, env := world()
	p, err := expr.Compile(src, s, expr.Any())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Eval(env); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompare(b *testing.B) { benchmark(b, `steps.typed.output.score > 80`) }
func BenchmarkCoalesce(b *testing.B) {
	benchmark(b, `(steps.failed.output?.score ?? 0) > 5 and inputs.name == "Ann"`)
}
func BenchmarkLoop(b *testing.B) {
	benchmark(b, `steps.typed.output.hits | filter(.bad) | map(.ip)`)
}
func BenchmarkCall(b *testing.B) {
	benchmark(b, `in_cidr(inputs.ip, "10.0.0.0/8") or lower(inputs.name) == "ann"`)
}

func BenchmarkCompile(b *testing.B) {
	s, _ := world()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := expr.Compile(`(steps.failed.output?.score ?? 0) > 5 and inputs.name == "Ann"`, s, expr.Bool()); err != nil {
			b.Fatal(err)
		}
	}
}
