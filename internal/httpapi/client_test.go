package httpapi

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// client speaks to a server under test.
type client struct {
	t     *testing.T
	url   string
	token string
	http  *http.Client
}

// answer is what came back.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// as is the same client with another token; "" is nobody.
func (c *client) as(token string) *client {
	d := *c
	d.token = token
	return &d
}

// do sends a request. Headers are pairs of name and value.
func (c *client) do(method, path, body string, headers ...string) *answer {
	c.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, r)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return &answer{c.t, res.StatusCode, res.Header, b}
}

// into decodes the body.
func (a *answer) into(v any) *answer {
	a.t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		a.t.Fatalf("%v in %s", err, a.body)
	}
	return a
}

// problem expects a problem of a status and a type.
func (a *answer) problem(status int, name string) Problem {
	a.t.Helper()
	var p Problem
	if a.status != status || a.header.Get("Content-Type") != "application/problem+json" {
		a.t.Fatalf("status %d %s, want problem %d %s: %s", a.status, a.header.Get("Content-Type"), status, name, a.body)
	}
	a.into(&p)
	if p.Type != "urn:riposte:problem:"+name || p.Status != status || p.RequestID == "" || p.RequestID != a.header.Get("X-Request-Id") {
		a.t.Fatalf("problem %+v, want %s", p, name)
	}
	return p
}

// ok expects a status.
func (a *answer) ok(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}
