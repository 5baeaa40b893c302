package main

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	"riposte/internal/demo"
)

// demoWorld is a machine without a terminal, and what a command wrote there.
func demoWorld() (w *world, out, talk *bytes.Buffer) {
	out, talk = &bytes.Buffer{}, &bytes.Buffer{}
	return &world{in: &bytes.Buffer{}, out: out, err: talk, getenv: func(string) string { return "" }}, out, talk
}

// The whole program: alerts in, runs, questions, blocks with a time limit, and
// the products' own word for it.
func TestTheDemoIsConfirmedByItsProducts(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	w, out, talk := demoWorld()
	code := execute(ctx, []string{"demo", "--once", "--json"}, w)
	var s demo.Summary
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		t.Fatalf("exit %d, %v: %s\n%s", code, err, out, talk)
	}
	for _, p := range s.Problems {
		t.Error(p)
	}
	if code != exitDone || !s.Confirmed {
		t.Errorf("exit %d, confirmed %v\n%s", code, s.Confirmed, talk)
	}
	if s.AlertsIn != s.Alerts+s.Duplicates || s.Duplicates == 0 || s.Cases == 0 || s.Runs["succeeded"] == 0 {
		t.Errorf("the summary is odd: %s", out)
	}
	if s.BlocksMade == 0 || s.BlocksMade != s.BlocksTakenBack || s.Approvals.Approved == 0 || s.Approvals.Denied == 0 {
		t.Errorf("nothing was blocked, or asked: %s", out)
	}
}

func TestTheDemoRefusesFlagsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"json without once":   {"demo", "--json"},
		"no such flag":        {"demo", "--twice"},
		"no address":          {"demo", "--listen", "here"},
		"no time at all":      {"demo", "--every", "0s"},
		"a word for argument": {"demo", "once"},
	} {
		w, out, talk := demoWorld()
		if code := execute(t.Context(), args, w); code != exitMisused || out.Len() != 0 || bytes.Count(talk.Bytes(), []byte("\n")) != 1 {
			t.Errorf("%s: exit %d, %q, %q", name, code, out, talk)
		}
	}
}
