// Package caller makes the calls of actions: it finds the connection, opens its
// secrets, checks inputs and outputs, looks before and after where the action
// says so, hands the call to a runtime or a handler, and takes every secret out
// of what comes back. It does not retry and does not wait for its turn: that is
// the engine's work, for which Route says what a connection bears.
package caller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"riposte/connector"
	"riposte/internal/expr"
	"riposte/internal/fault"
)

// Connections finds configured connections. Its methods are called for every
// call and must not wait.
type Connections interface {
	// Connection finds one, disabled or not: fault.NotFound.
	Connection(tenant, name string) (*connector.Connection, error)
	// List gives all of a tenant, sorted by name.
	List(tenant string) []*connector.Connection
}

// Opener opens sealed secrets.
type Opener interface {
	// Open unseals what was sealed for the same id.
	Open(id string, sealed []byte) ([]byte, error)
}

// Manifests finds what is loaded. connector.Registry is one.
type Manifests interface {
	Manifest(name string) *connector.Manifest
	Serving(capability string) []*connector.Action
}

// Caller makes calls. Manifests, Connections and Opener are required; it is safe
// for concurrent use.
type Caller struct {
	Manifests   Manifests
	Connections Connections
	Opener      Opener
	// Runtimes holds what makes the calls, by the manifest's runtime: http, exec.
	Runtimes map[string]connector.Runtime
	// Handlers holds the actions of runtime go by name, such as case.note.
	Handlers map[string]connector.Handler
	// Clear, if not nil, says whether the inputs may leave to a connection.
	Clear func(call *connector.Call, conn *connector.Connection) error
	// Drifting, if not nil, is told where an answer broke its schema.
	Drifting func(tenant, connection, action, where string)
	Log      *slog.Logger     // nil: slog.Default
	Now      func() time.Time // nil: time.Now

	validator connector.Validator
	checks    checkCache
	mu        sync.RWMutex
	opened    map[string]*opened
	shares    shares
}

// opened is a connection ready for calls.
type opened struct {
	connection *connector.Connection
	manifest   *connector.Manifest
	config     map[string]any
	secrets    map[string]string
	redactor   *connector.Redactor
	limiter    *rate.Limiter
	bucket     string // see Limits
}

func (c *Caller) now() time.Time {
	if c.Now != nil {
		return c.Now().UTC()
	}
	return time.Now().UTC()
}

func (c *Caller) log() *slog.Logger {
	if c.Log != nil {
		return c.Log
	}
	return slog.Default()
}

// Call makes one attempt. It returns when ctx ends, at the latest; the result is
// never an empty one and holds no secret.
func (c *Caller) Call(ctx context.Context, call connector.Call) connector.Result {
	a := call.Action
	if a == nil {
		return connector.Fail(connector.Invalid, "the action is not loaded")
	}
	if !call.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, call.Deadline)
		defer cancel()
	}
	if a.Connector == "" {
		return c.capability(ctx, call)
	}
	conn, err := c.find(call.Origin.Tenant, a, call.Connection)
	if err != nil {
		return failure(err)
	}
	return c.on(ctx, call, conn)
}

// failure is what a call comes to that was never made.
func failure(err error) connector.Result {
	class := connector.Permanent
	switch {
	case errors.Is(err, fault.NotFound), errors.Is(err, fault.Invalid), errors.Is(err, fault.Conflict):
		class = connector.Invalid
	case errors.Is(err, fault.Denied):
		return connector.Result{Status: connector.Denied, Class: connector.Policy, Message: plain(err)}
	case errors.Is(err, fault.Transient):
		class = connector.Transient
	}
	return connector.Fail(class, plain(err))
}

// plain is an error's text without the kinds that it wraps.
func plain(err error) string {
	text := err.Error()
	for _, kind := range []error{fault.NotFound, fault.Invalid, fault.Conflict, fault.Denied, fault.Transient} {
		text = strings.TrimSuffix(text, ": "+kind.Error())
	}
	return text
}

