package playbook

import "slices"

// builder makes the tree out of nodes. What the decoder refused is left out or
// taken as far as it goes, so that the check can look at the rest.
type builder struct {
	g *rules
}

func (b *builder) playbook(n *node) *Playbook {
	p := &Playbook{root: n, src: n.src}
	if n.kind != objectNode {
		return p
	}
	p.ID = b.text(n, "playbook")
	p.Title = b.text(n, "title")
	p.Description = b.text(n, "description")
	p.Version = b.integer(n, "version")
	p.Tags = b.texts(n.value("tags"))
	p.Impact = b.text(n, "impact")
	for _, item := range items(n.value("on")) {
		if t := b.trigger(item); t != nil {
			p.On = append(p.On, t)
		}
	}
	p.Inputs = b.entries(n.value("inputs"))
	p.Vars = b.entries(n.value("vars"))
	p.Steps = b.steps(n.value("steps"), nil, nil)
	p.OnError = b.handler(n.value("on_error"), nil)
	p.Finally = b.steps(n.value("finally"), nil, nil)
	for _, pr := range pairs(n.value("outputs")) {
		p.Outputs = append(p.Outputs, b.output(pr))
	}
	p.Timeout = b.text(n, "timeout")
	p.Saves = b.text(n, "saves")
	for _, item := range items(n.value("tests")) {
		if item.kind == objectNode {
			p.Tests = append(p.Tests, b.test(item))
		}
	}
	if c := n.value("cacao"); c != nil && c.kind == objectNode {
		p.Cacao, _ = c.decode().(map[string]any)
	}
	return p
}

func items(n *node) []*node {
	if n == nil || n.kind != listNode {
		return nil
	}
	return n.items
}

func pairs(n *node) []*pair {
	if n == nil || n.kind != objectNode {
		return nil
	}
	return n.pairs
}

// text takes a text; what is no text counts as left out.
func (b *builder) text(n *node, key string) Text { return textOf(n.value(key)) }

func textOf(n *node) Text {
	if n == nil || !n.isText() {
		return Text{}
	}
	return Text{Value: n.text, Pos: n.at, node: n}
}

// expr takes an expression, with or without ${{ }}.
func (b *builder) expr(n *node, key string) Text { return exprOf(n.value(key)) }

func exprOf(n *node) Text {
	if n == nil || n.kind != scalarNode || n.isNull() {
		return Text{}
	}
	inner, skip, _ := unwrap(n.text)
	return Text{Value: inner, Pos: n.at, node: n, skip: skip}
}

func dataOf(n *node) Data {
	if n == nil {
		return Data{}
	}
	return Data{Value: n.decode(), Pos: n.at, node: n}
}

func (b *builder) integer(n *node, key string) int {
	if v := n.value(key); v != nil && v.kind == scalarNode {
		i, _ := v.data.(int)
		return i
	}
	return 0
}

func (b *builder) texts(n *node) []Text {
	var all []Text
	for _, item := range items(n) {
		if t := textOf(item); t.Set() {
			all = append(all, t)
		}
	}
	return all
}

func (b *builder) entries(n *node) []Entry {
	var all []Entry
	for _, p := range pairs(n) {
		all = append(all, Entry{Name: p.key.text, Pos: p.key.at, Value: dataOf(p.value)})
	}
	return all
}

func (b *builder) output(p *pair) OutputText {
	o := OutputText{Name: p.key.text, Pos: p.key.at, Value: dataOf(p.value)}
	if typedOutput(p.value) {
		o.Value, o.Schema = dataOf(p.value.value("value")), dataOf(p.value.value("schema"))
	}
	return o
}

func (b *builder) steps(n *node, parent, loop *Step) []*Step {
	var all []*Step
	for _, item := range items(n) {
		if item.kind == objectNode {
			all = append(all, b.step(item, parent, loop))
		}
	}
	return all
}

