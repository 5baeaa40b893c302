package guard

import (
	"fmt"
	"slices"
	"time"

	"riposte/connector"
	"riposte/internal/fault"
)

// Override sets a protection aside for one action on one target, once. Who may
// give it is looked at before (auth.ProtectedOverride).
type Override struct {
	ID     int64            `json:"id"` // given by the store, so that it is used once across restarts
	Tenant string           `json:"tenant,omitempty"`
	Action string           `json:"action"` // connector.action
	Target connector.Target `json:"target"`
	By     string           `json:"by"`
	Reason string           `json:"reason"`
	Until  time.Time        `json:"until"`
}

// override is one that was given, and the activation that it is bound to.
type override struct {
	Override
	bound actKey
}

// longestOverride bounds how long an override may lie about unused.
const longestOverride = 24 * time.Hour

// Override lets one action on one protected target pass the protected lists,
// once, until a time. Everything else that stands before the action still does.
// It returns fault.Invalid where something is missing.
func (g *Guard) Override(o Override, at time.Time) error {
	switch {
	case o.By == "" || o.Reason == "":
		return fmt.Errorf("override: say who gives it and why: %w", fault.Invalid)
	case o.Action == "" || o.Target.Kind == "" || o.Target.Value == "":
		return fmt.Errorf("override: name the action and the target: %w", fault.Invalid)
	case !o.Until.After(at) || o.Until.Sub(at) > longestOverride:
		return fmt.Errorf("override: until must lie within the next %s: %w", longestOverride, fault.Invalid)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.overrides = slices.DeleteFunc(g.overrides, func(x *override) bool { return !at.Before(x.Until) && x.bound == actKey{} })
	g.overrides = append(g.overrides, &override{Override: o})
	return nil
}

// Overrides lists those that are not used up.
func (g *Guard) Overrides(at time.Time) []Override {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := []Override{}
	for _, o := range g.overrides {
		if at.Before(o.Until) {
			list = append(list, o.Override)
		}
	}
	return list
}

// setAside finds an override for a hit: one that is free, or bound to this
// activation already.
func (g *Guard) setAside(q *Request, t connector.Target) *override {
	for _, o := range g.overrides {
		free := o.bound == actKey{} && q.At.Before(o.Until)
		if (free || o.bound == q.key()) && o.Tenant == q.Tenant && q.Action != nil && o.Action == q.Action.Name() && o.Target == t {
			return o
		}
	}
	return nil
}

// unbind gives back the overrides of an activation that did not call; drop
// removes those of one that did.
func (g *Guard) unbind(key actKey, drop bool) {
	if drop {
		g.overrides = slices.DeleteFunc(g.overrides, func(o *override) bool { return o.bound == key })
		return
	}
	for _, o := range g.overrides {
		if o.bound == key {
			o.bound = actKey{}
		}
	}
}
