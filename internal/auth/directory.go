package auth

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"riposte/internal/fault"
)

// Person is somebody who may sign in.
type Person struct {
	Tenant   string // "": the default tenant
	Name     string // what they sign in with
	Title    string // how they are called on pages
	Roles    []string
	Groups   []string
	Password string // as HashPassword wrote it; "": cannot sign in by password
	Disabled bool
}

// Directory knows people, groups, roles and who is on call. It is immutable and
// safe to share.
type Directory struct {
	people map[string]Person
	groups map[string][]string // roles that a group gives
	roles  map[string]Role
	onCall map[string][]string
}

// Entries is what a directory is made from.
type Entries struct {
	People []Person
	Groups map[string][]string // name to the roles that its members have by it
	Roles  []Role              // beside the built-in ones, or in their place
	OnCall map[string][]string // name to the people on call now
}

// New makes a directory. It returns fault.Invalid where an entry names something
// that is not there.
func New(e Entries) (*Directory, error) {
	d := &Directory{people: map[string]Person{}, groups: e.Groups, roles: map[string]Role{}, onCall: e.OnCall}
	for _, r := range append(BuiltIn(), e.Roles...) {
		d.roles[r.Name] = r
	}
	for _, p := range e.People {
		if _, twice := d.people[p.Name]; twice {
			return nil, fmt.Errorf("person %q is there twice: %w", p.Name, fault.Invalid)
		}
		d.people[p.Name] = p
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Directory) check() error {
	for _, name := range slices.Sorted(maps.Keys(d.roles)) {
		r := d.roles[name]
		for _, p := range r.Permissions {
			if !known(p) {
				return fmt.Errorf("role %q: there is no permission %q: %w", name, p, fault.Invalid)
			}
		}
		if err := d.haveRoles("role "+name, r.Includes); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.groups)) {
		if err := d.haveRoles("group "+name, d.groups[name]); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.people)) {
		p := d.people[name]
		if err := d.haveRoles("person "+name, p.Roles); err != nil {
			return err
		}
		for _, g := range p.Groups {
			if _, ok := d.groups[g]; !ok {
				return fmt.Errorf("person %s: there is no group %q: %w", name, g, fault.Invalid)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.onCall)) {
		for _, p := range d.onCall[name] {
			if _, ok := d.people[p]; !ok {
				return fmt.Errorf("on-call %s: there is no person %q: %w", name, p, fault.Invalid)
			}
		}
	}
	return nil
}

func (d *Directory) haveRoles(who string, roles []string) error {
	for _, r := range roles {
		if _, ok := d.roles[r]; !ok {
			return fmt.Errorf("%s: there is no role %q; there are %s: %w", who, r, strings.Join(d.Roles(), ", "), fault.Invalid)
		}
	}
	return nil
}

// Roles lists the roles, sorted.
func (d *Directory) Roles() []string { return slices.Sorted(maps.Keys(d.roles)) }

// Groups lists the groups, sorted.
func (d *Directory) Groups() []string { return slices.Sorted(maps.Keys(d.groups)) }

// People lists everybody, sorted by name.
func (d *Directory) People() []Person {
	var all []Person
	for _, name := range slices.Sorted(maps.Keys(d.people)) {
		all = append(all, d.people[name])
	}
	return all
}

// Person finds somebody by name.
func (d *Directory) Person(name string) (Person, bool) {
	p, ok := d.people[name]
	return p, ok
}

// Caller gives somebody with everything that they may do. ok is false for who is
// not there, or disabled.
func (d *Directory) Caller(name string) (c Caller, ok bool) {
	p, ok := d.people[name]
	if !ok || p.Disabled {
		return Caller{}, false
	}
	c = Caller{Tenant: p.Tenant, Name: p.Name, Title: p.Title, Groups: slices.Clone(p.Groups), permissions: map[Permission]bool{}}
	roles := map[string]bool{}
	for _, r := range p.Roles {
		d.spread(r, roles)
	}
	for _, g := range p.Groups {
		for _, r := range d.groups[g] {
			d.spread(r, roles)
		}
	}
	for r := range roles {
		for _, perm := range d.roles[r].Permissions {
			c.permissions[perm] = true
		}
	}
	c.Roles = slices.Sorted(maps.Keys(roles))
	for _, duty := range slices.Sorted(maps.Keys(d.onCall)) {
		if slices.Contains(d.onCall[duty], name) {
			c.OnCall = append(c.OnCall, duty)
		}
	}
	return c, true
}

// spread adds a role and all that it includes; a circle ends where it began.
func (d *Directory) spread(role string, into map[string]bool) {
	if into[role] {
		return
	}
	into[role] = true
	for _, r := range d.roles[role].Includes {
		d.spread(r, into)
	}
}

// Who lists the people that a reference names: a user, group:…, role:… or
// on-call:…; sorted, without the disabled. Empty: nobody can answer for it.
func (d *Directory) Who(ref string) []string {
	var names []string
	for _, p := range d.People() {
		if c, ok := d.Caller(p.Name); ok && c.Is(ref) {
			names = append(names, p.Name)
		}
	}
	return names
}
