package simulated

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Kind is a way to misbehave.
type Kind string

// The ways to misbehave.
const (
	Latency   Kind = "latency"   // answer, but only after Delay
	Broken    Kind = "status"    // answer Status (500 unless given) and do nothing
	Hang      Kind = "hang"      // take the call and never answer
	Garbage   Kind = "garbage"   // answer 200 with JSON that ends in the middle; do nothing
	Huge      Kind = "huge"      // answer 200 with Size bytes (200 MB unless given); do nothing
	Redirect  Kind = "redirect"  // answer 302 to Location (a loopback address unless given); do nothing
	Lost      Kind = "lost"      // do what was asked, then close the connection without an answer
	Slowdown  Kind = "slowdown"  // answer 429 with Retry-After of Delay (1 s unless given); do nothing
	Expired   Kind = "expired"   // answer 401, as if the credential had run out; do nothing
	HTML      Kind = "html"      // answer 200 with a page, as a proxy's login page is; do nothing
	WrongType Kind = "wrongtype" // answer 200 with JSON of another shape: a list of numbers; do nothing
)

var kinds = []Kind{Latency, Broken, Hang, Garbage, Huge, Redirect, Lost, Slowdown, Expired, HTML, WrongType}

// Fault makes a product misbehave on calls that match it.
type Fault struct {
	Kind   Kind   `json:"kind"`
	Method string `json:"method,omitempty"` // empty: any
	Path   string `json:"path,omitempty"`   // a prefix; empty: any
	// Times is how many calls it spoils before it is used up; 0 means all.
	Times int `json:"times,omitempty"`
	// Skip lets so many matching calls pass first.
	Skip     int    `json:"skip,omitempty"`
	DelayMS  int    `json:"delay_ms,omitempty"`
	Status   int    `json:"status,omitempty"`
	Size     int64  `json:"size,omitempty"`
	Location string `json:"location,omitempty"`
}

// hugeBytes is what a lying product sends.
const hugeBytes = 200 << 20

// loopback is where a redirect leads that wants to reach what is not its own.
const loopback = "http://127.0.0.1:1/latest/meta-data/"

// SetFaults replaces the faults that wait. The first that matches a call spoils
// it.
func (p *Product) SetFaults(faults ...Fault) error {
	for i, f := range faults {
		if err := f.valid(); err != nil {
			return fmt.Errorf("fault %d: %w", i+1, err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = slices.Clone(faults)
	return nil
}

// Faults lists the faults that still wait.
func (p *Product) Faults() []Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Fault{}, p.faults...)
}

func (f Fault) valid() error {
	switch {
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("unknown kind %q, expected one of %v", f.Kind, kinds)
	case f.Times < 0 || f.Skip < 0 || f.DelayMS < 0 || f.Size < 0:
		return errors.New("times, skip, delay_ms and size cannot be negative")
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status %d is not from 200 to 599", f.Status)
	}
	return nil
}

func (f Fault) matches(r *http.Request) bool {
	return (f.Method == "" || f.Method == r.Method) && strings.HasPrefix(r.URL.Path, f.Path)
}

// take finds the fault for a call and counts it.
func (p *Product) take(r *http.Request) (Fault, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.faults {
		f := &p.faults[i]
		if !f.matches(r) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			return Fault{}, false
		}
		found := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				p.faults = slices.Delete(p.faults, i, i+1)
			}
		}
		return found, true
	}
	return Fault{}, false
}

// lostKey marks the context of a call whose answer will be thrown away.
type lostKey struct{}

// misbehave spoils the calls that a fault waits for.
func (p *Product) misbehave(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, found := p.take(r)
		if !found {
			next.ServeHTTP(w, r)
			return
		}
		switch f.Kind {
		case Latency:
			if p.pause(r.Context(), f.delay(time.Second)) {
				next.ServeHTTP(w, r)
			}
		case Lost:
			ctx := context.WithValue(r.Context(), lostKey{}, true)
			next.ServeHTTP(&discard{header: http.Header{}}, r.WithContext(ctx))
			hangUp(w)
		case Hang:
			// The body is read, so that the server sees the caller leave.
			_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBody))
			select {
			case <-p.ended:
			case <-r.Context().Done():
			}
			hangUp(w)
		case Broken, Garbage, Huge, Redirect, Slowdown, Expired, HTML, WrongType:
			f.answer(w)
		}
	})
}

// answer is a spoiled answer to a call that nobody looks at.
func (f Fault) answer(w http.ResponseWriter) {
	switch f.Kind {
	case Broken:
		status := f.Status
		if status == 0 {
			status = http.StatusInternalServerError
		}
		write(w, failure(status, "internal", "something went wrong"))
	case Garbage:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id": "x", "status": [ {"a": `)
	case Huge:
		f.writeHuge(w)
	case Redirect:
		to := f.Location
		if to == "" {
			to = loopback
		}
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	case Slowdown:
		w.Header().Set("Retry-After", fmt.Sprint(int(f.delay(time.Second).Seconds())))
		write(w, failure(http.StatusTooManyRequests, "too_many_requests", "slow down"))
	case Expired:
		write(w, failure(http.StatusUnauthorized, "bad_credential", "the credential has run out"))
	case HTML:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>Sign in</title><form><input name=user></form>")
	case WrongType:
		write(w, ok([]int{1, 2, 3}))
	case Latency, Hang, Lost: // spoil the time or the connection, not the answer
	}
}

// writeHuge sends one JSON text that is much too long.
func (f Fault) writeHuge(w http.ResponseWriter) {
	left := f.Size
	if left == 0 {
		left = hugeBytes
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"data":"`)
	chunk := []byte(strings.Repeat("A", 64<<10))
	for left > 0 {
		n, err := w.Write(chunk[:min(int64(len(chunk)), left)])
		if err != nil {
			return // the caller has had enough
		}
		left -= int64(n)
	}
	_, _ = io.WriteString(w, `"}`)
}

func (f Fault) delay(standard time.Duration) time.Duration {
	if f.DelayMS == 0 {
		return standard
	}
	return time.Duration(f.DelayMS) * time.Millisecond
}

// pause waits, and says whether the caller is still there.
func (p *Product) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	case <-p.ended:
		return false
	}
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		conn.Close()
	}
}

// discard takes an answer that nobody will see.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header            { return d.header }
func (d *discard) Write(text []byte) (int, error) { return len(text), nil }
func (d *discard) WriteHeader(int)                {}
