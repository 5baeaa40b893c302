package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"riposte/internal/fault"
	"riposte/internal/httpapi"
	"riposte/internal/ingest"
	"riposte/internal/store"
)

// entrance is a webhook that takes alerts in: who may send, and how it is read.
type entrance struct {
	sender
	ingest.Entrance
}

// ingestHandler lets senders in, by what their source asks of them, and hands
// their events on.
func (a *api) ingestHandler() (http.Handler, error) {
	entrances, err := a.entrances()
	if err != nil {
		return nil, err
	}
	a.webhook.Problem, a.webhook.Known, a.webhook.Busy = a.senderError, a.knownDelivery, a.behind
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, counts := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, httpapi.IngestPath), countPath)
		e := entrances[name]
		if e == nil {
			httpapi.RefuseSender(w, r)
			return
		}
		if err := e.admits(r); err != nil {
			a.senderError(w, r, err)
			return
		}
		if counts {
			a.takeCount(w, r, e)
			return
		}
		a.webhook.Serve(w, r, e.Entrance)
	}), nil
}

// entrances makes those of all webhooks.
func (a *api) entrances() (map[string]*entrance, error) {
	all := map[string]*entrance{}
	for name, s := range a.cfg.Sources {
		if s.Type != "webhook" {
			continue
		}
		p := presets[s.Preset]
		who, err := openSender(secrets{s.TokenFile, s.TokenHash, s.KeyFile, orElse(s.Signature, p.signature), s.SignatureHeader})
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", name, err)
		}
		who.header, who.parameter = s.TokenHeader, orElse(s.TokenParameter, p.parameter)
		who.names, who.from, who.trusted, who.now = s.Certificate, s.From, a.cfg.Proxies, a.now
		who.token = a.Token
		e := &entrance{sender: who, Entrance: ingest.Entrance{Source: a.sources[name], Unwrap: s.Unwrap, Note: p.note, Ping: p.ping}}
		if len(e.Unwrap) == 0 {
			e.Unwrap = p.unwrap
		}
		if len(who.key) > 0 {
			e.Signed = e.signed
		}
		all[name] = e
	}
	return all, nil
}

// knownDelivery tells whether a signed delivery was taken before.
func (a *api) knownDelivery(ctx context.Context, source string, keys []string) (known bool, err error) {
	err = a.db.Read(ctx, func(q *store.Reader) (err error) {
		known, err = store.AnyKeyMet(q, "", source, keys)
		return err
	})
	return known, err
}

// longestWait is how long what came waits at most before senders are asked to
// come again.
const longestWait = 10 * time.Second

// behind says that storing is behind.
func (a *api) behind() error {
	if since := a.gate.Waiting("").Oldest; !since.IsZero() && a.now().Sub(since) > longestWait {
		return ingest.ErrBusy
	}
	return nil
}

// senderError answers a sender and logs what is no fault of theirs, and why they
// were refused.
func (a *api) senderError(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, fault.Denied) {
		a.senderRefused(r, r.URL.Path, err)
		httpapi.RefuseSender(w, r)
		return
	}
	if name := strings.TrimPrefix(r.URL.Path, httpapi.IngestPath); errors.Is(err, fault.Transient) && a.watching[name] != nil {
		a.turnedAway(name, 1)
	}
	if !errors.Is(err, fault.Invalid) && !errors.Is(err, fault.Conflict) && r.Context().Err() == nil {
		a.log.Warn("alerts not taken in", "path", r.URL.Path, "error", err)
	}
	httpapi.SenderError(w, r, err)
}
