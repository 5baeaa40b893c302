package score

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"riposte/internal/alert"
	"riposte/internal/intel"
	"riposte/internal/strictyaml"
)

// testCase is an alert in the score file itself, with the score that it must
// have: weights that are tuned without noticing what else they move do harm.
type testCase struct {
	Name       string            `yaml:"name,required" min:"1" doc:"what the test shows"`
	Alert      testAlert         `yaml:"alert,required" doc:"the alert: title, source, severity, category, techniques, entities, observables, fields"`
	Verdicts   []testVerdict     `yaml:"verdicts" doc:"what sources say of its observables"`
	Assets     map[string]string `yaml:"assets" doc:"entries of the list of assets: value and note"`
	Identities map[string]string `yaml:"identities" doc:"entries of the list of identities: value and note"`
	History    History           `yaml:"history" doc:"how people decided about the detection: true_positive, benign_positive, false_positive"`
	Seen       Seen              `yaml:"seen" doc:"earlier alerts about the same: alerts, verdict"`
	Expect     expectation       `yaml:"expect,required" doc:"what must come of it"`

	line int
}

type testAlert struct {
	Title       string         `yaml:"title"`
	Source      string         `yaml:"source"`
	Severity    any            `yaml:"severity" doc:"1 to 5 or a word; without it unknown"`
	Category    string         `yaml:"category"`
	Techniques  []string       `yaml:"techniques"`
	Entities    []testEntity   `yaml:"entities"`
	Observables []testEntity   `yaml:"observables"`
	Fields      map[string]any `yaml:"fields"`
}

type testEntity struct {
	Kind  string `yaml:"kind" doc:"of an entity"`
	Type  string `yaml:"type" doc:"of an observable"`
	Value string `yaml:"value,required"`
	Role  string `yaml:"role"`
}

type testVerdict struct {
	Value      string `yaml:"value,required" doc:"the value of an observable"`
	Verdict    string `yaml:"verdict,required" enum:"malicious,suspicious,harmless,unknown"`
	Confidence *int   `yaml:"confidence" min:"0" doc:"0 to 100; default 80"`
	Source     string `yaml:"source" doc:"who says so; default a source of its own for each line"`
}

type expectation struct {
	Band    string   `yaml:"band" enum:"false_positive,analyst,automatic"`
	Score   *int     `yaml:"score" doc:"exactly this"`
	Least   *int     `yaml:"least" doc:"at least this"`
	Most    *int     `yaml:"most" doc:"at most this"`
	Reasons []string `yaml:"reasons" doc:"factors that must be among the reasons"`
	Not     []string `yaml:"not" doc:"factors that must not"`
	Closed  *string  `yaml:"closed" doc:"the closing rule that takes it; an empty text for none"`
}

// TestResult is how one test of a score file ended.
type TestResult struct {
	Name  string   `json:"name"`
	Line  int      `json:"line"`
	Wrong []string `json:"wrong,omitempty"` // what was not as expected; empty where the test passed
	Result
}

// testNow is the time at which tests take place.
var testNow = time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)

func (c *reader) tests() {
	names := map[string]bool{}
	for i := range c.r.file.Tests {
		t, at := c.r.file.Tests[i], strictyaml.Join("/tests", i)
		if names[t.Name] {
			c.doc.Errorf(at+"/name", "give each test a name of its own", "the test %q is here twice", t.Name)
		}
		names[t.Name] = true
		if _, err := alert.Severity(t.Alert.Severity); err != nil {
			c.doc.Errorf(at+"/alert/severity", "expected informational, low, medium, high or critical, or 1 to 5", "%v", err)
		}
		for _, list := range [][]string{t.Expect.Reasons, t.Expect.Not} {
			for _, f := range list {
				if !c.r.hasFactor(f) {
					c.doc.Errorf(at+"/expect", strictyaml.DidYouMean(f, c.r.factorNames()), "there is no factor %q", f)
				}
			}
		}
		t.line = c.doc.At(at).Line
		c.r.tests = append(c.r.tests, t)
	}
}

func (r *Rules) factorNames() []string {
	names := []string{"severity", "technique", "not-known", "contradiction", "limit"}
	for i := range r.file.Factors {
		names = append(names, r.file.Factors[i].Name)
	}
	return names
}

