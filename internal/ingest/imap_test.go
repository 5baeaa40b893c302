package ingest_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"

	"riposte/content"
	"riposte/internal/alert"
	"riposte/internal/ingest"
)

// postOffice is a mail server in memory with one account.
type postOffice struct {
	t    *testing.T
	user *imapmemserver.User
	port int
}

func newPost(t *testing.T, caps imap.CapSet, folders ...string) *postOffice {
	t.Helper()
	all := imapmemserver.New()
	p := &postOffice{t: t, user: imapmemserver.NewUser("soc", "pw")}
	for _, f := range folders {
		if err := p.user.Create(f, nil); err != nil {
			t.Fatal(err)
		}
	}
	all.AddUser(p.user)
	server := imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return all.NewSession(), nil, nil
		},
		InsecureAuth: true, Caps: caps, Logger: silent{},
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.port = l.Addr().(*net.TCPAddr).Port
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // it ends with the listener
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return p
}

// silent keeps the server's complaints about clients that hang up to itself.
type silent struct{}

func (silent) Printf(string, ...any) {}

func letter(subject string) string {
	return "From: Eve <eve@evil.example>\r\nTo: soc@example.org\r\nMessage-ID: <" + subject + "@evil.example>\r\nSubject: " + subject +
		"\r\nDate: Mon, 5 Jan 2026 09:00:00 +0000\r\n\r\nSee http://198.51.100.7/pay\r\n"
}

type literal struct {
	io.Reader
	size int64
}

func (l literal) Size() int64 { return l.size }

func (p *postOffice) deliver(folder string, mails ...string) {
	p.t.Helper()
	for _, m := range mails {
		if _, err := p.user.Append(folder, literal{strings.NewReader(m), int64(len(m))}, &imap.AppendOptions{}); err != nil {
			p.t.Fatal(err)
		}
	}
}

// left counts the mails of a folder, and those that nobody has read.
func (p *postOffice) left(folder string) (all, unseen uint32) {
	p.t.Helper()
	s, err := p.user.Status(folder, &imap.StatusOptions{NumMessages: true, NumUnseen: true})
	if err != nil {
		p.t.Fatal(err)
	}
	return *s.NumMessages, *s.NumUnseen
}

// moved counts the mails of a folder that may not be there.
func (p *postOffice) moved(folder string) uint32 {
	s, err := p.user.Status(folder, &imap.StatusOptions{NumMessages: true})
	if err != nil {
		return 0
	}
	return *s.NumMessages
}

func mailMapping(t *testing.T) *alert.Mapping {
	t.Helper()
	src, err := content.Files().Open("sources/mail.source.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	text, err := io.ReadAll(src)
	if err != nil {
		t.Fatal(err)
	}
	m, err := alert.ParseMapping("mail.source.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// read starts reading a folder and returns what stops it.
func (p *postOffice) read(s *store, folder string, change func(*ingest.Mailbox)) (stop func()) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	server := ingest.IMAP{Host: "127.0.0.1", Port: p.port, Security: "plain", User: "soc", Password: "pw", Poll: 10 * time.Millisecond}
	b := &ingest.Mailbox{
		Source: ingest.Source{Name: "mail", Mapping: mailMapping(p.t)}, Sink: s, Dial: server.Dial, Folder: folder, Of: "soc@test", Cursor: s.cursor,
		Keep: func(context.Context, []byte) (string, error) { return "kept", nil },
	}
	if change != nil {
		change(b)
	}
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			p.t.Errorf("mailbox: %v", err)
		}
	})
}

func subjects(names ...string) string {
	for i, n := range names {
		names[i] = "Mail: " + n + " from eve@evil.example"
	}
	return strings.Join(names, " ")
}

func (s *store) eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%s has not come about; there is %q", what, s.got())
		}
	}
}

func TestMailsBecomeAlertsAsTheyCome(t *testing.T) {
	t.Parallel()
	for name, caps := range map[string]imap.CapSet{
		"with IDLE":    {imap.CapIMAP4rev1: {}, imap.CapIMAP4rev2: {}},
		"without IDLE": {imap.CapIMAP4rev1: {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, s := newPost(t, caps, "INBOX"), newStore()
			p.deliver("INBOX", letter("a"), letter("b"))
			stop := p.read(s, "INBOX", nil)
			s.until(t, subjects("a", "b"))
			p.deliver("INBOX", letter("c"))
			s.until(t, subjects("a", "b", "c"))
			stop()
			p.deliver("INBOX", letter("d"))
			defer p.read(s, "INBOX", nil)()
			s.until(t, subjects("a", "b", "c", "d"))
			if all, unseen := p.left("INBOX"); all != 4 || unseen != 4 {
				t.Errorf("%d mails are left, %d unseen; want all 4 as they were", all, unseen)
			}
		})
	}
}

