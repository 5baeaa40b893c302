package guard

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"riposte/connector"
	"riposte/internal/expr"
	"riposte/internal/strictyaml"
)

// Policy is an ordered list of rules. The first whose condition holds decides;
// where none does, the answer is no.
type Policy struct {
	rules     []rule
	zone      *time.Location
	notAuthor bool
	roots     map[string]bool // the names that conditions use
	envs      sync.Pool
	single    map[connector.TargetKind][]any // the list of one kind
}

// rule is one compiled rule.
type rule struct {
	name, reason string
	when         *expr.Program // nil: always
	then         Outcome       // Allow, Deny, Shadow or Ask
	ask          Quorum
}

type policyFile struct {
	Zone      string     `yaml:"zone" doc:"the time zone of hour and weekday, such as Europe/Vienna; default UTC"`
	NotAuthor bool       `yaml:"not_author" doc:"whoever started a run may never approve it, not even where only its playbook asks"`
	Rules     []ruleText `yaml:"rules,required" min:"1" doc:"the first rule whose condition holds decides"`
}

type ruleText struct {
	Name   string  `yaml:"rule,required" pattern:"[a-z][a-z0-9-]{1,62}" doc:"the rule's name, as it stands beside each decision: small letters, digits, hyphens"`
	Reason string  `yaml:"reason,required" min:"1" doc:"why it is so; people see it"`
	When   string  `yaml:"when" doc:"an expression that is true or false; default: always"`
	Then   string  `yaml:"then" enum:"allow,deny,shadow" doc:"allow, deny or shadow (recorded, not done); or write ask"`
	Ask    *Quorum `yaml:"ask" doc:"who must agree: people, or by, need, within, veto, not_author"`
}

