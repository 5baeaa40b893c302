package httpapi

import (
	"context"
	"time"

	"riposte/internal/auth"
)

// Connections are configured instances of connectors. Their secrets go in and
// never come out.
type Connections interface {
	Connectors(ctx context.Context, who auth.Caller) ([]Connector, error)
	// Connections lists connections by name.
	Connections(ctx context.Context, who auth.Caller) ([]Connection, error)
	Connection(ctx context.Context, who auth.Caller, name string) (Connection, error)
	// AddConnection returns fault.Conflict where the name is taken.
	AddConnection(ctx context.Context, who auth.Caller, n NewConnection) (Connection, error)
	// ChangeConnection returns ErrStale where it is not at the revision any more.
	ChangeConnection(ctx context.Context, who auth.Caller, name string, seen int64, c ConnectionChange) (Connection, error)
	// DeleteConnection returns fault.Conflict while something is in force on it.
	DeleteConnection(ctx context.Context, who auth.Caller, name string, seen int64) error
	// TestConnection calls the product and tells what it found. An answer of the
	// product that is not good is a result, not an error.
	TestConnection(ctx context.Context, who auth.Caller, name string) (ConnectionTest, error)
}

// Connector is what can be connected.
type Connector struct {
	Name    string         `json:"name" example:"acme-edr"`
	Title   string         `json:"title"`
	Version string         `json:"version"`
	Vendor  string         `json:"vendor,omitempty"`
	Product string         `json:"product,omitempty"`
	Actions []ActionInfo   `json:"actions" nullable:"false"`
	Config  map[string]any `json:"config,omitempty" doc:"JSON Schema of a connection's configuration."`
	Secrets []string       `json:"secrets,omitempty" doc:"The fields that are secret."`
	BuiltIn bool           `json:"built_in,omitempty" doc:"It needs no connection."`
}

// ActionInfo is one thing that a connector can do.
type ActionInfo struct {
	ID         string `json:"id"`
	Title      string `json:"title,omitempty"`
	Impact     string `json:"impact" enum:"read,notify,change,destroy"`
	Capability string `json:"capability,omitempty"`
}

// Connection is a connection as clients see it: without secrets.
type Connection struct {
	Name      string         `json:"name" example:"firewall-berlin"`
	Connector string         `json:"connector"`
	Config    map[string]any `json:"config,omitempty"`
	Secrets   []string       `json:"secrets,omitempty" doc:"The secret fields that are set; never their values."`
	Disabled  bool           `json:"disabled,omitempty"`
	Health    string         `json:"health" enum:"unknown,up,degraded,down,untested"`
	Detail    string         `json:"detail,omitempty" doc:"Why it is not up."`
	Checked   time.Time      `json:"checked,omitzero"`
	Revision  int64          `json:"revision"`
}

// NewConnection is what a connection is made from.
type NewConnection struct {
	Name      string            `json:"name" pattern:"^[a-z][a-z0-9_-]{0,62}$" patternDescription:"a name such as firewall-berlin: a small letter, then up to 62 small letters, digits, hyphens or underscores"`
	Connector string            `json:"connector" minLength:"1" maxLength:"64"`
	Config    map[string]any    `json:"config,omitempty" doc:"The connector's fields, and those of every connection: proxy, ca, clearance {tlp, pap}, allow_private, allow_loopback, allow_link_local, rate_per_second, burst, max_in_flight, serves."`
	Secrets   map[string]string `json:"secrets,omitempty" writeOnly:"true" doc:"The secret fields. They are sealed and never shown again."`
}

// ConnectionChange changes a connection. What is absent is left alone.
type ConnectionChange struct {
	Config   map[string]any    `json:"config,omitempty" doc:"Takes the place of the whole configuration."`
	Secrets  map[string]string `json:"secrets,omitempty" writeOnly:"true" doc:"The secret fields to set anew."`
	Disabled *bool             `json:"disabled,omitempty"`
}

