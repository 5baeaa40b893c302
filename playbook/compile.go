package playbook

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"riposte/connector"
	"riposte/internal/expr"
)

// The defaults of the language.
const (
	DefaultTimeout       = 24 * time.Hour   // of a run
	DefaultActionTimeout = 60 * time.Second // of an attempt, unless the manifest says else
	DefaultApproval      = 4 * time.Hour
	DefaultAsk           = 24 * time.Hour
	DefaultRetryEvery    = 5 * time.Second
	DefaultBackoff       = 2.0
	DefaultMax           = 100 // rounds of a while
)

// Compile makes a plan of a checked playbook without errors; for any other it
// gives nil.
func Compile(checked *Checked) *Plan {
	if checked == nil || !checked.sound {
		return nil
	}
	c := compiler{in: checked, p: checked.Playbook}
	return c.compile()
}

type compiler struct {
	in    *Checked
	p     *Playbook
	plan  *Plan
	specs []*connector.Action // signatures that the plan was compiled against
	asked []string
}

func (c *compiler) compile() *Plan {
	p := c.p
	c.plan = &Plan{
		ID: p.ID.Value, Title: p.Title.Value, Version: p.Version, Language: Language,
		Highest: c.in.highest, Inputs: c.in.inputs,
		Uses: map[string]bool{},
	}
	c.plan.Timeout, c.plan.Saves = c.duration(p.Timeout, DefaultTimeout), c.duration(p.Saves, 0)
	if level, ok := connector.ParseImpact(p.Impact.Value); ok {
		c.plan.Impact = &level
	}
	for _, t := range p.On {
		c.plan.Triggers = append(c.plan.Triggers, c.trigger(t))
	}
	if p.root.pair("on") == nil { // an empty list leaves it to other playbooks
		c.plan.Triggers = []Trigger{{Kind: OnManual, Line: p.ID.Pos.Line}}
	}
	for _, e := range p.Vars {
		c.plan.Vars = append(c.plan.Vars, Var{Name: e.Name, Value: c.value(e.Value)})
	}
	c.plan.Body = c.list(p.Steps, NoNode, NoNode)
	c.plan.OnError = c.handler(p.OnError, NoNode, NoNode)
	c.plan.Finally = c.list(p.Finally, NoNode, NoNode)
	for _, o := range p.Outputs {
		schema, _ := o.Schema.Value.(map[string]any)
		c.plan.Outputs = append(c.plan.Outputs, Output{Name: o.Name, Value: c.value(o.Value), Schema: schema, compiled: compiledSchema(schema)})
	}
	slices.Sort(c.asked)
	c.plan.Available = slices.Compact(c.asked)
	c.plan.Missing = slices.Compact(slices.Sorted(slices.Values(c.in.missing)))
	c.plan.Hash = c.hash()
	return c.plan
}

// compiledSchema compiles a schema that the check has found sound; nil for none.
func compiledSchema(schema map[string]any) *connector.CompiledSchema {
	if schema == nil {
		return nil
	}
	compiled, err := connector.CompileSchema(schema)
	if err != nil { // the check has refused it
		return nil
	}
	return compiled
}

