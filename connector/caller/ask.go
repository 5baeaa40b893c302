package caller

import (
	"context"

	"riposte/connector"
)

// Ask makes one call on behalf of a source. Unlike Call it waits for the
// connection's turn, for no engine does that. with makes the inputs from the
// connection's fields that are not secret.
func (c *Caller) Ask(ctx context.Context, origin connector.Origin, connection string, a *connector.Action,
	with func(config map[string]any) (map[string]any, error),
) connector.Result {
	conn, err := c.find(origin.Tenant, a, connection)
	if err != nil {
		return failure(err)
	}
	o, err := c.open(origin.Tenant, conn, a.Connector)
	if err != nil {
		return failure(err)
	}
	inputs, err := with(o.config)
	if err != nil {
		return failure(err)
	}
	if err := o.limiter.Wait(ctx); err != nil {
		return connector.Fail(connector.Timeout, "no turn came in time: "+err.Error())
	}
	if a.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, a.Timeout)
		defer cancel()
	}
	return c.on(ctx, connector.Call{Action: a, Inputs: inputs, Origin: origin}, conn)
}
