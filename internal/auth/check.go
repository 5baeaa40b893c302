package auth

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// check lists what is wrong with the entries of a directory.
func (d *Directory) check(e Entries) []string {
	c := checker{d: d}
	for name, r := range ordered(d.roles) {
		c.role(name, r)
	}
	for name, roles := range ordered(e.Groups) {
		c.roles("group "+name, roles)
	}
	seen := map[string]bool{}
	for _, p := range e.People {
		c.person(p, seen[p.Name])
		seen[p.Name] = true
	}
	for name, duty := range ordered(e.OnCall) {
		for _, what := range duty.Problems(d.names, d.Groups(), d.Roles()) {
			c.add("on-call %s: %s", name, what)
		}
	}
	return c.wrong
}

// ordered goes over a map by name, so that messages come in the same order.
func ordered[V any](m map[string]V) func(func(string, V) bool) {
	return func(yield func(string, V) bool) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if !yield(name, m[name]) {
				return
			}
		}
	}
}

type checker struct {
	d     *Directory
	wrong []string
}

func (c *checker) add(format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
}

func (c *checker) role(name string, r Role) {
	for _, p := range r.Permissions {
		if !known(p) {
			c.add("role %s: there is no permission %q; there are %s", name, p, join(Permissions()))
		}
	}
	c.roles("role "+name, r.Includes)
}

func (c *checker) person(p Person, twice bool) {
	who := "person " + p.Name
	if p.Name == "" {
		who = "a person without a name"
		c.add("people: an entry has no user name")
	}
	if twice {
		c.add("%s is there twice", who)
	}
	if strings.Contains(p.Name, ":") {
		c.add("%s: a user name has no colon; role:…, group:… and on-call:… mean other things", who)
	}
	c.roles(who, p.Roles)
	for _, g := range p.Groups {
		if _, ok := c.d.groups[g]; !ok {
			c.add("%s: there is no group %q; there are %s", who, g, list(c.d.Groups()))
		}
	}
	if p.Password != "" {
		if err := CheckHash(p.Password); err != nil {
			c.add("%s: password_hash: %s", who, badHash)
		}
	}
}

func (c *checker) roles(who string, roles []string) {
	for _, r := range roles {
		if _, ok := c.d.roles[r]; !ok {
			c.add("%s: there is no role %q; there are %s", who, r, list(c.d.Roles()))
		}
	}
}

// Problem says why a reference can name nobody, or nothing when it can: a word
// that is not known, or a known one that no person stands behind.
func (d *Directory) Problem(ref string) string {
	kind, name, ok := strings.Cut(ref, ":")
	if !ok {
		kind, name = "person", ref
	}
	var all []string
	switch kind {
	case "person":
		all = d.names
	case "group":
		all = d.Groups()
	case "role":
		all = d.Roles()
	case "on-call":
		all = d.Duties()
	default:
		return fmt.Sprintf("%q is no way to name people; write a user name, group:…, role:… or on-call:…", ref)
	}
	if !slices.Contains(all, name) {
		if kind == "person" {
			return fmt.Sprintf("there is no person %q", name)
		}
		return fmt.Sprintf("there is no %s %q; there are %s", kind, name, list(all))
	}
	if len(d.Ever([]string{ref})) == 0 {
		if kind == "person" {
			return fmt.Sprintf("%q is disabled", name)
		}
		return fmt.Sprintf("nobody has %s", ref)
	}
	return ""
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func join(all []Permission) string {
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = string(p)
	}
	return strings.Join(names, ", ")
}
