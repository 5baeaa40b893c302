package triage

import (
	"fmt"
	"slices"

	"riposte/internal/alert"
	"riposte/internal/expr"
)

// Prepared is an alert with all that can be worked out about it before its turn
// comes: the conditions of rules, as far as they do not hang on what came
// before. It belongs to one goroutine at a time.
type Prepared struct {
	Alert  *alert.Alert   // as it came; Received is the time that rules go by
	Object map[string]any // as expressions see it

	rules *Rules
	env   expr.Env
	memo  []memo
	known int // rules below this have their memo
	storm []*keyed
}

// memo is what a condition came to, and the key that the rule then goes by.
type memo struct {
	holds bool
	err   error
	key   *keyed
}

// keyed is a key that was worked out.
type keyed struct {
	text  string
	whole bool
	err   error
	id    ident
}

func (k *key) keyed(p *Prepared) *keyed {
	out := &keyed{}
	if out.text, out.whole, out.err = k.of(p.Alert, &p.env); out.err == nil {
		out.id = identOf(out.text)
	}
	return out
}

// keyOf is the key that a rule goes by: worked out once.
func (p *Prepared) keyOf(i int, k *key) *keyed {
	if i >= len(p.memo) {
		return k.keyed(p)
	}
	if p.memo[i].key == nil {
		p.memo[i].key = k.keyed(p)
	}
	return p.memo[i].key
}

// Prepare makes an alert ready. object is what Alert.Object gives, nil to have
// it made; it is changed as rules change the alert.
func (r *Rules) Prepare(a *alert.Alert, object map[string]any) *Prepared {
	if object == nil {
		object = a.Object()
	}
	p := &Prepared{Alert: a, Object: object, rules: r}
	p.env = expr.Env{Roots: map[string]any{"alert": object, "source": a.Source}, Now: a.Received}
	p.storm = make([]*keyed, len(r.storms))
	for i := range r.storms {
		p.storm[i] = r.storms[i].key.keyed(p)
	}
	if a.Error != "" {
		return p
	}
	w := working{a.Severity, a.Category, a.Tags}
	p.memo = make([]memo, len(r.rules))
	for i := range r.rules {
		rule := &r.rules[i]
		if rule.counts {
			break
		}
		if rule.valid.holds(a.Received) {
			p.memo[i] = p.ask(rule)
		}
		p.known = i + 1
		if !p.memo[i].holds || p.memo[i].err != nil {
			continue
		}
		if rule.act == Fold || rule.act == Attach {
			p.keyOf(i, &rule.key)
		}
		if rule.act == "" && !rule.adjust.nothing() {
			if rule.threshold != nil {
				break // the next ones see what it has changed, or do not
			}
			w.apply(&rule.adjust)
			w.show(object)
		}
		if rule.threshold == nil && (rule.act == Keep || rule.act == Drop || rule.act == OpenCase) {
			break
		}
	}
	return p
}

// working is what rules have made of an alert so far.
type working struct {
	severity int
	category string
	tags     []string
}

// show lets expressions see it.
func (w *working) show(object map[string]any) {
	tags := make([]any, len(w.tags))
	for i, t := range w.tags {
		tags[i] = t
	}
	object["severity"], object["tags"], object["category"] = w.severity, tags, any(nil)
	if w.category != "" {
		object["category"] = w.category
	}
}

func (w *working) apply(a *adjust) {
	const medium = 3 // what an unknown severity is taken for
	from := w.severity
	if from == 0 {
		from = medium
	}
	switch a.severity {
	case "raise":
		w.severity = min(from+1, 5)
	case "lower":
		w.severity = max(from-1, 1)
	case "set":
		w.severity = a.to
	}
	if a.category != "" {
		w.category = a.category
	}
	for _, t := range a.tags {
		if !slices.Contains(w.tags, t) {
			w.tags = append(slices.Clip(w.tags), t)
		}
	}
}

