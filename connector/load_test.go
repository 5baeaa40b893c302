package connector

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"riposte/internal/fault"
	"riposte/internal/strictyaml"
)

func TestEverythingAManifestCanSay(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/good/acme-edr.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse("acme-edr.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	a := m.Action("isolate")
	if a == nil || a.Impact != Change || a.Idempotency != Precheck || a.Undo.Action != "release" || a.Digest == "" {
		t.Errorf("isolate is %+v", a)
	}
}

var expectation = regexp.MustCompile(`### ("(?:[^"\\]|\\.)*")`)

// TestErrorsStandAtTheLineThatIsWrong reads files in which ### "text" marks the
// lines with an error.
func TestErrorsStandAtTheLineThatIsWrong(t *testing.T) {
	t.Parallel()
	files, _ := filepath.Glob("testdata/bad/*.yaml")
	if len(files) == 0 {
		t.Fatal("no files")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			wanted := map[int][]string{}
			for i, line := range strings.Split(string(data), "\n") {
				for _, m := range expectation.FindAllStringSubmatch(line, -1) {
					text, err := strconv.Unquote(m[1])
					if err != nil {
						t.Fatal(err)
					}
					wanted[i+1] = append(wanted[i+1], text)
				}
			}
			_, err = Parse("x.yaml", data)
			if !errors.Is(err, fault.Invalid) {
				t.Fatalf("error %v, want a fault.Invalid", err)
			}
			var list strictyaml.Errors
			errors.As(err, &list)
			for _, e := range list {
				if !take(wanted, e) {
					t.Errorf("not expected: %v", e)
				}
			}
			for line, texts := range wanted {
				for _, text := range texts {
					t.Errorf("line %d: no error with %q", line, text)
				}
			}
		})
	}
}

func take(wanted map[int][]string, e *strictyaml.Error) bool {
	for i, text := range wanted[e.Pos.Line] {
		if strings.Contains(fmt.Sprintf("%s; %s", e.What, e.Expected), text) {
			wanted[e.Pos.Line] = append(wanted[e.Pos.Line][:i:i], wanted[e.Pos.Line][i+1:]...)
			return true
		}
	}
	return false
}
