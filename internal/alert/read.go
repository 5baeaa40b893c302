package alert

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"riposte/internal/event"
	"riposte/internal/expr"
	"riposte/internal/fault"
)

// Limits of one record; what is longer is cut, what is more is left out. Raw
// keeps everything.
const (
	MaxTitle       = 500
	MaxDescription = 20_000
	MaxEntities    = 100
	MaxObservables = 200
	MaxTechniques  = 50
	MaxNotes       = 20
	MaxEventBytes  = event.MaxBytes
)

// Detects tells whether an event is one of the mapping's product.
func (m *Mapping) Detects(e event.Event) bool { return m.detects(env(e, time.Time{})) }

func (m *Mapping) detects(e *expr.Env) bool {
	if len(m.either) > 0 && !m.mayBe(e.Roots["event"]) {
		return false
	}
	if m.detect == nil {
		return true
	}
	ok, err := m.detect.EvalBool(e)
	return err == nil && ok
}

// mayBe tells, by the fields that are there, whether detect can be true: of a
// hundred mappings that are asked about an event nearly all end here.
func (m *Mapping) mayBe(payload any) bool {
	object, _ := payload.(map[string]any)
	for _, way := range m.either {
		there := true
		for _, field := range way {
			if object[field] == nil {
				there = false
				break
			}
		}
		if there {
			return true
		}
	}
	return false
}

func env(e event.Event, now time.Time) *expr.Env {
	roots := map[string]any{"event": e.Value, "format": string(e.Format), "syslog": nil}
	if e.Syslog != nil {
		roots["syslog"] = e.Syslog
	}
	return &expr.Env{Roots: roots, Now: now}
}

// Read makes the alert record of one event. ok is false where the event is no
// alert; there is no record then. A part that cannot be worked out is left out,
// and the record says so under fields.unread: an odd field is no reason to lose
// the rest. The error is fault.Invalid where the event is not what the mapping
// reads at all; Keep then makes the record that is stored in its place.
func (m *Mapping) Read(source string, raw []byte, now time.Time) (a Alert, ok bool, err error) {
	e, err := event.Read(raw, now)
	if err != nil {
		return a, false, err
	}
	if !m.Detects(e) {
		return a, false, fmt.Errorf("event is no %s (%s), it is %s; name another mapping, or auto: %w", m.ID, m.Title, kinds[e.Format], fault.Invalid)
	}
	return m.Make(source, e, raw, now)
}

// Make is Read for an event that is decoded already, and is one of the mapping's.
func (m *Mapping) Make(source string, e event.Event, raw []byte, now time.Time) (a Alert, ok bool, err error) {
	return m.read(source, e, raw, now, false)
}

// Show is Read for people who try a mapping: it makes the record of an event
// that is no alert too, and of one that the mapping does not detect.
func (m *Mapping) Show(source string, raw []byte, now time.Time) (a Alert, ok bool, err error) {
	e, err := event.Read(raw, now)
	if err != nil {
		return a, false, err
	}
	return m.read(source, e, raw, now, true)
}

// read makes the record of an event that is decoded.
func (m *Mapping) read(source string, e event.Event, raw []byte, now time.Time, all bool) (Alert, bool, error) {
	env := env(e, now)
	if m.found {
		env.Roots["found"] = event.Found(e, now)
	}
	r := reader{m: m, event: e.Value, s: expr.NewSession(env)}
	for _, l := range m.lets {
		r.s.Set(l.name, r.value(l.name, l.value))
	}
	is := m.is == nil
	if !is {
		var err error
		if is, err = r.s.Bool(m.is); err != nil {
			is = true // better one alert too many
			r.note("when", err)
		}
	}
	if !is && !all {
		return Alert{}, false, nil
	}
	r.a = Alert{
		Source: source, Status: New, Received: now, FirstSeen: now, LastSeen: now, Count: 1, Raw: stored(e, raw),
		Mapping: m.ID, MappingNo: m.Version,
	}
	if err := r.fill(); err != nil {
		return Alert{}, false, err
	}
	return r.a, is, nil
}

// kinds says how an event is written.
var kinds = map[event.Format]string{
	event.JSON: "JSON", event.CEF: "CEF", event.LEEF: "LEEF", event.KV: "pairs of keys and values",
	event.XML: "XML", event.CSV: "columns", event.Text: "text",
}

// stored is an event as it is kept, a JSON value: what is none is a text.
func stored(e event.Event, raw []byte) json.RawMessage {
	if e.Text == "" {
		return text(raw)
	}
	b, _ := json.Marshal(e.Text) // a text always marshals
	return b
}

// text is an event as it is kept: what is no UTF-8 in it is marked, for
// databases and clients refuse it.
func text(raw []byte) json.RawMessage {
	if utf8.Valid(raw) {
		return raw
	}
	return bytes.ToValidUTF8(raw, []byte("\ufffd"))
}

// wrong is the error of an event that the mapping cannot read.
func (m *Mapping) wrong(part string, err error) error {
	return fmt.Errorf("mapping %s: %s: %s: %w", m.ID, part, plain(err), fault.Invalid)
}

// Keep makes the record of an event that cannot be read: it is stored and
// shown with its error, never dropped.
func Keep(source string, raw []byte, why error, now time.Time) Alert {
	sum := sha256.Sum256(raw)
	stored := text(raw)
	if !json.Valid(raw) || len(raw) > MaxEventBytes {
		text := strings.ToValidUTF8(string(raw[:min(len(raw), MaxEventBytes)]), "\ufffd")
		stored, _ = json.Marshal(text) // a text always marshals
	}
	return Alert{
		Source: source, Status: New, Received: now, FirstSeen: now, LastSeen: now, Time: now, Count: 1, Raw: stored,
		IdentityKey: "unread-" + hex.EncodeToString(sum[:16]), Title: "Event that could not be read",
		Error: plain(why),
	}
}