// ask works a rule's condition out.
func (p *Prepared) ask(rule *rule) (m memo) {
	if rule.when == nil {
		return memo{holds: true}
	}
	m.holds, m.err = rule.when.EvalBool(&p.env)
	return m
}

// Decide says what becomes of an alert, and lets the state remember it. What it
// does to the state u can take back. The error is one of the world.
func (r *Rules) Decide(p *Prepared, s *State, world World, u *Undo) (Decision, error) {
	return r.decide(p, s, world, false, u)
}

// Foresee says what would become of an alert, and lets nobody remember it. It
// may be wrong where Decide would count.
func (r *Rules) Foresee(p *Prepared, s *State, world World) (Decision, error) {
	return r.decide(p, s, world, true, nil)
}

func (r *Rules) decide(p *Prepared, s *State, world World, dry bool, u *Undo) (Decision, error) {
	w := walk{r: r, p: p, s: s, world: world, dry: dry, u: u}
	w.Decision = Decision{Act: Keep, Triggers: true, Severity: p.Alert.Severity, Category: p.Alert.Category, Tags: p.Alert.Tags}
	if err := w.all(); err != nil {
		return w.Decision, err
	}
	d := w.Decision
	if d.Act != Drop {
		if out := r.stormed(p, s, &d, dry, u); out != nil {
			d = *out
		}
	}
	if !dry {
		r.remember(p, s, &d, w.keys, u)
	}
	return d, nil
}

// remember keeps what later alerts need of this one.
func (r *Rules) remember(p *Prepared, s *State, d *Decision, keys []ident, u *Undo) {
	a := p.Alert
	if d.Act.Status() == alert.New || d.Act.Status() == alert.InCase {
		s.remember(keys, head{a.ID, a.Received.UnixMicro(), d.Severity})
	}
	if r.counts {
		s.count(kindKey(a), a.Received, u)
		if a.GroupKey != "" {
			s.count(groupKey(a), a.Received, u)
		}
	}
}

func kindKey(a *alert.Alert) ident  { return identOf("rule " + a.Source + " " + kind(a)) }
func groupKey(a *alert.Alert) ident { return identOf("group " + a.GroupKey) }

// walk is one alert's way through the rules.
type walk struct {
	Decision
	r     *Rules
	p     *Prepared
	s     *State
	world World
	dry   bool
	u     *Undo
	keys  []ident // of folds that found nothing: others may be folded into this one
}

func (w *walk) all() error {
	a := w.p.Alert
	if a.Error != "" {
		w.Outcome, w.Triggers = "it could not be read", false
		return nil
	}
	if w.maintained() {
		return nil
	}
	for i := range w.r.rules {
		over, err := w.rule(i)
		if over || err != nil {
			return err
		}
	}
	w.Outcome = "no rule decided"
	w.finish()
	return nil
}

// finish adds what starts.
func (w *walk) finish() {
	if w.Act == Drop || w.Act == Fold {
		w.Starts, w.Triggers = nil, false
		return
	}
	w.sight()
	w.r.routed(w.p, &w.Decision)
}

// sight lets expressions see the alert as the rules have made it.
func (w *walk) sight() {
	(&working{w.Severity, w.Category, w.Tags}).show(w.p.Object)
}

func (w *walk) maintained() bool {
	for i := range w.r.maintenance {
		m := &w.r.maintenance[i]
		if !m.open(w.p.Alert.Received) {
			continue
		}
		w.sight()
		ok, err := m.covers.EvalBool(&w.p.env)
		if err != nil {
			w.problem(m.id, err)
		}
		if err == nil && ok {
			w.Act, w.Rule, w.Outcome, w.Triggers = m.act, m.id, "expected in a maintenance window: "+m.why, false
			return true
		}
	}
	return false
}

