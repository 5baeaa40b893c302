package httprt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/textproto"
	"slices"
	"strings"

	"riposte/connector"
	"riposte/internal/expr"
)

const (
	defaultMaxAnswer = 10 << 20
	defaultRedirects = 3
)

// program is an action's http section, ready to run.
type program struct {
	spec      connector.HTTPCall
	base      *template
	url       *template // nil: base and path
	path      *template
	query     []named
	headers   []named
	body      *bodyCode
	rules     []rule
	success   connector.StatusSet // nil: 2xx
	when      *expr.Program
	output    *expr.Value
	external  *expr.Program
	before    *expr.Value
	after     *expr.Value
	already   *expr.Program
	partial   *expr.Program
	page      *pageCode
	hints     []hint
	auth      *authCode
	egress    []*template
	maxAnswer int64
	redirects int
	headerUse bool // some expression over the answer reads headers
	secretUse bool // some template of the request reads secrets
	callUse   bool // or call
}

type rule struct {
	connector.ErrorRule
	body    []bodyTest
	when    *expr.Program
	message *template
	output  *expr.Value
}

type bodyTest struct {
	path []string
	want any
}

type hint struct {
	connector.RetryHint
	value *expr.Program
}

type pageCode struct {
	connector.Page
	items, next, until *expr.Program
	start              int
}

// compiler collects the first error, so that code reads straight on.
type compiler struct {
	request, answer, conn *expr.Scope
	err                   error
	refs                  [][]string
}

func (c *compiler) note(what string, err error) {
	if err != nil && c.err == nil {
		c.err = fmt.Errorf("%s: %w", what, err)
	}
}

func (c *compiler) text(what, text string, s *expr.Scope) *template {
	if text == "" {
		return nil
	}
	t, err := compileTemplate(text, s)
	c.note(what, err)
	return t
}

func (c *compiler) expr(what, text string, want expr.Type) *expr.Program {
	p, err := compileOptional(text, c.answer, want)
	c.note(what, err)
	if p != nil {
		c.refs = append(c.refs, p.Refs()...)
	}
	return p
}

func (c *compiler) value(what string, v any) *expr.Value {
	out, err := compileValue(v, c.answer)
	c.note(what, err)
	if out != nil {
		c.refs = append(c.refs, out.Refs()...)
	}
	return out
}

// compile makes the program of an action.
func compile(a *connector.Action) (*program, error) {
	var spec connector.HTTPCall
	d := json.NewDecoder(bytes.NewReader(a.Runtime))
	d.UseNumber() // whole numbers stay whole
	if err := d.Decode(&spec); err != nil {
		return nil, fmt.Errorf("%s: read its http section: %w", a.Name(), err)
	}
	c := &compiler{
		request: connector.RequestScope(spec.Config, a.Inputs),
		answer:  connector.AnswerScope(spec.Config, a.Inputs),
		conn:    connector.ConnectionScope(spec.Config),
	}
	p := &program{spec: spec, maxAnswer: int64(spec.MaxAnswer), redirects: defaultRedirects}
	if p.maxAnswer == 0 {
		p.maxAnswer = defaultMaxAnswer
	}
	if spec.Redirects != nil {
		p.redirects = *spec.Redirects
	}
	p.compileRequest(c)
	p.compileAnswer(c)
	p.auth = compileAuth(c, spec.Auth, spec.Config)
	if c.err != nil {
		return nil, fmt.Errorf("%s: %w", a.Name(), c.err)
	}
	text := string(a.Runtime)
	p.secretUse, p.callUse = strings.Contains(text, "secrets"), strings.Contains(text, "call")
	p.headerUse = slices.ContainsFunc(c.refs, func(path []string) bool { return path[0] == "headers" })
	return p, nil
}

func (p *program) compileRequest(c *compiler) {
	s := &p.spec
	p.base = c.text("base", s.Base, c.conn)
	p.url = c.text("url", s.URL, c.request)
	p.path = c.text("path", s.Path, c.request)
	var err error
	p.query, err = compileNamed(s.Query, c.request, func(n string) string { return n })
	c.note("query", err)
	p.headers, err = compileNamed(s.Headers, c.request, textproto.CanonicalMIMEHeaderKey)
	c.note("headers", err)
	p.body, err = compileBody(s.Body, c.request)
	c.note("body", err)
	for _, pattern := range s.Egress {
		p.egress = append(p.egress, c.text("egress", pattern, c.conn))
	}
}

func (p *program) compileAnswer(c *compiler) {
	s := &p.spec
	if s.Success != nil {
		p.success = s.Success.Status
		p.when = c.expr("success", s.Success.When, expr.Bool())
	}
	p.output = c.value("output", s.Output)
	p.external = c.expr("external", s.External, expr.Any())
	p.before = c.value("before", s.Before)
	p.after = c.value("after", s.After)
	p.already = c.expr("already", s.Already, expr.Bool())
	p.partial = c.expr("partial", s.Partial, expr.Bool())
	for _, r := range s.Errors {
		one := rule{ErrorRule: r, when: c.expr("errors", r.When, expr.Bool()), output: c.value("errors", r.Output)}
		one.message = c.text("errors", r.Message, c.answer)
		for _, path := range sortedKeys(r.Body) {
			one.body = append(one.body, bodyTest{splitPath(path), expr.Normalize(r.Body[path])})
		}
		if one.message != nil {
			c.refs = append(c.refs, []string{"headers"})
		}
		p.rules = append(p.rules, one)
	}
	for _, h := range s.RetryAfter {
		p.hints = append(p.hints, hint{h, c.expr("retry_after", h.Value, expr.Any())})
	}
	if pg := s.Page; pg != nil {
		p.page = &pageCode{
			Page: *pg, items: c.expr("page.items", pg.Items, expr.List(expr.Any()).Nullable()),
			next: c.expr("page.next", pg.Next, expr.Any()), until: c.expr("page.until", pg.Until, expr.Bool()),
		}
		p.page.fillIn()
	}
}

func (p *pageCode) fillIn() {
	if p.MaxPages == 0 {
		p.MaxPages = 10
	}
	if p.MaxItems == 0 {
		p.MaxItems = 1000
	}
	if p.Kind == "page" {
		p.start = 1
	}
	if p.Start != nil {
		p.start = *p.Start
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

var errNoBase = errors.New("the action has a path, but the connector no base URL")
