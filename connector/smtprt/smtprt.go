// Package smtprt sends mail over SMTP: the handler of smtp.send. What goes wrong
// before the mail was handed over is a plain failure; what goes wrong after leaves
// open whether it was sent.
package smtprt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/smtp"
	"net/textproto"
	"strconv"
	"syscall"
	"time"

	"riposte/connector"
	"riposte/connector/egress"
)

// Sender sends mails. The zero Sender is ready; without Templates only mails
// with subject and text.
type Sender struct {
	// Templates is the content folder's mail templates: NAME.txt, which begins
	// with Subject: and an empty line.
	Templates fs.FS
	// Hello is the name that we greet with; "" means localhost.
	Hello string
}

// problem is an error with its class.
type problem struct {
	class connector.Class
	text  string
}

func (p *problem) Error() string { return p.text }

func problemf(class connector.Class, format string, args ...any) *problem {
	return &problem{class, fmt.Sprintf(format, args...)}
}

// Send is the handler of smtp.send.
func (s *Sender) Send(ctx context.Context, in *connector.Invocation) (connector.Result, any) {
	m, err := s.compose(in)
	if err == nil {
		err = s.deliver(ctx, in, m)
	}
	if err == nil {
		return connector.Result{Status: connector.OK, External: m.id}, map[string]any{"id": m.id}
	}
	var p *problem
	var network net.Error
	switch {
	case errors.As(err, &p) && p.class == connector.UnknownOutcome:
		return connector.Fail(p.class, p.text), nil // also when the time is over
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return connector.Fail(connector.Timeout, "the mail server did not answer in time"), nil
	case ctx.Err() != nil:
		return connector.Fail(connector.Cancelled, "the call was cancelled"), nil
	case p != nil:
		return connector.Fail(p.class, p.text), nil
	}
	return connector.Fail(connector.Transient, "the connection to the mail server broke: "+err.Error()), nil
}

// server is where a connection's mails go.
type server struct {
	host, port, tls string
	config          *tls.Config
}

func serverOf(in *connector.Invocation) (server, error) {
	host, _ := in.Config["host"].(string)
	s := server{host: host, port: "587", tls: "starttls", config: &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}}
	// A connection that was read from the database holds its numbers as JSON has them.
	switch port := in.Config["port"].(type) {
	case int:
		s.port = strconv.Itoa(port)
	case float64:
		s.port = strconv.Itoa(int(port))
	}
	if mode, ok := in.Config["tls"].(string); ok {
		s.tls = mode
	}
	if in.Connection.CA != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM([]byte(in.Connection.CA)) {
			return s, problemf(connector.Invalid, "connection %s: ca holds no certificate in PEM", in.Connection.Name)
		}
		s.config.RootCAs = pool
	}
	return s, nil
}

func (s *Sender) deliver(ctx context.Context, in *connector.Invocation, m *message) error {
	srv, err := serverOf(in)
	if err != nil {
		return err
	}
	c, err := s.connect(ctx, in, srv)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := greet(c, s.Hello, srv); err != nil {
		return err
	}
	if err := logIn(c, in, srv); err != nil {
		return err
	}
	if err := c.Mail(m.from); err != nil {
		return answered("the sender "+m.from, err)
	}
	for _, to := range m.to {
		if err := c.Rcpt(to); err != nil {
			return answered("the recipient "+to, err)
		}
	}
	w, err := c.Data()
	if err != nil {
		return answered("the mail", err)
	}
	if _, err := w.Write(m.text); err != nil {
		return fmt.Errorf("hand over the mail: %w", err)
	}
	// The dot that ends the mail leaves here: from now on it may have been sent.
	if err := w.Close(); err != nil {
		var reply *textproto.Error
		if errors.As(err, &reply) {
			return answered("the mail", err)
		}
		return problemf(connector.UnknownOutcome, "the mail was handed over, and no answer came: %v", err)
	}
	_ = c.Quit() // it is sent, whatever the server says to goodbye
	return nil
}

