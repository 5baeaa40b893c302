package guard

import (
	"strings"
	"testing"
	"time"

	"riposte/connector"
	"riposte/internal/run"
)

const failing = `
breakers:
  - { breaker: failing, reason: for the test, per: connection, errors: { percent: 50, of: 4, in: 5m }, open: 2m }
`

// finish lets an action end, as if it had been called.
func finish(g *Guard, q Request, s connector.Status, c connector.Class, at time.Duration) {
	e := ended(q, s, c)
	e.At = noon.Add(at)
	g.Done(e)
}

func fails(g *Guard, n int, at time.Duration) {
	for i := range n {
		finish(g, act(run.ID(100+i), 1, 0), connector.Failed, connector.Transient, at)
	}
}

func TestABreakerOpensAndTriesAgain(t *testing.T) {
	t.Parallel()
	g := limited(t, failing)
	fails(g, 3, 0)
	if d := g.Check(act(1, 1, 0)); d.Outcome != Allow {
		t.Fatalf("three failures of at least four calls: %s (%s)", d.Outcome, d.Message)
	}
	finish(g, act(1, 1, 0), connector.OK, "", time.Second) // 3 of 4
	q := act(2, 1, 2*time.Second)
	d := g.Check(q)
	if d.Outcome != Later || d.By != CheckBreaker || !strings.Contains(d.Message, "3 of 4 calls failed in 5m") || d.RetryAfter != 119*time.Second {
		t.Fatalf("%s by %s (%s), after %s", d.Outcome, d.By, d.Message, d.RetryAfter)
	}
	if r := d.Result(&q); !r.Temporary || r.Deny != "" || r.RetryAfter != d.RetryAfter {
		t.Errorf("the interpreter is told %+v", r)
	}
	if u := g.Limits(noon); len(u) != 0 {
		t.Errorf("what is held back counts: %v", u)
	}
	if b := g.Breakers(noon); len(b) != 1 || b[0].Name != "fw-edge" || b[0].Per != PerConnection {
		t.Errorf("%+v", b)
	}

	probe, other := act(3, 1, 3*time.Minute), act(4, 1, 3*time.Minute)
	if d := g.Check(probe); d.Outcome != Allow {
		t.Fatalf("nobody may try: %s (%s)", d.Outcome, d.Message)
	}
	if d := g.Check(other); d.Outcome != Later {
		t.Errorf("two try at once: %s", d.Outcome)
	}
	finish(g, act(9, 1, 0), connector.OK, "", 3*time.Minute) // left long before
	if d := g.Check(other); d.Outcome != Later {
		t.Errorf("a call that was not the probe decides: %s", d.Outcome)
	}
	finish(g, probe, connector.Failed, connector.Timeout, 3*time.Minute)
	for _, tt := range []struct {
		at   time.Duration
		want Outcome
	}{{6 * time.Minute, Later}, {7*time.Minute - time.Second, Later}, {7 * time.Minute, Allow}} { // twice as long
		other.At = noon.Add(tt.at)
		if d := g.Check(other); d.Outcome != tt.want {
			t.Errorf("after %s: %s (%s)", tt.at, d.Outcome, d.Message)
		}
	}
	finish(g, other, connector.OK, "", 7*time.Minute)
	if d := g.Check(act(5, 1, 7*time.Minute)); d.Outcome != Allow || len(g.Breakers(noon)) != 0 {
		t.Errorf("it stays open after a good try: %s", d.Outcome)
	}
}

func TestAProbeThatIsNotHeardOfIsGivenUp(t *testing.T) {
	t.Parallel()
	g := limited(t, failing)
	fails(g, 4, 0)
	g.Check(act(1, 1, 3*time.Minute))
	if d := g.Check(act(2, 1, 4*time.Minute)); d.Outcome != Later {
		t.Errorf("%s", d.Outcome)
	}
	if d := g.Check(act(2, 1, 5*time.Minute)); d.Outcome != Allow {
		t.Errorf("the lost probe blocks for ever: %s (%s)", d.Outcome, d.Message)
	}
	g.Release(2, 1)
	if d := g.Check(act(3, 1, 5*time.Minute)); d.Outcome != Allow {
		t.Errorf("a probe that was called off blocks: %s (%s)", d.Outcome, d.Message)
	}
}

