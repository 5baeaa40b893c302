package expr

import (
	"iter"
	"maps"
)

// Scope holds the names that a text may use, and their types. It is never
// changed: With makes a new one, so scopes can be shared and extended freely.
type Scope struct {
	parent  *Scope
	name    string
	typ     Type
	secrets bool
}

// NewScope is a scope without names.
func NewScope() *Scope { return &Scope{} }

// With is s and one name more. A name that s has already gets the new type.
func (s *Scope) With(name string, t Type) *Scope {
	return &Scope{parent: s, name: name, typ: t, secrets: s.secrets}
}

// WithSecrets is s in which secrets.<connection>.<field> may be used.
func (s *Scope) WithSecrets() *Scope {
	return &Scope{parent: s.parent, name: s.name, typ: s.typ, secrets: true}
}

// Lookup finds the type of a name.
func (s *Scope) Lookup(name string) (Type, bool) {
	for ; s != nil; s = s.parent {
		if s.name == name && name != "" {
			return s.typ, true
		}
	}
	return Any(), false
}

// Names yields the names of the scope, each once.
func (s *Scope) Names() iter.Seq[string] {
	all := map[string]bool{}
	for at := s; at != nil; at = at.parent {
		if at.name != "" {
			all[at.name] = true
		}
	}
	if s != nil && s.secrets {
		all[secretsRoot] = true
	}
	return maps.Keys(all)
}

const secretsRoot = "secrets"
