// Package event decodes one raw event of any usual wire format into what source
// mappings see: JSON, and syslog lines with or without a header that carry CEF,
// LEEF, JSON, XML, pairs of keys and values, columns, or a sentence. It is
// tolerant of how devices write: what is missing or odd in a header is left out,
// and what fits no format is text. Only what is surely broken is refused.
package event

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"riposte/internal/expr"
	"riposte/internal/fault"
)

// Format is how the payload of an event is written.
type Format string

// The formats.
const (
	JSON Format = "json"
	CEF  Format = "cef"
	LEEF Format = "leef"
	KV   Format = "kv"   // hardly anything but pairs
	XML  Format = "xml"  // also a Windows event, in the shape of its JSON
	CSV  Format = "csv"  // columns without names
	Text Format = "text" // a sentence; pairs inside it are found
)

// MaxBytes is the largest event that is read.
const MaxBytes = 4 << 20

// Event is one event, decoded. Value is the payload: the JSON object; vendor,
// product, device_version, class_id, name, severity and ext for CEF; vendor,
// product, device_version, event_id and ext for LEEF; the elements of XML;
// message and kv for pairs and text, and columns beside them for CSV.
type Event struct {
	Format Format
	Value  map[string]any
	// Syslog is the header it came with: time, facility, severity, level, host, app,
	// pid, msgid, sd, relay (the host of an outer header) and prefix (text before a
	// payload), those that are there. nil without a header.
	Syslog map[string]any
	// Text is the whole event as text in UTF-8, "" where it is a JSON value by
	// itself.
	Text string
}

// byteOrderMark begins files, bodies and messages of some senders.
const byteOrderMark = "\xef\xbb\xbf"

// Read decodes one event. now decides the year of a time that is written
// without one: the nearest. The error is fault.Invalid.
func Read(raw []byte, now time.Time) (Event, error) {
	if len(raw) > MaxBytes {
		return Event{}, fmt.Errorf("event of %d bytes; the most is %d: %w", len(raw), MaxBytes, fault.Invalid)
	}
	raw = bytes.TrimPrefix(raw, []byte(byteOrderMark))
	if b := bytes.TrimSpace(raw); looksJSON(b) {
		v, err := object(decoded(b))
		return Event{Format: JSON, Value: v}, err
	}
	text := readable(raw)
	if text == "" {
		return Event{}, fmt.Errorf("event is empty: %w", fault.Invalid)
	}
	if b := []byte(text); looksJSON(b) { // it was in another encoding
		v, err := object(b)
		return Event{Format: JSON, Value: v, Text: text}, err
	}
	e := Event{Text: text}
	header, payload := readHeader(text, now)
	if err := e.read(payload, &header); err != nil {
		return Event{}, err
	}
	e.Syslog = header.object()
	return e, nil
}

// looksJSON tells whether a text surely means to be JSON: [error] and {x} do
// not.
func looksJSON(b []byte) bool {
	if len(b) < 2 || b[0] != '{' && b[0] != '[' {
		return false
	}
	rest := bytes.TrimLeft(b[1:], " \t\r\n")
	if len(rest) == 0 {
		return false
	}
	if b[0] == '{' {
		return rest[0] == '"' || rest[0] == '}'
	}
	return rest[0] == '{' && looksJSON(rest) || rest[0] == '['
}

// object decodes a JSON object. A list of one is that one: some senders wrap
// each event so.
func object(b []byte) (map[string]any, error) {
	v, err := expr.DecodeEvent(b)
	if err != nil {
		return nil, fmt.Errorf("event is not JSON: %s: %w", strings.TrimSuffix(err.Error(), ": invalid"), fault.Invalid)
	}
	if list, ok := v.([]any); ok {
		if len(list) != 1 {
			return nil, fmt.Errorf("event is a list of %d; expected one JSON object: send the events one a line: %w", len(list), fault.Invalid)
		}
		v = list[0]
	}
	o, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("event is %s; expected a JSON object: %w", expr.Describe(v), fault.Invalid)
	}
	return unwrapped(o), nil
}

// read decodes a payload by what it begins with, from the surest sign to the
// least sure one.
func (e *Event) read(payload string, h *header) (err error) {
	payload = strings.TrimSpace(strings.TrimPrefix(payload, byteOrderMark))
	if at, ok := marked(payload, "CEF:"); ok {
		h.before(payload[:at])
		e.Format = CEF
		e.Value, err = readCEF(payload[at:])
		return err
	}
	if at, ok := marked(payload, "LEEF:"); ok {
		h.before(payload[:at])
		e.Format = LEEF
		e.Value, err = readLEEF(payload[at:])
		return err
	}
	if looksJSON([]byte(payload)) {
		e.Format = JSON
		e.Value, err = object([]byte(payload))
		return err
	}
	if looksXML(payload) {
		e.Format = XML
		e.Value, err = readXML(payload)
		return err
	}
	if v, before, ok := jsonAtEnd(payload); ok {
		h.before(before)
		e.Format, e.Value = JSON, v
		return nil
	}
	e.readPlain(payload)
	return nil
}

// readPlain reads columns, pairs or a sentence: it cannot fail.
func (e *Event) readPlain(payload string) {
	message := unfold(payload)
	kv, share := pairs(message)
	e.Value = map[string]any{"message": message, "kv": kv}
	switch columns := columns(message); {
	case columns != nil && (len(kv) < 3 || len(columns) > 2*len(kv)):
		e.Format = CSV
		e.Value["columns"] = columns
	case len(kv) >= 3 && share >= 0.6:
		e.Format = KV
	default:
		e.Format = Text
	}
}

// marked finds where a format's mark stands, followed by a version and a bar.
func marked(s, mark string) (int, bool) {
	for from := 0; ; {
		at := strings.Index(s[from:], mark)
		if at < 0 {
			return 0, false
		}
		at += from
		rest := strings.TrimLeft(s[at+len(mark):], " ")
		if bar := strings.IndexByte(rest, '|'); bar > 0 && bar < 8 && strings.Trim(rest[:bar], "0123456789.") == "" {
			return at, true
		}
		from = at + len(mark)
	}
}

// jsonAtEnd finds a JSON object at the end of a text: after a product's name, or
// as the last column of a row, its quotes doubled.
func jsonAtEnd(s string) (v map[string]any, before string, ok bool) {
	quoted := strings.HasSuffix(s, `}"`)
	if !quoted && !strings.HasSuffix(s, "}") {
		return nil, "", false
	}
	at := strings.IndexByte(s, '{')
	if at <= 0 || !looksJSON([]byte(s[at:])) {
		return nil, "", false
	}
	inner := s[at:]
	if quoted && s[at-1] == '"' {
		inner, at = strings.ReplaceAll(s[at:len(s)-1], `""`, `"`), at-1
	}
	v, err := object([]byte(inner))
	if err != nil {
		return nil, "", false
	}
	return v, strings.TrimRight(s[:at], ", "), true
}
