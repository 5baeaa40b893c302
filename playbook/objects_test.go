package playbook

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"riposte/connector"
	"riposte/internal/alert"
	"riposte/internal/expr"
)

func TestAlertsFitTheTypeThatPlaybooksSee(t *testing.T) {
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	full := alert.Alert{
		ID: 1, Source: "edr", IdentityKey: "k", GroupKey: "g", Title: "T", Description: "D", Severity: 4, Category: "malware",
		Status: "new", Time: now, Received: now, FirstSeen: now, LastSeen: now, Count: 2, Link: "https://example.com",
		Techniques:  []string{"T1059"},
		Entities:    []alert.Entity{{Kind: "host", Value: "ws-7"}, {Kind: "user", Value: "bob"}, {Kind: "mailbox", Value: "a@b.example"}, {Kind: "process", Value: "p"}, {Kind: "file", Value: "f"}},
		Observables: []alert.Observable{{Type: "ip", Value: "10.0.0.1", Role: "source"}, {Type: "sha256", Value: "aa"}, {Type: "md5", Value: "bb"}, {Type: "domain", Value: "c"}},
		Fields:      map[string]any{"src_port": 5, "protocol": "tcp", "rule": "r", "rule_id": "1", "type": "x", "external_id": "e"},
	}
	for _, a := range []alert.Alert{full, {}} {
		object := a.Object()
		for name, v := range object {
			field, ok := AlertType().Field(name)
			if !ok {
				t.Errorf("alerts have a field %s that playbooks cannot read", name)
				continue
			}
			if wrong := expr.TypeOf(v).Fits(field); wrong != "" {
				t.Errorf("alert.%s: %s", name, wrong)
			}
		}
	}
}

func TestTheShippedPlaybooksFitTheRealConnectors(t *testing.T) {
	registry, err := connector.NewRegistry(connector.Folder{FS: os.DirFS("../content/connectors"), Name: "content/connectors"})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../content/playbooks/*.playbook.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no playbooks", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if plan, all := Load(file, b, Options{Catalog: registry}); plan == nil {
			t.Errorf("%s: %v", file, all)
		}
	}
}
