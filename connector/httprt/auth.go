package httprt

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"sync"
	"time"

	"riposte/connector"
	"riposte/connector/egress"
	"riposte/internal/expr"
)

// authCode proves who we are.
type authCode struct {
	connector.AuthSpec
	header   string // canonical
	tokenURL *template
	scope    *template
	params   []named
	over     *template
	login    *loginCode
}

type loginCode struct {
	path           *template
	query, headers []named
	body           *bodyCode
	token, expires *expr.Program
}

func compileAuth(c *compiler, a *connector.AuthSpec, config connector.Schema) *authCode {
	if a == nil || a.Kind == "none" || a.Kind == "mtls" {
		return nil
	}
	code := &authCode{AuthSpec: *a, header: "Authorization"}
	if a.Name != "" {
		code.header = textproto.CanonicalMIMEHeaderKey(a.Name)
	}
	code.tokenURL = c.text("auth", a.TokenURL, c.conn)
	code.scope = c.text("auth", a.Scope, c.conn)
	var err error
	code.params, err = compileNamed(a.Params, c.conn, func(n string) string { return n })
	c.note("auth", err)
	code.over = c.text("auth", a.Over, connector.SignScope(config))
	if r := a.Request; r != nil {
		l := &loginCode{path: c.text("auth", r.Path, c.conn)}
		l.query, err = compileNamed(r.Query, c.conn, func(n string) string { return n })
		c.note("auth", err)
		l.headers, err = compileNamed(r.Headers, c.conn, textproto.CanonicalMIMEHeaderKey)
		c.note("auth", err)
		l.body, err = compileBody(r.Body, c.conn)
		c.note("auth", err)
		answer := connector.AnswerScope(config, nil)
		l.token, err = compileOptional(a.Token, answer, expr.Any())
		c.note("auth", err)
		l.expires, err = compileOptional(a.Expires, answer, expr.Any())
		c.note("auth", err)
		code.login = l
	}
	return code
}

// allow adds the host that gives tokens to what may be called.
func (a *authCode) allow(p *egress.Policy, env *expr.Env) error {
	if a == nil || a.tokenURL == nil {
		return nil
	}
	text, err := a.tokenURL.eval(env, nil)
	if err != nil {
		return fmt.Errorf("token_url: %w", err)
	}
	p.Hosts = append(p.Hosts, hostOf(text))
	return nil
}

// refreshes tells whether a token can have run out, so that a 401 is worth one
// more try with a new one.
func (a *authCode) refreshes() bool {
	return a != nil && (a.Kind == "login" || a.Kind == "oauth2_client")
}

// apply adds the credential to a request that is otherwise complete.
func (a *authCode) apply(ctx context.Context, x *exchange, req *http.Request, body []byte) error {
	if a == nil {
		return nil
	}
	in := x.in
	switch a.Kind {
	case "basic":
		req.SetBasicAuth(field(in, a.Username), field(in, a.Password))
	case "bearer":
		token, err := needed(in, a.AuthSpec.Token)
		if err != nil {
			return err
		}
		req.Header["Authorization"] = []string{"Bearer " + token}
	case "api_key":
		key, err := needed(in, a.Key)
		if err != nil {
			return err
		}
		a.put(req, a.Prefix+key, key)
	case "hmac":
		return a.sign(in, req, body)
	case "login", "oauth2_client":
		token, err := x.client.tokens.get(ctx, in.Now, func(ctx context.Context) (string, time.Time, error) {
			if a.Kind == "login" {
				return a.logIn(ctx, x)
			}
			return a.fetchToken(ctx, x)
		})
		if err != nil {
			return err
		}
		prefix := a.Prefix
		if a.Kind == "oauth2_client" || prefix == "" && a.header == "Authorization" && a.In != "query" {
			prefix = "Bearer "
		}
		a.put(req, prefix+token, token)
	}
	return nil
}

func needed(in *connector.Invocation, name string) (string, error) {
	s := field(in, name)
	if s == "" {
		return "", &problem{connector.Auth, fmt.Sprintf("the connection has no %s: set it with riposte connection add", name)}
	}
	return s, nil
}

// put places a credential into the header or the query. Into the path it went
// when the address was made.
func (a *authCode) put(req *http.Request, withPrefix, key string) {
	switch a.In {
	case "query":
		q := appendQueryEscaped(nil, a.Name)
		q = append(q, '=')
		q = appendQueryEscaped(q, withPrefix)
		if req.URL.RawQuery != "" {
			req.URL.RawQuery += "&"
		}
		req.URL.RawQuery += string(q)
	case "path":
	default:
		req.Header[a.header] = []string{withPrefix}
	}
}

