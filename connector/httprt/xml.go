package httprt

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// decodeXML turns a document into an object: {root: …}. An element with only
// text is that text; otherwise an object of its children, with attributes as
// @name and text as #text. Children of the same name are a list.
func decodeXML(b []byte) (any, error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.Strict = true
	// The body was read whole and is UTF-8 or refused: no other charset is known.
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("there is no element")
		}
		if err != nil {
			return nil, err
		}
		if start, ok := t.(xml.StartElement); ok {
			v, err := decodeElement(d, start, 1)
			if err != nil {
				return nil, err
			}
			return map[string]any{start.Name.Local: v}, nil
		}
	}
}

func decodeElement(d *xml.Decoder, start xml.StartElement, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDeep
	}
	object := map[string]any{}
	for _, a := range start.Attr {
		object["@"+a.Name.Local] = a.Value
	}
	var text strings.Builder
	for {
		t, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("<%s> has no end: %w", start.Name.Local, err)
		}
		switch t := t.(type) {
		case xml.CharData:
			text.Write(t)
		case xml.StartElement:
			v, err := decodeElement(d, t, depth+1)
			if err != nil {
				return nil, err
			}
			addChild(object, t.Name.Local, v)
		case xml.EndElement:
			s := strings.TrimSpace(text.String())
			if len(object) == 0 {
				return s, nil
			}
			if s != "" {
				object["#text"] = s
			}
			return object, nil
		}
	}
}

func addChild(object map[string]any, name string, v any) {
	before, there := object[name]
	if !there {
		object[name] = v
		return
	}
	if list, ok := before.([]any); ok {
		object[name] = append(list, v)
		return
	}
	object[name] = []any{before, v}
}
