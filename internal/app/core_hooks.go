package app

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"riposte/internal/expr"
	"riposte/internal/fault"
	"riposte/internal/httpapi"
	"riposte/internal/run"
	"riposte/internal/store"
	"riposte/playbook"
)

// maxHookBody is the most that the body of a webhook may hold.
const maxHookBody = 1 << 20

// openHooks reads the secrets of the webhooks that start playbooks.
func (c *core) openHooks() error {
	c.hooks = map[string]*sender{}
	for name, h := range c.cfg.Hooks {
		one, err := openSender(secrets{h.TokenFile, h.TokenHash, h.KeyFile, h.Signature, h.SignatureHeader})
		if err != nil {
			return fmt.Errorf("hook %s: %w", name, err)
		}
		one.names, one.from, one.trusted, one.now = h.Certificate, h.From, c.cfg.Proxies, c.now
		c.hooks[name] = &one
	}
	return nil
}

// hookHandler starts the playbooks that have a webhook as their trigger.
func (c *core) hookHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, httpapi.HookPath)
		plan, trigger := c.plans.hook(path)
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHookBody))
		if err != nil {
			httpapi.SenderError(w, r, fmt.Errorf("the body cannot be read, or is larger than 1 MiB: %w", fault.Invalid))
			return
		}
		if plan == nil {
			httpapi.RefuseSender(w, r)
			return
		}
		once, err := c.letsIn(trigger.Auth, path, r, body)
		if err != nil {
			c.senderRefused(r, httpapi.HookPath+path, err)
			httpapi.RefuseSender(w, r)
			return
		}
		started, err := c.startHook(r, plan, trigger, path, body, once)
		if err != nil {
			httpapi.SenderError(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Location", "/api/runs/"+started.String())
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, "{\"run\":%q}\n", started)
	})
}

// hook finds the published playbook with a webhook.
func (p *plans) hook(path string) (*playbook.Plan, *playbook.Trigger) {
	for _, plan := range p.All("") {
		for i := range plan.Triggers {
			if t := &plan.Triggers[i]; t.Kind == playbook.OnWebhook && t.Path == path {
				return plan, t
			}
		}
	}
	return nil, nil
}

// letsIn tells whether a delivery is good: its token, or its signature over time
// and body, or its client certificate; and its address, where they are named.
// once names a signed one.
func (c *core) letsIn(how, path string, r *http.Request, body []byte) (once string, err error) {
	h := c.hooks[path]
	if h == nil {
		return "", errNoSender("the configuration has no hooks entry of this path")
	}
	if err := h.comes(r); err != nil {
		return "", err
	}
	switch how {
	case "mtls":
		return "", h.certified(r)
	case "hmac":
		d, err := h.signed(r, body)
		if err != nil {
			return "", err
		}
		return d.Keys[0], nil
	default:
		return "", h.shows(r)
	}
}

// startHook starts a playbook with what was sent. A delivery with an
// Idempotency-Key, or signed, starts it once.
func (c *core) startHook(r *http.Request, p *playbook.Plan, t *playbook.Trigger, path string, body []byte, once string) (run.ID, error) {
	v, err := expr.DecodeJSON(body)
	if err != nil {
		return 0, fmt.Errorf("the body is not JSON: %w", fault.Invalid)
	}
	given, err := run.FromTrigger(p, t, run.Object{Body: v}, c.now().UTC())
	if err == nil {
		given, err = p.FillInputs(given)
	}
	if err != nil {
		return 0, err
	}
	inputs, err := expr.EncodeJSON(given)
	if err != nil {
		return 0, err
	}
	key := r.Header.Get("Idempotency-Key")
	if once != "" {
		key = once
	}
	if key != "" {
		key = "hook:" + path + ":" + key
	}
	return c.engine.Start(r.Context(), run.Start{
		Tenant: store.DefaultTenant, Playbook: p.ID, Version: p.Version, Plan: p.Hash, Inputs: inputs, Body: body, By: "webhook:" + path,
	}, key)
}