// rule asks one rule; over tells that it has decided.
func (w *walk) rule(i int) (over bool, err error) {
	rule, a := &w.r.rules[i], w.p.Alert
	if !rule.valid.holds(a.Received) {
		return false, nil
	}
	m := w.holds(i)
	if m.err != nil {
		w.problem(rule.id, m.err)
	}
	if m.err != nil || !m.holds {
		return false, nil
	}
	if enough, err := w.enough(i); err != nil || !enough {
		return false, nil
	}
	switch rule.act {
	case Fold:
		return w.fold(i)
	case Attach:
		return w.attach(i)
	case OpenCase:
		return true, w.open(rule)
	case Keep, Drop:
		w.decided(rule, rule.act)
		w.finish()
		return true, nil
	case Storm:
	}
	w.change(rule)
	return false, nil
}

func (w *walk) holds(i int) memo {
	if i < w.p.known {
		return w.p.memo[i]
	}
	rule := &w.r.rules[i]
	if rule.counts {
		a := w.p.Alert
		seen := map[string]any{"rule": w.s.before(kindKey(a), a.Received), "group": 0}
		if a.GroupKey != "" {
			seen["group"] = w.s.before(groupKey(a), a.Received)
		}
		w.p.env.Roots["seen"] = seen
	}
	w.sight()
	return w.p.ask(rule)
}

// enough asks a rule's threshold.
func (w *walk) enough(i int) (bool, error) {
	rule := &w.r.rules[i]
	t := rule.threshold
	if t == nil {
		return true, nil
	}
	key, _, err := t.key.of(w.p.Alert, &w.p.env)
	if err != nil {
		w.problem(rule.id, err)
		return false, err
	}
	k := hitKey{i, identOf(key)}
	var n int
	if w.dry {
		n = w.s.peek(k, w.p.Alert.Received, t.within, t.count)
	} else {
		n = w.s.hit(k, w.p.Alert.Received, t.within, t.count, w.u)
	}
	return n >= t.count, nil
}

func (w *walk) fold(i int) (over bool, err error) {
	rule, a := &w.r.rules[i], w.p.Alert
	k, ok := w.key(i)
	if !ok {
		return false, nil
	}
	h, known := w.s.heads[k.id]
	// What is more severe than what people see already is never folded away.
	if known && h.at >= a.Received.Add(-rule.within).UnixMicro() && w.Severity <= h.severity {
		open, err := w.world.Open(h.id)
		if err != nil {
			return false, err
		}
		if open {
			w.decided(rule, Fold)
			w.Key, w.Into = k.text, h.id
			w.finish()
			return true, nil
		}
	}
	w.keys = append(w.keys, k.id)
	return false, nil
}

// key works out what a rule goes by; ok is false where the alert lacks a part.
func (w *walk) key(i int) (k *keyed, ok bool) {
	rule := &w.r.rules[i]
	if k = w.p.keyOf(i, &rule.key); k.err != nil {
		w.problem(rule.id, k.err)
	}
	if k.err != nil || !k.whole {
		return k, false
	}
	return k, true
}

func (w *walk) attach(i int) (over bool, err error) {
	rule, a := &w.r.rules[i], w.p.Alert
	k, ok := w.key(i)
	if !ok {
		return false, nil
	}
	c, err := w.world.CaseOf(k.text, a.Received.Add(-rule.within))
	if err != nil {
		return false, err
	}
	if c == 0 {
		return false, nil
	}
	w.decided(rule, Attach)
	w.Key, w.Case = k.text, c
	w.finish()
	return true, nil
}

func (w *walk) open(rule *rule) error {
	w.decided(rule, OpenCase)
	w.sight()
	key, whole, err := rule.plan.key.of(w.p.Alert, &w.p.env)
	if err != nil {
		w.problem(rule.id, err)
	}
	if err == nil && whole {
		w.Key = key
		c, err := w.world.CaseOf(key, w.p.Alert.Received.Add(-rule.plan.within))
		if err != nil {
			return err
		}
		if c != 0 {
			w.Act, w.Case = Attach, c
			w.finish()
			return nil
		}
	}
	w.Open = rule.plan.fill(w.p.Alert, &w.Decision, &w.p.env)
	w.Open.Group = w.Key
	w.finish()
	return nil
}

