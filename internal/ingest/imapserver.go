package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"riposte/internal/fault"
	"riposte/internal/mail"
)

// IMAP is how to reach a mail server.
type IMAP struct {
	Host     string
	Port     int         // 0 means 993, without implicit TLS 143
	Security string      // tls, starttls or plain; "" is tls
	TLS      *tls.Config // nil means the system's certificates
	User     string
	Password string
	Poll     time.Duration // how often to look where the server has no IDLE; 0 means 30 s
}

const (
	dialTimeout    = 30 * time.Second
	commandTimeout = 2 * time.Minute
	fetchTimeout   = 10 * time.Minute
	pollMail       = 30 * time.Second
	// commandBytes is how much a server may send in answer to one command that
	// fetches no mail.
	commandBytes = 32 << 20
	// mostNumbers bounds how many numbers of a list are looked at, for a few bytes
	// may name four billion.
	mostNumbers = 1 << 20
)

// Dial signs in to the server. What it gives ends with ctx.
func (c IMAP) Dial(ctx context.Context) (MailServer, error) {
	port := c.Port
	if port == 0 {
		port = 993
		if c.Security == "starttls" || c.Security == "plain" {
			port = 143
		}
	}
	address := net.JoinHostPort(c.Host, strconv.Itoa(port))
	raw, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("mail server %s: %w: %w", address, err, fault.Transient)
	}
	m := &imapServer{address: address, conn: &meter{Conn: raw}, news: make(chan struct{}, 1), poll: c.Poll, over: ctx.Done()}
	if m.poll == 0 {
		m.poll = pollMail
	}
	m.stop = context.AfterFunc(ctx, func() { raw.Close() })
	if err := m.signIn(c); err != nil {
		m.Close()
		return nil, fmt.Errorf("mail server %s: %w", address, hide(err, c.Password))
	}
	return m, nil
}

// imapServer hides the library, which is young, behind what a Mailbox needs.
type imapServer struct {
	address string
	conn    *meter
	client  *imapclient.Client
	stop    func() bool
	over    <-chan struct{}
	news    chan struct{} // something came while nobody asked
	poll    time.Duration
}

// meter counts what may still be read, so that a server cannot fill the memory.
type meter struct {
	net.Conn
	left atomic.Int64
}

var errTooMuch = errors.New("the server sent more than an answer may have")

func (m *meter) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	if m.left.Add(-int64(n)) < 0 {
		return 0, errTooMuch
	}
	return n, err
}

// within does something that the server must answer in time and briefly.
func (m *imapServer) within(timeout time.Duration, most int64, what string, do func() error) error {
	m.conn.left.Store(most)
	late := atomic.Bool{}
	end := time.AfterFunc(timeout, func() {
		late.Store(true)
		m.conn.Close()
	})
	defer end.Stop()
	err := do()
	switch {
	case err == nil:
		return nil
	case late.Load():
		return fmt.Errorf("%s: the server did not answer within %s: %w", what, timeout, fault.Transient)
	case m.conn.left.Load() < 0:
		return fmt.Errorf("%s: %w: %w", what, errTooMuch, fault.Transient)
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (m *imapServer) signIn(c IMAP) error {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		config = c.TLS.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = c.Host
	}
	options := &imapclient.Options{TLSConfig: config, UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(data *imapclient.UnilateralDataMailbox) {
			if data.NumMessages != nil {
				m.wake()
			}
		},
	}}
	err := m.within(dialTimeout, commandBytes, "connect", func() (err error) {
		switch c.Security {
		case "plain":
			m.client = imapclient.New(m.conn, options)
		case "starttls":
			m.client, err = imapclient.NewStartTLS(m.conn, options)
			return err
		default:
			secure := tls.Client(m.conn, config)
			if err := secure.HandshakeContext(context.Background()); err != nil {
				return err
			}
			m.client = imapclient.New(secure, options)
		}
		return m.client.WaitGreeting()
	})
	if err != nil {
		return err
	}
	return m.within(commandTimeout, commandBytes, "sign in as "+c.User, func() error {
		if m.client.State() == imap.ConnStateAuthenticated {
			return errors.New("the server signs everybody in (PREAUTH)")
		}
		return m.client.Login(c.User, c.Password).Wait()
	})
}

func (m *imapServer) wake() {
	select {
	case m.news <- struct{}{}:
	default:
	}
}

// Select opens a folder.
func (m *imapServer) Select(folder string) (validity, next uint32, err error) {
	err = m.within(commandTimeout, commandBytes, "open the folder "+folder, func() error {
		data, err := m.client.Select(folder, nil).Wait()
		if err == nil {
			validity, next = data.UIDValidity, uint32(data.UIDNext)
		}
		return err
	})
	return validity, next, err
}

// Above lists numbers.
func (m *imapServer) Above(number uint32, since time.Time, most int) (found []uint32, err error) {
	if number == ^uint32(0) {
		return nil, nil
	}
	err = m.within(commandTimeout, commandBytes, "look for new mails", func() error {
		data, err := m.client.UIDSearch(&imap.SearchCriteria{UID: []imap.UIDSet{{{Start: imap.UID(number + 1), Stop: 0}}}, Since: since}, nil).Wait()
		if err != nil {
			return err
		}
		set, _ := data.All.(imap.UIDSet)
		found = numbersAbove(set, number, most)
		return nil
	})
	return found, err
}

