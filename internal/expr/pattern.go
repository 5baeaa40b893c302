package expr

import (
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// search is contains and the like: nil on either side is false.
func search(at place, found func(text, part string) bool) operationFunc {
	return func(m *machine, a, b any) (any, error) {
		if a == nil || b == nil {
			return false, nil
		}
		text, ok := a.(string)
		part, ok2 := b.(string)
		if !ok || !ok2 {
			return nil, errMismatch
		}
		if err := m.scan(len(text)); err != nil {
			return nil, placed(err, at)
		}
		return found(text, part), nil
	}
}

// matching binds matches; a literal pattern is compiled once.
func matching(n *ast.BinaryNode, r code) (operationFunc, error) {
	var fixed *pattern
	if s, ok := n.Right.(*ast.StringNode); ok {
		var err error
		if fixed, err = compilePattern(s.Value); err != nil {
			return nil, placed(err, r.at())
		}
	}
	return func(m *machine, a, b any) (any, error) {
		if a == nil || b == nil {
			return false, nil
		}
		text, ok := a.(string)
		source, ok2 := b.(string)
		if !ok || !ok2 {
			return nil, errMismatch
		}
		p, err := m.pattern(fixed, source)
		if err != nil {
			return nil, placed(err, r.at())
		}
		if err := m.scan(p.work(text)); err != nil {
			return nil, placed(err, where(n))
		}
		return p.re.MatchString(text), nil
	}, nil
}

// pattern is a regular expression (RE2: linear in the text) and its size.
type pattern struct {
	re   *regexp.Regexp
	size int
}

// maxPattern bounds the text of a pattern; with the library's own bound on
// repetitions it bounds the compiled size.
const maxPattern = 4096

func compilePattern(source string) (*pattern, error) {
	if len(source) > maxPattern {
		return nil, failf(-1, "the pattern is too long: over %d bytes", maxPattern)
	}
	re, err := regexp.Compile(source)
	if err != nil {
		return nil, failf(-1, "%s", strings.Replace(err.Error(), "error parsing regexp: ", "the pattern is wrong: ", 1)).
			hinted("patterns are RE2: no backreferences, no lookaround")
	}
	return &pattern{re: re, size: patternSize(source)}, nil
}

// patternSize counts the instructions of a pattern that compiles.
func patternSize(source string) int {
	re, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return len(source)
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return len(source)
	}
	return len(prog.Inst)
}

// pattern gives fixed, or compiles source.
func (m *machine) pattern(fixed *pattern, source string) (*pattern, error) {
	if fixed != nil {
		return fixed, nil
	}
	if err := m.tick(1 + len(source)/16); err != nil {
		return nil, err
	}
	return compilePattern(source)
}

// work estimates the effort of matching a text, in bytes as scan counts them.
func (p *pattern) work(text string) int { return len(text) * (8 + 2*p.size) }
