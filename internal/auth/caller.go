package auth

import (
	"maps"
	"slices"
	"strings"
)

// Caller is who makes a request and what they may do. The zero value is nobody
// and may do nothing.
type Caller struct {
	Tenant string
	Name   string
	Title  string
	Roles  []string // with all that they include, sorted
	Groups []string // sorted
	OnCall []string // the duties that they have now, sorted
	Token  string   // the API token they came with, "" for a session

	permissions map[Permission]bool
}

// May tells whether the caller holds a permission.
func (c Caller) May(p Permission) bool { return c.permissions[p] }

// Permissions lists what the caller may do, sorted.
func (c Caller) Permissions() []Permission {
	return slices.Sorted(maps.Keys(c.permissions))
}

// Within narrows what the caller may do to what a token was made for. Empty:
// the token may do all that its owner may.
func (c Caller) Within(only []Permission) Caller {
	if len(only) == 0 {
		return c
	}
	all := c.permissions
	c.permissions = map[Permission]bool{}
	for _, p := range only {
		if all[p] {
			c.permissions[p] = true
		}
	}
	return c
}

// Is tells whether a reference in a playbook or policy names the caller: a user
// name, group:…, role:… or on-call:…
func (c Caller) Is(ref string) bool {
	kind, name, ok := strings.Cut(ref, ":")
	if !ok {
		return ref != "" && ref == c.Name
	}
	switch kind {
	case "group":
		return slices.Contains(c.Groups, name)
	case "role":
		return slices.Contains(c.Roles, name)
	case "on-call":
		return slices.Contains(c.OnCall, name)
	}
	return false
}

// IsAny tells whether any of the references names the caller.
func (c Caller) IsAny(refs []string) bool { return slices.ContainsFunc(refs, c.Is) }
