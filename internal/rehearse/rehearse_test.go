package rehearse_test

import (
	"encoding/xml"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/rehearse"
	"riposte/playbook"
)

// rehearsed runs the tests of a text.
func rehearsed(t *testing.T, file, text string) rehearse.Report {
	t.Helper()
	checked, diagnostics := playbook.Check(file, []byte(text), playbook.Options{})
	if playbook.HasErrors(diagnostics) {
		t.Fatalf("check: %v", diagnostics)
	}
	return rehearse.All(playbook.Compile(checked), file, checked.Playbook.Tests)
}

func TestTimeRoundsUndoAndCoverageAreAsInARealRun(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/everything.playbook.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r := rehearsed(t, "everything.playbook.yaml", string(text))
	for _, p := range r.Tests[0].Problems {
		t.Errorf("line %d: %s", p.Line, p.Message)
	}
	// mark, inner and never done or skipped; two handlers.
	want := rehearse.Coverage{Taken: 6, Total: 8, Missing: []rehearse.Branch{
		{Line: 29, Step: "never", Way: "done"}, {Line: 47, Step: "playbook", Way: "on_error"},
	}}
	if d := cmp.Diff(want, r.Coverage); d != "" {
		t.Errorf("coverage (-want +got):\n%s", d)
	}
}

const askOrCall = `
playbook: tale
title: A tale
inputs:
  who: { type: string, default: ann }
steps:
  - id: look
    action: lab.read
    retry: 3
  - id: judge
    ask: Well?
    to: ann
    within: 1h
    form: { type: object, properties: { score: { type: integer, maximum: 5 } } }
  - id: cut
    action: lab.cut
    undo: { action: lab.uncut, after: 1m }
  - wait: 5m
tests:
  - name: all of it
`

func TestProblemsSayWhatWasNotAsExpected(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, test string
		want       []string
	}{
		{"a step without a mock", `
    expect: { status: failed }`, []string{"step look was reached without a mock; expected one for look or lab.read"}},
		{"a list of replies that is used up", `
    mock: { look: [ { error: busy, code: transient } ] }
    expect: { status: failed }`, []string{"step look was called more often than its mock has replies (1)"}},
		{"a passing error is tried again", `
    mock: { look: [ { error: busy, code: transient }, { error: busy, code: rate_limited }, { output: {} } ] }
    expect: { status: timed_out, steps: { look: succeeded }, called: [ { action: lab.read, times: 3 } ], time: 3615s }`, nil},
		{"a lasting error is not", `
    mock: { look: [ { error: gone, code: not_found } ] }
    expect: { status: failed, called: [ { action: lab.read, times: 1 } ] }`, nil},
		{"nobody answers in time", `
    mock: { look: { output: {} } }
    expect: { status: timed_out, steps: { judge: timed_out, cut: pending }, time: 1h }`, nil},
		{"an undo that comes due and has no mock", `
    mock: { look: { output: {} }, cut: { output: {} } }
    answer: { judge: { score: 1 } }
    expect: { status: succeeded }`, []string{"lab.uncut was reached without a mock; expected one for lab.uncut"}},
		{"an undo that comes due after the end is not called", `
    mock: { look: { output: {} }, cut: { error: no } }
    answer: { judge: { score: 1 } }
    expect: { status: failed, undo: [], not_called: [lab.uncut] }`, nil},
		{"a wrong status, with its reason", `
    mock: { look: { error: gone, code: not_found } }
    expect: { status: succeeded }`, []string{"the run failed (step look, not_found: gone); expected succeeded"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, p := range rehearsed(t, "tale.playbook.yaml", askOrCall+strings.TrimPrefix(c.test, "\n")+"\n").Tests[0].Problems {
				got = append(got, p.Message)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("problems (-want +got):\n%s", d)
			}
		})
	}
}

func TestJUnitHasWhatTheStrictestSchemaWants(t *testing.T) {
	t.Parallel()
	r := rehearse.Report{Playbook: "tale", File: "tale.playbook.yaml", Coverage: rehearse.Coverage{Taken: 1, Total: 2}, Tests: []rehearse.Result{
		{Name: "good", Line: 3},
		{Name: "bad <&> \x01", Line: 9, Problems: []rehearse.Problem{{Line: 10, Column: 7, Message: `the run failed; expected "succeeded"`}}},
	}}
	got, err := rehearse.JUnit([]rehearse.Report{r}, time.Date(2026, 1, 5, 9, 30, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	want := xml.Header + `<testsuites>
  <testsuite id="0" name="tale" package="tale" timestamp="2026-01-05T09:30:00" hostname="localhost" tests="2" failures="1" errors="0" skipped="0" time="0.000">
    <properties>
      <property name="file" value="tale.playbook.yaml"></property>
      <property name="branches" value="2"></property>
      <property name="branches taken" value="1"></property>
    </properties>
    <testcase name="good" classname="tale" time="0.000"></testcase>
    <testcase name="bad &lt;&amp;&gt; �" classname="tale" time="0.000">
      <failure type="expectation" message="the run failed; expected &#34;succeeded&#34;">tale.playbook.yaml:10:7: the run failed; expected &#34;succeeded&#34;&#xA;</failure>
    </testcase>
    <system-out></system-out>
    <system-err></system-err>
  </testsuite>
</testsuites>
`
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
