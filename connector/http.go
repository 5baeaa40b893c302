package connector

import "riposte/internal/strictyaml"

// HTTPCommon is what all actions of an http connector share. The templates see
// config and secrets; an action's own headers and query win.
type HTTPCommon struct {
	Base       string            `yaml:"base" doc:"the base URL; a template over config and secrets, such as ${{ config.base_url }}"`
	Headers    map[string]string `yaml:"headers" doc:"headers of every request; templates"`
	Query      map[string]any    `yaml:"query" doc:"query parameters of every request; templates"`
	Success    *Success          `yaml:"success" doc:"what counts as success, unless the action says so itself"`
	RetryAfter []RetryHint       `yaml:"retry_after" doc:"where the product says how long to wait; the Retry-After header is always read"`
	Answer     string            `yaml:"answer" enum:"json,ndjson,xml,text,base64,none" doc:"what answers are; default json"`
	MaxAnswer  strictyaml.Size   `yaml:"max_answer" doc:"how much of an answer is read at most; default 10MB"`
	Redirects  *int              `yaml:"redirects" doc:"how many redirects a GET follows, each checked against egress; default 3"`
}

// HTTPSpec is one request as data. Path, query, headers and body are templates
// over inputs, config, secrets, call.key, call.now and page; the rest are
// expressions over inputs, config, status, headers, body, items and pages.
type HTTPSpec struct {
	Method    string            `yaml:"method" json:"method" enum:"GET,HEAD,POST,PUT,PATCH,DELETE" doc:"default GET"`
	Path      string            `yaml:"path" json:"path,omitempty" doc:"below the base URL; values are escaped as one segment"`
	URL       string            `yaml:"url" json:"url,omitempty" doc:"a whole address instead of path, on a host that egress allows"`
	RawPath   bool              `yaml:"raw_path" json:"raw_path,omitempty" doc:"put values into the path as they are, slashes and all"`
	Query     map[string]any    `yaml:"query" json:"query,omitempty" doc:"parameters; a list repeats one, nil leaves it out"`
	Headers   map[string]string `yaml:"headers" json:"headers,omitempty" doc:"an empty value leaves the header out"`
	Body      *Body             `yaml:"body" json:"body,omitempty" doc:"one of json, form, raw, multipart"`
	Success   *Success          `yaml:"success" json:"success,omitempty" doc:"what counts as success; default any status from 200 to 299"`
	Answer    string            `yaml:"answer" json:"answer,omitempty" enum:"json,ndjson,xml,text,base64,none" doc:"what the answer is; default json"`
	Output    any               `yaml:"output" json:"output,omitempty" doc:"the output, with templates; default the body"`
	External  string            `yaml:"external" json:"external,omitempty" doc:"an expression that gives the product's own id of what was done"`
	Before    any               `yaml:"before" json:"before,omitempty" doc:"the state before, with templates"`
	After     any               `yaml:"after" json:"after,omitempty" doc:"the state after, with templates"`
	Already   string            `yaml:"already" json:"already,omitempty" doc:"a condition: the answer says that it was so before"`
	Partial   string            `yaml:"partial" json:"partial,omitempty" doc:"a condition: the answer says that some items failed"`
	Page      *Page             `yaml:"page" json:"page,omitempty" doc:"how to fetch further pages"`
	MaxAnswer strictyaml.Size   `yaml:"max_answer" json:"max_answer,omitempty" doc:"how much of an answer is read at most; default 10MB"`
	Redirects *int              `yaml:"redirects" json:"redirects,omitempty" doc:"how many redirects a GET follows; default 3"`
}

// Body is what a request carries; exactly one of the keys is given.
type Body struct {
	JSON      any            `yaml:"json" json:"json,omitempty" doc:"a value with templates; fields that give nil are left out"`
	KeepNull  bool           `yaml:"keep_null" json:"keep_null,omitempty" doc:"json: send null for fields that give nil"`
	Form      map[string]any `yaml:"form" json:"form,omitempty" doc:"form fields; a list repeats one, nil leaves it out"`
	Raw       *RawBody       `yaml:"raw" json:"raw,omitempty" doc:"a text as it is"`
	Multipart []Part         `yaml:"multipart" json:"multipart,omitempty" doc:"parts of multipart/form-data"`
}

