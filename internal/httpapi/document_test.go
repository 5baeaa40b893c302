package httpapi

import (
	"bytes"
	"os"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestTheDocumentIsOpenAPI31 holds the document against the schema that the
// OpenAPI Initiative publishes, and compiles every schema in it.
func TestTheDocumentIsOpenAPI31(t *testing.T) {
	t.Parallel()
	text, err := Document("test")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	meta, err := os.ReadFile("testdata/openapi-3.1.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	published, err := jsonschema.UnmarshalJSON(bytes.NewReader(meta))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("https://example.org/openapi-3.1", published); err != nil {
		t.Fatal(err)
	}
	if err := c.AddResource("https://example.org/riposte", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("https://example.org/openapi-3.1")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(doc); err != nil {
		t.Errorf("%#v", err)
	}
	schemas := doc.(map[string]any)["components"].(map[string]any)["schemas"].(map[string]any)
	for name := range schemas {
		if _, err := c.Compile("https://example.org/riposte#/components/schemas/" + name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
