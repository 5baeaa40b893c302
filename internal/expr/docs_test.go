package expr_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"riposte/internal/expr"
)

func TestTheReferenceNamesEveryFunction(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "expressions.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	if n := len(expr.Functions()); n < 70 {
		t.Errorf("only %d functions", n)
	}
	for _, name := range expr.Functions() {
		if !strings.Contains(page, "`"+name+"`") && !strings.Contains(page, "`"+name+"(") {
			t.Errorf("docs/expressions.md does not name %s", name)
		}
	}
}

func TestTheExamplesOfTheReferenceCompile(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "expressions.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(b), "```\n")
	block, _, _ = strings.Cut(block, "```")
	s := expr.NewScope().With("steps", expr.Any()).With("inputs", expr.Any()).With("hits", expr.Any())
	for line := range strings.Lines(block) {
		src, _, _ := strings.Cut(strings.TrimSpace(line), "     ")
		src = strings.TrimSpace(strings.SplitN(src, "  ", 2)[0])
		if _, err := expr.Compile(src, s, expr.Any()); err != nil {
			t.Errorf("%s: %v", src, err)
		}
	}
}
