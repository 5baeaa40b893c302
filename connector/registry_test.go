package connector

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/fault"
)

func TestBuiltInActionsLoad(t *testing.T) {
	t.Parallel()
	r, err := NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	impacts := map[string]Impact{
		"http.request": Change, "script.starlark": Read, "log.note": Read,
		"case.note": Notify, "case.set": Notify, "case.task": Notify, "case.close": Notify,
		"intel.lookup": Read, "intel.allow_list": Read, "intel.add_indicator": Notify, "intel.tag": Notify, "intel.untag": Notify,
		"list.has": Read, "list.add": Notify, "list.remove": Notify, "smtp.send": Notify,
	}
	for name, impact := range impacts {
		a, known := r.Action(name)
		if a == nil || !known || a.Impact != impact {
			t.Errorf("%s is %+v", name, a)
		}
	}
	if got := len(r.Capabilities()); got != 52 {
		t.Errorf("%d capabilities, want 52", got)
	}
	if a, known := r.Action("case.nonsense"); a != nil || !known {
		t.Errorf("an unknown action of a loaded connector: %v %v", a, known)
	}
	if a, known := r.Action("acme.block"); a != nil || known {
		t.Errorf("a connector that is not loaded: %v %v", a, known)
	}
}

func TestInputsOfTheDocumentedPlaybooksFit(t *testing.T) {
	t.Parallel()
	r, err := NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		action string
		inputs map[string]any
	}{
		{"case.note", map[string]any{"text": "10.1.2.3 is ours or allowed; not blocked."}},
		{"case.set", map[string]any{"severity": "high", "verdict": "true_positive"}},
		{"case.set", map[string]any{"severity": 5}},
		{"case.close", map[string]any{"verdict": "false_positive", "reason": "No bad link."}},
		{"case.task", map[string]any{"title": "Analyse evidence", "due": "1d", "evidence": []any{"e1", nil}}},
		{"intel.add_indicator", map[string]any{"type": "url", "value": "https://evil.example/a", "verdict": "malicious", "source": "phishing-triage", "expires": "30d"}},
		{"intel.allow_list", map[string]any{"type": "sha256", "value": "275a"}},
		{"intel.tag", map[string]any{"type": "ip", "value": "203.0.113.9", "tags": []any{"blocked"}}},
		{"intel.untag", map[string]any{"type": "ip", "value": "203.0.113.9", "tags": []any{"blocked"}}},
		{"list.add", map[string]any{"list": "vips", "value": "ann", "expires": "7d"}},
		{"http.request", map[string]any{"url": "https://example.com/a", "method": "POST", "headers": map[string]any{"X": "y"}, "body": map[string]any{"a": 1}}},
		{"smtp.send", map[string]any{"to": "ann@example.com", "subject": "s", "text": "t"}},
		{"smtp.send", map[string]any{"to": []any{"ann@example.com"}, "template": "phishing-malicious"}},
		{"script.starlark", map[string]any{"script": "score.star", "with": []any{1}}},
	}
	for _, tt := range tests {
		a, _ := r.Action(tt.action)
		if err := ValidateInputs(a, tt.inputs); err != nil {
			t.Error(err)
		}
	}
}