// ParsePolicy reads a policy file. The error tells everything that is wrong,
// each at its line and column: fault.Invalid.
func ParsePolicy(file string, data []byte) (*Policy, error) {
	doc, err := strictyaml.Parse(file, data)
	if err != nil {
		return nil, err
	}
	var f policyFile
	doc.Decode(&f)
	p := &Policy{notAuthor: f.NotAuthor, zone: time.UTC, roots: map[string]bool{}, single: map[connector.TargetKind][]any{}}
	for _, k := range connector.TargetKinds {
		p.single[k] = []any{string(k)}
	}
	if f.Zone != "" {
		zone, err := time.LoadLocation(f.Zone)
		if err != nil || f.Zone == "Local" {
			doc.Errorf("/zone", "write a name such as Europe/Vienna or UTC", "%q is no time zone", f.Zone)
		} else {
			p.zone = zone
		}
	}
	c := policyReader{p: p, doc: doc, names: map[string]int{}}
	for i := range f.Rules {
		c.rule(strictyaml.Join("/rules", i), i, &f.Rules[i])
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

type policyReader struct {
	p      *Policy
	doc    *strictyaml.Document
	names  map[string]int
	always string // the rule after which none is reached
}

func (c *policyReader) rule(at string, i int, text *ruleText) {
	if n, twice := c.names[text.Name]; twice && text.Name != "" {
		c.doc.Errorf(at+"/rule", "give each rule a name of its own", "the rule %q is here twice; rule %d has this name, too", text.Name, n+1)
	}
	c.names[text.Name] = i
	if c.always != "" {
		c.doc.Errorf(at, "move it up, or give the other one a condition", "the rule %q is never reached: %q above always holds", text.Name, c.always)
	}
	r := rule{name: text.Name, reason: text.Reason, then: Outcome(text.Then)}
	switch {
	case text.Ask != nil && text.Then != "":
		c.doc.Errorf(at+"/then", "give one of them", "the rule %q has both then and ask", text.Name)
	case text.Ask != nil:
		r.then, r.ask = Ask, *text.Ask
	case text.Then == "":
		c.doc.Errorf(at, "give it then: allow, deny or shadow, or ask", "the rule %q decides nothing", text.Name)
	}
	if text.When == "" {
		c.always = text.Name
	} else {
		r.when = c.condition(at+"/when", text.When)
	}
	c.p.rules = append(c.p.rules, r)
}

func (c *policyReader) condition(at, text string) *expr.Program {
	p, err := expr.Compile(text, policyScope(), expr.Bool())
	if err != nil {
		expr.TellAt(c.doc, at, "condition", err)
		return nil
	}
	for _, wrong := range wrongWords(text) {
		c.doc.Errorf(at, wrong.hint, "%s is never %q", wrong.root, wrong.word)
	}
	for _, path := range p.Refs() {
		c.p.roots[path[0]] = true
	}
	return p
}

// words are the roots of conditions that have only a few values.
func words(root string) []string {
	switch root {
	case "impact":
		return []string{"change", "destroy"}
	case "verdict":
		return []string{"malicious", "suspicious", "harmless", "unknown"}
	case "weekday":
		return []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
	case "kind", "kinds":
		list := make([]string, len(connector.TargetKinds))
		for i, k := range connector.TargetKinds {
			list[i] = string(k)
		}
		return list
	}
	return nil
}

type wrongWord struct{ root, word, hint string }

// wrongWords finds comparisons that can never hold, such as impact == "chnage":
// a rule that is silently skipped is the worst kind of wrong policy.
func wrongWords(text string) []wrongWord {
	var all []wrongWord
	comparison := regexp.MustCompile(`\b(impact|verdict|weekday|kind)\s*(?:==|!=|in)\s*("[^"]*"|'[^']*'|\[[^\]]*\])`)
	contains := regexp.MustCompile(`("[^"]*"|'[^']*')\s+in\s+(kinds)\b`)
	quoted := regexp.MustCompile(`["']([^"']*)["']`)
	add := func(root, part string) {
		for _, m := range quoted.FindAllStringSubmatch(part, -1) {
			if !slices.Contains(words(root), m[1]) {
				all = append(all, wrongWord{root, m[1], strictyaml.DidYouMean(m[1], words(root))})
			}
		}
	}
	for _, m := range comparison.FindAllStringSubmatch(text, -1) {
		add(m[1], m[2])
	}
	for _, m := range contains.FindAllStringSubmatch(text, -1) {
		add(m[2], m[1])
	}
	return all
}

// policyScope types the names that conditions may use.
func policyScope() *expr.Scope {
	target := expr.Object(map[string]expr.Type{
		"kind": expr.Text(), "value": expr.Text(), "labels": expr.List(expr.Text()),
	}, false)
	s := expr.NewScope()
	for name, t := range map[string]expr.Type{
		"impact": expr.Text(), "capability": expr.Text(), "connector": expr.Text(), "action": expr.Text(), "connection": expr.Text(),
		"playbook": expr.Text(), "tenant": expr.Text(), "by": expr.Text(), "person": expr.Bool(),
		"target": target.Nullable(), "targets": expr.List(target), "kinds": expr.List(expr.Text()), "labels": expr.List(expr.Text()),
		"count": expr.Int(), "verdict": expr.Text(), "confidence": expr.Int(), "severity": expr.Int(),
		"hour": expr.Int(), "weekday": expr.Text(), "reversible": expr.Bool(), "ends": expr.Bool(),
	} {
		s = s.With(name, t)
	}
	return s
}

// decide finds the first rule that holds. The error is one of evaluation, with
// the rule that it happened in.
func (p *Policy) decide(q *Request, targets []connector.Target) (*rule, error) {
	if p == nil {
		return nil, nil
	}
	env, _ := p.envs.Get().(*expr.Env)
	if env == nil {
		env = &expr.Env{Roots: make(map[string]any, len(p.roots))}
	}
	defer p.envs.Put(env)
	env.Now = q.At
	for name := range p.roots { // no others are worked out
		env.Roots[name] = p.root(name, q, targets)
	}
	for i := range p.rules {
		r := &p.rules[i]
		if r.when == nil {
			return r, nil
		}
		ok, err := r.when.EvalBool(env)
		if err != nil {
			return r, err
		}
		if ok {
			return r, nil
		}
	}
	return nil, nil
}

// root gives the value of a name in conditions.
func (p *Policy) root(name string, q *Request, targets []connector.Target) any {
	a := q.Action
	switch name {
	case "impact":
		return q.Impact.String()
	case "capability":
		if a != nil {
			return a.Capability
		}
	case "connector":
		if a != nil {
			return a.Connector
		}
	case "action":
		if a != nil {
			return a.Name()
		}
	case "connection":
		return q.Connection
	case "playbook":
		return q.Playbook
	case "tenant":
		return q.Tenant
	case "by":
		return q.By
	case "person":
		return q.person()
	case "target":
		if len(targets) == 0 {
			return nil
		}
		return targetValue(q, targets[0])
	case "targets":
		list := make([]any, len(targets))
		for i, t := range targets {
			list[i] = targetValue(q, t)
		}
		return list
	case "kinds":
		return p.kindsOf(targets)
	case "labels":
		return labelsOf(q, targets)
	case "count":
		return len(targets)
	case "verdict":
		if q.Verdict != "" {
			return q.Verdict
		}
		return "unknown"
	case "confidence":
		return q.Confidence
	case "severity":
		return q.Severity
	case "hour":
		return q.At.In(p.zone).Hour()
	case "weekday":
		return strings.ToLower(q.At.In(p.zone).Weekday().String())
	case "reversible":
		return q.TakeBack.Possible()
	case "ends":
		return q.TakeBack.Possible() && (q.TakeBack.After > 0 || q.TakeBack.Text != "")
	}
	return ""
}

func targetValue(q *Request, t connector.Target) map[string]any {
	labels := make([]any, len(q.Labels[t]))
	for i, l := range q.Labels[t] {
		labels[i] = l
	}
	return map[string]any{"kind": string(t.Kind), "value": t.Value, "labels": labels}
}

func (p *Policy) kindsOf(targets []connector.Target) []any {
	if len(targets) == 1 { // nearly always
		if one := p.single[targets[0].Kind]; one != nil {
			return one
		}
	}
	kinds := []any{}
	for _, t := range targets {
		if !slices.Contains(kinds, any(string(t.Kind))) {
			kinds = append(kinds, string(t.Kind))
		}
	}
	return kinds
}

func labelsOf(q *Request, targets []connector.Target) []any {
	labels := []any{}
	for _, t := range targets {
		for _, l := range q.Labels[t] {
			if !slices.Contains(labels, any(l)) {
				labels = append(labels, l)
			}
		}
	}
	return labels
}
