package auth

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"riposte/internal/fault"
)

// Person is somebody who may sign in.
type Person struct {
	Tenant   string   `yaml:"tenant" doc:"default: the default tenant"`
	Name     string   `yaml:"user,required" pattern:"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}" doc:"what they sign in with: letters, digits, dots, hyphens, underscores"`
	Title    string   `yaml:"name" doc:"how they are called on pages"`
	Roles    []string `yaml:"roles" doc:"such as analyst"`
	Groups   []string `yaml:"groups" doc:"groups from this file"`
	Password string   `yaml:"password_hash" doc:"the argon2id hash of the password; without one they cannot sign in by password"`
	Disabled bool     `yaml:"disabled"`
}

// Entries is what a directory is made from.
type Entries struct {
	People []Person            `yaml:"people" doc:"who may sign in"`
	Groups map[string][]string `yaml:"groups" doc:"by name: the roles that the members have by the group"`
	Roles  []Role              `yaml:"roles" doc:"beside the built-in ones viewer, analyst, soc-lead, incident-manager, engineer and admin, or in their place"`
	OnCall map[string]Duty     `yaml:"on_call" doc:"what on-call:NAME means, by name"`
}

// Directory knows people, groups, roles and who is on call. It is immutable and
// safe to share.
type Directory struct {
	people map[string]Person
	names  []string // sorted
	known  map[string]Caller
	groups map[string][]string
	roles  map[string]Role
	duties map[string]Duty
}

// New makes a directory. It returns fault.Invalid with all that is wrong where
// an entry names something that is not there.
func New(e Entries) (*Directory, error) {
	d := &Directory{
		people: map[string]Person{}, known: map[string]Caller{}, groups: e.Groups,
		roles: map[string]Role{}, duties: e.OnCall,
	}
	for _, r := range append(BuiltIn(), e.Roles...) {
		d.roles[r.Name] = r
	}
	for _, p := range e.People {
		d.people[p.Name] = p
	}
	d.names = slices.Sorted(maps.Keys(d.people))
	if wrong := d.check(e); len(wrong) > 0 {
		return nil, fmt.Errorf("%s: %w", strings.Join(wrong, "; "), fault.Invalid)
	}
	for _, name := range d.names {
		d.known[name] = d.caller(d.people[name])
	}
	return d, nil
}

// Roles lists the roles, sorted.
func (d *Directory) Roles() []string { return slices.Sorted(maps.Keys(d.roles)) }

// Groups lists the groups, sorted.
func (d *Directory) Groups() []string { return slices.Sorted(maps.Keys(d.groups)) }

// Duties lists what people can be on call for, sorted.
func (d *Directory) Duties() []string { return slices.Sorted(maps.Keys(d.duties)) }

// People lists everybody, sorted by name.
func (d *Directory) People() []Person {
	all := make([]Person, len(d.names))
	for i, name := range d.names {
		all[i] = d.people[name]
	}
	return all
}

// Person finds somebody by name.
func (d *Directory) Person(name string) (Person, bool) {
	p, ok := d.people[name]
	return p, ok
}

// Caller gives somebody with everything that they may do at a time. ok is false
// for who is not there, or disabled.
func (d *Directory) Caller(name string, at time.Time) (c Caller, ok bool) {
	c, ok = d.known[name]
	if !ok || d.people[name].Disabled {
		return Caller{}, false
	}
	for _, duty := range d.Duties() {
		if d.onCall(duty, at, c) {
			c.OnCall = append(c.OnCall, duty)
		}
	}
	return c, true
}

// Can tells whether somebody may do something. Who is unknown or disabled may
// nothing.
func (d *Directory) Can(name string, p Permission) bool {
	return !d.people[name].Disabled && d.known[name].May(p)
}

// Matches tells whether any of the references (user names, group:…, role:…,
// on-call:…) names somebody at a time.
func (d *Directory) Matches(name string, people []string, at time.Time) bool {
	c, ok := d.Caller(name, at)
	return ok && c.IsAny(people)
}

func (d *Directory) caller(p Person) Caller {
	c := Caller{Tenant: p.Tenant, Name: p.Name, Title: p.Title, permissions: map[Permission]bool{}}
	c.Groups = slices.Sorted(slices.Values(p.Groups))
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
	return c
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

// Who lists the people that a reference names at a time: a user, group:…,
// role:… or on-call:…; sorted, without the disabled. Empty: nobody can answer
// for it then.
func (d *Directory) Who(ref string, at time.Time) []string {
	return d.those(func(c Caller) bool {
		kind, duty, _ := strings.Cut(ref, ":")
		return c.Is(ref) || kind == "on-call" && d.onCall(duty, at, c)
	})
}

// Ever lists the people that any of the references names at some time: Who with
// everybody that takes a turn on call. A check uses it to find an approval that
// nobody, or too few, can give.
func (d *Directory) Ever(refs []string) []string {
	return d.those(func(c Caller) bool {
		return slices.ContainsFunc(refs, func(ref string) bool {
			kind, duty, _ := strings.Cut(ref, ":")
			return c.Is(ref) || kind == "on-call" && c.IsAny(d.duties[duty].everybody())
		})
	})
}

func (d *Directory) those(match func(Caller) bool) []string {
	var names []string
	for _, name := range d.names {
		if !d.people[name].Disabled && match(d.known[name]) {
			names = append(names, name)
		}
	}
	return names
}

func (d *Directory) onCall(duty string, at time.Time, c Caller) bool {
	return c.IsAny(d.duties[duty].now(at))
}
