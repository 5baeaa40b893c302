package httprt

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"riposte/connector"
)

// rawServer answers each connection by hand.
func rawServer(t *testing.T, serve func(c net.Conn, r *http.Request)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				r, err := http.ReadRequest(bufio.NewReader(c))
				if err != nil {
					return
				}
				serve(c, r)
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func TestServersThatHangOrLie(t *testing.T) {
	t.Parallel()
	wait := func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) } // until the other side leaves
	tests := []struct {
		name   string
		action string
		serve  func(c net.Conn, r *http.Request)
		status connector.Status
		class  connector.Class
		says   string
	}{
		{"no answer to a read", "look", func(c net.Conn, _ *http.Request) { wait(c) }, connector.Failed, connector.Timeout, "no answer in time"},
		{"no answer to a change", "act", func(c net.Conn, _ *http.Request) { wait(c) }, connector.Unknown, connector.Timeout, "the request had left"},
		{"a letter at a time", "look", func(c net.Conn, _ *http.Request) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
			for tick := time.NewTicker(50 * time.Millisecond); ; <-tick.C {
				if _, err := c.Write([]byte(" ")); err != nil {
					return
				}
			}
		}, connector.Failed, connector.Timeout, "no answer in time"},
		{"headers a letter at a time", "look", func(c net.Conn, _ *http.Request) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nX-A: ")
			for tick := time.NewTicker(50 * time.Millisecond); ; <-tick.C {
				if _, err := c.Write([]byte("a")); err != nil {
					return
				}
			}
		}, connector.Failed, connector.Timeout, "no answer in time"},
		{"headers without end", "look", func(c net.Conn, _ *http.Request) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := fmt.Fprintf(c, "X-A: %s\r\n", strings.Repeat("a", 1000)); err != nil {
					return
				}
			}
		}, connector.Failed, connector.BadAnswer, "no HTTP"},
		{"no HTTP at all", "look", func(c net.Conn, _ *http.Request) { fmt.Fprint(c, "SSH-2.0-OpenSSH\r\n") }, connector.Failed, connector.BadAnswer, "no HTTP"},
		{"no HTTP after a change", "act", func(c net.Conn, _ *http.Request) { fmt.Fprint(c, "\x00\x01\x02\r\n\r\n") }, connector.Unknown, connector.BadAnswer, "no HTTP"},
		{"less than was promised", "look", func(c net.Conn, _ *http.Request) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"a\"")
		}, connector.Failed, connector.Transient, "broke"},
		{"less than was promised, after a change", "act", func(c net.Conn, _ *http.Request) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"a\"")
		}, connector.Unknown, connector.UnknownOutcome, "had left"},
		{"the connection breaks", "look", func(net.Conn, *http.Request) {}, connector.Failed, connector.Transient, "broke"},
		{"the connection breaks after a change", "act", func(net.Conn, *http.Request) {}, connector.Unknown, connector.UnknownOutcome, "had left, and no answer came"},
		{"a gzip that is none", "look", func(c net.Conn, _ *http.Request) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 23\r\n\r\nhello, this is not gzip")
		}, connector.Failed, connector.BadAnswer, "gzip"},
		{"an impossible length", "look", func(c net.Conn, _ *http.Request) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}")
		}, connector.Failed, connector.BadAnswer, "no HTTP"},
		{"broken chunks", "look", func(c net.Conn, _ *http.Request) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}")
		}, connector.Failed, connector.BadAnswer, "no HTTP"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, parts{}, nil)
			w.config["base_url"] = rawServer(t, tt.serve)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			begin := time.Now()
			res, _ := w.runCtx(ctx, tt.action, map[string]any{"id": "r1"})
			if res.Status != tt.status || res.Class != tt.class || !strings.Contains(res.Message, tt.says) {
				t.Errorf("%+v, want %s %s with %q", res, tt.status, tt.class, tt.says)
			}
			if took := time.Since(begin); took > 3*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestAHugeAnswerIsNotReadToItsEnd(t *testing.T) {
	t.Parallel()
	const size = 200 << 20
	tests := []struct {
		name  string
		serve func(w http.ResponseWriter, sent *atomic.Int64)
		most  int64
	}{
		{"with its length", func(w http.ResponseWriter, sent *atomic.Int64) {
			w.Header().Set("Content-Length", fmt.Sprint(size))
			flood(w, sent)
		}, 8 << 20},
		{"in chunks", flood, 24 << 20},
		{"as an error", func(w http.ResponseWriter, sent *atomic.Int64) {
			w.WriteHeader(http.StatusInternalServerError)
			flood(w, sent)
		}, 24 << 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var sent atomic.Int64
			w := newWorld(t, parts{}, func(rw http.ResponseWriter, _ *http.Request) { tt.serve(rw, &sent) })
			res, _ := w.run("look", nil)
			if tt.name != "as an error" && res.Class != connector.BadAnswer || !strings.Contains(res.Message, "10 MB") {
				t.Errorf("%+v", res)
			}
			if n := sent.Load(); n > tt.most {
				t.Errorf("%d bytes were taken", n)
			}
		})
	}
}

