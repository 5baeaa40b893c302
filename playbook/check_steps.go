package playbook

import (
	"maps"

	"riposte/connector"
	"riposte/internal/expr"
)

// seen is the step ids that are visible at a place: those of the list that it
// is in, as far as checked, and those of the lists around it.
type seen struct {
	ids   map[string]bool
	outer *seen
}

func (s *seen) has(id string) bool {
	for ; s != nil; s = s.outer {
		if s.ids[id] {
			return true
		}
	}
	return false
}

// list checks a list of steps and gives the ids in it that are visible after it.
func (c *checker) list(steps []*Step, w where) map[string]bool {
	own := &seen{ids: map[string]bool{}, outer: w.seen}
	w.seen = own
	for _, s := range steps {
		c.step(s, w)
	}
	return own.ids
}

// step checks one step and adds the ids that are visible after it to its list.
func (c *checker) step(s *Step, w where) {
	c.expr(s.When, w, expr.Bool())
	c.template(s.Name, w)
	c.duration(s.Timeout, w)
	c.duration(s.Saves, w)
	inner := w
	inner.deadline = w.deadline || s.Timeout.Set()
	inner.handled = w.handled || s.OnError != nil
	if s.valid {
		maps.Copy(w.seen.ids, c.verb(s, inner))
	}
	if s.ID.Set() && c.steps[s.ID.Value] == s {
		w.seen.ids[s.ID.Value] = true
	}
	if s.OnError != nil {
		f := c.out.facts[s]
		h := w.with(binding{"output", f.output.Nullable()}, binding{"error", errorType(false)})
		maps.Copy(w.seen.ids, c.list(s.OnError.Do, h))
	}
}

// verb checks what belongs to the step's verb and gives the ids inside that
// are visible afterwards.
func (c *checker) verb(s *Step, w where) map[string]bool {
	switch s.Verb {
	case Action, Call:
		c.guarded(s, w)
	case If:
		c.expr(s.Head, w, expr.Bool())
		return union(c.list(s.Then, w), c.list(s.Else, w))
	case Switch:
		if p := c.expr(s.Head, w, expr.Any()); p != nil {
			c.impossibleCases(s, p.Type())
		}
		return union(c.list(s.Else, w), c.branches(s, w))
	case Parallel:
		w.noSet = "the branches of a parallel run at the same time"
		return c.branches(s, w)
	case ForEach:
		c.forEach(s, w)
	case While:
		c.while(s, w)
	case Ask:
		c.ask(s, w)
	case Set:
		c.set(s, w)
	case Wait:
		c.duration(s.Head, w)
		c.expr(s.Until, w, expr.Bool())
		c.duration(s.Every, w)
		c.noDeadline(s, w)
	case Stop:
		c.template(s.Reason, w)
		if w.finally {
			c.r.errorf(s.Pos, "stop inside finally; expected no stop there: the run has ended already")
		}
	}
	return nil
}

// branches checks lists that do not see each other.
func (c *checker) branches(s *Step, w where) map[string]bool {
	inside := map[string]bool{}
	for _, b := range s.Branches {
		maps.Copy(inside, c.list(b.Do, w))
	}
	return inside
}

func union(a, b map[string]bool) map[string]bool {
	maps.Copy(a, b)
	return a
}

// inLoop is the place inside a loop.
func (w where) inLoop(s *Step, names ...binding) where {
	w = w.with(append(names, binding{"index", expr.Int()})...)
	w.loops = append(w.loops[:len(w.loops):len(w.loops)], s)
	return w
}

func (c *checker) while(s *Step, w where) {
	w = w.inLoop(s)
	head := w
	head.loops = head.loops[:len(head.loops)-1] // the condition is asked before the round
	c.expr(s.Head, head, expr.Bool())
	if s.Max == 0 {
		w.unbounded = s
	}
	c.list(s.Do, w)
}

func (c *checker) forEach(s *Step, w where) {
	item := expr.Any()
	if list := c.expr(s.Head, w, expr.List(expr.Any())); list != nil {
		item = list.Type().Elem()
	}
	as := "item"
	if s.As.Set() {
		as = s.As.Value
		if reserved[as] {
			c.r.errorf(s.As.Pos, "%q has a meaning already; expected another name for the item", as)
		}
	}
	w = w.inLoop(s, binding{as, item})
	if s.AtOnce > 1 {
		w.noSet = "the rounds of a for_each with at_once above 1 run at the same time"
	}
	w.seen = &seen{ids: c.list(s.Do, w), outer: w.seen}
	collected := c.value(s.Collect, w, expr.Any())
	if !s.ID.Set() || c.steps[s.ID.Value] != s {
		return
	}
	elem := expr.Any()
	if collected != nil {
		elem = collected.Type().Nullable()
	}
	c.out.facts[s].output = expr.List(elem)
	c.types[s.ID.Value] = stepResult(expr.List(elem), nil, true)
}

// reserved are the names that an item cannot have.
var reserved = map[string]bool{
	"inputs": true, "vars": true, "steps": true, "alert": true, "case": true, "indicator": true, "run": true,
	"playbook": true, "output": true, "error": true, "body": true, "secrets": true, "index": true, "let": true,
	"in": true, "not": true, "and": true, "or": true, "true": true, "false": true, "nil": true, "if": true, "else": true,
	"matches": true, "contains": true,
}

