package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"riposte/connector"
	"riposte/internal/guard"
)

func TestTheShippedListsHoldBesideOnesOwn(t *testing.T) {
	t.Parallel()
	own := filepath.Join(t.TempDir(), "own.yaml")
	if err := os.WriteFile(own, []byte("lists:\n  - { list: partners, owner: x, reason: y, ips: [203.0.113.0/24] }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := openGuard(GuardConfig{Protected: []string{own}})
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		kind        connector.TargetKind
		value, list string
	}{
		{"ip", "10.0.0.1", "private-networks"}, {"ip", "203.0.113.9", "partners"}, {"host", strings.ToUpper(host), "riposte-host"}, {"host", "ws-1", ""},
	} {
		d := g.Check(guard.Request{
			Playbook: "p", Run: 1, Act: 1, Connection: "c", Impact: connector.Change, Inputs: map[string]any{"x": tt.value},
			Action:   &connector.Action{Connector: "acme", ID: "act", Impact: connector.Change, Targets: []connector.TargetSpec{{Input: "x", Kind: tt.kind}}},
			TakeBack: guard.TakeBack{Action: "acme.undo"}, At: time.Date(2026, 1, 14, 12, 0, 0, 0, time.UTC),
		})
		if want := "protected " + tt.list; (tt.list != "" && d.Rule != want) || (tt.list == "" && d.Outcome != guard.Allow) {
			t.Errorf("%s %s: %s by %q (%s)", tt.kind, tt.value, d.Outcome, d.Rule, d.Message)
		}
	}
}

func TestAWrongGuardFileIsToldWithItsPlace(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte("rules:\n  - { rule: a-b, reason: x, then: alow }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openGuard(GuardConfig{Policy: file}); err == nil || !strings.HasPrefix(err.Error(), file+`:2:35: then is "alow"; did you mean "allow"?`) {
		t.Errorf("%v", err)
	}
	if _, err := openGuard(GuardConfig{Limits: filepath.Join(t.TempDir(), "none.yaml")}); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("%v", err)
	}
}
