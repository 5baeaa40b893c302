package connector

import (
	"net/textproto"
	"slices"
	"strings"

	"riposte/internal/strictyaml"
)

func sameHeader(a, b string) bool { return strings.EqualFold(a, b) }

// isHostPattern takes a host name, an address, *.name or *; a port may follow.
func isHostPattern(s string) bool {
	host, port, hasPort := strings.Cut(s, ":")
	if strings.Count(s, ":") > 1 {
		host, hasPort = strings.Trim(s, "[]"), false
	}
	if hasPort && (port == "" || len(port) > 5 || strings.Trim(port, "0123456789") != "") {
		return false
	}
	if host == "*" {
		return true
	}
	return checkFormat("host", strings.TrimPrefix(host, "*."))
}

func (c *checker) commonHTTP() {
	h := c.m.HTTP
	if h == nil {
		return
	}
	s := c.connectionScope()
	if h.Base != "" {
		c.template("/http/base", h.Base, s)
		if !hasTemplate(h.Base) && !isURL(h.Base) {
			c.errorf("/http/base", "expected an address such as https://api.example.com/v1", "%q is no base URL", h.Base)
		}
	}
	s = RequestScope(c.m.Config, Schema{})
	c.headers("/http/headers", h.Headers, s)
	c.value("/http/query", h.Query, s)
	answer := AnswerScope(c.m.Config, Schema{})
	c.success("/http/success", h.Success, answer)
	for i, hint := range h.RetryAfter {
		at := strictyaml.Join("/http/retry_after", i)
		if (hint.Header == "") == (hint.Value == "") {
			c.errorf(at, "expected header: or value:, one of them", "where the product says how long to wait is not clear")
		}
		c.optional(at+"/value", hint.Value, wantAny, answer)
	}
}

func (c *checker) success(at string, s *Success, answer scope) {
	if s != nil {
		c.optional(at+"/when", s.When, wantBool, answer)
	}
}

// forbiddenHeaders are set by the platform.
var forbiddenHeaders = []string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Upgrade", "Te", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Accept-Encoding"}

func (c *checker) headers(at string, headers map[string]string, s scope) {
	for _, name := range sortedKeys(headers) {
		here := strictyaml.Join(at, name)
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r) }) {
			c.errorf(here, "expected a name such as X-Request-Id", "%q is no header name", name)
			continue
		}
		if slices.Contains(forbiddenHeaders, textproto.CanonicalMIMEHeaderKey(name)) {
			c.errorf(here, "remove it: the platform sets it", "the header %q", name)
		}
		c.template(here, headers[name], s)
	}
}

func (c *checker) http(at string, s *ActionSpec) {
	h := s.HTTP
	here := at + "/http"
	request, answer := RequestScope(c.m.Config, s.Inputs), AnswerScope(c.m.Config, s.Inputs)
	switch {
	case h.Path == "" && h.URL == "":
		c.errorf(here, "add path: below the base URL", "the action %q calls no path", s.ID)
	case h.Path != "" && h.URL != "":
		c.errorf(here+"/url", "remove one of them", "both path and url are given")
	case h.Path != "" && !strings.HasPrefix(h.Path, "/") && !hasTemplate(h.Path):
		c.errorf(here+"/path", "begin it with /", "the path is %q", h.Path)
	case strings.ContainsAny(literalPart(h.Path), "?#"):
		c.errorf(here+"/path", "put parameters into query:", "the path holds a ? or #")
	}
	c.template(here+"/path", h.Path, request)
	c.template(here+"/url", h.URL, request)
	c.value(here+"/query", h.Query, request)
	c.headers(here+"/headers", h.Headers, request)
	c.body(here+"/body", h.Body, request)
	if h.Body != nil && oneOf(h.Method, "GET", "HEAD") && s.Impact.Given {
		c.errorf(here+"/body", "remove it, or use POST", "a body in a %s request", h.Method)
	}
	c.success(here+"/success", h.Success, answer)
	c.value(here+"/output", h.Output, answer)
	c.optional(here+"/external", h.External, wantAny, answer)
	c.value(here+"/before", h.Before, answer)
	c.value(here+"/after", h.After, answer)
	c.optional(here+"/already", h.Already, wantBool, answer)
	c.optional(here+"/partial", h.Partial, wantBool, answer)
	c.page(here+"/page", h.Page, s, answer)
	c.errorRules(at+"/errors", s.Errors, s.Inputs)
	if h.MaxAnswer > maxAnswerLimit {
		c.errorf(here+"/max_answer", "at most 1GB", "more than can be kept")
	}
}

const maxAnswerLimit = 1 << 30

// literalPart is a template's text without its expressions.
func literalPart(s string) string {
	for {
		start := strings.Index(s, "${{")
		if start < 0 {
			return s
		}
		end := strings.Index(s[start:], "}}")
		if end < 0 {
			return s[:start]
		}
		s = s[:start] + s[start+end+2:]
	}
}

