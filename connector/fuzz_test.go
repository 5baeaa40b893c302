package connector

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"riposte/internal/fault"
)

// FuzzParse holds the loader to this: whatever the text, it comes back, with
// actions that are whole or with an error of kind fault.Invalid.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*/*.yaml", "builtin/*/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatal(pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse("fuzz.yaml", data)
		if err != nil {
			if !errors.Is(err, fault.Invalid) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		for _, id := range m.ActionIDs() {
			a := m.Action(id)
			if a == nil || a.Digest == "" || a.Timeout <= 0 {
				t.Fatalf("action %q is not whole: %+v", id, a)
			}
			if a.Impact >= Change && (len(a.Targets) == 0 || a.Idempotency == "") {
				t.Fatalf("action %q of impact %s without targets or idempotency", id, a.Impact)
			}
		}
	})
}
