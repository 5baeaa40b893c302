package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"riposte/internal/audit"
	"riposte/internal/auth"
	"riposte/internal/fault"
	"riposte/internal/httpapi"
	"riposte/internal/store"
)

// SignIn checks a password and opens a session. Who is not there is checked
// against nobody's hash, so that the time does not tell.
func (a *api) SignIn(ctx context.Context, name, password string) (httpapi.Session, error) {
	p, known := a.people.Person(name)
	hash := p.Password
	if !known || hash == "" {
		hash = auth.NobodysHash()
	}
	if err := a.hash(ctx); err != nil {
		return httpapi.Session{}, err
	}
	right := auth.CheckPassword(hash, password)
	<-a.hashing
	now := utc(a.now())
	c, may := a.people.Caller(name, now)
	if !right || !may {
		a.refused(ctx, name, known)
		return httpapi.Session{}, fmt.Errorf("sign in: %w", fault.Denied)
	}
	secret, err := auth.NewSecret(rand.Reader)
	if err != nil {
		return httpapi.Session{}, err
	}
	s := auth.Session{Owner: name, Hash: auth.HashSecret(secret), Created: now, Seen: now}
	expires := a.sessions.Expires(s)
	err = a.db.Write(ctx, func(tx *store.Tx) error {
		if err := store.PutSession(tx, s.Hash, s, expires); err != nil {
			return err
		}
		return a.acted(tx, c, "session.open", "person:"+name, nil)
	})
	return httpapi.Session{Secret: secret, Expires: expires, Caller: c}, err
}

