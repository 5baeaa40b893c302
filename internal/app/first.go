package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime/debug"

	"riposte/internal/audit"
	"riposte/internal/auth"
	"riposte/internal/store"
)

// firstAdmin is whom the first start makes, unless the configuration has
// somebody of that name who is no administrator.
const firstAdmin = "admin"

// meetPeople makes the directory of those in the configuration and those in the
// store, and tells whether the store has any.
func (c *core) meetPeople(ctx context.Context) (stored bool, err error) {
	var kept []store.Password
	err = c.db.Read(ctx, func(q *store.Reader) (err error) {
		kept, err = store.Passwords(q)
		return err
	})
	if err != nil {
		return false, err
	}
	var more []auth.Person
	for _, p := range kept {
		more = append(more, auth.Person{Name: p.Name, Title: p.Title, Roles: p.Roles, Password: p.Hash})
	}
	c.people, err = c.cfg.Directory(more...)
	return len(kept) > 0, err
}

// greet makes the one administrator of a new installation, where nobody can sign
// in and look after people, with a random password, which it returns: it is told
// once and kept nowhere. A start that fails must not have done it, or nobody
// would ever know the password.
func (c *core) greet(ctx context.Context) (first firstPerson, err error) {
	stored, err := c.meetPeople(ctx)
	if err != nil || stored || hasAdministrator(c.people) {
		return first, err
	}
	p, password, err := c.firstAdministrator(ctx, c.people)
	if err != nil {
		return first, fmt.Errorf("make the first administrator: %w", err)
	}
	c.log.Info("first administrator made", "name", p.Name)
	_, err = c.meetPeople(ctx)
	return firstPerson{p.Name, password}, err
}

// hasAdministrator tells whether somebody can sign in who may look after people.
func hasAdministrator(d *auth.Directory) bool {
	for _, p := range d.People() {
		if p.Password != "" && d.Can(p.Name, auth.PeopleWrite) {
			return true
		}
	}
	return false
}

func (c *core) firstAdministrator(ctx context.Context, d *auth.Directory) (store.Password, string, error) {
	p := store.Password{Name: firstAdmin, Title: "Administrator", Roles: []string{auth.Admin}}
	if _, taken := d.Person(p.Name); taken {
		p.Name = "riposte-" + firstAdmin
	}
	password, err := auth.NewPassword(rand.Reader)
	if err != nil {
		return p, "", err
	}
	if p.Hash, err = auth.NewPasswordHash(password, rand.Reader); err != nil {
		return p, "", err
	}
	debug.FreeOSMemory() // the hash took 19 MiB, which an idle server would keep for minutes
	now := utc(c.now())
	err = c.db.Write(ctx, func(tx *store.Tx) error {
		if err := store.PutPassword(tx, p, now); err != nil {
			return err
		}
		_, err := store.AppendAudit(tx, audit.Entry{At: now, Who: "system", Act: "person.create", Object: "person:" + p.Name, Outcome: audit.Done})
		return err
	})
	return p, password, err
}

// Token makes an API token for somebody, as the program itself: the demo and
// tests need one without a person.
func (a *App) Token(ctx context.Context, owner, name string) (string, error) {
	secret, err := auth.NewSecret(rand.Reader)
	if err != nil {
		return "", err
	}
	now := utc(a.core.now())
	t := store.Token{Hash: auth.HashSecret(secret), Token: auth.Token{Name: name, Owner: owner, Created: now}}
	t.Token.Hash = t.Hash
	if _, ok := a.core.people.Caller(owner, now); !ok {
		return "", fmt.Errorf("make a token: there is no person %s", owner)
	}
	return secret, a.core.db.Write(ctx, func(tx *store.Tx) error { return store.PutToken(tx, &t, now) })
}
