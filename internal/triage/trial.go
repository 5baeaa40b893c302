package triage

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"riposte/internal/alert"
	"riposte/internal/expr"
	"riposte/internal/strictyaml"
)

// trial is a test of a rule file, ready to run.
type trial struct {
	name   string
	line   int
	alerts []repeated // in order; what is expected is of the last
	expect expectText
	want   int // the severity that is expected, 0: any
}

// repeated is an alert that comes so many times. It is not multiplied before its
// test runs: a server never runs it.
type repeated struct {
	alert alert.Alert
	times int
}

// Result is what came of a test: it passed where Wrong is empty.
type Result struct {
	Name  string
	Line  int
	Wrong []string
}

// mostTimes bounds the alerts of one test.
const mostTimes = 20_000

// monday is when tests take place that do not say when.
var monday = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

func (c *compiler) trial(at string, t *testText) {
	tr := trial{name: t.Test, line: c.doc.At(at).Line, expect: t.Expect}
	now := monday
	if t.At != "" {
		var err error
		if now, err = time.Parse(time.RFC3339, t.At); err != nil {
			c.doc.Errorf(at+"/at", "expected RFC 3339, such as 2026-01-05T12:00:00Z", "%q is no time", t.At)
		}
		now = now.UTC()
	}
	total := 0
	add := func(at string, v any, when time.Time, times int) {
		a := c.example(at, v)
		a.Received, a.FirstSeen, a.LastSeen = when, when, when
		a.Time = cmpTime(a.Time, when)
		if times = max(times, 1); total+times > mostTimes {
			c.doc.Errorf(at, fmt.Sprintf("at most %d alerts a test", mostTimes), "these are too many")
			return
		}
		total += times
		tr.alerts = append(tr.alerts, repeated{a, times})
	}
	for i, b := range t.Before {
		add(strictyaml.Join(at+"/before", i)+"/alert", b.Alert, now.Add(-b.Ago), b.Times)
	}
	slices.SortStableFunc(tr.alerts, func(a, b repeated) int { return a.alert.Received.Compare(b.alert.Received) })
	add(at+"/alert", t.Alert, now, t.Times)
	if t.Expect == (expectText{}) {
		c.doc.Errorf(at+"/expect", "say status, rule, severity, starts …", "the test expects nothing")
	}
	if t.Expect.Severity != nil {
		tr.want = c.severity(at+"/expect/severity", t.Expect.Severity)
	}
	if r := t.Expect.Rule; r != nil && *r != "" && c.names[*r] == "" {
		c.doc.Errorf(at+"/expect/rule", strictyaml.DidYouMean(*r, slices.Sorted(maps.Keys(c.names))), "there is no rule %q in this file", *r)
	}
	c.r.tests = append(c.r.tests, tr)
}

func cmpTime(t, other time.Time) time.Time {
	if t.IsZero() {
		return other
	}
	return t
}

// exampleKeys are what an alert of a test may say.
var exampleKeys = []string{
	"source", "title", "description", "severity", "category", "group", "time", "techniques", "technique", "tags", "mapping", "error",
	"rule", "rule_id", "host", "user", "process", "email", "ip", "src_ip", "dst_ip", "domain", "url", "sha256", "fields", "tenant",
}

// example makes an alert of what a test says about it.
func (c *compiler) example(at string, v any) (a alert.Alert) {
	m, ok := v.(map[string]any)
	if !ok {
		c.doc.Errorf(at, "expected title, severity, group …", "the alert is %s", expr.Describe(v))
		return a
	}
	a = alert.Alert{Source: "test", Title: "Alert of a test", Status: alert.New, Count: 1, Fields: map[string]any{}}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(exampleKeys, k) {
			c.doc.Errorf(strictyaml.Join(at, k), strictyaml.DidYouMean(k, exampleKeys), "an alert of a test has no %s", k)
			continue
		}
		c.field(strictyaml.Join(at, k), &a, k, m[k])
	}
	return a
}

func (c *compiler) field(at string, a *alert.Alert, k string, v any) {
	one := func() string {
		if n, ok := v.(int); ok {
			return fmt.Sprint(n)
		}
		s, ok := v.(string)
		if !ok {
			c.doc.Errorf(at, "expected a text", "%s is %s", k, expr.Describe(v))
		}
		return s
	}
	see := func(typ, role string) {
		a.Observables = append(a.Observables, alert.Observable{Type: typ, Value: one(), Role: role})
	}
	text := map[string]*string{
		"source": &a.Source, "title": &a.Title, "description": &a.Description, "category": &a.Category, "group": &a.GroupKey,
		"mapping": &a.Mapping, "error": &a.Error, "tenant": &a.Tenant,
	}
	switch k {
	case "severity":
		a.Severity = c.severity(at, v)
	case "time":
		t, err := alert.Time(v)
		if err != nil {
			c.doc.Errorf(at, "expected RFC 3339", "%v", err)
		}
		a.Time = t
	case "techniques", "technique":
		a.Techniques = append(a.Techniques, c.texts(at, v)...)
	case "tags":
		a.Tags = c.texts(at, v)
	case "rule", "rule_id":
		a.Fields[k] = one()
	case "host", "user", "process", "email":
		a.Entities = append(a.Entities, alert.Entity{Kind: k, Value: one()})
	case "src_ip":
		see("ip", "source")
	case "dst_ip":
		see("ip", "destination")
	case "ip", "domain", "url", "sha256":
		see(k, "")
	case "fields":
		f, ok := v.(map[string]any)
		if !ok {
			c.doc.Errorf(at, "expected a mapping", "fields is %s", expr.Describe(v))
		}
		maps.Copy(a.Fields, f)
	default:
		*text[k] = one()
	}
}

