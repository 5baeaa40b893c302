package httprt

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"unicode/utf8"

	"riposte/connector"
	"riposte/internal/expr"
)

// maxDepth is how deeply an answer may be nested.
const maxDepth = 200

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   any
	broken string // why the body is not what it should be, "" if it is
	host   string
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// largestKept bounds the buffers that are used again.
const largestKept = 1 << 20

// read takes the body in, up to a limit, and decodes it.
func (x *exchange) read(res *http.Response, kind string, limit int64) (*answer, error) {
	ans := &answer{status: res.StatusCode, header: res.Header, host: res.Request.URL.Host}
	defer func() { _ = res.Body.Close() }()
	if res.Request.Method == http.MethodHead || res.StatusCode == http.StatusNoContent || kind == "none" && success(res.StatusCode) {
		return ans, nil
	}
	if res.ContentLength > limit && !res.Uncompressed {
		ans.broken = fmt.Sprintf("the answer has %s, at most %s are read", sizeText(res.ContentLength), sizeText(limit))
		return ans, nil
	}
	buf, _ := buffers.Get().(*bytes.Buffer)
	buf.Reset()
	defer func() {
		if buf.Cap() <= largestKept {
			buffers.Put(buf)
		}
	}()
	limited := io.LimitedReader{R: res.Body, N: limit + 1}
	if _, err := buf.ReadFrom(&limited); err != nil {
		return nil, &readError{err}
	}
	if int64(buf.Len()) > limit {
		ans.broken = fmt.Sprintf("the answer is larger than %s; the rest was not read", sizeText(limit))
		return ans, nil
	}
	ans.decode(buf.Bytes(), kind)
	return ans, nil
}

// readError is an answer that broke off.
type readError struct{ err error }

func (e *readError) Error() string { return "the answer broke off: " + plainError(e.err) }
func (e *readError) Unwrap() error { return e.err }

func success(status int) bool { return status >= 200 && status <= 299 }

func sizeText(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%d MB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d KB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// decode turns the bytes into a plain value. An error answer that is no JSON is
// kept as text: proxies and gateways write what they like.
func (a *answer) decode(b []byte, kind string) {
	if len(bytes.TrimSpace(b)) == 0 {
		return
	}
	var err error
	switch kind {
	case "", "json":
		a.body, err = decodeJSON(b)
	case "ndjson":
		a.body, err = decodeLines(b)
	case "xml":
		a.body, err = decodeXML(b)
	case "base64":
		if success(a.status) {
			a.body = base64.StdEncoding.EncodeToString(b)
			return
		}
		a.body, err = decodeJSON(b)
	case "any":
		// A text is as good an answer, unless it was said to be JSON.
		if a.body, err = decodeJSON(b); err != nil && !saysJSON(a.header.Get("Content-Type")) {
			err = nil
			a.body = validText(b)
		}
	default:
		a.body = validText(b)
	}
	if err == nil {
		return
	}
	a.body = validText(b)
	if success(a.status) {
		a.broken = "the answer is no " + orJSON(kind) + ": " + plainError(err)
		if t := a.header.Get("Content-Type"); t != "" {
			a.broken += fmt.Sprintf(" (content type %s)", shorten(t, 60))
		}
	}
}

// saysJSON tells whether a content type is that of JSON.
func saysJSON(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind == "application/json" || strings.HasSuffix(kind, "+json")
}

func orJSON(kind string) string {
	switch kind {
	case "ndjson":
		return "NDJSON"
	case "xml":
		return "XML"
	}
	return "JSON"
}

func validText(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

var errDeep = fmt.Errorf("it is nested more than %d levels deep", maxDepth)

func decodeJSON(b []byte) (any, error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if depthOf(b) > maxDepth {
		return nil, errDeep
	}
	return expr.DecodeJSON(b)
}

// depthOf counts how deeply brackets nest, outside texts. It stops at the limit.
func depthOf(b []byte) int {
	depth, deepest, inText := 0, 0, false
	for i := 0; i < len(b); i++ {
		c := b[i]
		if inText {
			switch c {
			case '\\':
				i++
			case '"':
				inText = false
			}
			continue
		}
		switch c {
		case '"':
			inText = true
		case '{', '[':
			if depth++; depth > deepest {
				if deepest = depth; deepest > maxDepth {
					return deepest
				}
			}
		case '}', ']':
			depth--
		}
	}
	return deepest
}

func decodeLines(b []byte) (any, error) {
	list := []any{}
	for line := range bytes.Lines(b) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		v, err := decodeJSON(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", len(list)+1, err)
		}
		list = append(list, v)
	}
	return list, nil
}

// roots is what expressions over the answer see, beside what is in more.
func (a *answer) roots(more map[string]any, in *connector.Invocation) map[string]any {
	roots := map[string]any{"status": a.status, "body": a.body, "headers": a.headers()}
	if more == nil {
		roots["config"] = in.Config
		return roots
	}
	for k, v := range more {
		roots[k] = v
	}
	return roots
}

// headers gives the headers by their names in small letters, repeated ones
// joined.
func (a *answer) headers() map[string]any {
	m := make(map[string]any, len(a.header))
	for name, values := range a.header {
		m[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return m
}

// saying is what the product says in its error, in the words that are usual.
func (a *answer) saying() string {
	text := vendorText(a.body, 0)
	if text == "" {
		return ""
	}
	return ": " + shorten(oneLine(text), 300)
}

func vendorText(v any, depth int) string {
	if depth > 3 {
		return ""
	}
	switch v := v.(type) {
	case string:
		if strings.HasPrefix(strings.TrimSpace(v), "<") {
			return "" // a page in HTML says nothing to people here
		}
		return v
	case []any:
		if len(v) > 0 {
			return vendorText(v[0], depth+1)
		}
	case map[string]any:
		for _, key := range []string{"message", "error_description", "detail", "errorSummary", "description", "title", "reason", "msg", "error", "errors", "code"} {
			if text := vendorText(v[key], depth+1); text != "" {
				return text
			}
		}
	}
	return ""
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func shorten(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return fmt.Sprintf("%d %s", status, text)
	}
	return fmt.Sprint(status)
}

// plainError is an error's text without the kind it wraps.
func plainError(err error) string {
	text := err.Error()
	for _, kind := range []string{": invalid", ": denied"} {
		text = strings.TrimSuffix(text, kind)
	}
	return text
}
