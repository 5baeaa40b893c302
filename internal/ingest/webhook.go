package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"riposte/internal/alert"
	"riposte/internal/fault"
)

const (
	// MaxBody is the largest request body in bytes.
	MaxBody = 32 << 20
	// maxChunk is how many events go into one transaction.
	maxChunk = 1000
	// maxTold is how many unread events an answer names.
	maxTold = 20
)

// Webhook answers POST requests with events: one JSON object, a JSON array of
// them, or one object a line (NDJSON). Who may send is settled before it.
type Webhook struct {
	Sink Sink
	Now  func() time.Time // nil means time.Now
	// Problem answers with an error; the HTTP API has one form for all of them.
	Problem func(w http.ResponseWriter, r *http.Request, err error)
}

// Answer is what a sender gets.
type Answer struct {
	Counts
	Alert     string   `json:"alert,omitempty"` // the ID, when one event was sent
	Duplicate bool     `json:"duplicate,omitempty"`
	Errors    []Unread `json:"errors,omitempty"` // the first of the unread events
}

// Unread is one event that could not be read.
type Unread struct {
	Event int    `json:"event"`          // counted from 1
	Line  int    `json:"line,omitempty"` // of the body, where each event has its own
	Error string `json:"error"`
}

// Serve takes one request of one source.
func (h *Webhook) Serve(w http.ResponseWriter, r *http.Request, s Source) {
	body, err := readBody(w, r)
	if err == nil {
		var events []event
		var single bool
		if events, single, err = split(body, r.Header.Get("Content-Type")); err == nil {
			var a Answer
			if a, err = h.take(r.Context(), s, events, single); err == nil {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusAccepted)
				_ = json.NewEncoder(w).Encode(a) // the sender has gone; the alerts are stored
				return
			}
		}
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		drain(r)
	}
	h.Problem(w, r, err)
}

// drain reads on what is too large, without keeping it: many clients send all of
// a body before they look at the answer, and would only see that the connection
// broke. One that asks before it sends is told at once.
func drain(r *http.Request) {
	if r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, r.Body, 8*MaxBody) // the answer is the same when it breaks
	}
}

// bodies lends the buffers that requests are read into.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > MaxBody {
		return nil, tooLarge()
	}
	body, err := plainBody(http.MaxBytesReader(w, r.Body, MaxBody), r.Header.Get("Content-Encoding"))
	if err != nil {
		return nil, err
	}
	buf := bodies.Get().(*bytes.Buffer)
	buf.Reset()
	defer bodies.Put(buf)
	n, err := buf.ReadFrom(io.LimitReader(body, MaxBody+1))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large), n > MaxBody:
		return nil, tooLarge()
	case err != nil:
		return nil, fmt.Errorf("read the body: %v: %w", err, fault.Invalid)
	}
	return bytes.Clone(buf.Bytes()), nil // alerts keep parts of it
}

// tooLarge is what a body that is read no further is answered with.
func tooLarge() error {
	return fmt.Errorf("read the body: %w: %w", &http.MaxBytesError{Limit: MaxBody}, fault.Invalid)
}

// plainBody is a body without its compression. What comes out of it is limited
// as what goes in.
func plainBody(body io.Reader, encoding string) (io.Reader, error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, fmt.Errorf("the body is said to be gzip, and is not: %v: %w", err, fault.Invalid)
		}
		return z, nil
	}
	return nil, fmt.Errorf("content encoding %q is not understood; expected gzip or none: %w", encoding, fault.Invalid)
}

// split finds the events of a body.
func split(body []byte, contentType string) (events []event, single bool, err error) {
	whole := bytes.TrimPrefix(body, []byte(byteOrderMark))
	if body = bytes.TrimSpace(whole); len(body) == 0 {
		return nil, false, fmt.Errorf("the body is empty; expected a JSON object, an array of them, or one a line: %w", fault.Invalid)
	}
	kind, _, _ := mime.ParseMediaType(contentType)
	switch {
	case kind == "application/x-ndjson" || kind == "application/ndjson" || kind == "application/jsonl":
		return lines(whole), false, nil
	case body[0] == '[':
		var list []json.RawMessage
		if err := json.Unmarshal(body, &list); err != nil {
			return nil, false, fmt.Errorf("the body is not JSON: %v: %w", err, fault.Invalid)
		}
		for _, e := range list {
			events = append(events, event{raw: e})
		}
		return events, false, nil
	case json.Valid(body):
		return []event{{raw: body}}, true, nil
	}
	if all := lines(whole); len(all) > 1 && json.Valid(all[0].raw) { // NDJSON sent as something else
		return all, false, nil
	}
	var any any
	return nil, false, fmt.Errorf("the body is not JSON: %v: %w", json.Unmarshal(body, &any), fault.Invalid)
}

// take reads events and hands them over in chunks, each in one transaction.
func (h *Webhook) take(ctx context.Context, s Source, events []event, single bool) (Answer, error) {
	var a Answer
	now := time.Now
	if h.Now != nil {
		now = h.Now
	}
	for at := 0; at < len(events); at += maxChunk {
		chunk := events[at:min(at+maxChunk, len(events))]
		reads := s.readAll(chunk, now().UTC().Truncate(time.Microsecond))
		batch := Batch{Source: s.Name}
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
				batch.Alerts = append(batch.Alerts, r.alert)
			}
		}
		taken, err := h.Sink.Take(ctx, batch)
		if err != nil {
			if at > 0 {
				err = fmt.Errorf("the first %d events are stored, the others are not; send all again, those come in once: %w", at, err)
			}
			return a, fmt.Errorf("store alerts of %s: %w", s.Name, err)
		}
		a.count(batch.Alerts, taken)
		if single {
			a.Alert, a.Duplicate = taken[0].ID.String(), taken[0].Duplicate
		}
	}
	return a, nil
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
