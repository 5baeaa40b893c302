package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"riposte/internal/auth"
	"riposte/internal/fault"
	"riposte/internal/guard"
	"riposte/internal/httpapi"
	"riposte/internal/store"
)

// Switches lists what is off.
func (a *api) Switches(_ context.Context, who auth.Caller) ([]httpapi.Switch, error) {
	var out []httpapi.Switch
	for _, s := range a.guard.Switches() {
		if s.Tenant == "" || tenantOf(s.Tenant) == tenantOf(who.Tenant) {
			out = append(out, httpapi.Switch{Scope: scopeText(s), By: s.By, Since: s.At, Reason: s.Reason})
		}
	}
	return out, nil
}

func scopeText(s guard.Switch) string {
	if s.Scope == guard.Everything {
		return string(s.Scope)
	}
	return string(s.Scope) + ":" + s.Name
}

// SetSwitch turns one off or on. Off takes effect before it is on disk: stopping
// must not wait.
func (a *api) SetSwitch(ctx context.Context, who auth.Caller, scope string, off bool, reason string) ([]httpapi.Switch, error) {
	kind, name, _ := strings.Cut(scope, ":")
	s := guard.Switch{Tenant: tenantOf(who.Tenant), Scope: guard.Scope(kind), Name: name, By: who.Name, Reason: reason, At: utc(a.now())}
	if err := a.names(s); err != nil {
		return nil, err
	}
	act := "switch.on"
	if off {
		act = "switch.off"
		if err := a.guard.SwitchOff(s); err != nil {
			return nil, err
		}
	}
	err := a.db.Write(ctx, func(tx *store.Tx) error {
		if off {
			if err := store.PutSwitch(tx, s); err != nil {
				return err
			}
		} else if err := store.DropSwitch(tx, s.Tenant, s.Scope, s.Name); err != nil {
			return err
		}
		return a.acted(tx, who, act, scope, map[string]any{"reason": reason})
	})
	if err == nil && !off {
		err = a.guard.SwitchOn(s.Tenant, s.Scope, s.Name)
	}
	if err != nil {
		return nil, err
	}
	return a.Switches(ctx, who)
}

// names refuses a switch of what is not there: a mistyped name would stop
// nothing.
func (a *api) names(s guard.Switch) error {
	var known []string
	switch s.Scope {
	case guard.Everything:
		return nil
	case guard.OfConnector:
		known = a.registry.Connectors()
	case guard.OfCapability:
		known = a.registry.Capabilities()
	case guard.OfConnection:
		for _, c := range a.connections.List(s.Tenant) {
			known = append(known, c.Name)
		}
	case guard.OfPlaybook:
		for _, p := range a.plans.All(s.Tenant) {
			known = append(known, p.ID)
		}
	}
	if !slices.Contains(known, s.Name) && !a.isOff(s) {
		return fmt.Errorf("there is no %s %q: %w", s.Scope, s.Name, fault.NotFound)
	}
	return nil
}

// isOff tells whether a switch is off now, even of what is gone.
func (a *api) isOff(s guard.Switch) bool {
	return slices.ContainsFunc(a.guard.Switches(), func(o guard.Switch) bool { return o.Scope == s.Scope && o.Name == s.Name })
}
