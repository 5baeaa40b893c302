package playbook

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"riposte/connector"
	"riposte/internal/expr"
)

// Load parses, checks and compiles a file. The plan is nil when a diagnostic is
// an error.
func Load(file string, src []byte, opt Options) (*Plan, []Diagnostic) {
	checked, diagnostics := Check(file, src, opt)
	if checked == nil || !checked.sound {
		return nil, diagnostics
	}
	return Compile(checked), diagnostics
}

// Check reads a file and tells everything that is wrong with it, sorted by
// place. Checked is nil when the file cannot be read as a mapping at all.
func Check(file string, src []byte, opt Options) (*Checked, []Diagnostic) {
	r := &reporter{file: file}
	p := parse(file, src, r)
	if p == nil {
		return nil, r.sorted()
	}
	c := &checker{
		p: p, opt: opt, r: r, broken: HasErrors(r.all),
		out: &Checked{
			Playbook: p, programs: map[*node]*expr.Program{}, values: map[*node]*expr.Value{}, facts: map[*Step]*facts{},
		},
		steps: map[string]*Step{}, types: map[string]expr.Type{},
		schemas:   map[uintptr]*connector.CompiledSchema{},
		usedSteps: map[string]bool{}, usedInputs: map[string]bool{}, usedVars: map[string]bool{},
	}
	c.check()
	all := r.sorted()
	c.out.sound = !HasErrors(all)
	return c.out, all
}

// checker is one check of one file.
type checker struct {
	p   *Playbook
	opt Options
	r   *reporter
	// broken tells that the file breaks the grammar: some of it is not in the
	// tree, so what seems unused may be used there.
	broken bool
	out    *Checked
	base   *expr.Scope          // the roots that are there everywhere in a run
	steps  map[string]*Step     // by id
	types  map[string]expr.Type // of steps.<id>
	vars   map[string]expr.Type

	usedSteps, usedInputs, usedVars map[string]bool

	schemas map[uintptr]*connector.CompiledSchema // by the mapping they were made of
}

// where is what the checker knows about a place in the playbook.
type where struct {
	seen    *seen     // step ids that are visible
	all     bool      // every step is visible that is in no loop
	names   []binding // roots beside the base: the loop's, output, error
	loops   []*Step   // the loops around
	secrets bool
	noSet   string // why set is not allowed here
	finally bool
	// For the findings:
	deadline  bool  // something around ends the time
	handled   bool  // an error here finds a handler
	unbounded *Step // the innermost loop around that has no bound
}

type binding struct {
	name string
	typ  expr.Type
}

// with is w and more roots.
func (w where) with(names ...binding) where {
	w.names = append(slices.Clip(w.names), names...)
	return w
}

func (c *checker) check() {
	c.identity()
	c.collect()
	c.declare()
	start := where{deadline: c.p.Timeout.Set(), handled: c.p.OnError != nil}
	c.triggers()
	c.list(c.p.Steps, start)
	end := where{all: true, deadline: start.deadline, handled: true}
	if c.p.OnError != nil {
		c.list(c.p.OnError.Do, end.with(binding{"error", errorType(true)}))
	}
	c.duration(c.p.Timeout, where{})
	c.duration(c.p.Saves, where{})
	c.outputs(end)
	end.finally = true
	c.list(c.p.Finally, end)
	c.tests()
	if !c.broken {
		c.findings()
	}
	c.accept()
}

// collect numbers the steps, finds what they call and types what they give.
func (c *checker) collect() {
	c.p.All(func(s *Step) {
		f := &facts{output: expr.Nil()}
		c.out.facts[s] = f
		switch s.Verb {
		case Action:
			c.resolveAction(s, f)
		case Call:
			c.resolveCall(s, f)
		case Ask:
			t := answerType(s)
			f.answer = &t
		case ForEach:
			f.output = expr.List(expr.Any())
		default: // the others give nothing
		}
		if !s.valid {
			f.output = expr.Any()
		}
		if s.Approve != nil {
			t := expr.Text().OneOf("approve", "deny")
			f.answer = &t
		}
		if !s.ID.Set() {
			return
		}
		if first := c.steps[s.ID.Value]; first != nil {
			c.r.errorf(s.ID.Pos, "the id %q is taken by the step in line %d; expected an id of its own", s.ID.Value, first.Pos.Line)
			return
		}
		c.steps[s.ID.Value] = s
		c.types[s.ID.Value] = stepResult(f.output, f.answer, s.Verb == ForEach || s.Verb == While)
	})
}

// answerType is the type of what people answer to an ask.
func answerType(s *Step) expr.Type {
	form, _ := s.Form.Value.(map[string]any)
	switch {
	case form != nil && len(s.Options) > 0:
		return expr.Any()
	case form != nil:
		return expr.FromSchema(form)
	case len(s.Options) > 0:
		words := make([]any, len(s.Options))
		for i, o := range s.Options {
			words[i] = o.Value
		}
		return expr.Text().OneOf(words...)
	}
	return expr.Text()
}

