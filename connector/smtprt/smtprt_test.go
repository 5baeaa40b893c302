package smtprt

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"riposte/connector"
)

// mailServer speaks enough SMTP to be told mails; say overrides the reply to a
// command.
type mailServer struct {
	mu    sync.Mutex
	mails []string
	said  []string
	say   map[string]string
	drop  string // the connection ends instead of an answer to this
}

func (m *mailServer) start(t *testing.T) int {
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
			go m.serve(c)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func (m *mailServer) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	fmt.Fprint(c, "220 test\r\n")
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		word = strings.ToUpper(word)
		m.mu.Lock()
		m.said = append(m.said, strings.TrimSpace(line))
		m.mu.Unlock()
		if word == m.drop {
			return
		}
		if text := m.say[word]; text != "" {
			fmt.Fprint(c, text+"\r\n")
			continue
		}
		switch word {
		case "DATA":
			fmt.Fprint(c, "354 go\r\n")
			var mail strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				mail.WriteString(line)
			}
			if m.drop == "." {
				return
			}
			m.mu.Lock()
			m.mails = append(m.mails, mail.String())
			m.mu.Unlock()
			fmt.Fprint(c, "250 taken\r\n")
		case "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			return
		default:
			fmt.Fprint(c, "250 ok\r\n")
		}
	}
}

func send(t *testing.T, port int, inputs map[string]any) (connector.Result, any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	s := &Sender{Templates: fstest.MapFS{"bad-mail.txt": {Data: []byte("Subject: About ${{ with.what }}\n\nDear ${{ with.who }},\nthank you.\n")}, "broken.txt": {Data: []byte("hello")}}}
	return s.Send(ctx, &connector.Invocation{
		Call: connector.Call{Inputs: inputs, Key: "run-1/step-2"}, Now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC),
		Connection: &connector.Connection{Name: "mail", AllowLoopback: true},
		Config:     map[string]any{"host": "127.0.0.1", "port": port, "tls": "none", "from": "soc@example.com"},
	})
}

func TestAMailIsSent(t *testing.T) {
	t.Parallel()
	m := &mailServer{}
	port := m.start(t)
	res, _ := send(t, port, map[string]any{"to": []any{"ann@example.com", "bob@example.com"}, "subject": "Grüße", "text": "Line one\n.\nüber\n"})
	if res.Status != connector.OK || !strings.HasSuffix(res.External, "@example.com>") {
		t.Fatalf("%+v", res)
	}
	got := m.mails[0]
	for _, want := range []string{
		"From: <soc@example.com>\r\n", "To: ann@example.com, bob@example.com\r\n", "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n",
		"Date: Tue, 24 Nov 2026 12:00:00 +0000\r\n", "Message-ID: " + res.External, "\r\n\r\nLine one\r\n..\r\n=C3=BCber\r\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	again, _ := send(t, port, map[string]any{"to": "ann@example.com", "subject": "s", "text": "t"})
	if again.External != res.External {
		t.Error("another attempt of the step has another Message-ID")
	}
}

func TestAMailFromATemplate(t *testing.T) {
	t.Parallel()
	m := &mailServer{}
	res, _ := send(t, m.start(t), map[string]any{"to": "ann@example.com", "template": "bad-mail", "with": map[string]any{"what": "mail 7", "who": "Ann"}})
	if res.Status != connector.OK || !strings.Contains(m.mails[0], "Subject: About mail 7\r\n") || !strings.Contains(m.mails[0], "Dear Ann,\r\nthank you.") {
		t.Errorf("%+v\n%s", res, m.mails)
	}
}

func TestHowSendingFails(t *testing.T) {
	t.Parallel()
	good := map[string]any{"to": "ann@example.com", "subject": "s", "text": "t"}
	tests := []struct {
		name   string
		server mailServer
		inputs map[string]any
		class  connector.Class
		says   string
	}{
		{"no such recipient", mailServer{say: map[string]string{"RCPT": "550 no such user"}}, good, connector.NotFound, "the recipient ann@example.com: 550 no such user"},
		{"try later", mailServer{say: map[string]string{"RCPT": "451 greylisted"}}, good, connector.Transient, "451"},
		{"the sender is refused", mailServer{say: map[string]string{"MAIL": "530 log in first"}}, good, connector.Auth, "530"},
		{"the mail is refused", mailServer{say: map[string]string{"DATA": "554 spam"}}, good, connector.Permanent, "554"},
		{"the connection breaks before the mail", mailServer{drop: "RCPT"}, good, connector.Transient, "broke"},
		{"the connection breaks after the mail", mailServer{drop: "."}, good, connector.UnknownOutcome, "no answer came"},
		{"a recipient that is none", mailServer{}, map[string]any{"to": "ann", "subject": "s", "text": "t"}, connector.Invalid, "no mail address"},
		{"a line break in the subject", mailServer{}, map[string]any{"to": "ann@example.com", "subject": "a\r\nBcc: x@example.com", "text": "t"}, connector.Invalid, "line break"},
		{"no such template", mailServer{}, map[string]any{"to": "ann@example.com", "template": "../x"}, connector.Invalid, "no mail template"},
		{"a template without a subject", mailServer{}, map[string]any{"to": "ann@example.com", "template": "broken"}, connector.Permanent, "does not begin with Subject:"},
	}
	for i := range tests {
		tt := &tests[i]
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res, _ := send(t, tt.server.start(t), tt.inputs)
			if res.Status != connector.Failed || res.Class != tt.class || !strings.Contains(res.Message, tt.says) {
				t.Errorf("%+v, want %s with %q", res, tt.class, tt.says)
			}
		})
	}
}

func TestAServerThatMayNotBeCalled(t *testing.T) {
	t.Parallel()
	res, _ := new(Sender).Send(t.Context(), &connector.Invocation{
		Call:       connector.Call{Inputs: map[string]any{"to": "ann@example.com", "subject": "s", "text": "t"}},
		Connection: &connector.Connection{Name: "mail"}, Config: map[string]any{"host": "169.254.169.254", "from": "soc@example.com"},
	})
	if res.Class != connector.Policy || !strings.Contains(res.Message, "metadata") {
		t.Errorf("%+v", res)
	}
}

func TestAServerThatHangs(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	res, _ := new(Sender).Send(ctx, &connector.Invocation{
		Call:       connector.Call{Inputs: map[string]any{"to": "ann@example.com", "subject": "s", "text": "t"}},
		Connection: &connector.Connection{Name: "mail", AllowLoopback: true},
		Config:     map[string]any{"host": "127.0.0.1", "port": l.Addr().(*net.TCPAddr).Port, "tls": "none", "from": "soc@example.com"},
	})
	if res.Class != connector.Timeout {
		t.Errorf("%+v", res)
	}
}

func TestThePortOfAConnectionIsUsedHoweverItsNumberWasRead(t *testing.T) {
	t.Parallel()
	for _, port := range []any{2525, float64(2525)} {
		s, err := serverOf(&connector.Invocation{Connection: &connector.Connection{}, Config: map[string]any{"host": "mail.example.org", "port": port}})
		if err != nil || s.port != "2525" {
			t.Errorf("%T: port %s, %v", port, s.port, err)
		}
	}
}
