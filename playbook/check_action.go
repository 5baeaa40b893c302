package playbook

import (
	"slices"
	"strings"

	"riposte/connector"
	"riposte/internal/expr"
)

// resolveAction finds an action's manifest.
func (c *checker) resolveAction(s *Step, f *facts) {
	if !s.Head.Set() {
		f.output, f.impact = expr.Any(), connector.Change
		return
	}
	f.spec, f.capability, f.loaded = c.find(s.Head)
	f.output, f.impact = expr.Any(), connector.Change
	if f.spec == nil {
		return
	}
	f.impact = f.spec.Impact
	c.poll(f)
	if f.spec.Outputs != nil {
		f.output = expr.FromSchema(f.spec.Outputs)
		if f.capability && f.output.Kind() == expr.KindObject && !f.output.Open() {
			fields := map[string]expr.Type{"results": expr.List(expr.Any()).Nullable()}
			for name, t := range f.output.Fields() {
				fields[name] = t
			}
			f.output = expr.Object(fields, false)
		}
	}
}

// find looks an action up and reports an unknown one. loaded is false where its
// connector is not there.
func (c *checker) find(name Text) (spec *connector.Action, capability, loaded bool) {
	prefix, id, dotted := strings.Cut(name.Value, ".")
	switch {
	case !dotted && !namePattern.MatchString(name.Value), dotted && (!connectorPattern.MatchString(prefix) || !commandPattern.MatchString(id)):
		c.r.errorf(name.Pos, "%s is no action; expected connector.command, such as firewall.block_ip, or a capability, such as block_ip", quoted(name.Value))
		return nil, !dotted, true
	case !dotted:
		return c.findCapability(name)
	case c.opt.Catalog == nil:
		c.notLoaded(name, prefix)
		return nil, false, false
	}
	spec, loaded = c.opt.Catalog.Action(name.Value)
	switch {
	case spec != nil:
		return spec, false, true
	case loaded:
		known := c.opt.Catalog.Actions(prefix)
		c.r.errorf(name.Pos, "connector %s has no action %q%s", prefix, id, orKnown(id, known))
		return nil, false, true
	}
	c.notLoaded(name, prefix)
	return nil, false, false
}

func (c *checker) findCapability(name Text) (*connector.Action, bool, bool) {
	if c.opt.Catalog == nil {
		c.out.missing = append(c.out.missing, name.Value)
		c.finding(name.Pos, CodeNotLoaded, "no connector is loaded that offers %s; its inputs and outputs are not checked and it counts as change", name.Value)
		return nil, true, false
	}
	if spec := c.opt.Catalog.Capability(name.Value); spec != nil {
		return spec, true, true
	}
	c.r.errorf(name.Pos, "no capability %q%s", name.Value, orKnown(name.Value, c.opt.Catalog.Capabilities()))
	return nil, true, true
}

func (c *checker) notLoaded(name Text, prefix string) {
	hint := ""
	if c.opt.Catalog != nil {
		hint = didYouMean(prefix, c.opt.Catalog.Connectors())
	}
	c.out.missing = append(c.out.missing, name.Value)
	c.finding(name.Pos, CodeNotLoaded, "connector %s is not loaded; the inputs and outputs of %s are not checked and it counts as change%s", prefix, name.Value, hint)
}

// orKnown suggests a word, or lists what is known where that is short.
func orKnown(word string, known []string) string {
	if hint := didYouMean(word, known); hint != "" {
		return hint
	}
	if len(known) == 0 {
		return "; it has none"
	}
	if len(known) > 12 {
		known = append(slices.Clip(known[:12]), "…")
	}
	return "; expected " + anyOf(known)
}

// resolveCall finds the signature of a called playbook.
func (c *checker) resolveCall(s *Step, f *facts) {
	f.output, f.impact = expr.Any(), connector.Change
	if !s.Head.Set() {
		return
	}
	f.callee = c.callee(s.Head, s.Version)
	if f.callee == nil {
		return
	}
	f.loaded = true
	f.impact = f.callee.Impact
	f.output = outputType(f.callee)
}

func (c *checker) callee(name Text, version int) *Signature {
	if name.Value == c.p.ID.Value && version == 0 {
		return c.p.Signature()
	}
	if c.opt.Playbooks != nil {
		if sig := c.opt.Playbooks(name.Value, version); sig != nil {
			return sig
		}
	}
	c.out.missing = append(c.out.missing, name.Value)
	c.finding(name.Pos, CodeNotLoaded, "playbook %s is not loaded; its inputs and outputs are not checked and it counts as change", name.Value)
	return nil
}

func outputType(sig *Signature) expr.Type {
	fields := map[string]expr.Type{}
	for _, o := range sig.Outputs {
		fields[o.Name] = expr.FromSchema(o.Schema)
	}
	return expr.Object(fields, false)
}

// with checks a step's inputs against what the action or playbook asks for.
func (c *checker) with(s *Step, f *facts, w where) {
	v := c.value(s.With, w, expr.Any())
	switch {
	case f.spec != nil:
		c.fitsAction(s.With, v, f.spec, s.verbKey.at, s.Head.Value)
	case f.callee != nil:
		c.fitsInputs(s.With, v, f.callee.Inputs, s.verbKey.at, s.Head.Value)
	}
}

