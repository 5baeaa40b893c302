package event

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"riposte/internal/fault"
)

// Limits of XML: what a device writes is far below them.
const (
	maxXMLDepth    = 100
	maxXMLElements = 50_000
)

// attributes is the key of an element's attributes, and text that of its text
// where it has both, as the usual tools write Windows events in JSON.
const (
	attributesKey = "#attributes"
	textKey       = "#text"
)

// looksXML tells whether a payload begins as a document does; <user> in a
// sentence does not.
func looksXML(s string) bool {
	if len(s) < 4 || s[0] != '<' || s[len(s)-1] != '>' && !strings.HasPrefix(s, "<Event") && !strings.HasPrefix(s, "<?xml") {
		return false
	}
	return s[1] == '?' || (s[1]|0x20 >= 'a' && s[1]|0x20 <= 'z') && (strings.Contains(s, "</") || strings.Contains(s, "/>") || strings.HasPrefix(s, "<Event"))
}

// element is one element while it is read.
type element struct {
	name  string
	attrs map[string]any
	kids  map[string]any
	text  strings.Builder
}

// readXML reads a document as an object of its root element. Entities that the
// document declares are not expanded. A Windows event gets the shape that it has
// in JSON: data under their names, the number of the event as a number.
func readXML(s string) (map[string]any, error) {
	d := xml.NewDecoder(strings.NewReader(s))
	d.Strict = false
	d.Entity = xml.HTMLEntity
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // it is UTF-8 already
	var stack []*element
	for seen := 0; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) || err != nil {
			return nil, fmt.Errorf("event is not XML: %s: %w", xmlProblem(err), fault.Invalid)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if seen++; seen > maxXMLElements || len(stack) >= maxXMLDepth {
				return nil, fmt.Errorf("event is XML with more than %d elements, or %d inside each other: %w", maxXMLElements, maxXMLDepth, fault.Invalid)
			}
			stack = append(stack, begin(t))
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].text.Write(t)
			}
		case xml.EndElement:
			if len(stack) == 0 {
				continue
			}
			e := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if len(stack) == 0 {
				return map[string]any{e.name: e.value()}, nil
			}
			stack[len(stack)-1].add(e)
		}
	}
}

func xmlProblem(err error) string {
	if errors.Is(err, io.EOF) {
		return "it ends too early"
	}
	return strings.TrimPrefix(err.Error(), "XML syntax error on ")
}

func begin(t xml.StartElement) *element {
	e := &element{name: t.Name.Local}
	for _, a := range t.Attr {
		if e.attrs == nil {
			e.attrs = map[string]any{}
		}
		e.attrs[a.Name.Local] = a.Value
	}
	return e
}

// value is an element as mappings see it.
func (e *element) value() any {
	text := strings.TrimSpace(e.text.String())
	if e.attrs == nil && e.kids == nil {
		if text == "" {
			return nil
		}
		if n, err := strconv.Atoi(text); err == nil && wholeNumbers[e.name] {
			return n
		}
		return text
	}
	v := map[string]any{}
	for k, kid := range e.kids {
		v[k] = kid
	}
	if e.attrs != nil {
		v[attributesKey] = e.attrs
	}
	if text != "" {
		v[textKey] = text
	}
	if e.name == "EventID" && text != "" { // its qualifiers say nothing
		if n, err := strconv.Atoi(text); err == nil {
			return n
		}
	}
	return v
}

// wholeNumbers are the parts of a Windows event's head that JSON has as numbers.
var wholeNumbers = map[string]bool{"EventID": true, "Version": true, "Level": true, "Task": true, "Opcode": true, "EventRecordID": true}

// add puts a child into its parent; a name that repeats becomes a list. Data of
// a Windows event has its name in an attribute.
func (e *element) add(kid *element) {
	if e.kids == nil {
		e.kids = map[string]any{}
	}
	name, v := kid.name, kid.value()
	if given, ok := kid.attrs["Name"].(string); ok && name == "Data" && given != "" {
		name = given
		if text := strings.TrimSpace(kid.text.String()); text != "" {
			v = text
		} else {
			v = nil
		}
	}
	old, twice := e.kids[name]
	if !twice {
		e.kids[name] = v
		return
	}
	list, ok := old.([]any)
	if !ok {
		list = []any{old}
	}
	e.kids[name] = append(list, v)
}
