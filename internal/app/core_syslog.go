package app

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"riposte/internal/auth"
	"riposte/internal/ingest"
)

// openSyslog makes the road of a syslog source.
func (c *core) openSyslog(name string, s SourceConfig) (road, error) {
	r := &ingest.Syslog{
		Listen: s.Listen, Source: c.sources[name], Sink: (*intake)(c), From: prefixes(s.From),
		MaxMessage: int(s.MaxMessage), MaxConnections: s.MaxConnections, MaxPerSender: s.MaxPerSender,
		Idle: s.IdleTimeout, ReceiveBuffer: int(s.ReceiveBuffer), Told: c.roadTold(name), Lost: c.lost(name), Now: c.now, Log: c.log,
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

// losses are the messages that sources lost lately: nobody sends them again.
type losses struct {
	mu    sync.Mutex
	of    map[string]*loss
	first time.Time // when was looked first: an alarm of the run before stays for a while
}

// loss is what one source lost since it last went without a loss for a while.
type loss struct {
	n           int
	since, last time.Time
}

// lossShown is for how long an alarm of lost messages stays after the last one.
const lossShown = time.Hour

// lost counts what a source loses, and tells people.
func (c *core) lost(name string) func(n int, why string) {
	return func(n int, why string) {
		c.turnedAway(name, n)
		now := c.now()
		c.losses.mu.Lock()
		defer c.losses.mu.Unlock()
		l := c.losses.of[name]
		if l == nil {
			l = &loss{since: now}
			if c.losses.of == nil {
				c.losses.of = map[string]*loss{}
			}
			c.losses.of[name] = l
		}
		l.n += n
		l.last = now
		c.raise(alarm{Kind: alarmSourceLost, Subject: name, Since: l.since, Message: fmt.Sprintf("%d messages that came are lost: %s.", l.n, why)})
	}
}

// lookAtLosses settles the alarms of sources that have lost nothing for a while.
func (c *core) lookAtLosses(now time.Time) {
	c.losses.mu.Lock()
	defer c.losses.mu.Unlock()
	if c.losses.first.IsZero() {
		c.losses.first = now
	}
	for name, s := range c.cfg.Sources {
		last := c.losses.first
		if l := c.losses.of[name]; l != nil {
			last = l.last
		}
		if s.Type == "syslog" && now.Sub(last) > lossShown {
			delete(c.losses.of, name)
			c.settle(alarmSourceLost, name)
		}
	}
}
