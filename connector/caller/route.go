package caller

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"riposte/connector"
	"riposte/internal/expr"
	"riposte/internal/fault"
)

// Limits is what a connection bears. Zero values are no limit.
type Limits struct {
	MaxInFlight int
	Rate        float64 // calls a second
	Burst       int
	// Bucket names the calls that count together where the rate belongs to a
	// credential that several connections may show; "" is the connection's own.
	Bucket string
}

// Route says which connection serves an action, named as connector.id or as a
// capability, and what it bears. using is the connection that the step names, ""
// for none. name is "" where several serve it or none does: the call itself says
// what is wrong.
func (c *Caller) Route(tenant, using, action string) (name string, l Limits) {
	slug, _, isAction := strings.Cut(action, ".")
	var conn *connector.Connection
	if isAction {
		m := c.Manifests.Manifest(slug)
		if m == nil {
			return using, Limits{}
		}
		found, err := c.pick(tenant, m, using)
		if err != nil {
			return using, Limits{}
		}
		conn = found
	} else {
		routes, err := c.serving(tenant, action, using)
		if err != nil || len(routes) != 1 {
			return using, Limits{}
		}
		conn = routes[0].connection
	}
	return conn.Name, c.limits(tenant, conn)
}

// Limits gives what a connection bears, none if it is not known.
func (c *Caller) Limits(tenant, name string) Limits {
	conn, err := c.Connections.Connection(tenant, name)
	if err != nil {
		return Limits{}
	}
	return c.limits(tenant, conn)
}

func (c *Caller) limits(tenant string, conn *connector.Connection) Limits {
	l := Limits{MaxInFlight: conn.MaxInFlight}
	m := c.Manifests.Manifest(conn.Connector)
	if m == nil {
		return l
	}
	if l.MaxInFlight == 0 {
		l.MaxInFlight = m.MaxInFlight
	}
	perSecond, burst := limitsOf(conn, m)
	if countsByCredential(m) {
		if o, err := c.open(tenant, conn, conn.Connector); err == nil { // else the call says what is wrong
			perSecond, burst, l.Bucket = o.limiter.Limit(), o.limiter.Burst(), o.bucket
		}
	}
	if perSecond < 1e12 {
		l.Rate, l.Burst = float64(perSecond), burst
	}
	return l
}

// Available answers available("…"): a connector with an enabled connection, or
// a capability that some enabled connection serves.
func (c *Caller) Available(tenant, name string) bool {
	if m := c.Manifests.Manifest(name); m != nil {
		_, err := c.pick(tenant, m, "")
		return err == nil || strings.Contains(err.Error(), severalText)
	}
	routes, err := c.serving(tenant, name, "")
	return err == nil && len(routes) > 0
}

func (c *Caller) find(tenant string, a *connector.Action, using string) (*connector.Connection, error) {
	m := c.Manifests.Manifest(a.Connector)
	if m == nil {
		return nil, fmt.Errorf("%s: the connector %s is not loaded: %w", a.Name(), a.Connector, fault.NotFound)
	}
	conn, err := c.pick(tenant, m, using)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Name(), err)
	}
	return conn, nil
}

const severalText = "there are several connections"

