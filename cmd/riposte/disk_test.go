package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mounted gives a server whose data lies on a small file system of its own.
func mounted(t *testing.T) (p *process, dir string) {
	t.Helper()
	dir = t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("a file system of its own cannot be mounted here: %v: %s", err, out)
	}
	p = newProcess(t, filepath.Join(dir, "data"))
	t.Cleanup(func() {
		p.kill()
		_ = exec.Command("umount", "-l", dir).Run()
	})
	return p, dir
}

// refused sends until the server says that it cannot take anything, and checks
// that it says so as it should.
func (p *process) refused(s *sender, want string) {
	p.t.Helper()
	p.until("a refusal", time.Minute, func() bool { return !s.post(p, s.batch()) })
	a := s.last // a smaller one may still find room
	var problem struct{ Type, Detail string }
	if a.err != nil || json.Unmarshal(a.body, &problem) != nil {
		p.t.Fatalf("%v: %s", a.err, a.body)
	}
	if a.code != http.StatusServiceUnavailable || a.kind != "application/problem+json" || !strings.Contains(problem.Detail, want) {
		p.t.Errorf("the sender is told %d %s %+v, want 503 and %q", a.code, a.kind, problem, want)
	}
	p.until(fmt.Sprintf("the log to say %q", want), 10*time.Second, func() bool { return strings.Contains(p.log.String(), want) })
	if a := p.send(http.MethodGet, "/api/alerts?limit=1", nil); a.code != http.StatusOK {
		p.t.Errorf("what is there cannot be read any more: %d %s", a.code, a.body)
	}
}

// recovers waits until the server takes events again by itself.
func (p *process) recovers(o *outside, s *sender) {
	p.t.Helper()
	p.until("the server to take events again", time.Minute, func() bool { return s.post(p, s.batch()) })
	p.settle(o, s)
	p.judge(o, s)
}

func TestAServerOnAFullDiskSaysSoLosesNothingAndRecovers(t *testing.T) {
	p, dir := mounted(t)
	o, s := newOutside(t), &sender{stored: map[int]int{}}
	p.start()
	p.setUp(o)
	s.load(p, 2)
	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	f.Close()
	p.refused(s, "disk is full")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	p.recovers(o, s)
}

func TestAServerWhoseDatabaseIsHeldSaysSoLosesNothingAndRecovers(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := newProcess(t, data)
	o, s := newOutside(t), &sender{stored: map[int]int{}}
	p.start()
	p.setUp(o)
	s.load(p, 2)
	other, err := sql.Open("sqlite", filepath.Join(data, "riposte.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	c, err := other.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ExecContext(context.Background(), "PRAGMA busy_timeout = 30000; BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	p.refused(s, "another program")
	if _, err := c.ExecContext(context.Background(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	p.recovers(o, s)
}

func TestAServerOnAReadOnlyDiskDoesNotStartAndSaysWhy(t *testing.T) {
	p, dir := mounted(t)
	p.start()
	p.kill()
	remount := func(how string) {
		if out, err := exec.Command("mount", "-o", "remount,"+how, dir).CombinedOutput(); err != nil {
			t.Skipf("the file system cannot be remounted: %v: %s", err, out)
		}
	}
	remount("ro")
	if url := <-p.spawn(); url != "" {
		t.Errorf("it is ready at %s", url)
	}
	if err := <-p.ended; err == nil || !strings.Contains(p.log.String(), "writable") {
		t.Errorf("it ended with %v:\n%s", err, p.log)
	}
	remount("rw")
	p.start()
	p.must(http.MethodGet, "/api/alerts?limit=1", nil, nil)
}