func manifestText(name string) string {
	return fmt.Sprintf("connector: %s\nversion: 1.0.0\ncontract: 1\ntitle: T\nruntime: http\nhttp: { base: \"https://api.example.com\" }\nactions:\n  - id: look\n    impact: read\n    http: { path: /a }\n", name)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFoldersAreReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acme := filepath.Join(dir, "acme", "connector.yaml")
	write(t, acme, manifestText("acme"))
	shipped := fstest.MapFS{"acme/connector.yaml": {Data: []byte(strings.Replace(manifestText("acme"), "1.0.0", "0.9.0", 1))}, "other/connector.yaml": {Data: []byte(manifestText("other"))}}
	r, err := NewRegistry(Folder{FS: shipped, Name: "content"}, Folder{FS: os.DirFS(dir), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if v := r.Manifest("acme").Version; v != "1.0.0" {
		t.Errorf("version %s: the administrator's folder comes last and wins", v)
	}
	if d := r.Manifest("acme").Dir; d != filepath.Join(dir, "acme") {
		t.Errorf("folder %q", d)
	}
	before, _ := r.Action("acme.look")

	changed, err := r.Reload()
	if len(changed) != 0 || err != nil {
		t.Errorf("nothing changed, but %v %v", changed, err)
	}
	if same, _ := r.Action("acme.look"); same != before {
		t.Error("an action that did not change was made anew")
	}

	write(t, acme, strings.Replace(manifestText("acme"), "1.0.0", "1.1.0", 1))
	write(t, filepath.Join(dir, "fresh", "connector.yaml"), manifestText("fresh"))
	changed, err = r.Reload()
	if diff := cmp.Diff([]string{"acme", "fresh"}, changed); diff != "" || err != nil {
		t.Errorf("%s %v", diff, err)
	}
	if a, _ := r.Action("acme.look"); a.Version != "1.1.0" || a.Digest == before.Digest {
		t.Errorf("%+v", a)
	}

	write(t, acme, strings.Replace(manifestText("acme"), "impact: read", "impact: raed", 1))
	changed, err = r.Reload()
	if len(changed) != 0 || !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), acme+":9:13: \"raed\" is no impact; did you mean \"read\"?") {
		t.Errorf("%v %v", changed, err)
	}
	if v := r.Manifest("acme").Version; v != "1.1.0" {
		t.Errorf("version %s: a broken folder keeps its last good version", v)
	}
	if len(r.Problems()) != 1 {
		t.Errorf("problems %v", r.Problems())
	}

	if err := os.RemoveAll(filepath.Join(dir, "acme")); err != nil {
		t.Fatal(err)
	}
	if changed, err = r.Reload(); err != nil || !slices.Equal(changed, []string{"acme"}) || r.Manifest("acme").Version != "0.9.0" {
		t.Errorf("%v %v: without the administrator's the shipped one is back", changed, err)
	}
}

func TestFoldersThatDoNotLoad(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, folder, text, says string }{
		{"another name than its folder", "acme", manifestText("acne"), `connector.yaml:1:12: the connector is called "acne" and its folder "acme"; give them the same name`},
		{"the name of a built-in action", "case", manifestText("case"), `connector.yaml:1:12: the name "case" belongs to a built-in action; choose another`},
		{"no YAML", "acme", "{", "not valid YAML"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, filepath.Join(dir, tt.folder, "connector.yaml"), tt.text)
			r, err := NewRegistry(Folder{FS: os.DirFS(dir), Dir: dir})
			if err != nil {
				t.Fatalf("the program does not start: %v", err)
			}
			problem := r.Problems()[filepath.Join(dir, tt.folder)]
			if problem == nil || !strings.Contains(problem.Error(), tt.says) {
				t.Errorf("%v, want %q", r.Problems(), tt.says)
			}
			if a, _ := r.Action("case.note"); a == nil {
				t.Error("the built-in action is gone")
			}
		})
	}
	r, err := NewRegistry(Folder{FS: os.DirFS("/nonexistent"), Dir: "/nonexistent"})
	if err != nil || len(r.Problems()) != 1 {
		t.Errorf("a folder that is not there: %v %v", err, r.Problems())
	}
	if _, err := NewRegistry(Folder{FS: fstest.MapFS{"acme/connector.yaml": {Data: []byte("{")}}, Name: "content"}); err == nil {
		t.Error("what ships is broken, and the program starts")
	}
	one := t.TempDir()
	write(t, filepath.Join(one, "connector.yaml"), manifestText("acme"))
	if r, err = NewRegistry(Folder{FS: os.DirFS(one), Dir: one}); err != nil || r.Manifest("acme") == nil {
		t.Errorf("the folder of one connector: %v %v", err, r.Problems())
	}
}

func TestTheRegistryMayBeAskedWhileItReloads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "acme", "connector.yaml")
	write(t, file, manifestText("acme"))
	r, err := NewRegistry(Folder{FS: os.DirFS(dir), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if a, known := r.Action("acme.look"); a == nil || !known || r.Capability("block_ip") == nil {
					t.Error("an action was gone for a while")
					return
				}
			}
		})
	}
	for i := range 20 {
		write(t, file, strings.Replace(manifestText("acme"), "1.0.0", fmt.Sprintf("1.0.%d", i), 1))
		_, _ = r.Reload() // the file may be half written: then the old version stays
	}
	close(done)
	all.Wait()
}

func TestALoadedFileThatIsNotThere(t *testing.T) {
	t.Parallel()
	if _, err := Load(fstest.MapFS{}, "acme"); !errors.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "acme/connector.yaml") {
		t.Errorf("%v", err)
	}
}
