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
	lenient bool
}

// NewScope is a scope without names.
func NewScope() *Scope { return &Scope{} }

// With is s and one name more. A name that s has already gets the new type.
func (s *Scope) With(name string, t Type) *Scope {
	return &Scope{parent: s, name: name, typ: t, secrets: s.secrets, lenient: s.lenient}
}

// WithSecrets is s in which secrets.<connection>.<field> may be used.
func (s *Scope) WithSecrets() *Scope {
	return &Scope{parent: s.parent, name: s.name, typ: s.typ, secrets: true, lenient: s.lenient}
}

// Lenient is s for texts that read data of whose shape nobody is sure, such as
// a product's events: what does not fit is nil there instead of an error. See
// lenient.go. What is wrong in every case is an error of Compile all the same.
func (s *Scope) Lenient() *Scope {
	return &Scope{parent: s.parent, name: s.name, typ: s.typ, secrets: s.secrets, lenient: true}
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
