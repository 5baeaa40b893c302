package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

// udpEar hears datagrams: each is one message.
type udpEar struct {
	s *Syslog
	c *net.UDPConn
	q *queue

	noRoom int   // messages that found no room in the queue, not told yet
	missed int64 // datagrams that the system had no room for, told already
}

// lookForLost is how often is looked what the system had no room for.
const lookForLost = time.Second

func newUDPEar(s *Syslog, c *net.UDPConn) *udpEar {
	// The system may grant less; what that costs is counted.
	_ = c.SetReadBuffer(s.ReceiveBuffer)
	e := &udpEar{s: s, c: c}
	e.missed = missedDatagrams(c)
	return e
}

func (e *udpEar) addr() net.Addr { return e.c.LocalAddr() }
func (e *udpEar) close() error   { return e.c.Close() }

func (e *udpEar) hear(ctx context.Context, q *queue) {
	e.q = q
	defer func() { _ = e.c.Close() }()
	// A read under way ends at once when ctx does; then what has come is read on.
	stop := context.AfterFunc(ctx, func() { _ = e.c.SetReadDeadline(time.Now()) })
	defer stop()
	var ending time.Time
	look := time.Now()
	buf := make([]byte, min(e.s.MaxMessage, largestDatagram)+1)
	for {
		now := time.Now()
		if now.Sub(look) >= lookForLost {
			look = now
			e.tellLost()
		}
		wait := now.Add(lookForLost)
		if ctx.Err() != nil {
			if ending.IsZero() {
				ending = now.Add(lastWords)
			}
			wait = minTime(now.Add(hush), ending)
		}
		_ = e.c.SetReadDeadline(wait) // the read tells what is wrong
		n, from, err := e.c.ReadFromUDPAddrPort(buf)
		late := errors.Is(err, os.ErrDeadlineExceeded)
		switch {
		case err == nil:
			e.put(buf[:n], from.Addr().Unmap().WithZone(""))
		case errors.Is(err, net.ErrClosed), late && !ending.IsZero():
			e.tellLost()
			return
		case !late:
			e.s.Log.Warn("syslog datagram not read", "source", e.s.Source.Name, "error", err)
			<-time.After(hush) // it may be so again at once
		}
	}
}

// largestDatagram is the most that UDP carries.
const largestDatagram = 65535

// put queues a datagram. Some senders end it like a line.
func (e *udpEar) put(raw []byte, from netip.Addr) {
	if !e.s.allows(from) {
		return
	}
	m := message{raw: raw}
	if len(raw) > e.s.MaxMessage {
		m = message{raw: raw[:e.s.MaxMessage], cut: fmt.Sprintf("the message is longer than %d bytes; only the first %d are kept", e.s.MaxMessage, e.s.MaxMessage)}
	}
	if m.raw = bytes.Trim(m.raw, "\r\n\x00"); len(m.raw) == 0 {
		return // to see whether somebody listens
	}
	if !e.q.offer(event{raw: bytes.Clone(m.raw), cut: m.cut, from: from.String()}) {
		e.noRoom++
	}
}

// tellLost tells what was lost since the last time.
func (e *udpEar) tellLost() {
	if e.noRoom > 0 {
		e.s.lose(e.noRoom, "storing was slower than they came")
		e.noRoom = 0
	}
	if missed := missedDatagrams(e.c); missed > e.missed {
		e.s.lose(int(missed-e.missed), "the system had no room for them; a larger receive_buffer helps against short floods, TCP against all")
		e.missed = missed
	}
}
