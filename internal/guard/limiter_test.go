package guard

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"riposte/connector"
	"riposte/internal/run"
)

func limited(t testing.TB, limits string) *Guard {
	t.Helper()
	l, err := ParseLimits("limits.yaml", []byte(limits))
	if err != nil {
		t.Fatal(err)
	}
	return newGuard(t, Settings{Policy: policyOf(t, allowAll), Limits: l})
}

// act is one activation of one run that blocks an address.
func act(id run.ID, n run.Act, at time.Duration, with ...func(*Request)) Request {
	q := block(fmt.Sprintf("203.0.113.%d", int(id)%250+1))
	q.Run, q.Act, q.At = id, n, noon.Add(at)
	for _, f := range with {
		f(&q)
	}
	return q
}

// call checks, calls and ends an action; it tells what the check decided.
func call(g *Guard, q Request) Decision {
	d := g.Check(q)
	if d.Outcome != Allow {
		return d
	}
	q.Hash = d.Hash
	if a := g.Admit(q); a.Outcome != Allow {
		return a
	}
	g.Done(ended(q, connector.OK, ""))
	return d
}

const twoAnHour = `
limits:
  - { limit: two-an-hour, reason: for the test, hour: 2, over: role:soc-lead }
`

func TestWhatWaitsCountsUntilItIsGivenBack(t *testing.T) {
	t.Parallel()
	g := limited(t, twoAnHour)
	for id := range run.ID(2) {
		if d := g.Check(act(id+1, 1, 0)); d.Outcome != Allow || d.Reserved == nil {
			t.Fatalf("%s (%s)", d.Outcome, d.Message)
		}
	}
	third := act(3, 1, 5*time.Hour) // nothing waits itself out
	if d := g.Check(third); d.Outcome != Ask || d.Rule != "limit two-an-hour" || d.Asks[0].Source != "limit" {
		t.Fatalf("%s by %q", d.Outcome, d.Rule)
	}
	g.Release(1, 1)
	if d := g.Check(third); d.Outcome != Allow {
		t.Errorf("after a slot was given back: %s (%s)", d.Outcome, d.Message)
	}
	if d := g.Check(act(4, 1, 5*time.Hour)); d.Outcome != Ask {
		t.Errorf("the last slot is taken twice: %s", d.Outcome)
	}
}

func TestWhatWasCalledCountsForAnHour(t *testing.T) {
	t.Parallel()
	g := limited(t, twoAnHour)
	call(g, act(1, 1, 0))
	call(g, act(2, 1, 10*time.Minute))
	g.Release(1, 1) // comes too late: it was called
	for _, tt := range []struct {
		at   time.Duration
		want Outcome
	}{{11 * time.Minute, Ask}, {60 * time.Minute, Ask}, {61 * time.Minute, Allow}} {
		if d := g.Check(act(3, 1, tt.at)); d.Outcome != tt.want {
			t.Errorf("after %s: %s, want %s", tt.at, d.Outcome, tt.want)
		}
		g.Release(3, 1)
	}
}

func TestOverTheLimitItGoesOnlyWithPeople(t *testing.T) {
	t.Parallel()
	g := limited(t, twoAnHour)
	call(g, act(1, 1, 0))
	call(g, act(2, 1, 0))
	q := act(3, 1, time.Minute)
	d := g.Check(q)
	q.Hash = d.Hash
	if again := g.Admit(q); again.Outcome != Ask {
		t.Fatalf("nobody agreed: %s", again.Outcome)
	}
	q.Agreed = d.Asks
	if ok := g.Admit(q); ok.Outcome != Allow {
		t.Fatalf("people agreed: %s (%s)", ok.Outcome, ok.Message)
	}
	if u := g.Limits(noon.Add(time.Minute)); len(u) != 1 || u[0].Hour != 3 {
		t.Errorf("what people allowed beyond the limit is not counted: %+v", u)
	}
}

func TestAStepThatWaitedOverTheLimitGoesWhenThereIsRoom(t *testing.T) {
	t.Parallel()
	g := limited(t, twoAnHour)
	call(g, act(1, 1, 0))
	call(g, act(2, 1, 0))
	q := act(3, 1, time.Minute)
	q.Hash = g.Check(q).Hash
	q.At = noon.Add(2 * time.Hour)
	if d := g.Admit(q); d.Outcome != Allow {
		t.Errorf("%s (%s)", d.Outcome, d.Message)
	}
}

