package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"riposte/internal/alert"
	"riposte/internal/fault"
)

// Syslog listens for syslog messages: RFC 5424 and RFC 3164, by UDP, by TCP
// with both framings of RFC 6587, and by TLS (RFC 5425). It only tells messages
// apart; reading them is the source's.
//
// By TCP and TLS a sender is read no faster than messages are stored. By UDP
// nobody can be held up: what finds no room is lost, and counted.
type Syslog struct {
	Listen []string // udp://HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT; at least one
	TLS    *tls.Config
	Source Source
	Sink   Sink
	From   []netip.Prefix // who may send; nil: everybody

	MaxMessage     int           // bytes of a message; 0 means 64 KiB
	MaxConnections int           // at once; 0 means 500
	MaxPerSender   int           // of them by one address; 0 means 100
	Idle           time.Duration // after which a silent connection is closed; 0 means 24 h
	ReceiveBuffer  int           // bytes that the system holds of each UDP port; 0 means 4 MiB

	// Lost is told of messages that nobody can get back, and why; nil: nobody is.
	Lost func(n int, why string)
	// Told is told how it goes: nil while messages are stored, else why they wait;
	// nil: nobody is.
	Told func(error)
	// Listening is told the addresses, once all are open; nil: nobody is.
	Listening func([]net.Addr)
	Now       func() time.Time // nil means time.Now
	Log       *slog.Logger     // nil means slog.Default

	queue   atomic.Pointer[queue]
	places  places
	refused tally
}

const (
	// DefaultMessage is the most that a message holds where nothing else is said;
	// LargestMessage is the most that can be said.
	DefaultMessage = 64 << 10
	LargestMessage = alert.MaxEventBytes
	// queueBytes is how much waits at most to be stored.
	queueBytes = 32 << 20
	// storers is how many batches are under way at once: one is read while the
	// other is written.
	storers = 2
	// stallTime is how long the rest of a message may take.
	stallTime = 30 * time.Second
	// lastWords is how long is listened for what is on its way when Riposte stops;
	// hush is how long nothing must come for it to be all.
	lastWords = 2 * time.Second
	hush      = 50 * time.Millisecond
	// storeTime is how long storing may take when Riposte stops.
	storeTime = 10 * time.Second
)

// Waiting is how many messages, and bytes of them, wait to be stored.
func (s *Syslog) Waiting() (events, bytes int) {
	if q := s.queue.Load(); q != nil {
		return q.waiting()
	}
	return 0, 0
}

// Run listens until ctx ends, and returns when what was received is stored.
func (s *Syslog) Run(ctx context.Context) error {
	s.defaults()
	open, err := s.open(ctx)
	if err != nil {
		return err
	}
	q := newQueue(queueBytes)
	s.queue.Store(q)
	var hearing, storing sync.WaitGroup
	for range storers {
		storing.Go(func() { s.store(ctx, q) })
	}
	for _, l := range open {
		hearing.Go(func() { l.hear(ctx, q) })
	}
	if s.Listening != nil {
		var at []net.Addr
		for _, l := range open {
			at = append(at, l.addr())
		}
		s.Listening(at)
	}
	hearing.Go(func() { s.tellRefused(ctx) })
	<-ctx.Done()
	giveUp := time.AfterFunc(lastWords+storeTime, func() {
		if n := q.giveUp(); n > 0 {
			s.lose(n, "they could not be stored before Riposte stopped")
		}
	})
	defer giveUp.Stop()
	hearing.Wait()
	q.close()
	storing.Wait()
	return nil
}

func (s *Syslog) defaults() {
	orElse := func(n *int, other int) {
		if *n == 0 {
			*n = other
		}
	}
	orElse(&s.MaxMessage, DefaultMessage)
	orElse(&s.MaxConnections, 500)
	orElse(&s.MaxPerSender, 100)
	orElse(&s.ReceiveBuffer, 4<<20)
	if s.Idle == 0 {
		s.Idle = 24 * time.Hour
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Log == nil {
		s.Log = slog.Default()
	}
	s.places = places{most: s.MaxConnections, each: s.MaxPerSender}
}

// ear is one port that is listened on.
type ear interface {
	// hear puts messages into the queue until ctx ends, and then what is on its way.
	hear(ctx context.Context, q *queue)
	addr() net.Addr
	close() error
}

// open takes all ports, or none.
func (s *Syslog) open(ctx context.Context) (open []ear, err error) {
	for _, at := range s.Listen {
		e, err := s.openOne(ctx, at)
		if err != nil {
			for _, e := range open {
				err = errors.Join(err, e.close())
			}
			return nil, err
		}
		open = append(open, e)
	}
	return open, nil
}

func (s *Syslog) openOne(ctx context.Context, at string) (ear, error) {
	how, addr, err := SyslogAddress(at)
	if err != nil {
		return nil, err
	}
	var l net.ListenConfig
	if how == "udp" {
		p, err := l.ListenPacket(ctx, "udp", addr)
		if err != nil {
			return nil, cannotListen(at, err)
		}
		return newUDPEar(s, p.(*net.UDPConn)), nil
	}
	l.KeepAliveConfig = net.KeepAliveConfig{Enable: true} // finds out who is gone; the idle time is long
	t, err := l.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, cannotListen(at, err)
	}
	e := &tcpEar{s: s, l: t.(*net.TCPListener)}
	if how == "tls" {
		if s.TLS == nil {
			return nil, errors.Join(fmt.Errorf("listen on %s: there is no certificate: %w", at, fault.Invalid), t.Close())
		}
		e.tls = s.TLS
	}
	return e, nil
}

