package playbook

import (
	"slices"
	"time"

	"riposte/connector"
	"riposte/internal/expr"
)

// Value gives the compiled form of a value of the file: of a test's reply, say.
// A test's values may read its inputs, alert, case and indicator. nil means
// that the value was left out or is wrong.
func (c *Checked) Value(d Data) *expr.Value {
	if d.node == nil {
		return nil
	}
	return c.values[d.node]
}

// targets is what can be mocked, called or expected.
type targets struct {
	acts  map[string]*facts // step ids of action and playbook steps
	names map[string]*facts // actions and playbooks as written
	undos map[string]bool   // actions and playbooks that the file's undo keys name
	taken map[string]bool   // undo actions of manifests
}

func (c *checker) targets() *targets {
	t := &targets{acts: map[string]*facts{}, names: map[string]*facts{}, undos: map[string]bool{}, taken: map[string]bool{}}
	c.p.All(func(s *Step) {
		f := c.out.facts[s]
		if !s.guarded() {
			return
		}
		if s.ID.Set() {
			t.acts[s.ID.Value] = f
		}
		if s.Head.Set() && t.names[s.Head.Value] == nil {
			t.names[s.Head.Value] = f
		}
		switch {
		case s.Undo != nil && s.Undo.Action.Set():
			t.undos[s.Undo.Action.Value] = true
		case s.Undo != nil && s.Undo.Playbook.Set():
			t.undos[s.Undo.Playbook.Value] = true
		case s.Undo == nil && f.undo != nil:
			t.taken[f.undoName] = true
		}
	})
	return t
}

// calls lists everything that can be called, undo actions included.
func (t *targets) calls() []string {
	all := append(sortedKeys(t.names), sortedKeys(t.undos)...)
	all = append(all, sortedKeys(t.taken)...)
	slices.Sort(all)
	return slices.Compact(all)
}

// tests checks the tests of the file against its steps.
func (c *checker) tests() {
	if len(c.p.Tests) == 0 {
		return
	}
	t := c.targets()
	names := map[string]int{}
	for _, test := range c.p.Tests {
		if first, twice := names[test.Name.Value]; twice && test.Name.Set() {
			c.r.errorf(test.Name.Pos, "the name %s is taken by the test in line %d; expected a name of its own", quoted(test.Name.Value), first)
		}
		names[test.Name.Value] = test.Pos.Line
		c.test(test, t)
	}
}

func (c *checker) test(test *Test, t *targets) {
	objects := []struct {
		data *Data
		name string
		typ  expr.Type
	}{{&test.Alert, "alert", AlertType()}, {&test.Case, "case", CaseType()}, {&test.Indicator, "indicator", IndicatorType()}}
	for _, o := range objects {
		c.testObject(o.data, o.typ, o.name)
	}
	c.testInputs(test)
	if _, err := time.Parse(time.RFC3339, test.Now.Value); test.Now.Set() && err != nil {
		c.r.errorf(test.Now.Pos, "now is %s; expected a time such as 2026-03-01T08:00:00Z", quoted(test.Now.Value))
	}
	for i := range test.Mock {
		c.mock(&test.Mock[i], t)
	}
	for _, e := range test.Answer {
		c.answer(e)
	}
	c.expectation(&test.Expect, t)
}

// testObject checks the object that starts a test, and turns a severity's word
// into its number.
func (c *checker) testObject(d *Data, want expr.Type, name string) {
	m, ok := d.Value.(map[string]any)
	if !ok {
		return
	}
	if sp := d.node.pair("severity"); sp != nil {
		if n, ok := severities[sp.value.text]; ok {
			m["severity"] = n
		} else if i, ok := sp.value.data.(int); !ok || i < 1 || i > 5 {
			c.r.errorf(sp.value.at, "severity is %s; expected 1 to 5, or informational, low, medium, high or critical", sp.value.describe())
			m["severity"] = 1 // said already
		}
	}
	for _, p := range d.node.pairs {
		field, known := want.Field(p.key.text)
		if !known {
			c.r.errorf(p.key.at, "%s has no field %q%s", article(name), p.key.text, orKnown(p.key.text, sortedKeys(want.Fields())))
			continue
		}
		if wrong := expr.TypeOf(m[p.key.text]).Fits(field); wrong != "" {
			c.r.errorf(p.value.at, "%s.%s: %s", name, p.key.text, wrong)
		}
	}
}

