package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"riposte/internal/store"
)

// The program is killed again and again while a sender outside counts what was
// acknowledged to it and a server outside counts what really happened.
const longTests = "RIPOSTE_LONG" // kill hundreds of times

// worldPlaybook reads, changes in each way there is, and takes a block back. The
// one that asks waits for a person first.
func worldPlaybook(slug, ask string) string {
	return "playbook: " + slug + `
title: Act on an address
on:
  - alert: alert.category == "` + slug + `"
    with: { ip: "${{ alert.fields.src_ip }}", n: "${{ alert.fields.n }}" }
inputs:
  ip: { type: string }
  n: { type: integer }
steps:
  - { id: look, action: world.look, with: { n: "${{ inputs.n }}" }, retry: { times: 5, every: 1s } }
  - id: once
    action: world.once
    with: { ip: "${{ inputs.ip }}", n: "${{ inputs.n }}" }
    on_error: continue
` + ask + `  - { id: keyed, action: world.keyed, with: { ip: "${{ inputs.ip }}", n: "${{ inputs.n }}" }, retry: { times: 5, every: 1s } }
  - id: block
    action: world.block
    with: { ip: "${{ inputs.ip }}", n: "${{ inputs.n }}" }
    retry: { times: 5, every: 1s }
    undo: { action: world.free, with: { ip: "${{ inputs.ip }}", n: "${{ inputs.n }}" }, after: 1s }
  - { id: tell, action: world.tell, with: { ip: "${{ inputs.ip }}", n: "${{ inputs.n }}" }, on_error: continue }
`
}

const worldAsk = "    approve: { by: role:soc-lead, within: 1h }\n"

// setUp connects a new server to the world and publishes what is to run there.
func (p *process) setUp(o *outside) {
	p.t.Helper()
	p.must(http.MethodPost, "/api/connections", map[string]any{
		"name": "world", "connector": "world",
		"config": map[string]any{"base_url": o.URL, "allow_loopback": true, "rate_per_second": 100_000, "burst": 100_000},
	}, nil)
	for slug, ask := range map[string]string{"act": "", "ask": worldAsk} {
		p.must(http.MethodPost, "/api/playbooks/"+slug+"/publish", map[string]any{"text": worldPlaybook(slug, ask)}, nil)
	}
}

// sender hands in events until each is acknowledged, as a sender does that may
// not lose any: what was not acknowledged is sent again.
type sender struct {
	mu     sync.Mutex
	next   int
	owed   []int       // sent, and not acknowledged
	stored map[int]int // how often each was acknowledged as new
	last   answered    // the last answer that was none
}

func sighting(n int) string {
	slug := "act"
	if n%4 == 0 {
		slug = "ask"
	}
	return fmt.Sprintf(`{"id":"event-%d","title":"Seen","category":%q,"severity":%d,"src_ip":"45.%d.%d.%d","n":%d}`,
		n, slug, n%5+1, n>>16&0xff, n>>8&0xff, n&0xff, n)
}

// batch gives what is owed and something new.
func (s *sender) batch() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := 1 + rand.IntN(3)
	ns := s.owed[:min(size, len(s.owed))]
	s.owed = s.owed[len(ns):]
	ns = append([]int(nil), ns...)
	for len(ns) < size {
		s.next++
		ns = append(ns, s.next)
	}
	return ns
}

// post sends some events and tells whether the server took them.
func (s *sender) post(p *process, ns []int) bool {
	var body strings.Builder
	for _, n := range ns {
		body.WriteString(sighting(n) + "\n")
	}
	a := p.send(http.MethodPost, "/api/ingest/sensor", body.String())
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.err != nil || a.code != http.StatusAccepted {
		s.owed, s.last = append(s.owed, ns...), a
		return false
	}
	for _, n := range ns {
		s.stored[n]++
	}
	return true
}

