package content_test

import (
	"io/fs"
	"testing"

	"riposte/content"
)

func TestEveryFolderIsInside(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"playbooks/contain-endpoint.playbook.yaml",
		"connectors/edr-sim/connector.yaml",
		"guard/policy.yaml",
		"guard/limits.yaml",
		"guard/protected.yaml",
		"samples/sagan-eve.jsonl",
	} {
		if _, err := fs.Stat(content.Files(), name); err != nil {
			t.Error(err)
		}
	}
	folder, err := content.Folder("samples")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Stat(folder, "rsyslog.jsonl"); err != nil {
		t.Error(err)
	}
}