func flood(w http.ResponseWriter, sent *atomic.Int64) {
	block := []byte(strings.Repeat("x", 64<<10))
	for range (200 << 20) / len(block) {
		n, err := w.Write(block)
		sent.Add(int64(n))
		if err != nil {
			return
		}
	}
}

func TestAGzipBombStopsAtTheLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, parts{}, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(rw)
		zero := make([]byte, 1<<20)
		for range 300 {
			if _, err := z.Write(zero); err != nil {
				return
			}
		}
		_ = z.Close()
	})
	res, _ := w.run("look", nil)
	if res.Class != connector.BadAnswer || !strings.Contains(res.Message, "larger than 10 MB") {
		t.Errorf("%+v", res)
	}
}

func TestTheLimitOfAnAnswerCanBeLower(t *testing.T) {
	t.Parallel()
	w := newWorld(t, parts{look: "http: { path: /a, max_answer: 1KB }"}, func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(rw, `"%s"`, strings.Repeat("x", 2000))
	})
	if res, _ := w.run("look", nil); res.Class != connector.BadAnswer || !strings.Contains(res.Message, "at most 1 KB") {
		t.Errorf("%+v", res)
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(echo))
	t.Cleanup(other.Close)
	tests := []struct {
		name, to string
		class    connector.Class
		says     string
	}{
		{"to the same host", "/there", "", ""},
		{"to loopback by name", "http://localhost:1/x", connector.BadAnswer, "egress list"},
		{"to loopback by another address", "http://127.0.0.2:1/x", connector.BadAnswer, "egress list"},
		{"to another port of this machine", "http://127.0.0.1:1/x", connector.BadAnswer, "egress list"},
		{"to metadata", "http://169.254.169.254/latest", connector.BadAnswer, "egress list"},
		{"to a file", "file:///etc/passwd", connector.BadAnswer, "only http and https"},
		{"for ever", "/again", connector.BadAnswer, "3 redirects were followed"},
		{"to what is no address", "http://[bad", connector.BadAnswer, "where cannot be read"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, parts{top: "auth: { kind: bearer, token: token }"}, func(rw http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/there" {
					echo(rw, r)
					return
				}
				rw.Header()["Location"] = []string{tt.to}
				rw.WriteHeader(http.StatusFound)
			})
			res, out := w.run("look", nil)
			if res.Class != tt.class || !strings.Contains(res.Message, tt.says) {
				t.Errorf("%+v", res)
			}
			if tt.class == "" && out.(map[string]any)["auth"] != "Bearer t0k3n-value" {
				t.Errorf("the credential was lost on its own host: %v", out)
			}
		})
	}
}

func TestACredentialDoesNotFollowToAnotherHost(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(echo))
	t.Cleanup(other.Close)
	w := newWorld(t, parts{top: "auth: { kind: bearer, token: token }\negress: [\"127.0.0.1\"]"}, func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, other.URL+"/x", http.StatusFound)
	})
	res, out := w.run("look", nil)
	if res.Status != connector.OK || out.(map[string]any)["auth"] != "" || out.(map[string]any)["uri"] != "/x" {
		t.Errorf("%+v %v", res, out)
	}
}

