package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"riposte/internal/fault"
)

// maxEvents is how many events a body may hold: more are sent in several.
const maxEvents = 200_000

// split finds the events of a body: one JSON value, a list of them, several one
// after the other, or lines. What is none of it is one event that cannot be read.
func split(body []byte, kind string) (events []event, single bool, err error) {
	whole := bytes.TrimPrefix(body, []byte(byteOrderMark))
	if kind == "application/x-www-form-urlencoded" {
		whole = formPayload(whole)
	}
	if body = bytes.TrimSpace(whole); len(body) == 0 {
		return nil, false, fmt.Errorf("the body is empty; expected a JSON object, an array of them, or one a line: %w", fault.Invalid)
	}
	events, single = splitAs(whole, body, kind)
	if len(events) > 0 && kind != "text/plain" && (isJSON(kind) || objectBegins(events[0].raw)) {
		onlyJSON(events)
	}
	if len(events) > maxEvents {
		return nil, false, fmt.Errorf("the body holds more than %d events; send fewer at a time: %w", maxEvents, fault.Invalid)
	}
	return events, single, nil
}

func splitAs(whole, body []byte, kind string) (events []event, single bool) {
	one := []event{{raw: body}}
	switch {
	case kind == "application/x-ndjson" || kind == "application/ndjson" || kind == "application/jsonl" || kind == "application/json-seq":
		return lines(whole), false
	case body[0] == '[':
		if list, ok := elements(body); ok {
			return list, false
		}
	case json.Valid(body):
		return one, true
	}
	if all := lines(whole); len(all) > 1 && json.Valid(all[0].raw) { // NDJSON sent as something else
		return all, false
	}
	if list := values(body); len(list) > 1 {
		return list, false
	}
	if isJSON(kind) || isXML(kind) || body[0] == '{' || body[0] == '<' && !priority(body) {
		return one, true
	}
	all := lines(whole)
	return all, len(all) == 1
}

func isJSON(kind string) bool {
	switch kind {
	case "application/json", "application/x-ndjson", "application/ndjson", "application/jsonl":
		return true
	}
	return strings.HasSuffix(kind, "+json")
}

// objectBegins tells whether a text surely means to be a JSON object.
func objectBegins(b []byte) bool {
	if len(b) < 2 || b[0] != '{' {
		return false
	}
	rest := bytes.TrimLeft(b[1:], " \t\r\n")
	return len(rest) > 0 && (rest[0] == '"' || rest[0] == '}')
}

// onlyJSON marks what is no JSON among JSON: a mapping would take it for a line
// of text. What begins like an object the mapping finds out about.
func onlyJSON(events []event) {
	for i := range events {
		raw := bytes.TrimPrefix(events[i].raw, []byte(byteOrderMark))
		if objectBegins(raw) {
			continue
		}
		var any json.RawMessage
		if err := json.Unmarshal(raw, &any); err != nil {
			events[i].wrong = "event is not JSON: " + err.Error()
		}
	}
}

func isXML(kind string) bool {
	return kind == "application/xml" || kind == "text/xml" || strings.HasSuffix(kind, "+xml")
}

// priority tells a line of syslog from XML.
func priority(b []byte) bool { return startsWithPriority(b) == counted }

// elements are the values of a JSON array, no more than one too many.
func elements(body []byte) (events []event, ok bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, false
	}
	for d.More() {
		var e json.RawMessage
		if err := d.Decode(&e); err != nil {
			return nil, false
		}
		if events = append(events, event{raw: e}); len(events) > maxEvents {
			return events, true
		}
	}
	_, err := d.Token()
	return events, err == nil && len(bytes.TrimSpace(body[d.InputOffset():])) == 0
}

// values are JSON objects one after the other, with or without blanks between:
// what cannot be read of them is the last one.
func values(body []byte) (events []event) {
	if body[0] != '{' {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	for len(events) <= maxEvents {
		var e json.RawMessage
		at := d.InputOffset()
		if err := d.Decode(&e); err != nil {
			if rest := bytes.TrimSpace(body[at:]); len(rest) > 0 {
				events = append(events, event{raw: rest})
			}
			return events
		}
		events = append(events, event{raw: e})
	}
	return events
}

// formPayload is the event in a form, which products that speak forms put into
// the field payload. A body without one is left as it is.
func formPayload(body []byte) []byte {
	if b := bytes.TrimSpace(body); len(b) > 0 && bytes.IndexByte([]byte("{[<"), b[0]) >= 0 ||
		!bytes.HasPrefix(body, []byte("payload=")) && !bytes.Contains(body[:min(len(body), 4096)], []byte("&payload=")) {
		return body // many clients say that it is a form, whatever it is
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || !form.Has("payload") {
		return body
	}
	return []byte(form.Get("payload"))
}

// unwrapped takes events out of the envelope that products put around them: the
// first of the fields that an event has and that holds a list or an object.
func unwrapped(events []event, fields []string) (out []event, changed bool) {
	if len(fields) == 0 {
		return events, false
	}
	for _, e := range events {
		inner, ok := inside(e, fields)
		if !ok {
			out = append(out, e)
			continue
		}
		changed = true
		out = append(out, inner...)
	}
	return out, changed
}

func inside(e event, fields []string) (inner []event, ok bool) {
	raw := bytes.TrimSpace(e.raw)
	if len(raw) == 0 || raw[0] != '{' {
		return nil, false
	}
	var o map[string]json.RawMessage
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, false
	}
	for _, f := range fields {
		v := bytes.TrimSpace(o[f])
		if len(v) == 0 || v[0] != '[' && v[0] != '{' {
			continue
		}
		if v[0] == '{' {
			return []event{{raw: v, line: e.line}}, true
		}
		list, _ := elements(v)
		for i := range list {
			list[i].line = e.line
		}
		return list, true
	}
	return nil, false
}
