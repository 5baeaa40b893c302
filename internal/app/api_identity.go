package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"riposte/internal/auth"
	"riposte/internal/fault"
	"riposte/internal/httpapi"
	"riposte/internal/store"
)

// errWrong is all that somebody who may not come in is told.
var errWrong = fmt.Errorf("name or secret is wrong: %w", fault.Denied)

// hashing bounds how many passwords are hashed at once: each takes much memory.
const hashing = 2

// SignIn checks a password and opens a session. Somebody unknown takes as long
// as somebody known.
func (a api) SignIn(ctx context.Context, name, password string) (httpapi.Session, error) {
	select {
	case a.hashing <- struct{}{}:
		defer func() { <-a.hashing }()
	case <-ctx.Done():
		return httpapi.Session{}, ctx.Err()
	}
	p, known := a.people.Person(name)
	hash := auth.NobodysHash()
	if known && p.Password != "" && !p.Disabled {
		hash = p.Password
	}
	now := a.now().UTC()
	caller, ok := a.people.Caller(name, now)
	if !auth.CheckPassword(hash, password) || !known || p.Password == "" || !ok {
		return httpapi.Session{}, errWrong
	}
	secret, err := token()
	if err != nil {
		return httpapi.Session{}, err
	}
	s := auth.Session{Owner: name, Hash: auth.HashSecret(secret), Created: now, Seen: now}
	expires := a.sessions.Expires(s)
	if err := a.write(ctx, func(tx *store.Tx) error { return store.PutSession(tx, s.Hash, s, expires) }); err != nil {
		return httpapi.Session{}, err
	}
	a.log.Info("signed in", "person", name)
	return httpapi.Session{Secret: secret, Expires: expires, Caller: caller}, nil
}

// Session finds whose session a secret opens.
func (a api) Session(ctx context.Context, secret string) (auth.Caller, error) {
	hash := auth.HashSecret(secret)
	var s auth.Session
	err := a.read(ctx, func(q *store.Reader) (err error) {
		s, err = store.SessionOf(q, hash)
		return err
	})
	if errors.Is(err, fault.NotFound) {
		return auth.Caller{}, errWrong
	}
	if err != nil {
		return auth.Caller{}, err
	}
	now := a.now().UTC()
	caller, ok := a.sessions.Caller(s, a.people, now)
	if !ok {
		return auth.Caller{}, errWrong
	}
	if used, changed := a.sessions.Touch(s, now); changed {
		err = a.write(ctx, func(tx *store.Tx) error { return store.PutSession(tx, hash, used, a.sessions.Expires(used)) })
	}
	return caller, err
}

// SignOut ends a session.
func (a api) SignOut(ctx context.Context, secret string) error {
	return a.write(ctx, func(tx *store.Tx) error { return store.EndSession(tx, auth.HashSecret(secret), a.now().UTC()) })
}

// Token finds whose API token a secret is.
func (a api) Token(ctx context.Context, secret string) (auth.Caller, error) {
	hash := auth.HashSecret(secret)
	t, ok := a.tokens.find(hash)
	if !ok {
		err := a.read(ctx, func(q *store.Reader) (err error) {
			t, err = store.TokenByHash(q, hash)
			return err
		})
		if errors.Is(err, fault.NotFound) {
			return auth.Caller{}, errWrong
		}
		if err != nil {
			return auth.Caller{}, err
		}
		a.tokens.keep(hash, t)
	}
	caller, ok := t.Caller(a.people, a.now().UTC())
	if !ok {
		return auth.Caller{}, errWrong
	}
	return caller, nil
}

func showToken(t store.Token) httpapi.Token {
	s := httpapi.Token{Name: t.Name, Owner: t.Owner, Created: utc(t.Created), Expires: utc(t.Expires), Revoked: t.Revoked}
	for _, p := range t.Only {
		s.Only = append(s.Only, string(p))
	}
	return s
}

// Tokens lists those of a person, by name.
func (a api) Tokens(ctx context.Context, _ auth.Caller, owner string) (out []httpapi.Token, err error) {
	err = a.read(ctx, func(q *store.Reader) error {
		list, err := store.TokensOf(q, owner)
		for _, t := range list {
			out = append(out, showToken(t))
		}
		return err
	})
	return out, err
}

// CreateToken makes one and gives its secret, once.
func (a api) CreateToken(ctx context.Context, who auth.Caller, n httpapi.NewToken) (httpapi.Token, string, error) {
	if n.Owner == "" {
		n.Owner = who.Name
	}
	now := a.now().UTC()
	owner, ok := a.people.Caller(n.Owner, now)
	if !ok {
		return httpapi.Token{}, "", fmt.Errorf("there is nobody called %s: %w", n.Owner, fault.Invalid)
	}
	secret, err := token()
	if err != nil {
		return httpapi.Token{}, "", err
	}
	t := store.Token{Hash: auth.HashSecret(secret), Token: auth.Token{Name: n.Name, Owner: n.Owner, Created: now, Expires: n.Expires}}
	for _, p := range n.Only {
		t.Only = append(t.Only, auth.Permission(p))
	}
	if err := t.Check(owner, now); err != nil {
		return httpapi.Token{}, "", err
	}
	err = a.write(ctx, func(tx *store.Tx) error {
		list, err := store.TokensOf(&tx.Reader, n.Owner)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(list, func(x store.Token) bool { return x.Name == n.Name }) {
			return fmt.Errorf("%s has a token called %s already: %w", n.Owner, n.Name, fault.Conflict)
		}
		return store.PutToken(tx, &t, now)
	})
	return showToken(t), secret, err
}

// RevokeToken ends a token.
func (a api) RevokeToken(ctx context.Context, _ auth.Caller, owner, name string) error {
	defer a.tokens.clear()
	return a.write(ctx, func(tx *store.Tx) error {
		list, err := store.TokensOf(&tx.Reader, owner)
		if err != nil {
			return err
		}
		for _, t := range list {
			if t.Name == name {
				return store.DropToken(tx, t.ID)
			}
		}
		return fmt.Errorf("token %s of %s: %w", name, owner, fault.NotFound)
	})
}

// firstAdmin is whom the first start makes.
const firstAdmin = "admin"

// meetPeople makes the directory of people: those of the configuration and those
// kept in the store. Where nobody could sign in it makes one administrator with
// a random password, which it returns.
func (c *core) meetPeople(ctx context.Context) (password string, err error) {
	var kept []store.Password
	err = c.db.Read(ctx, func(q *store.Reader) (err error) {
		kept, err = store.Passwords(q)
		return err
	})
	if err != nil {
		return "", err
	}
	can := len(kept) > 0
	for _, p := range c.cfg.People {
		can = can || p.PasswordHash != "" && !p.Disabled
	}
	if !can {
		if password, err = auth.NewPassword(rand.Reader); err != nil {
			return "", err
		}
		hash, err := auth.NewPasswordHash(password, rand.Reader)
		if err != nil {
			return "", err
		}
		first := store.Password{Name: firstAdmin, Title: "Administrator", Roles: []string{"admin"}, Hash: hash}
		if err := c.db.Write(ctx, func(tx *store.Tx) error { return store.PutPassword(tx, first, c.now().UTC()) }); err != nil {
			return "", err
		}
		kept = append(kept, first)
	}
	var more []auth.Person
	for _, p := range kept {
		more = append(more, auth.Person{Name: p.Name, Title: p.Title, Roles: p.Roles, Password: p.Hash})
	}
	c.people, err = c.cfg.Directory(more...)
	return password, err
}
