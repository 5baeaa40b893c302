package playbook

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/connector"
)

var update = flag.Bool("update", false, "rewrite the expectations in testdata")

// A golden file holds playbooks, each after a line "=== what it shows". What
// the check has to say stands at the end of the line it is said about, after
// ###: the column and the message, "[code] message" for findings.

type golden struct {
	name string
	text string
}

func goldens(t testing.TB, file string) []golden {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []golden
	for _, part := range strings.Split("\n"+string(b), "\n=== ")[1:] {
		name, text, _ := strings.Cut(part, "\n")
		all = append(all, golden{name, text})
	}
	return all
}

var mark = regexp.MustCompile(`\s*### .*$`)

func plain(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = mark.ReplaceAllString(l, "")
	}
	return strings.Join(lines, "\n")
}

// annotateGolden writes diagnostics at the ends of their lines.
func annotateGolden(text string, all []Diagnostic) string {
	lines := strings.Split(text, "\n")
	for _, d := range all {
		message := d.Message
		if d.Severity == SeverityFinding {
			message = "[" + d.Code + "] " + message
		}
		if i := d.Line - 1; i < len(lines) {
			lines[i] += fmt.Sprintf(" ### %d %s", d.Column, message)
		}
	}
	return strings.Join(lines, "\n")
}

func TestCheckSaysWhatTheGoldenFilesExpect(t *testing.T) {
	files, err := filepath.Glob("testdata/check/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, file := range files {
		var out strings.Builder
		for _, g := range goldens(t, file) {
			text := plain(g.text)
			_, all := Check("", []byte(text), testOptions())
			got := annotateGolden(text, all)
			fmt.Fprintf(&out, "=== %s\n%s\n", g.name, got)
			if *update {
				continue
			}
			t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml")+"/"+g.name, func(t *testing.T) {
				if diff := cmp.Diff(strings.TrimRight(g.text, "\n"), strings.TrimRight(got, "\n")); diff != "" {
					t.Errorf("-want +got (run with -update to rewrite):\n%s", diff)
				}
			})
		}
		if *update {
			if err := os.WriteFile(file, []byte(strings.TrimRight(out.String(), "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// testOptions are an installation with a few connectors, playbooks and people.
func testOptions() Options {
	return Options{Catalog: testCatalog(), Playbooks: testPlaybooks, People: testPeople}
}

func testPeople(name string) ([]string, bool) {
	people := map[string][]string{
		"ann": {"ann"}, "bob": {"bob"}, "role:analyst": {"ann", "bob"}, "role:soc-lead": {"cid"},
		"group:tier1": {"ann", "bob"}, "group:empty": {}, "on-call:soc-lead": {"cid"},
	}
	users, ok := people[name]
	return users, ok
}

func testPlaybooks(slug string, _ int) *Signature {
	switch slug {
	case "enrich":
		return &Signature{ID: slug, Impact: connector.Read, Inputs: []Input{
			{Name: "value", Schema: map[string]any{"type": "string"}, Required: true},
			{Name: "deep", Schema: map[string]any{"type": "boolean"}, Default: false, HasDefault: true},
		}, Outputs: []Output{{Name: "score", Schema: map[string]any{"type": "integer"}}, {Name: "note"}}}
	case "wipe":
		return &Signature{ID: slug, Impact: connector.Destroy, Inputs: []Input{
			{Name: "host", Schema: map[string]any{"type": "string"}, Required: true},
		}}
	}
	return nil
}

type catalog map[string]*connector.Action

func (c catalog) Action(name string) (*connector.Action, bool) {
	prefix, _, _ := strings.Cut(name, ".")
	return c[name], slices.Contains(c.Connectors(), prefix)
}

func (c catalog) Capability(name string) *connector.Action {
	if name != "block_ip" {
		return nil
	}
	return c["fw.block_ip"]
}

func (c catalog) Actions(prefix string) []string {
	var ids []string
	for _, a := range c {
		if a.Connector == prefix {
			ids = append(ids, a.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

func (c catalog) Connectors() []string {
	var names []string
	for _, a := range c {
		names = append(names, a.Connector)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (c catalog) Capabilities() []string { return []string{"block_ip", "unblock_ip"} }

type m = map[string]any

func objectSchema(required []any, properties m) connector.Schema {
	return connector.Schema{"type": "object", "required": required, "properties": properties}
}

func testCatalog() catalog {
	text := m{"type": "string"}
	actions := []*connector.Action{
		{
			Connector: "vt", ID: "ip_report", Impact: connector.Read, Idempotency: connector.Natural,
			Inputs: objectSchema([]any{"ip"}, m{"ip": m{"type": "string", "format": "ipv4"}, "limit": m{"type": "integer", "minimum": 1}}),
			Outputs: objectSchema(nil, m{"malicious": m{"type": "integer"}, "country": text, "urls": m{"type": "array", "items": m{
				"type": "object", "additionalProperties": false, "properties": m{"url": text, "bad": m{"type": "boolean"}}, "required": []any{"url", "bad"},
			}}}),
			Retry: connector.RetrySpec{On: []connector.Class{connector.RateLimited}},
		},
		{
			Connector: "fw", ID: "block_ip", Capability: "block_ip", Impact: connector.Change, Idempotency: connector.Natural,
			Inputs:  objectSchema([]any{"ip"}, m{"ip": text, "comment": text, "tags": m{"type": "array", "items": text}}),
			Outputs: connector.Schema{"type": "object", "additionalProperties": false, "properties": m{"rule_id": text}, "required": []any{"rule_id"}},
			Undo:    &connector.UndoSpec{Action: "unblock_ip", With: m{"rule": "${{ output.rule_id }}"}},
			TTL:     24 * time.Hour, Timeout: 20 * time.Second, Saves: 5 * time.Minute,
		},
		{
			Connector: "fw", ID: "unblock_ip", Capability: "unblock_ip", Impact: connector.Change, Idempotency: connector.Natural,
			Inputs: objectSchema([]any{"rule"}, m{"rule": text}),
		},
		{
			Connector: "edr", ID: "kill", Impact: connector.Change, Idempotency: connector.None,
			Inputs: objectSchema([]any{"pid"}, m{"pid": m{"type": "integer"}, "mode": m{"type": "string", "enum": []any{"soft", "hard"}}}),
		},
		{
			Connector: "edr", ID: "wipe", Impact: connector.Destroy, Idempotency: connector.None, Deprecated: "use retire",
			Inputs: objectSchema([]any{"host"}, m{"host": text}),
		},
		{
			Connector: "http", ID: "request", Impact: connector.Change, Idempotency: connector.None,
			ImpactBy: &connector.ImpactBy{Input: "method", Values: map[string]connector.Impact{"GET": connector.Read}, Else: connector.Change},
			Inputs:   objectSchema([]any{"url"}, m{"url": text, "method": text, "headers": m{"type": "object"}}),
		},
		{
			Connector: "case", ID: "note", Impact: connector.Notify, Idempotency: connector.Natural,
			Inputs: objectSchema([]any{"text"}, m{"text": text, "severity": m{"type": "integer"}}),
		},
	}
	c := catalog{}
	for _, a := range actions {
		c[a.Name()] = a
	}
	return c
}
