package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"riposte/internal/auth"
	"riposte/internal/expr"
	"riposte/internal/fault"
	"riposte/internal/httpapi"
	"riposte/internal/run"
	"riposte/internal/store"
	"riposte/playbook"
)

const (
	// maxHookBody is the most that the body of a webhook may hold.
	maxHookBody = 1 << 20
	// hookWindow is how far the time of a signed delivery may be off.
	hookWindow = 5 * time.Minute
)

// hook is what lets a webhook in.
type hook struct {
	tokenHash string
	key       []byte   // of the HMAC
	names     []string // of certificates
}

// openHooks reads the secrets of the webhooks that start playbooks.
func (c *core) openHooks() error {
	c.hooks = map[string]hook{}
	for name, h := range c.cfg.Hooks {
		one := hook{tokenHash: h.TokenHash, names: h.Certificate}
		for _, f := range []struct {
			file string
			use  func(string)
		}{
			{h.TokenFile, func(s string) { one.tokenHash = auth.HashSecret(s) }},
			{h.KeyFile, func(s string) { one.key = []byte(s) }},
		} {
			if f.file == "" {
				continue
			}
			raw, err := os.ReadFile(f.file)
			if err != nil {
				return fmt.Errorf("hook %s: %w: %w", name, err, fault.Invalid)
			}
			secret := strings.TrimSpace(string(raw))
			if len(secret) < leastToken {
				return fmt.Errorf("hook %s: %s holds fewer than %d characters; make a longer secret: %w", name, f.file, leastToken, fault.Invalid)
			}
			f.use(secret)
		}
		c.hooks[name] = one
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
		if plan == nil || !c.letsIn(trigger.Auth, path, r, body) {
			if _, configured := c.hooks[path]; plan != nil && !configured {
				c.log.Warn("webhook refused: the configuration has no hooks entry of this path", "path", path, "playbook", plan.ID)
			}
			httpapi.RefuseSender(w, r)
			return
		}
		started, err := c.startHook(r, plan, trigger, path, body)
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
// and body, or its client certificate.
func (c *core) letsIn(how, path string, r *http.Request, body []byte) bool {
	h := c.hooks[path]
	switch how {
	case "mtls":
		return r.TLS != nil && len(r.TLS.VerifiedChains) > 0 && bears(r.TLS.PeerCertificates[0], h.names)
	case "hmac":
		stamp := r.Header.Get("X-Riposte-Timestamp")
		seconds, err := strconv.ParseInt(stamp, 10, 64)
		if err != nil || len(h.key) == 0 || c.now().Sub(time.Unix(seconds, 0)).Abs() > hookWindow {
			return false
		}
		mac := hmac.New(sha256.New, h.key)
		mac.Write([]byte(stamp + "."))
		mac.Write(body)
		sent, err := hex.DecodeString(strings.TrimPrefix(r.Header.Get("X-Riposte-Signature"), "sha256="))
		return err == nil && hmac.Equal(sent, mac.Sum(nil))
	default:
		sent, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		return h.tokenHash != "" && subtle.ConstantTimeCompare([]byte(auth.HashSecret(sent)), []byte(h.tokenHash)) == 1
	}
}

// bears tells whether a certificate bears one of the names.
func bears(c *x509.Certificate, names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return n == c.Subject.CommonName || slices.Contains(c.DNSNames, n) })
}

// startHook starts a playbook with what was sent. A delivery with an
// Idempotency-Key, or signed, starts it once.
func (c *core) startHook(r *http.Request, p *playbook.Plan, t *playbook.Trigger, path string, body []byte) (run.ID, error) {
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
	if t.Auth == "hmac" {
		key = r.Header.Get("X-Riposte-Signature")
	}
	if key != "" {
		key = "hook:" + path + ":" + key
	}
	return c.engine.Start(r.Context(), run.Start{
		Tenant: store.DefaultTenant, Playbook: p.ID, Version: p.Version, Plan: p.Hash, Inputs: inputs, Body: body, By: "webhook:" + path,
	}, key)
}
