package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"riposte/internal/app"
	"riposte/internal/fault"
	"riposte/web"
)

// real runs the playbook with the connections of the installation that --config
// or --data names. Its data folder is used, so that what is done can be taken
// back; alerts are not taken in meanwhile.
func (c *playbookRunCmd) real(w *world, s *sheet, o occasion) error {
	var err error
	if c.told, err = c.answers(s); err != nil {
		return err
	}
	cfg, _, err := (&settings{Config: c.Config, Data: c.Data, Connectors: nilIfEmpty(c.Connectors)}).load(w)
	if err != nil {
		return w.diagnosed(err)
	}
	cfg.Listen, cfg.Sources, cfg.Hooks, cfg.TLS = "127.0.0.1:0", nil, nil, app.TLS{}
	cfg.Log.Level = "error"
	a, err := app.New(w.ctx, cfg, app.Options{Version: version, Page: web.Page(), Log: logger(w.err, cfg.Log)})
	if errors.Is(err, fault.Conflict) {
		return fmt.Errorf("%w; a server works on this data folder: publish the playbook and use riposte run start, or take mocks by --mocks", err)
	}
	if err != nil {
		return w.diagnosed(err)
	}
	if name, password := a.FirstPassword(); password != "" {
		fmt.Fprintf(w.err, "%s is new: its administrator is %s with the password %s, shown only now\n", cfg.Data, name, password)
	}
	ended := make(chan error, 1)
	go func() { ended <- a.Run(context.WithoutCancel(w.ctx)) }()
	err = c.started(w, a, s, o)
	return errors.Join(err, a.Stop(), <-ended)
}

func nilIfEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (c *playbookRunCmd) started(w *world, a *app.App, s *sheet, o occasion) error {
	select {
	case <-a.Ready():
	case <-w.ctx.Done():
		return errors.New("interrupted")
	}
	owner, err := a.Operator(c.As)
	if c.As != "" && errors.Is(err, fault.NotFound) {
		return misusef("--as: %s", plainError(err))
	}
	if err != nil {
		return err
	}
	name := "playbook-run-" + rand.Text()[:8]
	secret, err := a.Token(w.ctx, owner, name)
	if err != nil {
		return err
	}
	client := &server{w: w, base: a.URL(), token: secret, http: &http.Client{CheckRedirect: refuse}}
	defer client.despite(request{method: http.MethodDelete, path: "/api/tokens/" + pathPart(name)})
	id, err := a.RunOnce(w.ctx, app.Once{
		Playbook: s.id(), Text: string(s.text), Inputs: o.inputs, Alert: o.alert, Case: o.cas, Indicator: o.indicator, Owner: owner,
	})
	if err != nil {
		return err
	}
	stop := context.AfterFunc(w.ctx, func() {
		client.despite(request{method: http.MethodPost, path: "/api/runs/" + id.String() + "/cancel", body: map[string]string{"reason": "interrupted"}})
	})
	defer stop()
	err = c.attended(client, owner, id.String())
	if w.ctx.Err() != nil {
		return errors.New("interrupted; the run is cancelled")
	}
	return err
}

// attended follows a run to its end and has its questions answered meanwhile.
func (c *playbookRunCmd) attended(s *server, owner, id string) error {
	ctx, stop := context.WithCancel(s.w.ctx)
	through := make(chan struct{})
	go func() {
		defer close(through)
		c.questions(s, owner, id).attend(ctx)
	}()
	err := s.watch(id, true)
	stop()
	<-through
	return err
}

// despite sends a request even after somebody has interrupted us. Its answer
// changes nothing: the server ends with this program.
func (s *server) despite(r request) {
	w := *s.w
	w.ctx = context.WithoutCancel(w.ctx)
	free := *s
	free.w = &w
	_, _ = free.do(r, nil)
}
