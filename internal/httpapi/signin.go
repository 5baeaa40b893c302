package httpapi

import (
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"riposte/internal/auth"
	"riposte/internal/fault"
)

// Me is who makes the request.
type Me struct {
	Name        string   `json:"name"`
	Title       string   `json:"title,omitempty"`
	Roles       []string `json:"roles" nullable:"false"`
	Groups      []string `json:"groups,omitempty"`
	OnCall      []string `json:"on_call,omitempty" doc:"What you are on call for now."`
	Permissions []string `json:"permissions" nullable:"false"`
	Token       string   `json:"token,omitempty" doc:"The API token that you came with; absent for a session."`
}

func meOf(c auth.Caller) Me {
	me := Me{Name: c.Name, Title: c.Title, Roles: orEmpty(c.Roles), Groups: c.Groups, OnCall: c.OnCall, Token: c.Token, Permissions: []string{}}
	for _, p := range c.Permissions() {
		me.Permissions = append(me.Permissions, string(p))
	}
	return me
}

type signInInput struct {
	from string
	Body struct {
		Name     string `json:"name" minLength:"1" maxLength:"64"`
		Password string `json:"password" minLength:"1" maxLength:"1024" writeOnly:"true"`
	}
}

// Resolve notes where the request comes from.
func (in *signInInput) Resolve(ctx huma.Context) []error {
	host, _, err := net.SplitHostPort(ctx.RemoteAddr())
	if err != nil {
		host = ctx.RemoteAddr()
	}
	in.from = host
	return nil
}

type signedIn struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      Me
}

type signedOut struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

type signOutInput struct {
	Who
	Session string `cookie:"riposte_session"`
}

// Healthy is the answer of the health check.
type Healthy struct {
	Status  string `json:"status" enum:"ok"`
	Version string `json:"version"`
}

type noInput struct{}

func (a *api) signInRoutes() {
	addOpen(a, op("identity", get, "/api/health", "get-health", "Tell whether the server can do its work"),
		func(context.Context, *noInput) (*Body[Healthy], error) {
			if a.Health != nil {
				if err := a.Health(); err != nil {
					p := tryAgain.problem("the server cannot do its work now; its log says why").with("Retry-After", "5")
					p.cause = err
					return nil, p
				}
			}
			return &Body[Healthy]{Healthy{"ok", a.Version}}, nil
		})
	addOpen(a, op("identity", post, "/api/session", "sign-in", "Sign in with a password; the session comes as a cookie"), a.signIn)
	add(a, "", answering(204, op("identity", remove, "/api/session", "sign-out", "Sign out")),
		func(ctx context.Context, in *signOutInput) (*signedOut, error) {
			if in.Session != "" {
				if err := a.Identity.SignOut(ctx, in.Session); err != nil {
					return nil, err
				}
			}
			return &signedOut{a.cookie("", time.Unix(1, 0))}, nil
		})
	add(a, "", op("identity", get, "/api/me", "get-me", "Tell who you are and what you may do"),
		func(_ context.Context, in *whoInput) (*Body[Me], error) { return &Body[Me]{meOf(in.caller)}, nil })
}

// cookie is the session's: no script reads it, no other site's page sends it.
func (a *api) cookie(secret string, expires time.Time) http.Cookie {
	c := http.Cookie{Name: cookieName, Value: secret, Path: "/", Expires: expires, HttpOnly: true, Secure: a.Secure, SameSite: http.SameSiteStrictMode}
	if secret == "" {
		c.MaxAge = -1
	}
	return c
}

// signIn slows down whoever guesses: by name, so that one account is not tried
// from many places, and by address, so that one place does not try many.
func (a *api) signIn(ctx context.Context, in *signInInput) (*signedIn, error) {
	keys := []string{"name:" + in.Body.Name, "from:" + in.from}
	now := a.Now()
	for _, k := range keys {
		if wait := a.limiter.Wait(k, now); wait > 0 {
			return nil, tooMany.problem("too many wrong passwords; wait before you try again").
				with("Retry-After", number(int(math.Ceil(wait.Seconds()))))
		}
	}
	s, err := a.Identity.SignIn(ctx, in.Body.Name, in.Body.Password)
	if errors.Is(err, fault.Denied) {
		for _, k := range keys {
			a.limiter.Failed(k, now)
		}
		a.Log.Warn("sign-in refused", "name", in.Body.Name, "from", in.from, "request_id", requestID(ctx))
		return nil, unauthorized.problem("name or password is wrong")
	}
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		a.limiter.Succeeded(k)
	}
	return &signedIn{SetCookie: a.cookie(s.Secret, s.Expires), Body: meOf(s.Caller)}, nil
}