// hash names what the plan was made of: the source and the signatures.
func (c *compiler) hash() string {
	h := sha256.New()
	h.Write([]byte(c.p.src.text))
	seen := map[*connector.Action]bool{}
	for _, spec := range c.specs {
		if seen[spec] {
			continue
		}
		seen[spec] = true
		b, err := json.Marshal(spec)
		if err != nil { // a decoded manifest always marshals
			b = []byte(spec.Name() + spec.Version)
		}
		h.Write([]byte{0})
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (c *compiler) trigger(t *TriggerText) Trigger {
	out := Trigger{
		Kind: t.Kind, Event: t.Event.Value, Where: c.program(t.Where), With: c.value(t.With),
		Cron: t.Cron.Value, Zone: t.Zone.Value, Path: t.Path.Value, Auth: t.Auth.Value,
		From: words(t.From), Roles: words(t.Roles), Line: t.Pos.Line,
	}
	defaults := map[TriggerKind]string{OnAlert: "new", OnCase: "opened", OnIndicator: "added"}
	if out.Event == "" {
		out.Event = defaults[t.Kind]
	}
	if t.Kind == OnWebhook && out.Auth == "" {
		out.Auth = "token"
	}
	return out
}

// list compiles steps in order; the plan holds each before what is inside it.
func (c *compiler) list(steps []*Step, parent, loop NodeID) []NodeID {
	var ids []NodeID
	for _, s := range steps {
		ids = append(ids, c.step(s, parent, loop))
	}
	return ids
}

func (c *compiler) step(s *Step, parent, loop NodeID) NodeID {
	id := NodeID(len(c.plan.Nodes))
	c.plan.Nodes = append(c.plan.Nodes, Node{})
	n := Node{
		ID: id, Parent: parent, Step: s.ID.Value, Line: s.Pos.Line, Name: c.text(s.Name), Note: s.Note.Value, Loop: loop,
		Verb: s.Verb, When: c.program(s.When), Timeout: c.duration(s.Timeout, 0), Saves: c.duration(s.Saves, 0),
	}
	c.verb(s, &n)
	n.OnError = c.handler(s.OnError, id, loop)
	n.End = NodeID(len(c.plan.Nodes))
	c.plan.Nodes[id] = n
	return id
}

func (c *compiler) verb(s *Step, n *Node) {
	switch s.Verb {
	case Action:
		n.Action = c.action(s, n)
	case Call:
		n.Call = &PlaybookCall{Guarded: c.guarded(s), Playbook: s.Head.Value, Version: s.Version}
	case If:
		n.If = &IfBlock{Cond: c.program(s.Head), Then: c.list(s.Then, n.ID, n.Loop), Else: c.list(s.Else, n.ID, n.Loop)}
	case Switch:
		n.Switch = &SwitchBlock{Value: c.program(s.Head)}
		for _, b := range s.Branches {
			n.Switch.Cases = append(n.Switch.Cases, Case{Text: b.Name, Do: c.list(b.Do, n.ID, n.Loop)})
		}
		n.Switch.Else = c.list(s.Else, n.ID, n.Loop)
	case Parallel:
		n.Parallel = &ParallelBlock{}
		for _, b := range s.Branches {
			n.Parallel.Branches = append(n.Parallel.Branches, Branch{Name: b.Name, Do: c.list(b.Do, n.ID, n.Loop)})
		}
	case ForEach:
		n.ForEach = &ForEachBlock{List: c.program(s.Head), As: "item", AtOnce: max(s.AtOnce, 1), Collect: c.value(s.Collect)}
		if s.As.Set() {
			n.ForEach.As = s.As.Value
		}
		n.ForEach.Do = c.list(s.Do, n.ID, n.ID)
	case While:
		n.While = &WhileBlock{Cond: c.program(s.Head), Max: s.Max}
		if s.Max == 0 {
			n.While.Max = DefaultMax
		}
		n.While.Do = c.list(s.Do, n.ID, n.ID)
	case Ask:
		form, _ := s.Form.Value.(map[string]any)
		n.Ask = &AskStep{
			Text: c.text(s.Head), To: c.value(s.To), Options: words(s.Options), Form: form,
			Within: c.duration(s.Within, DefaultAsk), Default: c.value(s.Default),
		}
	case Set:
		for _, e := range s.Set {
			n.Set = append(n.Set, Assignment{Name: e.Name, Value: c.value(e.Value)})
		}
	case Wait:
		n.Wait = &WaitStep{For: c.duration(s.Head, 0), Until: c.program(s.Until), Every: c.duration(s.Every, 0)}
	case Stop:
		n.Stop = &StopStep{Status: s.Head.Value, Reason: c.text(s.Reason)}
	}
}

func (c *compiler) handler(h *HandlerText, parent, loop NodeID) *Handler {
	switch {
	case h == nil:
		return nil
	case h.Word == "continue":
		return &Handler{Kind: Continue}
	case h.Word == "undo":
		return &Handler{Kind: UndoBlock}
	}
	return &Handler{Kind: Steps, Do: c.list(h.Do, parent, loop)}
}

func (c *compiler) program(t Text) *expr.Program {
	if t.node == nil {
		return nil
	}
	p := c.in.programs[t.node]
	if p != nil {
		c.asked = append(c.asked, p.Available()...)
		c.uses(p.Refs())
	}
	return p
}

// uses notes the roots of what an expression refers to.
func (c *compiler) uses(refs [][]string) {
	for _, path := range refs {
		if len(path) > 0 {
			c.plan.Uses[path[0]] = true
		}
	}
}

func (c *compiler) value(d Data) *expr.Value {
	if d.node == nil {
		return nil
	}
	v := c.in.values[d.node]
	if v != nil {
		c.asked = append(c.asked, v.Available()...)
		c.uses(v.Refs())
	}
	return v
}

func (c *compiler) text(t Text) *expr.Value { return c.value(Data{node: t.node}) }

func (c *compiler) duration(t Text, otherwise time.Duration) Duration {
	switch {
	case !t.Set():
		return Duration{Fixed: otherwise}
	case hasTemplate(t.Value):
		return Duration{Value: c.text(t)}
	}
	d, err := ParseDuration(t.Value)
	if err != nil { // the decoder has refused it
		return Duration{Fixed: otherwise}
	}
	return Duration{Fixed: d}
}

// constant compiles a value that needs no scope.
func constant(v any) *expr.Value {
	value, err := expr.CompileValue(v, expr.NewScope(), nil)
	if err != nil { // only numbers and empty mappings come here
		return nil
	}
	return value
}

func (c *compiler) action(s *Step, n *Node) *ActionCall {
	f := c.in.facts[s]
	call := &ActionCall{Guarded: c.guarded(s), Name: s.Head.Value, Capability: f.capability, Spec: f.spec, Raised: f.raised}
	if s.Using.Set() {
		call.Using = constant(s.Using.Value)
	}
	timeout := DefaultActionTimeout
	if f.spec != nil {
		c.specs = append(c.specs, f.spec)
		if f.spec.Timeout > 0 {
			timeout = f.spec.Timeout
		}
		call.Poll, call.Serialize = f.poll, serialize(f.spec)
		if !s.Saves.Set() {
			n.Saves.Fixed = f.spec.Saves
		}
	}
	if !n.Timeout.Set() {
		n.Timeout.Fixed = timeout
	}
	return call
}

func (c *compiler) guarded(s *Step) Guarded {
	f := c.in.facts[s]
	g := Guarded{
		With: c.value(s.With), Impact: f.impact, Approve: c.approval(s.Approve),
		Retry: c.retry(s.Retry, f.spec), Undo: c.undo(s, f),
	}
	if g.With == nil {
		g.With = constant(map[string]any{})
	}
	if s.Rate.Set() {
		if rate, err := ParseRate(s.Rate.Value); err == nil {
			g.Rate = &rate
		}
	}
	return g
}

func (c *compiler) approval(a *ApprovalText) *Approval {
	if a == nil {
		return nil
	}
	out := &Approval{By: c.value(a.By), Within: c.duration(a.Within, DefaultApproval), Note: c.text(a.Note), Need: constant(1)}
	if a.Need.Set() {
		c.program(a.Need) // for what it asks available about
		out.Need = c.in.values[a.Need.node]
	}
	return out
}

func (c *compiler) retry(r *RetryText, spec *connector.Action) Retry {
	out := Retry{Times: 1, Every: Duration{Fixed: DefaultRetryEvery}, Backoff: DefaultBackoff}
	if spec != nil {
		out.On = spec.Retry.On
		if spec.Retry.Every > 0 {
			out.Every.Fixed = spec.Retry.Every
		}
		if spec.Retry.Backoff > 0 {
			out.Backoff = spec.Retry.Backoff
		}
	}
	if r == nil {
		return out
	}
	out.Times = max(r.Times, 1)
	if r.Every.Set() {
		out.Every = c.duration(r.Every, 0)
	}
	if r.Backoff > 0 {
		out.Backoff = r.Backoff
	}
	out.If, out.Until = c.program(r.If), c.program(r.Until)
	return out
}

// undo is the step's own, else the action's.
func (c *compiler) undo(s *Step, f *facts) *Undo {
	if f.undo != nil {
		c.specs = append(c.specs, f.undo)
	}
	u := s.Undo
	if u == nil {
		return c.manifestUndo(f)
	}
	out := &Undo{
		Own: true, Action: u.Action.Value, Playbook: u.Playbook.Value, Spec: f.undo,
		Capability: u.Action.Set() && !strings.Contains(u.Action.Value, "."),
		With:       c.value(u.With), After: c.duration(u.After, 0), HasAfter: u.After.Set(), Approve: c.approval(u.Approve),
	}
	if out.With == nil {
		out.With = constant(map[string]any{})
	}
	if !out.HasAfter && f.spec != nil && f.spec.TTL > 0 {
		out.After, out.HasAfter = Duration{Fixed: f.spec.TTL}, true
	}
	return out
}

func (c *compiler) manifestUndo(f *facts) *Undo {
	if f.undo == nil {
		return nil
	}
	out := &Undo{Action: f.undoName, Capability: !strings.Contains(f.undoName, "."), Spec: f.undo, With: f.undoWith}
	if f.spec.TTL > 0 {
		out.After, out.HasAfter = Duration{Fixed: f.spec.TTL}, true
	}
	return out
}