// connect dials through the egress guard; the connection ends with ctx.
func (s *Sender) connect(ctx context.Context, in *connector.Invocation, srv server) (*smtp.Client, error) {
	conn := in.Connection
	policy := &egress.Policy{Hosts: []string{srv.host}, AllowPrivate: conn.AllowPrivate, AllowLoopback: conn.AllowLoopback, AllowLinkLocal: conn.AllowLinkLocal}
	if err := policy.Host(srv.host, srv.port); err != nil {
		return nil, problemf(connector.Policy, "%v", err)
	}
	dialer := &net.Dialer{
		Timeout: 10 * time.Second,
		Control: func(network, address string, _ syscall.RawConn) error { return policy.Address(network, address) },
	}
	raw, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(srv.host, srv.port))
	if err != nil {
		var refusal *egress.Refusal
		if errors.As(err, &refusal) {
			return nil, problemf(connector.Policy, "%v", refusal)
		}
		return nil, problemf(connector.Transient, "the mail server %s cannot be reached: %v", srv.host, err)
	}
	if end, ok := ctx.Deadline(); ok {
		_ = raw.SetDeadline(end)
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	var stream net.Conn = stopping{raw, stop}
	if srv.tls == "implicit" {
		secured := tls.Client(stream, srv.config)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, tlsProblem(srv.host, err)
		}
		stream = secured
	}
	c, err := smtp.NewClient(stream, srv.host)
	if err != nil {
		_ = stream.Close()
		return nil, answered("the connection", err)
	}
	return c, nil
}

// stopping is a connection that no longer waits for its context once closed.
type stopping struct {
	net.Conn
	stop func() bool
}

func (s stopping) Close() error {
	s.stop()
	return s.Conn.Close()
}

func tlsProblem(host string, err error) error {
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return problemf(connector.Permanent, "the certificate of %s is signed by an authority that is not known; add it to the connection (ca)", host)
	}
	return problemf(connector.Permanent, "no TLS with %s: %v", host, err)
}

func greet(c *smtp.Client, name string, srv server) error {
	if name == "" {
		name = "localhost"
	}
	if err := c.Hello(name); err != nil {
		return answered("the greeting", err)
	}
	if srv.tls != "starttls" {
		return nil
	}
	if ok, _ := c.Extension("STARTTLS"); !ok {
		return problemf(connector.Permanent, "%s offers no STARTTLS; set tls: implicit (port 465), or none where mails may travel in the clear", srv.host)
	}
	if err := c.StartTLS(srv.config); err != nil {
		return tlsProblem(srv.host, err)
	}
	return nil
}

func logIn(c *smtp.Client, in *connector.Invocation, srv server) error {
	user, _ := in.Config["username"].(string)
	if user == "" {
		return nil
	}
	if srv.tls == "none" {
		return problemf(connector.Invalid, "a password is not sent in the clear: set tls, or remove the user name")
	}
	if err := c.Auth(smtp.PlainAuth("", user, in.Secrets["password"], srv.host)); err != nil {
		var reply *textproto.Error
		if errors.As(err, &reply) {
			return problemf(connector.Auth, "the mail server does not accept the user name and password: %d", reply.Code)
		}
		return problemf(connector.Auth, "log in to the mail server: %v", err)
	}
	return nil
}

// answered turns the server's reply into a class (RFC 5321, 4.2).
func answered(what string, err error) error {
	var reply *textproto.Error
	if !errors.As(err, &reply) {
		return err
	}
	class := connector.Permanent
	switch {
	case reply.Code == 550 || reply.Code == 551 || reply.Code == 553:
		class = connector.NotFound
	case reply.Code == 530 || reply.Code == 535:
		class = connector.Auth
	case reply.Code == 554 || reply.Code == 552:
		class = connector.Permanent
	case reply.Code == 501 || reply.Code == 555:
		class = connector.Invalid
	case reply.Code/100 == 4:
		class = connector.Transient
	}
	return problemf(class, "the mail server refuses %s: %d %s", what, reply.Code, reply.Msg)
}
