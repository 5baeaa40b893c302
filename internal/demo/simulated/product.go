package simulated

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxBody is how much of a request a product reads.
const maxBody = 1 << 20

// Product is one simulated product.
type Product struct {
	Name     string // edr, firewall, directory or reputation
	URL      string // where it listens, without a slash at the end
	User     string // for basic authentication, else empty
	Secret   string // the token, key or password that its API wants
	authKind auth

	server http.Server
	served chan struct{} // closed when the server has ended
	ended  chan struct{} // closed when stop begins: calls that hang go home
	ending sync.Once

	mu      sync.Mutex
	now     func() time.Time
	state   world
	log     []Entry
	reads   int
	refused int
	faults  []Fault
	rate    rate
	replies map[string]replay // by idempotency key
}

// world is what a product is about: its own state and API.
type world interface {
	// routes binds "METHOD /path" patterns to handlers.
	routes() map[string]handler
	// snapshot is what GET /state shows.
	snapshot() any
	// reset goes back to the first state.
	reset()
}

// handler answers one call. It runs with the product's lock held.
type handler func(c *call) reply

// call is a request with its body read.
type call struct {
	*http.Request
	now  time.Time
	body []byte
}

// reply is an answer, and the change that was made, if one was.
type reply struct {
	status int
	body   any // nil: no body
	change string
	object string
}

