package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"riposte/content"
	"riposte/internal/alert"
	"riposte/internal/expr"
	"riposte/internal/rehearse"
	"riposte/internal/run"
	"riposte/internal/strictyaml"
	"riposte/playbook"
)

type playbookRunCmd struct {
	Path       string            `arg:"" help:"The playbook's file."`
	Alert      string            `name:"alert" placeholder:"FILE" help:"An alert to run it on: JSON, in the normal form or, with --mapping, as a product sends it."`
	Mapping    string            `name:"mapping" placeholder:"NAME" help:"The source mapping that reads the alert, such as suricata-eve, or its file."`
	Case       string            `name:"case" placeholder:"FILE" help:"A case to run it in, as JSON."`
	Indicator  string            `name:"indicator" placeholder:"FILE" help:"An indicator to run it on, as JSON."`
	Input      map[string]string `name:"input" short:"i" placeholder:"NAME=VALUE" mapsep:"none" help:"An input; repeat it for more. JSON where it is JSON, else a text."`
	Mocks      string            `name:"mocks" placeholder:"FILE" help:"YAML with mock: and answer: as in a test; nothing real is called then."`
	Test       string            `name:"test" placeholder:"NAME" help:"Take mocks, answers and inputs from this test of the file."`
	Answers    string            `name:"answers" placeholder:"FILE" help:"YAML with answer: as in a test: what to say to questions and approvals, by step id. At a terminal the others are asked there."`
	Answer     map[string]string `name:"answer" short:"a" placeholder:"STEP=VALUE" mapsep:"none" help:"One such answer; repeat it for more. An option, JSON for a form, approve or deny."`
	As         string            `name:"as" placeholder:"NAME" help:"The person of the installation who runs it and answers. Default: the first who may do everything."`
	Connectors string            `name:"connectors" placeholder:"DIR" env:"RIPOSTE_CONNECTORS" help:"More connectors."`
	Config     string            `name:"config" short:"c" placeholder:"FILE" help:"The configuration of the installation whose connections, people and connectors to use."`
	Data       *string           `name:"data" placeholder:"DIR" help:"The data folder of that installation; no server may be working on it."`

	told map[string]any // the answers of both flags, held against the playbook
}

// Examples leads the command's help.
func (*playbookRunCmd) Examples() string {
	return "riposte playbook run triage.playbook.yaml --alert alert.json --mocks mocks.yaml\n" +
		"riposte playbook run block-bad-ip.playbook.yaml --test \"a bad address is blocked for a week\"\n" +
		"riposte playbook run triage.playbook.yaml --alert eve.json --mapping suricata-eve --config riposte.yaml   with its connections\n" +
		"riposte playbook run contain.playbook.yaml --config riposte.yaml --answer isolate=approve --answer judge=malicious"
}

// Run executes a playbook once.
func (c *playbookRunCmd) Run(w *world) error {
	switch {
	case c.Mocks != "" && c.Test != "":
		return misusef("take mocks from --mocks or from --test, not from both")
	case c.Test != "" && c.Answers+c.As != "", c.Test != "" && len(c.Answer) > 0:
		return misusef("the test that --test names has its own answers; leave out --answers, --answer and --as")
	case c.Mocks != "" && c.As != "":
		return misusef("--as names a person of an installation; with --mocks there is none")
	}
	open := checking{Paths: []string{c.Path}, Connectors: c.Connectors, Config: c.Config}
	b, err := open.open(w)
	if err != nil {
		return err
	}
	if len(b.sheets) != 1 {
		return misusef("%s: one playbook is run at a time; name its file", c.Path)
	}
	if err := b.refuse(w); err != nil {
		return err
	}
	sheet := b.sheets[0]
	if c.Test != "" {
		t := sheet.test(c.Test)
		if t == nil {
			return misusef("%s: there is no test %q; it has %s", c.Path, c.Test, orDash(strings.Join(sheet.tests(), ", "), "none"))
		}
		return w.played(sheet, rehearse.Play(playbook.Compile(sheet.checked), t))
	}
	o, err := c.occasion()
	if err != nil {
		return err
	}
	if c.Mocks == "" {
		return c.real(w, sheet, o)
	}
	return c.mocked(w, b, sheet, o)
}

func (s *sheet) test(name string) *playbook.Test {
	for _, t := range s.checked.Playbook.Tests {
		if t.Name.Value == name {
			return t
		}
	}
	return nil
}

func (s *sheet) tests() []string {
	var names []string
	for _, t := range s.checked.Playbook.Tests {
		names = append(names, fmt.Sprintf("%q", t.Name.Value))
	}
	return names
}

