package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// asRiposte makes this test binary be riposte itself, so that a test can kill
// the program and not only a part of it.
const asRiposte = "RIPOSTE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asRiposte) != "" {
		main()
	}
	os.Exit(m.Run())
}

// process is a server in a process of its own. Its folder outlives it.
type process struct {
	t        *testing.T
	config   string // the file
	url      string
	cookie   string
	password string
	cmd      *exec.Cmd
	log      *lines
	ended    chan error
}

// lines collects what a process writes, for whoever reads along.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const worldPolicy = `rules:
  - rule: all
    reason: Nothing here can do harm.
    then: allow
`

const worldLimits = `limits:
  - limit: ample
    reason: This is no test of limits.
    for: { kind: [ip] }
    hour: 1000000
    over: { by: role:soc-lead, within: 1h }
`

// newProcess prepares a server whose data lies in a folder.
func newProcess(t *testing.T, data string) *process {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("connectors/world/connector.yaml", worldConnector())
	config := write("riposte.yaml", fmt.Sprintf("listen: 127.0.0.1:0\ndata: %s\nconnectors: %s\nguard: { policy: %s, limits: %s }\nsources:\n  sensor: { type: webhook, mapping: generic-json, token_file: %s }\n",
		data, filepath.Join(dir, "connectors"), write("policy.yaml", worldPolicy), write("limits.yaml", worldLimits), write("token", "sender")))
	p := &process{t: t, config: config}
	t.Cleanup(p.kill)
	return p
}

// spawn starts the process and does not wait until it is ready.
func (p *process) spawn() (ready <-chan string) {
	p.t.Helper()
	p.cmd = exec.Command(os.Args[0], "--json", "serve", "--config", p.config)
	p.cmd.Env = append(os.Environ(), asRiposte+"=1")
	p.log, p.ended = &lines{}, make(chan error, 1)
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	told := make(chan string, 1)
	cmd, ended := p.cmd, p.ended
	go func() {
		var said struct{ URL string }
		if json.NewDecoder(out).Decode(&said) == nil {
			told <- said.URL
		}
		close(told)
		_, _ = io.Copy(io.Discard, out)
		ended <- cmd.Wait()
		close(ended)
	}()
	return told
}

var firstPassword = regexp.MustCompile(`with the password\n\n +(\S+)`)

// start starts the process, waits until it is ready and signs in.
func (p *process) start() {
	p.t.Helper()
	ready := p.spawn()
	select {
	case p.url = <-ready:
	case <-time.After(time.Minute):
	}
	if p.url == "" {
		p.kill()
		p.t.Fatalf("the server is not ready:\n%s", p.log)
	}
	if p.cookie != "" {
		return
	}
	// It comes by another pipe than that the server is ready.
	p.until("the first password", 10*time.Second, func() bool {
		m := firstPassword.FindStringSubmatch(p.log.String())
		if m != nil {
			p.password = m[1]
		}
		return m != nil
	})
	p.signIn()
}

func (p *process) signIn() {
	p.t.Helper()
	body, err := json.Marshal(map[string]string{"name": "admin", "password": p.password})
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := http.Post(p.url+"/api/session", "application/json", bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	for _, c := range res.Cookies() {
		p.cookie = c.Name + "=" + c.Value
	}
	if p.cookie == "" {
		p.t.Fatalf("sign in: %s", res.Status)
	}
}

// kill ends the process at once, wherever it is.
func (p *process) kill() {
	if p.cmd == nil || p.cmd.Process == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	for range p.ended { // also where it has ended by itself
	}
}

// answered is what a server has said, or why it has not.
type answered struct {
	code int
	kind string
	body []byte
	err  error
}

// send sends a request: a text as it is, all else as JSON.
func (p *process) send(method, path string, body any) answered {
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return answered{err: err}
		}
		r = bytes.NewReader(raw)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, r)
	if err != nil {
		return answered{err: err}
	}
	req.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(path, "/api/ingest/") {
		req.Header.Set("Authorization", "Bearer sender")
	} else {
		req.Header.Set("Cookie", p.cookie)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answered{err: err}
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	return answered{code: res.StatusCode, kind: res.Header.Get("Content-Type"), body: raw, err: err}
}

// must sends what has to succeed and reads the answer.
func (p *process) must(method, path string, body, into any) {
	p.t.Helper()
	a := p.send(method, path, body)
	if a.err != nil || a.code >= 300 {
		p.t.Fatalf("%s %s: %d %v\n%s\n%s", method, path, a.code, a.err, a.body, p.log)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		p.t.Fatalf("%s %s: %v\n%s", method, path, err, a.body)
	}
}

// pages reads a whole list, page by page.
func pages[T any](p *process, path string) (all []T) {
	p.t.Helper()
	cursor := ""
	for {
		var page struct {
			Items []T    `json:"items"`
			Next  string `json:"next_cursor"`
		}
		p.must(http.MethodGet, path+cursor, nil, &page)
		all = append(all, page.Items...)
		if page.Next == "" {
			return all
		}
		cursor = "&cursor=" + page.Next
	}
}

// until asks again and again until it holds.
func (p *process) until(what string, within time.Duration, ok func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(within)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain for %s\n%s", what, p.log)
		}
		<-tick.C
	}
}
