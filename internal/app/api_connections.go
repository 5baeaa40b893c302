package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"riposte/connector"
	"riposte/internal/auth"
	"riposte/internal/expr"
	"riposte/internal/fault"
	"riposte/internal/guard"
	"riposte/internal/httpapi"
	"riposte/internal/store"
)

// Connectors lists what can be connected.
func (a *api) Connectors(context.Context, auth.Caller) ([]httpapi.Connector, error) {
	var out []httpapi.Connector
	for _, name := range a.registry.Connectors() {
		m := a.registry.Manifest(name)
		w := httpapi.Connector{
			Name: m.Connector, Title: m.Title, Version: m.Version, Vendor: m.Vendor, Product: m.Product, Config: m.Config,
			Secrets: m.SecretFields(), BuiltIn: !m.NeedsConnection(), Actions: []httpapi.ActionInfo{},
		}
		for _, id := range m.ActionIDs() {
			act := m.Action(id)
			w.Actions = append(w.Actions, httpapi.ActionInfo{ID: id, Title: act.Title, Impact: act.Impact.String(), Capability: act.Capability})
		}
		out = append(out, w)
	}
	return out, nil
}

// Connections lists connections.
func (a *api) Connections(_ context.Context, who auth.Caller) ([]httpapi.Connection, error) {
	var out []httpapi.Connection
	for _, c := range a.connections.List(who.Tenant) {
		out = append(out, a.wireConnection(who, c))
	}
	return out, nil
}

// Connection reads one.
func (a *api) Connection(_ context.Context, who auth.Caller, name string) (httpapi.Connection, error) {
	c, err := a.connections.Connection(who.Tenant, name)
	if err != nil {
		return httpapi.Connection{}, err
	}
	return a.wireConnection(who, c), nil
}

// sharedFields are the keys of a configuration that every connection has, beside
// its connector's own, and what is expected there.
var sharedFields = map[string]string{
	"proxy": "an address such as http://proxy.example.org:3128", "ca": "certificates in PEM, a text",
	"clearance":     "an object such as {\"tlp\": \"amber\", \"pap\": \"amber\"}",
	"allow_private": "true or false", "allow_loopback": "true or false", "allow_link_local": "true or false",
	"rate_per_second": "a number", "burst": "a whole number", "max_in_flight": "a whole number", "serves": "a list of capabilities",
}

func (a *api) wireConnection(who auth.Caller, c *connector.Connection) httpapi.Connection {
	h := a.health.of(tenantOf(who.Tenant), c.Name, c.Revision)
	return httpapi.Connection{
		Name: c.Name, Connector: c.Connector, Config: configOf(c), Secrets: slices.Sorted(maps.Keys(c.Secrets)), Disabled: c.Disabled,
		Health: h.word, Detail: h.detail, Checked: h.at, Revision: c.Revision,
	}
}

// configOf is a connection's configuration as somebody would write it.
func configOf(c *connector.Connection) map[string]any {
	config := map[string]any{}
	maps.Copy(config, c.Config)
	raw, err := json.Marshal(c)
	var all map[string]any
	if err != nil || json.Unmarshal(raw, &all) != nil {
		return config // it was read from JSON: it always can
	}
	for k := range sharedFields {
		if m, isMap := all[k].(map[string]any); all[k] != nil && (!isMap || len(m) > 0) {
			config[k] = all[k]
		}
	}
	return config
}

// configure takes a configuration apart: what every connection has goes into c,
// what is the connector's own is returned.
func configure(c *connector.Connection, config map[string]any) (map[string]any, error) {
	own, shared := map[string]any{}, map[string]any{}
	for k, v := range config {
		if sharedFields[k] != "" {
			shared[k] = v
		} else {
			own[k] = expr.Normalize(v)
		}
	}
	raw, err := json.Marshal(shared)
	if err != nil {
		return nil, err
	}
	next := connector.Connection{Name: c.Name, Connector: c.Connector, Config: c.Config, Secrets: c.Secrets, Disabled: c.Disabled, Revision: c.Revision}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&next); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			field := strings.ReplaceAll(wrong.Field, ".", "/")
			return nil, httpapi.WrongField("/config/"+field, "expected "+sharedFields[strings.SplitN(wrong.Field, ".", 2)[0]])
		}
		return nil, httpapi.WrongField("/config", strings.TrimPrefix(err.Error(), "json: "))
	}
	*c = next
	return own, nil
}

// AddConnection adds a connection. Its secrets are sealed before anything else
// happens to them.
func (a *api) AddConnection(ctx context.Context, who auth.Caller, n httpapi.NewConnection) (httpapi.Connection, error) {
	c := &connector.Connection{Name: n.Name, Connector: n.Connector}
	if _, err := a.connections.Connection(who.Tenant, n.Name); err == nil {
		return httpapi.Connection{}, fmt.Errorf("add connection %s: the name is taken: %w", n.Name, fault.Conflict)
	}
	if err := a.fillConnection(who, c, n.Config, n.Secrets); err != nil {
		return httpapi.Connection{}, err
	}
	return a.putConnection(ctx, who, "connection.add", c, 0)
}

