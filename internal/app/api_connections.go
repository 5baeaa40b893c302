package app

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"riposte/connector"
	"riposte/internal/auth"
	"riposte/internal/fault"
	"riposte/internal/guard"
	"riposte/internal/httpapi"
	"riposte/internal/store"
)

// Connectors lists what can be connected.
func (a api) Connectors(context.Context, auth.Caller) ([]httpapi.Connector, error) {
	problems := a.registry.Problems()
	out := []httpapi.Connector{}
	for _, name := range a.registry.Connectors() {
		m := a.registry.Manifest(name)
		if m == nil {
			continue
		}
		c := httpapi.Connector{
			Name: name, Title: m.Title, Version: m.Version, Vendor: m.Vendor, Product: m.Product, Config: m.Config, Secrets: m.SecretFields(), Actions: []httpapi.ActionInfo{},
		}
		if err := problems[name]; err != nil {
			c.Problem = err.Error()
		}
		for _, id := range a.registry.Actions(name) {
			if x, _ := a.registry.Action(name + "." + id); x != nil {
				c.Actions = append(c.Actions, httpapi.ActionInfo{ID: id, Title: x.Title, Impact: x.Impact.String(), Capability: x.Capability})
			}
		}
		out = append(out, c)
	}
	return out, nil
}

// common are the keys of a configuration that every connection has, beside its
// connector's own.
var common = []string{
	"proxy", "ca", "clearance", "allow_private", "allow_loopback", "allow_link_local", "rate_per_second", "burst", "max_in_flight", "serves",
}

// configure takes a configuration apart: what every connection has, and what is
// the connector's.
func configure(c *connector.Connection, config map[string]any) error {
	own, shared := map[string]any{}, map[string]any{}
	for k, v := range config {
		if slices.Contains(common, k) {
			shared[k] = v
		} else {
			own[k] = v
		}
	}
	raw, err := json.Marshal(shared)
	if err != nil {
		return fmt.Errorf("config: %v: %w", err, fault.Invalid)
	}
	next := connector.Connection{
		Name: c.Name, Connector: c.Connector, Secrets: c.Secrets, Disabled: c.Disabled, Revision: c.Revision, Config: own,
	}
	if err := json.Unmarshal(raw, &next); err != nil {
		return fmt.Errorf("config: %v: %w", err, fault.Invalid)
	}
	*c = next
	return nil
}

func (a api) showConnection(c *connector.Connection) httpapi.Connection {
	config := maps.Clone(c.Config)
	raw, err := json.Marshal(c)
	var all map[string]any
	if err == nil && json.Unmarshal(raw, &all) == nil {
		for _, k := range common {
			if v, ok := all[k]; ok {
				if m, isMap := v.(map[string]any); isMap && len(m) == 0 {
					continue
				}
				if config == nil {
					config = map[string]any{}
				}
				config[k] = v
			}
		}
	}
	return httpapi.Connection{
		Name: c.Name, Connector: c.Connector, Config: config, Secrets: slices.Sorted(maps.Keys(c.Secrets)), Disabled: c.Disabled, Health: "unknown", Revision: c.Revision,
	}
}

// Connections lists connections by name.
func (a api) Connections(_ context.Context, who auth.Caller) ([]httpapi.Connection, error) {
	out := []httpapi.Connection{}
	for _, c := range a.connections.List(who.Tenant) {
		out = append(out, a.showConnection(c))
	}
	return out, nil
}

// Connection reads one.
func (a api) Connection(_ context.Context, who auth.Caller, name string) (httpapi.Connection, error) {
	c, err := a.connections.Connection(who.Tenant, name)
	if err != nil {
		return httpapi.Connection{}, err
	}
	return a.showConnection(c), nil
}

// AddConnection makes one; its secrets are sealed before they are stored.
func (a api) AddConnection(ctx context.Context, who auth.Caller, n httpapi.NewConnection) (httpapi.Connection, error) {
	if _, err := a.connections.Connection(who.Tenant, n.Name); err == nil {
		return httpapi.Connection{}, fmt.Errorf("there is a connection %s already: %w", n.Name, fault.Conflict)
	}
	c := &connector.Connection{Name: n.Name, Connector: n.Connector, Secrets: map[string][]byte{}}
	if err := configure(c, n.Config); err != nil {
		return httpapi.Connection{}, err
	}
	return a.putConnection(ctx, who, c, n.Secrets, 0)
}

