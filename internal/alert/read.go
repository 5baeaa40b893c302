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
	MaxEventBytes  = 4 << 20
)

// Detects tells whether an event is one of the mapping's product.
func (m *Mapping) Detects(event any) bool {
	if m.detect == nil {
		return true
	}
	ok, err := m.detect.EvalBool(env(event, time.Time{}))
	return err == nil && ok
}

func env(event any, now time.Time) *expr.Env {
	return &expr.Env{Roots: map[string]any{"event": event}, Now: now}
}

// Read makes the alert record of one event. ok is false where the event is no
// alert; there is no record then. A part that cannot be worked out is left out,
// and the record says so under fields.unread: an odd field is no reason to lose
// the rest. The error is fault.Invalid where the event is not what the mapping
// reads at all; Keep then makes the record that is stored in its place.
func (m *Mapping) Read(source string, raw []byte, now time.Time) (a Alert, ok bool, err error) {
	event, err := decodeEvent(raw)
	if err != nil {
		return a, false, err
	}
	return m.read(source, raw, env(event, now), false)
}

// Show is Read for people who try a mapping: it makes the record of an event
// that is no alert too.
func (m *Mapping) Show(source string, raw []byte, now time.Time) (a Alert, ok bool, err error) {
	event, err := decodeEvent(raw)
	if err != nil {
		return a, false, err
	}
	return m.read(source, raw, env(event, now), true)
}

// read makes the record of an event that is decoded: what e has as roots.
func (m *Mapping) read(source string, raw []byte, e *expr.Env, all bool) (Alert, bool, error) {
	r := reader{m: m, event: e.Roots["event"], s: expr.NewSession(e)}
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
		Source: source, Status: New, Received: e.Now, FirstSeen: e.Now, LastSeen: e.Now, Count: 1, Raw: text(raw),
		Mapping: m.ID, MappingNo: m.Version,
	}
	if err := r.fill(); err != nil {
		return Alert{}, false, err
	}
	return r.a, is, nil
}

// text is an event as it is kept: what is no UTF-8 in it is marked, for
// databases and clients refuse it.
func text(raw []byte) json.RawMessage {
	if utf8.Valid(raw) {
		return raw
	}
	return bytes.ToValidUTF8(raw, []byte("\ufffd"))
}

func decodeEvent(raw []byte) (any, error) {
	if len(raw) > MaxEventBytes {
		return nil, fmt.Errorf("event of %d bytes; the most is %d: %w", len(raw), MaxEventBytes, fault.Invalid)
	}
	event, err := expr.DecodeEvent(raw)
	if err != nil {
		return nil, fmt.Errorf("event is not JSON: %s: %w", plain(err), fault.Invalid)
	}
	if _, ok := event.(map[string]any); !ok {
		return nil, fmt.Errorf("event is %s; expected a JSON object: %w", expr.Describe(event), fault.Invalid)
	}
	return event, nil
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
