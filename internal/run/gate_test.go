package run_test

import (
	"encoding/json"
	"testing"
	"time"

	"riposte/connector"
	"riposte/internal/run"
)

const guarded = `playbook: guarded
title: Guarded
steps:
  - id: block
    action: fw.block
    with: { ip: "203.0.113.9" }
    approve: role:soc-lead
    retry: { times: 2, every: 5s, backoff: 1 }
`

// firewall plays a history against the one step of guarded.
type firewall struct {
	t     *testing.T
	state *run.State
	now   time.Time
	done  []run.Command
}

func (f *firewall) step(e run.Event) []run.Command {
	f.t.Helper()
	e.At = f.now
	if f.state != nil && !f.state.Fits(e) {
		f.t.Fatalf("%s %d.%d does not fit", e.Kind, e.Act, e.N)
	}
	f.state, f.done = run.Step(load(f.t, guarded), f.state, e)
	return f.done
}

func find[C run.Command](t *testing.T, commands []run.Command) C {
	t.Helper()
	for _, c := range commands {
		if c, ok := c.(C); ok {
			return c
		}
	}
	var none C
	t.Fatalf("no %T in %v", none, commands)
	return none
}

func startFirewall(t *testing.T) (*firewall, *run.Check) {
	f := &firewall{t: t, now: midnight}
	commands := f.step(run.Event{Kind: run.Started, Start: &run.Start{Run: 7, Playbook: "guarded", Inputs: json.RawMessage(`{}`), By: "ana"}})
	return f, find[*run.Check](t, commands)
}

func TestAGuardThatCannotSayYesNowIsATransientError(t *testing.T) {
	t.Parallel()
	f, check := startFirewall(t)
	busy := run.Event{Kind: run.Checked, Act: check.Act, N: check.N, Check: &run.CheckResult{Temporary: true, Message: "the breaker is open"}}
	sleep := find[*run.Sleep](t, f.step(busy))
	if got := sleep.Until.Sub(f.now); got != 5*time.Second {
		t.Errorf("it is tried again after %s", got)
	}
	f.now = sleep.Until
	do := find[*run.Do](t, f.step(run.Event{Kind: run.Fired, Act: sleep.Act, N: sleep.N}))
	if do.Hash != "" || do.Attempt != 2 {
		t.Errorf("attempt %d with hash %q", do.Attempt, do.Hash)
	}
	busy.N = do.N
	end := find[*run.Finish](t, f.step(busy))
	if end.Status != run.Failed || end.Error.Code != "transient" || end.Error.Message != "the breaker is open" {
		t.Errorf("%s, %+v", end.Status, end.Error)
	}
}

func TestTheCallCarriesWhoAgreed(t *testing.T) {
	t.Parallel()
	f, check := startFirewall(t)
	policy := run.Quorum{People: []string{"role:incident-manager"}, Need: 1, Source: "policy"}
	ask := find[*run.Ask](t, f.step(run.Event{Kind: run.Checked, Act: check.Act, N: check.N, Check: &run.CheckResult{
		Hash: "h1", Asks: []run.Quorum{policy}, NotAuthor: true,
	}}))
	if !ask.Question.NotAuthor || len(ask.Question.Asks) != 2 {
		t.Errorf("%+v", ask.Question)
	}
	do := find[*run.Do](t, f.step(run.Event{Kind: run.Answered, Act: ask.Act, N: ask.N, Answer: &run.Answer{By: "lee", Yes: true, Quorums: []int{0, 1}}}))
	if !do.Approved || do.Hash != "h1" || len(do.Agreed) != 2 || do.Agreed[0].Source != "policy" || do.Agreed[1].Source != "file" {
		t.Errorf("%+v", do)
	}
}

func TestWhatThePolicyOnlyRecordsIsSkipped(t *testing.T) {
	t.Parallel()
	f, check := startFirewall(t)
	end := find[*run.Finish](t, f.step(run.Event{Kind: run.Checked, Act: check.Act, N: check.N, Check: &run.CheckResult{
		Shadow: true, Connection: "fw-edge", Message: "would have been done",
	}}))
	if end.Status != run.Succeeded || end.Error != nil {
		t.Errorf("the run %s, %+v", end.Status, end.Error)
	}
	for _, c := range f.done {
		switch c.(type) {
		case *run.Do, *run.Ask, *run.Enter:
			t.Errorf("it is done, asked or entered: %T", c)
		}
	}
	for _, c := range f.state.Changes() {
		if v, ok := c.View(); ok && (v.Status != run.Skipped || v.Error == nil || v.Error.Code != run.Shadowed || v.Connection != "fw-edge") {
			t.Errorf("%+v", v)
		}
	}
}

// A request without a method is a GET: it must not be held up as a change.
func TestAnInputThatIsLeftOutHasItsDefaultsImpact(t *testing.T) {
	t.Parallel()
	const text = `playbook: look
title: Look
steps:
  - id: get
    action: lab.get
`
	_, commands := run.Step(load(t, text), nil, run.Event{
		Kind: run.Started, At: midnight, Start: &run.Start{Run: 7, Playbook: "look", Inputs: json.RawMessage(`{}`), By: "ana"},
	})
	if do := find[*run.Do](t, commands); do.Impact != connector.Read {
		t.Errorf("impact %s", do.Impact)
	}
}