// putConnection checks, seals and stores a connection and makes it known.
func (a api) putConnection(ctx context.Context, who auth.Caller, c *connector.Connection, secrets map[string]string, seen int64) (httpapi.Connection, error) {
	m := a.registry.Manifest(c.Connector)
	if m == nil {
		return httpapi.Connection{}, fmt.Errorf("there is no connector %s; there are %s: %w", c.Connector, strings.Join(a.registry.Connectors(), ", "), fault.Invalid)
	}
	values := maps.Clone(c.Config)
	if values == nil {
		values = map[string]any{}
	}
	for field, value := range secrets {
		if !slices.Contains(m.SecretFields(), field) {
			return httpapi.Connection{}, fmt.Errorf("secrets.%s: connector %s has no such secret; it has %s: %w", field, c.Connector, strings.Join(m.SecretFields(), ", "), fault.Invalid)
		}
		values[field] = value
	}
	config, opened, err := m.SplitConfig(values, slices.Collect(maps.Keys(c.Secrets))...)
	if err != nil {
		return httpapi.Connection{}, err
	}
	c.Config = config
	for field, value := range opened {
		if c.Secrets[field], err = a.keys.Seal(connector.SecretID(tenantOf(who.Tenant), c.Name, field), []byte(value)); err != nil {
			return httpapi.Connection{}, err
		}
	}
	if err := c.Check(); err != nil {
		return httpapi.Connection{}, err
	}
	err = a.write(ctx, func(tx *store.Tx) error { return store.PutConnection(tx, who.Tenant, c, seen, a.now().UTC()) })
	if err != nil {
		return httpapi.Connection{}, err
	}
	a.connections.put(who.Tenant, c.Name, c)
	a.caller.Forget(tenantOf(who.Tenant), c.Name)
	return a.showConnection(c), nil
}

// ChangeConnection changes one that is still at a revision.
func (a api) ChangeConnection(ctx context.Context, who auth.Caller, name string, seen int64, ch httpapi.ConnectionChange) (httpapi.Connection, error) {
	now, err := a.connections.Connection(who.Tenant, name)
	if err != nil {
		return httpapi.Connection{}, err
	}
	if seen == 0 {
		seen = now.Revision
	}
	next := *now
	next.Secrets = maps.Clone(now.Secrets)
	if ch.Config != nil {
		if err := configure(&next, ch.Config); err != nil {
			return httpapi.Connection{}, err
		}
	}
	if ch.Disabled != nil {
		next.Disabled = *ch.Disabled
	}
	return a.putConnection(ctx, who, &next, ch.Secrets, seen)
}

// DeleteConnection removes one on which nothing is in force.
func (a api) DeleteConnection(ctx context.Context, who auth.Caller, name string, seen int64) error {
	if _, err := a.connections.Connection(who.Tenant, name); err != nil {
		return err
	}
	err := a.write(ctx, func(tx *store.Tx) error {
		for _, state := range []guard.EntryState{guard.EntryOpen, guard.EntryTaken, guard.EntryFailed} {
			s := store.Slice{Limit: 1000}
			for {
				page, err := store.ListLedger(&tx.Reader, who.Tenant, store.LedgerFilter{State: state}, s)
				if err != nil {
					return err
				}
				for _, e := range page.Items {
					if e.Connection == name {
						return fmt.Errorf("%s is in force on connection %s; take it back first: %w", guard.EntryID(e.ID), name, fault.Conflict)
					}
				}
				if page.Next == "" {
					break
				}
				s.Cursor = page.Next
			}
		}
		return store.DeleteConnection(tx, who.Tenant, name, seen)
	})
	if err == nil {
		a.connections.put(who.Tenant, name, nil)
		a.caller.Forget(tenantOf(who.Tenant), name)
	}
	return err
}

// TestConnection calls the connector's health action and tells what it found.
func (a api) TestConnection(ctx context.Context, who auth.Caller, name string) (httpapi.ConnectionTest, error) {
	c, err := a.connections.Connection(who.Tenant, name)
	if err != nil {
		return httpapi.ConnectionTest{}, err
	}
	m := a.registry.Manifest(c.Connector)
	if m == nil || m.Health == nil {
		return httpapi.ConnectionTest{Health: "degraded", Detail: "connector " + c.Connector + " has no health check; only the configuration was looked at"}, nil
	}
	action, _ := a.registry.Action(c.Connector + "." + m.Health.Action)
	if action == nil {
		return httpapi.ConnectionTest{}, fmt.Errorf("health action %s of connector %s: %w", m.Health.Action, c.Connector, fault.NotFound)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	began := time.Now()
	r := a.caller.Call(ctx, connector.Call{
		Connection: name, Action: action, Inputs: map[string]any{}, Deadline: began.Add(30 * time.Second), Origin: connector.Origin{Tenant: tenantOf(who.Tenant), By: who.Name},
	})
	t := httpapi.ConnectionTest{Health: "up", TookSeconds: time.Since(began).Seconds()}
	if r.Status != connector.OK && r.Status != connector.Already {
		t.Health, t.Detail = "down", fmt.Sprintf("%s: %s", r.Class, r.Message)
	} else if r.Drift != "" {
		t.Health, t.Detail = "degraded", "the answer is not what the connector declares: "+r.Drift
	}
	return t, nil
}
