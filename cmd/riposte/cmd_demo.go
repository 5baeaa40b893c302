package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"riposte/content"
	"riposte/internal/app"
	"riposte/internal/auth"
	"riposte/internal/demo"
	"riposte/internal/demo/simulated"
	"riposte/web"
)

type demoCmd struct {
	Once   bool          `name:"once" help:"Play it through without a person, print a summary, and end: 0 if the products confirm what should have happened, else 1."`
	Listen string        `name:"listen" placeholder:"HOST:PORT" default:"127.0.0.1:0" help:"Answer HTTP here. Default: a free port of this machine."`
	Every  time.Duration `name:"every" placeholder:"DURATION" default:"1s" help:"Send an alert this often, and a fifth as often once one of each kind has been sent; not with --once."`
}

// Examples leads the command's help.
func (demoCmd) Examples() string {
	return `
	riposte demo                  a server with simulated products and real alerts, until Ctrl-C
	riposte demo --once           the whole of it in half a minute, with a summary
	riposte demo --once --json    the same for programs`
}

// demoWithin is how long the demo without a person may last.
const demoWithin = 70 * time.Second

// demoUser may do everything in the demo.
const demoUser = "demo"

// Run plays the demo.
func (c demoCmd) Run(w *world) (err error) {
	app.TuneMemory()
	if err := app.CheckListen(c.Listen); err != nil {
		return misusef("--listen: %s", err)
	}
	if c.Every < 10*time.Millisecond || c.Every > time.Hour {
		return misusef("--every: %s is not between 10ms and 1h", c.Every)
	}
	if w.json && !c.Once {
		return misusef("--json goes with --once: the demo that lasts has no result")
	}
	dir, err := os.MkdirTemp("", "riposte-demo-")
	if err != nil {
		return fmt.Errorf("make the demo's data folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	products, err := simulated.Start("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, products.Stop()) }()

	s := demoServer{w: w, dir: dir, listen: c.Listen, tokens: map[string]string{}}
	return s.during(func(ctx context.Context, client *demo.Client) error {
		d := &demo.Demo{
			Client: client, Products: products, Content: content.Files(), Sources: s.tokens,
			Log: func(format string, args ...any) { fmt.Fprintf(w.err, format+"\n", args...) },
		}
		if c.Once {
			return s.once(ctx, d)
		}
		return s.show(ctx, d, c.Every)
	})
}

// demoServer is the server of the demo, in a folder that is thrown away.
type demoServer struct {
	w        *world
	dir      string
	listen   string
	password string
	tokens   map[string]string // of its sources
}

// config makes the server's configuration, with one person who may do everything
// and a source for each sample.
func (s *demoServer) config() (app.Config, error) {
	cfg := app.Defaults()
	cfg.Listen, cfg.Data, cfg.Log.Level = s.listen, filepath.Join(s.dir, "data"), "error"
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return cfg, err
	}
	s.password = rand.Text()
	cfg.People = map[string]app.PersonConfig{demoUser: {Title: "Demo", Roles: []string{auth.Admin}, PasswordHash: auth.HashPassword(s.password, salt)}}
	cfg.Sources = map[string]app.SourceConfig{}
	for name, mapping := range demo.Sources() {
		token, err := auth.NewSecret(rand.Reader)
		if err != nil {
			return cfg, err
		}
		s.tokens[name] = token
		cfg.Sources[name] = app.SourceConfig{Type: "webhook", Mapping: app.MappingNames{mapping}, TokenHash: auth.HashSecret(token)}
	}
	protected := filepath.Join(s.dir, "protected.yaml")
	cfg.Guard.Protected = []string{protected}
	if err := os.WriteFile(protected, []byte(demo.ProtectedList), 0o600); err != nil {
		return cfg, err
	}
	return cfg, cfg.Check()
}

// during starts the server, does something with it, and stops it.
func (s *demoServer) during(do func(context.Context, *demo.Client) error) error {
	cfg, err := s.config()
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(s.w.err, &slog.HandlerOptions{Level: slog.LevelError}))
	server, err := app.New(s.w.ctx, cfg, app.Options{Version: version, Page: web.Page(), Log: log})
	if err != nil {
		return err
	}
	life, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- server.Run(life) }()

	ctx, cancel := context.WithCancel(s.w.ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		client := &demo.Client{Base: "http://" + server.Addr(), HTTP: &http.Client{Timeout: 30 * time.Second}}
		err := client.SignIn(ctx, demoUser, s.password)
		if err == nil {
			err = do(ctx, client)
		}
		done <- err
	}()
	select {
	case err = <-done:
		stop()
		if err != nil && s.w.ctx.Err() != nil {
			err = errors.New("interrupted before the end")
		}
		return errors.Join(err, <-ended)
	case err = <-ended: // the server fell over
		cancel()
		return errors.Join(err, <-done)
	}
}

// once plays the demo without a person.
func (s *demoServer) once(ctx context.Context, d *demo.Demo) error {
	if err := d.Prepare(ctx); err != nil {
		return err
	}
	summary, err := d.Once(ctx, demoWithin)
	if err != nil {
		return err
	}
	if s.w.json {
		err = s.w.printJSON(summary)
	} else {
		summary.Write(s.w.out)
	}
	if err == nil && !summary.Confirmed {
		err = silent{exitFailed}
	}
	return err
}

// show plays the demo until somebody ends it.
func (s *demoServer) show(ctx context.Context, d *demo.Demo, every time.Duration) error {
	if err := d.Prepare(ctx); err != nil {
		return err
	}
	fmt.Fprintf(s.w.out, demoWelcome, d.Client.Base, demoUser, s.password, d.Client.Base, d.Client.Token)
	for _, p := range d.Products.All() {
		fmt.Fprintf(s.w.out, "    %s/log   what was done to the %s\n", p.URL, p.Name)
	}
	fmt.Fprintf(s.w.out, "\nAn alert comes every %s, after one of each kind every %s; a block lasts 20 seconds.\n"+
		"Ctrl-C ends the demo and removes its data.\n\n", every, demo.Slower*every)
	return d.Show(ctx, every)
}

const demoWelcome = `Riposte runs at %s
Sign in as %s with the password %s

In another terminal:
    export RIPOSTE_URL=%s RIPOSTE_TOKEN=%s
    riposte alert list            what the tools report
    riposte run list              what playbooks do about it
    riposte approval list         what waits for you: approve or deny it
    riposte case list             riposte case show C-1 tells who did what, and when
    riposte ledger list           what is in force, and when it is taken back

The simulated products tell what really happened to them:
`
