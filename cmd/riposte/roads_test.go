package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"

	"riposte/internal/demo/simulated"
)

// senders are what the roads lead to: they live on while the program is killed.
type senders struct {
	t        *testing.T
	mails    *imapmemserver.User
	port     int
	products *simulated.Products
	sent     int
}

func newSenders(t *testing.T) *senders {
	t.Helper()
	s := &senders{t: t, mails: imapmemserver.NewUser("soc", "pw")}
	if err := s.mails.Create("INBOX", nil); err != nil {
		t.Fatal(err)
	}
	all := imapmemserver.New()
	all.AddUser(s.mails)
	server := imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return all.NewSession(), nil, nil
		},
		InsecureAuth: true, Caps: imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapIMAP4rev2: {}}, Logger: mute{},
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // it ends with the listener
	}()
	if s.products, err = simulated.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Close()
		<-done
		if err := s.products.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

type mute struct{}

func (mute) Printf(string, ...any) {}

type sized struct{ *strings.Reader }

func (s sized) Size() int64 { return s.Reader.Size() }

var _ io.Reader = sized{}

// send gives each road one thing.
func (s *senders) send() {
	s.t.Helper()
	s.sent++
	n := s.sent
	mail := fmt.Sprintf("From: eve@evil.example\r\nMessage-ID: <%d@evil.example>\r\nSubject: m%d\r\n\r\nhello\r\n", n, n)
	_, err := s.mails.Append("INBOX", sized{strings.NewReader(mail)}, &imap.AppendOptions{})
	if err == nil {
		body := fmt.Sprintf(`{"id":"p%d","name":"p%d","severity":"low","host":"h","technique":"T1204"}`, n, n)
		var req *http.Request
		req, err = http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.products.EDR.URL+"/api/v1/detections", strings.NewReader(body))
		if err == nil {
			req.Header.Set("Authorization", "Bearer "+s.products.EDR.Secret)
			var res *http.Response
			if res, err = http.DefaultTransport.RoundTrip(req); err == nil {
				res.Body.Close()
			}
		}
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// configure adds the roads to a program's configuration.
func (s *senders) configure(p *process) {
	s.t.Helper()
	password := filepath.Join(filepath.Dir(p.config), "mail-password")
	text, err := os.ReadFile(p.config)
	if err == nil {
		err = os.WriteFile(password, []byte("pw\n"), 0o600)
	}
	if err == nil {
		err = os.WriteFile(p.config, append(text, fmt.Sprintf(`  mails: { type: imap, host: 127.0.0.1, port: %d, security: plain, user: soc, password_file: %s, after: seen }
  found: { type: pull, connection: edr, every: 1s }
`, s.port, password)...), 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// reports counts the alerts of a source, and how often they were reported.
func (p *process) reports(source string) (alerts, reports int) {
	for cursor := ""; ; {
		var page struct {
			Items []struct{ Count int }
			Next  string `json:"next_cursor"`
		}
		path := "/api/alerts?limit=200&source=" + source
		if cursor != "" {
			path += "&cursor=" + cursor
		}
		p.must(http.MethodGet, path, nil, &page)
		for _, a := range page.Items {
			alerts, reports = alerts+1, reports+a.Count
		}
		if cursor = page.Next; cursor == "" {
			return alerts, reports
		}
	}
}

func TestMailboxesAndPullsLoseAndDoubleNothingHoweverOftenTheProgramIsKilled(t *testing.T) {
	t.Parallel()
	lives := 3
	if os.Getenv(longTests) != "" {
		lives = 50
	}
	s, p := newSenders(t), newProcess(t, t.TempDir())
	s.configure(p)
	p.start()
	p.must(http.MethodPost, "/api/connections", map[string]any{
		"name": "edr", "connector": "edr-sim", "config": map[string]any{"base_url": s.products.EDR.URL, "allow_loopback": true},
		"secrets": map[string]string{"token": s.products.EDR.Secret},
	}, nil)
	for life := range lives {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(100+300*life%1000)*time.Millisecond)
		tick := time.NewTicker(10 * time.Millisecond)
		for ctx.Err() == nil {
			s.send()
			<-tick.C
		}
		tick.Stop()
		cancel()
		p.kill()
		s.send() // while nobody is there
		p.start()
	}
	for _, source := range []string{"mails", "found"} {
		p.until("everything that "+source+" gave", 60*time.Second, func() bool {
			n, _ := p.reports(source)
			return n >= s.sent
		})
		if alerts, reports := p.reports(source); alerts != s.sent || reports != s.sent {
			t.Errorf("%s: %d were sent, there are %d alerts, reported %d times", source, s.sent, alerts, reports)
		}
	}
	t.Logf("%d of each, killed %d times", s.sent, lives)
}
