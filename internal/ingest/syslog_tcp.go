package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// tcpEar hears connections, with TLS where tls is set.
type tcpEar struct {
	s   *Syslog
	l   *net.TCPListener
	tls *tls.Config
}

func (e *tcpEar) addr() net.Addr { return e.l.Addr() }
func (e *tcpEar) close() error   { return e.l.Close() }

const (
	// chunkBytes is how much is read at a time.
	chunkBytes = 16 << 10
	// handshakeTime is how long a TLS handshake may take.
	handshakeTime = 10 * time.Second
	// acceptPause is how long nobody is let in after the system could not.
	acceptPause = 100 * time.Millisecond
)

func (e *tcpEar) hear(ctx context.Context, q *queue) {
	defer func() { _ = e.l.Close() }()
	// Who waits in line when Riposte stops has been told by the system that what
	// it sent has arrived: it is let in.
	stop := context.AfterFunc(ctx, func() { _ = e.l.SetDeadline(time.Now().Add(hush)) })
	defer stop()
	var talking sync.WaitGroup
	defer talking.Wait()
	for {
		c, err := e.l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
			return
		case err != nil: // too many open files, mostly
			e.s.Log.Warn("syslog connection not taken", "source", e.s.Source.Name, "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}
			continue
		}
		from := addressOf(c.RemoteAddr())
		if !e.s.allows(from) || !e.s.take1(from) {
			_ = c.Close()
			continue
		}
		talking.Go(func() {
			defer e.s.places.leave(from)
			e.talk(ctx, c, from, q)
		})
	}
}

// take1 takes a place for a connection, or says that there is none.
func (s *Syslog) take1(from netip.Addr) bool {
	if why := s.places.enter(from); why != "" {
		s.Log.Warn("syslog connection refused", "source", s.Source.Name, "sender", from, "why", why)
		return false
	}
	return true
}

// talk hears one connection to its end.
func (e *tcpEar) talk(ctx context.Context, c net.Conn, from netip.Addr, q *queue) {
	defer func() { _ = c.Close() }()
	if e.tls != nil {
		secured := tls.Server(c, e.tls)
		shake, cancel := context.WithTimeout(context.WithoutCancel(ctx), handshakeTime)
		hurry := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now().Add(lastWords)) })
		err := secured.HandshakeContext(shake)
		hurry()
		cancel()
		if err != nil {
			e.s.Log.Warn("syslog connection refused", "source", e.s.Source.Name, "sender", from, "why", err.Error())
			return
		}
		c = secured
	}
	x := &exchange{s: e.s, q: q, c: c, from: from.String(), framer: framer{max: e.s.MaxMessage}}
	// A read under way ends at once when ctx does; then what has come is read on.
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Now()) })
	defer stop()
	x.run(ctx)
}

// exchange is one connection at work.
type exchange struct {
	s      *Syslog
	q      *queue
	c      net.Conn
	from   string
	framer framer
	ending time.Time // when the last words are over; zero: Riposte goes on
}

func (x *exchange) run(ctx context.Context) {
	chunk := make([]byte, chunkBytes)
	for {
		x.deadline(ctx)
		n, err := x.c.Read(chunk)
		x.framer.feed(chunk[:n])
		for m, ok := x.framer.next(); ok; m, ok = x.framer.next() {
			if !x.put(m) {
				return
			}
		}
		if err != nil && x.ended(ctx, err) {
			return
		}
	}
}

// deadline sets how long the next read may take.
func (x *exchange) deadline(ctx context.Context) {
	wait := x.s.Idle
	if x.framer.waits() {
		wait = min(wait, stallTime)
	}
	if ctx.Err() == nil {
		_ = x.c.SetReadDeadline(time.Now().Add(wait)) // a read tells what is wrong with a connection
	}
	if ctx.Err() == nil { // else it may have ended in between
		return
	}
	if x.ending.IsZero() {
		x.ending = time.Now().Add(lastWords)
	}
	_ = x.c.SetReadDeadline(minTime(time.Now().Add(hush), x.ending))
}

// ended tells whether a connection is over after a read failed, and keeps what
// is left of a message.
func (x *exchange) ended(ctx context.Context, err error) bool {
	late := errors.Is(err, os.ErrDeadlineExceeded)
	if late && ctx.Err() != nil && x.ending.IsZero() {
		return false // Riposte stops: what is on its way is read first
	}
	why := "the connection ended"
	switch {
	case late && ctx.Err() != nil:
		why = "Riposte stopped"
	case late:
		why = fmt.Sprintf("nothing came for %s", stallTime)
	case !errors.Is(err, io.EOF):
		why = "the connection broke (" + plainNet(err) + ")"
	}
	stalled := late && ctx.Err() == nil && x.framer.waits()
	m, ok := x.framer.rest(why)
	if ok && !x.put(m) {
		return true
	}
	// A line without its end may be all that its sender has to say for now; a
	// message that is shorter than its count leaves no way to find the next one.
	return !stalled || m.cut != "" || !ok
}

func (x *exchange) put(m message) bool {
	return x.q.put(event{raw: m.raw, cut: m.cut, from: x.from})
}

// plainNet is an error of the network without the addresses.
func plainNet(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		var sys *os.SyscallError
		if errors.As(op.Err, &sys) {
			return sys.Err.Error()
		}
		return op.Err.Error()
	}
	return err.Error()
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// addressOf is the address of a peer.
func addressOf(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap().WithZone("")
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// places bounds the connections at once, and how many of them one sender has.
type places struct {
	most, each int

	mu  sync.Mutex
	n   int
	had map[netip.Addr]int
}

// enter takes a place; why is not empty where there is none.
func (p *places) enter(a netip.Addr) (why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.n >= p.most:
		return fmt.Sprintf("%d connections are open; max_connections says how many may be", p.n)
	case p.had[a] >= p.each:
		return fmt.Sprintf("this sender has %d connections open; max_per_sender says how many it may have", p.had[a])
	}
	if p.had == nil {
		p.had = map[netip.Addr]int{}
	}
	p.n++
	p.had[a]++
	return ""
}

func (p *places) leave(a netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n--
	if p.had[a]--; p.had[a] == 0 {
		delete(p.had, a)
	}
}
