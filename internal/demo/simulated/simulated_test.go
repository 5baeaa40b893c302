package simulated

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// begin starts all products for one test.
func begin(t *testing.T) *Products {
	t.Helper()
	p, err := Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return p
}

// ask calls a product's API with its credential and returns status, header and
// body. Redirects are not followed.
func ask(t *testing.T, p *Product, method, path, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	status, h, text, err := try(t, p, method, path, body, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return status, h, text
}

func try(t *testing.T, p *Product, method, path, body string, header ...string) (int, http.Header, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	sign(p, r)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(text), err
}

func sign(p *Product, r *http.Request) {
	switch p.authKind.kind {
	case "bearer":
		r.Header.Set("Authorization", "Bearer "+p.Secret)
	case "header":
		r.Header.Set(p.authKind.name, p.Secret)
	case "query":
		q := r.URL.Query()
		q.Set(p.authKind.name, p.Secret)
		r.URL.RawQuery = q.Encode()
	case "basic":
		r.SetBasicAuth(p.User, p.Secret)
	}
}

// fields reads some fields of a JSON object, by dotted path.
func fields(t *testing.T, text string, paths ...string) []any {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("%v in %.200s", err, text)
	}
	found := make([]any, len(paths))
	for i, path := range paths {
		var v any = all
		for _, name := range strings.Split(path, ".") {
			m, _ := v.(map[string]any)
			v = m[name]
		}
		found[i] = v
	}
	return found
}