func TestNewsOfAMailComesAtOnce(t *testing.T) {
	t.Parallel()
	p, s := newPost(t, imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapIdle: {}}, "INBOX"), newStore()
	p.deliver("INBOX", letter("a"))
	defer p.read(s, "INBOX", func(b *ingest.Mailbox) { b.Renew = time.Hour })()
	s.until(t, subjects("a"))
	var slowest time.Duration
	for i := range 5 {
		name := fmt.Sprint("n", i)
		begin := time.Now()
		p.deliver("INBOX", letter(name))
		s.eventually(t, name, func() bool { return strings.Contains(s.got(), name+" from") })
		slowest = max(slowest, time.Since(begin))
	}
	t.Logf("the slowest of 5 mails was there after %s", slowest)
	if slowest > 5*time.Second {
		t.Errorf("a mail was there after %s; nobody waits for it", slowest)
	}
}

func TestWhatBecomesOfAMailOnceItIsStored(t *testing.T) {
	t.Parallel()
	both := imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapIMAP4rev2: {}}
	old := imap.CapSet{imap.CapIMAP4rev1: {}}
	for name, c := range map[string]struct {
		caps   imap.CapSet
		after  ingest.MailAfter
		moveTo string
	}{
		"it is marked as seen":               {both, ingest.AfterSeen, ""},
		"it is moved":                        {both, ingest.AfterMove, "Done"},
		"it is moved by an old server":       {old, ingest.AfterMove, "Done"},
		"it is moved to a folder to be made": {both, ingest.AfterMove, "Made"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, s := newPost(t, c.caps, "INBOX", "Done"), newStore()
			p.deliver("INBOX", letter("a"), letter("b"))
			var mu sync.Mutex
			told := ""
			defer p.read(s, "INBOX", func(b *ingest.Mailbox) {
				b.After, b.MoveTo = c.after, c.moveTo
				b.Tell = func(problem string) {
					mu.Lock()
					told = problem
					mu.Unlock()
				}
			})()
			s.until(t, subjects("a", "b"))
			s.eventually(t, "what comes after", func() bool {
				if c.after == ingest.AfterSeen {
					_, unseen := p.left("INBOX")
					return unseen == 0
				}
				mu.Lock()
				defer mu.Unlock()
				if told != "" {
					t.Fatal(told)
				}
				return p.moved(c.moveTo) == 2
			})
			p.deliver("INBOX", letter("c"))
			s.until(t, subjects("a", "b", "c"))
		})
	}
}

func TestWhatWasStoredButNotMovedBeforeACrashIsMovedAfterwards(t *testing.T) {
	t.Parallel()
	p, s := newPost(t, imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapIMAP4rev2: {}}, "INBOX", "Done"), newStore()
	p.deliver("INBOX", letter("a"), letter("b"))
	stop := p.read(s, "INBOX", nil)
	s.until(t, subjects("a", "b"))
	stop()
	// As after a crash between the commit and the move.
	s.cursor = []byte(strings.Replace(string(s.cursor), `"last":2`, `"last":2,"todo":[1,2]`, 1))
	if !bytes.Contains(s.cursor, []byte("todo")) {
		t.Fatalf("the cursor is %s", s.cursor)
	}
	defer p.read(s, "INBOX", func(b *ingest.Mailbox) { b.After, b.MoveTo = ingest.AfterMove, "Done" })()
	s.eventually(t, "the move", func() bool {
		there, _ := p.left("Done")
		return there == 2
	})
	if s.got() != subjects("a", "b") || s.counts["Mail: a from eve@evil.example"] != 1 {
		t.Errorf("got %q, counted %v", s.got(), s.counts)
	}
}

func TestNumbersThatBeginAnewDoubleNothing(t *testing.T) {
	t.Parallel()
	p, s := newPost(t, imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapIMAP4rev2: {}}, "Reports"), newStore()
	p.deliver("Reports", letter("a"), letter("b"), letter("c"))
	stop := p.read(s, "Reports", nil)
	s.until(t, subjects("a", "b", "c"))
	stop()
	if err := p.user.Delete("Reports"); err != nil {
		t.Fatal(err)
	}
	if err := p.user.Create("Reports", nil); err != nil {
		t.Fatal(err)
	}
	p.deliver("Reports", letter("d"), letter("a"), letter("b"))
	defer p.read(s, "Reports", nil)()
	s.until(t, subjects("a", "b", "c", "d"))
	p.deliver("Reports", letter("e"))
	s.until(t, subjects("a", "b", "c", "d", "e"))
	for title, n := range s.counts {
		if n != 1 {
			t.Errorf("%q was counted %d times", title, n)
		}
	}
}

func TestReadingMayBeginWithWhatComesFromNowOn(t *testing.T) {
	t.Parallel()
	p, s := newPost(t, imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapIMAP4rev2: {}}, "INBOX"), newStore()
	p.deliver("INBOX", letter("old"))
	defer p.read(s, "INBOX", func(b *ingest.Mailbox) { b.FromNow = true })()
	s.eventually(t, "a cursor", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.cursor) > 0
	})
	p.deliver("INBOX", letter("new"))
	s.until(t, subjects("new"))
}

