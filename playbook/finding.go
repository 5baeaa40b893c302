package playbook

import "fmt"

// The codes of findings.
const (
	codeFileName  = "file-name"
	codeNotLoaded = "not-loaded"
	codeUnfilled  = "unfilled-input"
)

func (c *checker) finding(at Pos, code, format string, args ...any) {
	c.r.add(Diagnostic{Line: at.Line, Column: at.Column, Severity: SeverityFinding, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (c *checker) findings() {}
func (c *checker) accept()   {}
func (c *checker) tests()    {}
