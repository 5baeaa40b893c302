package httpapi

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/fault"
)

func TestAListIsPagedByCursor(t *testing.T) {
	t.Parallel()
	c := serve(t, newWorld(t))
	var ids []string
	cursor, pages := "", 0
	for {
		var l List[Alert]
		c.do("GET", "/api/alerts?limit=50&cursor="+cursor, "").ok(200).into(&l)
		for _, a := range l.Items {
			ids = append(ids, a.ID)
		}
		pages++
		if cursor = l.NextCursor; cursor == "" {
			break
		}
	}
	if pages != 3 || len(ids) != 120 || ids[0] != "A-120" || ids[119] != "A-1" {
		t.Errorf("%d pages, %d alerts from %s to %s", pages, len(ids), ids[0], ids[len(ids)-1])
	}
	a := c.do("GET", "/api/approvals", "").ok(200)
	if strings.TrimSpace(string(a.body)) != `{"items":[]}` {
		t.Errorf("an empty list is %s", a.body)
	}
}

func TestAChangeSaysWhatItHasSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := serve(t, w)
	open := c.do("POST", "/api/cases", `{"title":"A phish","severity":"high"}`).ok(201)
	if open.header.Get("Location") != "/api/cases/C-1" || open.header.Get("ETag") != `"1"` {
		t.Errorf("location %q, etag %q", open.header.Get("Location"), open.header.Get("ETag"))
	}
	change := `{"title":"A large phish"}`
	c.do("PATCH", "/api/cases/C-1", change).problem(428, "precondition-required")
	c.do("PATCH", "/api/cases/C-1", change, "If-Match", `"7"`).problem(412, "stale")
	c.do("PATCH", "/api/cases/C-1", change, "If-Match", `nonsense`).problem(412, "stale")
	a := c.do("PATCH", "/api/cases/C-1", change, "If-Match", `"1"`).ok(200)
	if a.header.Get("ETag") != `"2"` {
		t.Errorf("etag %q", a.header.Get("ETag"))
	}
	c.do("PATCH", "/api/cases/C-2", change, "If-Match", `"1"`).problem(404, "not-found")
	w.cases[1].OpenTasks = 2
	p := c.do("POST", "/api/cases/C-1/close", `{"verdict":"true_positive"}`, "If-Match", `"2"`).problem(409, "conflict")
	if p.Detail != "close case C-1: 2 open tasks" {
		t.Errorf("%q", p.Detail)
	}
	w.cases[1].OpenTasks = 0
	c.do("POST", "/api/cases/C-1/close", `{"verdict":"true_positive"}`, "If-Match", `"2"`).ok(200)
	c.do("PATCH", "/api/cases/C-1/tasks/1", `{"status":"done"}`).problem(428, "precondition-required")
}

func TestEveryUpdateNeedsWhatWasSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := serve(t, w)
	w.drafts["block-ip"] = Draft{ETag: `"x"`}
	for path, methods := range theDocument(t).Paths {
		for method := range methods {
			body := map[string]string{"patch": "{}", "put": `{"text":"x"}`}[method]
			if body == "" {
				continue
			}
			p := strings.NewReplacer("{id}", "C-1").Replace(path)
			c.do(strings.ToUpper(method), filled(p), body).problem(428, "precondition-required")
		}
	}
}

func TestADraftIsNotOverwrittenUnseen(t *testing.T) {
	t.Parallel()
	c := serve(t, newWorld(t))
	first := c.do("PUT", "/api/playbooks/block-ip/draft", `{"text":"a"}`).ok(200)
	c.do("PUT", "/api/playbooks/block-ip/draft", `{"text":"ab"}`).problem(428, "precondition-required")
	c.do("PUT", "/api/playbooks/block-ip/draft", `{"text":"ab"}`, "If-Match", `"9"`).problem(412, "stale")
	c.do("PUT", "/api/playbooks/block-ip/draft", `{"text":"ab"}`, "If-Match", first.header.Get("ETag")).ok(200)
	c.do("POST", "/api/playbooks/block-ip/publish", "").ok(200)
	c.do("POST", "/api/playbooks/other/publish", "").problem(404, "not-found")
	c.do("PUT", "/api/playbooks/Bad%20Name/draft", `{"text":"a"}`).problem(422, "invalid")
}

const startBody = `{"playbook":"block-ip","inputs":{"ip":"198.51.100.1"}}`

func TestARepeatedStartGivesTheSameAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := serve(t, w)
	first := c.do("POST", "/api/runs", startBody, "Idempotency-Key", "k1").ok(202)
	again := c.do("POST", "/api/runs", startBody, "Idempotency-Key", "k1").ok(202)
	if diff := cmp.Diff(string(first.body), string(again.body)); diff != "" || again.header.Get("Location") != "/api/runs/R-1" {
		t.Errorf("%s\nlocation %q", diff, again.header.Get("Location"))
	}
	if again.header.Get("Idempotency-Replayed") != "true" || w.starts != 1 {
		t.Errorf("%d starts", w.starts)
	}
	c.do("POST", "/api/runs", `{"playbook":"block-ip","inputs":{"ip":"198.51.100.2"}}`, "Idempotency-Key", "k1").problem(422, "key-reused")
	c.as("rip_ana").do("POST", "/api/runs", startBody, "Idempotency-Key", "k1").ok(202) // another person's key is another key
	c.do("POST", "/api/runs", startBody, "Idempotency-Key", "k2").ok(202)
	if w.starts != 3 {
		t.Errorf("%d starts", w.starts)
	}
	c.do("POST", "/api/runs", startBody, "Idempotency-Key", strings.Repeat("k", 256)).problem(422, "invalid")
	w.mu.Lock()
	w.now = w.now.Add(25 * time.Hour)
	w.mu.Unlock()
	if a := c.do("POST", "/api/cases", `{"title":"x"}`, "Idempotency-Key", "k1").ok(201); a.header.Get("Idempotency-Replayed") != "" {
		t.Error("a day later, for something else, the key is still taken")
	}
}

func TestARequestThatWasCutOffIsNotDoneAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := serve(t, w)
	c.do("POST", "/api/cases", `{"title":"x"}`, "Idempotency-Key", "k").ok(201)
	for key, k := range w.kept { // as a crash leaves it: begun, and no answer
		w.kept[key] = Kept{Sum: k.Sum}
	}
	c.do("POST", "/api/cases", `{"title":"x"}`, "Idempotency-Key", "k").problem(409, "interrupted")
	c.do("POST", "/api/cases", `{"title":"y"}`, "Idempotency-Key", "k").problem(422, "key-reused")
	if len(w.cases) != 1 {
		t.Errorf("%d cases", len(w.cases))
	}
}

func TestWhatAnAnswerHoldsOfASecretIsNotKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := serve(t, w)
	c.do("POST", "/api/tokens", `{"name":"ci"}`, "Idempotency-Key", "k").ok(201)
	if len(w.kept) != 0 {
		t.Errorf("kept: %v", w.kept)
	}
}

func TestTheSameRequestTwiceAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hold = make(chan struct{})
	c := serve(t, w)
	answers := make(chan *answer, 2)
	for range 2 {
		go func() { answers <- c.do("POST", "/api/runs", startBody, "Idempotency-Key", "k") }()
	}
	first := <-answers // the other one waits for hold
	close(w.hold)
	second := <-answers
	first.problem(409, "in-flight")
	second.ok(202)
	c.do("POST", "/api/runs", startBody, "Idempotency-Key", "k").ok(202)
	if w.starts != 1 {
		t.Errorf("%d starts", w.starts)
	}
}

func TestControlOfARun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := serve(t, w)
	a := c.do("POST", "/api/runs", startBody).ok(202)
	if a.header.Get("Location") != "/api/runs/R-1" {
		t.Errorf("location %q", a.header.Get("Location"))
	}
	var r Run
	c.do("POST", "/api/runs/R-1/pause", `{"reason":"wait"}`).ok(200).into(&r)
	if !r.Paused {
		t.Error("it is not paused")
	}
	c.do("POST", "/api/runs/R-1/resume", "").ok(200)
	c.do("POST", "/api/runs/R-1/retry", "").problem(409, "conflict")
	c.do("POST", "/api/runs/R-1/cancel", "").ok(200).into(&r)
	if r.Status != "cancelled" {
		t.Error(r.Status)
	}
	c.do("POST", "/api/runs/R-5/cancel", "").problem(404, "not-found")
	c.do("POST", "/api/runs/retry", `{"code":"transient"}`).ok(200 + 2)
}

func TestARunIsWatchedLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.runs[1] = &Run{ID: "R-1", Status: "succeeded"}
	w.watched[1] = []RunEvent{
		{N: 1, Kind: EventRun, Run: &Run{ID: "R-1", Playbook: "block-ip", Status: "running", Started: start}},
		{N: 2, Kind: EventStep, Step: &Step{Path: "0", Step: "look_up", Verb: "action", Line: 4, Status: "succeeded"}},
		{N: 3, Kind: EventEnd, Run: &Run{ID: "R-1", Playbook: "block-ip", Status: "succeeded", Started: start}},
	}
	c := serve(t, w)
	a := c.do("GET", "/api/runs/R-1/events", "").ok(200)
	want := `: watching

id: 1
event: run
data: {"id":"R-1","playbook":"block-ip","status":"running","started":"2026-03-01T12:00:00Z"}

id: 2
event: step
data: {"path":"0","step":"look_up","verb":"action","line":4,"status":"succeeded"}

id: 3
event: end
data: {"id":"R-1","playbook":"block-ip","status":"succeeded","started":"2026-03-01T12:00:00Z"}

`
	if diff := cmp.Diff(want, string(a.body)); diff != "" || a.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%s\n%s", diff, a.header.Get("Content-Type"))
	}
	a = c.do("GET", "/api/runs/R-1/events", "", "Last-Event-ID", "2").ok(200)
	if strings.Contains(string(a.body), "id: 2") || !strings.Contains(string(a.body), "id: 3") {
		t.Errorf("after event 2 came %s", a.body)
	}
	for _, id := range []string{"3", "9"} {
		if a := c.do("GET", "/api/runs/R-1/events", "", "Last-Event-ID", id); a.status != http.StatusNoContent || len(a.body) > 0 {
			t.Errorf("after the end an EventSource must stop: %d %s", a.status, a.body)
		}
	}
	c.do("GET", "/api/runs/R-1/events?after=3", "").ok(http.StatusNoContent)
	w.watched[1] = []RunEvent{{N: 4, Err: fmt.Errorf("read the journal: %w", fault.Transient)}}
	c.do("GET", "/api/runs/R-1/events", "", "Last-Event-ID", "3").problem(503, "try-again")
	c.do("GET", "/api/runs/R-1/events", "", "Last-Event-ID", "x").problem(422, "invalid")
	c.do("GET", "/api/runs/R-2/events", "").problem(404, "not-found")
}

func TestAnApprovalIsForWhoIsAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.approvals[1] = &Approval{ID: "AP-1", Kind: "approval", State: "open", Title: "Block", Hash: "9f3c", Asks: []Quorum{{People: []string{"role:soc-lead"}, Need: 1}}}
	c := serve(t, w)
	c.as("rip_ana").do("POST", "/api/approvals/AP-1/approve", "").problem(403, "denied")
	c.do("POST", "/api/approvals/AP-1/approve", `{"hash":"0000"}`).problem(409, "conflict")
	var a Approval
	c.do("POST", "/api/approvals/AP-1/approve", `{"hash":"9f3c","note":"yes"}`).ok(200).into(&a)
	if a.Result != "approved" {
		t.Errorf("%+v", a)
	}
	c.do("POST", "/api/approvals/AP-1/deny", "").problem(409, "conflict")
	c.do("POST", "/api/approvals/AP-9/approve", "").problem(404, "not-found")
}

func TestAnEntryIsTakenBackOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.entries[1] = &LedgerEntry{ID: "L-1", State: "open", Done: "firewall.block_ip", Targets: []Target{}}
	c := serve(t, w)
	var e LedgerEntry
	c.do("POST", "/api/ledger/L-1/undo", `{"reason":"wrong"}`).ok(202).into(&e)
	if e.State != "taken" || e.Reason != "wrong" || e.TakenBy != "root" {
		t.Errorf("%+v", e)
	}
	c.do("POST", "/api/ledger/L-1/undo", `{"reason":"wrong"}`).problem(409, "conflict")
}

func TestAListTakesManyEntries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := serve(t, w)
	var b strings.Builder
	b.WriteString(`{"entries":[`)
	for i := range 60_000 {
		fmt.Fprintf(&b, `{"value":"host-%d.example.org"},`, i)
	}
	b.WriteString(`{"value":"last.example.org","expires":"2026-04-01T00:00:00Z"}]}`)
	c.do("POST", "/api/lists/own-domains/import", b.String()).ok(200)
	if len(w.lists["own-domains"]) != 60_001 {
		t.Errorf("%d entries", len(w.lists["own-domains"]))
	}
	c.do("POST", "/api/lists/own-domains/import", `{"entries":[{"value":"x","expires":"2026-01-01T00:00:00Z"}]}`).problem(422, "invalid")
	c.do("POST", "/api/lists/Own/import", `{"entries":[]}`).problem(422, "invalid")
}

// documentFile is the OpenAPI document as it is kept in the repository.
const documentFile = "../../docs/openapi.json"

func TestTheDocumentInTheRepositoryIsFresh(t *testing.T) {
	t.Parallel()
	want, err := Document("unreleased")
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(documentFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(documentFile)
	if err != nil || string(got) != string(want) {
		t.Errorf("docs/openapi.json is not what the code says (%v); make generate writes it", err)
	}
}

func TestTheDocumentDescribesProblems(t *testing.T) {
	t.Parallel()
	d := theDocument(t)
	if !strings.HasPrefix(d.OpenAPI, "3.1") {
		t.Errorf("OpenAPI %s", d.OpenAPI)
	}
	for path, methods := range d.Paths {
		for method, op := range methods {
			if op.OperationID == "" || op.Summary == "" || !strings.Contains(string(op.Responses["default"]), "application/problem+json") {
				t.Errorf("%s %s is not described", method, path)
			}
		}
	}
	var served documented
	serve(t, newWorld(t)).as("").do("GET", "/api/openapi.json", "").ok(http.StatusOK).into(&served)
	if len(served.Paths) != len(d.Paths) {
		t.Error("the served document is another one")
	}
}