// testInputs checks the inputs that a test gives. Those it leaves out may be
// filled by the object that starts it.
func (c *checker) testInputs(test *Test) {
	var names []string
	given := map[string]bool{}
	for _, in := range c.out.inputs {
		names = append(names, in.Name)
	}
	for _, e := range test.Inputs {
		given[e.Name] = true
		i := slices.IndexFunc(c.out.inputs, func(in Input) bool { return in.Name == e.Name })
		if i < 0 {
			c.r.errorf(e.Pos, "the playbook has no input %q%s", e.Name, orKnown(e.Name, names))
			continue
		}
		c.testValue(e.Value)
		if !e.Value.node.templated() && c.out.inputs[i].compiled != nil {
			c.fitsCompiled(e.Value.node, unescapeAll(e.Value.Value), c.out.inputs[i].compiled, "input "+e.Name)
		}
	}
	if test.Alert.Set() || test.Case.Set() || test.Indicator.Set() {
		return
	}
	for _, in := range c.out.inputs {
		if in.Required && !given[in.Name] {
			c.r.errorf(test.Pos, "the test gives no input %q, which the playbook needs; expected it under inputs", in.Name)
		}
	}
}

// testValue compiles a value in the scope of a test.
func (c *checker) testValue(d Data) *expr.Value {
	base := c.base
	defer func() { c.base = base }()
	scope := expr.NewScope()
	for _, name := range []string{"inputs", "alert", "case", "indicator"} {
		if t, ok := base.Lookup(name); ok {
			scope = scope.With(name, t)
		}
	}
	c.base = scope
	usedInputs := c.usedInputs
	c.usedInputs = map[string]bool{} // what a test reads is not used by the playbook
	defer func() { c.usedInputs = usedInputs }()
	return c.value(d, where{}, expr.Any())
}

func (c *checker) mock(m *Mock, t *targets) {
	f := t.acts[m.Target]
	if f == nil {
		f = t.names[m.Target]
	}
	s := c.steps[m.Target]
	switch {
	case f != nil || t.undos[m.Target] || t.taken[m.Target]:
	case s != nil && s.Verb == Ask:
		c.r.errorf(m.Pos, "%s is a question; expected its answer under answer", m.Target)
	case s != nil:
		c.r.errorf(m.Pos, "%s is %s step, which calls nothing; expected the id of an action or playbook step", m.Target, article(s.Verb.String()))
	default:
		c.r.errorf(m.Pos, "nothing in the playbook is called %s%s", quoted(m.Target), orKnown(m.Target, append(sortedKeys(t.acts), t.calls()...)))
	}
	for _, r := range m.Replies {
		if v := c.testValue(r.Output); v != nil && f != nil {
			c.mockFits(r, v, f)
		}
	}
}

// mockFits holds a mocked output against the schema: it may leave fields out,
// but not contradict it.
func (c *checker) mockFits(r Reply, v *expr.Value, f *facts) {
	var want expr.Type
	var schema map[string]any
	switch {
	case f.spec != nil && f.spec.Outputs != nil:
		want, schema = f.output, f.spec.Outputs
	case f.callee != nil:
		want = f.output
	default:
		return
	}
	if wrong := v.Type().Fits(want); wrong != "" {
		c.r.errorf(r.Output.Pos, "output: %s", wrong)
		return
	}
	if constant, ok := v.Const(); ok && schema != nil {
		if compiled, _ := connector.CompileSchema(withoutRequired(schema).(map[string]any)); compiled != nil {
			c.fitsCompiled(r.Output.node, constant, compiled, "output")
		}
	}
}

// withoutRequired is a schema that lets every field be left out.
func withoutRequired(schema any) any {
	switch schema := schema.(type) {
	case connector.Schema:
		return withoutRequired(map[string]any(schema))
	case map[string]any:
		out := make(map[string]any, len(schema))
		for key, v := range schema {
			if _, list := v.([]any); key == "required" && list {
				continue
			}
			out[key] = withoutRequired(v)
		}
		return out
	case []any:
		out := make([]any, len(schema))
		for i, v := range schema {
			out[i] = withoutRequired(v)
		}
		return out
	}
	return schema
}

