package main

import (
	"fmt"
	"io"
	"log/slog"

	"riposte/internal/app"
	"riposte/web"
)

type serveCmd struct{ settings }

// Examples leads the command's help.
func (*serveCmd) Examples() string {
	return "riposte serve\nriposte serve --config /etc/riposte/riposte.yaml\nriposte serve --listen :8080 --data /var/lib/riposte"
}

// Run serves until it is told to stop.
func (c *serveCmd) Run(w *world) error {
	app.TuneMemory()
	cfg, _, err := c.load(w)
	if err != nil {
		return w.diagnosed(err)
	}
	a, err := app.New(w.ctx, cfg, app.Options{Version: version, Page: web.Page(), Log: logger(w.err, cfg.Log)})
	if err != nil {
		return w.diagnosed(err)
	}
	if name, password := a.FirstPassword(); password != "" {
		fmt.Fprintf(w.err, "The first administrator is %s with the password\n\n    %s\n\nIt is shown only now.\n\n", name, password)
	}
	ended := make(chan struct{})
	told := make(chan struct{})
	go func() {
		defer close(told)
		select {
		case <-a.Ready():
			app.SettleMemory()
			if w.json {
				_ = w.printJSON(map[string]string{"url": a.URL(), "version": version}) // nobody reads: it serves all the same
				return
			}
			fmt.Fprintf(w.err, "riposte %s is ready at %s\n", version, a.URL())
		case <-ended:
		}
	}()
	err = a.Run(w.ctx)
	close(ended)
	<-told
	return err
}

// logger writes what the configuration wants, to standard error.
func logger(to io.Writer, l app.Log) *slog.Logger {
	var level slog.Level
	if level.UnmarshalText([]byte(l.Level)) != nil {
		level = slog.LevelInfo
	}
	opt := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(to, opt))
	}
	return slog.New(slog.NewTextHandler(to, opt))
}