// load sends until the server is gone, at most so many batches.
func (s *sender) load(p *process, batches int) {
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range batches {
				if !s.post(p, s.batch()) {
					return
				}
			}
		})
	}
	wg.Wait()
}

type question struct {
	ID, Kind, Hash, Action, Run string
	Inputs                      struct{ N int }
}

// answer answers what is open, once, as a person does who looks at the product.
func (p *process) answer(o *outside) (open, outcomes int) {
	a := p.send(http.MethodGet, "/api/approvals?limit=200", nil)
	var list struct{ Items []question }
	if a.err != nil || a.code != http.StatusOK || json.Unmarshal(a.body, &list) != nil {
		return -1, 0
	}
	for _, q := range list.Items {
		verb, body := "approve", map[string]any{"hash": q.Hash}
		if q.Kind == "outcome" {
			outcomes++
			verb, body = "answer", map[string]any{"value": "not_done"}
			if o.times(strings.TrimPrefix(q.Action, "world.")+fmt.Sprintf("/%d", q.Inputs.N)) > 0 {
				body["value"] = "done"
			}
		}
		// A conflict means that it was answered before a crash.
		p.send(http.MethodPost, "/api/approvals/"+q.ID+"/"+verb, body)
	}
	return len(list.Items), outcomes
}

func TestAKilledServerLosesNothingAndDoesNothingTwice(t *testing.T) {
	kills, batches := 12, 5
	if os.Getenv(longTests) != "" {
		kills = 300
	}
	if testing.Short() {
		kills = 3
	}
	o, s, data := newOutside(t), &sender{stored: map[int]int{}}, filepath.Join(t.TempDir(), "data")
	p := newProcess(t, data)
	p.start()
	p.setUp(o)
	asked := 0
	for i := range kills {
		if i > 0 && i%5 == 0 { // before it is ready
			p.spawn()
			<-time.After(rand.N(300 * time.Millisecond))
			p.kill()
		}
		if i > 0 {
			p.start()
		}
		asked += p.oneLife(o, s, batches)
	}
	p.start()
	asked += p.settle(o, s)
	p.judge(o, s)
	p.kill()
	integrity(t, data)
	t.Logf("%d kills, %d alerts, %d calls outside, %d outcomes asked", kills, s.next, len(o.calls), asked)
}

// oneLife lets senders and people at the server until it is killed.
func (p *process) oneLife(o *outside, s *sender, batches int) (asked int) {
	dead := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { s.load(p, batches) })
	wg.Go(func() {
		for {
			_, n := p.answer(o)
			asked += n
			select {
			case <-dead:
				return
			case <-time.After(25 * time.Millisecond):
			}
		}
	})
	<-time.After(50*time.Millisecond + rand.N(600*time.Millisecond))
	p.kill()
	close(dead)
	wg.Wait()
	return asked
}

type worldRun struct {
	ID, Playbook, Status, Alert, Undoes string
	Error                               *struct{ Message string }
	Steps                               []struct{ Step, Status string }
}

func over(status string) bool {
	return status != "pending" && status != "running" && status != "waiting"
}

// settle hands in what is owed and answers until nothing is under way.
func (p *process) settle(o *outside, s *sender) (asked int) {
	for len(s.owed) > 0 {
		if !s.post(p, s.batch()) {
			p.t.Fatalf("a healthy server does not take what is sent again:\n%s", p.log)
		}
	}
	p.until("the end of all runs and releases", 2*time.Minute, func() bool {
		open, n := p.answer(o)
		asked += n
		return open == 0 && o.free() && !p.busy("/api/ledger?state=", "open", "taken") && !p.busy("/api/runs?status=", "pending", "running", "waiting") &&
			p.listed() >= s.next // lists are a moment behind: a run of each event must be in them
	})
	return asked
}

