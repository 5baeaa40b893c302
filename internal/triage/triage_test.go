package triage

import (
	"os"
	"strings"
	"testing"
)

func shipped(t testing.TB) *Rules {
	t.Helper()
	const name = "../../content/triage/rules.yaml"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Parse(name, text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func passes(t *testing.T, r *Rules) {
	t.Helper()
	for _, res := range r.Test() {
		if len(res.Wrong) > 0 {
			t.Errorf("line %d, %s: %s", res.Line, res.Name, strings.Join(res.Wrong, "; "))
		}
	}
}

func TestTheShippedRulesPassTheirTests(t *testing.T) {
	r := shipped(t)
	if r.Tests() < 8 {
		t.Errorf("%d tests", r.Tests())
	}
	passes(t, r)
}
