package app

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"riposte/internal/auth"
	"riposte/internal/fault"
	"riposte/internal/httpapi"
)

// App is a server with everything that belongs to it.
type App struct {
	core     *core
	listener net.Listener
	server   *http.Server
	stop     chan struct{}
	password string
}

// Options are what a program gives beside its configuration.
type Options struct {
	Version string
	Page    http.Handler // everything that is not below /api/; nil: nothing
	Log     *slog.Logger // nil: nothing is logged
}

// New makes every part and begins to listen; nothing works before Run.
func New(ctx context.Context, cfg Config, opt Options) (*App, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	a := &App{stop: make(chan struct{})}
	c, password, err := openCore(ctx, cfg, opt.Log)
	if err != nil {
		return nil, err
	}
	a.core, a.password = c, password
	sources, err := c.ingestHandler()
	if err == nil {
		a.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", cfg.Listen, err), c.close())
	}
	x := api{c}
	a.server = &http.Server{
		Handler: (&httpapi.Server{
			Identity: x, Tokens: x, Alerts: x, Cases: x, Runs: x, Approvals: x, Playbooks: x, Ledger: x, Lists: x, Connections: x, Switches: x,
			Ingest: sources, Hooks: c.hookHandler(), Page: opt.Page, Health: c.db.Healthy, Version: opt.Version, Secure: cfg.TLS.Certificate != "", Log: opt.Log,
		}).Handler(a.stop),
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(opt.Log.Handler(), slog.LevelDebug),
	}
	return a, nil
}

// FirstPassword is the password of the administrator that this start made, ""
// where there was somebody already. It is told once and kept nowhere.
func (a *App) FirstPassword() (name, password string) { return firstAdmin, a.password }

// Addr is the address that the server listens on.
func (a *App) Addr() string { return a.listener.Addr().String() }

// Ready is closed when everything that was under way is at work again.
func (a *App) Ready() <-chan struct{} { return a.core.engine.Ready() }

// Run works until ctx ends, and then until everything is on disk.
func (a *App) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	failed := make(chan error, 1)
	wg.Go(func() {
		err := a.serve()
		if !errors.Is(err, http.ErrServerClosed) {
			failed <- err
			cancel()
		}
	})
	context.AfterFunc(work, func() { a.hangUp() })
	err := a.core.run(work)
	cancel()
	wg.Wait()
	select {
	case e := <-failed:
		err = errors.Join(e, err)
	default:
	}
	return errors.Join(err, a.core.close())
}

func (a *App) serve() error {
	if tls := a.core.cfg.TLS; tls.Certificate != "" {
		return a.server.ServeTLS(a.listener, tls.Certificate, tls.Key)
	}
	return a.server.Serve(a.listener)
}

// hangUp lets requests under way end and takes no new ones.
func (a *App) hangUp() {
	close(a.stop)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := a.server.Shutdown(ctx); err != nil {
		a.server.Close()
	}
}

// ingestHandler lets a source in by its token and hands its events on.
func (c *core) ingestHandler() (http.Handler, error) {
	hashes := map[string]string{}
	for name, s := range c.cfg.Sources {
		if s.Type != "webhook" {
			continue
		}
		hash := s.TokenHash
		if s.TokenFile != "" {
			raw, err := os.ReadFile(s.TokenFile)
			if err != nil {
				return nil, fmt.Errorf("token of source %s: %w", name, err)
			}
			hash = auth.HashSecret(strings.TrimSpace(string(raw)))
		}
		if hash == "" {
			return nil, fmt.Errorf("source %s has neither token_file nor token_hash: %w", name, fault.Invalid)
		}
		hashes[name] = hash
	}
	c.webhook.Problem = httpapi.SenderError
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, httpapi.IngestPath)
		sent, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		want, known := hashes[name]
		got := auth.HashSecret(sent)
		if subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1 || !known || sent == "" {
			httpapi.RefuseSender(w, r)
			return
		}
		c.webhook.Serve(w, r, c.sources[name])
	}), nil
}