// listed counts the runs of alerts that the list shows.
func (p *process) listed() (n int) {
	p.t.Helper()
	for _, r := range pages[worldRun](p, "/api/runs?limit=200") {
		if r.Undoes == "" {
			n++
		}
	}
	return n
}

// busy tells whether a list shows anything in one of the states.
func (p *process) busy(list string, states ...string) bool {
	p.t.Helper()
	for _, state := range states {
		var page struct{ Items []struct{ ID string } }
		p.must(http.MethodGet, list+state+"&limit=1", nil, &page)
		if len(page.Items) > 0 {
			return true
		}
	}
	return false
}

// judge holds what the server says against what came to pass outside.
func (p *process) judge(o *outside, s *sender) {
	t := p.t
	t.Helper()
	alerts := map[string]int{}
	for _, a := range pages[struct{ ID string }](p, "/api/alerts?limit=200") {
		alerts[a.ID] = 0
	}
	if len(alerts) != s.next || len(s.stored) != s.next {
		t.Errorf("%d events were sent, %d acknowledged, %d alerts are there", s.next, len(s.stored), len(alerts))
	}
	for _, r := range pages[worldRun](p, "/api/runs?limit=200") {
		if !over(r.Status) {
			t.Errorf("run %s is %s at the end", r.ID, r.Status)
		}
		if r.Undoes != "" {
			continue
		}
		alerts[r.Alert]++
		p.compare(o, r)
	}
	for id, n := range alerts {
		if n != 1 {
			t.Errorf("alert %s has %d runs", id, n)
		}
	}
	p.wentOutside(o, s)
	for _, e := range pages[struct{ ID, State, Done, Problem string }](p, "/api/ledger?limit=200") {
		if e.Done == "world.block" && e.State != "undone" {
			t.Errorf("ledger entry %s is %s: %s", e.ID, e.State, e.Problem)
		}
	}
}

// compare holds a run in the list against the fold of its journal, and what the
// run says against what happened.
func (p *process) compare(o *outside, listed worldRun) {
	var r struct {
		worldRun
		Inputs struct{ N int }
	}
	p.must(http.MethodGet, "/api/runs/"+listed.ID, nil, &r)
	if r.Status != listed.Status || r.Status != "succeeded" {
		p.t.Errorf("run %s is %s in the list and %s by itself: %+v", r.ID, listed.Status, r.Status, r.Error)
	}
	for _, step := range r.Steps {
		n := o.times(fmt.Sprintf("%s/%d", step.Step, r.Inputs.N))
		switch {
		case step.Status == "succeeded" && n == 0:
			p.t.Errorf("run %s says that %s was done, and it was not", r.ID, step.Step)
		case step.Status == "failed" && n > 0:
			p.t.Errorf("run %s says that %s failed, and it was done", r.ID, step.Step)
		}
	}
}

// wentOutside looks at each event's effects.
func (p *process) wentOutside(o *outside, s *sender) {
	for n := 1; n <= s.next; n++ {
		for _, action := range []string{"once", "tell"} {
			if c := o.times(fmt.Sprintf("%s/%d", action, n)); c > 1 {
				p.t.Errorf("%s of event %d was done %d times", action, n, c)
			}
		}
		if keys := o.keys[fmt.Sprintf("keyed/%d", n)]; len(keys) != 1 {
			p.t.Errorf("keyed of event %d was called with %d keys", n, len(keys))
		}
		if o.times(fmt.Sprintf("block/%d", n)) == 0 || o.times(fmt.Sprintf("free/%d", n)) == 0 {
			p.t.Errorf("event %d was not blocked and freed", n)
		}
	}
}

// integrity asks SQLite itself about what is left.
func integrity(t *testing.T, data string) {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(data, "riposte.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	said := ""
	err = db.Read(t.Context(), func(q *store.Reader) error { return q.QueryRow("PRAGMA integrity_check").Scan(&said) })
	if err != nil || said != "ok" {
		t.Errorf("integrity check: %q, %v", said, err)
	}
}