// hash waits for a place among those who hash.
func (a *api) hash(ctx context.Context) error {
	select {
	case a.hashing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refused notes a sign-in of somebody we know. Names that are not there are not
// kept: they may be passwords, typed into the wrong field.
func (a *api) refused(ctx context.Context, name string, known bool) {
	if !known {
		return
	}
	err := a.db.Write(ctx, func(tx *store.Tx) error {
		return a.note(tx, auth.Caller{Name: name}, "session.open", "person:"+name, audit.Denied, nil)
	})
	if err != nil {
		a.log.Error("act not noted in the audit log", "act", "session.open", "who", name, "error", err)
	}
}

// Session finds whose session a secret opens.
func (a *api) Session(ctx context.Context, secret string) (auth.Caller, error) {
	hash := auth.HashSecret(secret)
	s, err := read(ctx, a, func(q *store.Reader) (auth.Session, error) { return store.SessionOf(q, hash) })
	if err != nil {
		return auth.Caller{}, unknownSecret(err)
	}
	now := utc(a.now())
	c, ok := a.sessions.Caller(s, a.people, now)
	if !ok {
		return c, fmt.Errorf("the session is over: %w", fault.Denied)
	}
	if used, changed := a.sessions.Touch(s, now); changed {
		err := a.db.Write(ctx, func(tx *store.Tx) error { return store.PutSession(tx, hash, used, a.sessions.Expires(used)) })
		if err != nil {
			a.log.Warn("use of a session not noted", "person", s.Owner, "error", err)
		}
	}
	return c, nil
}

// unknownSecret makes no record a denial, and leaves errors of the disk alone.
func unknownSecret(err error) error {
	if errors.Is(err, fault.NotFound) {
		return fmt.Errorf("no such secret: %w", fault.Denied)
	}
	return err
}

// SignOut ends a session.
func (a *api) SignOut(ctx context.Context, secret string) error {
	return a.db.Write(ctx, func(tx *store.Tx) error { return store.EndSession(tx, auth.HashSecret(secret), utc(a.now())) })
}

// Token finds whose API token a secret is.
func (a *api) Token(ctx context.Context, secret string) (auth.Caller, error) {
	if auth.ParseSecret(secret) != nil {
		return auth.Caller{}, fmt.Errorf("no token: %w", fault.Denied)
	}
	hash := auth.HashSecret(secret)
	t, known := a.tokens.find(hash)
	if !known {
		var err error
		if t, err = read(ctx, a, func(q *store.Reader) (store.Token, error) { return store.TokenByHash(q, hash) }); err != nil {
			return auth.Caller{}, unknownSecret(err)
		}
		a.tokens.keep(hash, t)
	}
	c, ok := t.Token.Caller(a.people, utc(a.now()))
	if !ok {
		return c, fmt.Errorf("the token is over: %w", fault.Denied)
	}
	return c, nil
}

// People lists those who may come in.
func (a *api) People(_ context.Context, who auth.Caller) ([]httpapi.Person, error) {
	var list []httpapi.Person
	now := utc(a.now())
	for _, p := range a.people.People() {
		if tenantOf(p.Tenant) != tenantOf(who.Tenant) {
			continue
		}
		w := httpapi.Person{Name: p.Name, Title: p.Title, Roles: p.Roles, Groups: p.Groups, Password: p.Password != "", Disabled: p.Disabled}
		if c, ok := a.people.Caller(p.Name, now); ok {
			w.Roles, w.OnCall = c.Roles, c.OnCall
		}
		if w.Roles == nil {
			w.Roles = []string{}
		}
		list = append(list, w)
	}
	return list, nil
}

// Tokens lists those of a person.
func (a *api) Tokens(ctx context.Context, _ auth.Caller, owner string) ([]httpapi.Token, error) {
	list, err := read(ctx, a, func(q *store.Reader) ([]store.Token, error) { return store.TokensOf(q, owner) })
	out := make([]httpapi.Token, len(list))
	for i, t := range list {
		out[i] = wireToken(t)
	}
	return out, err
}

func wireToken(t store.Token) httpapi.Token {
	w := httpapi.Token{Name: t.Name, Owner: t.Owner, Created: t.Created, Expires: t.Expires, Revoked: t.Revoked}
	for _, p := range t.Only {
		w.Only = append(w.Only, string(p))
	}
	return w
}

// CreateToken makes a token.
func (a *api) CreateToken(ctx context.Context, who auth.Caller, n httpapi.NewToken) (httpapi.Token, string, error) {
	now := utc(a.now())
	owner, ok := a.people.Caller(n.Owner, now)
	if !ok {
		return httpapi.Token{}, "", fmt.Errorf("create a token: there is no person %s: %w", n.Owner, fault.NotFound)
	}
	if owner.Name == who.Name {
		owner = who // a token that is held to little makes none that may do more
	}
	secret, err := auth.NewSecret(rand.Reader)
	if err != nil {
		return httpapi.Token{}, "", err
	}
	t := store.Token{Hash: auth.HashSecret(secret), Token: auth.Token{Name: n.Name, Owner: n.Owner, Created: now, Expires: utc(n.Expires)}}
	t.Token.Hash = t.Hash
	for _, p := range n.Only {
		t.Only = append(t.Only, auth.Permission(p))
	}
	if len(t.Only) == 0 && who.Token != "" && owner.Name == who.Name {
		t.Only = who.Permissions()
	}
	if err := t.Check(owner, now); err != nil {
		return httpapi.Token{}, "", err
	}
	err = a.db.Write(ctx, func(tx *store.Tx) error {
		list, err := store.TokensOf(&tx.Reader, n.Owner)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(list, func(o store.Token) bool { return o.Name == n.Name && !o.Revoked }) {
			return fmt.Errorf("create a token: %s has one called %s already: %w", n.Owner, n.Name, fault.Conflict)
		}
		if err := store.PutToken(tx, &t, now); err != nil {
			return err
		}
		return a.acted(tx, who, "token.create", "token:"+n.Name, map[string]any{"owner": n.Owner, "only": n.Only})
	})
	return wireToken(t), secret, err
}

// RevokeToken lets a token in no more.
func (a *api) RevokeToken(ctx context.Context, who auth.Caller, owner, name string) error {
	defer a.tokens.clear() // once it is on disk, no earlier
	return a.db.Write(ctx, func(tx *store.Tx) error {
		list, err := store.TokensOf(&tx.Reader, owner)
		if err != nil {
			return err
		}
		for _, t := range list {
			if t.Name != name || t.Revoked {
				continue
			}
			t.Revoked = true
			if err := store.PutToken(tx, &t, utc(a.now())); err != nil {
				return err
			}
			return a.acted(tx, who, "token.revoke", "token:"+name, map[string]any{"owner": owner})
		}
		return fmt.Errorf("revoke a token: %s has none called %s: %w", owner, name, fault.NotFound)
	})
}