func TestTriesOfOneStepCountOnce(t *testing.T) {
	t.Parallel()
	g := limited(t, twoAnHour)
	q := act(1, 1, 0)
	q.Hash = g.Check(q).Hash
	for range 5 {
		if d := g.Admit(q); d.Outcome != Allow {
			t.Fatalf("%s (%s)", d.Outcome, d.Message)
		}
		g.Done(ended(q, connector.Failed, connector.Transient))
		q.At = q.At.Add(time.Minute)
	}
	if u := g.Limits(q.At); u[0].Hour != 1 {
		t.Errorf("five tries count %d", u[0].Hour)
	}
	// An hour later, with others in between, it must find room again.
	call(g, act(2, 1, 70*time.Minute))
	call(g, act(3, 1, 70*time.Minute))
	q.At = noon.Add(80 * time.Minute)
	d := g.Admit(q)
	if d.Outcome != Ask {
		t.Fatalf("a late try passes the limit: %s", d.Outcome)
	}
	q.Agreed = d.Asks
	if d := g.Admit(q); d.Outcome != Allow {
		t.Errorf("%s (%s)", d.Outcome, d.Message)
	}
}

func TestWhatALimitCounts(t *testing.T) {
	t.Parallel()
	many := func(n int) func(*Request) {
		return func(q *Request) {
			list := make([]any, n)
			for i := range list {
				list[i] = fmt.Sprintf("203.0.113.%d", i+1)
			}
			q.Inputs = map[string]any{"target": list}
		}
	}
	connection := func(name string) func(*Request) { return func(q *Request) { q.Connection = name } }
	playbook := func(name string) func(*Request) { return func(q *Request) { q.Playbook = name } }
	tenant := func(name string) func(*Request) { return func(q *Request) { q.Tenant = name } }
	root := func(id run.ID) func(*Request) { return func(q *Request) { q.Root = id } }
	known := func(n int) func(*Request) {
		return func(q *Request) { q.Known = map[connector.TargetKind]int{"ip": n} }
	}
	tests := []struct {
		name, limit string
		before      []Request
		q           Request
		want        Outcome
	}{
		{"targets, not calls", "hour: 3", nil, act(1, 1, 0, many(4)), Ask},
		{"up to the limit", "hour: 3", nil, act(1, 1, 0, many(3)), Allow},
		{"each target once", "hour: 1", nil, act(1, 1, 0, func(q *Request) { q.Inputs = map[string]any{"target": []any{"203.0.113.1", "203.0.113.1"}} }), Allow},
		{"all connections together", "hour: 1", []Request{act(1, 1, 0)}, act(2, 1, 0, connection("fw-branch")), Ask},
		{"each connection apart", "hour: 1, per: [connection]", []Request{act(1, 1, 0)}, act(2, 1, 0, connection("fw-branch")), Allow},
		{"the same connection", "hour: 1, per: [connection]", []Request{act(1, 1, 0)}, act(2, 1, 0, playbook("x")), Ask},
		{"each playbook apart", "hour: 1, per: [playbook]", []Request{act(1, 1, 0)}, act(2, 1, 0, playbook("x")), Allow},
		{"tenants are always apart", "hour: 1", []Request{act(1, 1, 0)}, act(2, 1, 0, tenant("b")), Allow},
		{"in one run", "run: 1", []Request{act(1, 1, 0)}, act(1, 2, 0), Ask},
		{"another run", "run: 1", []Request{act(1, 1, 0)}, act(2, 1, 0), Allow},
		{"a run that it called", "run: 1", []Request{act(1, 1, 0)}, act(2, 1, 0, root(1)), Ask},
		{"two that it called", "run: 1", []Request{act(2, 1, 0, root(1))}, act(3, 1, 0, root(1)), Ask},
		{"a run, however long ago", "run: 1", []Request{act(1, 1, 0)}, act(1, 2, 72*time.Hour), Ask},
		{"in a day", "day: 1", []Request{act(1, 1, 0)}, act(2, 1, 23*time.Hour), Ask},
		{"the day after", "day: 1", []Request{act(1, 1, 0)}, act(2, 1, 25*time.Hour), Allow},
		{"per cent of what is known", "percent: 2", []Request{act(1, 1, 0), act(2, 1, 0)}, act(3, 1, 0, known(100)), Ask},
		{"per cent of more", "percent: 2", []Request{act(1, 1, 0), act(2, 1, 0)}, act(3, 1, 0, known(150)), Allow},
		{"per cent of few is at least one", "percent: 2", nil, act(3, 1, 0, known(3)), Allow},
		{"but not two", "percent: 2", []Request{act(1, 1, 0)}, act(3, 1, 0, known(3)), Ask},
		{"per cent of nothing known does not hold", "percent: 2", []Request{act(1, 1, 0)}, act(3, 1, 0), Allow},
		{"the capability it is for", "hour: 1, for: { capability: [block_ip] }", nil, act(1, 1, 0, many(2)), Ask},
		{"another capability", "hour: 1, for: { capability: [isolate_host] }", nil, act(1, 1, 0, many(2)), Allow},
		{"the kind it is for", "hour: 1, for: { kind: [ip, cidr] }", nil, act(1, 1, 0, many(2)), Ask},
		{"another kind", "hour: 1, for: { kind: [host] }", nil, act(1, 1, 0, many(2)), Allow},
		{"the impact it is for", "hour: 1, for: { impact: [destroy] }", nil, act(1, 1, 0, many(2)), Allow},
		{"the action, playbook and connection it is for", "hour: 1, for: { action: [firewall.block_ip], playbook: [block-indicator], connection: [fw-edge], connector: [firewall] }", nil, act(1, 1, 0, many(2)), Ask},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := limited(t, "limits:\n  - { limit: tested, reason: for the test, over: role:soc-lead, "+tt.limit+" }\n")
			for _, q := range tt.before {
				if d := call(g, q); d.Outcome != Allow {
					t.Fatalf("before: %s (%s)", d.Outcome, d.Message)
				}
			}
			if d := g.Check(tt.q); d.Outcome != tt.want {
				t.Errorf("%s (%s), want %s", d.Outcome, d.Message, tt.want)
			}
		})
	}
}