// occasion is what the run begins with.
type occasion struct {
	alert, cas, indicator map[string]any
	inputs                map[string]any
}

func (c *playbookRunCmd) occasion() (o occasion, err error) {
	o.inputs = inputValues(c.Input)
	for _, x := range []struct {
		flag, file string
		to         *map[string]any
	}{{"--alert", c.Alert, &o.alert}, {"--case", c.Case, &o.cas}, {"--indicator", c.Indicator, &o.indicator}} {
		if x.file == "" {
			continue
		}
		if *x.to, err = jsonObject(x.flag, x.file); err != nil {
			return o, err
		}
	}
	if c.Mapping != "" {
		if c.Alert == "" {
			return o, misusef("--mapping reads what --alert names; give both")
		}
		o.alert, err = c.mapped()
	}
	return o, err
}

// maxObject bounds the file of an alert.
const maxObject = 8 << 20

func jsonObject(flag, file string) (map[string]any, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, misusef("%s: %s", flag, pathError(err))
	}
	if len(raw) > maxObject {
		return nil, misusef("%s: %s is larger than %d MiB", flag, file, maxObject>>20)
	}
	v, err := expr.DecodeJSON(raw)
	if err != nil {
		return nil, misusef("%s: %s: not valid JSON: %s%s", flag, file, plainError(err), jsonPlace(raw))
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, misusef("%s: %s holds no JSON object", flag, file)
	}
	return m, nil
}

// jsonPlace says where JSON breaks, "" if it does not.
func jsonPlace(raw []byte) string {
	var v any
	var syntax *json.SyntaxError
	if err := json.Unmarshal(raw, &v); !errors.As(err, &syntax) {
		return ""
	}
	before := string(raw[:min(int(syntax.Offset), len(raw))])
	line := strings.Count(before, "\n") + 1
	return fmt.Sprintf(" at line %d", line)
}

// mapped reads the alert as a source would.
func (c *playbookRunCmd) mapped() (map[string]any, error) {
	name, src, err := mappingFile(c.Mapping)
	if err != nil {
		return nil, err
	}
	m, err := alert.ParseMapping(name, src)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(c.Alert)
	if err != nil {
		return nil, misusef("--alert: %s", pathError(err))
	}
	a, ok, err := m.Read("file", []byte(strings.TrimSpace(string(raw))), time.Now().UTC())
	if err != nil {
		return nil, misusef("--alert: %s: %s", c.Alert, plainError(err))
	}
	if !ok {
		return nil, misusef("--alert: %s: the mapping %s says that this event is no alert", c.Alert, m.ID)
	}
	return a.Object(), nil
}

// mappingFile finds a mapping by its file, or by the name of one that we ship.
func mappingFile(name string) (string, []byte, error) {
	src, err := os.ReadFile(name)
	if err == nil {
		return name, src, nil
	}
	file := "sources/" + name + ".source.yaml"
	if src, err = fs.ReadFile(content.Files(), file); err == nil {
		return file, src, nil
	}
	all, _ := fs.Glob(content.Files(), "sources/*.source.yaml") // the pattern is good
	for i := range all {
		all[i] = strings.TrimSuffix(strings.TrimPrefix(all[i], "sources/"), ".source.yaml")
	}
	return "", nil, misusef("--mapping: there is no file and no mapping %q; we ship %s", name, strings.Join(all, ", "))
}

// mocked runs against mocks. They become a test of the file, so what a test can
// say they can say, and it is checked in the same way.
func (c *playbookRunCmd) mocked(w *world, b *workbench, s *sheet, o occasion) error {
	answers, err := c.answers(s)
	if err != nil {
		return err
	}
	t, err := c.asTest(o, answers)
	if err != nil {
		return err
	}
	text, err := withTest(s, t)
	if err != nil {
		return err
	}
	checked, diagnostics := playbook.Check(s.file, text, b.opt)
	if playbook.HasErrors(diagnostics) {
		last := strings.Count(string(s.text), "\n") + 1
		for _, d := range diagnostics {
			if d.Severity == playbook.SeverityError && d.Line >= last {
				return misusef("--mocks: %s: %s", c.Mocks, d.Message)
			}
		}
		return misusef("--mocks: %s: %s", c.Mocks, diagnostics[0].Message)
	}
	return w.played(s, rehearse.Play(playbook.Compile(checked), checked.Playbook.Tests[0]))
}

