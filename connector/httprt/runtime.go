package httprt

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"riposte/connector"
	"riposte/internal/expr"
	"riposte/internal/fault"
)

// Runtime makes the calls of http actions. The zero Runtime is ready; it is safe
// for concurrent use. Close it at the end.
type Runtime struct {
	UserAgent string        // "" means riposte
	Resolver  *net.Resolver // nil means the system's

	mu       sync.RWMutex
	clients  map[string]*client // by connection
	programs map[string]*program
}

// keptPrograms bounds how many compiled actions are kept; when there are more,
// all are compiled anew as they are needed.
const keptPrograms = 4096

// exchange is one call under way.
type exchange struct {
	rt     *Runtime
	in     *connector.Invocation
	prog   *program
	client *client
	ready  *prepared
	extra  string      // query parameters of the page
	left   atomic.Bool // a request of the action itself may have reached the product
}

// problem is an error with its class.
type problem struct {
	class connector.Class
	text  string
}

func (p *problem) Error() string { return p.text }

// Run makes one call. The time limit is ctx's.
func (r *Runtime) Run(ctx context.Context, in *connector.Invocation) (connector.Result, any) {
	x := &exchange{rt: r, in: in}
	var err error
	if x.prog, err = r.program(in.Call.Action); err != nil {
		return x.failed(ctx, err), nil
	}
	if x.client, err = r.client(in, x.prog); err != nil {
		return x.failed(ctx, err), nil
	}
	if x.ready, err = x.client.prepare(x.prog, in); err != nil {
		return x.failed(ctx, err), nil
	}
	if x.prog.page != nil {
		return x.pages(ctx)
	}
	env := x.requestEnv()
	ans, err := x.request(ctx, env, "")
	if err != nil {
		return x.failed(ctx, err), nil
	}
	return x.judge(ans, env.Roots)
}

func (r *Runtime) program(a *connector.Action) (*program, error) {
	key := a.Digest
	if key == "" {
		key = a.Name() + string(a.Runtime)
	}
	r.mu.RLock()
	p := r.programs[key]
	r.mu.RUnlock()
	if p != nil {
		return p, nil
	}
	p, err := compile(a)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.programs[key]; known != nil {
		return known, nil
	}
	if r.programs == nil || len(r.programs) >= keptPrograms {
		r.programs = map[string]*program{}
		for _, c := range r.clients {
			c.mu.Lock()
			clear(c.prepared)
			c.mu.Unlock()
		}
	}
	r.programs[key] = p
	return p, nil
}

// requestEnv holds what the templates of a request see.
func (x *exchange) requestEnv() *expr.Env {
	in := x.in
	roots := make(map[string]any, 8)
	roots["inputs"], roots["config"] = in.Call.Inputs, in.Config
	if x.prog.secretUse {
		roots["secrets"] = secretsRoot(in.Secrets)
	}
	if x.prog.callUse {
		roots["call"] = map[string]any{"key": in.Call.Key, "now": in.Now}
	}
	return &expr.Env{Now: in.Now, Roots: roots}
}

// request makes and sends the action's request; next, if not "", is the whole
// address of a further page.
func (x *exchange) request(ctx context.Context, env *expr.Env, next string) (*answer, error) {
	p := x.prog
	u, err := x.target(env, next)
	if err != nil {
		return nil, err
	}
	body, contentType, err := p.body.make(env)
	if err != nil {
		return nil, err
	}
	for attempt := 0; ; attempt++ {
		req := newRequest(x.traced(ctx), p.spec.Method, cloneURL(u), body, contentType)
		if err := setHeaders(req.Header, p.headers, env); err != nil {
			return nil, err
		}
		if err := p.auth.apply(ctx, x, req, body); err != nil {
			return nil, err
		}
		token := ""
		if p.auth.refreshes() {
			token = x.client.tokens.current()
		}
		ans, err := x.send(req, p.spec.Answer, p.maxAnswer)
		if err != nil || ans.status != http.StatusUnauthorized || attempt > 0 || token == "" {
			return ans, err
		}
		// The token ran out or was revoked: the product refused before it did
		// anything, so once more with a new one does no harm.
		x.client.tokens.drop(token)
		x.left.Store(false)
	}
}