// on makes the call on one connection.
func (c *Caller) on(ctx context.Context, call connector.Call, conn *connector.Connection) connector.Result {
	call.Connection = conn.Name
	o, err := c.open(call.Origin.Tenant, conn, call.Action.Connector)
	if err != nil {
		return c.finish(failure(err), call, nil)
	}
	in, redactor, err := c.invocation(&call, o)
	if err != nil {
		return c.finish(failure(err), call, o.redactor)
	}
	if c.Clear != nil {
		if err := c.Clear(&call, conn); err != nil {
			return c.finish(connector.Result{Status: connector.Denied, Class: connector.Policy, Message: plain(err)}, call, redactor)
		}
	}
	return c.finish(c.checked(ctx, in, o), call, redactor)
}

// finish completes a result: no secret in it, the connection's name, and whether
// trying again makes sense.
func (c *Caller) finish(res connector.Result, call connector.Call, redactor *connector.Redactor) connector.Result {
	res = redactor.Result(res)
	res.Connection = call.Connection
	if res.Status != connector.OK && res.Status != connector.Already {
		a := call.Action
		mayRepeat := a.Idempotency != connector.None || connector.ImpactOf(a, call.Inputs) == connector.Read
		res.Temporary = mayRepeat && (res.Class == connector.Timeout || slices.Contains(a.Retry.On, res.Class))
	}
	if res.Drift != "" {
		c.log().Warn("connection is drifting", "connection", call.Connection, "action", call.Action.Name(), "where", res.Drift)
		if c.Drifting != nil {
			c.Drifting(call.Origin.Tenant, call.Connection, call.Action.Name(), res.Drift)
		}
	}
	return res
}

// open makes a connection ready, once for each of its revisions.
func (c *Caller) open(tenant string, conn *connector.Connection, name string) (*opened, error) {
	m := c.Manifests.Manifest(name)
	if m == nil {
		return nil, fmt.Errorf("connection %s: its connector %s is not loaded: %w", conn.Name, name, fault.NotFound)
	}
	key := tenant + "\x00" + conn.Name
	c.mu.RLock()
	o := c.opened[key]
	c.mu.RUnlock()
	if o != nil && o.manifest == m && (o.connection == conn || conn.Revision != 0 && o.connection.Revision == conn.Revision) {
		return o, nil
	}
	fresh, err := c.unseal(tenant, conn, m)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	share := c.shares.join(tenant, fresh)
	fresh.limiter, fresh.bucket = share.limiter, share.bucket
	if c.opened == nil {
		c.opened = map[string]*opened{}
	}
	c.opened[key] = fresh
	return fresh, nil
}

func (c *Caller) unseal(tenant string, conn *connector.Connection, m *connector.Manifest) (*opened, error) {
	o := &opened{connection: conn, manifest: m, config: m.Config.WithDefaults(conn.Config), secrets: map[string]string{}}
	if o.config == nil {
		o.config = map[string]any{}
	}
	var texts []string
	for field, sealed := range conn.Secrets {
		b, err := c.Opener.Open(connector.SecretID(tenant, conn.Name, field), sealed)
		if err != nil {
			return nil, fmt.Errorf("connection %s: open the secret %s: %w", conn.Name, field, err)
		}
		o.secrets[field] = string(b)
		texts = append(texts, string(b))
	}
	for _, name := range m.Config.Required() {
		_, plainField := o.config[name]
		_, secretField := o.secrets[name]
		if !plainField && !secretField {
			return nil, fmt.Errorf("connection %s: %s is not set: %w", conn.Name, name, fault.Invalid)
		}
	}
	if u, err := url.Parse(conn.Proxy); err == nil && u.User != nil {
		if password, ok := u.User.Password(); ok {
			texts = append(texts, password)
		}
	}
	o.redactor = connector.NewRedactor(texts...)
	return o, nil
}

