package alert

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
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
	MaxObservables = 200
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
// alert. The error is fault.Invalid where the event is not what the mapping
// reads; Keep then makes the record that is stored in its place.
func (m *Mapping) Read(source string, raw []byte, now time.Time) (a Alert, ok bool, err error) {
	event, err := decodeEvent(raw)
	if err != nil {
		return a, false, err
	}
	e := env(event, now)
	if m.is != nil {
		is, err := m.is.EvalBool(e)
		if err != nil {
			return a, false, m.wrong("when", err)
		}
		if !is {
			return a, false, nil
		}
	}
	a = Alert{
		Source: source, Status: New, Received: now, FirstSeen: now, LastSeen: now, Count: 1, Raw: text(raw),
		Mapping: m.ID, MappingNo: m.Version,
	}
	if err := m.fill(&a, e); err != nil {
		return a, false, err
	}
	return a, true, nil
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
	event, err := expr.DecodeJSON(raw)
	if err != nil {
		return nil, fmt.Errorf("event is not JSON: %s: %w", plain(err), fault.Invalid)
	}
	if _, ok := event.(map[string]any); !ok {
		return nil, fmt.Errorf("event is %s; expected a JSON object: %w", expr.Describe(event), fault.Invalid)
	}
	return event, nil
}

// wrong is the error of a part that cannot be worked out.
func (m *Mapping) wrong(part string, err error) error {
	return fmt.Errorf("mapping %s: %s: %s: %w", m.ID, part, plain(err), fault.Invalid)
}

// fill works out all parts of a record.
func (m *Mapping) fill(a *Alert, e *expr.Env) error {
	key, err := m.key(m.parts.identity, e)
	if err != nil {
		return m.wrong("identity", err)
	}
	if key == "" {
		return m.wrong("identity", fmt.Errorf("it is empty: the event has none of the fields that tell it apart"))
	}
	a.IdentityKey = key
	if a.GroupKey, err = m.key(m.parts.group, e); err != nil {
		return m.wrong("group", err)
	}
	for _, t := range []struct {
		name string
		v    *expr.Value
		to   *string
		most int
	}{
		{"title", m.parts.title, &a.Title, MaxTitle}, {"description", m.parts.description, &a.Description, MaxDescription},
		{"category", m.parts.category, &a.Category, MaxTitle}, {"link", m.parts.link, &a.Link, 2048},
	} {
		if t.v == nil {
			continue
		}
		text, err := t.v.Text(e)
		if err != nil {
			return m.wrong(t.name, err)
		}
		*t.to = cut(clean(text), t.most)
	}
	if a.Title == "" {
		return m.wrong("title", fmt.Errorf("it is empty"))
	}
	return m.fillRest(a, e)
}

func (m *Mapping) fillRest(a *Alert, e *expr.Env) error {
	v, err := m.parts.severity.Eval(e)
	if err != nil {
		return m.wrong("severity", err)
	}
	if a.Severity, err = Severity(v); err != nil {
		return m.wrong("severity", err)
	}
	a.Time = a.Received
	if m.parts.time != nil {
		if v, err = m.parts.time.Eval(e); err != nil {
			return m.wrong("time", err)
		}
		if v != nil {
			if a.Time, err = Time(v); err != nil {
				return m.wrong("time", err)
			}
		}
	}
	if m.parts.techniques != nil {
		if v, err = m.parts.techniques.Eval(e); err != nil {
			return m.wrong("techniques", err)
		}
		a.Techniques = Texts(v)
	}
	if m.parts.fields != nil {
		if v, err = m.parts.fields.Eval(e); err != nil {
			return m.wrong("fields", err)
		}
		a.Fields, _ = expr.Normalize(v).(map[string]any)
	}
	for _, p := range m.parts.entities {
		if v, err = p.value.Eval(e); err != nil {
			return m.wrong("entities", err)
		}
		for _, text := range Texts(v) {
			a.Entities = append(a.Entities, Entity{Kind: p.kind, Value: cut(clean(text), MaxTitle), Role: p.role})
		}
	}
	return m.observe(a, e)
}

// key makes a short key of any values: their canonical form, hashed.
func (m *Mapping) key(v *expr.Value, e *expr.Env) (string, error) {
	if v == nil {
		return "", nil
	}
	x, err := v.Eval(e)
	if err != nil {
		return "", err
	}
	if blank(x) {
		return "", nil
	}
	b, err := expr.EncodeJSON(x)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16]), nil
}