// Entry is one call that meant to change something.
type Entry struct {
	Number int       `json:"n"`
	Time   time.Time `json:"time"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Key    string    `json:"idempotency_key,omitempty"`
	Body   string    `json:"body,omitempty"`
	Status int       `json:"status"`
	// Changed tells whether the product's state is another one now. A call that
	// found it so already, was refused, or repeated an answered one has not.
	Changed  bool   `json:"changed"`
	Replayed bool   `json:"replayed,omitempty"` // answered from an earlier call with the same key
	Lost     bool   `json:"lost,omitempty"`     // done, and the answer thrown away on purpose
	Change   string `json:"change,omitempty"`   // block, unblock, isolate, …
	Object   string `json:"object,omitempty"`   // what it was done to
}

// Status is what GET /state shows.
type Status struct {
	Product string `json:"product"`
	State   any    `json:"state"`
	Reads   int    `json:"reads"`   // calls that only looked
	Changes int    `json:"changes"` // entries of the log that changed something
	Refused int    `json:"refused"` // calls with a bad credential or over the rate
}

// replay is what a product remembers of a call with an idempotency key.
type replay struct {
	request string
	reply   reply
}

// auth is how a product knows its callers.
type auth struct {
	kind string // bearer, header, query, basic
	name string // of the header or query parameter
}

func newProduct(name string, a auth, user, secret string, w world) *Product {
	p := &Product{
		Name: name, User: user, Secret: secret, authKind: a, state: w,
		now: time.Now, ended: make(chan struct{}), replies: map[string]replay{},
	}
	w.reset()
	api := http.NewServeMux()
	for pattern, h := range w.routes() {
		api.HandleFunc(pattern, p.serve(h))
	}
	all := http.NewServeMux()
	all.HandleFunc("GET /state", p.showState)
	all.HandleFunc("GET /log", p.showLog)
	all.HandleFunc("GET /faults", p.showFaults)
	all.HandleFunc("PUT /faults", p.putFaults)
	all.HandleFunc("DELETE /faults", p.deleteFaults)
	all.HandleFunc("POST /reset", p.postReset)
	all.Handle("/", p.misbehave(p.guarded(api)))
	p.server.Handler = all
	p.server.ReadHeaderTimeout = 10 * time.Second
	return p
}

// guarded lets only calls with the right credential and within the rate pass.
func (p *Product) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.knows(r) {
			p.refuse()
			if p.authKind.kind == "basic" {
				w.Header().Set("WWW-Authenticate", `Basic realm="directory"`)
			}
			write(w, failure(http.StatusUnauthorized, "bad_credential", "the credential is missing or wrong"))
			return
		}
		if wait := p.overRate(); wait > 0 {
			p.refuse()
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
			write(w, failure(http.StatusTooManyRequests, "too_many_requests", "slow down"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (p *Product) refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused++
}

func (p *Product) knows(r *http.Request) bool {
	given := ""
	switch p.authKind.kind {
	case "bearer":
		given, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	case "header":
		given = r.Header.Get(p.authKind.name)
	case "query":
		given = r.URL.Query().Get(p.authKind.name)
	case "basic":
		user, password, _ := r.BasicAuth()
		return same(user, p.User) && same(password, p.Secret)
	}
	return same(given, p.Secret)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// serve runs a handler with the lock held, and writes the log.
func (p *Product) serve(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			write(w, failure(http.StatusRequestEntityTooLarge, "too_large", "the body is too large"))
			return
		}
		write(w, p.handle(h, r, body))
	}
}

func (p *Product) handle(h handler, r *http.Request, body []byte) reply {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &call{Request: r, now: p.now().UTC(), body: body}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		p.reads++
		return h(c)
	}
	entry := Entry{
		Number: len(p.log) + 1, Time: c.now, Method: r.Method, Path: r.URL.Path,
		Key: r.Header.Get("Idempotency-Key"), Body: string(body),
	}
	_, entry.Lost = r.Context().Value(lostKey{}).(bool)
	answer, replayed := p.once(h, c, entry.Key)
	entry.Status, entry.Replayed = answer.status, replayed
	entry.Changed = answer.change != "" && !replayed
	entry.Change, entry.Object = answer.change, answer.object
	p.log = append(p.log, entry)
	return answer
}

// once answers a repeated call with the same key as the first time. Only what
// was done is remembered: a refused call may be made again.
func (p *Product) once(h handler, c *call, key string) (answer reply, replayed bool) {
	request := c.Method + " " + c.URL.Path + "\n" + string(c.body)
	if before, ok := p.replies[key]; ok && key != "" {
		if before.request != request {
			return failure(http.StatusUnprocessableEntity, "key_reused", "the idempotency key belongs to another call"), false
		}
		return before.reply, true
	}
	answer = h(c)
	if key != "" && answer.status < 300 {
		p.replies[key] = replay{request, answer}
	}
	return answer, false
}

// decode reads a JSON body. Unknown fields are refused, as strict APIs do; an
// empty body is an empty object.
func (c *call) decode(into any) error {
	if len(bytes.TrimSpace(c.body)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}

func ok(body any) reply { return reply{status: http.StatusOK, body: body} }

// did is an answer to a call that changed something.
func did(status int, body any, change, object string) reply {
	return reply{status: status, body: body, change: change, object: object}
}

func failure(status int, code, message string) reply {
	return reply{status: status, body: map[string]any{"error": map[string]string{"code": code, "message": message}}}
}

func notFound(what, name string) reply {
	return failure(http.StatusNotFound, "not_found", fmt.Sprintf("no %s %q", what, name))
}

func invalid(err error) reply { return failure(http.StatusBadRequest, "invalid", err.Error()) }

func write(w http.ResponseWriter, r reply) {
	if r.body == nil {
		w.WriteHeader(r.status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(r.status)
	_ = json.NewEncoder(w).Encode(r.body) // the caller has gone
}

// page cuts a list by ?limit= and ?cursor=, the place of the first item wanted.
func page[T any](c *call, all []T) (items []T, next string, err error) {
	limit, from := 50, 0
	if v := c.URL.Query().Get("limit"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > 500 {
			return nil, "", errors.New("limit must be 1 to 500")
		}
	}
	if v := c.URL.Query().Get("cursor"); v != "" {
		if from, err = strconv.Atoi(v); err != nil || from < 0 || from > len(all) {
			return nil, "", errors.New("unknown cursor")
		}
	}
	items = all[from:min(from+limit, len(all))]
	if from+limit < len(all) {
		next = strconv.Itoa(from + limit)
	}
	return append([]T{}, items...), next, nil
}