// pathPart is what a key in the path adds between base URL and path.
func (a *authCode) pathPart(in *connector.Invocation) (string, error) {
	if a == nil || a.Kind != "api_key" || a.In != "path" {
		return "", nil
	}
	key, err := needed(in, a.Key)
	if err != nil {
		return "", err
	}
	prefix := a.Prefix
	if prefix == "" {
		prefix = "/"
	}
	// A key holds what its vendor wants; a colon, as in Telegram's, must stay.
	return prefix + (&url.URL{Path: key}).EscapedPath(), nil
}

func (a *authCode) sign(in *connector.Invocation, req *http.Request, body []byte) error {
	key, err := needed(in, a.Key)
	if err != nil {
		return err
	}
	stamp := strconv.FormatInt(in.Now.Unix(), 10)
	if t := a.Timestamp; t != nil {
		switch t.Format {
		case "unix_ms":
			stamp = strconv.FormatInt(in.Now.UnixMilli(), 10)
		case "rfc3339":
			stamp = in.Now.UTC().Format(time.RFC3339)
		}
		req.Header.Set(t.Header, stamp)
	}
	text, err := a.over.eval(&expr.Env{Now: in.Now, Roots: map[string]any{
		"config": in.Config,
		"request": map[string]any{
			"method": req.Method, "path": req.URL.EscapedPath(), "query": req.URL.RawQuery,
			"host": req.URL.Host, "body": string(body), "timestamp": stamp,
		},
	}}, nil)
	if err != nil {
		return fmt.Errorf("sign the request: %w", err)
	}
	make := map[string]func() hash.Hash{"sha1": sha1.New, "sha512": sha512.New}[a.Hash]
	if make == nil {
		make = sha256.New
	}
	mac := hmac.New(make, []byte(key))
	mac.Write([]byte(text))
	sum := hex.EncodeToString(mac.Sum(nil))
	if a.Encode == "base64" {
		sum = base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	req.Header[a.header] = []string{a.Prefix + sum}
	return nil
}

// tokenCache keeps the short token of a connection. Only one call fetches it,
// the others wait for that one.
type tokenCache struct {
	mu      sync.Mutex
	token   string
	expires time.Time
	under   chan struct{} // closed when the fetch that is under way ends
}

// margin is how long before its end a token is no longer used.
const margin = 30 * time.Second

func (t *tokenCache) get(ctx context.Context, now time.Time, fetch func(context.Context) (string, time.Time, error)) (string, error) {
	for {
		t.mu.Lock()
		if t.token != "" && (t.expires.IsZero() || now.Before(t.expires)) {
			defer t.mu.Unlock()
			return t.token, nil
		}
		if t.under == nil {
			break
		}
		wait := t.under
		t.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	done := make(chan struct{})
	t.under = done
	t.mu.Unlock()
	token, expires, err := fetch(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.under = nil
	close(done)
	if err != nil {
		return "", err
	}
	if !expires.IsZero() {
		// Of a short life keep at least the half.
		expires = expires.Add(-min(margin, expires.Sub(now)/2))
	}
	t.token, t.expires = token, expires
	return token, nil
}

// drop forgets a token that the product does not take any more.
func (t *tokenCache) drop(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token = ""
	}
}

func (t *tokenCache) current() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.token
}

// logIn makes the call that gives a token.
func (a *authCode) logIn(ctx context.Context, x *exchange) (string, time.Time, error) {
	in, l := x.in, a.login
	env := &expr.Env{Now: in.Now, Roots: map[string]any{"config": in.Config, "secrets": secretsRoot(in.Secrets)}}
	method := a.Request.Method
	if method == "" {
		method = http.MethodPost
	}
	if x.ready.base == nil {
		return "", time.Time{}, errNoBase
	}
	u, err := x.address(env, l.path, pathSegment, "")
	if err != nil {
		return "", time.Time{}, fmt.Errorf("log in: %w", err)
	}
	if u.RawQuery, err = queryText(u.RawQuery, l.query, env); err != nil {
		return "", time.Time{}, fmt.Errorf("log in: %w", err)
	}
	body, contentType, err := l.body.make(env)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("log in: %w", err)
	}
	req := newRequest(ctx, method, u, body, contentType)
	if err := setHeaders(req.Header, l.headers, env); err != nil {
		return "", time.Time{}, fmt.Errorf("log in: %w", err)
	}
	if a.Request.Username != "" {
		req.SetBasicAuth(field(in, a.Request.Username), field(in, a.Request.Password))
	}
	ans, err := x.tokenAnswer(req)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("log in: %w", err)
	}
	answerEnv := &expr.Env{Now: in.Now, Roots: ans.roots(nil, in)}
	v, err := l.token.Eval(answerEnv)
	if err != nil {
		return "", time.Time{}, &problem{connector.BadAnswer, "log in: " + err.Error()}
	}
	token, _ := v.(string)
	if token == "" {
		return "", time.Time{}, &problem{connector.Auth, "log in: the answer holds no token" + ans.saying()}
	}
	expires := time.Time{}
	if a.TTL > 0 {
		expires = in.Now.Add(a.TTL)
	}
	if l.expires != nil {
		if v, err := l.expires.Eval(answerEnv); err == nil {
			expires = expiry(v, in.Now, expires)
		}
	}
	return token, expires, nil
}