// decided makes a rule the one that decided; what it changes holds, too.
func (w *walk) decided(rule *rule, act Act) {
	w.Act, w.Rule, w.Outcome = act, rule.id, rule.why
	w.change(rule)
}

func (w *walk) change(rule *rule) {
	for _, slug := range rule.starts {
		w.start(slug, nil, "rule:"+rule.id)
	}
	if rule.adjust.nothing() {
		return
	}
	now := working{w.Severity, w.Category, w.Tags}
	now.apply(&rule.adjust)
	if now.severity != w.Severity {
		w.Changes = append(w.Changes, Changed{rule.id, "severity", w.Severity, now.severity})
	}
	if now.category != w.Category {
		w.Changes = append(w.Changes, Changed{rule.id, "category", w.Category, now.category})
	}
	if len(now.tags) != len(w.Tags) {
		w.Changes = append(w.Changes, Changed{rule.id, "tags", w.Tags, now.tags})
	}
	w.Severity, w.Category, w.Tags = now.severity, now.category, now.tags
}

// severityWords are the severities as sentences name them.
var severityWords = [...]string{"unknown", "informational", "low", "medium", "high", "critical"}

// Sentence says what became of an alert; ref is the case that it is in then.
func (d *Decision) Sentence(ref string) string {
	var s string
	switch d.Act {
	case Drop:
		s = "Dropped: " + d.Outcome
	case Fold:
		s = fmt.Sprintf("Folded into %s: %s", d.Into, d.Outcome)
	case Storm:
		s = fmt.Sprintf("Folded into %s, %s", d.Into, d.Outcome)
	case Attach:
		s = fmt.Sprintf("Attached to case %s: %s", ref, d.Outcome)
	case OpenCase:
		s = fmt.Sprintf("Opened case %s: %s", ref, d.Outcome)
		if d.Storm != nil {
			s = fmt.Sprintf("In case %s %s", ref, d.Outcome)
		}
	case Keep:
		s = "Kept: " + d.Outcome
	}
	for _, c := range d.Changes {
		if c.Field == "severity" {
			s += "; " + c.String()
		}
	}
	return s
}

// Apply makes an alert what was decided about it; from is the alert as it came,
// ref the case that it is in then. It tells whether more than columns of its
// own has changed: tags, what was given, problems.
func (d *Decision) Apply(to, from *alert.Alert, rulesNo int, ref string) (anew bool) {
	var given *alert.Given
	if len(d.Changes) > 0 {
		given = &alert.Given{Severity: from.Severity, Category: from.Category, Tags: from.Tags}
	}
	var problems []string
	for _, p := range d.Problems {
		problems = append(problems, clip(p.String(), 500))
	}
	anew = !slices.Equal(to.Tags, d.Tags) || !slices.Equal(to.Problems, problems) || (to.Given == nil) != (given == nil)
	to.Severity, to.Category, to.Tags, to.Given, to.Problems = d.Severity, d.Category, d.Tags, given, problems
	to.Status, to.Rule, to.RulesNo, to.Outcome, to.Into = d.Act.Status(), d.Rule, rulesNo, d.Sentence(ref), d.Into
	return anew
}

// AsItCame is a stored alert before the rules that decided about it changed it.
func AsItCame(a alert.Alert) alert.Alert {
	if g := a.Given; g != nil {
		a.Severity, a.Category, a.Tags, a.Given = g.Severity, g.Category, g.Tags, nil
	}
	a.Status, a.Rule, a.RulesNo, a.Outcome, a.Into, a.Problems = alert.New, "", 0, "", 0, nil
	return a
}
