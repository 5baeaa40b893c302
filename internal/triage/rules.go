package triage

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"riposte/internal/alert"
	"riposte/internal/expr"
	"riposte/internal/strictyaml"
)

// Rules is a rule file, compiled. It is never changed and may be used by many
// goroutines at once.
type Rules struct {
	Name    string
	Title   string
	Version int
	Hash    string // SHA-256 of the text
	Text    string

	zone        *time.Location
	storms      []stormRule
	maintenance []maintenance
	rules       []rule
	routes      []route
	tests       []trial
	counts      bool // some rule looks at seen
}

// rule is one compiled rule.
type rule struct {
	id, title, why string
	line           int
	when           *expr.Program // nil: always
	counts         bool          // when looks at seen
	valid          span
	threshold      *threshold
	adjust         adjust
	starts         []string
	act            Act // "": it only adjusts
	within         time.Duration
	key            key
	plan           *casePlan
}

type threshold struct {
	count  int
	within time.Duration
	key    key
}

// adjust is what a rule changes.
type adjust struct {
	severity string // raise, lower, set, "": nothing
	to       int
	category string
	tags     []string
}

func (a *adjust) nothing() bool { return a.severity == "" && a.category == "" && len(a.tags) == 0 }

// The defaults of a rule file.
const (
	defaultFold   = time.Hour
	defaultAttach = 24 * time.Hour
	defaultQuiet  = 5 * time.Minute
	defaultSpare  = 30
)

// Warning is something that a rule file may hold, and that is probably not meant.
type Warning struct {
	Line int
	What string
}

// Parse reads a rule file. The error tells everything that is wrong, each at its
// line and column: fault.Invalid.
func Parse(name string, text []byte) (*Rules, error) {
	doc, err := strictyaml.Parse(name, text)
	if err != nil {
		return nil, err
	}
	var f file
	doc.Decode(&f)
	if err := doc.Err(); err != nil { // what cannot be read cannot be compiled
		return nil, err
	}
	sum := sha256.Sum256(text)
	r := &Rules{Name: f.Triage, Title: f.Title, Version: f.Version, Hash: hex.EncodeToString(sum[:]), Text: string(text), zone: time.UTC}
	scope := expr.NewScope().With("alert", alert.Type()).With("source", expr.Text())
	c := &compiler{
		doc: doc, f: &f, r: r, plain: scope, names: map[string]string{},
		counting: scope.With("seen", expr.Object(map[string]expr.Type{"rule": expr.Int(), "group": expr.Int()}, false)),
	}
	c.all()
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return r, nil
}

// compiler turns what is written into what is asked.
type compiler struct {
	doc      *strictyaml.Document
	f        *file
	r        *Rules
	plain    *expr.Scope
	counting *expr.Scope
	names    map[string]string // what bears a name
	always   string            // the rule after which none is reached
}

func (c *compiler) all() {
	c.r.zone = c.location("/zone", c.f.Zone, time.UTC)
	for i := range c.f.Storms {
		c.storm(strictyaml.Join("/storms", i), &c.f.Storms[i])
	}
	for i := range c.f.Maintenance {
		c.window(strictyaml.Join("/maintenance", i), &c.f.Maintenance[i])
	}
	for i := range c.f.Rules {
		c.rule(strictyaml.Join("/rules", i), &c.f.Rules[i])
	}
	for i := range c.f.Routes {
		c.route(strictyaml.Join("/routes", i), &c.f.Routes[i])
	}
	for i := range c.f.Tests {
		c.trial(strictyaml.Join("/tests", i), &c.f.Tests[i])
	}
}

// location reads the name of a time zone.
func (c *compiler) location(at, name string, other *time.Location) *time.Location {
	if name == "" {
		return other
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		c.doc.Errorf(at, "write a name such as Europe/Vienna or UTC", "%q is no time zone", name)
		return other
	}
	return zone
}

// named sees to it that each name is used once: it is all that an alert
// remembers of what decided.
func (c *compiler) named(at, name, what string) {
	if had, twice := c.names[name]; twice && name != "" {
		c.doc.Errorf(at, "give each a name of its own", "%q is the name of a %s already", name, had)
	}
	c.names[name] = what
}