func (b *builder) step(n *node, parent, loop *Step) *Step {
	s := &Step{Pos: n.at, node: n, parent: parent, loop: loop}
	var rule *verbRule
	for i := range b.g.verbs {
		if p := n.pair(b.g.verbs[i].fields[0].key); p != nil && rule == nil {
			rule = &b.g.verbs[i]
			s.verbKey = p.key
		}
	}
	s.ID, s.Name, s.Note = b.text(n, "id"), b.text(n, "name"), b.text(n, "note")
	s.When = b.expr(n, "when")
	s.Timeout, s.Saves = b.text(n, "timeout"), b.text(n, "saves")
	if rule != nil {
		s.Verb, s.valid = rule.verb, true
		b.verb(n, s)
		if s.guarded() {
			b.guarded(n, s)
		}
	}
	s.OnError = b.handler(n.value("on_error"), s)
	return s
}

func (b *builder) guarded(n *node, s *Step) {
	s.Impact, s.Rate = b.text(n, "impact"), b.text(n, "rate")
	s.Approve = b.approval(n.value("approve"))
	s.Retry = b.retry(n.value("retry"))
	s.Undo = b.undo(n.value("undo"))
	s.With = dataOf(n.value("with"))
}

func (b *builder) verb(n *node, s *Step) {
	own := n.value(s.Verb.String())
	switch s.Verb {
	case Action, Call, Stop, Ask:
		s.Head = textOf(own)
	case If, Switch, ForEach, While:
		s.Head = exprOf(own)
	case Wait:
		if s.Head = textOf(own); own.kind == objectNode {
			s.Until, s.Every = b.expr(own, "until"), b.text(own, "every")
		}
	case Set:
		s.Set = b.entries(own)
	case Parallel:
		s.Branches = b.blocks(own, s)
	}
	switch s.Verb {
	case Action:
		s.Using = b.text(n, "using")
	case Call:
		s.Version = b.integer(n, "version")
	case If:
		s.Then, s.Else = b.steps(n.value("then"), s, s.loop), b.steps(n.value("else"), s, s.loop)
	case Switch:
		s.Branches, s.Else = b.blocks(n.value("cases"), s), b.steps(n.value("else"), s, s.loop)
	case ForEach:
		s.As, s.AtOnce, s.Collect = b.text(n, "as"), b.integer(n, "at_once"), dataOf(n.value("collect"))
		s.Do = b.steps(n.value("do"), s, s)
	case While:
		s.Max, s.Do = b.integer(n, "max"), b.steps(n.value("do"), s, s)
	case Ask:
		s.To, s.Options, s.Form = dataOf(n.value("to")), b.texts(n.value("options")), dataOf(n.value("form"))
		s.Within, s.Default = b.text(n, "within"), dataOf(n.value("default"))
	case Stop:
		s.Reason = b.text(n, "reason")
	default: // the others have nothing of the kind
	}
}

func (b *builder) blocks(n *node, parent *Step) []*Blocks {
	var all []*Blocks
	for _, p := range pairs(n) {
		all = append(all, &Blocks{Name: p.key.text, Pos: p.key.at, Do: b.steps(p.value, parent, parent.loop)})
	}
	return all
}

func (b *builder) handler(n *node, parent *Step) *HandlerText {
	switch {
	case n == nil:
		return nil
	case n.kind == listNode:
		var loop *Step
		if parent != nil {
			loop = parent.loop
		}
		return &HandlerText{Pos: n.at, Do: b.steps(n, parent, loop)}
	case n.isText() && slices.Contains([]string{"continue", "undo"}, n.text):
		return &HandlerText{Pos: n.at, Word: n.text}
	}
	return nil
}

func (b *builder) approval(n *node) *ApprovalText {
	if n == nil || n.isNull() {
		return nil
	}
	a := &ApprovalText{Pos: n.at}
	if n.kind != objectNode {
		a.By = dataOf(n)
		return a
	}
	a.By, a.Need = dataOf(n.value("by")), b.expr(n, "need")
	a.Within, a.Note = b.text(n, "within"), b.text(n, "note")
	return a
}