func TestProductsBehaveAsTheirKindDoes(t *testing.T) {
	t.Parallel()
	type step struct {
		method, path, body string
		status             int
		holds              string // must stand in the answer
	}
	tests := []struct {
		name    string
		product func(*Products) *Product
		steps   []step
	}{
		{"a host is isolated once, then it is so already, then released", func(p *Products) *Product { return p.EDR }, []step{
			{"GET", "/api/v1/hosts/ws-17", "", 200, `"isolation":"none"`},
			{"POST", "/api/v1/hosts/ws-17/isolate", `{"comment":"C-1"}`, 200, `"task_id":"t-1"`},
			{"POST", "/api/v1/hosts/192.0.2.117/isolate", `{}`, 409, "already_isolated"},
			{"GET", "/api/v1/hosts?isolation=isolated", "", 200, `"total":1`},
			{"POST", "/api/v1/hosts/h-ws-17/release", "", 200, `"isolation":"none"`},
			{"POST", "/api/v1/hosts/ws-17/release", "", 409, "not_isolated"},
			{"POST", "/api/v1/hosts/ws-99/isolate", "", 404, "not_found"},
			{"POST", "/api/v1/hosts/ws-17/isolate", `{"comment":`, 400, "invalid"},
			{"POST", "/api/v1/hosts/ws-17/isolate", `{"force":true}`, 400, "unknown field"},
		}},
		{"a collection takes a while and gives a reference", func(p *Products) *Product { return p.EDR }, []step{
			{"POST", "/api/v1/hosts/ws-17/collect", `{"what":"memory"}`, 202, `"id":"j-1"`},
			{"GET", "/api/v1/jobs/j-1", "", 200, `"state":"running"`},
			{"GET", "/api/v1/jobs/j-1", "", 200, `"ref":"evidence/j-1-ws-17-memory"`},
			{"DELETE", "/api/v1/jobs/j-1", "", 409, "ended"},
			{"POST", "/api/v1/hosts/ws-17/collect", `{"what":"everything"}`, 400, "invalid"},
			{"GET", "/api/v1/jobs/j-9", "", 404, "not_found"},
		}},
		{"a hash is blocked by a PUT that may be repeated", func(p *Products) *Product { return p.EDR }, []step{
			{"GET", "/api/v1/files/" + malware + "/hosts", "", 200, `["ws-17","ws-23"]`},
			{"PUT", "/api/v1/blocked-hashes/" + malware, `{}`, 201, malware},
			{"PUT", "/api/v1/blocked-hashes/" + strings.ToUpper(malware), `{}`, 200, malware},
			{"DELETE", "/api/v1/blocked-hashes/" + malware, "", 204, ""},
			{"DELETE", "/api/v1/blocked-hashes/" + malware, "", 404, "not_found"},
			{"PUT", "/api/v1/blocked-hashes/abc", `{}`, 400, "invalid"},
		}},
		{"an address is blocked, found, and unblocked by id or by value", func(p *Products) *Product { return p.Firewall }, []step{
			{"POST", "/api/v2/blocks", `{"value":"198.51.100.23","comment":"C-1"}`, 201, `"id":"b-1001"`},
			{"POST", "/api/v2/blocks", `{"value":"::ffff:198.51.100.23"}`, 409, `"id":"b-1001"`},
			{"GET", "/api/v2/blocks?value=198.51.100.23", "", 200, `"total":1`},
			{"GET", "/api/v2/check/198.51.100.23", "", 200, `"allowed":false`},
			{"DELETE", "/api/v2/blocks/b-1001", "", 200, `"removed"`},
			{"DELETE", "/api/v2/blocks/b-1001", "", 404, "not_found"},
			{"POST", "/api/v2/blocks", `{"value":"2001:DB8::1"}`, 201, `"value":"2001:db8::1"`},
			{"DELETE", "/api/v2/blocks?value=2001:db8:0::1", "", 200, `"b-1002"`},
			{"DELETE", "/api/v2/blocks", "", 400, "value is missing"},
		}},
		{"networks and domains are blocked too, but not half the world", func(p *Products) *Product { return p.Firewall }, []step{
			{"POST", "/api/v2/blocks", `{"value":"198.51.100.7/24"}`, 201, `"value":"198.51.100.0/24"`},
			{"GET", "/api/v2/check/198.51.100.99", "", 200, `"allowed":false`},
			{"POST", "/api/v2/blocks", `{"value":"Evil.Example."}`, 201, `"value":"evil.example"`},
			{"GET", "/api/v2/blocks?kind=domain", "", 200, `"total":1`},
			{"POST", "/api/v2/blocks", `{"value":"0.0.0.0/0"}`, 422, "too_wide"},
			{"POST", "/api/v2/blocks", `{"value":"nonsense"}`, 400, "invalid"},
		}},
		{"an account is disabled and enabled", func(p *Products) *Product { return p.Directory }, []step{
			{"GET", "/v1/users/alice@lab.test", "", 200, `"enabled":true`},
			{"POST", "/v1/users/alice/disable", `{"reason":"C-1"}`, 200, `"enabled":false`},
			{"POST", "/v1/users/alice/disable", `{}`, 409, "already_disabled"},
			{"GET", "/v1/users?enabled=false", "", 200, `"total":1`},
			{"POST", "/v1/users/alice/enable", "", 200, `"enabled":true`},
			{"POST", "/v1/users/alice/enable", "", 409, "already_enabled"},
			{"POST", "/v1/users/mallory/disable", "", 404, "not_found"},
		}},
		{"sessions are ended once", func(p *Products) *Product { return p.Directory }, []step{
			{"POST", "/v1/users/carol/revoke-sessions", "", 200, `"revoked":3`},
			{"POST", "/v1/users/carol/revoke-sessions", "", 200, `"revoked":0`},
		}},
		{"group membership is a set", func(p *Products) *Product { return p.Directory }, []step{
			{"PUT", "/v1/groups/suspended/members/bob", "", 201, `"suspended"`},
			{"PUT", "/v1/groups/suspended/members/bob", "", 200, `"suspended"`},
			{"GET", "/v1/users?group=suspended", "", 200, `"total":1`},
			{"DELETE", "/v1/groups/suspended/members/bob", "", 200, `"sales"`},
			{"DELETE", "/v1/groups/suspended/members/bob", "", 404, "not_a_member"},
		}},
		{"reputation knows the attack and nothing bad of others", func(p *Products) *Product { return p.Reputation }, []step{
			{"GET", "/v3/ip/203.0.113.66", "", 200, `"score":100`},
			{"GET", "/v3/ip/198.51.100.131", "", 200, `"botnet"`},
			{"GET", "/v3/ip/192.0.2.10", "", 404, "not_found"},
			{"GET", "/v3/domain/Login.Invoice-Update.example", "", 200, `"verdict":"malicious"`},
			{"GET", "/v3/hash/" + malware, "", 200, `"score":100`},
			{"GET", "/v3/url?url=http://user@login.invoice-update.example:80/verify", "", 200, `"score":98`},
			{"GET", "/v3/url/http%3A%2F%2Flogin.invoice-update.example%2Fverify", "", 200, `"score":98`},
			{"GET", "/v3/ip/300.1.1.1", "", 400, "invalid"},
			{"GET", "/v3/hash/zz", "", 400, "invalid"},
			{"GET", "/v3/nothing", "", 404, ""},
			{"POST", "/v3/ip/203.0.113.66", "", 405, ""},
		}},
		{"lists come in pages", func(p *Products) *Product { return p.EDR }, []step{
			{"GET", "/api/v1/hosts?limit=3", "", 200, `"next_cursor":"3"`},
			{"GET", "/api/v1/hosts?limit=3&cursor=6", "", 200, `"next_cursor":""`},
			{"GET", "/api/v1/hosts?limit=0", "", 400, "limit must be"},
			{"GET", "/api/v1/hosts?cursor=x", "", 400, "unknown cursor"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			product := tt.product(begin(t))
			for _, s := range tt.steps {
				status, _, text := ask(t, product, s.method, s.path, s.body)
				if status != s.status || !strings.Contains(text, s.holds) {
					t.Errorf("%s %s: %d %s, want %d with %q", s.method, s.path, status, text, s.status, s.holds)
				}
			}
		})
	}
}

func TestReputationAlwaysSaysTheSame(t *testing.T) {
	t.Parallel()
	p := begin(t)
	for _, path := range []string{"/v3/ip/8.8.8.8", "/v3/domain/example.org", "/v3/hash/" + strings.Repeat("ab", 20)} {
		_, _, first := ask(t, p.Reputation, "GET", path, "")
		_, _, second := ask(t, p.Reputation, "GET", path, "")
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("%s (-first +second):\n%s", path, diff)
		}
		if score := fields(t, first, "score")[0].(float64); score > 60 {
			t.Errorf("%s: a score of %v for something unknown", path, score)
		}
	}
}

