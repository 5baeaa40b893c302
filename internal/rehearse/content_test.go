package rehearse_test

import (
	"os"
	"path/filepath"
	"testing"

	"riposte/connector"
	"riposte/content"
	"riposte/internal/rehearse"
	"riposte/playbook"
)

func TestTheShippedPlaybooksPassTheirTests(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../content/playbooks/*.playbook.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no playbooks: %v", err)
	}
	shipped, err := content.Folder("connectors")
	if err != nil {
		t.Fatal(err)
	}
	registry, err := connector.NewRegistry(connector.Folder{FS: shipped, Name: "content/connectors"})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		checked, diagnostics := playbook.Check(f, src, playbook.Options{Catalog: registry})
		if playbook.HasErrors(diagnostics) {
			t.Errorf("%s: %v", f, diagnostics)
			continue
		}
		report := rehearse.All(playbook.Compile(checked), f, checked.Playbook.Tests)
		if len(report.Tests) == 0 {
			t.Errorf("%s has no tests", f)
		}
		for _, r := range report.Tests {
			for _, p := range r.Problems {
				t.Errorf("%s:%d:%d: %s: %s", f, p.Line, p.Column, r.Name, p.Message)
			}
		}
	}
}
