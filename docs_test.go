package riposte_test

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"riposte/connector"
	"riposte/content"
	"riposte/internal/guard"
	"riposte/internal/rehearse"
	"riposte/playbook"
)

// examples finds whole playbooks in the pages.
var examples = regexp.MustCompile("(?s)```yaml\n(playbook: .*?)```")

func TestPlaybooksInTheDocsPassTheirTests(t *testing.T) {
	t.Parallel()
	connectors, err := content.Folder("connectors")
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := connector.NewRegistry(connector.Folder{FS: connectors, Name: "content/connectors"})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range pages(t) {
		for _, m := range examples.FindAllStringSubmatch(read(t, page), -1) {
			found++
			id := strings.Fields(m[1])[1]
			checked, said := playbook.Check(id+".playbook.yaml", []byte(m[1]), playbook.Options{Catalog: catalog})
			for _, d := range said {
				t.Errorf("%s: %s", page, d)
			}
			if playbook.HasErrors(said) {
				continue
			}
			report := rehearse.All(playbook.Compile(checked), page, checked.Playbook.Tests)
			for _, r := range report.Tests {
				for _, p := range r.Problems {
					t.Errorf("%s: %s: line %d: %s", page, r.Name, p.Line, p.Message)
				}
			}
		}
	}
	if found == 0 {
		t.Error("the pages show no playbook")
	}
}

// manifests finds whole connectors in the pages.
var manifests = regexp.MustCompile("(?s)```yaml\n(connector: .*?)```")

func TestConnectorsInTheDocsLoad(t *testing.T) {
	t.Parallel()
	found := 0
	for _, page := range pages(t) {
		for _, m := range manifests.FindAllStringSubmatch(read(t, page), -1) {
			found++
			if _, err := connector.Parse(page, []byte(m[1])); err != nil {
				t.Error(err)
			}
		}
	}
	if found == 0 {
		t.Error("the pages show no connector")
	}
}

func TestEveryFindingIsExplained(t *testing.T) {
	t.Parallel()
	page := read(t, "docs/playbooks.md")
	for _, code := range playbook.Codes() {
		if !strings.Contains(page, "`"+code+"`") {
			t.Errorf("docs/playbooks.md does not say what to do about %s", code)
		}
	}
}

// links finds links to files of the repository.
var links = regexp.MustCompile(`\]\(([^)#:]+)\)`)

func TestLinksOfTheDocsLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, page := range append(pages(t), "README.md", "lab/README.md", "content/samples/README.md") {
		folder := page[:strings.LastIndexByte(page, '/')+1]
		for _, m := range links.FindAllStringSubmatch(read(t, page), -1) {
			if _, err := os.Stat(folder + m[1]); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			}
		}
	}
}

// pages lists the pages below docs.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	err := fs.WalkDir(os.DirFS("."), "docs", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// settings finds the guard's files in its page.
var settings = regexp.MustCompile("(?s)```yaml\n((?:zone|rules|limits|breakers|lists): ?.*?)```")

func TestSettingsOfTheGuardInTheDocsAreRead(t *testing.T) {
	t.Parallel()
	found := 0
	for _, m := range settings.FindAllStringSubmatch(read(t, "docs/guard.md"), -1) {
		found++
		var err error
		switch strings.SplitN(m[1], ":", 2)[0] {
		case "limits", "breakers":
			_, err = guard.ParseLimits("docs/guard.md", []byte(m[1]))
		case "lists":
			_, err = guard.ParseProtected("docs/guard.md", []byte(m[1]))
		default:
			_, err = guard.ParsePolicy("docs/guard.md", []byte(m[1]))
		}
		if err != nil {
			t.Error(err)
		}
	}
	if found != 4 {
		t.Errorf("%d files are shown, want 4", found)
	}
}
