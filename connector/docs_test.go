package connector

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestExamplesOfTheManualLoad puts each fragment of docs/connectors.md that
// begins with auth, page or errors into a manifest.
func TestExamplesOfTheManualLoad(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/connectors.md")
	if err != nil {
		t.Fatal(err)
	}
	const head = "connector: acme\nversion: 1.0.0\ncontract: 1\ntitle: Acme\nruntime: http\nconfig:\n  type: object\n  properties:\n" +
		"    base_url: { type: string }\n    tenant: { type: string }\n    user: { type: string }\n    client: { type: string }\n    certificate: { type: string }\n" +
		"    password: { type: string, secret: true }\n    token: { type: string, secret: true }\n    key: { type: string, secret: true }\n    secret: { type: string, secret: true }\n" +
		"http: { base: \"https://api.example.com\" }\n"
	const action = "actions:\n  - id: look\n    impact: read\n    inputs: { type: object, properties: { limit: { type: integer } } }\n    http:\n      path: /a\n"
	found := 0
	for _, fence := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for _, fragment := range fragments(fence[1]) {
			manifest := head + fragment + action
			switch {
			case strings.HasPrefix(fragment, "page:"):
				manifest = head + action + "      " + fragment
			case !strings.HasPrefix(fragment, "auth:") && !strings.HasPrefix(fragment, "errors:"):
				continue
			}
			found++
			if _, err := Parse("connector.yaml", []byte(manifest)); err != nil {
				t.Errorf("%v\n%s", err, fragment)
			}
		}
	}
	if found < 14 {
		t.Errorf("only %d fragments were found", found)
	}
}

// fragments parts a fence at the keys that stand at its left edge.
func fragments(fence string) []string {
	var list []string
	for line := range strings.Lines(fence) {
		if len(list) == 0 || line[0] != ' ' && line[0] != '\n' {
			list = append(list, "")
		}
		list[len(list)-1] += line
	}
	return list
}