func (r *Rules) hasFactor(name string) bool { return slices.Contains(r.factorNames(), name) }

// Test runs the tests that stand in the file.
func (r *Rules) Test() []TestResult {
	out := make([]TestResult, len(r.tests))
	for i := range r.tests {
		t := &r.tests[i]
		a, f := t.alert(), t.facts()
		out[i] = TestResult{Name: t.Name, Line: t.line, Result: r.Score(a, nil, f, testNow)}
		closed := ""
		if rules := r.Closes(a, nil, f, out[i].Result, testNow); len(rules) > 0 {
			closed = rules[0].ID
		}
		out[i].Wrong = t.Expect.wrong(out[i].Result, closed)
	}
	return out
}

func (t *testCase) alert() *alert.Alert {
	a := &alert.Alert{
		Title: t.Alert.Title, Source: t.Alert.Source, Category: t.Alert.Category, Techniques: t.Alert.Techniques, Fields: t.Alert.Fields,
		Status: alert.New, Count: 1, Time: testNow, Received: testNow, FirstSeen: testNow, LastSeen: testNow,
	}
	a.Severity, _ = alert.Severity(t.Alert.Severity) // checked when the file was read
	for _, e := range t.Alert.Entities {
		a.Entities = append(a.Entities, alert.Entity{Kind: e.Kind, Value: e.Value, Role: e.Role})
	}
	for _, o := range t.Alert.Observables {
		a.Observables = append(a.Observables, alert.Observable{Type: o.Type, Value: o.Value, Role: o.Role})
	}
	return a
}

func (t *testCase) facts() Facts {
	a := t.alert()
	f := Facts{
		Assets: NewInventory(entries(t.Assets)).Assets(a), Identities: NewInventory(entries(t.Identities)).Identities(a),
		History: t.History, Seen: t.Seen,
	}
	for _, o := range a.Observables {
		var said []intel.Opinion
		for i, v := range t.Verdicts {
			if v.Value != o.Value {
				continue
			}
			op := intel.Opinion{Source: v.Source, Verdict: intel.Verdict(v.Verdict), Confidence: 80, At: testNow}
			if op.Source == "" {
				op.Source = fmt.Sprintf("source-%d", i+1)
			}
			if v.Confidence != nil {
				op.Confidence = *v.Confidence
			}
			said = append(said, op)
		}
		f.Verdicts = append(f.Verdicts, Judge(o.Type, o.Value, said, testNow))
	}
	return f
}

func entries(m map[string]string) (list []Entry) {
	for value, note := range m {
		list = append(list, Entry{Value: value, Note: note})
	}
	return list
}

// wrong says what of a result is not as expected.
func (e *expectation) wrong(r Result, closed string) (list []string) {
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if e.Band != "" && string(r.Band) != e.Band {
		say("the band is %s, not %s", r.Band, e.Band)
	}
	if e.Score != nil && r.Score != *e.Score {
		say("the score is %d, not %d", r.Score, *e.Score)
	}
	if e.Least != nil && r.Score < *e.Least {
		say("the score is %d, less than %d", r.Score, *e.Least)
	}
	if e.Most != nil && r.Score > *e.Most {
		say("the score is %d, more than %d", r.Score, *e.Most)
	}
	has := func(name string) bool {
		return slices.ContainsFunc(r.Reasons, func(x Reason) bool { return x.Factor == name })
	}
	for _, name := range e.Reasons {
		if !has(name) {
			say("%s is no reason", name)
		}
	}
	for _, name := range e.Not {
		if has(name) {
			say("%s is a reason", name)
		}
	}
	if e.Closed != nil && *e.Closed != closed {
		say("it is closed by %q, not by %q", closed, *e.Closed)
	}
	if len(list) > 0 {
		var why []string
		for _, x := range r.Reasons {
			if x.Points != 0 {
				why = append(why, fmt.Sprintf("%s %+d", x.Factor, x.Points))
			}
		}
		list[0] += fmt.Sprintf(" (%s)", strings.Join(why, ", "))
	}
	return list
}
