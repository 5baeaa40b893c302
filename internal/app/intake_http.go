package app

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"riposte/internal/auth"
	"riposte/internal/fault"
	"riposte/internal/httpapi"
)

// leastToken is how long a token must be that a source is let in by.
const leastToken = 6

// ingestHandler lets senders in, by the token of their source or by the API
// token of somebody who may hand in alerts, and hands their events on.
func (a *api) ingestHandler() (http.Handler, error) {
	hashes, err := senders(a.cfg.Sources)
	if err != nil {
		return nil, err
	}
	a.webhook.Problem = a.senderError
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, httpapi.IngestPath)
		hash, known := hashes[name]
		if !known {
			httpapi.RefuseSender(w, r)
			return
		}
		switch ok, err := a.maySend(r, hash); {
		case err != nil:
			a.senderError(w, r, err)
		case !ok:
			httpapi.RefuseSender(w, r)
		default:
			a.webhook.Serve(w, r, a.sources[name])
		}
	}), nil
}

// senders reads the hashes of the tokens that sources show.
func senders(sources map[string]SourceConfig) (map[string]string, error) {
	hashes := map[string]string{}
	for name, s := range sources {
		if s.Type != "webhook" {
			continue
		}
		hashes[name] = s.TokenHash
		if s.TokenFile == "" {
			continue
		}
		raw, err := os.ReadFile(s.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("source %s: token_file: %w: %w", name, err, fault.Invalid)
		}
		token := strings.TrimSpace(string(raw))
		if len(token) < leastToken {
			return nil, fmt.Errorf("source %s: token_file: %s holds fewer than %d characters; make a longer token: %w", name, s.TokenFile, leastToken, fault.Invalid)
		}
		hashes[name] = auth.HashSecret(token)
	}
	return hashes, nil
}

// maySend checks what a sender shows.
func (a *api) maySend(r *http.Request, want string) (bool, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return false, nil
	}
	if subtle.ConstantTimeCompare([]byte(auth.HashSecret(token)), []byte(want)) == 1 {
		return true, nil
	}
	c, err := a.Token(r.Context(), token)
	if errors.Is(err, fault.Denied) {
		return false, nil
	}
	return c.May(auth.AlertsWrite), err
}

// senderError answers a sender and logs what is no fault of theirs.
func (a *api) senderError(w http.ResponseWriter, r *http.Request, err error) {
	if !errors.Is(err, fault.Invalid) && !errors.Is(err, fault.Denied) {
		a.log.Warn("alerts not taken in", "path", r.URL.Path, "error", err)
	}
	httpapi.SenderError(w, r, err)
}
