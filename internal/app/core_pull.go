package app

import (
	"context"
	"fmt"
	"time"

	"riposte/connector"
	"riposte/internal/fault"
	"riposte/internal/ingest"
	"riposte/internal/store"
)

// openPull makes the road of a source that is asked. Its connection may be made
// while the program runs: until then the road fails and is tried again.
func (c *core) openPull(name string, s SourceConfig, cursor []byte) (road, error) {
	plan, err := c.pullPlan(s)
	if err != nil {
		return nil, err
	}
	src, err := c.pulledBy(name, plan)
	if err != nil {
		return nil, err
	}
	return &ingest.Pull{
		Source: src, Sink: (*intake)(c), Plan: plan, Ask: c.asker(name, s.Connection), Cursor: cursor, Of: s.Connection + "." + plan.ID,
		First: s.First, Every: s.Every, Now: c.now, Log: c.log,
		Tell: c.stuckTeller(name),
	}, nil
}

// pulledBy is the source with the mapping that reads it: the configuration's,
// else the one that the connector names.
func (c *core) pulledBy(name string, plan *connector.Pull) (ingest.Source, error) {
	if src, ok := c.sources[name]; ok {
		return src, nil
	}
	if plan.Mapping == "" {
		return ingest.Source{}, fmt.Errorf("source %s: its connector names no mapping; give one as mapping: %w", name, fault.Invalid)
	}
	m, err := c.mappings.set(MappingNames{plan.Mapping})
	if err != nil {
		return ingest.Source{}, fmt.Errorf("source %s: %w", name, err)
	}
	return ingest.Source{Name: name, Mapping: m}, nil
}

// pullPlan finds what a source asks: fault.NotFound while there is no such
// connection.
func (c *core) pullPlan(s SourceConfig) (*connector.Pull, error) {
	conn, err := c.connections.Connection(store.DefaultTenant, s.Connection)
	if err != nil {
		return nil, fmt.Errorf("%w; make it with riposte connection add", err)
	}
	m := c.registry.Manifest(conn.Connector)
	if m == nil {
		return nil, fmt.Errorf("connection %s: its connector %s is not loaded: %w", conn.Name, conn.Connector, fault.NotFound)
	}
	return m.Pull(s.Source)
}

// asker calls on behalf of a source.
func (c *core) asker(name, connection string) ingest.Ask {
	return func(ctx context.Context, a *connector.Action, with func(map[string]any) (map[string]any, error)) connector.Result {
		origin := connector.Origin{Tenant: store.DefaultTenant, By: "source " + name, Source: name}
		return c.caller.Ask(ctx, origin, connection, a, with)
	}
}

// CountAtSource asks the product behind a source how many alerts it has from a
// time until another. known is false where it cannot be asked that.
func (c *core) CountAtSource(ctx context.Context, name string, from, until time.Time) (n int, known bool, err error) {
	s, ok := c.cfg.Sources[name]
	if !ok || s.Type != "pull" {
		return 0, false, nil
	}
	plan, err := c.pullPlan(s)
	if err != nil {
		return 0, false, err
	}
	return ingest.Count(ctx, plan, from.UTC(), until.UTC(), c.now().UTC(), c.asker(name, s.Connection))
}
