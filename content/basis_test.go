package content_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"riposte/content"
	"riposte/internal/alert"
)

// Whoever chooses a mapping must be able to see what it was tried on.
func TestEveryMappingTellsItsBasisAndThePageNamesTheUntried(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/sources.md")
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(content.Files(), "sources/*.source.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("no mappings: %v", err)
	}
	for _, name := range names {
		src, err := fs.ReadFile(content.Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		m, err := alert.ParseMapping(name, src)
		if err != nil {
			t.Fatal(err)
		}
		switch m.Basis {
		case "events":
		case "documentation":
			if !strings.Contains(string(page), "`"+m.ID+"`") {
				t.Errorf("%s: docs/sources.md does not name %s among those without real events", name, m.ID)
			}
		default:
			t.Errorf("%s: basis is %q: say events or documentation", name, m.Basis)
		}
	}
}
