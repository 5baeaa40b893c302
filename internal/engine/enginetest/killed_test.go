package enginetest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"riposte/connector"
	"riposte/internal/engine"
	"riposte/internal/engine/enginetest"
	"riposte/internal/run"
	"riposte/internal/store"
)

// The harness kills a process that drives runs, again and again at random
// points, while servers outside of it count what really happened. The child is
// this test binary, started anew with these variables.
const (
	childDir  = "RIPOSTE_CRASH_DIR"
	childURL  = "RIPOSTE_CRASH_URL"
	childMode = "RIPOSTE_CRASH_MODE" // load: start runs for ever; finish: let all end
	longTests = "RIPOSTE_LONG"       // kill hundreds of times
)

var crashPlaybooks = []string{
	`playbook: work
title: Work
inputs:
  n: { type: integer }
steps:
  - { id: a, action: rep.get_ip, with: { n: "${{ inputs.n }}" }, retry: { times: 5, every: 1s } }
  - { id: b, action: rep.get_domain }
  - id: both
    parallel:
      left:
        - { id: key, action: fw.key_it, with: { ip: "203.0.113.1", n: "${{ inputs.n }}" } }
      right:
        - { id: once, action: fw.once_it, with: { ip: "203.0.113.2", n: "${{ inputs.n }}" }, on_error: continue }
  - id: block
    action: fw.block_ip
    with: { ip: "203.0.113.3", n: "${{ inputs.n }}" }
    undo: { action: fw.free_ip, with: { n: "${{ inputs.n }}" }, after: 1s }
  - { id: mail, action: smtp.mail_send, on_error: continue }
`,
	`playbook: pause
title: Pause
inputs:
  n: { type: integer }
steps:
  - { action: rep.get_ip, retry: { times: 5, every: 1s } }
  - wait: 1s
  - { id: once, action: fw.once_it, with: { ip: "203.0.113.2", n: "${{ inputs.n }}" }, on_error: continue }
`,
	`playbook: calling
title: Calling
inputs:
  n: { type: integer }
steps:
  - { action: rep.get_ip, retry: { times: 5, every: 1s } }
  - playbook: work
    with: { n: "${{ inputs.n }}" }
  - for_each: 1..3
    at_once: 3
    do:
      - { action: fw.once_it, with: { ip: "203.0.113.2", n: "${{ item }}" }, on_error: continue }
`,
	`playbook: undoing
title: Undoing
inputs:
  n: { type: integer }
steps:
  - { action: fw.block_ip, with: { ip: "203.0.113.3", n: "${{ inputs.n }}" }, undo: { action: fw.free_ip, with: { n: "${{ inputs.n }}" } } }
  - { action: fw.block_ip, with: { ip: "203.0.113.4", n: "${{ inputs.n + 1000000 }}" }, undo: { action: fw.free_ip, with: { n: "${{ inputs.n + 1000000 }}" } } }
  - { action: rep.get_nothing }
on_error: undo
`,
}

// products is the world outside: it counts calls and keeps what they changed.
type products struct {
	mu      sync.Mutex
	effects map[string]int    // by action and key: calls that arrived
	blocked map[string]bool   // by n
	started map[int64]bool    // runs whose start was confirmed
	keys    map[string]string // the run of each key
}

func newProducts() *products {
	return &products{effects: map[string]int{}, blocked: map[string]bool{}, started: map[int64]bool{}, keys: map[string]string{}}
}

func (p *products) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	action, key, n := q.Get("action"), q.Get("key"), q.Get("n")
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r.URL.Path {
	case "/started":
		id, _ := strconv.ParseInt(q.Get("run"), 10, 64)
		p.started[id] = true
	case "/truth":
		fmt.Fprint(w, p.effects[action+" "+key])
	case "/call":
		p.effects[action+" "+key]++
		switch action {
		case "fw.block_ip":
			p.blocked[n] = true
		case "fw.free_ip":
			delete(p.blocked, n)
		case "rep.get_nothing":
			http.Error(w, "no", http.StatusNotFound)
		case "rep.get_ip":
			if p.effects[action+" "+key] == 1 && strings.HasSuffix(key, "7/2") {
				http.Error(w, "busy", http.StatusServiceUnavailable)
			}
		}
	}
}

// TestChild is the process that is killed. It is no test of its own.
func TestChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("this is the child of TestAKilledProcessLosesNothing")
	}
	c := &child{url: os.Getenv(childURL), http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	c.run(t, dir, os.Getenv(childMode))
}

type child struct {
	url  string
	http *http.Client
	e    *engine.Engine
	b    *books
}

func (c *child) get(path string, q url.Values) (int, string) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, c.url+path+"?"+q.Encode(), nil)
	if err != nil {
		return 0, err.Error()
	}
	res, err := c.http.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

