package connector

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"riposte/internal/strictyaml"
)

//go:generate go test -run TestTheSchemaFileIsFresh -count=1 . -update

// ManifestSchema is the JSON Schema of connector.yaml, for editors. It is kept
// in connector.schema.json.
func ManifestSchema() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(strictyaml.Schema(reflect.TypeFor[Manifest](), "A Riposte connector")); err != nil {
		return nil, fmt.Errorf("make the schema of %s: %w", ManifestFile, err)
	}
	return b.Bytes(), nil
}

// StrictSchema describes a schema inside a manifest: any object.
func (*Schema) StrictSchema() map[string]any { return map[string]any{"type": "object"} }
