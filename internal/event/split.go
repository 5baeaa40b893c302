package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Item is one event of a file.
type Item struct {
	Raw  []byte
	Line int // where it begins, counted from 1; 0 where it has no line of its own
}

// wrappers are the keys under which products put a list of events.
var wrappers = []string{
	"value", "records", "findings", "result", "results", "items", "data", "events", "alerts", "hits", "incidents", "logs", "logevents", "messages",
	"entries", "detections", "threats", "resources", "issues", "elements", "notifications", "response", "reply", "activities", "malops", "list", "objects", "rows", "body",
}

// Split finds the events of a file: one a line, a JSON array of them, one JSON
// document or several after each other, XML, or an answer of an API that holds
// them in a list. whole tells whether a document is an event by itself, and so
// not to be taken apart. how says what was found, for people.
func Split(data []byte, whole func(raw []byte) bool) (items []Item, how string) {
	text := decoded(data)
	text = bytes.TrimPrefix(text, []byte(byteOrderMark))
	body := bytes.TrimSpace(text)
	switch {
	case len(body) == 0:
		return nil, "nothing"
	case body[0] == '{' || body[0] == '[':
		if first, _, more := bytes.Cut(body, []byte{'\n'}); more && json.Valid(bytes.TrimSpace(first)) {
			break
		}
		if items, how := documents(body, whole); items != nil {
			return items, how
		}
	case looksXML(string(body)) && bytes.IndexByte(body, '\n') >= 0:
		return xmlDocuments(body)
	}
	return linesOf(text), "one event a line"
}

func linesOf(text []byte) (items []Item) {
	for n := 1; len(text) > 0; n++ {
		line, rest, _ := bytes.Cut(text, []byte{'\n'})
		text = rest
		if line = bytes.TrimSpace(line); len(line) > 0 {
			items = append(items, Item{line, n})
		}
	}
	return items
}

// documents reads JSON values after each other; nil for what is none.
func documents(body []byte, whole func([]byte) bool) ([]Item, string) {
	var all []json.RawMessage
	for d := json.NewDecoder(bytes.NewReader(body)); d.More(); {
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, ""
		}
		all = append(all, v)
	}
	if len(all) != 1 {
		return itemsOf(all), fmt.Sprintf("%d JSON documents", len(all))
	}
	if all[0][0] == '[' {
		var list []json.RawMessage
		if json.Unmarshal(all[0], &list) != nil || len(list) == 0 {
			return nil, ""
		}
		return unwrapEach(list), "a JSON array"
	}
	if !whole(all[0]) {
		if list, path := unwrap(all[0], 0); list != nil {
			return unwrapEach(list), "the list under " + path
		}
	}
	return itemsOf(all), "one JSON document"
}

// unwrap finds the list of events in an answer of an API, and where it is.
func unwrap(raw []byte, depth int) (list []json.RawMessage, path string) {
	var object map[string]json.RawMessage
	if depth > 3 || json.Unmarshal(raw, &object) != nil {
		return nil, ""
	}
	keys := make([]string, 0, len(object))
	for k := range object {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		ia, ib := wrapperRank(a), wrapperRank(b)
		if ia != ib {
			return ia - ib
		}
		return strings.Compare(a, b)
	})
	for _, k := range keys {
		if wrapperRank(k) >= len(wrappers) && len(keys) > 1 {
			break // a list of something in an event
		}
		v := bytes.TrimSpace(object[k])
		switch {
		case len(v) > 0 && v[0] == '[':
			var in []json.RawMessage
			if json.Unmarshal(v, &in) == nil && len(in) > 0 && in[0][0] == '{' {
				return in, k
			}
		case len(v) > 0 && v[0] == '{' && wrapperRank(k) < len(wrappers):
			if in, below := unwrap(v, depth+1); in != nil {
				return in, k + "." + below
			}
		}
	}
	return nil, ""
}

func wrapperRank(key string) int {
	if i := slices.Index(wrappers, canonical(key)); i >= 0 {
		return i
	}
	return len(wrappers)
}

// unwrapEach takes the events out of what search engines put around each.
func unwrapEach(list []json.RawMessage) []Item {
	for i, raw := range list {
		var hit struct {
			Source json.RawMessage `json:"_source"`
		}
		if bytes.Contains(raw, []byte(`"_source"`)) && json.Unmarshal(raw, &hit) == nil && len(hit.Source) > 1 && hit.Source[0] == '{' {
			list[i] = hit.Source
		}
	}
	return itemsOf(list)
}

func itemsOf(list []json.RawMessage) []Item {
	items := make([]Item, len(list))
	for i, raw := range list {
		var one bytes.Buffer
		if json.Compact(&one, raw) == nil {
			raw = one.Bytes()
		}
		items[i] = Item{Raw: raw}
	}
	return items
}

// xmlDocuments reads Windows events after each other, or one document.
func xmlDocuments(body []byte) ([]Item, string) {
	if n := bytes.Count(body, []byte("<Event ")) + bytes.Count(body, []byte("<Event>")); n > 1 && n == bytes.Count(body, []byte("</Event>")) {
		var items []Item
		for rest := body; ; {
			from := bytes.Index(rest, []byte("<Event"))
			for from >= 0 && from+6 < len(rest) && rest[from+6] != ' ' && rest[from+6] != '>' { // <Events>
				next := bytes.Index(rest[from+6:], []byte("<Event"))
				if next < 0 {
					return items, fmt.Sprintf("%d XML events", len(items))
				}
				from += 6 + next
			}
			to := bytes.Index(rest, []byte("</Event>"))
			if from < 0 || to < from {
				return items, fmt.Sprintf("%d XML events", len(items))
			}
			items = append(items, Item{Raw: rest[from : to+len("</Event>")]})
			rest = rest[to+len("</Event>"):]
		}
	}
	return []Item{{Raw: body, Line: 1}}, "one XML document"
}
