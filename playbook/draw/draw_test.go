package draw

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"riposte/playbook"
)

var update = flag.Bool("update", false, "rewrite the expected pictures")

func check(t testing.TB, file string) *playbook.Checked {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c, all := playbook.Check(file, b, playbook.Options{})
	if c == nil {
		t.Fatal(all)
	}
	return c
}

func TestPicturesOfAllVerbsStayAsTheyAre(t *testing.T) {
	c := check(t, "testdata/all-verbs.playbook.yaml")
	for file, got := range map[string][]byte{"testdata/all-verbs.svg": SVG(c), "testdata/all-verbs.mmd": []byte(Mermaid(c))} {
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s differs, run with -update and look at it: %s", file, diff)
		}
	}
}

func TestTheSamePlaybookGivesTheSamePicture(t *testing.T) {
	for range 5 {
		one, two := check(t, "testdata/all-verbs.playbook.yaml"), check(t, "testdata/all-verbs.playbook.yaml")
		if !bytes.Equal(SVG(one), SVG(two)) || Mermaid(one) != Mermaid(two) {
			t.Fatal("pictures differ")
		}
	}
}

// elements reads a picture as XML and gives the names of its elements.
func elements(t *testing.T, svg []byte) map[string]int {
	t.Helper()
	seen := map[string]int{}
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return seen
		}
		if err != nil {
			t.Fatalf("no XML: %v", err)
		}
		if e, ok := token.(xml.StartElement); ok {
			seen[e.Name.Local]++
		}
	}
}

func TestPicturesShowEveryStep(t *testing.T) {
	files, err := filepath.Glob("../../content/playbooks/*.playbook.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no playbooks", err)
	}
	for _, file := range append(files, "testdata/all-verbs.playbook.yaml") {
		c := check(t, file)
		steps := 0
		c.Playbook.All(func(*playbook.Step) { steps++ })
		svg := SVG(c)
		elements(t, svg)
		if got := bytes.Count(svg, []byte(`<g class="step"`)); got != steps {
			t.Errorf("%s: %d of %d steps are drawn", file, got, steps)
		}
	}
}

func TestHostileTextsStayTexts(t *testing.T) {
	text := `
playbook: x-y
title: "</title><script>alert(1)</script>\u0007\u202e"
description: "]]><svg onload=alert(1)>"
on:
  - alert: '"\"]; click A callback \"x" == alert.title'
steps:
  - id: "a\"><script>"
    name: "\"] end %%{init: {}}%% <img src=x onerror=alert(1)> ` + "`" + `b` + "`" + ` #quot; & \n--> z"
    wait: "</text><script>"
  - switch: "1"
    cases: { "\"|x|<b>": [ { stop: failed, reason: "<script>" } ] }
`
	c, _ := playbook.Check("", []byte(text), playbook.Options{})
	seen := elements(t, SVG(c))
	for name := range seen {
		if !strings.Contains(" svg title desc style rect path text g ", " "+name+" ") {
			t.Errorf("element %s came out of a text", name)
		}
	}
	for i, line := range strings.Split(Mermaid(c), "\n") {
		if strings.ContainsAny(strings.ReplaceAll(line, "<br>", ""), "<`") || strings.Contains(line, "%%") || strings.Count(line, `"`)%2 != 0 {
			t.Errorf("line %d of the Mermaid text: %s", i+1, line)
		}
	}
}

func FuzzPicturesAreAlwaysXML(f *testing.F) {
	b, err := os.ReadFile("testdata/all-verbs.playbook.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(b))
	f.Fuzz(func(t *testing.T, text string) {
		c, _ := playbook.Check("", []byte(text), playbook.Options{})
		if c == nil {
			return
		}
		elements(t, SVG(c))
		Mermaid(c)
	})
}
