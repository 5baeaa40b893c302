package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client speaks to a server's API and to the products.
type Client struct {
	Base  string // of the server, without a slash at the end
	Token string // an API token of the demo's administrator
	HTTP  *http.Client
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 16 << 20

// call sends a JSON body, where there is one, and decodes the answer into out,
// unless that is nil.
func (c *Client) call(ctx context.Context, method, path string, body, out any) error {
	var raw []byte
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return err
		}
	}
	return c.send(ctx, method, c.Base+path, c.Token, "application/json", raw, out)
}

func (c *Client) send(ctx context.Context, method, target, token, kind string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", kind)
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, target, err)
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, target, res.Status, strings.TrimSpace(string(raw)))
	}
	if out == nil || len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("%s %s: %w", method, target, err)
	}
	return nil
}

// list reads all pages of a list.
func list[T any](ctx context.Context, c *Client, path string, query url.Values) ([]T, error) {
	if query == nil {
		query = url.Values{}
	}
	query.Set("limit", "500")
	var all []T
	for {
		var page struct {
			Items []T    `json:"items"`
			Next  string `json:"next_cursor"`
		}
		if err := c.call(ctx, http.MethodGet, path+"?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.Next == "" {
			return all, nil
		}
		query.Set("cursor", page.Next)
	}
}

// SignIn takes a name and a password for a token, which the client uses from
// then on.
func (c *Client) SignIn(ctx context.Context, name, password string) error {
	raw, err := json.Marshal(map[string]string{"name": name, "password": password})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+"/api/session", bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("sign in as %s: %s", name, res.Status)
	}
	for _, cookie := range res.Cookies() {
		if c.Token, err = c.makeToken(ctx, cookie); err == nil {
			return nil
		}
	}
	return fmt.Errorf("make a token for %s: %w", name, err)
}

func (c *Client) makeToken(ctx context.Context, cookie *http.Cookie) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+"/api/tokens", strings.NewReader(`{"name":"demo"}`))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.AddCookie(cookie)
	res, err := c.HTTP.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var made struct {
		Secret string `json:"secret"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&made); err != nil || made.Secret == "" {
		return "", fmt.Errorf("the answer was %s and holds no secret", res.Status)
	}
	return made.Secret, nil
}

// pace waits, and tells whether ctx still lives.
func pace(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
