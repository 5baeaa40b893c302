package main

import (
	"strings"
	"testing"
)

func TestSummaryCountsLeavesAndTellsWhy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     []string // each must stand in the output
		ok       bool
	}{
		{"a passed test", `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}`, []string{"\n1 passed, 0 failed, 0 skipped\n"}, true},

		{"subtests count and their parent does not", `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/x"}
{"Action":"run","Package":"p","Test":"TestA/y"}
{"Action":"pass","Package":"p","Test":"TestA/x"}
{"Action":"output","Package":"p","Test":"TestA/y","Output":"    a_test.go:7: broken here\n"}
{"Action":"fail","Package":"p","Test":"TestA/y"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`, []string{"--- failed: p TestA/y\n", "broken here", "\n1 passed, 1 failed, 0 skipped\n"}, false},

		{"a skipped test gives its reason", `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:9: the corpus is not there\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}`, []string{"p TestA: the corpus is not there\n", "\n0 passed, 0 failed, 1 skipped\n"}, true},

		{"a package that does not build", `{"ImportPath":"p","Action":"build-output","Output":"p.go:3:1: syntax error\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"start","Package":"p"}
{"Action":"fail","Package":"p","FailedBuild":"p"}`, []string{"--- failed: p\n", "syntax error", "\n0 passed, 1 failed, 0 skipped\n"}, false},

		{"a panic takes the package down", `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"panic: out of range\n"}
{"Action":"fail","Package":"p"}`, []string{"panic: out of range", "\n0 passed, 1 failed, 0 skipped\n"}, false},

		{"words that are no event", "go: no such module\n", []string{"go: no such module", "\n0 passed, 1 failed, 0 skipped\n"}, false},
		{"a package without tests", `{"Action":"skip","Package":"p"}`, []string{"\n0 passed, 0 failed, 0 skipped\n"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSummary()
			if err := s.read(strings.NewReader(tt.in)); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if ok := s.write(&out); ok != tt.ok {
				t.Errorf("write reports %v, want %v", ok, tt.ok)
			}
			for _, w := range tt.want {
				if !strings.Contains(out.String(), w) {
					t.Errorf("output lacks %q:\n%s", w, out.String())
				}
			}
		})
	}
}

func TestSummaryCountsChecksOfOtherPrograms(t *testing.T) {
	t.Parallel()
	s := newSummary()
	s.add(result{name: "gofmt", outcome: "pass"})
	s.add(result{name: "vet", outcome: "fail"})
	s.add(result{name: "shellcheck", outcome: "skip", output: "not installed"})
	var out strings.Builder
	if s.write(&out) {
		t.Error("a failed check must fail the whole")
	}
	if !strings.HasSuffix(out.String(), "  shellcheck: not installed\n\n1 passed, 1 failed, 1 skipped\n") {
		t.Errorf("unexpected ending:\n%s", out.String())
	}
}