// Test runs the file's own tests.
func (r *Rules) Test() []Result {
	out := make([]Result, len(r.tests))
	for i := range r.tests {
		out[i] = r.run(&r.tests[i])
	}
	return out
}

func (r *Rules) run(t *trial) Result {
	v := NewVirtual(r)
	var d Decision
	for i, one := range t.alerts {
		for n := range one.times {
			a := one.alert
			a.IdentityKey = fmt.Sprintf("test-%d-%d", i, n)
			d = v.Take(&a)
		}
	}
	res := Result{Name: t.name, Line: t.line}
	wrong := func(what string, got, want any) {
		res.Wrong = append(res.Wrong, fmt.Sprintf("%s is %v, want %v", what, got, want))
	}
	e := &t.expect
	if got := string(d.Act.Status()); e.Status != "" && got != e.Status {
		wrong("status", got+" ("+d.Sentence(caseName(d.Case))+")", e.Status)
	}
	if e.Rule != nil && *e.Rule != d.Rule {
		wrong("rule", orNone(d.Rule), orNone(*e.Rule))
	}
	if t.want != 0 && t.want != d.Severity {
		wrong("severity", severityWords[d.Severity], severityWords[t.want])
	}
	if e.Category != nil && *e.Category != d.Category {
		wrong("category", orNone(d.Category), orNone(*e.Category))
	}
	if e.Tags != nil && !alike(*e.Tags, d.Tags) {
		wrong("tags", d.Tags, *e.Tags)
	}
	var starts []string
	for _, s := range d.Starts {
		starts = append(starts, s.Playbook)
	}
	if e.Starts != nil && !alike(*e.Starts, starts) {
		wrong("starts", starts, *e.Starts)
	}
	if e.Triggers != nil && *e.Triggers != d.Triggers {
		wrong("triggers", d.Triggers, *e.Triggers)
	}
	if e.Cases != nil && *e.Cases != len(v.Cases) {
		wrong("cases", len(v.Cases), *e.Cases)
	}
	if e.Case != nil {
		title := ""
		if d.Case > 0 {
			title = v.Cases[d.Case-1].Title
		}
		if title != *e.Case {
			wrong("case", orNone(title), orNone(*e.Case))
		}
	}
	if on := len(v.State.Storms()) > 0; e.Storm != nil && *e.Storm != on {
		wrong("storm", on, *e.Storm)
	}
	if e.Problems != nil && *e.Problems != len(d.Problems) {
		wrong("problems", d.Problems, *e.Problems)
	}
	return res
}

func caseName(n int64) string { return fmt.Sprint("C-", n) }

func orNone(s string) string { return cmp.Or(s, "none") }

func alike(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// Playbooks lists what rules and routes start, each once.
func (r *Rules) Playbooks() (list []string) {
	for i := range r.rules {
		list = append(list, r.rules[i].starts...)
	}
	for i := range r.routes {
		list = append(list, r.routes[i].starts...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Warnings tells what is probably not meant: rules whose time is over, and
// playbooks that known does not know; nil: all are known.
func (r *Rules) Warnings(now time.Time, known func(playbook string) bool) (all []Warning) {
	for i := range r.rules {
		rule := &r.rules[i]
		if !rule.valid.until.IsZero() && !now.Before(rule.valid.until) {
			all = append(all, Warning{rule.line, fmt.Sprintf("the rule %q is not valid any more since %s; remove it or give it a later time", rule.id, rule.valid.until.Format(time.RFC3339))})
		}
		all = append(all, unknown(rule.line, "rule", rule.id, rule.starts, known)...)
	}
	for i := range r.routes {
		all = append(all, unknown(r.routes[i].line, "route", r.routes[i].id, r.routes[i].starts, known)...)
	}
	return all
}

func unknown(line int, what, name string, starts []string, known func(string) bool) (all []Warning) {
	for _, slug := range starts {
		if known != nil && !known(slug) {
			all = append(all, Warning{line, fmt.Sprintf("the %s %q starts the playbook %s, which is not published", what, name, slug)})
		}
	}
	return all
}

// WhyOf tells what a rule, window or storm of the set says of itself, "" where
// there is none.
func (r *Rules) WhyOf(id string) string {
	for i := range r.rules {
		if r.rules[i].id == id {
			if r.rules[i].title == "" {
				return r.rules[i].why
			}
			return r.rules[i].title + ": " + r.rules[i].why
		}
	}
	for i := range r.maintenance {
		if r.maintenance[i].id == id {
			return r.maintenance[i].why
		}
	}
	for i := range r.storms {
		if r.storms[i].id == id {
			return r.storms[i].why
		}
	}
	return ""
}

// Tests tells how many tests the file holds.
func (r *Rules) Tests() int { return len(r.tests) }
