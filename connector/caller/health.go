package caller

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"riposte/connector"
	"riposte/internal/expr"
)

// State is how a connection is.
type State string

// The states. A credential that can read but not write is degraded, not up.
const (
	Up       State = "up"
	Degraded State = "degraded"
	Down     State = "down"
	Untested State = "untested" // its connector has no health action
)

// Health is what a test of a connection found.
type Health struct {
	State   State           `json:"state"`
	Class   connector.Class `json:"class,omitempty"`
	Message string          `json:"message"`
	Scopes  map[string]bool `json:"scopes,omitempty"` // each scope that is needed, and whether it was granted
	Cannot  []string        `json:"cannot,omitempty"` // the actions that need a scope that is missing
	Took    time.Duration   `json:"took"`
	At      time.Time       `json:"at"`
}

// defaultHealthTimeout bounds a test unless the manifest says otherwise.
const defaultHealthTimeout = 10 * time.Second

// Health calls the health action of a connection and compares what its
// credential may do with what the connector's actions need.
func (c *Caller) Health(ctx context.Context, tenant, name string) Health {
	begin := c.now()
	h := c.health(ctx, tenant, name)
	h.At, h.Took = begin, c.now().Sub(begin)
	return h
}

func (c *Caller) health(ctx context.Context, tenant, name string) Health {
	conn, err := c.Connections.Connection(tenant, name)
	if err != nil {
		return Health{State: Down, Class: connector.Invalid, Message: plain(err)}
	}
	o, err := c.open(tenant, conn, conn.Connector)
	if err != nil {
		return Health{State: Down, Class: failure(err).Class, Message: plain(err)}
	}
	spec := o.manifest.Health
	if spec == nil {
		return Health{State: Untested, Message: o.manifest.Title + " has no health action; the settings are complete, but nothing was called"}
	}
	timeout := spec.Timeout
	if timeout <= 0 {
		timeout = defaultHealthTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	with, err := c.healthInputs(spec, o)
	if err != nil {
		return Health{State: Down, Class: connector.Invalid, Message: plain(err)}
	}
	res := c.on(ctx, connector.Call{Action: o.manifest.Action(spec.Action), Inputs: with, Origin: connector.Origin{Tenant: tenant}}, conn)
	if res.Status != connector.OK && res.Status != connector.Already {
		return Health{State: Down, Class: res.Class, Message: res.Message}
	}
	return c.scopes(o, spec, res)
}

func (c *Caller) healthInputs(spec *connector.Health, o *opened) (map[string]any, error) {
	if len(spec.With) == 0 {
		return map[string]any{}, nil
	}
	v, err := expr.CompileValue(spec.With, connector.ConnectionScope(o.manifest.Config), func(_ []any, e *expr.Error) error { return e })
	if err != nil {
		return nil, fmt.Errorf("health: %w", err)
	}
	with, err := v.Eval(&expr.Env{Now: c.now(), Roots: map[string]any{"config": o.config, "secrets": map[string]any{}}})
	if err != nil {
		return nil, fmt.Errorf("health: %w", err)
	}
	inputs, _ := with.(map[string]any)
	return inputs, nil
}

// scopes compares what was granted with what is needed.
func (c *Caller) scopes(o *opened, spec *connector.Health, res connector.Result) Health {
	if spec.Granted == "" {
		return Health{State: Up, Message: o.manifest.Title + " answers"}
	}
	answer, _ := expr.DecodeJSON(res.Output)
	v, err := c.evaluate(spec.Granted, &expr.Env{Now: c.now(), Roots: map[string]any{"output": answer}})
	if err != nil {
		return Health{State: Degraded, Class: connector.BadAnswer, Message: "what the credential may do cannot be read: " + plain(err)}
	}
	granted, _ := v.([]any)
	has := func(scope string) bool { return slices.Contains(granted, any(scope)) }
	h := Health{State: Up, Message: o.manifest.Title + " answers, and the credential may do all that is needed", Scopes: map[string]bool{}}
	for _, scope := range spec.Scopes {
		h.Scopes[scope] = has(scope)
	}
	for _, id := range o.manifest.ActionIDs() {
		for _, scope := range o.manifest.Action(id).Scopes {
			h.Scopes[scope] = has(scope)
			if !has(scope) && !slices.Contains(h.Cannot, id) {
				h.Cannot = append(h.Cannot, id)
			}
		}
	}
	var missing []string
	for scope, ok := range h.Scopes {
		if !ok {
			missing = append(missing, scope)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		h.State, h.Class = Degraded, connector.Permission
		h.Message = "the credential lacks " + strings.Join(missing, ", ")
		if len(h.Cannot) > 0 {
			h.Message += "; these actions will fail: " + strings.Join(h.Cannot, ", ")
		}
	}
	return h
}