// expiry reads seconds or a time; what is neither leaves the fallback.
func expiry(v any, now, fallback time.Time) time.Time {
	switch v := v.(type) {
	case int:
		return now.Add(time.Duration(v) * time.Second)
	case float64:
		return now.Add(time.Duration(v * float64(time.Second)))
	case string:
		if t, err := time.Parse(time.RFC3339, v); err == nil {
			return t
		}
		if n, err := strconv.Atoi(v); err == nil {
			return now.Add(time.Duration(n) * time.Second)
		}
	}
	return fallback
}

// fetchToken asks for a token with client id and secret (RFC 6749, 4.4).
func (a *authCode) fetchToken(ctx context.Context, x *exchange) (string, time.Time, error) {
	in := x.in
	env := &expr.Env{Now: in.Now, Roots: map[string]any{"config": in.Config, "secrets": secretsRoot(in.Secrets)}}
	text, err := a.tokenURL.eval(env, nil)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("token_url: %w", err)
	}
	u, err := parseBase(text)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("token_url: %w", err)
	}
	fields := map[string]string{"grant_type": "client_credentials"}
	if a.scope != nil {
		if fields["scope"], err = a.scope.eval(env, nil); err != nil {
			return "", time.Time{}, fmt.Errorf("scope: %w", err)
		}
	}
	for _, p := range a.params {
		v, err := p.value.Eval(env)
		if err != nil {
			return "", time.Time{}, fmt.Errorf("params: %w", err)
		}
		if fields[p.name], err = textOf(v); err != nil {
			return "", time.Time{}, err
		}
	}
	id, secret := field(in, a.ClientID), field(in, a.ClientSecret)
	if a.ClientAuth != "basic" {
		fields["client_id"], fields["client_secret"] = id, secret
	}
	req := newRequest(ctx, http.MethodPost, u, []byte(formText(fields)), "application/x-www-form-urlencoded")
	if a.ClientAuth == "basic" {
		// RFC 6749, 2.3.1: both are form-encoded before.
		req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	}
	ans, err := x.tokenAnswer(req)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("fetch a token: %w", err)
	}
	fieldsOf, _ := ans.body.(map[string]any)
	token, _ := fieldsOf["access_token"].(string)
	if token == "" {
		return "", time.Time{}, &problem{connector.Auth, "fetch a token: the answer holds no access_token" + ans.saying()}
	}
	fallback := time.Time{}
	if a.TTL > 0 {
		fallback = in.Now.Add(a.TTL)
	}
	return token, expiry(fieldsOf["expires_in"], in.Now, fallback), nil
}

// tokenAnswer sends a request for a token and reads the answer. What goes wrong
// here is no outcome of the action: it was never asked for.
func (x *exchange) tokenAnswer(req *http.Request) (*answer, error) {
	ans, err := x.send(req, "json", 1<<20)
	if err != nil {
		return nil, err
	}
	if ans.status >= 200 && ans.status <= 299 {
		return ans, nil
	}
	class := connector.Auth
	if ans.status == http.StatusTooManyRequests || ans.status >= 500 {
		class = defaultClass(ans.status, connector.Read)
	}
	return nil, &problem{class, fmt.Sprintf("%s answered %s%s", req.URL.Host, statusText(ans.status), ans.saying())}
}