func (c *checker) body(at string, b *Body, s scope) {
	if b == nil {
		return
	}
	count := 0
	for _, given := range []bool{b.JSON != nil, b.Form != nil, b.Raw != nil, b.Multipart != nil} {
		if given {
			count++
		}
	}
	if count != 1 {
		c.errorf(at, "expected one of json, form, raw, multipart", "a body of %d kinds", count)
	}
	c.value(at+"/json", b.JSON, s)
	c.value(at+"/form", b.Form, s)
	if b.Raw != nil {
		c.template(at+"/raw/text", b.Raw.Text, s)
	}
	for i, p := range b.Multipart {
		here := strictyaml.Join(at+"/multipart", i)
		c.value(here+"/value", p.Value, s)
		c.template(here+"/filename", p.Filename, s)
	}
}

func (c *checker) page(at string, p *Page, s *ActionSpec, answer scope) {
	if p == nil {
		return
	}
	c.optional(at+"/items", p.Items, wantList, answer)
	c.optional(at+"/next", p.Next, wantAny, answer)
	c.optional(at+"/until", p.Until, wantBool, answer)
	switch p.Kind {
	case "cursor":
		if p.Next == "" {
			c.errorf(at, "add next: with an expression over body", "paging by cursor without next")
		}
		if p.Param == "" && !s.usesPage("cursor", c.m) {
			c.errorf(at, "add param:, or use ${{ page.cursor }} in the request", "the cursor is never sent")
		}
	case "page", "offset":
		if p.Next != "" {
			c.errorf(at+"/next", "remove it, or use kind: link or cursor", "paging by %s counts and has no next", p.Kind)
		}
		mark := map[string]string{"page": "number", "offset": "offset"}[p.Kind]
		if p.Param == "" && !s.usesPage(mark, c.m) {
			c.errorf(at, "add param:, or use ${{ page."+mark+" }} in the request", "the %s is never sent: every page would be the first", p.Kind)
		}
	}
	if p.Limit != "" && s.Inputs.Property(p.Limit) == nil {
		c.errorf(at+"/limit", strictyaml.DidYouMean(p.Limit, sortedKeys(s.Inputs.Properties())), "limit names the input %q, which does not exist", p.Limit)
	}
	if s.Impact.Given && s.Impact.Max != Read {
		c.errorf(at, "remove it", "paging in an action of impact %s: it would be done once per page", s.Impact.Max)
	}
}

func (s *ActionSpec) usesPage(mark string, m *Manifest) bool {
	text := "page." + mark
	h := s.HTTP
	found := strings.Contains(h.Path+h.URL, text) || holdsText(h.Query, text)
	for _, v := range h.Headers {
		found = found || strings.Contains(v, text)
	}
	if m.HTTP != nil {
		found = found || holdsText(m.HTTP.Query, text)
	}
	if h.Body != nil {
		found = found || holdsText(h.Body.JSON, text) || holdsText(h.Body.Form, text) || h.Body.Raw != nil && strings.Contains(h.Body.Raw.Text, text)
	}
	return found
}

func (c *checker) errorRules(at string, rules []ErrorRule, inputs Schema) {
	answer := AnswerScope(c.m.Config, inputs)
	for i, r := range rules {
		here := strictyaml.Join(at, i)
		if !c.doc.Has(here+"/status") && len(r.Header) == 0 && len(r.Body) == 0 && r.When == "" {
			c.errorf(here, "add status, header, body or when", "a rule that matches every answer")
		}
		if (r.Class == "") == (r.Result == "") {
			c.errorf(here, "expected class: or result:, one of them", "what the answer means is not clear")
		}
		if r.Output != nil && r.Result == "" {
			c.errorf(here+"/output", "remove it, or use result: ok", "output of an error")
		}
		c.optional(here+"/when", r.When, wantBool, answer)
		c.template(here+"/message", r.Message, answer)
		c.value(here+"/output", r.Output, answer)
	}
}

// authExpressions checks the templates and expressions of auth.
func (c *checker) authExpressions(a *AuthSpec) {
	s := c.connectionScope()
	c.template("/auth/token_url", a.TokenURL, s)
	c.template("/auth/scope", a.Scope, s)
	for _, name := range sortedKeys(a.Params) {
		c.template(strictyaml.Join("/auth/params", name), a.Params[name], s)
	}
	if a.Over != "" {
		c.template("/auth/over", a.Over, SignScope(c.m.Config))
	}
	if r := a.Request; r != nil {
		c.template("/auth/request/path", r.Path, s)
		c.headers("/auth/request/headers", r.Headers, s)
		c.value("/auth/request/query", r.Query, s)
		c.body("/auth/request/body", r.Body, s)
		answer := AnswerScope(c.m.Config, Schema{})
		c.optional("/auth/token", a.Token, wantAny, answer)
		c.optional("/auth/expires", a.Expires, wantAny, answer)
	}
}
