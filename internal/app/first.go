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
// store. Where nobody can sign in and look after people, it makes the one
// administrator of a new installation with a random password, which it returns:
// it is told once and kept nowhere.
func (c *core) meetPeople(ctx context.Context) (name, password string, err error) {
	var stored []store.Password
	err = c.db.Read(ctx, func(q *store.Reader) (err error) {
		stored, err = store.Passwords(q)
		return err
	})
	if err != nil {
		return "", "", err
	}
	configured, err := c.cfg.Directory()
	if err != nil {
		return "", "", err
	}
	if len(stored) == 0 && !hasAdministrator(configured) {
		var first store.Password
		if first, password, err = c.firstAdministrator(ctx, configured); err != nil {
			return "", "", fmt.Errorf("make the first administrator: %w", err)
		}
		stored, name = append(stored, first), first.Name
		c.log.Info("first administrator made", "name", name)
	}
	var more []auth.Person
	for _, p := range stored {
		more = append(more, auth.Person{Name: p.Name, Title: p.Title, Roles: p.Roles, Password: p.Hash})
	}
	c.people, err = c.cfg.Directory(more...)
	return name, password, err
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