// ConnectionTest is what a test found.
type ConnectionTest struct {
	Health      string      `json:"health" enum:"up,degraded,down,untested"`
	Detail      string      `json:"detail,omitempty"`
	Scopes      []ScopeTest `json:"scopes,omitempty"`
	TookSeconds float64     `json:"took_seconds"`
}

// ScopeTest is one permission of the credential.
type ScopeTest struct {
	Scope  string `json:"scope"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

type oneConnection struct {
	ETag     string `header:"ETag"`
	Location string `header:"Location"`
	Body     Connection
}

func connectionAnswer(c Connection, err error) (*oneConnection, error) {
	if err != nil {
		return nil, err
	}
	return &oneConnection{ETag: ETag(c.Revision), Body: c}, nil
}

type connectorsAnswer struct {
	Items []Connector `json:"items" nullable:"false"`
}

type connectionsAnswer struct {
	Items []Connection `json:"items" nullable:"false"`
}

// ConnectionName is embedded in the input of every operation on one connection.
type ConnectionName struct {
	Name string `path:"name" maxLength:"64"`
}

type connectionInput struct {
	Who
	ConnectionName
}

type newConnectionInput struct {
	Who
	Body NewConnection
}

type changeConnectionInput struct {
	Who
	ConnectionName
	IfMatch
	Body ConnectionChange
}

type deleteConnectionInput struct {
	Who
	ConnectionName
	IfMatch
}

func (a *api) connectionRoutes() {
	add(a, auth.ConnectionsRead, op("connections", get, "/api/connectors", "list-connectors", "List what can be connected"),
		func(ctx context.Context, in *whoInput) (*Body[connectorsAnswer], error) {
			l, err := a.Connections.Connectors(ctx, in.caller)
			return body(connectorsAnswer{orEmpty(l)}, err)
		})
	add(a, auth.ConnectionsRead, op("connections", get, "/api/connections", "list-connections", "List connections by name"),
		func(ctx context.Context, in *whoInput) (*Body[connectionsAnswer], error) {
			l, err := a.Connections.Connections(ctx, in.caller)
			return body(connectionsAnswer{orEmpty(l)}, err)
		})
	add(a, auth.ConnectionsWrite, answering(201, op("connections", post, "/api/connections", "add-connection", "Add a connection; its secrets are write-only")),
		func(ctx context.Context, in *newConnectionInput) (*oneConnection, error) {
			c, err := a.Connections.AddConnection(ctx, in.caller, in.Body)
			out, err := connectionAnswer(c, err)
			if out != nil {
				out.Location = "/api/connections/" + c.Name
			}
			return out, err
		})
	add(a, auth.ConnectionsRead, op("connections", get, "/api/connections/{name}", "get-connection", "Read a connection, without its secrets"),
		func(ctx context.Context, in *connectionInput) (*oneConnection, error) {
			return connectionAnswer(a.Connections.Connection(ctx, in.caller, in.Name))
		})
	add(a, auth.ConnectionsWrite, op("connections", patch, "/api/connections/{name}", "change-connection", "Change a connection, or give it new secrets"),
		func(ctx context.Context, in *changeConnectionInput) (*oneConnection, error) {
			seen, err := in.seen()
			if err != nil {
				return nil, err
			}
			return connectionAnswer(a.Connections.ChangeConnection(ctx, in.caller, in.Name, seen, in.Body))
		})
	add(a, auth.ConnectionsWrite, answering(204, op("connections", remove, "/api/connections/{name}", "delete-connection", "Remove a connection and its secrets")),
		func(ctx context.Context, in *deleteConnectionInput) (*Nothing, error) {
			seen, err := in.seen()
			if err != nil {
				return nil, err
			}
			return nil, a.Connections.DeleteConnection(ctx, in.caller, in.Name, seen)
		})
	add(a, auth.ConnectionsWrite, op("connections", post, "/api/connections/{name}/test", "test-connection", "Call the product and tell what was found"),
		func(ctx context.Context, in *connectionInput) (*Body[ConnectionTest], error) {
			return body(a.Connections.TestConnection(ctx, in.caller, in.Name))
		})
}
