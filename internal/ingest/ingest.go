// Package ingest takes alerts in: by webhook, one at a time or as NDJSON, and
// from files that grow and rotate. It reads events with source mappings and
// hands the records to a Sink; a sender is answered, and a file's cursor
// moves, only after they are on disk.
package ingest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"time"

	"riposte/internal/alert"
	"riposte/internal/fault"
)

// Sink stores alerts and starts what they start.
type Sink interface {
	// Take stores a batch of one source in one transaction and returns when it is
	// on disk: one answer an alert, in order. fault.Transient means that the same
	// batch may be handed over again later; nothing of it was stored.
	Take(ctx context.Context, b Batch) ([]Taken, error)
}

// Batch is what came of one source at one time.
type Batch struct {
	Source string
	Alerts []alert.Alert
	// Skipped is how many events came with these that are no alerts: for the figures
	// of the source, which need to know that it is alive.
	Skipped int
	// Again says that they were counted when they came and could not be read.
	Again  bool
	Cursor []byte // where a source that is read goes on, stored with the alerts; nil: unchanged
	// Keys tell, in the order of Alerts, one report from another: one whose key the
	// source had before is left out and not even counted. nil, or "" for one: none.
	Keys []string
	// Forget is the time before which keys need not be remembered any more; zero
	// means all must be.
	Forget time.Time
	// Once names a delivery: where one of the names is known, nothing of the batch is
	// stored, and the error is ErrReplayed.
	Once  []string
	Blobs [][]string // hashes of the blobs that belong to each alert; nil: none
}

// Taken is what became of one alert.
type Taken struct {
	ID        alert.ID
	Duplicate bool // it was there already; its count has gone up
	LeftOut   bool // its key was known: nothing was stored, and ID is 0
}

// ErrReplayed says that a delivery was taken before: it is refused, because
// somebody may have recorded it to send it again.
var ErrReplayed = fmt.Errorf("this delivery was taken before: %w", fault.Conflict)

// Source is where alerts come from.
type Source struct {
	Name    string
	Mapping Reader
}

// Reader makes alert records of events: a mapping, or a set of them of which the
// one that fits reads.
type Reader interface {
	// Read makes the record of one event; see alert.Mapping.Read.
	Read(source string, raw []byte, now time.Time) (alert.Alert, bool, error)
}

// Counts says what a batch of events was; each event is one of them.
type Counts struct {
	Received   int `json:"received"`   // events
	Accepted   int `json:"accepted"`   // new alerts
	Duplicates int `json:"duplicates"` // alerts that were there already
	Skipped    int `json:"skipped"`    // events that are no alerts
	Unread     int `json:"unread"`     // events that could not be read; each is kept as an alert with its error
}

// read is one event, read.
type read struct {
	alert alert.Alert
	is    bool // an alert
	err   error
}

// byteOrderMark begins files and bodies of some senders; it is no part of JSON.
const byteOrderMark = "\xef\xbb\xbf"

// readEvent reads one event; what cannot be read is kept with its error.
func (s Source) readEvent(raw []byte, now time.Time) read {
	raw = bytes.TrimPrefix(raw, []byte(byteOrderMark))
	a, is, err := s.Mapping.Read(s.Name, raw, now)
	if err != nil {
		return read{alert: alert.Keep(s.Name, raw, err, now), is: true, err: err}
	}
	return read{alert: a, is: is}
}

// CutField is the field of a record that says that only a part of its event was
// kept.
const CutField = "cut"

// Again reads an event that was kept because it could not be read. What still
// cannot be read comes with its error, as Keep makes it.
func (s Source) Again(raw []byte, received time.Time) (a alert.Alert, is bool, err error) {
	r := s.readEvent(raw, received)
	return r.alert, r.is, r.err
}

// event is one event as it came.
type event struct {
	raw   []byte
	line  int    // that it stands in, where each has its own
	cut   string // why it is not whole, "" where it is
	wrong string // why it is whole and yet no event, "" where it may be one
	from  string // the address that sent it, where the record keeps it
}

// readOne reads one event. One that is not whole is kept with the reason: what
// is left of it could mean something else.
func (s Source) readOne(e event, now time.Time) read {
	var r read
	if why := cmp.Or(e.cut, e.wrong); why != "" {
		err := fmt.Errorf("%s: %w", why, fault.Invalid)
		r = read{alert: alert.Keep(s.Name, e.raw, err, now), is: true, err: err}
	} else {
		r = s.readEvent(e.raw, now)
	}
	if e.cut != "" {
		note(&r.alert, CutField, "true")
	}
	if r.is && e.from != "" {
		note(&r.alert, "sender", e.from)
	}
	return r
}

// note adds a field that the road knows, unless the mapping has set it.
func note(a *alert.Alert, name, value string) {
	if _, set := a.Fields[name]; set {
		return
	}
	fields := maps.Clone(a.Fields)
	if fields == nil {
		fields = map[string]any{}
	}
	fields[name] = value
	a.Fields = fields
}

// lines splits a text into its lines that are not blank, no more than one too
// many.
func lines(body []byte) []event {
	var out []event
	for n := 1; len(body) > 0 && len(out) <= maxEvents; n++ {
		line, rest, _ := bytes.Cut(body, []byte{'\n'})
		body = rest
		if line = bytes.TrimSpace(line); len(line) > 0 {
			out = append(out, event{raw: line, line: n})
		}
	}
	return out
}
