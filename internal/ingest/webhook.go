package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"time"

	"riposte/internal/alert"
	"riposte/internal/auth"
)

const (
	// maxChunk is how many events go into one transaction.
	maxChunk = 250
	// maxTold is how many unread events an answer names.
	maxTold = 20
)

// Webhook answers POST requests with events. Who may send is settled before it,
// but for signatures.
type Webhook struct {
	Sink Sink
	// Known tells whether a delivery was taken before, by the keys of its signature;
	// nil: none is signed.
	Known func(ctx context.Context, source string, keys []string) (bool, error)
	// Busy says why nothing can be taken in for now; nil: it never is so.
	Busy func() error
	Now  func() time.Time // nil means time.Now
	// Problem answers with an error; the HTTP API has one form for all of them.
	Problem func(w http.ResponseWriter, r *http.Request, err error)

	room room
}

// Entrance is how the requests of one source are taken.
type Entrance struct {
	Source
	// Signed checks the signature of a body as it was sent; nil: none is asked for.
	Signed func(r *http.Request, body []byte) (auth.Delivery, error)
	Unwrap []string          // fields that hold the events where one wraps them, in this order
	Note   map[string]string // headers that a record keeps, and the field that each goes to
	// Ping tells a request that only asks whether somebody answers; nil: none does.
	Ping func(r *http.Request) bool
}

// Answer is what a sender gets.
type Answer struct {
	Counts
	Alert     string   `json:"alert,omitempty"` // the ID, when one event was sent
	Duplicate bool     `json:"duplicate,omitempty"`
	Errors    []Unread `json:"errors,omitempty"` // the first of the unread events
	Ping      bool     `json:"ping,omitempty"`   // it was only asked whether somebody answers
}

// Unread is one event that could not be read.
type Unread struct {
	Event int    `json:"event"`          // counted from 1
	Line  int    `json:"line,omitempty"` // of the body, where each event has its own
	Error string `json:"error"`
}

// Serve takes one request of one source.
func (h *Webhook) Serve(w http.ResponseWriter, r *http.Request, e Entrance) {
	held := &share{room: &h.room}
	defer held.leave()
	a, err := h.serve(w, r, e, held)
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			drain(r)
		}
		h.Problem(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if a.Ping {
		w.WriteHeader(http.StatusOK)
	} else {
		w.WriteHeader(http.StatusAccepted)
	}
	_ = json.NewEncoder(w).Encode(a) // the sender has gone; the alerts are stored
}

func (h *Webhook) serve(w http.ResponseWriter, r *http.Request, e Entrance, held *share) (a Answer, err error) {
	if h.Busy != nil { // before a byte is read: the sender still has everything
		if err := h.Busy(); err != nil {
			return a, err
		}
	}
	body, err := wireBody(w, r, held)
	if err != nil {
		return a, err
	}
	var d auth.Delivery
	if e.Signed != nil {
		if d, err = e.Signed(r, body); err != nil {
			return a, err
		}
	}
	if e.Ping != nil && e.Ping(r) {
		return Answer{Ping: true}, nil
	}
	if err := h.unknown(r.Context(), e.Name, d); err != nil {
		return a, err
	}
	kind, charset := media(r.Header.Get("Content-Type"))
	if body, err = unpacked(body, r.Header.Values("Content-Encoding"), held); err == nil {
		body, err = inUTF8(body, charset)
	}
	if err != nil {
		return a, err
	}
	events, single, err := split(body, kind)
	if err != nil {
		return a, err
	}
	events, changed := unwrapped(events, e.Unwrap)
	if changed {
		single = len(events) == 1
	}
	return h.take(r.Context(), e, r.Header, events, single, d)
}

// unknown refuses a delivery that was taken before.
func (h *Webhook) unknown(ctx context.Context, source string, d auth.Delivery) error {
	if len(d.Keys) == 0 || h.Known == nil {
		return nil
	}
	known, err := h.Known(ctx, source, d.Keys)
	if err == nil && known {
		err = ErrReplayed
	}
	return err
}

// take reads events and hands them over in chunks, each in one transaction.
func (h *Webhook) take(ctx context.Context, e Entrance, header http.Header, events []event, single bool, d auth.Delivery) (Answer, error) {
	var a Answer
	now := time.Now
	if h.Now != nil {
		now = h.Now
	}
	for at := 0; at < len(events); at += maxChunk {
		chunk := events[at:min(at+maxChunk, len(events))]
		reads := e.readAll(chunk, now().UTC().Truncate(time.Microsecond))
		batch := Batch{Source: e.Name}
		a.Received += len(chunk)
		for i, r := range reads {
			switch {
			case r.err != nil:
				a.Unread++
				if len(a.Errors) < maxTold {
					a.Errors = append(a.Errors, Unread{Event: at + i + 1, Line: chunk[i].line, Error: r.alert.Error})
				}
			case !r.is:
				a.Skipped++
				batch.Skipped++
			}
			if r.is {
				e.note(&r.alert, header)
				batch.Alerts = append(batch.Alerts, r.alert)
			}
		}
		if at+maxChunk >= len(events) { // until then it may have to be sent again
			batch.Once, batch.Forget = d.Keys, forgetDeliveries(d, now())
		}
		taken, err := h.Sink.Take(ctx, batch)
		if err != nil {
			if at > 0 {
				err = fmt.Errorf("the first %d events are stored, the others are not; send all again, those come in once: %w", at, err)
			}
			return a, fmt.Errorf("store alerts of %s: %w", e.Name, err)
		}
		a.count(batch.Alerts, taken)
		if single && len(taken) > 0 {
			a.Alert, a.Duplicate = taken[0].ID.String(), taken[0].Duplicate
		}
	}
	return a, nil
}

// note adds what the request's headers say to a record.
func (e *Entrance) note(a *alert.Alert, header http.Header) {
	for name, field := range e.Note {
		if v := header.Get(name); v != "" {
			note(a, field, v)
		}
	}
}

// rememberedFor is how long a signature without a time is remembered. Products
// that sign so send a delivery again by hand only, for a few days.
const rememberedFor = 30 * 24 * time.Hour

// forgetDeliveries is the time before which deliveries need not be remembered:
// their signatures are too old by now.
func forgetDeliveries(d auth.Delivery, now time.Time) time.Time {
	if len(d.Keys) == 0 {
		return time.Time{}
	}
	if d.Until.IsZero() {
		return now.Add(-rememberedFor)
	}
	return now.Add(-3 * auth.SignatureWindow) // a clock may be a window ahead
}

func (a *Answer) count(alerts []alert.Alert, taken []Taken) {
	for i, t := range taken {
		switch {
		case alerts[i].Error != "": // counted as unread, also when it comes again
		case t.Duplicate:
			a.Duplicates++
		default:
			a.Accepted++
		}
	}
}

// readAll reads events, many of them on all processors.
func (s Source) readAll(events []event, now time.Time) []read {
	out := make([]read, len(events))
	workers := min(runtime.GOMAXPROCS(0), len(events)/64)
	if workers < 2 {
		for i, e := range events {
			out[i] = s.readOne(e, now)
		}
		return out
	}
	var wg sync.WaitGroup
	share := (len(events) + workers - 1) / workers
	for from := 0; from < len(events); from += share {
		wg.Go(func() {
			for i := from; i < min(from+share, len(events)); i++ {
				out[i] = s.readOne(events[i], now)
			}
		})
	}
	wg.Wait()
	return out
}