// pick finds the connection of a connector: the one that was named, else the
// only one.
func (c *Caller) pick(tenant string, m *connector.Manifest, using string) (*connector.Connection, error) {
	if using != "" && (using != m.Connector || m.NeedsConnection()) {
		conn, err := c.Connections.Connection(tenant, using)
		switch {
		case err != nil:
			return nil, err
		case conn.Connector != m.Connector:
			return nil, fmt.Errorf("the connection %s belongs to %s: %w", using, conn.Connector, fault.Invalid)
		case conn.Disabled:
			return nil, fmt.Errorf("the connection %s is switched off: %w", using, fault.Conflict)
		}
		return conn, nil
	}
	var found []*connector.Connection
	for _, conn := range c.Connections.List(tenant) {
		if conn.Connector == m.Connector && !conn.Disabled {
			found = append(found, conn)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, fmt.Errorf("%s (%s); name one with using: %w", severalText, names(found), fault.Conflict)
	case m.NeedsConnection():
		return nil, fmt.Errorf("there is no connection to %s; make one with riposte connection add: %w", m.Title, fault.NotFound)
	}
	return implicit(m.Connector), nil
}

// implicit is the connection of a connector that needs none.
func implicit(name string) *connector.Connection {
	return &connector.Connection{Name: name, Connector: name, Revision: -1}
}

func names(list []*connector.Connection) string {
	texts := make([]string, len(list))
	for i, conn := range list {
		texts[i] = conn.Name
	}
	return strings.Join(texts, ", ")
}

// route is one connection and the action by which it serves a capability.
type route struct {
	connection *connector.Connection
	action     *connector.Action
}

// serving lists who serves a capability, by the names of connections.
func (c *Caller) serving(tenant, capability, using string) ([]route, error) {
	byConnector := map[string]*connector.Action{}
	for _, a := range c.Manifests.Serving(capability) {
		if byConnector[a.Connector] == nil {
			byConnector[a.Connector] = a
		}
	}
	var routes []route
	for _, conn := range c.Connections.List(tenant) {
		a := byConnector[conn.Connector]
		if a == nil || using != "" && conn.Name != using {
			continue
		}
		if using != "" && !conn.Disabled || conn.ServesCapability(capability) {
			routes = append(routes, route{conn, a})
		}
	}
	if len(routes) > 0 {
		return routes, nil
	}
	if using != "" {
		return nil, fmt.Errorf("%s: the connection %s does not serve it: %w", capability, using, fault.NotFound)
	}
	return nil, fmt.Errorf("%s: no connection serves it; make one with riposte connection add: %w", capability, fault.NotFound)
}

// Routes lists who serves a capability or an action: the connection and the
// action by which it does.
func (c *Caller) Routes(tenant, using string, a *connector.Action) ([]connector.Call, error) {
	if a.Connector != "" {
		conn, err := c.find(tenant, a, using)
		if err != nil {
			return nil, err
		}
		return []connector.Call{{Connection: conn.Name, Action: a}}, nil
	}
	routes, err := c.serving(tenant, a.Capability, using)
	if err != nil {
		return nil, err
	}
	calls := make([]connector.Call, len(routes))
	for i, r := range routes {
		calls[i] = connector.Call{Connection: r.connection.Name, Action: r.action}
	}
	return calls, nil
}

// capability makes a call on every connection that serves it.
func (c *Caller) capability(ctx context.Context, call connector.Call) connector.Result {
	routes, err := c.serving(call.Origin.Tenant, call.Action.Capability, call.Connection)
	if err != nil {
		return failure(err)
	}
	if len(routes) == 1 {
		call.Action = routes[0].action
		return c.on(ctx, call, routes[0].connection)
	}
	results := make([]connector.Result, len(routes))
	var all sync.WaitGroup
	for i, r := range routes {
		one := call
		one.Action = r.action
		all.Go(func() { results[i] = c.on(ctx, one, r.connection) })
	}
	all.Wait()
	return together(results)
}

// together joins the results of several connections: the output is that of the
// first that succeeded, with results that has one entry for each.
func together(results []connector.Result) connector.Result {
	joined := connector.Result{Status: connector.Already, Results: results}
	output := map[string]any{}
	list := make([]any, len(results))
	failed, done := 0, 0
	for i, r := range results {
		var v any
		if len(r.Output) > 0 {
			v, _ = expr.DecodeJSON(r.Output)
		}
		list[i] = map[string]any{"connection": r.Connection, "status": string(r.Status), "output": v, "code": string(r.Class), "message": r.Message}
		switch r.Status {
		case connector.OK, connector.Already:
			if r.Status == connector.OK {
				joined.Status = connector.OK
			}
			if fields, ok := v.(map[string]any); ok && done == 0 {
				for k, e := range fields {
					output[k] = e
				}
			}
			done++
		default:
			failed++
			if joined.Class == "" || r.Status == connector.Unknown {
				joined.Class, joined.Message = r.Class, r.Connection+": "+r.Message
			}
			joined.Temporary = joined.Temporary || r.Temporary
			joined.RetryAfter = max(joined.RetryAfter, r.RetryAfter)
		}
	}
	output["results"] = list
	joined.Output, _ = expr.EncodeJSON(output)
	switch {
	case failed == 0:
	case done > 0:
		joined.Status = connector.Partial
		joined.Message = fmt.Sprintf("%d of %d connections failed: %s", failed, len(results), joined.Message)
		joined.Class = connector.PartialError
	default:
		joined.Status = worst(results)
	}
	return joined
}

// worst is unknown if one result is, else denied if all are, else failed.
func worst(results []connector.Result) connector.Status {
	denied := 0
	for _, r := range results {
		switch r.Status {
		case connector.Unknown:
			return connector.Unknown
		case connector.Denied:
			denied++
		default: // nothing to do for the others
		}
	}
	if denied == len(results) {
		return connector.Denied
	}
	return connector.Failed
}