// RawBody is a text that is sent as it is.
type RawBody struct {
	Type string `yaml:"type,required" json:"type" min:"1" doc:"the content type"`
	Text string `yaml:"text,required" json:"text" doc:"a template"`
}

// Part is one part of a multipart body.
type Part struct {
	Name     string `yaml:"name,required" json:"name" min:"1"`
	Value    any    `yaml:"value" json:"value,omitempty" doc:"a template; nil leaves the part out"`
	Filename string `yaml:"filename" json:"filename,omitempty" doc:"makes the part a file; a template"`
	Type     string `yaml:"type" json:"type,omitempty" doc:"its content type"`
	Base64   bool   `yaml:"base64" json:"base64,omitempty" doc:"the value is base64 and is sent decoded"`
}

// Success says which answers are successes. Many products answer 200 with an
// error inside, so the body may have to say it too.
type Success struct {
	Status StatusSet `yaml:"status" json:"status,omitempty" doc:"statuses such as 200 or 2xx, one or a list; default 2xx"`
	When   string    `yaml:"when" json:"when,omitempty" doc:"a condition over status, headers and body that must hold too"`
}

// StatusSet is a list of HTTP statuses. A number below 10 stands for its
// hundred: 4 is 400 to 499.
type StatusSet []int

// Has tells whether a status is in the set.
func (s StatusSet) Has(status int) bool {
	for _, one := range s {
		if one == status || one < 10 && one == status/100 {
			return true
		}
	}
	return false
}

// UnmarshalStrict reads 404, "4xx" or a list of them.
func (s *StatusSet) UnmarshalStrict(n strictyaml.Node) {
	nodes := []strictyaml.Node{n}
	if n.IsList() {
		nodes = n.Items()
	}
	for _, one := range nodes {
		switch v := one.Value().(type) {
		case int:
			if v >= 100 && v <= 599 {
				*s = append(*s, v)
				continue
			}
		case string:
			if len(v) == 3 && v[0] >= '1' && v[0] <= '5' && v[1:] == "xx" {
				*s = append(*s, int(v[0]-'0'))
				continue
			}
		}
		one.Errorf("expected a status from 100 to 599, or a hundred such as 4xx", "%v is no HTTP status", one.Value())
	}
}

// StrictSchema describes a status or a list of them to editors.
func (*StatusSet) StrictSchema() map[string]any {
	one := map[string]any{"oneOf": []any{
		map[string]any{"type": "integer", "minimum": 100, "maximum": 599},
		map[string]any{"type": "string", "pattern": "^[1-5]xx$"},
	}}
	return map[string]any{"oneOf": []any{one, map[string]any{"type": "array", "items": one}}}
}

// ErrorRule says what an answer of the product means. All that is given must
// match; the first rule that does decides, before success is looked at.
type ErrorRule struct {
	Status  StatusSet         `yaml:"status" json:"status,omitempty" doc:"statuses such as 404 or 5xx, one or a list"`
	Header  map[string]string `yaml:"header" json:"header,omitempty" doc:"headers and their values; * is any value"`
	Body    map[string]any    `yaml:"body" json:"body,omitempty" doc:"fields of the body by dotted path, and their values; a list means one of them"`
	When    string            `yaml:"when" json:"when,omitempty" doc:"a condition over status, headers, body, inputs and config"`
	Class   Class             `yaml:"class" json:"class,omitempty" enum:"auth,permission,not_found,invalid,rate_limited,conflict,transient,permanent,partial,unknown_outcome" doc:"the error class"`
	Result  Status            `yaml:"result" json:"result,omitempty" enum:"ok,already" doc:"instead of class: it is no error"`
	Message string            `yaml:"message" json:"message,omitempty" doc:"what people read; a template"`
	Output  any               `yaml:"output" json:"output,omitempty" doc:"result: the output, instead of the action's own"`
}