// declare builds the roots: inputs, vars and the rest.
func (c *checker) declare() {
	inputs := map[string]expr.Type{}
	for _, e := range c.p.Inputs {
		in := inputOf(e)
		c.out.inputs = append(c.out.inputs, in)
		c.checkInput(e, in)
		t := expr.FromSchema(in.Schema)
		inputs[e.Name] = t
	}
	c.base = expr.NewScope().
		With("inputs", expr.Object(inputs, false)).
		With("run", runType()).With("playbook", playbookType()).
		With("alert", AlertType().Nullable()).With("case", CaseType().Nullable()).With("indicator", IndicatorType().Nullable())
	c.vars = map[string]expr.Type{}
	for _, e := range c.p.Vars {
		v := c.value(e.Value, where{}, expr.Any())
		c.vars[e.Name] = varType(v)
	}
	c.base = c.base.With("vars", expr.Object(c.vars, false)).With("steps", expr.Object(c.types, false))
}

// varType is the type of a variable, from its first value.
func varType(v *expr.Value) expr.Type {
	if v == nil {
		return expr.Any()
	}
	t := v.Type()
	switch t.Kind() {
	case expr.KindNil, expr.KindSecret:
		return expr.Any()
	case expr.KindInt, expr.KindNumber:
		return expr.Number().Nullable()
	case expr.KindText:
		return expr.Text().Nullable()
	case expr.KindList:
		return expr.List(expr.Any()).Nullable()
	case expr.KindObject:
		return expr.Object(nil, true).Nullable()
	default: // the others stay what they are
	}
	return t.Nullable()
}

func (c *checker) scope(w where) *expr.Scope {
	s := c.base
	for _, n := range w.names {
		s = s.With(n.name, n.typ)
	}
	if w.secrets {
		s = s.WithSecrets()
	}
	return s
}

// expr compiles an expression and reports what is wrong with it.
func (c *checker) expr(t Text, w where, want expr.Type) *expr.Program {
	if !t.Set() || strings.TrimSpace(t.Value) == "" {
		return nil
	}
	if t.skip == 0 && hasTemplate(t.node.text) {
		c.r.errorf(t.node.place(templateStart(t.node.text)), "${{ }} inside an expression; expected the expression alone, without braces")
		return nil
	}
	p, err := expr.Compile(t.node.text, c.scope(w), want)
	if err != nil {
		c.exprError(t.node, err)
		c.mentions(t.node.text)
		return nil
	}
	c.out.programs[t.node] = p
	c.reads(p.Refs(), t.node, w)
	c.comparisons(t.Value, t.node, t.skip, w)
	return p
}

// exprError reports an error of the expression language at its place in the
// file.
func (c *checker) exprError(n *node, err error) {
	var e *expr.Error
	if !errors.As(err, &e) {
		c.r.errorf(n.at, "%s", err)
		return
	}
	if severityWord.MatchString(n.text) && strings.Contains(e.Message, "cannot stand between") {
		e = &expr.Error{Offset: e.Offset, Message: e.Message, Hint: "a severity is a number: 1 informational, 2 low, 3 medium, 4 high, 5 critical"}
	}
	c.r.errorf(n.place(e.Offset), "%s", e.Error())
}

var severityWord = regexp.MustCompile(`severity.*["'](informational|low|medium|high|critical)["']`)

// textErrors reports what is wrong with each expression of a text.
func (c *checker) textErrors(n *node, first *expr.Error, s *expr.Scope, w where) {
	c.mentions(n.text)
	segments, err := expr.SplitTemplate(n.text)
	before := len(c.r.all)
	for _, segment := range segments {
		if err != nil || !segment.IsExpr {
			continue
		}
		var e *expr.Error
		p, err := expr.Compile(segment.Text, s, expr.Any())
		if errors.As(err, &e) {
			c.exprError(n, &expr.Error{Offset: e.Offset + segment.Offset, Message: e.Message, Hint: e.Hint})
		} else if p != nil {
			c.reads(p.Refs(), n, w)
		}
	}
	if len(c.r.all) == before {
		c.exprError(n, first)
	}
}

// value compiles a value and reports what is wrong with it.
func (c *checker) value(d Data, w where, want expr.Type) *expr.Value {
	if !d.Set() {
		return nil
	}
	scope := c.scope(w)
	v, err := expr.CompileValue(d.Value, scope, func(path []any, e *expr.Error) error {
		c.textErrors(d.node.descend(path), e, scope, w)
		return e
	})
	if err != nil {
		for _, leaf := range d.node.leaves() {
			c.mentions(leaf.text)
		}
		return nil
	}
	if wrong := v.Type().Fits(want); wrong != "" {
		c.r.errorf(d.Pos, "%s", wrong)
	}
	c.out.values[d.node] = v
	c.reads(v.Refs(), d.node, w)
	c.compared(d, v, w)
	return v
}

// compared looks at the comparisons in the texts of a value.
func (c *checker) compared(d Data, v *expr.Value, w where) {
	if _, constant := v.Const(); constant {
		return
	}
	for _, leaf := range d.node.leaves() {
		segments, err := expr.SplitTemplate(leaf.text)
		if err != nil || !leaf.isText() {
			continue
		}
		for _, segment := range segments {
			if segment.IsExpr {
				c.comparisons(segment.Text, leaf, segment.Offset, w)
			}
		}
	}
}

// template compiles a text in which ${{ }} is worked out.
func (c *checker) template(t Text, w where) *expr.Value {
	if !t.Set() {
		return nil
	}
	return c.value(Data{Value: t.node.text, Pos: t.Pos, node: t.node}, w, expr.Any())
}
