package run_test

import (
	"testing"

	"riposte/internal/run"
)

func TestASetShowsWhatItsVariablesBecame(t *testing.T) {
	t.Parallel()
	p := load(t, `
playbook: tale
title: A tale
vars:
  n: 1
  why: ""
steps:
  - set: { why: "because ${{ vars.n }}", n: 2 }
outputs:
  n: ${{ vars.n }}
`)
	steps := run.Steps(p, []run.Event{{Kind: run.Started, At: midnight, Start: &run.Start{Run: 7, Playbook: p.ID, Plan: p.Hash}}})
	if got, want := string(steps[0].Inputs), `{"n":2,"why":"because 1"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