func TestWhatCountsAsAFailure(t *testing.T) {
	t.Parallel()
	tests := []struct {
		s    connector.Status
		c    connector.Class
		open bool
	}{
		{connector.Failed, connector.Transient, true},
		{connector.Failed, connector.Auth, true},
		{connector.Failed, connector.Timeout, true},
		{connector.Failed, connector.BadAnswer, true},
		{connector.Unknown, connector.UnknownOutcome, true},
		{connector.Partial, connector.PartialError, true},
		{connector.Failed, connector.NotFound, false},
		{connector.Failed, connector.Invalid, false},
		{connector.Failed, connector.RateLimited, false},
		{connector.Failed, connector.Cancelled, false},
		{connector.Denied, connector.Permission, false},
		{connector.OK, "", false},
		{connector.Already, "", false},
	}
	for _, tt := range tests {
		g := limited(t, failing)
		for i := range 10 {
			finish(g, act(run.ID(10+i), 1, 0), tt.s, tt.c, 0)
		}
		if got := g.Check(act(1, 1, 0)).Outcome == Later; got != tt.open {
			t.Errorf("%s %s: open is %v", tt.s, tt.c, got)
		}
	}
}

func TestWhatABreakerHoldsBack(t *testing.T) {
	t.Parallel()
	connection := func(q *Request) { q.Connection = "fw-branch" }
	playbook := func(q *Request) { q.Playbook = "other" }
	tenant := func(q *Request) { q.Tenant = "b" }
	undo := func(q *Request) { q.Undo = true }
	notify := func(q *Request) { q.Impact = connector.Notify }
	read := func(q *Request) { q.Impact = connector.Read }
	errors := func(g *Guard) { fails(g, 4, 0) }
	undos := func(g *Guard) {
		for range 3 {
			g.TakenBack("", "block-indicator", "fw-edge", noon)
		}
	}
	volume := func(g *Guard) {
		for i := range 5 {
			finish(g, act(run.ID(100+i), 1, 0), connector.OK, "", 0)
		}
	}
	const all = failing + `
  - { breaker: undos, reason: x, per: playbook, undos: { count: 3, in: 1h } }
  - { breaker: wrong-here, reason: x, per: connection, undos: { count: 3, in: 1h } }
  - { breaker: flood, reason: x, per: playbook, volume: { count: 5, in: 1m } }
`
	tests := []struct {
		name string
		open func(*Guard)
		with func(*Request)
		want Outcome
	}{
		{"its connection", errors, nil, Later},
		{"not another connection", errors, connection, Allow},
		{"its connection for another playbook", errors, playbook, Later},
		{"not another tenant's", errors, tenant, Allow},
		{"notifications, too", errors, notify, Later},
		{"not reads", errors, read, Allow},
		{"an undo on a connection that fails", errors, undo, Later},
		{"a playbook whose changes were wrong", undos, nil, Later},
		{"not the undos of such a playbook, nor on such a connection", undos, undo, Allow},
		{"another playbook on a connection where changes were wrong", undos, playbook, Later},
		{"another playbook elsewhere", undos, func(q *Request) { playbook(q); connection(q) }, Allow},
		{"a playbook that floods", volume, nil, Later},
		{"not another playbook", volume, playbook, Allow},
		{"not the undos of a playbook that floods", volume, undo, Allow},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := limited(t, all)
			tt.open(g)
			q := act(1, 1, time.Second)
			if tt.with != nil {
				tt.with(&q)
			}
			q.Hash = g.Check(q).Hash // notifications meet the breaker only at their call
			if d := g.Admit(q); d.Outcome != tt.want && (tt.want != Later || d.Outcome != Later) {
				t.Errorf("%s by %s (%s)", d.Outcome, d.By, d.Message)
			}
		})
	}
}

func TestSomebodyCanCloseABreaker(t *testing.T) {
	t.Parallel()
	g := limited(t, failing)
	fails(g, 4, 0)
	if !g.CloseBreaker("failing", "", "fw-edge") || g.CloseBreaker("failing", "", "fw-edge") || g.CloseBreaker("x", "", "y") {
		t.Error("closing does not tell whether it was open")
	}
	if d := g.Check(act(1, 1, 0)); d.Outcome != Allow {
		t.Errorf("%s (%s)", d.Outcome, d.Message)
	}
}

func TestFailuresOfLongAgoDoNotCount(t *testing.T) {
	t.Parallel()
	g := limited(t, failing)
	fails(g, 3, 0)
	fails(g, 3, 6*time.Minute)
	if d := g.Check(act(1, 1, 6*time.Minute)); d.Outcome != Allow {
		t.Errorf("%s (%s)", d.Outcome, d.Message)
	}
}
