package app

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"riposte/internal/auth"
	"riposte/internal/ingest"
)

// openSyslog makes the road of a syslog source.
func (c *core) openSyslog(name string, s SourceConfig) (road, error) {
	r := &ingest.Syslog{
		Listen: s.Listen, Source: c.sources[name], Sink: (*intake)(c), From: prefixes(s.From),
		MaxMessage: int(s.MaxMessage), MaxConnections: s.MaxConnections, MaxPerSender: s.MaxPerSender,
		Idle: s.IdleTimeout, ReceiveBuffer: int(s.ReceiveBuffer), Now: c.now, Log: c.log,
	}
	if !slices.ContainsFunc(s.Listen, func(l string) bool { return strings.HasPrefix(l, "tls:") }) {
		return r, nil
	}
	t, err := c.syslogTLS(s)
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", name, err)
	}
	r.TLS = t
	return r, nil
}

// syslogTLS makes the TLS of a syslog source: its own certificate, else that of
// the server. Who asks for certificates of senders lets nobody in without one.
func (c *core) syslogTLS(s SourceConfig) (*tls.Config, error) {
	files := TLS{Certificate: orElse(s.TLSCertificate, c.cfg.TLS.Certificate), Key: orElse(s.TLSKey, c.cfg.TLS.Key), ClientCA: s.TLSClientCA}
	if files.ClientCA == "" && len(s.Certificate) > 0 {
		files.ClientCA = c.cfg.TLS.ClientCA
	}
	t, err := files.load()
	if err != nil {
		return nil, err
	}
	t.NextProtos = nil
	if files.ClientCA == "" {
		return t, nil
	}
	t.ClientAuth = tls.RequireAndVerifyClientCert
	if names := s.Certificate; len(names) > 0 {
		t.VerifyConnection = func(c tls.ConnectionState) error { // also where a session is taken up again
			if len(c.PeerCertificates) == 0 || !bears(c.PeerCertificates[0], names) {
				return errNoSender("its certificate bears none of the names in certificate")
			}
			return nil
		}
	}
	return t, nil
}

// prefixes are networks as a listener wants them.
func prefixes(list auth.Networks) []netip.Prefix {
	var out []netip.Prefix
	for _, n := range list {
		out = append(out, n.Prefix)
	}
	return out
}
