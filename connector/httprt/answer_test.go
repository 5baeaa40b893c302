package httprt

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/connector"
)

// reply is what a server answers.
type reply struct {
	status int
	header map[string]string
	body   string
}

func (r reply) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	for k, v := range r.header {
		w.Header().Set(k, v)
	}
	if r.status != 0 {
		w.WriteHeader(r.status)
	}
	_, _ = w.Write([]byte(r.body))
}

func TestWhatAnswersMean(t *testing.T) {
	t.Parallel()
	const looks = `http: { path: /look, output: { id: "${{ body.id }}", status: "${{ status }}", next: "${{ headers[\"x-next\"] }}" }, external: body.id, before: { was: "${{ body.was }}" } }`
	tests := []struct {
		name   string
		parts  parts
		reply  reply
		action string
		want   connector.Result
		output any
	}{
		{"success", parts{}, reply{body: `{"a":1,"b":[1.5,null]}`}, "look", connector.Result{Status: connector.OK}, map[string]any{"a": 1, "b": []any{1.5, nil}}},
		{"an output by expressions", parts{look: looks}, reply{header: map[string]string{"X-Next": "p2"}, body: `{"id":7,"was":"up"}`}, "look",
			connector.Result{Status: connector.OK, External: "7", Before: []byte(`{"was":"up"}`)}, map[string]any{"id": 7, "status": 200, "next": "p2"}},
		{"no body", parts{}, reply{status: 204}, "look", connector.Result{Status: connector.OK}, nil},
		{"an empty body", parts{}, reply{}, "look", connector.Result{Status: connector.OK}, nil},
		{"401", parts{}, reply{status: 401}, "look", connector.Result{Status: connector.Failed, Class: connector.Auth, Message: "HOST answered 401 Unauthorized"}, nil},
		{"403 with a message", parts{}, reply{status: 403, body: `{"error":{"message":"no\n right"}}`}, "look", connector.Result{Status: connector.Failed, Class: connector.Permission, Message: "HOST answered 403 Forbidden: no right"}, nil},
		{"404", parts{}, reply{status: 404, body: `nothing here`}, "look", connector.Result{Status: connector.Failed, Class: connector.NotFound, Message: "HOST answered 404 Not Found: nothing here"}, nil},
		{"409", parts{}, reply{status: 409}, "look", connector.Result{Status: connector.Failed, Class: connector.Conflict, Message: "HOST answered 409 Conflict"}, nil},
		{"422", parts{}, reply{status: 422, body: `{"errors":[{"detail":"bad id"}]}`}, "look", connector.Result{Status: connector.Failed, Class: connector.Invalid, Message: "HOST answered 422 Unprocessable Entity: bad id"}, nil},
		{"a page of a proxy", parts{}, reply{status: 502, body: `<html><body>Bad gateway</body></html>`}, "look", connector.Result{Status: connector.Failed, Class: connector.Transient, Message: "HOST answered 502 Bad Gateway"}, nil},
		{"500 after a change", parts{}, reply{status: 500}, "act", connector.Result{Status: connector.Unknown, Class: connector.UnknownOutcome, Message: "HOST answered 500 Internal Server Error"}, nil},
		{"400 after a change", parts{}, reply{status: 400}, "act", connector.Result{Status: connector.Failed, Class: connector.Invalid, Message: "HOST answered 400 Bad Request"}, nil},
		{"429 with seconds", parts{}, reply{status: 429, header: map[string]string{"Retry-After": "17"}}, "look",
			connector.Result{Status: connector.Failed, Class: connector.RateLimited, Message: "HOST answered 429 Too Many Requests", RetryAfter: 17 * time.Second}, nil},
		{"429 with a date", parts{}, reply{status: 429, header: map[string]string{"Retry-After": "Tue, 24 Nov 2026 12:02:00 GMT"}}, "look",
			connector.Result{Status: connector.Failed, Class: connector.RateLimited, Message: "HOST answered 429 Too Many Requests", RetryAfter: 2 * time.Minute}, nil},
		{"429 with a date that is over", parts{}, reply{status: 429, header: map[string]string{"Retry-After": "Tue, 24 Nov 2026 11:00:00 GMT"}}, "look",
			connector.Result{Status: connector.Failed, Class: connector.RateLimited, Message: "HOST answered 429 Too Many Requests"}, nil},
		{"429 with nonsense", parts{}, reply{status: 429, header: map[string]string{"Retry-After": "soon"}}, "look",
			connector.Result{Status: connector.Failed, Class: connector.RateLimited, Message: "HOST answered 429 Too Many Requests"}, nil},
		{"429 for ever", parts{}, reply{status: 429, header: map[string]string{"Retry-After": "99999999999999999999"}}, "look",
			connector.Result{Status: connector.Failed, Class: connector.RateLimited, Message: "HOST answered 429 Too Many Requests", RetryAfter: 24 * time.Hour}, nil},
		{"a hint in a header, as an epoch", parts{http: "retry_after: [{ header: X-Reset, as: epoch }]"}, reply{status: 429, header: map[string]string{"X-Reset": fmt.Sprint(noon.Unix() + 30)}}, "look",
			connector.Result{Status: connector.Failed, Class: connector.RateLimited, Message: "HOST answered 429 Too Many Requests", RetryAfter: 30 * time.Second}, nil},
		{"a hint in the body", parts{http: "retry_after: [{ value: \"body?.parameters?.retry_after\" }]"}, reply{status: 429, body: `{"parameters":{"retry_after":5}}`}, "look",
			connector.Result{Status: connector.Failed, Class: connector.RateLimited, Message: "HOST answered 429 Too Many Requests", RetryAfter: 5 * time.Second}, nil},
		{"200 with an error inside, by success", parts{http: "success: { when: body?.ok == true }"}, reply{body: `{"ok":false,"error":"channel_not_found"}`}, "look",
			connector.Result{Status: connector.Failed, Class: connector.Permanent, Message: "HOST answered 200 OK: channel_not_found"}, nil},
		{"200 with an error inside, by rule", parts{top: "errors: [{ status: 200, body: { error: [channel_not_found, gone] }, class: not_found, message: \"no channel (${{ body.error }})\" }]"},
			reply{body: `{"ok":false,"error":"gone"}`}, "look", connector.Result{Status: connector.Failed, Class: connector.NotFound, Message: "no channel (gone)"}, nil},
		{"a rule by header", parts{top: "errors: [{ status: 403, header: { X-Remaining: \"0\" }, class: rate_limited }]"}, reply{status: 403, header: map[string]string{"X-Remaining": "0"}}, "look",
			connector.Result{Status: connector.Failed, Class: connector.RateLimited, Message: "HOST answered 403 Forbidden"}, nil},
		{"a rule by header that does not match", parts{top: "errors: [{ status: 403, header: { X-Remaining: \"0\" }, class: rate_limited }]"}, reply{status: 403}, "look",
			connector.Result{Status: connector.Failed, Class: connector.Permission, Message: "HOST answered 403 Forbidden"}, nil},
		{"a rule by a nested field and a number", parts{top: "errors: [{ body: { \"data.0.error.code\": 1701 }, class: not_found }]"}, reply{body: `{"data":[{"error":{"code":1701.0}}]}`}, "look",
			connector.Result{Status: connector.Failed, Class: connector.NotFound, Message: "HOST answered 200 OK"}, nil},
		{"an action's rule comes first", parts{top: "errors: [{ status: 409, class: conflict }]", act: "errors: [{ status: 409, result: already }]\nhttp: { method: POST, path: /a }"}, reply{status: 409, body: `{"id":1}`}, "act",
			connector.Result{Status: connector.Already}, map[string]any{"id": 1}},
		{"404 that is an answer", parts{look: "errors: [{ status: 404, result: ok, output: { known: false } }]\nhttp: { path: /a, output: { known: true } }"}, reply{status: 404}, "look",
			connector.Result{Status: connector.OK}, map[string]any{"known": false}},
		{"already, by a condition", parts{act: "http: { method: POST, path: /a, already: body.changed == false }"}, reply{body: `{"changed":false}`}, "act",
			connector.Result{Status: connector.Already}, map[string]any{"changed": false}},
		{"partial, by a condition", parts{act: "http: { method: POST, path: /a, partial: len(body.failed) > 0 }"}, reply{body: `{"failed":[1]}`}, "act",
			connector.Result{Status: connector.Partial, Class: connector.PartialError, Message: "the product reports that some items failed"}, map[string]any{"failed": []any{1}}},
		{"partial, by a rule", parts{top: "errors: [{ when: body.error == 2, class: partial, message: some }]"}, reply{body: `{"error":2}`}, "look",
			connector.Result{Status: connector.Partial, Class: connector.PartialError, Message: "some"}, map[string]any{"error": 2}},
		{"only a certain status is success", parts{look: "http: { path: /a, success: { status: 202 } }"}, reply{status: 200, body: `{}`}, "look",
			connector.Result{Status: connector.Failed, Class: connector.BadAnswer, Message: "HOST answered 200 OK"}, nil},
		{"an answer as text", parts{look: "http: { path: /a, answer: text }"}, reply{body: "up\n"}, "look", connector.Result{Status: connector.OK}, "up\n"},
		{"lines of JSON", parts{look: "http: { path: /a, answer: ndjson }"}, reply{body: "{\"a\":1}\n\n{\"a\":2}"}, "look", connector.Result{Status: connector.OK}, []any{map[string]any{"a": 1}, map[string]any{"a": 2}}},
		{"XML", parts{look: "http: { path: /a, answer: xml, output: { code: \"${{ body.response.result.code }}\", all: \"${{ body }}\" } }"},
			reply{body: `<?xml version="1.0"?><response status="success"><result><code>7</code><e n="1">a</e><e>b</e></result></response>`}, "look", connector.Result{Status: connector.OK},
			map[string]any{"code": "7", "all": map[string]any{"response": map[string]any{"@status": "success", "result": map[string]any{"code": "7", "e": []any{map[string]any{"@n": "1", "#text": "a"}, "b"}}}}}},
		{"base64", parts{look: "http: { path: /a, answer: base64 }"}, reply{body: "\x00\xff"}, "look", connector.Result{Status: connector.OK}, "AP8="},
		{"broken JSON", parts{}, reply{body: `{"a":`}, "look", connector.Result{Status: connector.Failed, Class: connector.BadAnswer, Message: "HOST: the answer is no JSON: JSON: the value ends too early (content type text/plain; charset=utf-8)"}, nil},
		{"a login page", parts{}, reply{header: map[string]string{"Content-Type": "text/html"}, body: `<html>`}, "look", connector.Result{Status: connector.Failed, Class: connector.BadAnswer, Message: "HOST: the answer is no JSON: *"}, nil},
		{"broken JSON after a change", parts{}, reply{body: `{"a":`}, "act", connector.Result{Status: connector.Unknown, Class: connector.BadAnswer, Message: "HOST: the answer is no JSON: *"}, nil},
		{"JSON that is too deep", parts{}, reply{body: strings.Repeat("[", 100_000)}, "look", connector.Result{Status: connector.Failed, Class: connector.BadAnswer, Message: "HOST: the answer is no JSON: it is nested more than 200 levels deep*"}, nil},
		{"XML that is too deep", parts{look: "http: { path: /a, answer: xml }"}, reply{body: strings.Repeat("<a>", 100_000)}, "look", connector.Result{Status: connector.Failed, Class: connector.BadAnswer, Message: "*nested more than 200 levels deep*"}, nil},
		{"an output that the answer does not have", parts{look: "http: { path: /a, output: { id: \"${{ body.a.b.c }}\" } }"}, reply{body: `{}`}, "look",
			connector.Result{Status: connector.Failed, Class: connector.BadAnswer, Message: "the output cannot be read from the answer: *"}, nil},
		{"a redirect of a change that is not followed", parts{}, reply{status: 307, header: map[string]string{"Location": "/other"}}, "act",
			connector.Result{Status: connector.Failed, Class: connector.Permanent, Message: "*a POST is not repeated elsewhere*"}, nil},
		{"a redirect that may follow a change", parts{}, reply{status: 302, header: map[string]string{"Location": "/other"}}, "act",
			connector.Result{Status: connector.Unknown, Class: connector.BadAnswer, Message: "*a POST is not repeated elsewhere*"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.parts, tt.reply.ServeHTTP)
			got, out := w.run(tt.action, map[string]any{"id": "r1"})
			host := strings.TrimPrefix(w.server.URL, "http://")
			got.Message = strings.ReplaceAll(got.Message, host, "HOST")
			if fits(tt.want.Message, got.Message) {
				got.Message = tt.want.Message
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.output, out); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// fits compares with a pattern in which * is anything.
func fits(pattern, s string) bool {
	pieces := strings.Split(pattern, "*")
	if !strings.HasPrefix(s, pieces[0]) || !strings.HasSuffix(s, pieces[len(pieces)-1]) {
		return false
	}
	for _, p := range pieces {
		at := strings.Index(s, p)
		if at < 0 {
			return false
		}
		s = s[at+len(p):]
	}
	return true
}

func TestPagesAreFetchedToTheEnd(t *testing.T) {
	t.Parallel()
	const out = `, output: { all: "${{ items }}", pages: "${{ pages }}" } }`
	tests := []struct {
		name, look string
		handler    http.HandlerFunc
		inputs     map[string]any
		want       map[string]any
	}{
		{"by cursor in the query", "http: { path: /a, query: { v: 1 }, page: { kind: cursor, items: body.data, next: body.next, param: after }" + out, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("v") != "1" {
				http.Error(w, "no v", http.StatusBadRequest)
			}
			switch r.URL.Query().Get("after") {
			case "":
				fmt.Fprint(w, `{"data":[1,2],"next":"c1"}`)
			case "c1":
				fmt.Fprint(w, `{"data":[3],"next":null}`)
			}
		}, nil, map[string]any{"all": []any{1, 2, 3}, "pages": 2}},
		{"by cursor in the body", "http: { method: POST, path: /a, body: { json: { cursor: \"${{ page.cursor }}\" } }, page: { kind: cursor, items: body.data, next: body.next }" + out, func(w http.ResponseWriter, r *http.Request) {
			b := make([]byte, 100)
			n, _ := r.Body.Read(b)
			if string(b[:n]) == `{}` {
				fmt.Fprint(w, `{"data":[1],"next":"c1"}`)
			} else {
				fmt.Fprintf(w, `{"data":[%q]}`, b[:n])
			}
		}, nil, map[string]any{"all": []any{1, `{"cursor":"c1"}`}, "pages": 2}},
		{"by link in a header", "http: { path: /a, page: { kind: link, items: body }" + out, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("p") == "" {
				w.Header().Add("Link", `<https://x.test/first>; rel="first", </a?p=2>; rel="next"`)
				fmt.Fprint(w, `[1]`)
				return
			}
			fmt.Fprint(w, `[2]`)
		}, nil, map[string]any{"all": []any{1, 2}, "pages": 2}},
		{"by link in the body", "http: { path: /a, page: { kind: link, items: body.value, next: \"body[\\\"@odata.nextLink\\\"]\" }" + out, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("p") == "" {
				fmt.Fprintf(w, `{"value":[1],"@odata.nextLink":"http://%s/a?p=2"}`, r.Host)
				return
			}
			fmt.Fprint(w, `{"value":[2]}`)
		}, nil, map[string]any{"all": []any{1, 2}, "pages": 2}},
		{"by page number", "http: { path: /a, page: { kind: page, items: body, param: page, size: 2, size_param: per_page }" + out, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, map[string]string{"page=1": `[1,2]`, "page=2": `[3]`}[strings.TrimPrefix(r.URL.RawQuery, "per_page=2&")])
		}, nil, map[string]any{"all": []any{1, 2, 3}, "pages": 2}},
		{"by offset", "http: { path: /a, page: { kind: offset, items: body, param: offset }" + out, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, map[string]string{"0": `[1,2]`, "2": `[3]`, "3": `[]`}[r.URL.Query().Get("offset")])
		}, nil, map[string]any{"all": []any{1, 2, 3}, "pages": 3}},
		{"until the answer says so", "http: { path: /a, page: { kind: page, items: body.d, param: page, until: body.last }" + out, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"d":[1],"last":%v}`, r.URL.Query().Get("page") == "2")
		}, nil, map[string]any{"all": []any{1, 1}, "pages": 2}},
		{"no further than the limit of pages", "http: { path: /a, page: { kind: page, items: body, param: page, max_pages: 3 }" + out, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `[1]`)
		}, nil, map[string]any{"all": []any{1, 1, 1}, "pages": 3}},
		{"no further than what is wanted", "http: { path: /a, page: { kind: page, items: body, param: page, limit: n }" + out, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `[1,2,3]`)
		}, map[string]any{"n": 4}, map[string]any{"all": []any{1, 2, 3, 1}, "pages": 2}},
		{"a cursor that never changes", "http: { path: /a, page: { kind: cursor, items: body.d, next: body.n, param: c }" + out, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"d":[1],"n":"same"}`)
		}, nil, map[string]any{"all": []any{1, 1}, "pages": 2}},
		{"without an output of its own", "http: { path: /a, page: { kind: page, items: body, param: page, max_pages: 1 } }", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `[1]`)
		}, nil, map[string]any{"items": []any{1}, "truncated": true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, parts{look: tt.look}, tt.handler)
			res, out := w.run("look", tt.inputs)
			if diff := cmp.Diff(any(tt.want), out); diff != "" || res.Status != connector.OK {
				t.Errorf("%+v %s", res, diff)
			}
		})
	}
}

func TestPagesThatFail(t *testing.T) {
	t.Parallel()
	const look = "http: { path: /a, page: { kind: link, items: body.d, next: body.n } }"
	tests := []struct {
		name, first, says string
		class             connector.Class
	}{
		{"the next page is on another host", `{"d":[1],"n":"https://evil.test/a"}`, "another host, evil.test", connector.BadAnswer},
		{"the second page fails", `{"d":[1],"n":"/broken"}`, "503", connector.Transient},
		{"the items are no list", `{"d":"x"}`, "the items of the page cannot be read", connector.BadAnswer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, parts{look: look}, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/broken" {
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				fmt.Fprint(w, tt.first)
			})
			res, _ := w.run("look", nil)
			if res.Class != tt.class || !strings.Contains(res.Message, tt.says) {
				t.Errorf("%+v", res)
			}
		})
	}
}