// impact works out what counts for a step and holds it against the ceiling.
func (c *checker) impact(s *Step, f *facts) {
	if f.spec != nil && f.spec.ImpactBy != nil {
		f.impact, f.raised = impactBy(s, f.spec)
	}
	if s.Impact.Set() {
		said, ok := connector.ParseImpact(s.Impact.Value)
		switch {
		case !ok: // the decoder has said so
		case said < f.impact && f.loaded:
			c.r.errorf(s.Impact.Pos, "impact %s is below the %s of %s; a step may raise it, not lower it", said, f.impact, s.Head.Value)
		case said >= f.impact:
			f.raised = f.raised || said > f.impact
			f.impact = said
		}
	}
	c.ceiling(f.impact, s.verbKey.at, s.Head.Value)
}

// impactBy reads the impact from the input that decides it. It must be literal
// (or left to its default), else the highest counts and nothing may lower it
// later.
func impactBy(s *Step, spec *connector.Action) (impact connector.Impact, raised bool) {
	inputs := map[string]any{}
	if n := s.With.node; n != nil {
		if v := n.value(spec.ImpactBy.Input); v != nil && (v.kind != scalarNode || hasTemplate(v.text)) {
			return spec.Impact, true
		} else if v != nil {
			inputs[spec.ImpactBy.Input] = v.data
		}
	}
	return connector.ImpactOf(spec, inputs), false
}

// ceiling holds an impact against the playbook's own.
func (c *checker) ceiling(impact connector.Impact, at Pos, what string) {
	c.out.highest = max(c.out.highest, impact)
	if top, ok := connector.ParseImpact(c.p.Impact.Value); ok && impact > top {
		c.r.errorf(at, "%s has impact %s, above the playbook's ceiling %s (line %d); raise the ceiling or leave the step out", what, impact, top, c.p.Impact.Pos.Line)
	}
}

// undo checks how a step is taken back, by its own undo or the action's.
func (c *checker) undo(s *Step, f *facts, w where) {
	u := s.Undo
	if u == nil {
		c.manifestUndo(s, f)
		return
	}
	c.duration(u.After, w)
	c.approval(u.Approve, w)
	w.secrets = u.Action.Set()
	v := c.value(u.With, w, expr.Any())
	switch {
	case u.Action.Set():
		spec, _, _ := c.find(u.Action)
		f.undoImpact = connector.Change
		if spec != nil {
			f.undo, f.undoImpact = spec, spec.Impact
			c.fitsAction(u.With, v, spec, u.Action.Pos, u.Action.Value)
		}
		c.ceiling(f.undoImpact, u.Action.Pos, "the undo "+u.Action.Value)
	case u.Playbook.Set():
		f.undoImpact = connector.Change
		if sig := c.callee(u.Playbook, 0); sig != nil {
			f.undoImpact = sig.Impact
			c.fitsInputs(u.With, v, sig.Inputs, u.Playbook.Pos, u.Playbook.Value)
		}
		c.ceiling(f.undoImpact, u.Playbook.Pos, "the undo "+u.Playbook.Value)
	}
}

// manifestUndo takes the undo that the action itself declares.
func (c *checker) manifestUndo(s *Step, f *facts) {
	if f.spec == nil || f.spec.Undo == nil || c.opt.Catalog == nil {
		return
	}
	name := qualified(f.spec, f.spec.Undo.Action)
	undo := c.named(name)
	with, err := expr.CompileValue(anyMap(f.spec.Undo.With), manifestScope(), nil)
	if undo == nil || err != nil {
		return // the loader refuses such a manifest
	}
	f.undo, f.undoName, f.undoWith, f.undoImpact = undo, name, with, undo.Impact
	c.ceiling(undo.Impact, s.verbKey.at, "the undo "+name)
}

// serialize compiles what a manifest says must not run at once; nil where it says
// nothing.
func serialize(spec *connector.Action) *expr.Value {
	if spec == nil || spec.Serialize == "" {
		return nil
	}
	v, err := expr.CompileValue(spec.Serialize, manifestScope(), nil)
	if err != nil { // the loader has refused it
		return nil
	}
	return v
}

// poll compiles what a manifest says about a long job.
func (c *checker) poll(f *facts) {
	if f.spec == nil || f.spec.Poll == nil || c.opt.Catalog == nil {
		return
	}
	p := f.spec.Poll
	spec := c.named(qualified(f.spec, p.Action))
	with, err := expr.CompileValue(anyMap(p.With), manifestScope(), nil)
	if spec == nil || err != nil {
		return
	}
	until, err := expr.Compile(p.Until, manifestScope().With("poll", expr.Any()), expr.Bool())
	if err != nil {
		return
	}
	f.poll = &Poll{Action: qualified(f.spec, p.Action), Spec: spec, With: with, Every: p.Every, Until: until}
	if p.Cancel != "" {
		f.poll.Cancel = c.named(qualified(f.spec, p.Cancel))
	}
}

// manifestScope is what the templates of a manifest can use.
func manifestScope() *expr.Scope {
	return expr.NewScope().With("inputs", expr.Any()).With("output", expr.Any())
}

// named finds an action or, without a dot, a capability; nil if it is not there.
func (c *checker) named(name string) *connector.Action {
	if !strings.Contains(name, ".") {
		return c.opt.Catalog.Capability(name)
	}
	spec, _ := c.opt.Catalog.Action(name)
	return spec
}

// qualified is the full name of an action that a manifest names, perhaps
// without its own connector. A capability has none.
func qualified(spec *connector.Action, name string) string {
	if strings.Contains(name, ".") || spec.Connector == "" {
		return name
	}
	return spec.Connector + "." + name
}

func anyMap(m map[string]any) any {
	if m == nil {
		return map[string]any{}
	}
	return m
}
