package alert

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
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
	MaxEntities    = 100
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

// fill works out all parts of a record. A part that cannot be worked out or read
// is left out and named in fields.unread: a wrong clock or an unknown severity is
// no reason to hold back an alert.
func (m *Mapping) fill(a *Alert, e *expr.Env) error {
	key, err := m.key(m.parts.identity, e)
	if err != nil {
		return m.wrong("identity", err)
	}
	if key == "" && (m.detect == nil || !m.Detects(e.Roots["event"])) {
		return m.wrong("identity", fmt.Errorf("it is empty: the event has none of the fields that tell it apart"))
	}
	if key == "" {
		key = hashed(e.Roots["event"])
	}
	a.IdentityKey = key
	f := filling{m: m, a: a, e: e}
	if a.GroupKey, err = m.key(m.parts.group, e); err != nil {
		f.note("group", err)
	}
	a.Title = cmp.Or(strings.TrimSpace(f.text("title", m.parts.title, MaxTitle)), m.Title)
	a.Description = f.text("description", m.parts.description, MaxDescription)
	a.Category = f.text("category", m.parts.category, MaxTitle)
	a.Link = f.text("link", m.parts.link, 2048)
	f.rest()
	if err := m.observe(a, e); err != nil {
		f.note("observables", err)
	}
	if len(f.notes) > 0 {
		if a.Fields == nil {
			a.Fields = map[string]any{}
		} else {
			a.Fields = maps.Clone(a.Fields) // it may be a part of the event
		}
		a.Fields["unread"] = list(f.notes)
	}
	return nil
}

// filling fills one record and notes what could not be read.
type filling struct {
	m     *Mapping
	a     *Alert
	e     *expr.Env
	notes []string
}

func (f *filling) note(part string, err error) {
	f.notes = append(f.notes, part+": "+cut(plain(err), MaxTitle))
}

// eval works a part out; nil where it is left out or cannot be worked out.
func (f *filling) eval(part string, v *expr.Value) any {
	if v == nil {
		return nil
	}
	out, err := v.Eval(f.e)
	if err != nil {
		f.note(part, err)
		return nil
	}
	return out
}

func (f *filling) text(part string, v *expr.Value, most int) string {
	if v == nil {
		return ""
	}
	text, err := v.Text(f.e)
	if err != nil {
		f.note(part, err)
		return ""
	}
	return cut(clean(text), most)
}

func (f *filling) rest() {
	a, parts := f.a, &f.m.parts
	var err error
	if a.Severity, err = Severity(f.eval("severity", parts.severity)); err != nil {
		f.note("severity", err)
	}
	a.Time = a.Received
	if v := f.eval("time", parts.time); !blank(v) {
		if t, err := Time(v); err == nil {
			a.Time = t
		} else {
			f.note("time", err)
		}
	}
	a.Techniques = Techniques(f.eval("techniques", parts.techniques))
	a.Fields, _ = expr.Normalize(f.eval("fields", parts.fields)).(map[string]any)
	for _, p := range parts.entities {
		for _, text := range Texts(f.eval("entities", p.value)) {
			one := Entity{Kind: p.kind, Value: cut(clean(text), MaxTitle), Role: p.role}
			if len(a.Entities) < MaxEntities && !slices.Contains(a.Entities, one) {
				a.Entities = append(a.Entities, one)
			}
		}
	}
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
	return hashed(x), nil
}

// hashed is the canonical form of a value of JSON, hashed.
func hashed(v any) string {
	b, err := expr.EncodeJSON(v)
	if err != nil {
		b = []byte(err.Error()) // only a secret has no form, and an event holds none
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
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

var technique = regexp.MustCompile(`(?i)\bT(\d{4})(?:(?:\.|[_/-])(\d{3}))?\b`)

// Techniques reads the ATT&CK technique IDs in a text or a list of texts, in the
// form T1234 or T1234.001, each once. Names, tactics and other words are left out.
func Techniques(v any) []string {
	var out []string
	for _, text := range Texts(v) {
		for _, m := range technique.FindAllStringSubmatch(text, 20) {
			id := "T" + m[1]
			if m[2] != "" {
				id += "." + m[2]
			}
			if !slices.Contains(out, id) {
				out = append(out, id)
			}
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