// Call makes every action a call to the products outside.
func (c *child) Call(_ context.Context, call engine.Call) engine.Answer {
	q := url.Values{"action": {call.Name}, "key": {call.Key}, "n": {fmt.Sprint(call.Inputs["n"])}}
	if d := rand.IntN(6); d > 0 {
		time.Sleep(time.Duration(d) * time.Millisecond)
	}
	switch code, body := c.get("/call", q); code {
	case http.StatusOK:
		return enginetest.OK(map[string]any{"n": call.Inputs["n"]})
	case http.StatusServiceUnavailable:
		return enginetest.Fail(connector.Transient, body)
	case http.StatusNotFound:
		return enginetest.Fail(connector.NotFound, body)
	default:
		return engine.Answer{Result: connector.Result{Status: connector.Unknown, Class: connector.UnknownOutcome, Message: body}}
	}
}

func (c *child) Route(_, connection, _ string) (string, engine.Limits) {
	return connection, engine.Limits{MaxInFlight: 40}
}

func (c *child) run(t *testing.T, dir, mode string) {
	db, err := store.Open(context.Background(), filepath.Join(dir, "riposte.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.b = &books{db: db}
	if err := c.b.open(); err != nil {
		t.Fatal(err)
	}
	plans, err := crashPlans()
	if err != nil {
		t.Fatal(err)
	}
	j := db.Journal()
	c.e = &engine.Engine{
		Journal: j, Runs: j, Plans: plans, Caller: c, Gate: &enginetest.Gate{}, Questions: c.b, Ledger: c.b, Cases: c.b,
		Blobs: files{dir: dir}, Lanes: 2, Workers: 40, Idle: 50 * time.Millisecond,
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.e.Run(ctx) }()
	select {
	case <-c.e.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	fmt.Println("ready", c.e.Stats().Recovered)
	go c.answer(ctx)
	if mode == "load" {
		c.load(t, plans)
	}
	c.finish(t)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func crashPlans() (*enginetest.Plans, error) {
	plans, err := enginetest.NewPlans(crashPlaybooks...)
	if err != nil {
		return nil, err
	}
	// So that the plan of the undos is known after a restart.
	_, err = plans.OneStep(context.Background(), engine.OneStep{Action: "fw.free_ip", Retry: 1, Every: 5 * time.Second})
	return plans, err
}

// load starts runs until it is killed.
func (c *child) load(t *testing.T, plans *enginetest.Plans) {
	slugs := []string{"work", "pause", "calling", "undoing", "work"}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				for c.e.Stats().Active > 300 {
					time.Sleep(time.Millisecond)
				}
				p, err := plans.Published("", slugs[(w+i)%len(slugs)], 0)
				if err != nil {
					t.Error(err)
					return
				}
				s := run.Start{Playbook: p.ID, Version: p.Version, Plan: p.Hash, By: "ann", Inputs: json.RawMessage(fmt.Sprintf(`{"n":%d}`, rand.IntN(1_000_000)))}
				id, err := c.e.Start(context.Background(), s, "")
				if err != nil {
					t.Error(err)
					return
				}
				c.get("/started", url.Values{"run": {fmt.Sprint(int64(id))}})
			}
		})
	}
	wg.Wait()
}