func TestAddressesThatAreNotCalled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, parts{}, func(http.ResponseWriter, *http.Request) { t.Error("it was called") })
	w.conn.AllowLoopback = false
	res, _ := w.run("act", map[string]any{"id": "1"})
	if res.Status != connector.Denied || res.Class != connector.Policy || !strings.Contains(res.Message, "allow_loopback") {
		t.Errorf("%+v", res)
	}
}

// resolver answers every question for addresses with what answer gives.
func resolver(t *testing.T, answer func(name string) [4]byte) *net.Resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(b[:n]) != nil || len(m.Questions) == 0 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Additionals = true, nil
			if q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 0}, Body: &dnsmessage.AResource{A: answer(q.Name.String())}}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = pc.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

func TestANameThatLeadsInsideIsNotCalled(t *testing.T) {
	t.Parallel()
	for name, address := range map[string][4]byte{"loopback": {127, 0, 0, 1}, "metadata": {169, 254, 169, 254}, "private": {10, 0, 0, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, parts{}, func(http.ResponseWriter, *http.Request) { t.Error("it was called") })
			w.rt.Resolver = resolver(t, func(string) [4]byte { return address })
			port := w.server.URL[strings.LastIndexByte(w.server.URL, ':'):]
			w.config["base_url"] = "http://api.example.com" + port
			w.conn.AllowLoopback = false
			res, _ := w.run("look", nil)
			if res.Status != connector.Denied || !strings.Contains(res.Message, "the administrator can allow") {
				t.Errorf("%+v", res)
			}
		})
	}
}

func TestANameThatChangesItsMindIsJudgedAtEachConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, parts{}, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Connection", "close")
		fmt.Fprint(rw, `{}`)
	})
	var asked atomic.Int64
	w.rt.Resolver = resolver(t, func(string) [4]byte {
		if asked.Add(1) == 1 {
			return [4]byte{127, 0, 0, 1} // allowed below
		}
		return [4]byte{169, 254, 169, 254}
	})
	w.config["base_url"] = "http://api.example.com" + w.server.URL[strings.LastIndexByte(w.server.URL, ':'):]
	if res, _ := w.run("look", nil); res.Status != connector.OK {
		t.Fatalf("%+v", res)
	}
	if res, _ := w.run("look", nil); res.Status != connector.Denied || !strings.Contains(res.Message, "metadata") {
		t.Errorf("%+v", res)
	}
}

func TestWhereNoConnectionIsMadeNothingHasLeft(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	_ = l.Close()
	tests := []struct {
		name, base string
		class      connector.Class
		says       string
	}{
		{"refused", "http://" + closed, connector.Transient, "refuses the connection"},
		{"no such name", "http://no-such-name.invalid", connector.Permanent, "there is no host no-such-name.invalid"},
		{"no TLS", "", connector.Permanent, "does not speak TLS"},
		{"no base URL", "ftp://x", connector.Invalid, "the base URL is no address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, parts{}, echo)
			w.config["base_url"] = tt.base
			if tt.base == "" {
				w.config["base_url"] = strings.Replace(w.server.URL, "http:", "https:", 1)
			}
			if strings.Contains(tt.base, "invalid") {
				w.rt.Resolver = noNames(t)
			}
			res, _ := w.run("act", map[string]any{"id": "1"})
			if res.Status != connector.Failed || res.Class != tt.class || !strings.Contains(res.Message, tt.says) {
				t.Errorf("%+v", res)
			}
		})
	}
}

// noNames is a resolver that knows no name.
func noNames(t *testing.T) *net.Resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(b[:n]) != nil {
				continue
			}
			m.Response, m.RCode, m.Additionals = true, dnsmessage.RCodeNameError, nil
			if out, err := m.Pack(); err == nil {
				_, _ = pc.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	var made atomic.Int64
	w := newWorld(t, parts{}, nil)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			made.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	w.config["base_url"] = srv.URL
	for range 20 {
		if res, _ := w.run("look", nil); res.Status != connector.OK {
			t.Fatalf("%+v", res)
		}
	}
	if n := made.Load(); n != 1 {
		t.Errorf("%d connections were made", n)
	}
}

func TestACallEndsWhenItIsCancelled(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	w := newWorld(t, parts{}, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	if res, _ := w.runCtx(ctx, "act", map[string]any{"id": "1"}); res.Status != connector.Unknown || res.Class != connector.Cancelled {
		t.Errorf("%+v", res)
	}
}
