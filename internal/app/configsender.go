package app

import (
	"fmt"
	"strings"
	"time"

	"riposte/internal/auth"
	"riposte/internal/fault"
	"riposte/internal/ingest"
	"riposte/internal/strictyaml"
)

// webhookProblems looks at who may send, and how they show it.
func (s *SourceConfig) webhookProblems(t *troubles, name string, c *Config) {
	at := func(key string) []any { return []any{"sources", name, key} }
	token := s.TokenFile != "" || s.TokenHash != ""
	if s.TokenFile != "" && s.TokenHash != "" {
		t.add("give one of them", "token_file and token_hash say the same", "sources", name)
	}
	if !token && s.KeyFile == "" && len(s.Certificate) == 0 && len(s.From) == 0 {
		t.add("give token_file, token_hash, key_file, certificate or from", "nothing says who may send to this webhook", "sources", name)
	}
	for key, value := range map[string]string{"token_header": s.TokenHeader, "token_parameter": s.TokenParameter} {
		if value != "" && !token {
			t.add("give token_file or token_hash, or remove it", "there is no token that it could hold", at(key)...)
		}
	}
	signatureProblems(t, s.KeyFile, orElse(s.Signature, presets[s.Preset].signature), s.SignatureHeader, "sources", name)
	if len(s.Certificate) > 0 && c.TLS.ClientCA == "" {
		t.add("set tls.client_ca", "certificates of clients cannot be checked", at("certificate")...)
	}
}

// signatureProblems looks at how a sender signs.
func signatureProblems(t *troubles, keyFile, signature, header string, place ...any) {
	if keyFile == "" {
		if header != "" {
			t.add("give key_file, or remove it", "there is no key to check a signature with", append(place, "signature_header")...)
		}
		return
	}
	if _, err := auth.FindSigning(orElse(signature, "riposte"), header); err != nil {
		t.add("add signature_header: with the one that the sender uses", strings.TrimSuffix(err.Error(), ": "+fault.Invalid.Error()), place...)
	}
}

// The bounds of what a syslog source may be given.
const (
	leastMessage = 1 << 10
	leastIdle    = time.Second
)

// syslogProblems looks at where is listened, and who may send.
func (s *SourceConfig) syslogProblems(t *troubles, name string, c *Config) {
	at := func(key string) []any { return []any{"sources", name, key} }
	if len(s.Listen) == 0 {
		t.add("add listen: such as [udp://0.0.0.0:5514, tcp://0.0.0.0:5514]", "a syslog source needs addresses to listen on", "sources", name)
	}
	secured := false
	for i, l := range s.Listen {
		how, addr, err := ingest.SyslogAddress(l)
		if err == nil {
			err = CheckListen(addr)
		}
		if err != nil {
			t.add("expected udp://, tcp:// or tls://, and HOST:PORT, such as tcp://0.0.0.0:5514", strings.TrimSuffix(err.Error(), ": "+fault.Invalid.Error()), append(at("listen"), i)...)
		}
		secured = secured || how == "tls"
	}
	s.syslogTLSProblems(t, name, c, secured)
	if s.MaxMessage != 0 && (s.MaxMessage < leastMessage || s.MaxMessage > ingest.LargestMessage) {
		t.add("expected 1KB to 4MB", "the size cannot be taken", at("max_message")...)
	}
	if s.ReceiveBuffer < 0 || s.ReceiveBuffer > 1<<30 {
		t.add("expected up to 1GB", "the size cannot be had", at("receive_buffer")...)
	}
	if s.IdleTimeout != 0 && s.IdleTimeout < leastIdle {
		t.add("expected a duration such as 24h", "every connection would be closed at once", at("idle_timeout")...)
	}
}

func (s *SourceConfig) syslogTLSProblems(t *troubles, name string, c *Config, secured bool) {
	own := s.TLSCertificate != ""
	if own != (s.TLSKey != "") {
		t.add("give both or neither", "there is only one of tls_certificate and tls_key", "sources", name)
	}
	if !secured {
		for key, given := range map[string]bool{"tls_certificate": own, "tls_client_ca": s.TLSClientCA != "", "certificate": len(s.Certificate) > 0} {
			if given {
				t.add("listen on tls://, or remove it", fmt.Sprintf("%s means nothing without TLS", key), "sources", name, key)
			}
		}
		return
	}
	if !own && c.TLS.Certificate == "" {
		t.add("give tls_certificate and tls_key, or set tls: for all", "there is no certificate for tls://", "sources", name)
	}
	if len(s.Certificate) > 0 && s.TLSClientCA == "" && c.TLS.ClientCA == "" {
		t.add("give tls_client_ca, or set tls.client_ca", "certificates of senders cannot be checked", "sources", name, "certificate")
	}
}

// sizeText writes a size as the file would hold it.
func sizeText(n strictyaml.Size) string {
	for _, u := range []struct {
		name string
		size strictyaml.Size
	}{{"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}} {
		if n != 0 && n%u.size == 0 {
			return fmt.Sprintf("%d%s", n/u.size, u.name)
		}
	}
	return fmt.Sprintf("%dB", n)
}
