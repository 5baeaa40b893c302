package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"riposte/internal/auth"
	"riposte/internal/fault"
)

// Identity knows who may come in. Every method returns fault.Denied where the
// secret is not good, without saying why.
type Identity interface {
	// SignIn checks a password and opens a session.
	SignIn(ctx context.Context, name, password string) (Session, error)
	// Session finds whose session a secret opens.
	Session(ctx context.Context, secret string) (auth.Caller, error)
	// SignOut ends a session; one that has ended already is no error.
	SignOut(ctx context.Context, secret string) error
	// Token finds whose API token a secret is.
	Token(ctx context.Context, secret string) (auth.Caller, error)
}

// Session is an open session and the secret that opens it.
type Session struct {
	Secret  string
	Expires time.Time
	Caller  auth.Caller
}

// cookieName is the session's cookie.
const cookieName = "riposte_session"

// Who is embedded in the input of every operation: who makes the request.
type Who struct{ caller auth.Caller }

// Resolve takes the caller from the request.
func (w *Who) Resolve(ctx huma.Context) []error {
	w.caller = callerOf(ctx)
	return nil
}

var _ huma.Resolver = (*Who)(nil)

// identified is a request of somebody known. Who it is travels beside the
// request's context, not in it.
type identified struct {
	embedded
	caller auth.Caller
}

// embedded is huma's context under a name that leaves its method Context free.
type embedded = huma.Context

// Unwrap lets the adapter find its own context.
func (c *identified) Unwrap() huma.Context { return c.embedded }

func callerOf(ctx huma.Context) auth.Caller {
	for {
		if c, ok := ctx.(*identified); ok {
			return c.caller
		}
		u, ok := ctx.(interface{ Unwrap() huma.Context })
		if !ok {
			return auth.Caller{}
		}
		ctx = u.Unwrap()
	}
}

// permissionKey is where an operation's Metadata names the permission it needs.
const permissionKey = "permission"

// identify lets a request through when its identity holds the permission that
// the operation needs. It runs before anything of the body is read.
func (a *api) identify(ctx huma.Context, next func(huma.Context)) {
	op := ctx.Operation()
	if isOpen(op) {
		next(ctx)
		return
	}
	r, w := humago.Unwrap(ctx)
	caller, p := a.callerOf(r)
	if p == nil {
		need, _ := op.Metadata[permissionKey].(auth.Permission)
		if need != "" && !caller.May(need) {
			p = denied.problem("you need the permission " + string(need) + " for this; " + caller.Name + " does not have it")
		}
	}
	if p != nil {
		writeProblem(w, r, p)
		return
	}
	next(&identified{ctx, caller})
}

// isOpen tells the few operations that need no identity.
func isOpen(op *huma.Operation) bool { return len(op.Security) == 0 }

// callerOf finds who makes a request: by token where one is sent, else by cookie.
func (a *api) callerOf(r *http.Request) (auth.Caller, *Problem) {
	var c auth.Caller
	err := fault.Denied
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, secret, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") || secret == "" {
			return c, unauthorized.problem("the Authorization header must be Bearer and a token").with("WWW-Authenticate", "Bearer")
		}
		c, err = a.Identity.Token(r.Context(), secret)
	} else if cookie, noCookie := r.Cookie(cookieName); noCookie == nil {
		c, err = a.Identity.Session(r.Context(), cookie.Value)
	}
	if err == nil {
		return c, nil
	}
	if !errors.Is(err, fault.Denied) {
		p := problemOf(err)
		a.logged(r.Context(), p)
		return c, p
	}
	return c, unauthorized.problem("send a session cookie (POST /api/session) or an API token (Authorization: Bearer …)").
		with("WWW-Authenticate", "Bearer")
}

// logged writes what clients are not told. That one has gone away while it was
// answered is nothing for a person to act on.
func (a *api) logged(ctx context.Context, p *Problem) {
	if ctx.Err() != nil && errors.Is(p.cause, context.Canceled) {
		return
	}
	if p.Status >= http.StatusInternalServerError && p.cause != nil {
		a.Log.Error("request failed", "request_id", requestID(ctx), "error", p.cause.Error())
	}
}
