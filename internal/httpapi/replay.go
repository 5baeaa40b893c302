package httpapi

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"riposte/internal/auth"
)

const (
	replayFor      = 24 * time.Hour
	maxReplays     = 10_000
	maxReplayBytes = 64 << 10 // a larger answer is not kept: its key counts as new
)

// replays keeps the answers of requests that carried an idempotency key, for
// those that lost the answer and send the request again. What must not happen
// twice even after a crash (starting a run) is held to its key by the journal;
// this is for everything else, and for the exact answer.
type replays struct {
	now func() time.Time
	mu  sync.Mutex
	// kept is by sender, operation and key.
	kept map[string]*kept
	// order is the keys by age, for forgetting.
	order []string
}

type kept struct {
	sum    [sha256.Size]byte
	at     time.Time
	done   bool
	status int
	header http.Header
	body   []byte
}

func newReplays(now func() time.Time) *replays {
	return &replays{now: now, kept: map[string]*kept{}}
}

// begin takes a key. It gives the answer to send again, or the problem that
// stands against the request; neither: the request is to be worked on.
func (r *replays) begin(key string, sum [sha256.Size]byte) (*kept, *Problem) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.kept[key]; k != nil && r.now().Sub(k.at) < replayFor {
		switch {
		case k.sum != sum:
			return nil, keyReused.problem("this Idempotency-Key came with another body before; use a new key for a new request")
		case !k.done:
			return nil, inFlight.problem("the first request with this Idempotency-Key is still being worked on").with("Retry-After", "1")
		}
		return k, nil
	}
	r.forget()
	r.kept[key] = &kept{sum: sum, at: r.now()}
	r.order = append(r.order, key)
	return nil, nil
}

// forget drops what is old, and the oldest where there are too many.
func (r *replays) forget() {
	n := 0
	for n < len(r.order) {
		k := r.kept[r.order[n]]
		if k != nil && r.now().Sub(k.at) < replayFor && len(r.order)-n < maxReplays {
			break
		}
		delete(r.kept, r.order[n])
		n++
	}
	r.order = append(r.order[:0], r.order[n:]...)
}

// end keeps the answer, or gives the key free where the same request may well
// do better next time.
func (r *replays) end(key string, status int, header http.Header, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.kept[key]
	if k == nil {
		return
	}
	if status == 0 || status >= 500 || status == http.StatusTooManyRequests || len(body) > maxReplayBytes {
		delete(r.kept, key)
		return
	}
	k.done, k.status, k.header, k.body = true, status, header, body
}

// replay answers a repeated POST as it was answered before. It runs behind
// identify: keys of different people are different keys.
func (a *api) replay(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	key := r.Header.Get("Idempotency-Key")
	if key == "" || r.Method != http.MethodPost || isOpen(ctx.Operation()) {
		next(ctx)
		return
	}
	if len(key) > 255 {
		writeProblem(w, r, wrongParameter("Idempotency-Key", "it is longer than 255 characters"))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		writeProblem(w, r, unreadable(err))
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	caller := callerOf(ctx)
	name := caller.Tenant + "\x00" + caller.Name + "\x00" + r.Method + "\x00" + r.URL.Path + "\x00" + key
	before, p := a.replays.begin(name, sha256.Sum256(body))
	switch {
	case p != nil:
		writeProblem(w, r, p)
	case before != nil:
		before.send(w)
	default:
		a.keep(ctx, caller, r, w, name, next)
	}
}

// keep lets the request be worked on and notes its answer.
func (a *api) keep(ctx huma.Context, caller auth.Caller, r *http.Request, w http.ResponseWriter, name string, next func(huma.Context)) {
	note := &notedAnswer{ResponseWriter: w}
	answered := false
	defer func() {
		if !answered { // it panicked: the key must not stay in flight
			a.replays.end(name, 0, nil, nil)
		}
	}()
	next(&identified{humago.NewContext(ctx.Operation(), r, note), caller})
	answered = true
	a.replays.end(name, note.status, answerHeader(w.Header()), note.body.Bytes())
}

// answerHeader is what of an answer's header belongs to the answer itself.
func answerHeader(h http.Header) http.Header {
	keep := http.Header{}
	for _, name := range []string{"Content-Type", "Location", "Etag"} {
		if v := h.Values(name); len(v) > 0 {
			keep[name] = v
		}
	}
	return keep
}

func (k *kept) send(w http.ResponseWriter) {
	for name, values := range k.header {
		w.Header()[name] = values
	}
	w.Header().Set("Idempotency-Replayed", "true")
	w.WriteHeader(k.status)
	_, _ = w.Write(k.body) // the client has gone: nobody is left to tell
}

// unreadable says why a body could not be read.
func unreadable(err error) *Problem {
	p := problemOf(err)
	if p.Status == http.StatusInternalServerError {
		return malformed.problem("the body ended early")
	}
	return p
}

// notedAnswer passes an answer on and keeps a copy.
type notedAnswer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// WriteHeader notes the status.
func (n *notedAnswer) WriteHeader(status int) {
	if n.status == 0 {
		n.status = status
	}
	n.ResponseWriter.WriteHeader(status)
}

// Write notes the body, up to what is worth keeping.
func (n *notedAnswer) Write(b []byte) (int, error) {
	if n.status == 0 {
		n.status = http.StatusOK
	}
	if n.body.Len() <= maxReplayBytes {
		n.body.Write(b)
	}
	return n.ResponseWriter.Write(b)
}

// Unwrap lets net/http find what the writer can do besides.
func (n *notedAnswer) Unwrap() http.ResponseWriter { return n.ResponseWriter }