func unescapeAll(v any) any {
	if s, ok := v.(string); ok {
		return unescape(s)
	}
	return v
}

// answer checks what people answer in a test.
func (c *checker) answer(e Entry) {
	s := c.steps[e.Name]
	if s == nil {
		c.r.errorf(e.Pos, "there is no step %q%s", e.Name, orKnown(e.Name, c.answerable()))
		return
	}
	v := c.testValue(e.Value)
	switch {
	case s.Verb == Ask:
		c.askAnswer(s, e, v)
	case s.Approve != nil:
		if text, ok := constantOf(v); ok && text != "approve" && text != "deny" {
			c.r.errorf(e.Value.Pos, "the answer is %s; expected approve or deny", e.Value.node.describe())
		}
	default:
		c.r.errorf(e.Pos, "step %s asks nobody; expected an ask step or one with approve", e.Name)
	}
}

func constantOf(v *expr.Value) (any, bool) {
	if v == nil {
		return nil, false
	}
	return v.Const()
}

func (c *checker) askAnswer(s *Step, e Entry, v *expr.Value) {
	given, ok := constantOf(v)
	if !ok {
		return
	}
	text, isText := given.(string)
	switch {
	case len(s.Options) > 0 && !s.Form.Set() && (!isText || !slices.Contains(words(s.Options), text)):
		c.r.errorf(e.Value.Pos, "the answer is %s; expected one of the options: %s", e.Value.node.describe(), anyOf(words(s.Options)))
	case len(s.Options) == 0 && s.Form.Set():
		c.fitsSchema(e.Value, s.Form.Value, "answer")
	case len(s.Options) == 0 && !isText:
		c.r.errorf(e.Value.Pos, "the answer is %s; expected a text", e.Value.node.describe())
	}
}

func (c *checker) answerable() []string {
	var ids []string
	for id, s := range c.steps {
		if s.Verb == Ask || s.Approve != nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (c *checker) expectation(e *Expectation, t *targets) {
	for _, step := range e.Steps {
		if c.steps[step.Name] == nil {
			c.r.errorf(step.Pos, "there is no step %q%s", step.Name, orKnown(step.Name, sortedKeys(c.steps)))
		}
	}
	c.expectNames(e.Outputs, "output", outputNames(c.p.Outputs))
	c.expectNames(e.Vars, "variable", entryNames(c.p.Vars))
	calls := t.calls()
	for _, call := range e.Called {
		c.testValue(call.With)
		if call.Action.Set() && !slices.Contains(calls, call.Action.Value) {
			c.r.errorf(call.Action.Pos, "nothing in the playbook calls %s%s", quoted(call.Action.Value), orKnown(call.Action.Value, calls))
		}
	}
	for _, name := range e.NotCalled {
		if !slices.Contains(calls, name.Value) && t.acts[name.Value] == nil {
			c.finding(name.Pos, CodeEmptyTest, "nothing in the playbook calls %s, so expecting that it is not called proves nothing%s", quoted(name.Value), didYouMean(name.Value, calls))
		}
	}
	for _, name := range e.Undo {
		if !t.undos[name.Value] {
			c.r.errorf(name.Pos, "no undo key in the playbook names %s%s", quoted(name.Value), orKnown(name.Value, sortedKeys(t.undos)))
		}
	}
	if e.Pos.Line > 0 && e.empty() {
		c.finding(e.Pos, CodeEmptyTest, "the test expects nothing; expected at least a status")
	}
}

func (e *Expectation) empty() bool {
	return !e.Status.Set() && len(e.Steps)+len(e.Outputs)+len(e.Vars)+len(e.Called)+len(e.NotCalled) == 0 && !e.HasUndo && !e.Time.Set()
}

func (c *checker) expectNames(entries []Entry, what string, known []string) {
	for _, e := range entries {
		c.testValue(e.Value)
		if !slices.Contains(known, e.Name) {
			c.r.errorf(e.Pos, "the playbook has no %s %q%s", what, e.Name, orKnown(e.Name, known))
		}
	}
}

func outputNames(outputs []OutputText) []string {
	names := make([]string, len(outputs))
	for i, o := range outputs {
		names[i] = o.Name
	}
	return names
}

func entryNames(entries []Entry) []string {
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name
	}
	return names
}
