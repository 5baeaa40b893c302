package ingest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/fault"
	"riposte/internal/ingest"
)

// post sends a body and gives back the status and the answer.
func post(t *testing.T, s *store, body, contentType string) (int, ingest.Answer, error) {
	t.Helper()
	var failure error
	h := &ingest.Webhook{Sink: s, Problem: func(w http.ResponseWriter, _ *http.Request, err error) {
		failure = err
		w.WriteHeader(http.StatusBadRequest)
	}}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	h.Serve(w, r, entrance(t))
	var a ingest.Answer
	if w.Code == http.StatusAccepted {
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
	}
	return w.Code, a, failure
}

func entrance(t *testing.T) ingest.Entrance {
	t.Helper()
	return ingest.Entrance{Source: ingest.Source{Name: "hook", Mapping: plainMapping(t)}}
}

func TestOneEventIsAnsweredWithItsAlert(t *testing.T) {
	t.Parallel()
	s := newStore()
	for i, want := range []ingest.Answer{
		{Counts: ingest.Counts{Received: 1, Accepted: 1}, Alert: "A-1"},
		{Counts: ingest.Counts{Received: 1, Duplicates: 1}, Alert: "A-1", Duplicate: true},
	} {
		code, got, err := post(t, s, event("a"), "application/json")
		if code != http.StatusAccepted || err != nil {
			t.Fatalf("post %d: %d, %v", i, code, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("post %d (-want +got):\n%s", i, d)
		}
	}
}

func TestManyEventsAreCounted(t *testing.T) {
	t.Parallel()
	body := event("a") + event("b") + event("a") + `{"skip": true}` + "\n" + "{broken\n" + `{"severity": "high"}` + "\n"
	want := ingest.Counts{Received: 6, Accepted: 2, Duplicates: 1, Skipped: 1, Unread: 2}
	for _, kind := range []string{"application/x-ndjson", "text/plain"} {
		code, got, err := post(t, newStore(), body, kind)
		if code != http.StatusAccepted || err != nil {
			t.Fatalf("%s: %d, %v", kind, code, err)
		}
		if d := cmp.Diff(want, got.Counts); d != "" {
			t.Errorf("%s (-want +got):\n%s", kind, d)
		}
		if len(got.Errors) != 2 || got.Errors[0].Event != 5 || !strings.Contains(got.Errors[1].Error, "identity: it is empty") {
			t.Errorf("%s: errors are %+v", kind, got.Errors)
		}
	}
}

func TestAnArrayIsManyEvents(t *testing.T) {
	t.Parallel()
	_, got, err := post(t, newStore(), `[{"n": 1}, {"n": 2}]`, "application/json")
	if err != nil || got.Accepted != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestABatchLargerThanATransactionIsWhole(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for range 3 {
		for i := range 1000 {
			b.WriteString(event(strconv.Itoa(i)))
		}
	}
	_, got, err := post(t, newStore(), b.String(), "application/x-ndjson")
	if want := (ingest.Counts{Received: 3000, Accepted: 1000, Duplicates: 2000}); err != nil || got.Counts != want {
		t.Fatalf("%+v, %v; want %+v", got.Counts, err, want)
	}
}

func TestAnEmptyBodyIsRefused(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"nothing": "", "blanks": " \n", "a mark": "\xef\xbb\xbf"} {
		s := newStore()
		code, _, err := post(t, s, body, "application/json")
		if code == http.StatusAccepted || !errors.Is(err, fault.Invalid) || s.got() != "" {
			t.Errorf("%s: %d, %v, stored %q", name, code, err, s.got())
		}
	}
}

func TestABodyThatCannotBeReadIsKeptWithItsError(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"no JSON": "hello", "cut off": `{"n": "a"`, "a broken array": `[{"n": 1},`, "pretty and cut off": "{\n  \"n\": \"a\",\n",
		"too deep": strings.Repeat(`{"n":`, 10_001) + "1" + strings.Repeat("}", 10_001),
	} {
		s := newStore()
		code, got, err := post(t, s, body, "application/json")
		want := ingest.Counts{Received: 1, Unread: 1}
		if code != http.StatusAccepted || err != nil || got.Counts != want || got.Alert == "" || len(got.Errors) != 1 || s.got() != "Event that could not be read" {
			t.Errorf("%s: %d, %+v, %v, stored %q", name, code, got, err, s.got())
		}
	}
}

func TestAFullStoreIsNoAcceptance(t *testing.T) {
	t.Parallel()
	s := newStore()
	s.refuse = 1
	if _, _, err := post(t, s, event("a"), "application/json"); !errors.Is(err, fault.Transient) {
		t.Fatalf("got %v, want fault.Transient", err)
	}
}