func (c *checker) ask(s *Step, w where) {
	c.template(s.Head, w)
	c.people(s.To, w)
	c.reachable(s.To, CodeNobodyAnswers)
	c.duration(s.Within, w)
	seen := map[string]bool{}
	for _, o := range s.Options {
		if seen[o.Value] {
			c.r.errorf(o.Pos, "the option %q is there twice; expected different answers", o.Value)
		}
		seen[o.Value] = true
	}
	if form, ok := s.Form.Value.(map[string]any); ok {
		c.schema(s.Form, form)
	}
	v := c.value(s.Default, w, expr.Any())
	if v == nil {
		return
	}
	answer, ok := v.Const()
	if text, isText := answer.(string); ok && len(s.Options) > 0 && !s.Form.Set() && (!isText || !seen[text]) {
		c.r.errorf(s.Default.Pos, "default is %s; expected one of the options: %s", s.Default.node.describe(), anyOf(words(s.Options)))
	}
	if ok && s.Form.Set() && len(s.Options) == 0 {
		c.fitsSchema(s.Default, s.Form.Value, "default")
	}
}

func words(texts []Text) []string {
	all := make([]string, len(texts))
	for i, t := range texts {
		all[i] = t.Value
	}
	return all
}

func (c *checker) set(s *Step, w where) {
	if w.noSet != "" {
		c.r.errorf(s.Pos, "set where %s; expected set outside, or collect and a set after it", w.noSet)
	}
	for _, e := range s.Set {
		v := c.value(e.Value, w, expr.Any())
		t, declared := c.vars[e.Name]
		if !declared {
			c.r.errorf(e.Pos, "no variable %q%s", e.Name, c.orDeclare(e.Name))
			continue
		}
		if v == nil {
			continue
		}
		if wrong := v.Type().Fits(t); wrong != "" {
			c.r.errorf(e.Value.Pos, "vars.%s is %s, as its first value says; got %s", e.Name, article(t.NonNil().String()), article(v.Type().String()))
		}
	}
}

func (c *checker) orDeclare(name string) string {
	var names []string
	for _, v := range c.p.Vars {
		names = append(names, v.Name)
	}
	if best := nearest(name, names); best != "" {
		return "; did you mean \"" + best + "\"?"
	}
	return "; expected it under vars, with a first value"
}

// guarded checks what action and playbook steps have.
func (c *checker) guarded(s *Step, w where) {
	f := c.out.facts[s]
	in := w
	in.secrets = s.Verb == Action
	c.with(s, f, in)
	c.impact(s, f)
	c.approval(s.Approve, w)
	gave := w.with(binding{"output", f.output.Nullable()}, binding{"error", errorType(false).Nullable()})
	c.retry(s, f, w, gave)
	c.undo(s, f, gave)
	c.risks(s, f, w)
}

func (c *checker) retry(s *Step, f *facts, w, gave where) {
	r := s.Retry
	if r == nil {
		return
	}
	if f.spec != nil && f.spec.Idempotency == connector.None && f.impact > connector.Read {
		c.r.errorf(s.node.pair("retry").key.at, "retry on %s, which must not be called twice (idempotency none); expected no retry", s.Head.Value)
	}
	c.duration(r.Every, w)
	c.expr(r.If, gave, expr.Bool())
	c.expr(r.Until, gave, expr.Bool())
}

func (c *checker) approval(a *ApprovalText, w where) {
	if a == nil {
		return
	}
	c.people(a.By, w)
	c.canApprove(a)
	if p := c.expr(a.Need, w, expr.Int()); p != nil {
		// A plan keeps it as a value: need may be written as a number or as an
		// expression, with or without ${{ }}.
		c.value(Data{Value: "${{" + a.Need.Value + "}}", Pos: a.Need.Pos, node: a.Need.node}, w, expr.Any())
	}
	c.duration(a.Within, w)
	c.template(a.Note, w)
}

// people checks a text or a list of texts that name people.
func (c *checker) people(d Data, w where) {
	if !d.Set() || d.node.kind == objectNode || d.node.kind == scalarNode && !d.node.isText() { // the decoder has refused it
		return
	}
	v := c.value(d, w, expr.Any())
	if v == nil {
		return
	}
	t := v.Type()
	if t.Fits(expr.Text()) != "" && t.Fits(expr.List(expr.Text())) != "" {
		c.r.errorf(d.Pos, "people are %s; expected a text or a list of texts", article(t.String()))
	}
}

// duration compiles a duration with ${{ }} in it; others were read by the
// decoder.
func (c *checker) duration(t Text, w where) {
	if !t.Set() || !hasTemplate(t.Value) {
		return
	}
	v := c.template(t, w)
	if v == nil {
		return
	}
	if v.Type().Fits(expr.Text()) != "" {
		c.r.errorf(t.Pos, "the duration is %s; expected a text such as \"7d\"", article(v.Type().String()))
		return
	}
	c.openDuration(t, v)
}
