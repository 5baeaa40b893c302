package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"riposte/internal/auth"
)

//go:embed files
var files embed.FS

const (
	person   = "bench"
	password = "only for the benchmarks, thrown away"
	token    = "benchmarks-send-with-this-token-0123456789"
)

// server is a candidate at work in a process of its own.
type server struct {
	url  string
	pid  int
	data string
	cmd  *exec.Cmd
	log  string
	took time.Duration // from its start to its first answer
}

// config is what an installation would have: one person, two sources, the
// connector of the mock, and limits that stay out of the way.
const config = `listen: %s
data: %s
database: %q
connectors: %s
log: { level: warn }
guard: { limits: %s }
people:
  bench: { roles: [admin], password_hash: "%s" }
sources:
  bench: { type: webhook, mapping: generic-json, token_hash: %s }
  bench-eve: { type: webhook, mapping: suricata-eve, token_hash: %[7]s }
`

// prepare makes a folder for riposte serve on a database; "" is the file in it.
func (b *bench) prepare(database string) (dir string, err error) {
	if dir, err = b.folder("riposte"); err != nil {
		return "", err
	}
	tree, err := fs.Sub(files, "files")
	if err != nil {
		return "", err
	}
	if err := os.CopyFS(filepath.Join(dir, "files"), tree); err != nil {
		return "", err
	}
	hash, err := auth.NewPasswordHash(password, rand.Reader)
	if err != nil {
		return "", err
	}
	address, err := freeAddress(b.ctx)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(token))
	text := fmt.Sprintf(config, address, filepath.Join(dir, "data"), database, filepath.Join(dir, "files", "connectors"),
		filepath.Join(dir, "files", "limits.yaml"), hash, hex.EncodeToString(sum[:]))
	return dir, os.WriteFile(filepath.Join(dir, "riposte.yaml"), []byte(text), 0o600)
}

func freeAddress(ctx context.Context) (string, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// serve starts riposte serve on a prepared folder and waits until it is ready.
func (b *bench) serve(dir string) (*server, error) {
	text, err := os.ReadFile(filepath.Join(dir, "riposte.yaml"))
	if err != nil {
		return nil, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	program, err := filepath.Abs(b.riposte)
	if err != nil {
		return nil, err
	}
	s := &server{url: "http://" + strings.TrimPrefix(line, "listen: "), data: filepath.Join(dir, "data"), log: filepath.Join(dir, "log")}
	s.cmd = exec.CommandContext(b.ctx, program, "serve", "--config", filepath.Join(dir, "riposte.yaml"))
	return s, s.begin(b.ctx, "/api/health")
}

// serveFloor starts the floor program.
func (b *bench) serveFloor(mock, store string) (*server, error) {
	program, err := b.floor()
	if err != nil {
		return nil, err
	}
	dir, err := b.folder("floor")
	if err != nil {
		return nil, err
	}
	address, err := freeAddress(b.ctx)
	if err != nil {
		return nil, err
	}
	s := &server{url: "http://" + address, data: filepath.Join(dir, "data"), log: filepath.Join(dir, "log")}
	s.cmd = exec.CommandContext(b.ctx, program, "-addr", address, "-mock", mock, "-store", store, "-data", s.data)
	return s, s.begin(b.ctx, "/")
}

// begin starts the process and asks until it answers.
func (s *server) begin(ctx context.Context, path string) error {
	f, err := os.Create(s.log)
	if err != nil {
		return err
	}
	defer f.Close()
	s.cmd.Stdout, s.cmd.Stderr = f, f
	begin := time.Now()
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start %s (make build makes it): %w", s.cmd.Path, err)
	}
	s.pid = s.cmd.Process.Pid
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	client := &http.Client{Timeout: 10 * time.Second}
	for time.Since(begin) < time.Minute {
		if r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, http.NoBody); err == nil {
			if res, err := client.Do(r); err == nil {
				_ = res.Body.Close()
				s.took = time.Since(begin)
				return nil
			}
		}
		select {
		case err := <-ended:
			return fmt.Errorf("%s ended: %w: %s", filepath.Base(s.cmd.Path), err, s.said())
		case <-ctx.Done():
			s.stop()
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
	s.stop()
	return fmt.Errorf("%s did not answer within a minute: %s", filepath.Base(s.cmd.Path), s.said())
}

// said is the end of what the process wrote.
func (s *server) said() string {
	b, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-1000):])
}

// stop asks the process to end and waits.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	for range 100 {
		if s.cmd.Process.Signal(syscall.Signal(0)) != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	_ = s.cmd.Process.Kill() // it may have ended already
}

// setUp signs in, connects the mock and publishes the playbook, as a person
// would.
func (s *server) setUp(ctx context.Context, mock string) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	client := &http.Client{Jar: jar, Timeout: time.Minute}
	text, err := files.ReadFile("files/bench-block.playbook.yaml")
	if err != nil {
		return err
	}
	for _, step := range []struct {
		path string
		body any
	}{
		{"/api/session", map[string]string{"name": person, "password": password}},
		{"/api/connections", map[string]any{
			"name": "bench-mock", "connector": "bench-mock", "config": map[string]any{"base_url": mock, "allow_loopback": true},
		}},
		{"/api/playbooks/bench-block/publish", map[string]string{"text": string(text)}},
	} {
		if err := post(ctx, client, s.url+step.path, step.body); err != nil {
			return err
		}
	}
	return nil
}

func post(ctx context.Context, client *http.Client, url string, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode == http.StatusConflict { // the database is from an earlier round
		return nil
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("POST %s: %s: %s", url, res.Status, answer)
	}
	return nil
}

var errLost = errors.New("some were lost or refused")
