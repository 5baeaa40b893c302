package ingest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/alert"
	"riposte/internal/fault"
	"riposte/internal/ingest"
)

// raws is a Sink that keeps what came, as it came.
type raws struct {
	mu     sync.Mutex
	all    []alert.Alert
	refuse bool
	came   chan struct{}
}

func (s *raws) Take(_ context.Context, b ingest.Batch) ([]ingest.Taken, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse {
		return nil, fmt.Errorf("full: %w", fault.Transient)
	}
	s.all = append(s.all, b.Alerts...)
	select {
	case s.came <- struct{}{}:
	default:
	}
	return make([]ingest.Taken, len(b.Alerts)), nil
}

func (s *raws) let(in bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = !in
}

// got is what came, sorted; what is not whole with its reason.
func (s *raws) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, a := range s.all {
		text := string(a.Raw)
		var unquoted string
		if json.Unmarshal(a.Raw, &unquoted) == nil {
			text = unquoted
		}
		if strings.Contains(a.Error, "kept") || strings.Contains(a.Error, "after") {
			text = "[" + text + ": " + a.Error + "]"
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

func (s *raws) until(t *testing.T, want ...string) {
	t.Helper()
	slices.Sort(want)
	deadline := time.After(20 * time.Second)
	for !slices.Equal(s.got(), want) {
		select {
		case <-s.came:
		case <-deadline:
			t.Fatalf("(-want +got):\n%s", cmp.Diff(want, s.got()))
		}
	}
}

// listen starts a server and gives the addresses it has, and what stops it and
// waits for it.
func listen(t *testing.T, s *ingest.Syslog) (at []net.Addr, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	open, done := make(chan []net.Addr, 1), make(chan error, 1)
	s.Listening = func(a []net.Addr) { open <- a }
	s.Source = ingest.Source{Name: "net", Mapping: plainMapping(t)}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	go func() { done <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("syslog: %v", err)
		}
	}
	t.Cleanup(stop)
	select {
	case at = <-open:
		return at, stop
	case err := <-done:
		t.Fatal(err)
		return nil, stop
	}
}

func dial(t *testing.T, a net.Addr) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), a.Network(), a.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestMessagesComeByUDPAndTCP(t *testing.T) {
	t.Parallel()
	sink := &raws{came: make(chan struct{}, 100)}
	at, _ := listen(t, &ingest.Syslog{Listen: []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"}, Sink: sink})
	u, c := dial(t, at[0]), dial(t, at[1])
	say(t, u, "<13>by UDP\n")
	say(t, u, "") // somebody looks whether anybody listens
	say(t, c, "<13>a line\n11 <13>counted")
	sink.until(t, "<13>by UDP", "<13>a line", "<13>counted")
	for _, a := range sink.all {
		if a.Fields["sender"] != "127.0.0.1" || a.Source != "net" {
			t.Errorf("%s came of %v by source %s", a.Raw, a.Fields["sender"], a.Source)
		}
	}
}

func TestWhatIsNotWholeIsKeptWithTheReason(t *testing.T) {
	t.Parallel()
	sink := &raws{came: make(chan struct{}, 100)}
	at, _ := listen(t, &ingest.Syslog{Listen: []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"}, Sink: sink, MaxMessage: 20})
	say(t, dial(t, at[0]), "<13>"+strings.Repeat("u", 30))
	c := dial(t, at[1])
	say(t, c, "20 <13>cut off")
	_ = c.Close()
	sink.until(t,
		"[<13>uuuuuuuuuuuuuuuu: the message is longer than 20 bytes; only the first 20 are kept]",
		"[<13>cut off: the connection ended after 11 of the message's 20 bytes]")
	for _, a := range sink.all {
		if a.Fields["sender"] != "127.0.0.1" {
			t.Errorf("%s came of %v", a.Raw, a.Fields["sender"])
		}
	}
}

func TestWhatWasSentIsStoredBeforeTheServerStops(t *testing.T) {
	t.Parallel()
	sink := &raws{came: make(chan struct{}, 100)}
	at, stop := listen(t, &ingest.Syslog{Listen: []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"}, Sink: sink})
	var want []string
	u, c := dial(t, at[0]), dial(t, at[1])
	say(t, c, "<13>first\n")
	sink.until(t, "<13>first")
	want = append(want, "<13>first")
	sink.let(false)
	for i := range 500 {
		m := fmt.Sprintf("<13>message %d", i)
		say(t, u, m+" by UDP")
		say(t, c, fmt.Sprintf("%d %s", len(m), m))
		want = append(want, m, m+" by UDP")
	}
	sink.let(true)
	stop()
	sink.until(t, want...)
}

func TestASenderByTCPWaitsWhileNothingIsStored(t *testing.T) {
	t.Parallel()
	sink := &raws{came: make(chan struct{}, 100)}
	sink.let(false)
	at, stop := listen(t, &ingest.Syslog{Listen: []string{"tcp://127.0.0.1:0"}, Sink: sink})
	c := dial(t, at[0])
	line := []byte("<13>" + strings.Repeat("x", 60_000) + "\n")
	sent := 0
	for { // until nobody reads any more
		_ = c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		if _, err := c.Write(line); err != nil {
			break
		}
		if sent++; sent > 3000 {
			t.Fatalf("%d MB were read, and none of them stored", sent*len(line)>>20)
		}
	}
	sink.let(true)
	_ = c.Close()
	stop()
	if got := len(sink.got()); got < sent {
		t.Errorf("%d of %d messages are stored", got, sent)
	}
}

func TestWhatFindsNoRoomByUDPIsCounted(t *testing.T) {
	t.Parallel()
	sink := &raws{came: make(chan struct{}, 100)}
	sink.let(false)
	var mu sync.Mutex
	lost := 0
	at, stop := listen(t, &ingest.Syslog{Listen: []string{"udp://127.0.0.1:0"}, Sink: sink, ReceiveBuffer: 8 << 10, Lost: func(n int, _ string) {
		mu.Lock()
		defer mu.Unlock()
		lost += n
	}})
	c := dial(t, at[0])
	const sent = 2000 // twice what the queue holds
	for i := range sent {
		say(t, c, fmt.Sprintf("<13>%d %s", i, strings.Repeat("x", 32_000)))
	}
	sink.let(true)
	stop()
	if got := len(sink.got()); got+lost != sent || lost == 0 {
		t.Errorf("%d are stored and %d counted as lost, of %d", got, lost, sent)
	}
}

func TestWhoIsNotNamedMayNotSend(t *testing.T) {
	t.Parallel()
	sink := &raws{came: make(chan struct{}, 100)}
	at, stop := listen(t, &ingest.Syslog{
		Listen: []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"}, Sink: sink, From: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	})
	say(t, dial(t, at[0]), "<13>by UDP")
	c := dial(t, at[1])
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is open")
	}
	stop()
	if got := sink.got(); len(got) > 0 {
		t.Errorf("got %v", got)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	sink := &raws{came: make(chan struct{}, 100)}
	at, _ := listen(t, &ingest.Syslog{Listen: []string{"tcp://127.0.0.1:0"}, Sink: sink, MaxPerSender: 2})
	one, two := dial(t, at[0]), dial(t, at[0])
	say(t, one, "<13>one\n")
	say(t, two, "<13>two\n")
	sink.until(t, "<13>one", "<13>two")
	three := dial(t, at[0])
	_ = three.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := three.Read(make([]byte, 1)); err == nil {
		t.Error("the third connection is open")
	}
}

func TestASilentConnectionIsClosed(t *testing.T) {
	t.Parallel()
	sink := &raws{came: make(chan struct{}, 100)}
	at, _ := listen(t, &ingest.Syslog{Listen: []string{"tcp://127.0.0.1:0"}, Sink: sink, Idle: 50 * time.Millisecond})
	c := dial(t, at[0])
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("the connection is open: %v", err)
	}
}

func TestAPortThatIsTakenIsToldWithTheRemedy(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"udp", "tcp"} {
		sink := &raws{came: make(chan struct{}, 1)}
		at, _ := listen(t, &ingest.Syslog{Listen: []string{how + "://127.0.0.1:0"}, Sink: sink})
		second := &ingest.Syslog{Listen: []string{how + "://" + at[0].String()}, Sink: sink}
		want := "listen on " + how + "://" + at[0].String() + ": address already in use; another program, such as rsyslogd, has this port: stop it or choose another"
		if err := second.Run(t.Context()); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestMessagesComeByTLS(t *testing.T) {
	t.Parallel()
	server, roots := certificate(t)
	sink := &raws{came: make(chan struct{}, 100)}
	at, _ := listen(t, &ingest.Syslog{
		Listen: []string{"tls://127.0.0.1:0"}, Sink: sink,
		TLS: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{server}},
	})
	plain := dial(t, at[0])
	say(t, plain, "<13>without TLS\n")
	c := tls.Client(dial(t, at[0]), &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12})
	say(t, c, "11 <13>by TLS 1")
	sink.until(t, "<13>by TLS ")
}

// certificate makes a certificate for localhost, and who trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}
