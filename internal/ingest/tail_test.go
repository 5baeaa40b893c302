package ingest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"riposte/internal/alert"
	"riposte/internal/fault"
	"riposte/internal/ingest"
)

// store is a Sink in memory: alerts by identity key, and the last cursor.
type store struct {
	mu     sync.Mutex
	ids    map[string]alert.ID
	titles []string
	cursor []byte
	keys   map[string]bool
	counts map[string]int // how often each was reported, by title
	refuse int            // how many batches to refuse
	came   chan struct{}  // told after each batch
}

func newStore() *store {
	return &store{ids: map[string]alert.ID{}, keys: map[string]bool{}, counts: map[string]int{}, came: make(chan struct{}, 1000)}
}

func (s *store) Take(_ context.Context, b ingest.Batch) ([]ingest.Taken, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse > 0 {
		s.refuse--
		return nil, fmt.Errorf("full: %w", fault.Transient)
	}
	var out []ingest.Taken
	for i, a := range b.Alerts {
		if i < len(b.Keys) && b.Keys[i] != "" {
			if s.keys[b.Keys[i]] {
				out = append(out, ingest.Taken{LeftOut: true})
				continue
			}
			s.keys[b.Keys[i]] = true
		}
		id, seen := s.ids[a.IdentityKey]
		if !seen {
			id = alert.ID(len(s.ids) + 1)
			s.ids[a.IdentityKey] = id
			s.titles = append(s.titles, a.Title)
		}
		s.counts[a.Title]++
		out = append(out, ingest.Taken{ID: id, Duplicate: seen})
	}
	if b.Cursor != nil {
		s.cursor = b.Cursor
	}
	select {
	case s.came <- struct{}{}:
	default:
	}
	return out, nil
}

func (s *store) got() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.titles, " ")
}

// until waits for a batch after which the titles are as wanted.
func (s *store) until(t *testing.T, want string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for s.got() != want {
		select {
		case <-s.came:
		case <-deadline:
			t.Fatalf("got %q, want %q", s.got(), want)
		}
	}
}

func plainMapping(t *testing.T) *alert.Mapping {
	t.Helper()
	m, err := alert.ParseMapping("plain.source.yaml", []byte(`mapping: plain
title: Plain
version: 1
alert:
  when: event.skip != true
  identity: "${{ event.n }}"
  title: "${{ event.n }}"
  severity: "${{ event.severity }}"
`))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// follow starts a tail and returns what stops it and waits for it.
func follow(t *testing.T, path string, s *store, cursor []byte) (stop func()) {
	t.Helper()
	return followEvery(t, path, s, cursor, time.Millisecond)
}

func followEvery(t *testing.T, path string, s *store, cursor []byte, every time.Duration) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	tail := &ingest.Tail{Path: path, Source: ingest.Source{Name: "file", Mapping: plainMapping(t)}, Sink: s, Cursor: cursor, Every: every}
	done := make(chan error, 1)
	go func() { done <- tail.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("tail: %v", err)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func event(n string) string { return fmt.Sprintf("{\"n\": %q}\n", n) }

func TestAFileIsFollowedWhileItGrows(t *testing.T) {
	t.Parallel()
	path, s := filepath.Join(t.TempDir(), "eve.json"), newStore()
	defer follow(t, path, s, nil)() // the file comes later
	write(t, path, event("a")+event("b"))
	s.until(t, "a b")
	write(t, path, `{"n": "c`)
	write(t, path, "\"}\n\n"+event("d"))
	s.until(t, "a b c d")
}

func TestARenamedFileIsReadToItsEndFirst(t *testing.T) {
	t.Parallel()
	path, s := filepath.Join(t.TempDir(), "eve.json"), newStore()
	write(t, path, event("a"))
	defer follow(t, path, s, nil)()
	s.until(t, "a")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, path+".1", event("b"))
	write(t, path, event("c"))
	s.until(t, "a b c")
}

func TestACopiedAndTruncatedFileBeginsAnew(t *testing.T) {
	t.Parallel()
	path, s := filepath.Join(t.TempDir(), "eve.json"), newStore()
	write(t, path, event("a")+event("b"))
	defer follow(t, path, s, nil)()
	s.until(t, "a b")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	write(t, path, event("c"))
	s.until(t, "a b c")
}

func TestRotationsWhileNobodyLookedLoseNothing(t *testing.T) {
	t.Parallel()
	path, s := filepath.Join(t.TempDir(), "eve.json"), newStore()
	write(t, path, event("a"))
	stop := follow(t, path, s, nil)
	s.until(t, "a")
	stop()
	begin := time.Now().Add(-time.Hour)
	write(t, path, event("b"))
	for i, name := range []string{".2", ".1"} {
		if err := os.Rename(path, path+name); err != nil {
			t.Fatal(err)
		}
		at := begin.Add(time.Duration(i) * time.Minute)
		if err := os.Chtimes(path+name, at, at); err != nil {
			t.Fatal(err)
		}
		write(t, path, event([]string{"c", "d"}[i]))
	}
	defer follow(t, path, s, s.cursor)()
	s.until(t, "a b c d")
}

func TestARestartGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	path, s := filepath.Join(t.TempDir(), "eve.json"), newStore()
	write(t, path, event("a")+event("b"))
	stop := follow(t, path, s, nil)
	s.until(t, "a b")
	stop()
	write(t, path, event("c"))
	after := newStore()
	defer follow(t, path, after, s.cursor)()
	after.until(t, "c")
}

func TestWhatTheSinkRefusesIsHandedOverAgain(t *testing.T) {
	t.Parallel()
	path, s := filepath.Join(t.TempDir(), "eve.json"), newStore()
	s.refuse = 3
	write(t, path, event("a")+event("b"))
	defer follow(t, path, s, nil)()
	s.until(t, "a b")
}

func TestALineThatCannotBeReadIsKept(t *testing.T) {
	t.Parallel()
	path, s := filepath.Join(t.TempDir(), "eve.json"), newStore()
	write(t, path, "not json\n"+event("a")+`{"skip": true, "n": 1}`+"\n"+event("b"))
	defer follow(t, path, s, nil)()
	s.until(t, "Event that could not be read a b")
}

// A daemon goes on writing into a renamed file until it is told of the rotation.
func TestARenamedFileIsFollowedWhileItStillGrows(t *testing.T) {
	t.Parallel()
	path, s := filepath.Join(t.TempDir(), "eve.json"), newStore()
	write(t, path, event("a"))
	const every = 100 * time.Millisecond
	defer followEvery(t, path, s, nil, every)()
	s.until(t, "a")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, path, event("c"))
	<-time.After(2 * every) // the rotation has been seen
	write(t, path+".1", event("b"))
	s.until(t, "a b c")
}
