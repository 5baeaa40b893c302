package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"riposte/internal/fault"
	"riposte/internal/httpapi"
)

// Options are what a program says that starts an App.
type Options struct {
	Version string
	Page    http.Handler // everything that is not below /api/; nil: nothing
	Log     *slog.Logger // nil: nothing is logged
}

// App is the program at work.
type App struct {
	cfg    Config
	log    *slog.Logger
	core   *core
	api    *api
	server *http.Server
	listen net.Listener
	aside  *metricsPort // metrics on a port of their own; nil: only on the first
	secure bool
	first  firstPerson

	ready   chan struct{}
	cancel  context.CancelFunc
	mu      sync.Mutex
	stop    chan struct{} // closed when live events must end
	stopped chan struct{} // closed when Run has returned
	running bool
	closed  bool
}

// The limits of HTTP. What a client does slowly costs it its connection and
// nobody else anything.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 2 * time.Minute
	writeTimeout  = 2 * time.Minute // live events lift it for themselves
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 10 * time.Second
)

// New opens everything and listens. Nothing is answered and nothing runs before
// Run is called; Stop undoes New.
func New(ctx context.Context, cfg Config, opt Options) (*App, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, log: opt.Log, ready: make(chan struct{}), stop: make(chan struct{}), stopped: make(chan struct{})}
	secured, err := cfg.TLS.load()
	if err != nil {
		return nil, err
	}
	a.secure = secured != nil || strings.HasPrefix(cfg.URL, "https://")
	// The port is taken first: a second server must not touch the first one's data.
	if a.listen, err = net.Listen("tcp", cfg.Listen); err != nil { //nolint:noctx // it does not wait
		return nil, fmt.Errorf("listen on %s: %w; choose another address with --listen", cfg.Listen, cause(err))
	}
	if secured != nil {
		a.listen = tls.NewListener(a.listen, secured)
	}
	if err := a.open(ctx, opt); err != nil {
		return nil, errors.Join(err, a.listen.Close())
	}
	return a, nil
}

// cause is what an error of the network comes down to.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

func (a *App) open(ctx context.Context, opt Options) (err error) {
	if a.core, a.first, err = openCore(ctx, a.cfg, opt.Version, a.log); err != nil {
		return err
	}
	a.api = &api{core: a.core}
	intake, err := a.api.ingestHandler()
	if err != nil {
		return errors.Join(err, a.core.close())
	}
	routes := &httpapi.Server{
		Identity: a.api, Tokens: a.api, People: a.api, Alerts: a.api, AlertMoves: a.api, Triage: a.api, Cases: a.api, Runs: a.api, Approvals: a.api, Playbooks: a.api, Ledger: a.api,
		Lists: a.api, Connections: a.api, Switches: a.api, Overrides: a.api, Alarms: a.api, Closings: a.api, Sources: a.api, Unread: a.api, Audit: a.api, Replays: a.api, Ingest: intake, Hooks: a.core.hookHandler(), Metrics: a.api.metricsHandler(), Page: opt.Page, Health: a.core.db.Healthy,
		Version: opt.Version, Secure: a.secure, Log: a.log,
	}
	a.server = &http.Server{
		Handler: routes.Handler(a.stop), ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	if a.aside, err = openMetricsPort(a.cfg.Metrics.Listen, a.core.metrics); err != nil {
		return errors.Join(err, a.core.close())
	}
	return nil
}

// load reads certificate and key, and whose certificates clients may show; nil:
// none is configured.
func (t TLS) load() (*tls.Config, error) {
	if t.Certificate == "" {
		return nil, nil
	}
	own, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
	if err != nil {
		return nil, fmt.Errorf("tls: %w: %w", err, fault.Invalid)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, Certificates: []tls.Certificate{own}}
	if t.ClientCA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(t.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("tls: client_ca: %w: %w", err, fault.Invalid)
	}
	c.ClientCAs = x509.NewCertPool()
	if !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tls: client_ca: %s holds no certificate in PEM: %w", t.ClientCA, fault.Invalid)
	}
	c.ClientAuth = tls.VerifyClientCertIfGiven // people come without one
	return c, nil
}

// URL is where the server answers.
func (a *App) URL() string {
	scheme := "http"
	if a.cfg.TLS.Certificate != "" {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(a.listen.Addr().String())
	if err != nil {
		return scheme + "://" + a.listen.Addr().String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// Addr is the address that the server listens on.
func (a *App) Addr() string { return a.listen.Addr().String() }

// FirstPassword is the name and password of the administrator that this start
// made, "" where there was somebody already. It is told once and kept nowhere.
func (a *App) FirstPassword() (name, password string) { return a.first.name, a.first.password }

// Ready is closed when requests are answered and what was under way is at work
// again.
func (a *App) Ready() <-chan struct{} { return a.ready }

// Run works until ctx ends or Stop is called, and returns when everything known
// is on disk. It is called once.
func (a *App) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := a.begin(cancel); err != nil {
		return err
	}
	defer close(a.stopped)
	if !loopback(a.listen.Addr()) && !a.secure {
		a.log.Warn("answering without tls on an address that others reach", "address", a.listen.Addr().String())
	}
	// Runs outlive the last request: who was told that a run has started may rely
	// on it.
	work, endWork := context.WithCancel(context.WithoutCancel(ctx))
	defer endWork()
	var served, worked error
	var running sync.WaitGroup
	running.Go(func() {
		defer cancel()
		worked = a.core.run(work)
	})
	running.Go(func() {
		defer cancel()
		if served = a.server.Serve(a.listen); errors.Is(served, http.ErrServerClosed) {
			served = nil
		}
	})
	running.Go(func() { a.aside.serve(a.log) })
	select {
	case <-a.core.engine.Ready():
		a.log.Info("ready", "url", a.URL())
		close(a.ready)
	case <-ctx.Done():
	}
	<-ctx.Done()
	drained := a.drain()
	a.aside.close()
	endWork()
	running.Wait()
	return errors.Join(served, worked, drained, a.core.close())
}

// begin makes Run happen once, and not after Stop.
func (a *App) begin(cancel context.CancelFunc) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running || a.closed {
		return fmt.Errorf("run: it was run or stopped before: %w", fault.Conflict)
	}
	a.running, a.cancel = true, cancel
	return nil
}

// drain lets requests end.
func (a *App) drain() error {
	close(a.stop)
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	err := a.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		a.log.Warn("requests cut off", "after_seconds", drainTimeout.Seconds())
		err = a.server.Close()
	}
	return err
}

// Stop ends Run and waits for it. An App that never ran is closed.
func (a *App) Stop() error {
	a.mu.Lock()
	if a.running {
		cancel := a.cancel
		a.mu.Unlock()
		cancel()
		<-a.stopped
		return nil
	}
	defer a.mu.Unlock()
	if a.closed {
		return nil
	}
	a.closed = true
	a.aside.close()
	return errors.Join(a.listen.Close(), a.core.close())
}

// loopback tells an address that only this machine reaches.
func loopback(addr net.Addr) bool {
	t, ok := addr.(*net.TCPAddr)
	return ok && t.IP.IsLoopback()
}