// RetryHint is a place where a product says how long to wait.
type RetryHint struct {
	Header string `yaml:"header" json:"header,omitempty" doc:"a header"`
	Value  string `yaml:"value" json:"value,omitempty" doc:"an expression over body, headers and status"`
	As     string `yaml:"as" json:"as,omitempty" enum:"seconds,milliseconds,epoch,date" doc:"what the value is; default seconds, or an HTTP date"`
}

// Page says how to fetch all of a long list. Items of all pages are joined and
// given to output as items; page.cursor, page.number, page.offset and page.size
// may be used in the request.
type Page struct {
	Kind      string `yaml:"kind,required" json:"kind" enum:"link,cursor,page,offset" doc:"link: the answer holds the next address; cursor: it holds a mark; page and offset: we count"`
	Items     string `yaml:"items,required" json:"items" doc:"an expression over body that gives the list on one page"`
	Next      string `yaml:"next" json:"next,omitempty" doc:"link, cursor: an expression over body and headers; nil or an empty text ends. Default for link: the Link header"`
	Param     string `yaml:"param" json:"param,omitempty" doc:"the query parameter that carries cursor, page number or offset"`
	Start     *int   `yaml:"start" json:"start,omitempty" doc:"page: the first number, default 1; offset: default 0"`
	Size      int    `yaml:"size" json:"size,omitempty" min:"1" doc:"how many items a page has; a shorter page is the last one"`
	SizeParam string `yaml:"size_param" json:"size_param,omitempty" doc:"the query parameter that carries size"`
	Until     string `yaml:"until" json:"until,omitempty" doc:"a condition over body: this was the last page"`
	MaxPages  int    `yaml:"max_pages" json:"max_pages,omitempty" min:"1" doc:"default 10"`
	MaxItems  int    `yaml:"max_items" json:"max_items,omitempty" min:"1" doc:"default 1000"`
	Limit     string `yaml:"limit" json:"limit,omitempty" doc:"the input that says how many items are wanted"`
}

// ExecCommon is what all actions of an exec connector share.
type ExecCommon struct {
	Memory    strictyaml.Size `yaml:"memory" doc:"what the program and its children may use; default 256MB"`
	MaxOutput strictyaml.Size `yaml:"max_output" doc:"how much it may write; default 10MB"`
	Processes int             `yaml:"processes" min:"1" doc:"how many processes it may have at once; default 16"`
}

// ExecSpec is a program that does an action.
type ExecSpec struct {
	Command   []string        `yaml:"command,required" json:"command" min:"1" doc:"the program and its arguments; a program with a slash is in the connector's folder"`
	Memory    strictyaml.Size `yaml:"memory" json:"memory,omitempty" doc:"what it and its children may use; default 256MB"`
	MaxOutput strictyaml.Size `yaml:"max_output" json:"max_output,omitempty" doc:"how much it may write; default 10MB"`
	Processes int             `yaml:"processes" json:"processes,omitempty" min:"1" doc:"how many processes it may have at once; default 16"`
}

// GoSpec names the handler of an action of runtime go.
type GoSpec struct {
	Handler string `yaml:"handler" json:"handler,omitempty" doc:"default the action's id"`
}

// HTTPCall is all that the runtime http must know of an action: its own section
// with what the connector adds. It is what Action.Runtime holds.
type HTTPCall struct {
	HTTPSpec
	Base       string      `json:"base,omitempty"`
	Errors     []ErrorRule `json:"errors,omitempty"` // the action's, then the connector's
	RetryAfter []RetryHint `json:"retry_after,omitempty"`
	Auth       *AuthSpec   `json:"auth,omitempty"`
	Egress     []string    `json:"egress,omitempty"`
	Config     Schema      `json:"config,omitempty"` // types config in expressions
}

// ExecCall is all that the runtime exec must know of an action.
type ExecCall struct {
	ExecSpec
	Dir    string `json:"dir"` // the connector's folder on this machine
	Config Schema `json:"config,omitempty"`
}
