package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"riposte/internal/auth"
)

// Replays keeps the answers of requests that came with an idempotency key, for
// a day and over restarts.
type Replays interface {
	// Replay reads what is kept under a key; ok is false where nothing is.
	Replay(ctx context.Context, who auth.Caller, key string) (k Kept, ok bool, err error)
	// KeepReplay writes or replaces what is kept, and returns when it is on disk.
	KeepReplay(ctx context.Context, who auth.Caller, key string, k Kept) error
	// DropReplay gives a key free.
	DropReplay(ctx context.Context, who auth.Caller, key string) error
}

// Kept is an answer, or the note that a request is being worked on.
type Kept struct {
	Sum    string // of the request's body
	Status int    // 0: there is no answer yet
	Header http.Header
	Body   []byte
}

// keyHeader is the header that makes a POST one that may be sent again.
const (
	keyHeader     = "Idempotency-Key"
	maxKeyLetters = 255
)

// How an operation deals with keys, in its Metadata.
const (
	// unkeyed operations keep no answer: it holds a secret.
	unkeyed = "unkeyed"
	// heldToKey operations hand the key on to what they start, which will not
	// happen twice: they may be done again where a crash left no answer.
	heldToKey = "held-to-key"
)

// Keyed is embedded in the input of operations that hand their key on.
type Keyed struct{ key string }

// Resolve takes the key from the request.
func (k *Keyed) Resolve(ctx huma.Context) []error {
	k.key = ctx.Header(keyHeader)
	return nil
}

var _ huma.Resolver = (*Keyed)(nil)

// mayCarryKey tells whether requests of an operation may carry a key.
func mayCarryKey(op *huma.Operation) bool {
	return op.Method == http.MethodPost && !isOpen(op) && op.Metadata[unkeyed] == nil
}

// documentKey describes the header in the document.
func documentKey(op *huma.Operation) {
	most := maxKeyLetters
	op.Parameters = append(op.Parameters, &huma.Param{
		Name: keyHeader, In: "header", Schema: &huma.Schema{Type: "string", MaxLength: &most},
		Description: "The same key and body give the same answer again for a day, without doing it twice.",
	})
}

// flights are the keyed requests that are being worked on now.
type flights struct {
	mu  sync.Mutex
	now map[string]string // key to the sum of the body
}

// take takes a key, or gives the problem that stands against the request.
func (f *flights) take(key, sum string) (release func(), p *Problem) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if other, taken := f.now[key]; taken {
		if other != sum {
			return nil, reused()
		}
		return nil, inFlight.problem("the first request with this Idempotency-Key is still being worked on").with("Retry-After", "1")
	}
	if f.now == nil {
		f.now = map[string]string{}
	}
	f.now[key] = sum
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.now, key)
	}, nil
}

func reused() *Problem {
	return keyReused.problem("this Idempotency-Key came with another body before; use a new key for a new request")
}

// replay answers a repeated POST as it was answered before. It runs behind
// identify: keys of different people are different keys.
func (a *api) replay(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	key := r.Header.Get(keyHeader)
	if key == "" || !mayCarryKey(ctx.Operation()) {
		next(ctx)
		return
	}
	if len(key) > maxKeyLetters {
		writeProblem(w, r, wrongParameter(keyHeader, "it is longer than "+number(maxKeyLetters)+" characters"))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		writeProblem(w, r, unreadable(err))
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	sum := sha256.Sum256(body)
	k := keyed{api: a, who: callerOf(ctx), sum: hex.EncodeToString(sum[:])}
	k.key = k.who.Name + "\n" + r.Method + " " + r.URL.Path + "\n" + key
	release, p := a.flights.take(k.who.Tenant+"\n"+k.key, k.sum)
	if p != nil {
		writeProblem(w, r, p)
		return
	}
	defer release()
	k.answer(ctx, r, w, next)
}

// keyed is a request with a key, which nobody else works on.
type keyed struct {
	api      *api
	who      auth.Caller
	key, sum string
}

// answer gives the answer that is kept, or works on the request.
func (k keyed) answer(ctx huma.Context, r *http.Request, w http.ResponseWriter, next func(huma.Context)) {
	before, there, err := k.api.Replays.Replay(r.Context(), k.who, k.key)
	switch {
	case err != nil:
		k.fail(r, w, err)
	case there && before.Sum != k.sum:
		writeProblem(w, r, reused())
	case there && before.Status != 0:
		w.Header().Set("Idempotency-Replayed", "true")
		before.send(w)
	case there:
		writeProblem(w, r, interrupted.problem("the server stopped while it worked on the first request with this Idempotency-Key; "+
			"look whether it was done, and use a new key if it was not"))
	default:
		k.work(ctx, r, w, next)
	}
}

func (k keyed) fail(r *http.Request, w http.ResponseWriter, err error) {
	p := problemOf(err)
	k.api.logged(r.Context(), p)
	writeProblem(w, r, p)
}

// work lets the request be worked on. That it is, is on disk before, and its
// answer before it is sent: neither a crash nor a lost answer makes it happen
// twice.
func (k keyed) work(ctx huma.Context, r *http.Request, w http.ResponseWriter, next func(huma.Context)) {
	disk := context.WithoutCancel(r.Context()) // the client may go; what was done stays
	_, again := ctx.Operation().Metadata[heldToKey]
	if !again {
		if err := k.api.Replays.KeepReplay(disk, k.who, k.key, Kept{Sum: k.sum}); err != nil {
			k.fail(r, w, err)
			return
		}
	}
	note := &notedAnswer{header: w.Header()}
	done := false
	defer func() {
		if !done && !again { // it panicked: the key must not stay taken
			k.kept(r, k.api.Replays.DropReplay(disk, k.who, k.key))
		}
	}()
	next(&identified{humago.NewContext(ctx.Operation(), r, note), k.who})
	done = true
	answer := Kept{Sum: k.sum, Status: note.status, Header: answerHeader(w.Header()), Body: note.body.Bytes()}
	if answer.Status >= 500 || answer.Status == http.StatusTooManyRequests { // it may do better next time
		k.kept(r, k.api.Replays.DropReplay(disk, k.who, k.key))
	} else {
		k.kept(r, k.api.Replays.KeepReplay(disk, k.who, k.key, answer))
	}
	answer.send(w)
}

// kept logs that an answer is not kept: what was asked has been done all the same.
func (k keyed) kept(r *http.Request, err error) {
	if err != nil {
		k.api.Log.Error("answer not kept under its key", "request_id", requestID(r.Context()), "error", err)
	}
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

func (k Kept) send(w http.ResponseWriter) {
	for name, values := range k.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(k.Status)
	_, _ = w.Write(k.Body) // the client has gone: nobody is left to tell
}

// unreadable says why a body could not be read.
func unreadable(err error) *Problem {
	p := problemOf(err)
	if p.Status == http.StatusInternalServerError {
		return malformed.problem("the body ended early")
	}
	return p
}

// notedAnswer holds an answer back until it is kept.
type notedAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header is the answer's own.
func (n *notedAnswer) Header() http.Header { return n.header }

// WriteHeader notes the status.
func (n *notedAnswer) WriteHeader(status int) {
	if n.status == 0 {
		n.status = status
	}
}

// Write notes the body.
func (n *notedAnswer) Write(b []byte) (int, error) {
	n.WriteHeader(http.StatusOK)
	return n.body.Write(b)
}