// blank tells whether a value holds nothing at all.
func blank(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		for _, e := range v {
			if !blank(e) {
				return false
			}
		}
		return true
	}
	return false
}

// Texts reads a text, a number or a list of them; nil and blanks are left out.
func Texts(v any) []string {
	var out []string
	switch v := expr.Normalize(v).(type) {
	case nil:
	case []any:
		for _, e := range v {
			out = append(out, Texts(e)...)
		}
	case map[string]any:
	default:
		if s, err := expr.Show(v); err == nil && strings.TrimSpace(s) != "" {
			out = append(out, s)
		}
	}
	return out
}

var severityWords = map[string]int{
	"informational": 1, "information": 1, "info": 1, "notice": 1, "none": 1, "low": 2, "minor": 2,
	"medium": 3, "moderate": 3, "warning": 3, "warn": 3, "high": 4, "major": 4, "error": 4, "critical": 5, "severe": 5, "emergency": 5,
}

// Severity reads 1 to 5 or a usual word. nil is 0, unknown.
func Severity(v any) (int, error) {
	switch v := v.(type) {
	case nil:
		return 0, nil
	case int:
		if v >= 0 && v <= 5 {
			return v, nil
		}
		return 0, fmt.Errorf("severity is %d; expected 1 (informational) to 5 (critical)", v)
	case float64:
		if v == math.Trunc(v) {
			return Severity(int(v))
		}
		return 0, fmt.Errorf("severity is %g; expected a whole number", v)
	case string:
		word := strings.ToLower(strings.TrimSpace(v))
		if n, ok := severityWords[word]; ok {
			return n, nil
		}
		if n, err := strconv.Atoi(word); err == nil {
			return Severity(n)
		}
		return 0, fmt.Errorf("severity %q is not known; expected informational, low, medium, high or critical", cut(v, 40))
	}
	return 0, fmt.Errorf("severity is %s; expected a number or a word", expr.Describe(v))
}

// timeForms are the forms of time that products write.
var timeForms = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999 -0700 MST", "2006-01-02 15:04:05.999999999", time.RFC1123Z, time.RFC1123, "02/Jan/2006:15:04:05 -0700",
	"Jan _2 2006 15:04:05",
}

// Time reads a time: a time, a text in a usual form (without a zone it is
// UTC), or seconds, milliseconds or microseconds since 1970. One that RFC 3339
// cannot write is an error: it could be stored, and never be shown.
func Time(v any) (time.Time, error) {
	t, err := readTime(v)
	if y := t.Year(); err == nil && (y < 1 || y > 9999) {
		return time.Time{}, fmt.Errorf("time %v is out of range; expected a year from 1 to 9999", v)
	}
	return t, err
}

func readTime(v any) (time.Time, error) {
	switch v := v.(type) {
	case time.Time:
		return v.UTC(), nil
	case int:
		return epoch(float64(v)), nil
	case float64:
		return epoch(v), nil
	case string:
		text := strings.TrimSpace(v)
		for _, form := range timeForms {
			if t, err := time.Parse(form, text); err == nil {
				return t.UTC().Truncate(time.Microsecond), nil
			}
		}
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return epoch(f), nil
		}
		return time.Time{}, fmt.Errorf("time %q is in no known form; expected RFC 3339, such as 2026-01-31T10:00:00Z", cut(v, 60))
	}
	return time.Time{}, fmt.Errorf("time is %s; expected a text or a number", expr.Describe(v))
}

// farthest is a number of seconds well after the year 9999.
const farthest = 1e12

// epoch reads a number since 1970 in the unit that puts it nearest to our days.
func epoch(f float64) time.Time {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		f = farthest
	case math.Abs(f) >= 1e17:
		f /= 1e9
	case math.Abs(f) >= 1e14:
		f /= 1e6
	case math.Abs(f) >= 1e11:
		f /= 1e3
	}
	f = max(min(f, farthest), -farthest) // beyond, a whole number would run over
	whole, part := math.Modf(f)
	return time.Unix(int64(whole), int64(part*1e6)*1000).UTC()
}

// clean drops what has no place in a line of text: control characters and
// directional marks that would let a log line lie about itself.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < ' ' || r == 0x7f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

// cut shortens a text to at most n bytes without breaking a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-len("…")], "") + "…"
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
