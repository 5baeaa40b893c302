package triage

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"riposte/internal/alert"
	"riposte/internal/expr"
	"riposte/internal/strictyaml"
)

// casePlan is a compiled template of a case.
type casePlan struct {
	template                  string
	title, description        *expr.Value
	category, owner, tlp, pap string
	severity                  int
	tags                      []string
	tasks                     []taskPlan
	key                       key
	within                    time.Duration
}

type taskPlan struct {
	title, text *expr.Value
	assignee    string
}

// plan compiles a template, over the one that it adds to.
func (c *compiler) plan(at string, t *caseTemplate) *casePlan {
	base := &casePlan{within: defaultAttach}
	if t.Template != "" {
		named, ok := c.f.Templates[t.Template]
		if !ok {
			names := slices.Sorted(maps.Keys(c.f.Templates))
			c.doc.Errorf(at+"/template", cmp.Or(strictyaml.DidYouMean(t.Template, names), "name one under templates"), "there is no template %q", t.Template)
			return base
		}
		if named.Template != "" {
			c.doc.Errorf("/templates/"+t.Template+"/template", "write it out", "a template cannot add to another")
		}
		base = c.part("/templates/"+t.Template, &named, base)
		base.template = t.Template
	}
	p := c.part(at, t, base)
	if p.key.parts == nil && !p.key.group {
		p.key = key{group: true}
	}
	return p
}

func (c *compiler) part(at string, t *caseTemplate, p *casePlan) *casePlan {
	next := *p
	text := func(name, s string, to **expr.Value) {
		if s != "" {
			*to = c.value(at+"/"+name, s)
		}
	}
	text("title", t.Title, &next.title)
	text("description", t.Description, &next.description)
	next.category, next.owner = cmp.Or(t.Category, p.category), cmp.Or(t.Owner, p.owner)
	next.tlp, next.pap = cmp.Or(t.TLP, p.tlp), cmp.Or(t.PAP, p.pap)
	next.within = cmp.Or(t.Within, p.within)
	if t.Severity != nil {
		next.severity = c.severity(at+"/severity", t.Severity)
	}
	next.tags = append(slices.Clone(p.tags), t.Tags...)
	next.tasks = slices.Clone(p.tasks)
	for i, task := range t.Tasks {
		place := strictyaml.Join(at+"/tasks", i)
		tp := taskPlan{assignee: task.Assignee, title: c.value(place+"/title", task.Title)}
		if task.Text != "" {
			tp.text = c.value(place+"/text", task.Text)
		}
		next.tasks = append(next.tasks, tp)
	}
	if t.By != nil {
		next.key = c.key(at+"/by", t.By)
	}
	return &next
}

// The most that a case takes of each.
const (
	maxCaseTitle = 200
	maxCaseText  = 10_000
)

// fill works a plan out for an alert. A text that cannot be worked out is told
// and left at its default: a wrong template loses no case.
func (p *casePlan) fill(a *alert.Alert, d *Decision, e *expr.Env) *CasePlan {
	text := func(v *expr.Value, other string, most int) string {
		if v == nil {
			return clip(other, most)
		}
		s, err := v.Text(e)
		if err != nil {
			d.problem("case of "+d.Rule, err)
			return clip(other, most)
		}
		if s = strings.TrimSpace(s); s == "" {
			return clip(other, most)
		}
		return clip(s, most)
	}
	out := &CasePlan{
		Template: p.template, Title: text(p.title, a.Title, maxCaseTitle), Description: text(p.description, "", maxCaseText),
		Severity: cmp.Or(p.severity, d.Severity, 3), Category: cmp.Or(p.category, d.Category), Owner: p.owner, TLP: p.tlp, PAP: p.pap,
	}
	for _, tag := range append(slices.Clone(p.tags), d.Tags...) {
		if tag = strings.TrimSpace(tag); tag != "" && !slices.Contains(out.Tags, tag) {
			out.Tags = append(out.Tags, clip(tag, 100))
		}
	}
	for _, t := range p.tasks {
		out.Tasks = append(out.Tasks, Task{Title: text(t.title, "Look at it", maxCaseTitle), Text: text(t.text, "", maxCaseText), Assignee: t.assignee})
	}
	return out
}

// clip cuts a text for a record that takes no more.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-len("…")], "") + "…"
}