func cloneURL(u *url.URL) *url.URL {
	c := *u
	return &c
}

// traced notes when a request that changes something leaves this machine.
func (x *exchange) traced(ctx context.Context) context.Context {
	if x.in.Impact == connector.Read {
		return ctx
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders: func() { x.left.Store(true) },
	})
}

// target works out the address of a request.
func (x *exchange) target(env *expr.Env, next string) (*url.URL, error) {
	p := x.prog
	if next != "" {
		return x.nextAddress(next)
	}
	var u *url.URL
	switch {
	case p.url != nil:
		text, err := p.url.eval(env, nil)
		if err != nil {
			return nil, fmt.Errorf("url: %w", err)
		}
		if u, err = url.Parse(text); err != nil || u.Host == "" {
			return nil, fmt.Errorf("url is no address such as https://example.com/a: %w", fault.Invalid)
		}
		u.User, u.Fragment = nil, ""
	default:
		escape := pathSegment
		if p.spec.RawPath {
			escape = rawPath
		}
		key, err := p.auth.pathPart(x.in)
		if err != nil {
			return nil, err
		}
		if u, err = x.address(env, p.path, escape, key); err != nil {
			return nil, err
		}
	}
	query, err := queryText(u.RawQuery, p.query, env)
	if err != nil {
		return nil, err
	}
	if x.extra != "" {
		if query != "" {
			query += "&"
		}
		query += x.extra
	}
	u.RawQuery = query
	return u, nil
}

// address is base URL, key and path put together.
func (x *exchange) address(env *expr.Env, path *template, escape func(string) (string, error), key string) (*url.URL, error) {
	base := x.ready.base
	if base == nil {
		return nil, fmt.Errorf("%w: %w", errNoBase, fault.Invalid)
	}
	text, err := path.eval(env, escape)
	if err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	if !strings.HasPrefix(text, "/") {
		text = "/" + text
	}
	u := *base
	full := base.EscapedPath() + key + text
	if strings.IndexByte(full, '%') < 0 {
		u.Path, u.RawPath = full, ""
		return &u, nil
	}
	if u.Path, err = url.PathUnescape(full); err != nil {
		return nil, fmt.Errorf("path: %w: %w", err, fault.Invalid)
	}
	u.RawPath = full
	return &u, nil
}

// nextAddress is the address of a further page, which the product gave: it must
// be one that may be called at all, and on the same host.
func (x *exchange) nextAddress(next string) (*url.URL, error) {
	ref, err := url.Parse(next)
	if err != nil {
		return nil, &problem{connector.BadAnswer, "the address of the next page cannot be read"}
	}
	if x.ready.base == nil {
		return ref, nil
	}
	u := x.ready.base.ResolveReference(ref)
	if u.Host != x.ready.base.Host || u.Scheme != x.ready.base.Scheme {
		return nil, &problem{connector.BadAnswer, fmt.Sprintf("the next page is on another host, %s; it was not fetched", u.Host)}
	}
	u.User, u.Fragment = nil, ""
	return u, nil
}

func queryText(before string, list []named, env *expr.Env) (string, error) {
	if len(list) == 0 {
		return before, nil
	}
	b := append(make([]byte, 0, 128), before...)
	for _, n := range list {
		var v any = n.fixed
		if !n.plain {
			var err error
			if v, err = n.value.Eval(env); err != nil {
				return "", fmt.Errorf("query: %s: %w", n.name, err)
			}
		}
		var err error
		if b, err = appendQuery(b, n.name, v); err != nil {
			return "", fmt.Errorf("query: %w", err)
		}
	}
	return string(b), nil
}

