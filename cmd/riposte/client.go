package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"riposte/internal/fault"
	"riposte/internal/httpapi"
)

// defaultURL is where a server on this machine answers.
const defaultURL = "http://127.0.0.1:8080"

// server is a server as the client commands speak to it.
type server struct {
	w     *world
	base  string
	token string
	http  *http.Client
}

// connect finds the server by RIPOSTE_URL and RIPOSTE_TOKEN. It sends nothing.
func (w *world) connect() (*server, error) {
	s, err := w.connectAnyone()
	if err != nil {
		return nil, err
	}
	if s.token = w.getenv("RIPOSTE_TOKEN"); s.token == "" {
		return nil, misusef("RIPOSTE_TOKEN is not set; riposte token create makes a token")
	}
	if strings.ContainsAny(s.token, " \t\r\n") {
		return nil, misusef("RIPOSTE_TOKEN holds blanks or line breaks; set it to the token alone")
	}
	return s, nil
}

// connectAnyone finds the server for somebody who has no token yet.
func (w *world) connectAnyone() (*server, error) {
	base := w.getenv("RIPOSTE_URL")
	if base == "" {
		base = defaultURL
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, misusef("RIPOSTE_URL: %q is not the address of a server; expected one such as https://riposte.example.org", base)
	}
	roots, err := w.roots()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 2 * time.Minute,
		TLSClientConfig:       &tls.Config{RootCAs: roots},
	}
	return &server{w: w, base: strings.TrimSuffix(base, "/"), http: &http.Client{Transport: transport, CheckRedirect: refuse}}, nil
}

// refuse keeps a token from following a redirect to somewhere else.
func refuse(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// roots are the certificates to trust beside the machine's: RIPOSTE_CA names a
// file of them.
func (w *world) roots() (*x509.CertPool, error) {
	file := w.getenv("RIPOSTE_CA")
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, misusef("RIPOSTE_CA: %s", pathError(err))
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, misusef("RIPOSTE_CA: %s holds no certificate in PEM", file)
	}
	return pool, nil
}

// request is one call of the API.
type request struct {
	method string
	path   string
	query  url.Values
	body   any
	header map[string]string
}

// do sends a request and decodes the answer into out, if that is not nil.
func (s *server) do(r request, out any) (http.Header, error) {
	res, err := s.send(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return nil, s.refused(res)
	}
	if out == nil || res.StatusCode == http.StatusNoContent {
		return res.Header, nil
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return nil, fmt.Errorf("%s %s: the answer is not what a Riposte server gives: %w; is RIPOSTE_URL right?", r.method, s.base+r.path, err)
	}
	return res.Header, nil
}

func (s *server) send(r request) (*http.Response, error) {
	var body io.Reader
	if r.body != nil {
		raw, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(raw)
	}
	target := s.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(s.w.ctx, r.method, target, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "riposte/"+version)
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	res, err := s.http.Do(req)
	if err != nil {
		return nil, s.unreachable(err)
	}
	return res, nil
}

// unreachable says what to do about a server that does not answer.
func (s *server) unreachable(err error) error {
	if s.w.ctx.Err() != nil {
		return errors.New("interrupted")
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	remedy := "set RIPOSTE_URL to the server's address"
	if s.base == defaultURL {
		remedy = "start one with riposte serve, or set RIPOSTE_URL to its address"
	}
	return fmt.Errorf("cannot reach a server at %s: %w; %s", s.base, err, remedy)
}

// refused turns a problem into an error. What the server calls wrong input is
// wrong input here.
func (s *server) refused(res *http.Response) error {
	var p httpapi.Problem
	raw, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if json.Unmarshal(raw, &p) != nil || p.Status == 0 {
		return fmt.Errorf("%s answered %s, which is not what a Riposte server says; is RIPOSTE_URL right?", s.base, res.Status)
	}
	kind := errors.New("refused")
	switch {
	case res.StatusCode == http.StatusBadRequest || res.StatusCode == http.StatusUnprocessableEntity || res.StatusCode == http.StatusRequestEntityTooLarge:
		kind = fault.Invalid
	case res.StatusCode == http.StatusNotFound:
		kind = fault.NotFound
	case res.StatusCode == http.StatusForbidden || res.StatusCode == http.StatusUnauthorized:
		kind = fault.Denied
	case res.StatusCode == http.StatusConflict || res.StatusCode == http.StatusPreconditionFailed:
		kind = fault.Conflict
	}
	return &refusal{problem: p, kind: kind}
}

// refusal is the server's no.
type refusal struct {
	problem httpapi.Problem
	kind    error
}

// Error is one line: what the server said, and the parts that are wrong.
func (r *refusal) Error() string {
	p := r.problem
	text := p.Detail
	switch {
	case p.Status == http.StatusUnauthorized:
		text = "the server does not know the token in RIPOSTE_TOKEN; riposte token create makes one"
		if p.Detail == "name or password is wrong" {
			text = p.Detail
		}
	case text == "":
		text = strings.ToLower(p.Title)
	}
	if p.Status >= 500 {
		text += " (request " + p.RequestID + "; the server's log says more)"
	}
	if len(p.Errors) > 1 || len(p.Errors) == 1 && !strings.Contains(text, p.Errors[0].Detail) {
		for _, e := range p.Errors {
			text += "; " + strings.TrimPrefix(e.Pointer+e.Parameter, "#/") + ": " + e.Detail
		}
	}
	return oneLine(text)
}

// Unwrap gives the kind.
func (r *refusal) Unwrap() error { return r.kind }

// fetch reads one thing.
func fetch[T any](s *server, path string, query url.Values) (T, error) {
	var v T
	_, err := s.do(request{method: http.MethodGet, path: path, query: query}, &v)
	return v, err
}

// paging is what every list takes.
type paging struct {
	Limit int  `name:"limit" default:"50" help:"How many at most."`
	All   bool `name:"all" help:"All of them, however many."`
}

// fetchAll reads a list, page by page.
func fetchAll[T any](s *server, path string, query url.Values, p paging) ([]T, error) {
	if p.Limit < 1 {
		return nil, misusef("--limit: %d is not a number of records", p.Limit)
	}
	if query == nil {
		query = url.Values{}
	}
	items := []T{}
	for {
		left := p.Limit - len(items)
		if p.All {
			left = 500
		}
		query.Set("limit", fmt.Sprint(min(left, 500)))
		page, err := fetch[httpapi.List[T]](s, path, query)
		if err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if page.NextCursor == "" || (!p.All && len(items) >= p.Limit) {
			return items, nil
		}
		query.Set("cursor", page.NextCursor)
	}
}

// filters makes a query of those that are set.
func filters(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

// recordPath checks an ID before it becomes a part of a path.
func recordPath(collection, code, id string) (string, error) {
	digits, ok := strings.CutPrefix(id, code+"-")
	if !ok || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return "", misusef("%q is not an ID of the form %s-123", id, code)
	}
	return "/api/" + collection + "/" + id, nil
}
