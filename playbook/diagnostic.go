package playbook

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
)

// Severity says how bad a Diagnostic is.
type Severity string

// The severities. An error fails a check; a finding does so only under --strict.
const (
	SeverityError   Severity = "error"
	SeverityFinding Severity = "finding"
)

// Pos is a place in a file, both parts counted from 1, columns in characters.
// The zero Pos is nowhere.
type Pos struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

// Diagnostic is one thing that a check has to say about a file.
type Diagnostic struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Column   int      `json:"column"`
	Severity Severity `json:"severity"`
	// Code names the kind of a finding, such as "no-undo"; it is what an
	// "# accept: CODE reason" comment names. Errors have none.
	Code string `json:"code,omitempty"`
	// Message is one line: what is wrong; what was expected.
	Message string `json:"message"`
}

// String is the line that people read.
func (d Diagnostic) String() string {
	if d.Severity == SeverityFinding {
		return fmt.Sprintf("%s:%d:%d: finding: %s [%s]", d.File, d.Line, d.Column, d.Message, d.Code)
	}
	return fmt.Sprintf("%s:%d:%d: %s", d.File, d.Line, d.Column, d.Message)
}

// JSON is the diagnostic as one JSON object.
func (d Diagnostic) JSON() []byte {
	b, err := json.Marshal(d)
	if err != nil { // texts and numbers always marshal
		return nil
	}
	return b
}

// HasErrors tells whether any of the diagnostics is an error.
func HasErrors(all []Diagnostic) bool {
	return slices.ContainsFunc(all, func(d Diagnostic) bool { return d.Severity == SeverityError })
}

// reporter collects what is wrong with one file.
type reporter struct {
	file string
	all  []Diagnostic
}

// maxDiagnostics bounds what one file can report: the rest is no help.
const maxDiagnostics = 500

func (r *reporter) errorf(at Pos, format string, args ...any) {
	r.add(Diagnostic{Line: at.Line, Column: at.Column, Severity: SeverityError, Message: fmt.Sprintf(format, args...)})
}

func (r *reporter) add(d Diagnostic) {
	d.File = r.file
	if d.Line == 0 {
		d.Line, d.Column = 1, 1
	}
	if len(r.all) < maxDiagnostics {
		r.all = append(r.all, d)
	}
}

// sorted gives the diagnostics in the order of the text, each once.
func (r *reporter) sorted() []Diagnostic {
	slices.SortStableFunc(r.all, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Severity, b.Severity))
	})
	return slices.Compact(r.all)
}