func (c *compiler) rule(at string, t *ruleText) {
	c.named(at+"/rule", t.Rule, "rule")
	if c.always != "" {
		c.doc.Errorf(at, "move it up, or give the other one a condition", "the rule %q is never reached: %q above decides about every alert", t.Rule, c.always)
	}
	r := rule{id: t.Rule, title: t.Title, why: t.Why, line: c.doc.At(at).Line, starts: c.texts(at+"/start", t.Start)}
	if t.When != "" {
		r.when = c.condition(at+"/when", t.When, c.counting)
		r.counts = r.when != nil && reads(r.when, "seen")
		c.r.counts = c.r.counts || r.counts
	}
	if t.Valid != nil {
		r.valid = c.span(at+"/valid", t.Valid)
	}
	if t.Threshold != nil {
		if t.Threshold.Count > MostThreshold {
			c.doc.Errorf(at+"/threshold/count", fmt.Sprintf("at most %d", MostThreshold), "count is %d", t.Threshold.Count)
		}
		if t.Threshold.Within < time.Second || t.Threshold.Within > 7*24*time.Hour {
			c.doc.Errorf(at+"/threshold/within", "expected 1s to 7d", "within is no time that can be counted in")
		}
		r.threshold = &threshold{count: t.Threshold.Count, within: t.Threshold.Within}
		if t.Threshold.By != nil {
			r.threshold.key = c.key(at+"/threshold/by", t.Threshold.By)
		}
	}
	r.adjust = c.adjust(at, t)
	c.act(at, t, &r)
	if r.act == "" && r.adjust.nothing() && len(r.starts) == 0 {
		c.doc.Errorf(at, "give it then, fold, attach or case, or what it changes: severity, category, tags, start", "the rule %q does nothing", t.Rule)
	}
	if r.act == Drop && len(r.starts) > 0 {
		c.doc.Errorf(at+"/start", "remove it, or do not drop", "nothing starts for an alert that is dropped")
	}
	if r.when == nil && r.threshold == nil && t.Valid == nil && t.When == "" && (r.act == Keep || r.act == Drop || r.act == OpenCase) {
		c.always = t.Rule
	}
	c.r.rules = append(c.r.rules, r)
}

// act reads what a rule decides: one thing, or nothing.
func (c *compiler) act(at string, t *ruleText, r *rule) {
	var given []string
	if t.Then != "" {
		given, r.act = append(given, "then"), Act(t.Then)
	}
	if t.Fold != nil {
		given, r.act = append(given, "fold"), Fold
		r.within, r.key = c.keyed(at+"/fold", t.Fold, defaultFold)
		if !r.adjust.nothing() || len(r.starts) > 0 {
			c.doc.Errorf(at+"/fold", "change the alert in a rule before it", "the rule %q folds an alert away and changes it, too", t.Rule)
		}
	}
	if t.Attach != nil {
		given, r.act = append(given, "attach"), Attach
		r.within, r.key = c.keyed(at+"/attach", t.Attach, defaultAttach)
	}
	if t.Case != nil {
		given, r.act = append(given, "case"), OpenCase
		r.plan = c.plan(at+"/case", t.Case)
	}
	if len(given) > 1 {
		c.doc.Errorf(at+"/"+given[1], "give one of them", "the rule %q has %s", t.Rule, strings.Join(given, " and "))
	}
}

func (c *compiler) keyed(at string, t *keyedText, within time.Duration) (time.Duration, key) {
	if t.Within != 0 {
		within = t.Within
	}
	if within < time.Second || within > 30*24*time.Hour {
		c.doc.Errorf(at+"/within", "expected 1s to 30d", "within is no time that can be looked back")
	}
	by := t.By
	if by == nil {
		by = "group"
	}
	return within, c.key(at+"/by", by)
}

func (c *compiler) adjust(at string, t *ruleText) adjust {
	a := adjust{category: t.Category, tags: t.Tags}
	for i, tag := range t.Tags {
		if tag == "" || len(tag) > 100 {
			c.doc.Errorf(strictyaml.Join(at+"/tags", i), "expected 1 to 100 characters", "this tag has %d", len(tag))
		}
	}
	switch word, _ := t.Severity.(string); {
	case t.Severity == nil:
	case word == "raise" || word == "lower":
		a.severity = word
	default:
		a.severity, a.to = "set", c.severity(at+"/severity", t.Severity)
	}
	return a
}

// severity reads a severity that is written as a word or a number.
func (c *compiler) severity(at string, v any) int {
	n, err := alert.Severity(v)
	if err != nil || n == 0 {
		c.doc.Errorf(at, "expected informational, low, medium, high or critical", "%v is no severity", v)
	}
	return n
}

// condition compiles a condition and says where it is wrong.
func (c *compiler) condition(at, text string, scope *expr.Scope) *expr.Program {
	p, err := expr.Compile(text, scope, expr.Bool())
	if err != nil {
		c.wrong(at, err)
	}
	return p
}

func (c *compiler) wrong(at string, err error) { expr.TellAt(c.doc, at, "expression", err) }

// reads tells whether an expression uses a name.
func reads(p *expr.Program, root string) bool {
	for _, path := range p.Refs() {
		if path[0] == root {
			return true
		}
	}
	return false
}

// texts reads a text or a list of them.
func (c *compiler) texts(at string, v any) (list []string) {
	one := func(at string, v any) {
		s, ok := v.(string)
		if !ok || s == "" {
			c.doc.Errorf(at, "expected a text or a list of texts", "this is %s", expr.Describe(v))
			return
		}
		list = append(list, s)
	}
	switch v := v.(type) {
	case nil:
	case []any:
		for i, e := range v {
			one(strictyaml.Join(at, i), e)
		}
	default:
		one(at, v)
	}
	return list
}

// value compiles a value with expressions in it.
func (c *compiler) value(at string, v any) *expr.Value {
	return expr.ValueAt(c.doc, at, v, c.plain, "")
}