// answer tells what really became of calls whose outcome is unknown.
func (c *child) answer(ctx context.Context) {
	for ctx.Err() == nil {
		list, err := c.b.OpenQuestions(ctx)
		if err != nil {
			return
		}
		for _, q := range list {
			_, n := c.get("/truth", url.Values{"action": {q.Action}, "key": {fmt.Sprintf("%s/%d", q.Run, q.Act)}})
			yes := n != "0"
			// A conflict means that it was answered before a crash.
			_ = c.e.Answer(ctx, q.Run, q.Act, q.N, run.Answer{By: "ann", Yes: yes, Quorums: []int{0}})
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// finish waits until every run has ended and everything is taken back.
func (c *child) finish(t *testing.T) {
	deadline := time.Now().Add(60 * time.Second)
	for {
		open := c.open(t)
		if open == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("stuck: %s; alarms %+v; stats %+v", open, c.e.Alarms(), c.e.Stats())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (c *child) open(t *testing.T) string {
	if n := c.e.Stats().Active; n > 0 {
		return fmt.Sprintf("%d runs in memory", n)
	}
	list, err := c.b.Listed(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if !s.Status.Final() {
			return fmt.Sprintf("%+v", s)
		}
	}
	entries, err := c.b.Entries(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.State == "taken" || e.State == "open" && !e.Due.IsZero() {
			return fmt.Sprintf("ledger entry %d is %s", e.ID, e.State)
		}
	}
	return ""
}

func TestAKilledProcessLosesNothing(t *testing.T) {
	kills := 12
	if os.Getenv(longTests) != "" {
		kills = 300
	}
	if testing.Short() {
		kills = 3
	}
	world := newProducts()
	server := httptest.NewServer(world)
	defer server.Close()
	dir := t.TempDir()
	recovered := 0
	for i := range kills {
		recovered += oneLife(t, dir, server.URL, "load", time.Duration(20+rand.IntN(400))*time.Millisecond)
		inspect(t, dir, i, false)
		if t.Failed() {
			t.Fatalf("after kill %d", i)
		}
	}
	oneLife(t, dir, server.URL, "finish", 0)
	v := inspect(t, dir, kills, true)
	world.judge(t, dir, v.Runs)
	t.Logf("%d kills, %d runs taken up again, %d runs and %d records in all, %d calls outside", kills, recovered, v.Runs, v.Records, len(world.effects))
	if recovered == 0 {
		t.Error("no kill met a run under way")
	}
}

// oneLife starts a child and kills it some time after it is ready; 0 lets it end.
func oneLife(t *testing.T, dir, url, mode string, life time.Duration) (recovered int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.count=1")
	cmd.Env = append(os.Environ(), childDir+"="+dir, childURL+"="+url, childMode+"="+mode)
	var errs bytes.Buffer
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var killed atomic.Bool
	ready := make(chan struct{})
	all := make(chan string, 1)
	go func() {
		var text bytes.Buffer
		buf := make([]byte, 4096)
		for {
			n, err := out.Read(buf)
			text.Write(buf[:n])
			if _, e := fmt.Sscanf(text.String(), "ready %d", &recovered); e == nil {
				select {
				case <-ready:
				default:
					close(ready)
				}
			}
			if err != nil {
				all <- text.String()
				return
			}
		}
	}()
	if life > 0 {
		timer := time.AfterFunc(30*time.Second, func() { killed.Store(true); _ = cmd.Process.Kill() })
		select {
		case <-ready:
			time.Sleep(life)
		case text := <-all:
			all <- text
		}
		timer.Stop()
		killed.Store(true)
		_ = cmd.Process.Kill()
	}
	text := <-all
	err = cmd.Wait()
	if err != nil && !killed.Load() || strings.Contains(text, "--- FAIL") {
		t.Fatalf("the child ended by itself: %v\n%s\n%s", err, text, errs.String())
	}
	return recovered
}

// inspect opens what the child left and holds it against its journal.
func inspect(t *testing.T, dir string, life int, over bool) engine.Verified {
	t.Helper()
	db, err := store.Open(context.Background(), filepath.Join(dir, "riposte.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	plans, err := crashPlans()
	if err != nil {
		t.Fatal(err)
	}
	j := db.Journal()
	v, err := engine.Verify(context.Background(), j, j, plans, files{dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range v.Wrong {
		if i < 5 {
			t.Errorf("after life %d: %s", life, w)
		}
	}
	if over && v.Open > 0 {
		t.Errorf("%d runs have not ended", v.Open)
	}
	return v
}

// judge holds what the runs believe against what the products saw.
func (p *products) judge(t *testing.T, dir string, runs int) {
	t.Helper()
	db, err := store.Open(context.Background(), filepath.Join(dir, "riposte.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	plans, err := crashPlans()
	if err != nil {
		t.Fatal(err)
	}
	j := db.Journal()
	for id := range p.started {
		s, ok, err := j.Summary(context.Background(), run.ID(id))
		if err != nil || !ok || !s.Status.Final() {
			t.Errorf("run %d was confirmed and is %+v, %t, %v", id, s, ok, err)
		}
	}
	for key, n := range p.effects {
		if action, _, _ := strings.Cut(key, " "); (action == "fw.once_it" || action == "smtp.mail_send") && n > 1 {
			t.Errorf("%s was done %d times", key, n)
		}
	}
	p.compare(t, j, plans, runs)
	if len(p.blocked) > 0 {
		t.Errorf("%d blocks were not taken back", len(p.blocked))
	}
}

// compare looks whether every step that says that something was done tells the
// truth, and whether lists show every run as it ended.
func (p *products) compare(t *testing.T, j *store.Journal, plans *enginetest.Plans, runs int) {
	t.Helper()
	list, err := j.List(context.Background(), store.RunQuery{Limit: 1_000_000})
	if err != nil || len(list) != runs {
		t.Fatalf("lists show %d runs of %d: %v", len(list), runs, err)
	}
	e := &engine.Engine{Journal: j, Runs: j, Plans: plans, Caller: &child{}}
	if err := e.Open(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if !s.Status.Final() || s.Status == run.Failed && s.Playbook != "undoing" {
			t.Errorf("run %s of %s ended as %s: %s: %s", s.Run, s.Playbook, s.Status, s.Code, s.Message)
		}
		plan, err := plans.Plan(s.Plan)
		if err != nil {
			t.Fatal(err)
		}
		events, err := e.Events(context.Background(), s.Last)
		if err != nil {
			t.Fatal(err)
		}
		run.Fold(plan, events, func(_ run.Event, st *run.State) {
			for _, c := range st.Changes() {
				if v, ok := c.View(); ok && v.Status.Final() {
					p.step(t, s.Run, c.Act, v)
				}
			}
		})
	}
}

func (p *products) step(t *testing.T, id run.ID, act run.Act, v run.StepView) {
	t.Helper()
	if v.Action != "fw.once_it" && v.Action != "smtp.mail_send" && v.Action != "fw.key_it" {
		return
	}
	n := p.effects[fmt.Sprintf("%s %s/%d", v.Action, id, act)]
	switch {
	case v.Status == run.Succeeded && n == 0:
		t.Errorf("%s of %s says it was done, and was not", v.Action, id)
	case v.Status == run.Failed && n > 0:
		t.Errorf("%s of %s says %s, and was done %d times", v.Action, id, v.Error.Message, n)
	}
}
