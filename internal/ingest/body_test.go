package ingest

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"riposte/internal/fault"
)

// texts are the events of a body, as they were found.
func texts(events []event) []string {
	var out []string
	for _, e := range events {
		out = append(out, string(e.raw))
	}
	return out
}

func TestEventsAreFoundInEveryFormOfBody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, kind, body string
		want             []string
	}{
		{"an object", "application/json", ` {"a": 1} `, []string{`{"a": 1}`}},
		{"an object over lines", "text/plain", "{\n\"a\": 1\n}", []string{"{\n\"a\": 1\n}"}},
		{"a list", "application/json", `[{"a": 1}, {"a": 2}]`, []string{`{"a": 1}`, `{"a": 2}`}},
		{"lines", "application/x-ndjson", "{\"a\": 1}\n\n{\"a\": 2}\r\n", []string{`{"a": 1}`, `{"a": 2}`}},
		{"lines said to be something else", "application/json", "{\"a\": 1}\n{\"a\": 2", []string{`{"a": 1}`, `{"a": 2`}},
		{"one after the other", "application/json", `{"a": 1}{"a": 2} {"a": 3}`, []string{`{"a": 1}`, `{"a": 2}`, `{"a": 3}`}},
		{"several over lines", "", "{\n\"a\": 1\n}\n{\n\"a\": 2\n}\n", []string{"{\n\"a\": 1\n}", "{\n\"a\": 2\n}"}},
		{"one after the other, the last cut off", "application/json", `{"a": 1}{"a": `, []string{`{"a": 1}`, `{"a":`}},
		{"lines of text", "text/plain", "CEF:0|a|b|\nCEF:0|c|d|\n", []string{"CEF:0|a|b|", "CEF:0|c|d|"}},
		{"lines of syslog", "text/plain", "<13>a\n<14>b\n", []string{"<13>a", "<14>b"}},
		{"text in brackets", "text/plain", "[error] a\n[error] b\n", []string{"[error] a", "[error] b"}},
		{"XML", "application/xml", "<Event>\n<x/>\n</Event>", []string{"<Event>\n<x/>\n</Event>"}},
		{"a form", "application/x-www-form-urlencoded", "payload=%7B%22a%22%3A+1%7D", []string{`{"a": 1}`}},
		{"JSON by a client that says form", "application/x-www-form-urlencoded", `{"a": "b&payload=c"}`, []string{`{"a": "b&payload=c"}`}},
	} {
		got, _, err := split([]byte(c.body), c.kind)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if d := cmp.Diff(c.want, texts(got)); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}

func TestWhatIsNoJSONAmongJSONIsNoLineOfText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind, body string
		bad        []bool
	}{
		{"application/x-ndjson", "{\"a\": 1}\n{bad\nhello\n{\"a\": \n", []bool{false, true, true, false}}, // the mapping finds out about the last
		{"", "{\"a\": 1}\n{bad\n", []bool{false, true}},
		{"application/json", "hello", []bool{true}},
		{"text/plain", "{\"a\": 1}\nCEF:0|a|\n", []bool{false, false}},
		{"", "CEF:0|a|\n{\"a\": 1}\n", []bool{false, false}},
	} {
		events, _, err := split([]byte(c.body), c.kind)
		if err != nil {
			t.Fatal(err)
		}
		var bad []bool
		for _, e := range events {
			bad = append(bad, e.wrong != "")
		}
		if d := cmp.Diff(c.bad, bad); d != "" {
			t.Errorf("%s %q (-want +got):\n%s", c.kind, c.body, d)
		}
	}
}

func TestABodyOfTooManyEventsIsRefused(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"a list": "[" + strings.Repeat("1,", maxEvents) + "1]", "lines": strings.Repeat("1\n", maxEvents+1), "one after the other": strings.Repeat("{}", maxEvents+1),
	} {
		if _, _, err := split([]byte(body), ""); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEventsAreTakenOutOfTheirEnvelope(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, event string
		want        []string
	}{
		{"a list", `{"value": [{"a": 1}, {"a": 2}]}`, []string{`{"a": 1}`, `{"a": 2}`}},
		{"an object", `{"x": 1, "object": {"a": 1}}`, []string{`{"a": 1}`}},
		{"an empty list", `{"value": []}`, nil},
		{"a field that holds something else", `{"value": 7}`, []string{`{"value": 7}`}},
		{"no envelope", `{"a": 1}`, []string{`{"a": 1}`}},
		{"no object", `[1]`, []string{`[1]`}},
		{"broken", `{"value": [`, []string{`{"value": [`}},
	} {
		got, _ := unwrapped([]event{{raw: []byte(c.event)}}, []string{"value", "object"})
		if d := cmp.Diff(c.want, texts(got)); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}

// packers pack a body in each way that is understood.
var packers = map[string]func(io.Writer) (io.WriteCloser, error){
	"deflate": func(w io.Writer) (io.WriteCloser, error) { return zlib.NewWriter(w), nil },
	"Deflate": func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, 1) },
	"zstd":    func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) },
}

