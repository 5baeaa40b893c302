package playbook

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const formatted = "--- formatted\n"

func TestFormatWritesTheCanonicalForm(t *testing.T) {
	const file = "testdata/format/format.txt"
	var out strings.Builder
	for _, g := range goldens(t, file) {
		in, want, _ := strings.Cut(g.text+"\n", formatted)
		got, err := Format([]byte(in))
		if err != nil {
			t.Errorf("%s: %v", g.name, err)
		}
		fmt.Fprintf(&out, "=== %s\n%s%s%s", g.name, in, formatted, got)
		if diff := cmp.Diff(strings.TrimRight(want, "\n"), strings.TrimRight(string(got), "\n")); diff != "" && !*update {
			t.Errorf("%s: -want +got (run with -update to rewrite):\n%s", g.name, diff)
		}
		holds(t, in)
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFormatRefusesWhatItCouldNotWriteAgain(t *testing.T) {
	for text, want := range map[string]string{
		"a: 1\na: 2\n":             "format: line 2, column 1: duplicate key \"a\"; the first one is in line 1: invalid",
		"a: &x 1\n":                "format: line 1, column 4: an anchor (&x); leave it out, playbooks have no anchors or aliases: invalid",
		"a: [":                     "format: line 2, column 1: ",
		"":                         "format: line 1, column 1: the file is empty",
		strings.Repeat("x", 2<<20): "format: line 1, column 1: the file is too large",
	} {
		if _, err := Format([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

// holds checks what must be so for every text: formatting twice changes nothing
// more, nothing changes its meaning, and no comment is lost.
func holds(t interface {
	Errorf(string, ...any)
	Helper()
}, text string) {
	t.Helper()
	once, err := Format([]byte(text))
	if err != nil {
		if strings.Contains(err.Error(), "would not mean the same") {
			t.Errorf("%v:\n%s", err, text)
		}
		return
	}
	twice, err := Format(once)
	if err != nil || string(twice) != string(once) {
		t.Errorf("formatting again (%v) changes:\n%s\ninto:\n%s\nfrom:\n%s", err, once, twice, text)
	}
	if a, b := commentTexts(text), commentTexts(string(once)); !slices.Equal(a, b) {
		t.Errorf("comments %q became %q in:\n%s\nfrom:\n%s", a, b, once, text)
	}
}

// commentTexts lists the comments of a text, sorted.
func commentTexts(text string) []string {
	src := newSource(strings.TrimPrefix(text, "\uFEFF"))
	root := readNodes(src, &reporter{})
	if root == nil {
		return nil
	}
	var all []string
	for _, c := range comments(src, root) {
		all = append(all, c.text)
	}
	slices.Sort(all)
	return all
}

func TestFormattingKeepsThePlan(t *testing.T) {
	files, err := filepath.Glob("../content/playbooks/*.playbook.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no playbooks", err)
	}
	texts := []string{order, bigPlaybook(30)}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(b))
	}
	for _, text := range texts {
		holds(t, text)
		out, err := Format([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(outline(t, text), outline(t, string(out))); diff != "" {
			t.Errorf("the plan of %.30q changed: %s", text, diff)
		}
	}
}

// outline writes a plan without what the layout of the text decides.
func outline(t *testing.T, text string) []string {
	t.Helper()
	plan, all := Load("", []byte(text), Options{})
	if plan == nil {
		t.Fatal(all)
	}
	out := []string{plan.ID, plan.Highest.String(), fmt.Sprint(plan.Timeout, plan.Body, plan.Finally, plan.OnError, plan.Available)}
	for _, n := range plan.Nodes {
		line := fmt.Sprint(n.ID, n.End, n.Parent, n.Loop, n.Step, n.Verb, n.Timeout.Fixed, n.OnError, n.Saves)
		if n.When != nil {
			line += unwrapped(n.When.Source())
		}
		if n.Action != nil {
			line += fmt.Sprint(n.Action.Name, n.Action.Impact, n.Action.Retry.Times, n.Action.Rate, n.Action.With.Refs(), n.Action.Undo != nil)
		}
		out = append(out, line)
	}
	return out
}

func unwrapped(text string) string {
	inner, _, _ := unwrap(text)
	return strings.TrimSpace(inner)
}

func TestFormattingHoldsForEveryText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		w := yamlWriter{t: t, b: &b}
		w.comment(0)
		w.mapping(0, 4, []string{"title", "playbook", "steps", "with", "if", "undo", "x"})
		w.comment(0)
		holds(t, b.String())
	})
}

// yamlWriter writes random files: nested lists and mappings, all styles of
// texts, comments and empty lines everywhere.
type yamlWriter struct {
	t *rapid.T
	b *strings.Builder
}

var oddTexts = []string{
	"a", "yes", "5", "null", "", " a", "a: b", "a #b", "#a", "- a", "it's", `say "hi"`, `a\b`, "${{ inputs.x }}", "${{ {\"a\": 1} }}",
	"[a", "a, b", "x:", "ünï", "a\nb", "a\n\n b\n", "\ttab", "role:analyst", "?", ":x", "-", "---", "::", "$${{ x }}",
}

func (w yamlWriter) pick(n int, label string) int { return rapid.IntRange(0, n-1).Draw(w.t, label) }

func (w yamlWriter) comment(indent int) {
	for range w.pick(3, "comments") {
		switch w.pick(3, "kind") {
		case 0:
			fmt.Fprintf(w.b, "%s# c%d\n", strings.Repeat(" ", indent), w.pick(9, "number"))
		case 1:
			w.b.WriteString("\n")
		}
	}
}

func (w yamlWriter) trailing() string {
	if w.pick(4, "trailing") == 0 {
		return fmt.Sprintf(" # t%d", w.pick(9, "number"))
	}
	return ""
}

func (w yamlWriter) scalar(indent int) string {
	text := oddTexts[w.pick(len(oddTexts), "text")]
	pad := strings.Repeat(" ", indent+2)
	switch style := w.pick(5, "style"); {
	case style == 0 && plainText(text, blockPlace):
		return text + w.trailing()
	case style == 1 && printable(text):
		return "'" + strings.ReplaceAll(text, "'", "''") + "'" + w.trailing()
	case style == 2 && !strings.ContainsAny(text, "\t") && strings.TrimSpace(text) != "" && !strings.HasPrefix(text, " "):
		return []string{"|", "|-", ">", ">-", "|+"}[w.pick(5, "block")] + w.trailing() + "\n" + pad + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+pad)
	case style == 3:
		return "plain words\n" + pad + "on two lines"
	}
	return doubleQuoted(text) + w.trailing()
}

func (w yamlWriter) value(indent, depth int) {
	switch kind := w.pick(6, "value"); {
	case kind == 0 && depth > 0:
		w.b.WriteString(w.trailing() + "\n")
		w.list(indent+2, depth-1)
	case kind == 1 && depth > 0:
		w.b.WriteString(w.trailing() + "\n")
		w.mapping(indent+2, depth-1, []string{"id", "action", "when", "a b", "z", "with", "if", "then"})
	case kind == 2:
		w.b.WriteString(" [a, \"b\", {c: 'd', e: []}]" + w.trailing() + "\n")
	case kind == 3:
		fmt.Fprintf(w.b, " [a, # c\n%sb]%s\n", strings.Repeat(" ", indent+3), w.trailing())
	default:
		w.b.WriteString(" " + w.scalar(indent) + "\n")
	}
}

func (w yamlWriter) list(indent, depth int) {
	for range w.pick(3, "items") + 1 {
		w.comment(indent)
		if w.pick(3, "compact") == 0 && depth > 0 {
			w.b.WriteString(strings.Repeat(" ", indent) + "- first:")
			w.value(indent+2, 0)
			w.mapping(indent+2, depth-1, []string{"id", "action", "when"})
			continue
		}
		w.b.WriteString(strings.Repeat(" ", indent) + "-")
		w.value(indent, depth)
	}
	w.comment(indent)
}

func (w yamlWriter) mapping(indent, depth int, keys []string) {
	for _, key := range rapid.Permutation(keys).Draw(w.t, "keys")[:w.pick(len(keys), "count")+1] {
		w.comment(indent)
		w.b.WriteString(strings.Repeat(" ", indent) + key + ":")
		w.value(indent, depth)
	}
	w.comment(indent)
}

func FuzzFormat(f *testing.F) {
	for _, g := range goldens(f, "testdata/format/format.txt") {
		in, _, _ := strings.Cut(g.text+"\n", formatted)
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, text string) { holds(t, text) })
}

func FuzzCheck(f *testing.F) {
	files, err := filepath.Glob("testdata/check/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		for _, g := range goldens(f, file) {
			f.Add(plain(g.text))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, all := Check("x.yaml", []byte(text), testOptions())
		for _, d := range all {
			if d.Line < 1 || d.Column < 1 || strings.ContainsAny(d.Message, "\n\r") {
				t.Errorf("a diagnostic without a place or of several lines: %q", d)
			}
		}
		if plan := Compile(c); (plan == nil) != HasErrors(all) && c != nil {
			t.Errorf("plan %v, errors %v", plan != nil, all)
		}
	})
}