func TestAMailThatIsLargeIsKeptBesideTheDatabase(t *testing.T) {
	t.Parallel()
	p, s := newPost(t, imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapIMAP4rev2: {}}, "INBOX"), newStore()
	p.deliver("INBOX", letter("large")+strings.Repeat("x", 200_000))
	kept := make(chan int, 1)
	defer p.read(s, "INBOX", func(b *ingest.Mailbox) {
		b.Keep = func(_ context.Context, raw []byte) (string, error) {
			kept <- len(raw)
			return "hash", nil
		}
	})()
	s.until(t, subjects("large"))
	if n := <-kept; n < 200_000 {
		t.Errorf("%d bytes were kept", n)
	}
}

func TestAWrongPasswordIsToldAndNotShown(t *testing.T) {
	t.Parallel()
	p := newPost(t, imap.CapSet{imap.CapIMAP4rev1: {}}, "INBOX")
	server := ingest.IMAP{Host: "127.0.0.1", Port: p.port, Security: "plain", User: "soc", Password: "wrong-secret"}
	_, err := server.Dial(t.Context())
	if err == nil || strings.Contains(err.Error(), "wrong-secret") {
		t.Errorf("got %v", err)
	}
}

// hostile is a mail server that says what it likes.
func hostile(t *testing.T, talk func(r *bufio.Reader, w net.Conn)) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				talk(bufio.NewReader(conn), conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return l.Addr().(*net.TCPAddr).Port
}

// script answers commands by their name until it has nothing to say.
func script(answers map[string]string) func(r *bufio.Reader, w net.Conn) {
	return func(r *bufio.Reader, w net.Conn) {
		fmt.Fprint(w, "* OK [CAPABILITY IMAP4rev1 IDLE] ready\r\n")
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			words := strings.Fields(line)
			if len(words) < 2 {
				continue
			}
			name := strings.ToUpper(words[1])
			if name == "UID" && len(words) > 2 {
				name += " " + strings.ToUpper(words[2])
			}
			answer, ok := answers[name]
			if !ok {
				answer = "<tag> OK done\r\n"
			}
			if _, err := io.WriteString(w, strings.ReplaceAll(answer, "<tag>", words[0])); err != nil {
				return
			}
		}
	}
}

func TestHostileMailServersAreLeft(t *testing.T) {
	t.Parallel()
	opened := "* 1 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 9] x\r\n<tag> OK [READ-WRITE] done\r\n"
	endless := func(r *bufio.Reader, w net.Conn) {
		line := bytes.Repeat([]byte("x"), 64<<10)
		for {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	}
	for name, talk := range map[string]func(r *bufio.Reader, w net.Conn){
		"garbage":                     func(_ *bufio.Reader, w net.Conn) { fmt.Fprint(w, "\x00\xff\x15garbage\r\n\r\n)(*&\r\n") },
		"a line without an end":       endless,
		"an endless capability":       func(r *bufio.Reader, w net.Conn) { fmt.Fprint(w, "* OK [CAPABILITY "); endless(r, w) },
		"a literal of four gigabytes": script(map[string]string{"SELECT": opened, "UID SEARCH": "* SEARCH 1\r\n<tag> OK done\r\n", "UID FETCH": "* 1 FETCH (UID 1 RFC822.SIZE 4294967295 BODY[]<0> {4294967295}\r\n" + strings.Repeat("x", 1<<16)}),
		"four billion mails":          script(map[string]string{"SELECT": opened, "UID SEARCH": "* ESEARCH (TAG \"<tag>\") UID ALL 1:4294967295\r\n<tag> OK done\r\n", "UID FETCH": "<tag> BAD no\r\n"}),
		"a folder that is not there":  script(map[string]string{"SELECT": "<tag> NO no such folder\r\n"}),
		"it hangs up":                 func(_ *bufio.Reader, w net.Conn) { fmt.Fprint(w, "* BYE go away\r\n") },
		"a password that is refused":  script(map[string]string{"LOGIN": "<tag> NO [AUTHENTICATIONFAILED] pw is wrong\r\n"}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ingest.IMAP{Host: "127.0.0.1", Port: hostile(t, talk), Security: "plain", User: "soc", Password: "hunter22"}
			ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
			defer cancel()
			s := newStore()
			b := &ingest.Mailbox{Source: ingest.Source{Name: "mail", Mapping: mailMapping(t)}, Sink: s, Dial: server.Dial, Folder: "INBOX", Of: "x"}
			err := b.Run(ctx)
			if err == nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				t.Error("nothing was wrong")
			}
			t.Log(err)
			if s.got() != "" {
				t.Errorf("alerts came of it: %q", s.got())
			}
		})
	}
}