func TestWrongCredentialsAreRefused(t *testing.T) {
	t.Parallel()
	p := begin(t)
	paths := map[string]string{"edr": "/api/v1/hosts", "firewall": "/api/v2/blocks", "directory": "/v1/users", "reputation": "/v3/quota"}
	for _, product := range p.All() {
		right := product.Secret
		product.Secret = "guessed" // what sign sends
		guess, err := http.NewRequestWithContext(t.Context(), "GET", product.URL+paths[product.Name], nil)
		if err != nil {
			t.Fatal(err)
		}
		sign(product, guess)
		product.Secret = right
		none, err := http.NewRequestWithContext(t.Context(), "GET", product.URL+paths[product.Name], nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []*http.Request{guess, none} {
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s answers %d", product.Name, resp.StatusCode)
			}
		}
		if n := product.Status().Refused; n != 2 {
			t.Errorf("%s counts %d refused calls, want 2", product.Name, n)
		}
	}
}

func TestTheLogTellsWhatReallyHappened(t *testing.T) {
	t.Parallel()
	p := begin(t).Firewall
	body := `{"value":"198.51.100.23"}`
	ask(t, p, "POST", "/api/v2/blocks", body, "Idempotency-Key", "k1")
	status, _, text := ask(t, p, "POST", "/api/v2/blocks", body, "Idempotency-Key", "k1")
	if status != http.StatusCreated || !strings.Contains(text, "b-1001") {
		t.Errorf("the same key again answers %d %s", status, text)
	}
	if status, _, _ := ask(t, p, "POST", "/api/v2/blocks", `{"value":"198.51.100.24"}`, "Idempotency-Key", "k1"); status != http.StatusUnprocessableEntity {
		t.Errorf("the key of another call answers %d", status)
	}
	ask(t, p, "POST", "/api/v2/blocks", body, "Idempotency-Key", "k2")
	ask(t, p, "DELETE", "/api/v2/blocks/b-1001", "")
	ask(t, p, "GET", "/api/v2/blocks", "")

	type line struct {
		Key               string
		Status            int
		Changed, Replayed bool
		Change            string
	}
	var got []line
	_, _, text = ask(t, p, "GET", "/log", "")
	var log struct{ Entries []Entry }
	if err := json.Unmarshal([]byte(text), &log); err != nil {
		t.Fatal(err)
	}
	for _, e := range log.Entries {
		got = append(got, line{e.Key, e.Status, e.Changed, e.Replayed, e.Change})
		if time.Since(e.Time) > time.Minute || e.Time.Location() != time.UTC {
			t.Errorf("entry %d is of %v", e.Number, e.Time)
		}
	}
	want := []line{
		{"k1", 201, true, false, "block"},
		{"k1", 201, false, true, "block"},
		{"k1", 422, false, false, ""},
		{"k2", 409, false, false, ""},
		{"", 200, true, false, "unblock"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	_, _, text = ask(t, p, "GET", "/state", "")
	if diff := cmp.Diff([]any{"firewall", 2.0, 1.0}, fields(t, text, "product", "changes", "reads")); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

func TestTooManyCallsAreSlowedDown(t *testing.T) {
	t.Parallel()
	p := begin(t).Reputation
	now := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	p.mu.Lock()
	p.now = func() time.Time { return now }
	p.mu.Unlock()
	p.SetRate(0.5, 2)
	var got []int
	for range 3 {
		status, _, _ := ask(t, p, "GET", "/v3/quota", "")
		got = append(got, status)
	}
	if diff := cmp.Diff([]int{200, 200, 429}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, header, _ := ask(t, p, "GET", "/v3/quota", "")
	if header.Get("Retry-After") != "2" {
		t.Errorf("Retry-After is %q, want 2", header.Get("Retry-After"))
	}
	p.mu.Lock()
	now = now.Add(2 * time.Second)
	p.mu.Unlock()
	if status, _, _ := ask(t, p, "GET", "/v3/quota", ""); status != 200 {
		t.Errorf("after the wait: %d", status)
	}
}

func TestFaultsSpoilAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault  Fault
		status int
		holds  string
		header string
	}{
		{Fault{Kind: Broken}, 500, "internal", ""},
		{Fault{Kind: Broken, Status: 503}, 503, "internal", ""},
		{Fault{Kind: Garbage}, 200, `[ {"a": `, ""},
		{Fault{Kind: HTML}, 200, "Sign in", ""},
		{Fault{Kind: WrongType}, 200, "[1,2,3]", ""},
		{Fault{Kind: Huge, Size: 1000}, 200, strings.Repeat("A", 1000), ""},
		{Fault{Kind: Redirect}, 302, "", "Location"},
		{Fault{Kind: Slowdown, DelayMS: 3000}, 429, "slow down", "Retry-After"},
		{Fault{Kind: Expired}, 401, "bad_credential", ""},
		{Fault{Kind: Latency, DelayMS: 1}, 201, "b-1001", ""},
	}
	for _, tt := range tests {
		t.Run(string(tt.fault.Kind), func(t *testing.T) {
			t.Parallel()
			p := begin(t).Firewall
			tt.fault.Method, tt.fault.Path, tt.fault.Times = "POST", "/api/v2/blocks", 1
			if err := p.SetFaults(tt.fault); err != nil {
				t.Fatal(err)
			}
			if status, _, _ := ask(t, p, "GET", "/api/v2/blocks", ""); status != 200 {
				t.Errorf("another method is spoiled too: %d", status)
			}
			status, header, text := ask(t, p, "POST", "/api/v2/blocks", `{"value":"198.51.100.23"}`)
			if status != tt.status || !strings.Contains(text, tt.holds) {
				t.Errorf("%d %.100s, want %d with %.100q", status, text, tt.status, tt.holds)
			}
			if tt.header != "" && header.Get(tt.header) == "" {
				t.Errorf("no header %s", tt.header)
			}
			if n := len(p.Faults()); n != 0 {
				t.Errorf("%d faults wait, want it used up", n)
			}
			if done := len(p.Log()); done != 0 && tt.fault.Kind != Latency {
				t.Error("a spoiled answer still did something")
			}
		})
	}
}

func TestALostAnswerHasBeenDone(t *testing.T) {
	t.Parallel()
	p := begin(t).Firewall
	if err := p.SetFaults(Fault{Kind: Lost, Method: "POST", Times: 1}); err != nil {
		t.Fatal(err)
	}
	_, _, _, err := try(t, p, "POST", "/api/v2/blocks", `{"value":"198.51.100.23"}`, "Idempotency-Key", "k1")
	if err == nil {
		t.Fatal("an answer came")
	}
	log := p.Log()
	if len(log) != 1 || !log[0].Changed || !log[0].Lost {
		t.Errorf("log is %+v", log)
	}
	if status, _, _ := ask(t, p, "POST", "/api/v2/blocks", `{"value":"198.51.100.23"}`, "Idempotency-Key", "k1"); status != http.StatusCreated {
		t.Errorf("the same key again answers %d", status)
	}
}

func TestAHangEndsWhenTheCallerLeavesOrTheServerStops(t *testing.T) {
	t.Parallel()
	p := begin(t)
	for _, product := range []*Product{p.EDR, p.Firewall} {
		if err := product.SetFaults(Fault{Kind: Hang}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "POST", p.EDR.URL+"/api/v1/hosts/ws-17/isolate", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.DefaultClient.Do(r); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v, want the deadline", err)
	}

	waiting := make(chan error, 1)
	began := make(chan struct{})
	go func() {
		close(began)
		_, _, _, err := try(t, p.Firewall, "GET", "/api/v2/blocks", "")
		waiting <- err
	}()
	<-began
	if err := p.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if err := <-waiting; err == nil {
		t.Error("an answer came from a server that hangs")
	}
}

func TestFaultsAreSetOverHTTPToo(t *testing.T) {
	t.Parallel()
	p := begin(t).EDR
	tests := []struct {
		name, body string
		status     int
		holds      string
	}{
		{"a good one", `{"faults":[{"kind":"status","status":502,"skip":1,"times":1}]}`, 200, "502"},
		{"an unknown kind", `{"faults":[{"kind":"explode"}]}`, 400, "unknown kind"},
		{"an unknown field", `{"faults":[{"kind":"hang","often":1}]}`, 400, "often"},
		{"a bad status", `{"faults":[{"kind":"status","status":42}]}`, 400, "status 42"},
		{"a negative number", `{"faults":[{"kind":"hang","times":-1}]}`, 400, "negative"},
	}
	for _, tt := range tests {
		if status, _, text := ask(t, p, "PUT", "/faults", tt.body); status != tt.status || !strings.Contains(text, tt.holds) {
			t.Errorf("%s: %d %s", tt.name, status, text)
		}
	}
	var got []int
	for range 3 {
		status, _, _ := ask(t, p, "GET", "/api/v1/token", "")
		got = append(got, status)
	}
	if diff := cmp.Diff([]int{200, 502, 200}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	ask(t, p, "POST", "/api/v1/hosts/ws-17/isolate", "")
	if status, _, _ := ask(t, p, "POST", "/reset", ""); status != 204 {
		t.Errorf("reset answers %d", status)
	}
	if s := p.Status(); s.Changes != 0 || len(p.Log()) != 0 {
		t.Errorf("after reset: %+v", s)
	}
}

func TestStartSaysWhatIsWrongWithAnAddress(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:99999"} {
		if _, err := Start(addr); err == nil || !strings.Contains(err.Error(), "simulated products on") {
			t.Errorf("Start(%q): %v", addr, err)
		}
	}
}

func TestAStrangersBodyIsLimited(t *testing.T) {
	t.Parallel()
	p := begin(t).Firewall
	status, _, _ := ask(t, p, "POST", "/api/v2/blocks", string(bytes.Repeat([]byte("x"), maxBody+1)))
	if status != http.StatusRequestEntityTooLarge {
		t.Errorf("answers %d", status)
	}
}
