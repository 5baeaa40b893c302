package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goodConnector = `connector: acme
version: 1.0.0
contract: 1
title: Acme
runtime: exec
actions:
  - id: look
    impact: read
    exec: { command: [./look.sh, ./words.txt] }
`

// connectorFolder makes a folder with a connector and its files, which are
// executable.
func connectorFolder(t *testing.T, name, manifest string, files ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range append(files, "connector.yaml") {
		text := "#!/bin/sh\n"
		if f == "connector.yaml" {
			text = manifest
		}
		if err := os.WriteFile(filepath.Join(dir, f), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestConnectorsAreCheckedAsTheServerLoadsThem(t *testing.T) {
	t.Parallel()
	programs := []string{"look.sh", "words.txt"}
	tests := []struct {
		name string
		dir  string
		want string // at the place of the error, "" for none
	}{
		{"a right one", connectorFolder(t, "acme", goodConnector, programs...), ""},
		{"a file that is not there", connectorFolder(t, "acme", goodConnector, programs[:1]...), `:9:34: the file "./words.txt" is not in the connector's folder; put it there, or correct its name`},
		{"another name than its folder's", connectorFolder(t, "acne", goodConnector, programs...), `:1:12: the connector is called "acme" and its folder "acne"; give them the same name`},
		{"the name of a built-in action", connectorFolder(t, "case", strings.Replace(goodConnector, "acme", "case", 1), programs...), `:1:12: the name "case" belongs to a built-in action; choose another`},
		{"no impact", connectorFolder(t, "acme", strings.Replace(goodConnector, "    impact: read\n", "", 1), programs...), `:7:5: the action "look" has no impact; add impact: read, notify, change or destroy`},
		{"a change without targets", connectorFolder(t, "acme", strings.Replace(goodConnector, "impact: read", "impact: change\n    idempotency: none", 1), programs...), `:7:5: the action "look" of impact change has no targets; add targets: with the input that names what is acted on, and its kind`},
		{"a wrong word", connectorFolder(t, "acme", strings.Replace(goodConnector, "runtime: exec", "runtime: exce", 1), programs...), `did you mean "exec"?`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(tt.dir, "connector.yaml")
			for _, path := range []string{file, tt.dir, filepath.Dir(tt.dir)} {
				got := command(t, nil, "", "connector", "check", path)
				data := command(t, nil, "", "connector", "check", "--json", path)
				var r connectorReport
				if err := json.Unmarshal([]byte(data.out), &r); err != nil || data.code != got.code {
					t.Fatalf("%v: %+v", err, data)
				}
				if tt.want == "" {
					if got.code != 0 || got.out != "" || len(r.Files) != 1 || !r.Files[0].Valid || r.Files[0].Actions[0].ID != "look" {
						t.Errorf("%s: %+v %+v", path, got, r)
					}
					continue
				}
				if got.code != 2 || !strings.Contains(got.out, tt.want) || r.Errors != len(r.Files[0].Problems) || r.Files[0].Valid {
					t.Errorf("%s: %+v, want %s", path, got, tt.want)
				}
			}
		})
	}
}

func TestWhatIsNoConnectorIsSaid(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	plain := connectorFolder(t, "acme", goodConnector)
	if err := os.Chmod(filepath.Join(plain, "connector.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		empty:                                   "the folder holds no connector.yaml, nor does a folder in it",
		filepath.Join(empty, "nothing"):         "no such file",
		file(t, "draft.yaml", "connector: [\n"): "draft.yaml:",
	} {
		got := command(t, nil, "", "connector", "check", path)
		if got.code != 2 || !strings.Contains(got.out+got.err, want) {
			t.Errorf("%s: %+v, want %q", path, got, want)
		}
	}
	if got := command(t, nil, "", "connector", "check", file(t, "draft.yaml", goodConnector)); got.code != 0 {
		t.Errorf("a draft under another name: %+v", got)
	}
}

func TestWhatShipsIsRight(t *testing.T) {
	t.Parallel()
	if got := command(t, nil, "", "connector", "check", "../../content/connectors", "../../connector/testdata/good/acme-edr.yaml"); got.code != 0 {
		t.Errorf("%+v", got)
	}
}