// mocks is what a file of mocks holds.
type mocks struct {
	Mock   map[string]any `yaml:"mock" doc:"replies by step id, action or playbook"`
	Answer map[string]any `yaml:"answer" doc:"answers by step id; approve or deny for approvals"`
	Inputs map[string]any `yaml:"inputs" doc:"inputs; --input adds to them"`
	Now    string         `yaml:"now" doc:"when the run begins"`
}

// asTest makes a test of mocks and occasion.
func (c *playbookRunCmd) asTest(o occasion, answers map[string]any) (map[string]any, error) {
	var m mocks
	if err := yamlFile("--mocks", c.Mocks, &m); err != nil {
		return nil, err
	}
	t := map[string]any{"name": "run", "expect": map[string]any{}}
	put := func(key string, v map[string]any) {
		if len(v) > 0 {
			t[key] = v
		}
	}
	put("mock", m.Mock)
	put("answer", merged(m.Answer, answers))
	put("inputs", merged(m.Inputs, o.inputs))
	put("alert", o.alert)
	put("case", o.cas)
	put("indicator", o.indicator)
	if now := cmp.Or(m.Now, time.Now().UTC().Format(time.RFC3339)); now != "" {
		t["now"] = now
	}
	return t, nil
}

// merged is both; what is in the second stands.
func merged(a, b map[string]any) map[string]any {
	all := map[string]any{}
	maps.Copy(all, a)
	maps.Copy(all, b)
	return all
}

// yamlFile reads the file that a flag names.
func yamlFile(flag, file string, to any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return misusef("%s: %s", flag, pathError(err))
	}
	doc, err := strictyaml.Parse(file, text)
	if err != nil {
		return err
	}
	if !doc.Root().IsNull() {
		doc.Decode(to)
	}
	return doc.Err()
}

// withTest puts one test in the place of the tests of a file. JSON is YAML.
func withTest(s *sheet, t map[string]any) ([]byte, error) {
	raw, err := json.Marshal([]any{t})
	if err != nil {
		return nil, fmt.Errorf("write the mocks as a test: %w", err)
	}
	text := withoutTests(s.text)
	return append(text, "\ntests: "+string(raw)+"\n"...), nil
}

// withoutTests blanks the lines of the key tests, so that all others stay where
// they are.
func withoutTests(text []byte) []byte {
	var doc yaml.Node
	if yaml.Unmarshal(text, &doc) != nil || len(doc.Content) == 0 {
		return text
	}
	root := doc.Content[0]
	from, to := 0, 0
	for i := 0; i+1 < len(root.Content); i += 2 {
		switch key := root.Content[i]; {
		case key.Value == "tests":
			from = key.Line
		case from > 0 && to == 0:
			to = key.Line
		}
	}
	if from == 0 {
		return text
	}
	lines := strings.Split(string(text), "\n")
	if to == 0 {
		to = len(lines) + 1
	}
	for i := from; i < to; i++ {
		lines[i-1] = ""
	}
	return []byte(strings.Join(lines, "\n"))
}

// played shows a run against mocks; it exits with 1 unless the run succeeded.
func (w *world) played(s *sheet, p rehearse.Played) error {
	if w.json {
		if err := w.printJSON(p); err != nil {
			return err
		}
	} else {
		w.showPlayed(s, p)
	}
	if p.Status != run.Succeeded || len(p.Problems) > 0 {
		return silent{exitFailed}
	}
	return nil
}

func (w *world) showPlayed(s *sheet, p rehearse.Played) {
	rows := make([][]string, 0, len(p.Steps))
	for _, st := range p.Steps {
		note := ""
		switch {
		case st.Error != nil:
			note = st.Error.Code + ": " + st.Error.Message
		case st.Taken != "":
			note = "went " + st.Taken
		case st.Output != nil:
			note = string(st.Output)
		}
		rows = append(rows, []string{st.Step, string(st.Status), orDash(st.Action, st.Verb), clip(note, 80)})
	}
	w.table([]string{"step", "status", "what", "note"}, rows)
	fmt.Fprintln(w.out)
	outputs := ""
	if len(p.Outputs) > 0 {
		raw, err := json.Marshal(p.Outputs)
		if err == nil {
			outputs = string(raw)
		}
	}
	failed := ""
	if p.Error != nil {
		failed = strings.TrimSpace(p.Error.Step + " " + p.Error.Code + ": " + p.Error.Message)
	}
	w.facts("status", string(p.Status), "error", failed, "outputs", outputs, "took", virtual(p.Virtual), "would take back", strings.Join(p.Undo, ", "))
	for _, x := range p.Problems {
		fmt.Fprintf(w.err, "%s: %s\n", s.file, x.Message)
	}
}
