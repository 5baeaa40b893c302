package main

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"time"

	"riposte/internal/httpapi"
	"riposte/internal/strictyaml"
)

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make an API token; without RIPOSTE_TOKEN it asks for your name and password."`
	List   tokenListCmd   `cmd:"" help:"List your tokens."`
	Revoke tokenRevokeCmd `cmd:"" help:"Let a token in no more."`
}

type tokenCreateCmd struct {
	Name    string   `arg:"" help:"What to call it, such as ci."`
	Only    []string `name:"only" placeholder:"PERMISSION" help:"Hold it to these permissions, such as runs:read; repeat it or use commas."`
	Expires string   `name:"expires" placeholder:"DURATION" help:"When it ends, such as 30d. Default: never."`
	Owner   string   `name:"owner" help:"Whose it is, if not yours."`
	User    string   `name:"user" help:"Who you are, where RIPOSTE_TOKEN is not set."`
}

// Examples leads the command's help.
func (*tokenCreateCmd) Examples() string {
	return "riposte token create laptop                                asks for name and password\n" +
		"riposte token create ci --only runs:read,runs:start --expires 90d\n" +
		"riposte token create boot --user admin <password.txt      the token alone goes to standard output"
}

// Run makes a token. Only the secret goes to standard output.
func (c *tokenCreateCmd) Run(w *world) error {
	n := httpapi.NewToken{Name: c.Name, Only: c.Only, Owner: c.Owner}
	if c.Expires != "" {
		d, ok := strictyaml.ParseDuration(c.Expires)
		if !ok || d <= 0 {
			return misusef("--expires: %q is no duration; expected a whole number and a unit, such as 30d or 12h", c.Expires)
		}
		n.Expires = time.Now().UTC().Add(d).Truncate(time.Second)
	}
	s, header, err := c.identify(w)
	if err != nil {
		return err
	}
	var out struct {
		httpapi.Token
		Secret string `json:"secret"`
	}
	if _, err := s.do(request{method: http.MethodPost, path: "/api/tokens", body: n, header: header}, &out); err != nil {
		return err
	}
	if header != nil {
		_, _ = s.do(request{method: http.MethodDelete, path: "/api/session", header: header}, nil) // it ends by itself, too
	}
	if w.json {
		return w.printJSON(out)
	}
	fmt.Fprintf(w.err, "token %s of %s; it is shown only now\n", out.Name, out.Owner)
	fmt.Fprintln(w.out, out.Secret)
	return nil
}

// identify finds who asks: by token, else by name and password.
func (c *tokenCreateCmd) identify(w *world) (*server, map[string]string, error) {
	if w.getenv("RIPOSTE_TOKEN") != "" && c.User == "" {
		s, err := w.connect()
		return s, nil, err
	}
	s, err := w.connectAnyone()
	if err != nil {
		return nil, nil, err
	}
	name := c.User
	if name == "" {
		if w.askSecret == nil {
			return nil, nil, misusef("RIPOSTE_TOKEN is not set and nobody can be asked here; say --user and pipe the password in")
		}
		fmt.Fprint(w.err, "Name: ")
		line, err := bufio.NewReader(w.in).ReadString('\n')
		if err != nil {
			return nil, nil, err
		}
		name = strings.TrimSpace(line)
	}
	password, err := w.secret("Password", "")
	if err != nil {
		return nil, nil, err
	}
	header, err := s.do(request{method: http.MethodPost, path: "/api/session", body: map[string]string{"name": name, "password": password}}, nil)
	if err != nil {
		return nil, nil, err
	}
	cookie, _, _ := strings.Cut(header.Get("Set-Cookie"), ";")
	return s, map[string]string{"Cookie": cookie}, nil
}

type tokenListCmd struct {
	Owner string `name:"owner" help:"Whose, if not yours."`
}

// Examples leads the command's help.
func (*tokenListCmd) Examples() string { return "riposte token list" }

// Run lists tokens.
func (c *tokenListCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	l, err := fetch[httpapi.List[httpapi.Token]](s, "/api/tokens", filters("owner", c.Owner))
	if err != nil {
		return err
	}
	return printList(w, l.Items, "no tokens", []string{"name", "owner", "only", "created", "expires", "state"}, func(t httpapi.Token) []string {
		return []string{t.Name, t.Owner, orDash(clip(strings.Join(t.Only, " "), 60), "all"), stamp(t.Created), stamp(t.Expires), tokenState(t, time.Now())}
	})
}

// tokenState says whether a token lets anybody in.
func tokenState(t httpapi.Token, now time.Time) string {
	switch {
	case t.Revoked:
		return "revoked"
	case !t.Expires.IsZero() && !t.Expires.After(now):
		return "expired"
	}
	return "good"
}

type tokenRevokeCmd struct {
	Name  string `arg:"" help:"The token's name."`
	Owner string `name:"owner" help:"Whose, if not yours."`
	sure
}

// Examples leads the command's help.
func (*tokenRevokeCmd) Examples() string { return "riposte token revoke ci" }

// Run revokes a token.
func (c *tokenRevokeCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	if err := w.confirm(c.sure, "Revoke "+c.Name+"?"); err != nil {
		return err
	}
	if _, err := s.do(request{method: http.MethodDelete, path: "/api/tokens/" + pathPart(c.Name), query: filters("owner", c.Owner)}, nil); err != nil {
		return err
	}
	if w.json {
		return w.printJSON(map[string]string{"revoked": c.Name})
	}
	fmt.Fprintf(w.out, "%s revoked\n", c.Name)
	return nil
}