func TestALineThatIsBrokenIsNamedAndTheOthersComeIn(t *testing.T) {
	t.Parallel()
	body := "\xef\xbb\xbf" + event("a") + "\r\n\n" + `{"n": "b"` + "\r\n" + "\xef\xbb\xbf" + event("c")
	for _, kind := range []string{"application/x-ndjson", "application/json"} {
		_, got, err := post(t, newStore(), body, kind)
		if err != nil || got.Accepted != 2 || len(got.Errors) != 1 {
			t.Fatalf("%s: %+v, %v", kind, got, err)
		}
		if e := got.Errors[0]; e.Event != 2 || e.Line != 4 {
			t.Errorf("%s: the broken line is event %d in line %d, want 2 in 4", kind, e.Event, e.Line)
		}
	}
}

func TestACompressedBodyIsReadWithinTheLimit(t *testing.T) {
	t.Parallel()
	send := func(body []byte) (ingest.Answer, error) {
		var failure error
		h := &ingest.Webhook{Sink: newStore(), Problem: func(_ http.ResponseWriter, _ *http.Request, err error) { failure = err }}
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set("Content-Encoding", "GZip") // codings know no case
		w := httptest.NewRecorder()
		h.Serve(w, r, entrance(t))
		var a ingest.Answer
		if failure == nil {
			failure = json.Unmarshal(w.Body.Bytes(), &a)
		}
		return a, failure
	}
	packed := func(body string) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := io.WriteString(z, body); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	if a, err := send(packed(event("a") + event("b"))); err != nil || a.Accepted != 2 {
		t.Errorf("%+v, %v", a, err)
	}
	for name, c := range map[string]struct {
		body []byte
		want string
	}{
		"not compressed": {[]byte(event("a")), "said to be gzip, and is not"},
		"cut off":        {packed(event("a"))[:20], "said to be gzip, and is not, or is cut off: unexpected EOF"},
		"a bomb":         {packed(strings.Repeat(" ", ingest.MaxBody+1)), "too large"},
	} {
		if _, err := send(c.body); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestABodyThatIsTooLargeIsToldBeforeItIsRead(t *testing.T) {
	t.Parallel()
	var failure error
	h := &ingest.Webhook{Sink: newStore(), Problem: func(_ http.ResponseWriter, _ *http.Request, err error) { failure = err }}
	r := httptest.NewRequest(http.MethodPost, "/", unread{t})
	r.ContentLength = ingest.MaxBody + 1
	r.Header.Set("Expect", "100-continue")
	h.Serve(httptest.NewRecorder(), r, entrance(t))
	var large *http.MaxBytesError
	if !errors.As(failure, &large) || large.Limit != ingest.MaxBody || !errors.Is(failure, fault.Invalid) {
		t.Errorf("%v", failure)
	}
}

func TestASenderThatOnlySendsGetsItsAnswerAllTheSame(t *testing.T) {
	t.Parallel()
	h := &ingest.Webhook{Sink: newStore(), Problem: func(w http.ResponseWriter, _ *http.Request, _ error) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.Serve(w, r, entrance(t))
	}))
	defer srv.Close()
	for _, known := range []bool{true, false} {
		body := io.LimitReader(zeros{}, 3*ingest.MaxBody)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, body)
		if err != nil {
			t.Fatal(err)
		}
		if known {
			r.ContentLength = 3 * ingest.MaxBody
		}
		a, err := srv.Client().Do(r)
		if err != nil {
			t.Fatalf("length known %t: %v", known, err)
		}
		_ = a.Body.Close()
		if a.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("length known %t: %s", known, a.Status)
		}
		if left, _ := body.(*io.LimitedReader); left.N != 0 {
			t.Errorf("length known %t: %d bytes were not taken", known, left.N)
		}
	}
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// unread is a body that nobody may read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func TestAnUnreadEventThatComesAgainIsCountedOnce(t *testing.T) {
	t.Parallel()
	s := newStore()
	body := event("a") + "{broken\n" + event("b")
	for i, want := range []ingest.Counts{{Received: 3, Accepted: 2, Unread: 1}, {Received: 3, Duplicates: 2, Unread: 1}} {
		_, got, err := post(t, s, body, "application/x-ndjson")
		if d := cmp.Diff(want, got.Counts); err != nil || d != "" {
			t.Errorf("post %d: %v (-want +got):\n%s", i, err, d)
		}
		if len(got.Errors) != 1 || got.Errors[0].Line != 2 {
			t.Errorf("post %d: %+v", i, got.Errors)
		}
	}
}
