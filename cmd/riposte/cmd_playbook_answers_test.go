package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

const asks = `playbook: asks
title: Ask people
steps:
  - id: judge
    ask: Is it bad?
    to: role:admin
    options: [bad, good]
    within: 1m
  - id: days
    ask: For how long?
    to: role:admin
    form: { type: object, properties: { days: { type: integer } }, required: [days] }
    within: 1m
  - id: tell
    action: log.note
    with: { text: "${{ steps.judge.answer }} for ${{ steps.days.answer.days }}" }
    approve: { by: role:admin, within: 1m }
outputs:
  said: "${{ steps.tell.output }}"
`

func TestAnswersGivenBeforehandAreHeldAgainstTheQuestions(t *testing.T) {
	t.Parallel()
	path := file(t, "asks.playbook.yaml", asks)
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"no such step", []string{"--answer", "jude=bad"}, `no step "jude" asks anybody; those that do: days, judge, tell`},
		{"no such option", []string{"--answer", "judge=worse"}, "step judge: it is none of the options bad, good"},
		{"a form that is not filled in", []string{"--answer", "days={}"}, `step days: lacks "days"`},
		{"neither yes nor no", []string{"--answer", "tell=maybe"}, "step tell is approved or not; say approve or deny"},
		{"a file with another key", []string{"--answers", file(t, "answers.yaml", "anser: {}\n")}, `unknown key "anser"; did you mean "answer"?`},
		{"nobody of that name", []string{"--as", "bob"}, `--as: there is no person "bob" in this installation`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := command(t, nil, "", append([]string{"playbook", "run", path, "--data", filepath.Join(t.TempDir(), "data")}, c.args...)...)
			if got.code != 2 || !strings.Contains(got.err, c.want) {
				t.Errorf("code %d, %s\nwant 2 and %s", got.code, got.err, c.want)
			}
		})
	}
}

func TestQuestionsOfARunOnceAreAnswered(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, typed string
		answers     []string
		code        int
		want        string
	}{
		{"by flags and file", "", []string{"--answer", "judge=bad", "--answer", "tell=approve", "--answers", file(t, "answers.yaml", "answer: { days: { days: 3 } }\n")}, 0, "tell"},
		{"at the terminal", "worse\nbad\n{\"days\": 3}\nwhat\nyes\n", nil, 0, "tell"},
		{"with a no at the terminal", "bad\n{\"days\": 3}\ndeny not today\n", nil, 1, "denied by admin: not today"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			w := &world{in: strings.NewReader(c.typed), out: &out, err: &errs, getenv: func(string) string { return "" }}
			if c.typed != "" {
				w.askSecret = func() (string, error) { return "", nil }
			}
			args := append([]string{"playbook", "run", file(t, "asks.playbook.yaml", asks), "--data", filepath.Join(t.TempDir(), "data")}, c.answers...)
			if code := execute(t.Context(), args, w); code != c.code || !strings.Contains(out.String(), c.want) {
				t.Errorf("code %d, want %d and %q\n%s\n%s", code, c.code, c.want, out.String(), errs.String())
			}
		})
	}
}
