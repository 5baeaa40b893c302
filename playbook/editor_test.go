package playbook

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"riposte/connector"
)

const schemaFile = "playbook.schema.json"

func TestTheEditorSchemaIsFresh(t *testing.T) {
	got := EditorSchema()
	if *update {
		if err := os.WriteFile(schemaFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("run with -update: %s", diff)
	}
}

func editorSchema(t *testing.T) *connector.CompiledSchema {
	t.Helper()
	var schema map[string]any
	if err := json.Unmarshal(EditorSchema(), &schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := connector.CompileSchema(schema)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func decoded(t *testing.T, text string) (v any, ok bool) {
	t.Helper()
	r := &reporter{}
	root := readNodes(newSource(text), r)
	if root == nil || len(r.all) > 0 {
		return nil, false
	}
	return root.decode(), true
}

func TestTheEditorSchemaAcceptsTheShippedPlaybooks(t *testing.T) {
	schema := editorSchema(t)
	files, err := filepath.Glob("../content/playbooks/*.playbook.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no playbooks", err)
	}
	for _, file := range append(files, "draw/testdata/all-verbs.playbook.yaml") {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		v, ok := decoded(t, string(b))
		if !ok {
			t.Fatal(file)
		}
		if wrong := schema.Check(v); len(wrong) > 0 {
			t.Errorf("%s: %v", file, wrong)
		}
	}
}

func TestTheEditorSchemaAndTheDecoderAgree(t *testing.T) {
	schema := editorSchema(t)
	files, err := filepath.Glob("testdata/check/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, g := range goldens(t, file) {
			v, ok := decoded(t, plain(g.text))
			if !ok {
				continue
			}
			_, all := Parse("", []byte(plain(g.text)))
			wrong := schema.Check(v)
			if len(wrong) > 0 != HasErrors(all) && !onlyTemplates(all) {
				t.Errorf("%s, %s: the decoder says %v, the schema %v", file, g.name, all, wrong)
			}
		}
	}
}

// onlyTemplates tells whether all that is wrong are braces where nothing is
// worked out, which the schema cannot know.
func onlyTemplates(all []Diagnostic) bool {
	for _, d := range all {
		if !strings.HasPrefix(d.Message, "${{ }} ") {
			return false
		}
	}
	return true
}
