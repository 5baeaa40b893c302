package guard

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"riposte/connector"
	"riposte/internal/fault"
)

// Scope says what a kill switch stops.
type Scope string

// The scopes.
const (
	Everything   Scope = "everything"
	OfConnector  Scope = "connector"
	OfConnection Scope = "connection"
	OfCapability Scope = "capability"
	OfPlaybook   Scope = "playbook"
)

// Scopes lists them.
func Scopes() []Scope {
	return []Scope{Everything, OfConnector, OfConnection, OfCapability, OfPlaybook}
}

// Switch is a kill switch that is off: what it names does not act. Reads go on.
type Switch struct {
	Tenant string    `json:"tenant,omitempty"` // "": of every tenant
	Scope  Scope     `json:"scope"`
	Name   string    `json:"name,omitempty"` // of the connector, connection, capability or playbook
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// String names the switch: "everything", "connection fw-branch".
func (s Switch) String() string {
	if s.Scope == Everything {
		return string(s.Scope)
	}
	return string(s.Scope) + " " + s.Name
}

type switchKey struct {
	tenant string
	scope  Scope
	name   string
}

func (s Switch) key() switchKey { return switchKey{s.Tenant, s.Scope, s.Name} }

func (s Switch) check() error {
	switch {
	case !slices.Contains(Scopes(), s.Scope):
		return fmt.Errorf("kill switch: %q is no scope; expected everything, connector, connection, capability or playbook: %w", s.Scope, fault.Invalid)
	case (s.Scope == Everything) != (s.Name == ""):
		return fmt.Errorf("kill switch: %s needs a name, everything has none: %w", s.Scope, fault.Invalid)
	case s.By == "" || s.Reason == "":
		return fmt.Errorf("kill switch %s: say who switches it off and why: %w", s, fault.Invalid)
	}
	return nil
}

// SwitchOff stops what the switch names, from the next check on. A switch that
// is off already keeps its first hour and gets the new reason.
func (g *Guard) SwitchOff(s Switch) error {
	if err := s.check(); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if old, ok := g.switches[s.key()]; ok {
		s.At = old.At
	}
	g.switches[s.key()] = s
	return nil
}

// SwitchOn lets it act again. It returns fault.NotFound if no such switch is off.
func (g *Guard) SwitchOn(tenant string, scope Scope, name string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := switchKey{tenant, scope, name}
	if _, ok := g.switches[key]; !ok {
		return fmt.Errorf("kill switch %s: it is not off: %w", Switch{Scope: scope, Name: name}, fault.NotFound)
	}
	delete(g.switches, key)
	return nil
}

// Switches lists what is off: everything first, then by scope and name.
func (g *Guard) Switches() []Switch {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []Switch
	for _, s := range g.switches {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Switch) int {
		return cmp.Or(cmp.Compare(slices.Index(Scopes(), a.Scope), slices.Index(Scopes(), b.Scope)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Tenant, b.Tenant))
	})
	return all
}

// killed finds the switch that stops a request. An undo is stopped only by one
// of its own connection: a stop of everything does not keep damage in place.
func (g *Guard) killed(q *Request) (Switch, bool) {
	if len(g.switches) == 0 || q.Impact < connector.Notify {
		return Switch{}, false
	}
	for _, key := range q.switchKeys() {
		for _, tenant := range []string{"", q.Tenant} {
			key.tenant = tenant
			if s, ok := g.switches[key]; ok {
				return s, true
			}
		}
	}
	return Switch{}, false
}

func (q *Request) switchKeys() []switchKey {
	var keys []switchKey
	if !q.Undo {
		keys = append(keys, switchKey{scope: Everything}, switchKey{scope: OfPlaybook, name: q.Playbook})
		for _, slug := range q.Above {
			keys = append(keys, switchKey{scope: OfPlaybook, name: slug})
		}
	}
	if q.Connection != "" {
		keys = append(keys, switchKey{scope: OfConnection, name: q.Connection})
	}
	if q.Action != nil {
		// The connector's switch holds for each of its connections.
		keys = append(keys, switchKey{scope: OfConnector, name: q.Action.Connector})
		if q.Action.Capability != "" && !q.Undo {
			keys = append(keys, switchKey{scope: OfCapability, name: q.Action.Capability})
		}
	}
	return keys
}

func (s Switch) denies() Decision {
	return Decision{
		Outcome: Deny, By: CheckKillSwitch, Code: connector.KillSwitch, Rule: "kill switch " + s.String(),
		Message: fmt.Sprintf("%s is switched off by %s since %s: %s", s, s.By, s.At.UTC().Format("2006-01-02 15:04 UTC"), s.Reason),
	}
}
