package simulated

import (
	"net/http"
	"slices"
	"strings"
)

// account is a person's account in the directory.
type account struct {
	Login      string   `json:"login"`
	Name       string   `json:"name"`
	Mail       string   `json:"mail"`
	Title      string   `json:"title"`
	Department string   `json:"department"`
	Manager    string   `json:"manager,omitempty"`
	Enabled    bool     `json:"enabled"`
	Admin      bool     `json:"admin"`
	Groups     []string `json:"groups"`
	Sessions   int      `json:"sessions"`
	LastLogin  string   `json:"last_login"`
	Reason     string   `json:"disabled_reason,omitempty"`
}

// directory keeps accounts: basic authentication, paths below /v1.
type directory struct {
	accounts []*account
	revoked  map[string]int // sessions ended, by login
}

func newDirectory() *Product {
	return newProduct("directory", auth{kind: "basic"}, "riposte", "directory-demo-password", &directory{})
}

func (d *directory) reset() {
	person := func(login, title, department, manager string, sessions int, groups ...string) *account {
		return &account{
			Login: login, Name: strings.ToUpper(login[:1]) + login[1:], Mail: login + "@lab.test", Title: title,
			Department: department, Manager: manager, Enabled: true, Admin: slices.Contains(groups, "admins"),
			Groups: append([]string{}, groups...), Sessions: sessions, LastLogin: "2026-01-05T08:41:00Z",
		}
	}
	*d = directory{
		revoked: map[string]int{},
		accounts: []*account{
			person("alice", "Accountant", "Finance", "dana", 2, "finance", "vpn"),
			person("bob", "Sales representative", "Sales", "dana", 1, "sales"),
			person("carol", "Engineer", "Engineering", "dana", 3, "engineering", "vpn"),
			person("dana", "Head of operations", "Management", "", 1, "management", "vpn"),
			person("breakglass", "Emergency account", "IT", "", 0, "admins", "break-glass"),
		},
	}
}

func (d *directory) routes() map[string]handler {
	return map[string]handler{
		"GET /v1/self":                             d.self,
		"GET /v1/users":                            d.list,
		"GET /v1/users/{user}":                     d.get,
		"POST /v1/users/{user}/disable":            d.disable,
		"POST /v1/users/{user}/enable":             d.enable,
		"POST /v1/users/{user}/revoke-sessions":    d.revoke,
		"PUT /v1/groups/{group}/members/{user}":    d.join,
		"DELETE /v1/groups/{group}/members/{user}": d.leave,
	}
}

func (d *directory) snapshot() any {
	disabled := []account{}
	for _, a := range d.accounts {
		if !a.Enabled {
			disabled = append(disabled, a.copy())
		}
	}
	revoked := map[string]int{}
	for login, n := range d.revoked {
		revoked[login] = n
	}
	return map[string]any{"disabled": disabled, "sessions_revoked": revoked}
}

func (a *account) copy() account {
	copied := *a
	copied.Groups = append([]string{}, a.Groups...)
	return copied
}

func (d *directory) self(*call) reply {
	return ok(map[string]any{"login": "riposte", "scopes": []string{"users:read", "users:write", "groups:write"}})
}

// find takes a login or a mail address.
func (d *directory) find(name string) *account {
	for _, a := range d.accounts {
		if strings.EqualFold(a.Login, name) || strings.EqualFold(a.Mail, name) {
			return a
		}
	}
	return nil
}

// list takes ?enabled=true|false, ?group=, ?limit=, ?cursor=.
func (d *directory) list(c *call) reply {
	query := c.URL.Query()
	found := []account{}
	for _, a := range d.accounts {
		if v := query.Get("enabled"); v != "" && (v == "true") != a.Enabled {
			continue
		}
		if g := query.Get("group"); g != "" && !slices.Contains(a.Groups, g) {
			continue
		}
		found = append(found, a.copy())
	}
	items, next, err := page(c, found)
	if err != nil {
		return invalid(err)
	}
	return ok(map[string]any{"users": items, "total": len(found), "next_cursor": next})
}

// user wraps a handler that needs an account.
func (d *directory) user(c *call, do func(*account) reply) reply {
	a := d.find(c.PathValue("user"))
	if a == nil {
		return notFound("user", c.PathValue("user"))
	}
	return do(a)
}

func (d *directory) get(c *call) reply {
	return d.user(c, func(a *account) reply { return ok(a.copy()) })
}

func (d *directory) disable(c *call) reply {
	return d.user(c, func(a *account) reply {
		var in struct {
			Reason string `json:"reason"`
		}
		if err := c.decode(&in); err != nil {
			return invalid(err)
		}
		if !a.Enabled {
			return failure(http.StatusConflict, "already_disabled", a.Login+" is disabled already")
		}
		a.Enabled, a.Reason = false, in.Reason
		return did(http.StatusOK, a.copy(), "disable", a.Login)
	})
}

func (d *directory) enable(c *call) reply {
	return d.user(c, func(a *account) reply {
		if a.Enabled {
			return failure(http.StatusConflict, "already_enabled", a.Login+" is enabled already")
		}
		a.Enabled, a.Reason = true, ""
		return did(http.StatusOK, a.copy(), "enable", a.Login)
	})
}

// revoke ends all sessions; without one it has nothing to do.
func (d *directory) revoke(c *call) reply {
	return d.user(c, func(a *account) reply {
		ended := a.Sessions
		if ended == 0 {
			return ok(map[string]any{"login": a.Login, "revoked": 0})
		}
		a.Sessions = 0
		d.revoked[a.Login] += ended
		return did(http.StatusOK, map[string]any{"login": a.Login, "revoked": ended}, "revoke", a.Login)
	})
}

func (d *directory) join(c *call) reply {
	return d.user(c, func(a *account) reply {
		group := c.PathValue("group")
		if slices.Contains(a.Groups, group) {
			return ok(a.copy())
		}
		a.Groups = append(a.Groups, group)
		return did(http.StatusCreated, a.copy(), "join "+group, a.Login)
	})
}

func (d *directory) leave(c *call) reply {
	return d.user(c, func(a *account) reply {
		group := c.PathValue("group")
		i := slices.Index(a.Groups, group)
		if i < 0 {
			return failure(http.StatusNotFound, "not_a_member", a.Login+" is not in "+group)
		}
		a.Groups = slices.Delete(a.Groups, i, i+1)
		return did(http.StatusOK, a.copy(), "leave "+group, a.Login)
	})
}
