// Package load is the mock of the enrichment services and of the firewall, and
// the generator of alerts, in one process: so every candidate is measured in the
// same way. A run counts as done when its block call reaches the mock.
package load

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// idLen is the length of an alert's ID: "alrt" and ten digits.
const idLen = 14

// Mock answers every lookup with the same opinion and every block with ok.
type Mock struct {
	URL     string
	Lookups atomic.Int64
	Blocks  atomic.Int64
	Odd     atomic.Int64 // blocks that name no alert, or one already blocked

	mu      sync.Mutex
	waiting map[string]chan time.Time
	server  *http.Server
}

// StartMock listens on a free port of the loopback.
func StartMock() (*Mock, error) {
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &Mock{URL: "http://" + ln.Addr().String(), waiting: map[string]chan time.Time{}}
	m.server = &http.Server{Handler: m, IdleTimeout: 10 * time.Second, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = m.server.Serve(ln) }() // ends with Close
	return m, nil
}

// Close stops the mock. What is under way is cut off.
func (m *Mock) Close() { _ = m.server.Close() } // nobody waits for its answers any more

func findID(s string) string {
	i := strings.Index(s, "alrt")
	if i < 0 || len(s) < i+idLen {
		return ""
	}
	return s[i : i+idLen]
}

var (
	opinion = []byte(`{"score":92,"verdict":"malicious","confidence":0.97,"tags":["c2","scanner"],"asn":{"number":64500,"name":"EXAMPLE-NET"},"country":"XX","first_seen":"2026-10-02T08:11:04Z","last_seen":"2026-11-22T21:40:19Z","reports":17}`)
	done    = []byte(`{"ok":true}`)
)

// ServeHTTP answers /enrich/KIND and /block/ALERT.
func (m *Mock) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()["Content-Type"] = []string{"application/json"}
	if !strings.HasPrefix(r.URL.Path, "/block") {
		m.Lookups.Add(1)
		_, _ = w.Write(opinion) // the caller has gone: its run says so
		return
	}
	now := time.Now()
	id := findID(r.URL.Path)
	if id == "" {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			id = findID(string(body))
		}
	}
	m.Blocks.Add(1)
	if c := m.take(id); c != nil {
		c <- now
	} else {
		m.Odd.Add(1)
	}
	_, _ = w.Write(done) // the caller has gone: its run says so
}

// expect makes a channel that gets the time of an alert's block.
func (m *Mock) expect(id string) chan time.Time {
	c := make(chan time.Time, 1)
	m.mu.Lock()
	m.waiting[id] = c
	m.mu.Unlock()
	return c
}

// take ends the waiting for a block; nil if nobody waits.
func (m *Mock) take(id string) chan time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.waiting[id]
	delete(m.waiting, id)
	return c
}
