package main

import (
	"fmt"
	"log/slog"

	"riposte/internal/app"
	"riposte/web"
)

type serveCmd struct {
	settings
}

// Examples leads the command's help.
func (*serveCmd) Examples() string {
	return "riposte serve\nriposte serve --config /etc/riposte/riposte.yaml\nriposte serve --data /var/lib/riposte --listen 0.0.0.0:8443"
}

// Run is the server, until it is told to stop.
func (c *serveCmd) Run(w *world) error {
	cfg, _, err := c.load(w)
	if err != nil {
		return w.diagnosed(err)
	}
	a, err := app.New(w.ctx, cfg, app.Options{Version: version, Page: web.Page(), Log: logger(w, cfg.Log)})
	if err != nil {
		return err
	}
	if name, password := a.FirstPassword(); password != "" {
		fmt.Fprintf(w.err, "First start: sign in as %s with the password %s\nIt is shown only now.\n", name, password)
	}
	scheme := "http"
	if cfg.TLS.Certificate != "" {
		scheme = "https"
	}
	go func() {
		select {
		case <-a.Ready():
			fmt.Fprintf(w.err, "Riposte is ready at %s://%s\n", scheme, a.Addr())
		case <-w.ctx.Done():
		}
	}()
	return a.Run(w.ctx)
}

// logger writes the log to standard error.
func logger(w *world, l app.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		level = slog.LevelInfo
	}
	opt := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w.err, opt))
	}
	return slog.New(slog.NewTextHandler(w.err, opt))
}