// numbersAbove takes the lowest numbers of a set that are above one. "n:*" also
// finds the last mail, whatever its number (RFC 3501, 6.4.8).
func numbersAbove(set imap.UIDSet, above uint32, most int) []uint32 {
	ranges := slices.Clone(set)
	slices.SortFunc(ranges, func(a, b imap.UIDRange) int { return int(int64(a.Start) - int64(b.Start)) })
	var found []uint32
	seen := 0
	for _, r := range ranges {
		for n := max(uint64(r.Start), uint64(above)+1); n <= uint64(r.Stop) && len(found) < most && seen < mostNumbers; n++ {
			seen++
			if len(found) == 0 || found[len(found)-1] < uint32(n) {
				found = append(found, uint32(n))
			}
		}
	}
	return found
}

// Fetch reads a mail.
func (m *imapServer) Fetch(number uint32) (f FetchedMail, ok bool, err error) {
	section := &imap.FetchItemBodySection{Peek: true, Partial: &imap.SectionPartial{Offset: 0, Size: mail.MaxBytes}}
	err = m.within(fetchTimeout, mail.MaxBytes+commandBytes, "fetch mail "+strconv.FormatUint(uint64(number), 10), func() error {
		cmd := m.client.Fetch(imap.UIDSetNum(imap.UID(number)), &imap.FetchOptions{RFC822Size: true, BodySection: []*imap.FetchItemBodySection{section}})
		for msg := cmd.Next(); msg != nil; msg = cmd.Next() {
			for item := msg.Next(); item != nil; item = msg.Next() {
				switch item := item.(type) {
				case imapclient.FetchItemDataRFC822Size:
					f.Size = item.Size
				case imapclient.FetchItemDataBodySection:
					if item.Literal == nil || ok {
						continue
					}
					b, err := io.ReadAll(io.LimitReader(item.Literal, mail.MaxBytes))
					if err != nil {
						return errors.Join(err, cmd.Close())
					}
					f.Raw, ok = b, true
				}
			}
		}
		return cmd.Close()
	})
	return f, ok && err == nil, err
}

// Finish marks or moves mails.
func (m *imapServer) Finish(numbers []uint32, after MailAfter, moveTo string) error {
	set := imap.UIDSet{}
	for _, n := range numbers {
		set.AddNum(imap.UID(n))
	}
	err := m.within(commandTimeout, commandBytes, "finish mails", func() error {
		switch after {
		case AfterLeave:
		case AfterSeen:
			return m.flag(set, imap.FlagSeen)
		case AfterMove:
			err := m.move(set, moveTo)
			if refused := new(imap.Error); errors.As(err, &refused) &&
				(refused.Code == imap.ResponseCodeTryCreate || refused.Code == imap.ResponseCodeNonExistent) {
				if err := m.client.Create(moveTo, nil).Wait(); err != nil {
					return fmt.Errorf("make the folder %s: %w", moveTo, err)
				}
				err = m.move(set, moveTo)
			}
			return err
		}
		return nil
	})
	if refused := new(imap.Error); errors.As(err, &refused) {
		return fmt.Errorf("%w: %w", err, fault.Denied)
	}
	return err
}

func (m *imapServer) flag(set imap.UIDSet, flag imap.Flag) error {
	return m.client.Store(set, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{flag}}, nil).Close()
}

// move moves mails; servers without MOVE copy and delete. Where only these could
// not be expunged alone, they stay marked as deleted: an EXPUNGE would take what
// others have marked.
func (m *imapServer) move(set imap.UIDSet, to string) error {
	caps := m.client.Caps()
	if caps.Has(imap.CapMove) || caps.Has(imap.CapIMAP4rev2) {
		_, err := m.client.Move(set, to).Wait()
		return err
	}
	if _, err := m.client.Copy(set, to).Wait(); err != nil {
		return err
	}
	if err := m.flag(set, imap.FlagDeleted); err != nil {
		return err
	}
	if caps.Has(imap.CapUIDPlus) {
		return m.client.UIDExpunge(set).Close()
	}
	return nil
}

// Wait waits for news: the server tells of them (IDLE), or is asked now and then.
func (m *imapServer) Wait(most time.Duration) error {
	m.conn.left.Store(commandBytes)
	caps := m.client.Caps()
	if !caps.Has(imap.CapIdle) && !caps.Has(imap.CapIMAP4rev2) {
		select {
		case <-m.over:
		case <-time.After(min(m.poll, most)):
		}
		return m.within(commandTimeout, commandBytes, "keep the connection", func() error { return m.client.Noop().Wait() })
	}
	var idle *imapclient.IdleCommand
	err := m.within(commandTimeout, commandBytes, "wait for news", func() (err error) {
		idle, err = m.client.Idle()
		return err
	})
	if err != nil {
		return err
	}
	select {
	case <-m.news:
	case <-m.over:
	case <-m.client.Closed():
	case <-time.After(most):
	}
	return m.within(commandTimeout, commandBytes, "wait for news", func() error { return errors.Join(idle.Close(), idle.Wait()) })
}

// Close ends the connection.
func (m *imapServer) Close() {
	m.stop()
	if m.client != nil {
		_ = m.client.Close() // nothing is left to lose
	}
	_ = m.conn.Close()
}
