package app_test

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"riposte/internal/httpapi"
)

// contract holds answers of a server against the OpenAPI document.
type contract struct {
	mu       sync.Mutex
	compiler *jsonschema.Compiler
	paths    map[string]any
}

const documentURL = "https://example.org/riposte"

func newContract(t *testing.T) *contract {
	t.Helper()
	text, err := httpapi.Document("test")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := &contract{compiler: jsonschema.NewCompiler(), paths: doc.(map[string]any)["paths"].(map[string]any)}
	c.compiler.AssertFormat()
	if err := c.compiler.AddResource(documentURL, doc); err != nil {
		t.Fatal(err)
	}
	return c
}

// check fails for an answer that the document does not describe.
func (c *contract) check(t *testing.T, method, path string, r *http.Response, body []byte) {
	t.Helper()
	path, _, _ = strings.Cut(path, "?")
	template := c.template(method, path)
	if template == "" {
		if r.StatusCode != http.StatusNotFound && r.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s %s: %s, but the document does not have it", method, path, r.Status)
		}
		return
	}
	responses := c.paths[template].(map[string]any)[strings.ToLower(method)].(map[string]any)["responses"].(map[string]any)
	at := strconv.Itoa(r.StatusCode)
	if responses[at] == nil && r.StatusCode >= 400 {
		at = "default"
	}
	answer, ok := responses[at].(map[string]any)
	if !ok {
		t.Errorf("%s %s: %s is not in the document", method, path, r.Status)
		return
	}
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	content, _ := answer["content"].(map[string]any)
	if len(body) == 0 && len(content) == 0 || media == "text/event-stream" {
		return
	}
	if content[media] == nil {
		t.Errorf("%s %s: %s as %q is not in the document", method, path, r.Status, media)
		return
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1").Replace
	c.mu.Lock()
	s, err := c.compiler.Compile(documentURL + "#/paths/" + escape(template) + "/" + strings.ToLower(method) + "/responses/" + at + "/content/" + escape(media) + "/schema")
	c.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err == nil {
		err = s.Validate(v)
	}
	if err != nil {
		t.Errorf("%s %s: the answer is not what the document says: %v\n%s", method, path, err, body)
	}
}

// template finds the path of the document that a request's path is one of; one
// without places before one with.
func (c *contract) template(method, path string) (found string) {
	parts := strings.Split(path, "/")
	for candidate, operations := range c.paths {
		pieces := strings.Split(candidate, "/")
		if operations.(map[string]any)[strings.ToLower(method)] == nil || len(pieces) != len(parts) {
			continue
		}
		fits := true
		for i, p := range pieces {
			fits = fits && (p == parts[i] || strings.HasPrefix(p, "{"))
		}
		if fits && (found == "" || strings.Count(candidate, "{") < strings.Count(found, "{")) {
			found = candidate
		}
	}
	return found
}