// SyslogAddress reads where to listen: udp://, tcp:// or tls:// and HOST:PORT.
// fault.Invalid otherwise.
func SyslogAddress(at string) (how, addr string, err error) {
	u, err := url.Parse(at)
	if err != nil || !slices.Contains([]string{"udp", "tcp", "tls"}, u.Scheme) || u.Port() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return "", "", fmt.Errorf("%q is no address to listen on; expected udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT: %w", at, fault.Invalid)
	}
	return u.Scheme, u.Host, nil
}

// cannotListen says what to do about a port that cannot be had.
func cannotListen(at string, err error) error {
	var sys syscall.Errno
	if errors.As(err, &sys) {
		err = sys
	}
	remedy := ""
	switch {
	case errors.Is(err, syscall.EACCES):
		remedy = "; ports below 1024 need rights: listen on a higher one and forward to it, or give the program CAP_NET_BIND_SERVICE"
	case errors.Is(err, syscall.EADDRINUSE):
		remedy = "; another program, such as rsyslogd, has this port: stop it or choose another"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		remedy = "; this machine has no such address: 0.0.0.0 is all that it has"
	}
	return fmt.Errorf("listen on %s: %w%s", at, err, remedy)
}

// allows tells whether an address may send.
func (s *Syslog) allows(a netip.Addr) bool {
	if s.From == nil || slices.ContainsFunc(s.From, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return true
	}
	s.refused.add(a.String())
	return false
}

// store stores what is in the queue until it is closed and empty.
func (s *Syslog) store(ctx context.Context, q *queue) {
	for {
		events := q.take(maxChunk, maxChunkBytes)
		if len(events) == 0 {
			return
		}
		reads := s.Source.readAll(events, s.Now().UTC().Truncate(time.Microsecond))
		batch := Batch{Source: s.Source.Name}
		for _, r := range reads {
			if r.is {
				batch.Alerts = append(batch.Alerts, r.alert)
			} else {
				batch.Skipped++
			}
		}
		s.take(ctx, batch)
	}
}

// take stores a batch, however long that takes: nobody sends it again. Only when
// Riposte stops there is an end to it.
func (s *Syslog) take(ctx context.Context, b Batch) {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		ending := ctx.Err() != nil
		try, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
		_, err := s.Sink.Take(try, b)
		cancel()
		if s.Told != nil && ctx.Err() == nil {
			s.Told(err)
		}
		if err == nil {
			return
		}
		if ending {
			s.lose(len(b.Alerts), "they could not be stored before Riposte stopped")
			return
		}
		s.Log.Warn("syslog messages wait to be stored", "source", s.Source.Name, "messages", len(b.Alerts), "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (s *Syslog) lose(n int, why string) {
	s.Log.Warn("syslog messages are lost", "source", s.Source.Name, "messages", n, "why", why)
	if s.Lost != nil {
		s.Lost(n, why)
	}
}

// tellRefused logs who was refused, once a minute at most.
func (s *Syslog) tellRefused(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		if n, who := s.refused.take(); n > 0 {
			s.Log.Warn("syslog senders refused: from does not name them", "source", s.Source.Name, "messages", n, "senders", who)
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// tally counts what happened, and with whom.
type tally struct {
	mu  sync.Mutex
	n   int
	who []string // the first few
}

func (t *tally) add(who string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
	if len(t.who) < 5 && !slices.Contains(t.who, who) {
		t.who = append(t.who, who)
	}
}

func (t *tally) take() (n int, who []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, who = t.n, t.who
	t.n, t.who = 0, nil
	return n, who
}
