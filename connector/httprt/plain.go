package httprt

import (
	"context"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"riposte/connector"
	"riposte/connector/egress"
	"riposte/internal/expr"
	"riposte/internal/fault"
)

// Request is the handler of http.request: any request, as its inputs say.
func (r *Runtime) Request(ctx context.Context, in *connector.Invocation) (connector.Result, any) {
	x := &exchange{rt: r, in: in, prog: &program{redirects: defaultRedirects, maxAnswer: defaultMaxAnswer}}
	var err error
	if x.client, err = r.client(in, x.prog); err != nil {
		return x.failed(ctx, err), nil
	}
	x.ready = &prepared{policy: plainPolicy(in)}
	req, err := x.plainRequest(ctx)
	if err != nil {
		return x.failed(ctx, err), nil
	}
	ans, err := x.send(req, "any", x.prog.maxAnswer)
	if err != nil {
		return x.failed(ctx, err), nil
	}
	if ans.broken != "" {
		return x.result(connector.BadAnswer, ans.host+": "+ans.broken), nil
	}
	if !expected(ans.status, in.Call.Inputs["expect"]) {
		return x.refused(ans, &expr.Env{}, defaultClass(ans.status, in.Impact)), nil
	}
	return connector.Result{Status: connector.OK}, map[string]any{"status": ans.status, "headers": ans.headers(), "body": ans.body}
}

// plainPolicy is the egress list of http.request: the connection's hosts, else
// every host.
func plainPolicy(in *connector.Invocation) *egress.Policy {
	p := connectionPolicy(in.Connection)
	p.Hosts = []string{"*"}
	if list, ok := in.Config["hosts"].([]any); ok {
		p.Hosts = nil
		for _, e := range list {
			if host, ok := e.(string); ok {
				p.Hosts = append(p.Hosts, hostOf(host))
			}
		}
	}
	return p
}

func expected(status int, list any) bool {
	statuses, ok := list.([]any)
	if !ok {
		return success(status)
	}
	return slices.ContainsFunc(statuses, func(e any) bool { n, ok := number(e); return ok && int(n) == status })
}

func (x *exchange) plainRequest(ctx context.Context) (*http.Request, error) {
	inputs := x.in.Call.Inputs
	text, _ := inputs["url"].(string)
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("url is no address such as https://example.com/a: %w", fault.Invalid)
	}
	if u.User != nil {
		return nil, fmt.Errorf("url holds a user name: give it as basic, or a token as bearer: %w", fault.Invalid)
	}
	u.Fragment = ""
	query, _ := inputs["query"].(map[string]any)
	b := []byte(u.RawQuery)
	for _, name := range sortedKeys(query) {
		if b, err = appendQuery(b, name, query[name]); err != nil {
			return nil, fmt.Errorf("query: %w", err)
		}
	}
	u.RawQuery = string(b)
	body, contentType, err := plainBody(inputs["body"])
	if err != nil {
		return nil, err
	}
	method, _ := inputs["method"].(string)
	if method == "" {
		method = http.MethodGet
	}
	req := newRequest(x.traced(ctx), method, u, body, contentType)
	return req, plainHeaders(req, inputs)
}

func plainBody(v any) (body []byte, contentType string, err error) {
	switch v := v.(type) {
	case nil:
		return nil, "", nil
	case string:
		return []byte(v), "text/plain; charset=utf-8", nil
	}
	body, err = expr.EncodeJSON(v)
	return body, "application/json", err
}

// platformHeaders are those that decide how the request travels.
var platformHeaders = []string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Upgrade", "Te", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Accept-Encoding"}

func plainHeaders(req *http.Request, inputs map[string]any) error {
	headers, _ := inputs["headers"].(map[string]any)
	for _, name := range sortedKeys(headers) {
		text, err := textOf(headers[name])
		if err != nil {
			return fmt.Errorf("header %s: %w", name, err)
		}
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case slices.Contains(platformHeaders, canonical):
			return fmt.Errorf("the header %s is set by the platform: leave it out: %w", name, fault.Invalid)
		case strings.ContainsAny(text, "\r\n\x00"):
			return fmt.Errorf("header %s: its value holds a line break: %w", name, fault.Invalid)
		case name == "" || strings.ContainsAny(name, " \t\r\n:"):
			return fmt.Errorf("%q is no header name: %w", name, fault.Invalid)
		}
		req.Header[canonical] = []string{text}
	}
	if token, ok := inputs["bearer"].(string); ok {
		req.Header["Authorization"] = []string{"Bearer " + token}
	}
	if basic, ok := inputs["basic"].(map[string]any); ok {
		user, _ := basic["username"].(string)
		password, _ := basic["password"].(string)
		req.SetBasicAuth(user, password)
	}
	return nil
}