func packed(t *testing.T, how string, body io.Reader) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := packers[how](&b)
	if err == nil {
		_, err = io.Copy(z, body)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestABodyIsUnpackedWithinTheLimit(t *testing.T) {
	t.Parallel()
	for how := range packers {
		got, err := unpacked(packed(t, how, strings.NewReader("hello")), []string{how}, &share{room: &room{}})
		if err != nil || string(got) != "hello" {
			t.Errorf("%s: %q, %v", how, got, err)
		}
		bomb := packed(t, how, io.LimitReader(zeroes{}, 4*MaxBody))
		r := &room{}
		_, err = unpacked(bomb, []string{how}, &share{room: r})
		var large *http.MaxBytesError
		if !errors.As(err, &large) || r.used.Load() > MaxBody+1 {
			t.Errorf("%s: a bomb of %d bytes: %v, with %d bytes held", how, len(bomb), err, r.used.Load())
		}
		for name, b := range map[string][]byte{"garbage": []byte("garbage that is no such thing"), "cut off": packed(t, how, strings.NewReader(strings.Repeat("hello", 100)))[:12]} {
			if _, err := unpacked(b, []string{how}, &share{room: &room{}}); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "said to be "+strings.ToLower(how)) {
				t.Errorf("%s: %s: %v", how, name, err)
			}
		}
	}
	for _, encodings := range [][]string{{"br"}, {"gzip, gzip"}, {"gzip", "gzip"}} {
		if _, err := unpacked([]byte("x"), encodings, &share{room: &room{}}); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "expected gzip, deflate, zstd or none") {
			t.Errorf("%v: %v", encodings, err)
		}
	}
}

type zeroes struct{}

func (zeroes) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestABodyInAnotherEncodingIsRead(t *testing.T) {
	t.Parallel()
	const text = `{"name": "Jürgen €"}`
	wide := func(order func(uint16) []byte, mark bool) string {
		var b bytes.Buffer
		runes := []rune(text)
		if mark {
			runes = append([]rune{0xfeff}, runes...)
		}
		for _, u := range utf16.Encode(runes) {
			b.Write(order(u))
		}
		return b.String()
	}
	little := func(u uint16) []byte { return []byte{byte(u), byte(u >> 8)} }
	big := func(u uint16) []byte { return []byte{byte(u >> 8), byte(u)} }
	latin := "{\"name\": \"J\xfcrgen \x80\"}"
	for _, c := range []struct{ name, charset, body string }{
		{"UTF-8", "", text}, {"UTF-8, and said", "UTF-8", text},
		{"UTF-16 with a mark", "", wide(little, true)}, {"UTF-16 of the other order with a mark", "", wide(big, true)},
		{"UTF-16 without a mark", "", wide(little, false)}, {"UTF-16 of the other order without a mark", "", wide(big, false)},
		{"UTF-16, said", "utf-16", wide(big, true)}, {"UTF-16LE, said", "UTF-16LE", wide(little, false)},
		{"Latin 1", "ISO-8859-1", latin}, {"Windows", "windows-1252", latin}, {"UTF-8 said to be Latin 1", "latin1", text},
	} {
		got, err := inUTF8([]byte(c.body), c.charset)
		if err != nil || string(bytes.TrimPrefix(got, []byte(byteOrderMark))) != text {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
	if _, err := inUTF8([]byte(text), "klingon"); !errors.Is(err, fault.Invalid) {
		t.Errorf("a charset that nobody knows: %v", err)
	}
}

func TestWhatCannotBeHeldIsRefusedForNow(t *testing.T) {
	t.Parallel()
	r := &room{most: 100}
	one := &share{room: r}
	read := func(s *share, n int) error {
		req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", n)))
		_, err := wireBody(httptest.NewRecorder(), req, s)
		return err
	}
	if err := read(one, 80); err != nil {
		t.Fatal(err)
	}
	if err := read(&share{room: r}, 80); !errors.Is(err, fault.Transient) {
		t.Errorf("a second one: %v", err)
	}
	one.leave()
	two := &share{room: r}
	if err := read(two, 80); err != nil {
		t.Errorf("after the first has gone: %v", err)
	}
	two.leave()
	if used := r.used.Load(); used != 0 {
		t.Errorf("%d bytes are held, and nobody is there", used)
	}
}

// However a body is, its events are parts of it, and there are not too many.
func FuzzBody(f *testing.F) {
	for _, s := range []string{`{"a": 1}`, "[{}, {}]", "{}\n{}", "{}{}", "payload=%7B%7D", "<13>a\nb", "\xff\xfe{\x00", `{"value": [1, {"a": 2}]}`, "<x>"} {
		f.Add([]byte(s), "application/json", "")
		f.Add([]byte(s), "application/x-www-form-urlencoded", "utf-16")
	}
	f.Fuzz(func(t *testing.T, body []byte, kind, charset string) {
		text, err := inUTF8(body, charset)
		if err != nil {
			return
		}
		events, single, err := split(text, kind)
		if err != nil {
			return
		}
		if len(events) > maxEvents || single && len(events) != 1 {
			t.Fatalf("%d events, single %t", len(events), single)
		}
		for _, e := range events {
			if len(e.raw) == 0 || kind != "application/x-www-form-urlencoded" && !bytes.Contains(text, e.raw) {
				t.Fatalf("%q is no part of %q", e.raw, text)
			}
		}
		unwrapped(events, []string{"value", "a"})
	})
}
