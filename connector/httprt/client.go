package httprt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"time"

	"riposte/connector"
	"riposte/connector/egress"
	"riposte/internal/expr"
	"riposte/internal/fault"
)

// client is what one connection keeps: its transport with the idle
// connections, its tokens, and what its config makes of each action.
type client struct {
	connection *connector.Connection
	mtls       [2]string
	transport  *http.Transport
	tokens     tokenCache

	mu       sync.RWMutex
	prepared map[*program]*prepared
}

// prepared is what of an action depends on the connection only.
type prepared struct {
	base   *url.URL
	policy *egress.Policy
}

// client finds what a connection keeps, or makes it anew when the connection
// was changed.
func (r *Runtime) client(in *connector.Invocation, p *program) (*client, error) {
	var mtls [2]string
	if a := p.spec.Auth; a != nil && a.Kind == "mtls" {
		mtls = [2]string{field(in, a.Cert), in.Secrets[a.Key]}
	}
	name := clientKey(in.Call.Origin.Tenant, in.Connection.Name)
	r.mu.RLock()
	c := r.clients[name]
	r.mu.RUnlock()
	if c != nil && c.mtls == mtls && sameConnection(c.connection, in.Connection) {
		return c, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if c = r.clients[name]; c != nil && c.mtls == mtls && sameConnection(c.connection, in.Connection) {
		return c, nil
	}
	fresh, err := r.newClient(in.Connection, mtls)
	if err != nil {
		return nil, err
	}
	if c != nil {
		c.transport.CloseIdleConnections()
	}
	if r.clients == nil {
		r.clients = map[string]*client{}
	}
	r.clients[name] = fresh
	return fresh, nil
}

// sameConnection tells whether nothing about a connection has changed. Its
// revision does not tell: one that was removed and added again begins anew.
func sameConnection(a, b *connector.Connection) bool {
	return a == b || reflect.DeepEqual(a, b)
}

func clientKey(tenant, name string) string { return tenant + "\x00" + name }

// Forget drops what is kept of a connection that was removed: tokens above all.
func (r *Runtime) Forget(tenant, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := clientKey(tenant, name)
	if c := r.clients[key]; c != nil {
		c.transport.CloseIdleConnections()
		delete(r.clients, key)
	}
}

// field reads a config field, secret or not.
func field(in *connector.Invocation, name string) string {
	if s, ok := in.Secrets[name]; ok {
		return s
	}
	s, _ := in.Config[name].(string)
	return s
}

// dialer connects to what a policy allows: names are resolved first, and the
// address that is about to be used is judged.
func dialer(p *egress.Policy) *net.Dialer {
	return &net.Dialer{
		Timeout: 10 * time.Second, KeepAlive: 30 * time.Second,
		Control: func(network, address string, _ syscall.RawConn) error { return p.Address(network, address) },
	}
}

func (r *Runtime) newClient(conn *connector.Connection, mtls [2]string) (*client, error) {
	policy := connectionPolicy(conn)
	guarded := dialer(policy)
	guarded.Resolver = r.Resolver
	t := &http.Transport{
		DialContext:            guarded.DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    128,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if conn.CA != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM([]byte(conn.CA)) {
			return nil, fmt.Errorf("connection %s: ca holds no certificate in PEM: %w", conn.Name, fault.Invalid)
		}
		t.TLSClientConfig.RootCAs = pool
	}
	if mtls != [2]string{} {
		cert, err := tls.X509KeyPair([]byte(mtls[0]), []byte(mtls[1]))
		if err != nil {
			return nil, fmt.Errorf("connection %s: client certificate and key do not fit together or are not in PEM: %w", conn.Name, fault.Invalid)
		}
		t.TLSClientConfig.Certificates = []tls.Certificate{cert}
	}
	if conn.Proxy != "" {
		if err := useProxy(t, conn, guarded, r.Resolver); err != nil {
			return nil, err
		}
	}
	return &client{connection: conn, mtls: mtls, transport: t, prepared: map[*program]*prepared{}}, nil
}

func connectionPolicy(conn *connector.Connection) *egress.Policy {
	return &egress.Policy{AllowPrivate: conn.AllowPrivate, AllowLoopback: conn.AllowLoopback, AllowLinkLocal: conn.AllowLinkLocal}
}

// useProxy sends everything through the proxy that the administrator named: its
// address needs no permission, all others still do. The proxy resolves the names
// of targets itself, so they are judged by name and, where they are addresses,
// by address.
func useProxy(t *http.Transport, conn *connector.Connection, guarded *net.Dialer, resolver *net.Resolver) error {
	u, err := url.Parse(conn.Proxy)
	if err != nil {
		return fmt.Errorf("connection %s: proxy is no address: %w", conn.Name, fault.Invalid)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080"}[u.Scheme]
	}
	proxy := net.JoinHostPort(u.Hostname(), port)
	open := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Resolver: resolver}
	t.Proxy = http.ProxyURL(u)
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == proxy {
			return open.DialContext(ctx, network, address)
		}
		return guarded.DialContext(ctx, network, address)
	}
	return nil
}

// prepare works out base URL and egress list of an action once per connection.
func (c *client) prepare(p *program, in *connector.Invocation) (*prepared, error) {
	c.mu.RLock()
	ready := c.prepared[p]
	c.mu.RUnlock()
	if ready != nil {
		return ready, nil
	}
	env := &expr.Env{Roots: map[string]any{"config": in.Config, "secrets": secretsRoot(in.Secrets)}, Now: in.Now}
	ready = &prepared{policy: connectionPolicy(in.Connection)}
	if p.base != nil {
		text, err := p.base.eval(env, func(s string) (string, error) { return strings.TrimRight(s, "/"), nil })
		if err != nil {
			return nil, fmt.Errorf("base URL: %w", err)
		}
		if ready.base, err = parseBase(text); err != nil {
			return nil, fmt.Errorf("connection %s: %w", in.Connection.Name, err)
		}
	}
	for _, pattern := range p.egress {
		text, err := pattern.eval(env, nil)
		if err != nil {
			return nil, fmt.Errorf("egress: %w", err)
		}
		ready.policy.Hosts = append(ready.policy.Hosts, hostOf(text))
	}
	if len(p.egress) == 0 && ready.base != nil {
		ready.policy.Hosts = []string{hostAndPort(ready.base)}
	}
	if err := p.auth.allow(ready.policy, env); err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.prepared[p] = ready
	c.mu.Unlock()
	return ready, nil
}

func parseBase(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	var wrong *url.Error
	switch {
	case errors.As(err, &wrong):
		return nil, fmt.Errorf("the base URL cannot be read: %w: %w", wrong.Err, fault.Invalid)
	case err != nil:
		return nil, fmt.Errorf("the base URL cannot be read: %w", fault.Invalid)
	case u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the base URL is no address such as https://api.example.com: %w", fault.Invalid)
	}
	u.User, u.Fragment = nil, ""
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = strings.TrimRight(u.RawPath, "/")
	return u, nil
}

// hostAndPort is a pattern for just the server of an address: another port of
// the same host is another server.
func hostAndPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// hostOf takes a pattern as it is and the host out of a URL.
func hostOf(s string) string {
	if u, err := url.Parse(s); err == nil && strings.Contains(s, "://") {
		return u.Hostname()
	}
	return s
}

func secretsRoot(secrets map[string]string) map[string]any {
	root := make(map[string]any, len(secrets))
	for name, text := range secrets {
		root[name] = text
	}
	return root
}

// Close ends all idle connections.
func (r *Runtime) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.clients {
		c.transport.CloseIdleConnections()
	}
	r.clients = nil
}
