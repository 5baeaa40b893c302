package app

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"riposte/internal/fault"
	"riposte/internal/ingest"
	"riposte/internal/store"
)

// openMailbox makes the road of a mailbox.
func (c *core) openMailbox(name string, s SourceConfig, cursor []byte) (road, error) {
	password, err := c.sourcePassword(s)
	if err != nil {
		return nil, err
	}
	server := ingest.IMAP{Host: s.Host, Port: s.Port, Security: s.Security, User: s.User, Password: password, Poll: s.Every}
	if server.TLS, err = sourceTLS(s); err != nil {
		return nil, err
	}
	return &ingest.Mailbox{
		Source: c.sources[name], Sink: (*intake)(c), Dial: server.Dial, Folder: cmp.Or(s.Mailbox, "INBOX"),
		After: ingest.MailAfter(s.After), MoveTo: s.MoveTo, FromNow: s.Begin == "now", Cursor: cursor,
		Of: s.User + "@" + s.Host, Keep: c.blobs.Put, Now: c.now, Log: c.log, Tell: c.stuckTeller(name),
	}, nil
}

// stuckTeller raises and settles the alarm of a source that does not get on.
func (c *core) stuckTeller(name string) func(problem string) {
	return func(problem string) {
		if problem == "" {
			c.settle(alarmSourceStuck, name)
			return
		}
		c.raise(alarm{Kind: alarmSourceStuck, Subject: name, Message: problem})
	}
}

// sourcePassword reads the password of a source: from a file, or the sealed
// secret of a connection. "" where nobody signs in.
func (c *core) sourcePassword(s SourceConfig) (string, error) {
	if s.PasswordFile != "" {
		text, err := os.ReadFile(s.PasswordFile)
		if err != nil {
			return "", fmt.Errorf("read password_file: %w", err)
		}
		password := strings.TrimRight(string(text), "\r\n")
		if password == "" {
			return "", fmt.Errorf("password_file %s is empty: %w", s.PasswordFile, fault.Invalid)
		}
		return password, nil
	}
	if s.PasswordSecret == "" {
		return "", nil
	}
	connection, field, _ := strings.Cut(s.PasswordSecret, ".")
	password, err := c.caller.Secret(store.DefaultTenant, connection, field)
	if err != nil {
		return "", fmt.Errorf("password_secret: %w", err)
	}
	return password, nil
}

// sourceTLS trusts the certificates of a file besides the system's.
func sourceTLS(s SourceConfig) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CAFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file %s holds no certificate in PEM: %w", s.CAFile, fault.Invalid)
	}
	config.RootCAs = pool
	return config, nil
}