// limitsOf is the connection's rate, else the manifest's, else none.
func limitsOf(conn *connector.Connection, m *connector.Manifest) (rate.Limit, int) {
	perSecond, burst := conn.RatePerSecond, conn.Burst
	if r := m.Rate; r != nil {
		if perSecond == 0 && r.Every > 0 {
			perSecond = float64(r.Requests) / r.Every.Seconds()
		}
		if burst == 0 {
			burst = r.Burst
		}
	}
	if perSecond <= 0 {
		return rate.Inf, 1
	}
	return rate.Limit(perSecond), max(burst, 1)
}

// invocation checks the inputs and fills in defaults and secrets.
func (c *Caller) invocation(call *connector.Call, o *opened) (*connector.Invocation, *connector.Redactor, error) {
	a := call.Action
	inputs := a.Inputs.WithDefaults(call.Inputs)
	if inputs == nil {
		inputs = map[string]any{}
	}
	redactor := o.redactor
	if expr.HasSecret(inputs) {
		if o.manifest.Runtime == "go" && !takesSecrets(a.Connector) {
			return nil, nil, fmt.Errorf("%s: a secret cannot be written there, only sent to a product: %w", a.Name(), fault.Invalid)
		}
		filled, used, err := c.resolve(call.Origin.Tenant, inputs)
		if err != nil {
			return nil, nil, err
		}
		inputs = filled
		redactor = o.redactor.With(used...)
	}
	err := c.validator.Inputs(a, inputs)
	if err == nil {
		_, err = connector.Targets(a, inputs)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", redactor.Text(plain(err)), fault.Invalid)
	}
	in := &connector.Invocation{
		Call: *call, Impact: connector.ImpactOf(a, inputs), Connection: o.connection,
		Config: o.config, Secrets: o.secrets, Now: c.now(), Token: o.limiter.Wait,
	}
	in.Call.Inputs = inputs
	return in, redactor, nil
}

// takesSecrets lists the built-in actions that send something out.
func takesSecrets(name string) bool {
	return name == "http" || name == "smtp" || !slices.Contains(connector.Builtins(), name)
}

// resolve puts the values in the place of the references to secrets.
func (c *Caller) resolve(tenant string, inputs map[string]any) (map[string]any, []string, error) {
	var used []string
	var wrong error
	var walk func(v any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case expr.Secret:
			text, err := c.secret(tenant, v)
			if err != nil && wrong == nil {
				wrong = err
			}
			used = append(used, text)
			return text
		case []any:
			out := make([]any, len(v))
			for i, e := range v {
				out[i] = walk(e)
			}
			return out
		case map[string]any:
			out := make(map[string]any, len(v))
			for k, e := range v {
				out[k] = walk(e)
			}
			return out
		}
		return v
	}
	out, _ := walk(inputs).(map[string]any)
	return out, used, wrong
}

// Secret opens one secret of a connection, for what signs in by itself.
func (c *Caller) Secret(tenant, connection, field string) (string, error) {
	return c.secret(tenant, expr.Secret{Connection: connection, Field: field})
}

func (c *Caller) secret(tenant string, s expr.Secret) (string, error) {
	conn, err := c.Connections.Connection(tenant, s.Connection)
	if err != nil {
		return "", fmt.Errorf("secrets.%s.%s: %w", s.Connection, s.Field, err)
	}
	o, err := c.open(tenant, conn, conn.Connector)
	if err != nil {
		return "", err
	}
	text, ok := o.secrets[s.Field]
	if !ok {
		return "", fmt.Errorf("secrets.%s.%s: the connection has no such secret: %w", s.Connection, s.Field, fault.NotFound)
	}
	return text, nil
}

// Forget drops what is kept of a connection that was removed.
func (c *Caller) Forget(tenant, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.opened, tenant+"\x00"+name)
	c.shares.leave(tenant + "\x00" + name)
	for _, rt := range c.Runtimes {
		if f, ok := rt.(interface{ Forget(tenant, name string) }); ok {
			f.Forget(tenant, name)
		}
	}
}
