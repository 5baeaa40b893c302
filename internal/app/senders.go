package app

import (
	"cmp"
	"context"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"riposte/internal/auth"
	"riposte/internal/fault"
)

// leastToken is how long a token must be that a sender is let in by.
const leastToken = 6

// sender is who may send to one webhook: one that takes alerts in, or one that
// starts playbooks. What is left zero is not asked for.
type sender struct {
	tokenHash         string
	header, parameter string // where the token may stand, too
	key               []byte // of the HMAC
	signing           auth.Signing
	names             []string // of certificates
	from, trusted     auth.Networks
	now               func() time.Time
	token             func(ctx context.Context, secret string) (auth.Caller, error) // finds an API token; nil: none is let in
}

// secrets are the files and names that a sender is made of.
type secrets struct {
	tokenFile, tokenHash, keyFile string
	signature, signatureHeader    string
}

// openSender reads what a sender must show.
func openSender(s secrets) (x sender, err error) {
	x.tokenHash = s.tokenHash
	if s.tokenFile != "" {
		token, err := readSecret("token_file", s.tokenFile)
		if err != nil {
			return x, err
		}
		x.tokenHash = auth.HashSecret(token)
	}
	if s.keyFile == "" {
		return x, nil
	}
	secret, err := readSecret("key_file", s.keyFile)
	if err != nil {
		return x, err
	}
	if x.signing, err = auth.FindSigning(cmp.Or(s.signature, "riposte"), s.signatureHeader); err != nil {
		return x, err
	}
	x.key = x.signing.Key(secret)
	return x, nil
}

// readSecret reads a secret that is long enough not to be guessed.
func readSecret(what, file string) (string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w: %w", what, err, fault.Invalid)
	}
	secret := strings.TrimSpace(string(raw))
	if len(secret) < leastToken {
		return "", fmt.Errorf("%s: %s holds fewer than %d characters; make a longer secret: %w", what, file, leastToken, fault.Invalid)
	}
	return secret, nil
}

// errNoSender says that a sender shows nothing that is good. Why is for the log.
func errNoSender(why string) error { return fmt.Errorf("%s: %w", why, fault.Denied) }

// admits checks what can be checked before a body is read: the address, the
// certificate and the token, each where it is asked for.
func (s *sender) admits(r *http.Request) error {
	if err := s.comes(r); err != nil {
		return err
	}
	if len(s.names) > 0 {
		if err := s.certified(r); err != nil {
			return err
		}
	}
	if s.tokenHash != "" {
		return s.shows(r)
	}
	return nil
}

// comes checks the address.
func (s *sender) comes(r *http.Request) error {
	if len(s.from) == 0 {
		return nil
	}
	if a := s.trusted.Sender(peer(r), r.Header.Values("X-Forwarded-For")); !s.from.Contain(a) {
		return errNoSender(fmt.Sprintf("from does not name the address %s", a))
	}
	return nil
}

// peer is the address that a request comes from, be it a proxy's.
func peer(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

// certified checks the client certificate.
func (s *sender) certified(r *http.Request) error {
	switch {
	case r.TLS == nil || len(r.TLS.VerifiedChains) == 0:
		return errNoSender("it shows no certificate that tls.client_ca signed")
	case !bears(r.TLS.PeerCertificates[0], s.names):
		return errNoSender(fmt.Sprintf("its certificate bears the name %q, none of those in certificate", r.TLS.PeerCertificates[0].Subject.CommonName))
	}
	return nil
}

// bears tells whether a certificate bears one of the names.
func bears(c *x509.Certificate, names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return n == c.Subject.CommonName || slices.Contains(c.DNSNames, n) })
}

// shows checks the token, or an API token in its place.
func (s *sender) shows(r *http.Request) error {
	tokens := s.tokens(r)
	if len(tokens) == 0 {
		return errNoSender("it shows no token")
	}
	for _, t := range tokens {
		if s.tokenHash != "" && subtle.ConstantTimeCompare([]byte(auth.HashSecret(t)), []byte(s.tokenHash)) == 1 {
			return nil
		}
	}
	if s.token == nil {
		return errNoSender("its token is another")
	}
	c, err := s.token(r.Context(), tokens[0])
	switch {
	case errors.Is(err, fault.Denied):
		return errNoSender("its token is another")
	case err != nil:
		return err
	case !c.May(auth.AlertsWrite):
		return errNoSender("its API token may not hand in alerts")
	}
	return nil
}

// tokens are what a request shows as its token, in each place where it may.
func (s *sender) tokens(r *http.Request) (tokens []string) {
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if rest = strings.TrimSpace(rest); strings.EqualFold(scheme, "Bearer") {
		tokens = append(tokens, rest)
	}
	if _, password, ok := r.BasicAuth(); ok {
		tokens = append(tokens, password)
	}
	if s.header != "" {
		tokens = append(tokens, strings.TrimSpace(r.Header.Get(s.header)))
	}
	if s.parameter != "" {
		tokens = append(tokens, r.URL.Query().Get(s.parameter))
	}
	return slices.DeleteFunc(tokens, func(t string) bool { return t == "" })
}

// signed checks the signature of a body.
func (s *sender) signed(r *http.Request, body []byte) (auth.Delivery, error) {
	if len(s.key) == 0 {
		return auth.Delivery{}, errNoSender("there is no key to check its signature with")
	}
	return s.signing.Verify(s.key, r.Header.Get, body, s.now())
}

// refusals logs why senders are refused: the operator must learn what the sender
// is not told. Of each webhook once a minute, so that strangers cannot fill the
// log.
type refusals struct {
	mu   sync.Mutex
	last map[string]time.Time
}

const refusalEvery = time.Minute

// due tells whether a refusal is to be logged.
func (x *refusals) due(name string, now time.Time) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if now.Sub(x.last[name]) < refusalEvery {
		return false
	}
	if x.last == nil {
		x.last = map[string]time.Time{}
	}
	x.last[name] = now
	return true
}

// senderRefused logs that a sender was refused.
func (c *core) senderRefused(r *http.Request, name string, why error) {
	if c.refusals.due(name, c.now()) {
		c.log.Warn("sender refused", "webhook", name, "address", c.cfg.Proxies.Sender(peer(r), r.Header.Values("X-Forwarded-For")).String(),
			"why", strings.TrimSuffix(why.Error(), ": "+fault.Denied.Error()))
	}
}