func TestSeveralLimitsAskAllTheirPeople(t *testing.T) {
	t.Parallel()
	g := limited(t, `
limits:
  - { limit: one, reason: for the test, hour: 1, over: { by: role:soc-lead, within: 2h } }
  - { limit: another, reason: for the test, hour: 1, over: { by: role:soc-lead, need: 2, within: 1h, not_author: true } }
  - { limit: third, reason: for the test, hour: 1, over: role:incident-manager }
  - { limit: free, reason: for the test, hour: 9, over: role:admin }
`)
	call(g, act(1, 1, 0))
	d := g.Check(act(2, 1, 0))
	if len(d.Asks) != 2 || d.Asks[0].Need != 2 || d.Within != time.Hour || !d.NotAuthor || !slices.Equal(d.Over, []string{"one", "another", "third"}) {
		t.Errorf("%+v", d)
	}
}

func TestCountsSurviveARestart(t *testing.T) {
	t.Parallel()
	g := limited(t, twoAnHour)
	waiting, called := g.Check(act(1, 1, 0)), g.Check(act(2, 1, 0))
	over := g.Check(act(3, 1, 0))
	called.Reserved.Spent = noon
	old := *called.Reserved
	old.Run, old.Spent = 9, noon.Add(-25*time.Hour)

	again := limited(t, twoAnHour)
	if n := again.Restore([]Reservation{*waiting.Reserved, *called.Reserved, *over.Reserved, old}, noon); n != 3 {
		t.Errorf("%d count", n)
	}
	if u := again.Limits(noon); len(u) != 1 || u[0].Waiting != 1 || u[0].Hour != 1 {
		t.Errorf("%+v", u)
	}
	if d := again.Check(act(4, 1, time.Minute)); d.Outcome != Ask {
		t.Errorf("the last slot is taken twice: %s", d.Outcome)
	}
	q := act(1, 1, time.Minute)
	q.Hash = waiting.Hash
	if d := again.Admit(q); d.Outcome != Allow {
		t.Errorf("what waited has lost its slot: %s (%s)", d.Outcome, d.Message)
	}
	q = act(3, 1, time.Minute)
	q.Hash = over.Hash
	if d := again.Admit(q); d.Outcome != Ask {
		t.Errorf("what waited over the limit goes: %s", d.Outcome)
	}
}

// What was called before a restart is stored as it was reserved, so it seems to
// wait until its run is heard to have ended.
func TestWhatEndedBeforeARestartDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	g := limited(t, twoAnHour)
	d := g.Check(act(1, 1, 0))
	again := limited(t, twoAnHour)
	again.Restore([]Reservation{*d.Reserved}, noon)
	again.RunEnded(1)
	if u := again.Limits(noon.Add(time.Minute)); len(u) != 1 || u[0].Waiting != 0 || u[0].Hour != 1 {
		t.Errorf("%+v", u)
	}
	if u := again.Limits(noon.Add(25 * time.Hour)); len(u) != 0 {
		t.Errorf("it counts for ever: %+v", u)
	}
}

