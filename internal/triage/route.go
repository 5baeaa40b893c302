package triage

import (
	"fmt"
	"strings"

	"riposte/internal/alert"
	"riposte/internal/expr"
)

// route is one row of the routing table.
type route struct {
	id                                              string
	line                                            int
	rule, tag, technique, product, source, category []string
	severity                                        int
	when                                            *expr.Program
	starts                                          []string
	with                                            *expr.Value
}

func (c *compiler) route(at string, t *routeText) {
	c.named(at+"/route", t.Route, "route")
	r := route{
		id: t.Route, line: c.doc.At(at).Line,
		rule: c.texts(at+"/rule_id", numbered(t.RuleID)), tag: c.texts(at+"/tag", t.Tag), technique: c.texts(at+"/technique", t.Technique),
		product: c.texts(at+"/product", t.Product), source: c.texts(at+"/source", t.Source), category: c.texts(at+"/category", t.Category),
		starts: c.texts(at+"/start", t.Start),
	}
	if t.Severity != nil {
		r.severity = c.severity(at+"/severity", t.Severity)
	}
	if t.When != "" {
		r.when = c.condition(at+"/when", t.When, c.plain)
	}
	if len(t.With) > 0 {
		r.with = c.value(at+"/with", t.With)
	}
	if r.rule == nil && r.tag == nil && r.technique == nil && r.product == nil && r.source == nil && r.category == nil && r.severity == 0 && t.When == "" {
		c.doc.Errorf(at, "say for what: rule_id, tag, technique, product, source, category, severity or when", "the route %q starts its playbooks for everything", t.Route)
	}
	c.r.routes = append(c.r.routes, r)
}

// numbered lets the number of a rule be written without quotes.
func numbered(v any) any {
	switch v := v.(type) {
	case int:
		return fmt.Sprint(v)
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = numbered(e)
		}
		return list
	}
	return v
}

// fits tells whether a row is meant for an alert as the rules have made it.
func (r *route) fits(a *alert.Alert, d *Decision, e *expr.Env) (bool, error) {
	switch {
	case r.severity > d.Severity,
		r.rule != nil && !anyOf(r.rule, fieldText(a, "rule_id"), fieldText(a, "rule")),
		r.tag != nil && !anyOf(r.tag, d.Tags...),
		r.technique != nil && !techniques(r.technique, a.Techniques),
		r.product != nil && !anyOf(r.product, a.Mapping, fieldText(a, "product"), fieldText(a, "product_name"), fieldText(a, "vendor")),
		r.source != nil && !anyOf(r.source, a.Source),
		r.category != nil && !anyOf(r.category, d.Category):
		return false, nil
	case r.when != nil:
		return r.when.EvalBool(e)
	}
	return true, nil
}

// fieldText is a field of the alert's normal form as text.
func fieldText(a *alert.Alert, name string) string {
	switch v := a.Fields[name].(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		text, err := expr.Show(v)
		if err != nil {
			return ""
		}
		return text
	}
}

// anyOf tells whether one of the values is one of those wanted; upper and lower
// case are alike, * stands for anything.
func anyOf(wanted []string, values ...string) bool {
	for _, v := range values {
		for _, w := range wanted {
			if v != "" && like(strings.ToLower(w), strings.ToLower(v)) {
				return true
			}
		}
	}
	return false
}

func like(pattern, s string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	if !strings.HasPrefix(s, head) {
		return false
	}
	for s = s[len(head):]; ; s = s[1:] {
		if like(rest, s) {
			return true
		}
		if s == "" {
			return false
		}
	}
}

// techniques tells whether one of the alert's is one of those wanted, or a
// sub-technique of it.
func techniques(wanted, values []string) bool {
	for _, v := range values {
		for _, w := range wanted {
			if strings.EqualFold(v, w) || len(v) > len(w) && v[len(w)] == '.' && strings.EqualFold(v[:len(w)], w) {
				return true
			}
		}
	}
	return false
}

// routed adds what the routing table starts.
func (r *Rules) routed(p *Prepared, d *Decision) {
	for i := range r.routes {
		row := &r.routes[i]
		ok, err := row.fits(p.Alert, d, &p.env)
		if err != nil {
			d.problem("route "+row.id, err)
			continue
		}
		if !ok {
			continue
		}
		var with map[string]any
		if row.with != nil {
			v, err := row.with.Eval(&p.env)
			if err != nil {
				d.problem("route "+row.id, err)
				continue
			}
			with, _ = expr.Normalize(v).(map[string]any)
		}
		for _, slug := range row.starts {
			d.start(slug, with, "route:"+row.id)
		}
	}
}

// start names a playbook once: who names it first says what it gets.
func (d *Decision) start(slug string, with map[string]any, by string) {
	for _, s := range d.Starts {
		if s.Playbook == slug {
			return
		}
	}
	d.Starts = append(d.Starts, Start{Playbook: slug, With: with, By: by})
}

func (d *Decision) problem(rule string, err error) {
	d.Problems = append(d.Problems, Problem{rule, strings.TrimSuffix(err.Error(), ": invalid")})
}