func (b *builder) retry(n *node) *RetryText {
	if n == nil {
		return nil
	}
	r := &RetryText{Pos: n.at}
	if n.kind != objectNode {
		r.Times, _ = n.data.(int)
		return r
	}
	r.Times = b.integer(n, "times")
	r.Every = b.text(n, "every")
	if v := n.value("backoff"); v != nil && v.kind == scalarNode {
		r.Backoff, _ = number(v.data)
	}
	r.If, r.Until = b.expr(n, "if"), b.expr(n, "until")
	return r
}

func (b *builder) undo(n *node) *UndoText {
	if n == nil || n.kind != objectNode {
		return nil
	}
	return &UndoText{
		Pos: n.at, Action: b.text(n, "action"), Playbook: b.text(n, "playbook"),
		With: dataOf(n.value("with")), After: b.text(n, "after"), Approve: b.approval(n.value("approve")),
	}
}

func (b *builder) trigger(n *node) *TriggerText {
	if n.kind != objectNode {
		return nil
	}
	t := &TriggerText{Pos: n.at, With: dataOf(n.value("with")), node: n}
	for _, kind := range []TriggerKind{OnAlert, OnCase, OnIndicator, OnSchedule, OnWebhook, OnManual} {
		own := n.value(string(kind))
		if own == nil {
			continue
		}
		t.Kind = kind
		switch kind {
		case OnAlert, OnCase, OnIndicator:
			if t.Where = exprOf(own); own.kind == objectNode {
				t.Event, t.Where = b.text(own, "event"), b.expr(own, "where")
			}
		case OnSchedule:
			if t.Cron = textOf(own); own.kind == objectNode {
				t.Cron, t.Zone = b.text(own, "cron"), b.text(own, "zone")
			}
		case OnWebhook:
			if t.Path = textOf(own); own.kind == objectNode {
				t.Path, t.Auth = b.text(own, "path"), b.text(own, "auth")
			}
		case OnManual:
			t.From, t.Roles = b.texts(own.value("from")), b.texts(own.value("roles"))
		}
		return t
	}
	return nil
}

func (b *builder) test(n *node) *Test {
	t := &Test{
		Name: b.text(n, "name"), Pos: n.at, Inputs: b.entries(n.value("inputs")),
		Alert: dataOf(n.value("alert")), Case: dataOf(n.value("case")), Indicator: dataOf(n.value("indicator")),
		Now: b.text(n, "now"), Answer: b.entries(n.value("answer")),
	}
	for _, p := range pairs(n.value("mock")) {
		m := Mock{Target: p.key.text, Pos: p.key.at, List: p.value.kind == listNode}
		for _, reply := range items(p.value) {
			m.Replies = append(m.Replies, b.reply(reply))
		}
		if p.value.kind == objectNode {
			m.Replies = []Reply{b.reply(p.value)}
		}
		t.Mock = append(t.Mock, m)
	}
	e := n.value("expect")
	if e == nil || e.kind != objectNode {
		return t
	}
	t.Expect = Expectation{
		Pos: e.at, Status: b.text(e, "status"), Steps: b.entries(e.value("steps")),
		Outputs: b.entries(e.value("outputs")), Vars: b.entries(e.value("vars")),
		NotCalled: b.texts(e.value("not_called")), Undo: b.texts(e.value("undo")), HasUndo: e.pair("undo") != nil,
		Time: b.text(e, "time"),
	}
	for _, item := range items(e.value("called")) {
		t.Expect.Called = append(t.Expect.Called, TestCall{
			Pos: item.at, Action: b.text(item, "action"), With: dataOf(item.value("with")),
			Times: b.integer(item, "times"), HasTimes: item.pair("times") != nil,
		})
	}
	return t
}

func (b *builder) reply(n *node) Reply {
	r := Reply{Pos: n.at, Output: dataOf(n.value("output")), Error: b.text(n, "error"), Code: b.text(n, "code")}
	if v := n.value("timeout"); v != nil {
		r.Timeout = v.data == true
	}
	return r
}