// fillConnection checks fields and secrets against the connector and puts them
// into the connection.
func (a *api) fillConnection(who auth.Caller, c *connector.Connection, config map[string]any, secrets map[string]string) error {
	own, err := configure(c, config)
	if err != nil {
		return err
	}
	m := a.registry.Manifest(c.Connector)
	if m == nil {
		return httpapi.WrongField("/connector", fmt.Sprintf("there is no connector %q; there are %s", c.Connector, strings.Join(a.registry.Connectors(), ", ")))
	}
	if !m.TakesConnection() {
		return httpapi.WrongField("/connector", c.Connector+" is built in and has nothing to configure")
	}
	values := map[string]any{}
	for k, v := range own {
		if slices.Contains(m.SecretFields(), k) {
			return httpapi.WrongField("/config/"+k, "it is secret; send it under secrets")
		}
		values[k] = v
	}
	for k, v := range secrets {
		if !slices.Contains(m.SecretFields(), k) {
			return httpapi.WrongField("/secrets/"+k, fmt.Sprintf("%s has no such secret; it has %s", c.Connector, orElse(strings.Join(m.SecretFields(), ", "), "none")))
		}
		values[k] = v
	}
	var kept []string
	for k := range c.Secrets {
		kept = append(kept, k)
	}
	plain, open, err := m.SplitConfig(values, kept...)
	if err != nil {
		return inConnection(m, err)
	}
	c.Config = plain
	sealed := map[string][]byte{}
	for k, v := range c.Secrets {
		sealed[k] = v
	}
	for k, v := range open {
		if sealed[k], err = a.keys.Seal(connector.SecretID(tenantOf(who.Tenant), c.Name, k), []byte(v)); err != nil {
			return err
		}
	}
	c.Secrets = sealed
	return below("/config", c.Check())
}

// inConnection tells where in a request the wrong fields of a configuration are.
func inConnection(m *connector.Manifest, err error) error {
	var p *fault.Parts
	if !errors.As(err, &p) {
		return err
	}
	moved := &fault.Parts{What: p.What, At: map[string]string{}}
	for at, what := range p.At {
		name, _, _ := strings.Cut(strings.TrimPrefix(at, "/"), "/")
		if slices.Contains(m.SecretFields(), name) {
			moved.At["/secrets"+at] = what + "; it is secret, so send it under secrets"
		} else {
			moved.At["/config"+at] = what
		}
	}
	return moved
}

func (a *api) putConnection(ctx context.Context, who auth.Caller, act string, c *connector.Connection, seen int64) (httpapi.Connection, error) {
	err := a.db.Write(ctx, func(tx *store.Tx) error {
		if err := store.PutConnection(tx, who.Tenant, c, seen, utc(a.now())); err != nil {
			return err
		}
		return a.acted(tx, who, act, "connection:"+c.Name, map[string]any{"connector": c.Connector, "secrets": slices.Sorted(maps.Keys(c.Secrets))})
	})
	if err != nil {
		return httpapi.Connection{}, staleOf(err)
	}
	a.connections.put(who.Tenant, c.Name, c)
	return a.wireConnection(who, c), nil
}

// ChangeConnection changes a connection.
func (a *api) ChangeConnection(ctx context.Context, who auth.Caller, name string, seen int64, ch httpapi.ConnectionChange) (httpapi.Connection, error) {
	old, err := a.connections.Connection(who.Tenant, name)
	if err != nil {
		return httpapi.Connection{}, err
	}
	if old.Revision != seen {
		return httpapi.Connection{}, httpapi.ErrStale
	}
	c := *old // what is known now is never changed: calls under way use it
	config := configOf(&c)
	if ch.Config != nil {
		config = ch.Config
	}
	if ch.Disabled != nil {
		c.Disabled = *ch.Disabled
	}
	if err := a.fillConnection(who, &c, config, ch.Secrets); err != nil {
		return httpapi.Connection{}, err
	}
	return a.putConnection(ctx, who, "connection.change", &c, seen)
}

// DeleteConnection removes a connection, unless something is in force on it that
// could not be taken back without it.
func (a *api) DeleteConnection(ctx context.Context, who auth.Caller, name string, seen int64) error {
	if _, err := a.connections.Connection(who.Tenant, name); err != nil {
		return err
	}
	err := a.db.Write(ctx, func(tx *store.Tx) error {
		if err := nothingInForce(&tx.Reader, who, name); err != nil {
			return err
		}
		if err := store.DeleteConnection(tx, who.Tenant, name, seen); err != nil {
			return err
		}
		return a.acted(tx, who, "connection.remove", "connection:"+name, nil)
	})
	if err != nil {
		return staleOf(err)
	}
	a.connections.put(who.Tenant, name, nil)
	a.caller.Forget(tenantOf(who.Tenant), name)
	return nil
}

// nothingInForce refuses to take away what an undo would need.
func nothingInForce(q *store.Reader, who auth.Caller, name string) error {
	for _, state := range []guard.EntryState{guard.EntryOpen, guard.EntryTaken, guard.EntryFailed} {
		for next := (store.Slice{Limit: 1000}); ; {
			page, err := store.ListLedger(q, who.Tenant, store.LedgerFilter{State: state}, next)
			if err != nil {
				return err
			}
			for _, e := range page.Items {
				if e.Connection == name {
					return fmt.Errorf("remove connection %s: %s is in force on it; take that back first: %w", name, entryRef(e.ID), fault.Conflict)
				}
			}
			if next.Cursor = page.Next; next.Cursor == "" {
				break
			}
		}
	}
	return nil
}

// TestConnection calls what the manifest names as the sign of health.
func (a *api) TestConnection(ctx context.Context, who auth.Caller, name string) (httpapi.ConnectionTest, error) {
	c, err := a.connections.Connection(who.Tenant, name)
	if err != nil {
		return httpapi.ConnectionTest{}, err
	}
	h := a.look(ctx, who.Tenant, c)
	t := httpapi.ConnectionTest{Health: string(h.State), Detail: detailOf(h), TookSeconds: h.Took.Seconds()}
	for _, scope := range slices.Sorted(maps.Keys(h.Scopes)) {
		t.Scopes = append(t.Scopes, httpapi.ScopeTest{Scope: scope, OK: h.Scopes[scope]})
	}
	return t, nil
}