func setHeaders(h http.Header, list []named, env *expr.Env) error {
	for _, n := range list {
		text := n.fixed
		if !n.plain {
			v, err := n.value.Eval(env)
			if err != nil {
				return fmt.Errorf("header %s: %w", n.name, err)
			}
			if text, err = textOf(v); err != nil {
				return fmt.Errorf("header %s: %w", n.name, err)
			}
		}
		if text == "" {
			continue
		}
		if strings.ContainsAny(text, "\r\n\x00") {
			return fmt.Errorf("header %s: its value holds a line break: %w", n.name, fault.Invalid)
		}
		h[n.name] = []string{text}
	}
	return nil
}

func newRequest(ctx context.Context, method string, u *url.URL, body []byte, contentType string) *http.Request {
	req := &http.Request{
		Method: method, URL: u, Host: u.Host, Header: make(http.Header, 6),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if len(body) > 0 {
		req.ContentLength = int64(len(body))
		req.Body = io.NopCloser(bytes.NewReader(body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	if contentType != "" {
		req.Header["Content-Type"] = []string{contentType}
	}
	return req.WithContext(ctx)
}

// send makes the exchange with the server, following redirects where that is
// harmless, and reads the answer.
func (x *exchange) send(req *http.Request, kind string, maxAnswer int64) (*answer, error) {
	if _, own := req.Header["User-Agent"]; !own {
		agent := x.rt.UserAgent
		if agent == "" {
			agent = "riposte"
		}
		req.Header["User-Agent"] = []string{agent}
	}
	if _, own := req.Header["Accept"]; !own && (kind == "" || kind == "json") {
		req.Header["Accept"] = []string{"application/json"}
	}
	for hop := 0; ; hop++ {
		if err := x.ready.policy.URL(req.URL); err != nil {
			return nil, err
		}
		res, err := x.client.transport.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		location := res.Header.Get("Location")
		if !isRedirect(res.StatusCode) || location == "" {
			return x.read(res, kind, maxAnswer)
		}
		discard(res)
		if req, err = x.follow(req, res.StatusCode, location, hop); err != nil {
			return nil, err
		}
	}
}

func isRedirect(status int) bool {
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308
}

// discard reads a little of a body that nobody wants, so that its connection can
// be used again.
func discard(res *http.Response) {
	_, _ = io.CopyN(io.Discard, res.Body, 4<<10)
	_ = res.Body.Close()
}

// follow makes the request that a redirect asks for. Only reads follow, never
// from https to http and never to where the egress list does not lead; the
// credential stays on its host.
func (x *exchange) follow(req *http.Request, status int, location string, hop int) (*http.Request, error) {
	refuse := func(what string, args ...any) error {
		return &redirectError{status: status, text: fmt.Sprintf("%s answered %d and points elsewhere; %s", req.URL.Host, status, fmt.Sprintf(what, args...))}
	}
	to, err := req.URL.Parse(location)
	if err != nil {
		return nil, refuse("where cannot be read")
	}
	switch {
	case req.Method != http.MethodGet && req.Method != http.MethodHead:
		return nil, refuse("a %s is not repeated elsewhere: use the address that it points to (%s) in the connection", req.Method, to.Host)
	case hop >= x.prog.redirects:
		return nil, refuse("%d redirects were followed and that is the limit", hop)
	case req.URL.Scheme == "https" && to.Scheme != "https":
		return nil, refuse("it leads from https to %s, which is not followed", to.Scheme)
	}
	if err := x.ready.policy.URL(to); err != nil {
		return nil, refuse("%v", err)
	}
	next := newRequest(req.Context(), req.Method, to, nil, "")
	to.User, to.Fragment = nil, ""
	for name, values := range req.Header {
		if to.Host == req.URL.Host || name == "User-Agent" || name == "Accept" {
			next.Header[name] = values
		}
	}
	return next, nil
}

// redirectError is an answer that points where we do not go.
type redirectError struct {
	status int
	text   string
}

func (e *redirectError) Error() string { return e.text }