func TestCountsSurviveNewSettings(t *testing.T) {
	t.Parallel()
	g := limited(t, twoAnHour)
	call(g, act(1, 1, 0))
	g.Check(act(2, 1, 0))
	l, err := ParseLimits("limits.yaml", []byte(twoAnHour+"  - { limit: new, reason: for the test, hour: 1, over: role:admin }\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Configure(Settings{Policy: policyOf(t, allowAll), Limits: l}); err != nil {
		t.Fatal(err)
	}
	d := g.Check(act(3, 1, 0))
	if !slices.Equal(d.Over, []string{"two-an-hour", "new"}) {
		t.Errorf("over %v", d.Over)
	}
	g.Release(2, 1)
	if d := g.Check(act(4, 1, 0)); d.Outcome != Allow {
		t.Errorf("what was given back is not free: %s (%s)", d.Outcome, d.Message)
	}
}

func TestAWindowNeverCountsTooLittle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := window{width: time.Minute, size: 61}
		var times []time.Time
		now, latest := noon, noon
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(-2000, 5000).Draw(t, "seconds")) * time.Second)
			w.add(now, 1)
			times = append(times, now)
			if now.After(latest) {
				latest = now
			}
			exact := 0
			for _, at := range times {
				if latest.Sub(at) < time.Hour {
					exact++
				}
			}
			if got := w.count(now); got < exact {
				t.Fatalf("%d are counted, %d were within the hour", got, exact)
			}
		}
	})
}

// modelled is what a property test knows of one activation.
type modelled struct {
	q      Request
	d      Decision
	called bool
	agreed bool // beyond a limit
	at     time.Time
}

// Under any interleaving of checks, calls and releases, what was let through
// without people who agreed never passes a limit.
func TestReservationsNeverPassTheLimits(t *testing.T) {
	t.Parallel()
	const hour, perRun = 5, 3
	policy := policyOf(t, allowAll)
	rapid.Check(t, func(t *rapid.T) {
		g, err := New(Settings{Policy: policy, Limits: Limits{Limits: []Limit{
			{Name: "hour", Reason: "x", Hour: hour, Over: Quorum{By: []string{"role:soc-lead"}}},
			{Name: "run", Reason: "x", Run: perRun, Over: Quorum{By: []string{"role:soc-lead"}}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		acts := map[actKey]*modelled{}
		now := noon
		key := func() actKey {
			return actKey{run.ID(rapid.IntRange(1, 4).Draw(t, "run")), run.Act(rapid.IntRange(1, 6).Draw(t, "act"))}
		}
		verify := func() {
			inHour, inRun := 0, map[run.ID]int{}
			for k, m := range acts {
				if m.agreed || len(m.d.Over) > 0 && !m.called {
					continue
				}
				if !m.called || now.Sub(m.at) < time.Hour {
					inHour++
				}
				inRun[k.run]++
			}
			if inHour > hour {
				t.Fatalf("%d of %d in an hour", inHour, hour)
			}
			for id, n := range inRun {
				if n > perRun {
					t.Fatalf("run %s: %d of %d", id, n, perRun)
				}
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 900).Draw(t, "seconds")) * time.Second)
			k := key()
			m := acts[k]
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				if m == nil {
					q := act(k.run, k.act, 0)
					q.At = now
					d := g.Check(q)
					acts[k] = &modelled{q: q, d: d}
				}
			case 1:
				if m != nil && !m.called {
					m.q.Hash, m.q.At = m.d.Hash, now
					if len(m.d.Over) > 0 && rapid.Bool().Draw(t, "people agree") {
						m.q.Agreed = m.d.Asks
					}
					if d := g.Admit(m.q); d.Outcome == Allow {
						m.called, m.at = true, now
						m.agreed = len(m.q.Agreed) > 0
						g.Done(ended(m.q, connector.OK, ""))
					}
				}
			case 2:
				g.Release(k.run, k.act)
				if m != nil && !m.called {
					delete(acts, k)
				}
			case 3:
				if m != nil && !m.called { // once more, as after a crash
					m.q.At = now
					m.d = g.Check(m.q)
				}
			}
			verify()
		}
	})
}
