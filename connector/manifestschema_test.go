package connector

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"riposte/internal/strictyaml"
)

var update = flag.Bool("update", false, "write golden files anew")

func TestTheSchemaFileIsFresh(t *testing.T) {
	t.Parallel()
	want, err := ManifestSchema()
	if err != nil {
		t.Fatal(err)
	}
	const file = "connector.schema.json"
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is stale (%v): run go test ./connector -update", file, err)
	}
}

// TestTheSchemaAgreesWithTheLoader holds the published schema to files that the
// loader takes: an editor must not complain about them.
func TestTheSchemaAgreesWithTheLoader(t *testing.T) {
	t.Parallel()
	text, err := ManifestSchema()
	if err != nil {
		t.Fatal(err)
	}
	var s Schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	compiled, err := CompileSchema(s)
	if err != nil {
		t.Fatal(err)
	}
	files := []string{"testdata/good/acme-edr.yaml"}
	for _, name := range Builtins() {
		files = append(files, "builtin/"+name+"/"+ManifestFile)
	}
	shipped, err := filepath.Glob("../content/connectors/*/" + ManifestFile)
	if err != nil || len(shipped) == 0 {
		t.Fatalf("no connectors that ship: %v", err)
	}
	files = append(files, shipped...)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := strictyaml.Parse(file, data)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range compiled.Check(doc.Root().Value()) {
			t.Errorf("%s: %s", file, p)
		}
	}
}
