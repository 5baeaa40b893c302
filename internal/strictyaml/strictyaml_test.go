package strictyaml

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/fault"
)

type inner struct {
	Name string        `yaml:"name,required" pattern:"[a-z]+" doc:"small letters"`
	Wait time.Duration `yaml:"wait"`
}

type outer struct {
	Title  string           `yaml:"title,required" min:"1"`
	Kind   string           `yaml:"kind" enum:"one,two"`
	Count  int              `yaml:"count" min:"1"`
	Share  float64          `yaml:"share"`
	On     bool             `yaml:"on"`
	Size   Size             `yaml:"size"`
	List   []inner          `yaml:"list"`
	Map    map[string]inner `yaml:"map"`
	One    *inner           `yaml:"one"`
	Any    any              `yaml:"any"`
	Hidden string
}

func TestValuesAreReadByTheRulesOfJSON(t *testing.T) {
	t.Parallel()
	const text = `
title: yes
kind: two
count: 3
share: 2
on: true
size: 10MB
list: [{ name: a, wait: 90s }, { name: b, wait: 7d }]
map: { x: { name: c } }
one: { name: d }
any: { i: 7, f: 1.5, e: 1e3, t: no, oct: 0777, ver: 1.10.1, day: 2026-11-24, nul: null, tilde: ~, empty: , q: "7", neg: -4, big: 12345678901234567890 }
`
	d, err := Parse("a.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var got outer
	d.Decode(&got)
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	want := outer{
		Title: "yes", Kind: "two", Count: 3, Share: 2, On: true, Size: 10 << 20,
		List: []inner{{"a", 90 * time.Second}, {"b", 7 * 24 * time.Hour}}, Map: map[string]inner{"x": {Name: "c"}}, One: &inner{Name: "d"},
		Any: map[string]any{"i": 7, "f": 1.5, "e": 1000.0, "t": "no", "oct": "0777", "ver": "1.10.1", "day": "2026-11-24", "nul": nil, "tilde": nil, "empty": nil, "q": "7", "neg": -4, "big": 12345678901234567890.0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsWrongIsTold(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"nothing", "", "a.yaml:1:1: the file is empty; expected a mapping of keys and values"},
		{"only a comment", "# hello\n", "a.yaml:1:1: the file is empty; expected a mapping of keys and values"},
		{"a text", "hello", "a.yaml:1:1: the document is the text \"hello\"; expected a mapping"},
		{"a tab", "title: a\n\tcount: 1", "a.yaml:2:1: not valid YAML: found a tab character that violates indentation"},
		{"two documents", "title: a\n---\ntitle: b\n", "a.yaml:2:1: a second document begins here; one file holds one document"},
		{"an unknown key", "title: a\ncuont: 1", "a.yaml:2:1: unknown key \"cuont\"; did you mean \"count\"?"},
		{"a key that lacks", "count: 1", "a.yaml:1:1: the document lacks the key \"title\""},
		{"a key twice", "title: a\ntitle: b", "a.yaml:2:1: the key \"title\" is here twice; it is already on line 1"},
		{"a nested alias", "title: a\nany: [&x 1, *x]", "a.yaml:2:7: anchor &x; remove it: anchors and aliases are not allowed\na.yaml:2:13: alias *x; write the value out: anchors and aliases are not allowed"},
		{"a list as a key", "title: a\n? [1]\n: b", "a.yaml:2:3: a key that is no text; keys are plain texts"},
		{"a wrong kind", "title: a\nkind: tow", "a.yaml:2:7: kind is \"tow\"; did you mean \"two\"? expected one of one, two"},
		{"in a block below", "title: a\nlist:\n  - name: X\n  - wait: 5\n", "a.yaml:3:11: name is \"X\"; small letters\na.yaml:4:5: this entry lacks the key \"name\"; small letters\na.yaml:4:11: \"5\" is no duration; expected a whole number and a unit, such as 30s, 5m, 12h or 7d"},
		{"a list for a mapping", "title: a\nmap: [1]", "a.yaml:2:6: map is a list; expected a mapping"},
		{"no value", "title:\ncount: 1", "a.yaml:1:7: title has no value; give it a value or remove the key"},
		{"a huge duration", "title: a\none: { name: a, wait: 999999999d }", "a.yaml:2:23: \"999999999d\" is no duration; expected a whole number and a unit, such as 30s, 5m, 12h or 7d"},
		{"a fraction", "title: a\ncount: 1.5", "a.yaml:2:8: count is the number 1.5; expected a whole number"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, err := Parse("a.yaml", []byte(tt.text))
			if err == nil {
				d.Decode(&outer{})
				err = d.Err()
			}
			if !errors.Is(err, fault.Invalid) || err.Error() != tt.want {
				t.Errorf("got\n%v\nwant\n%s", err, tt.want)
			}
		})
	}
}

func TestHostileFiles(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 9) + "]\n"
	}
	for name, text := range map[string]string{
		"an alias bomb": bomb, "deep lists": strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "deep keys": "title: " + strings.Repeat("{a: ", 5000) + strings.Repeat("}", 5000),
		"not UTF-8": "title: \xff", "much": strings.Repeat("x", 5<<20), "many errors": strings.Repeat("? []\n", 10_000),
	} {
		d, err := Parse("a.yaml", []byte(text))
		if err == nil {
			d.Decode(&outer{})
			err = d.Err()
		}
		if !errors.Is(err, fault.Invalid) || len(err.Error()) > 20_000 {
			t.Errorf("%s: %d letters of error", name, len(err.Error()))
		}
	}
}

func TestTheSchemaOfAStruct(t *testing.T) {
	t.Parallel()
	got := Schema(reflect.TypeFor[inner](), "Inner")
	want := map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Inner", "type": "object", "additionalProperties": false, "required": []any{"name"},
		"properties": map[string]any{
			"name": map[string]any{"type": "string", "pattern": "^(?:[a-z]+)$", "description": "small letters"},
			"wait": map[string]any{"type": "string", "pattern": "^[0-9]+[smhd]$"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"title: a\nlist: [{ name: a }]", "a: &x 1\nb: *x", "? [1]\n: 2", "title: |\n  x\n  y"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse("a.yaml", data)
		if err != nil {
			return
		}
		d.Root().Value()
		d.Decode(&outer{})
		if err := d.Err(); err != nil && !errors.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
	})
}

func TestADirectiveIsRefusedAtItsLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"%YAML 1.1\n---\ntitle: a\n":            "a.yaml:1:1: the directive %YAML 1.1; leave it out: directives are not allowed",
		"# one\n\n%TAG ! !x  \n---\ntitle: a\n": "a.yaml:3:1: the directive %TAG ! !x; leave it out: directives are not allowed",
		"---\ntitle: |\n  a\n%YAML 1.1\n":       "",
		"title: \"100\n  %\"\nnote: 5\n%x: 1\n": "",
	} {
		_, err := Parse("a.yaml", []byte(text))
		if want != "" && (err == nil || err.Error() != want) || want == "" && err != nil && strings.Contains(err.Error(), "leave it out") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
