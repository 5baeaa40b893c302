package guard

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"riposte/connector"
	"riposte/internal/run"
)

// many sends requests at the guard all at once and keeps the books of what it
// let through, beside those of the guard.
type many struct {
	g *Guard

	mu      sync.Mutex
	went    map[run.ID]int // calls, and places held by what waits, by run
	calls   []time.Time    // when they left
	waiting int            // places of the hour held by what waits
}

func (m *many) wait(q *Request, d Decision) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Contains(d.Over, "run") {
		m.went[q.Run]++
	}
	if !slices.Contains(d.Over, "hour") {
		m.waiting++
	}
}

// one goes the way of a step: check, wait perhaps, admit, call, end. fate says
// what becomes of it in between.
func (m *many) one(q Request, fate int) {
	d := m.g.Check(q)
	if d.Outcome != Allow {
		if fate%2 == 0 { // nobody agrees, or somebody cancels
			m.g.Release(q.Run, q.Act)
			return
		}
		m.wait(&q, d) // it holds a place of the other limit, if that has one
		return
	}
	q.Hash = d.Hash
	switch fate {
	case 0: // its step's own approval gets a no
		m.g.Release(q.Run, q.Act)
		return
	case 1: // nobody has answered yet: it keeps its place
		m.wait(&q, d)
		return
	}
	if m.g.Admit(q).Outcome != Allow {
		m.g.Release(q.Run, q.Act)
		return
	}
	m.mu.Lock()
	m.went[q.Run]++
	m.calls = append(m.calls, q.At)
	m.mu.Unlock()
	switch fate {
	case 2: // it fails, is tried again, and counts once
		m.g.Done(ended(q, connector.Failed, connector.Transient))
		m.g.Admit(q)
		m.g.Done(ended(q, connector.OK, ""))
	case 3: // cancelled while under way: what was called stays counted
		m.g.Release(q.Run, q.Act)
	default:
		m.g.Done(ended(q, connector.OK, ""))
	}
}

// exceeded tells where more was let through, or holds a place, than the limits
// allow.
func (m *many) exceeded(perRun, perHour int) (problem string) {
	for id, n := range m.went {
		if n > perRun {
			problem += fmt.Sprintf("run %s: %d of %d\n", id, n, perRun)
		}
	}
	slices.SortFunc(m.calls, time.Time.Compare)
	for i, from := range m.calls {
		n := m.waiting
		for _, at := range m.calls[i:] {
			if at.Sub(from) < time.Hour {
				n++
			}
		}
		if n > perHour {
			problem += fmt.Sprintf("in the hour from %s: %d of %d\n", from, n, perHour)
			break
		}
	}
	return problem
}

func TestFiveHundredAtOnceNeverExceedTheLimits(t *testing.T) {
	t.Parallel()
	policy := policyOf(t, allowAll)
	rapid.Check(t, func(t *rapid.T) {
		perRun, perHour := rapid.IntRange(1, 12).Draw(t, "per run"), rapid.IntRange(1, 120).Draw(t, "per hour")
		runs := rapid.IntRange(1, 60).Draw(t, "runs")
		fates := rapid.SliceOfN(rapid.IntRange(0, 9), 500, 500).Draw(t, "fates")
		g, err := New(Settings{Policy: policy, Limits: Limits{Limits: []Limit{
			{Name: "run", Reason: "test", Run: perRun, Over: Quorum{By: []string{"role:soc-lead"}, Need: 1}},
			{Name: "hour", Reason: "test", Hour: perHour, Over: Quorum{By: []string{"role:soc-lead"}, Need: 1}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		m := &many{g: g, went: map[run.ID]int{}}
		var all sync.WaitGroup
		gate := make(chan struct{})
		for i, fate := range fates {
			all.Go(func() {
				<-gate
				m.one(act(run.ID(i%runs+1), run.Act(i+1), time.Duration(i%40)*time.Minute), fate)
			})
		}
		close(gate)
		all.Wait()
		if problem := m.exceeded(perRun, perHour); problem != "" {
			t.Fatalf("%s(%d went, %d wait)", problem, len(m.calls), m.waiting)
		}
		// Its own books say the same: nothing is lost and nothing stays behind.
		for _, u := range g.Limits(noon.Add(40 * time.Minute)) {
			if u.Limit == "hour" && (u.Waiting != m.waiting || u.Hour != len(m.calls)) {
				t.Fatalf("the guard counts %d waiting and %d called, it was %d and %d", u.Waiting, u.Hour, m.waiting, len(m.calls))
			}
		}
	})
}
