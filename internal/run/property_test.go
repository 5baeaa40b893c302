package run_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"riposte/connector"
	"riposte/internal/run"
	"riposte/playbook"
)

// world answers what a run asks for, in any order and in any way.
type world struct {
	t      *rapid.T
	src    string
	plan   *playbook.Plan
	state  *run.State
	now    time.Time
	past   []run.Event
	status map[string]run.Status
	open   map[string]bool // commands given and not yet answered
}

// live draws a playbook and plays a run of it to its end.
func live(t *rapid.T) *world {
	src := randomPlaybook(t)
	w := &world{t: t, src: src, plan: load(t, src), now: midnight, status: map[string]run.Status{}, open: map[string]bool{}}
	w.feed(run.Event{Kind: run.Started, At: w.now, Start: &run.Start{Run: 7, Playbook: "drawn", Plan: w.plan.Hash, By: "ann", Inputs: json.RawMessage("{}")}})
	for i := 0; !w.state.Final(); i++ {
		if i > 5000 {
			t.Fatalf("the run does not end:\n%s", src)
		}
		w.now = w.now.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "pass")) * time.Second)
		switch rapid.IntRange(0, 60).Draw(t, "person") {
		case 0:
			w.feed(run.Event{Kind: run.Cancel, By: "ann"})
		case 1, 2:
			w.feed(run.Event{Kind: run.Pause, By: "ann"})
		}
		if w.state.Final() {
			break
		}
		if w.state.Paused() {
			w.feed(run.Event{Kind: run.Resume, By: "ann"})
		}
		w.answerOne()
	}
	return w
}

// answerOne answers one of the things asked for.
func (w *world) answerOne() {
	pending := slices.DeleteFunc(w.state.Pending(w.plan), func(c run.Command) bool { _, drop := c.(*run.Drop); return drop })
	if len(pending) == 0 {
		w.t.Fatalf("the run waits for nothing and has not ended")
	}
	c := pending[rapid.IntRange(0, len(pending)-1).Draw(w.t, "answer")]
	w.feed(w.answer(c))
}

func (w *world) answer(c run.Command) run.Event {
	luck := rapid.IntRange(0, 9).Draw(w.t, "luck")
	switch c := c.(type) {
	case *run.Check:
		r := &run.CheckResult{Hash: "h", Connection: "c"}
		switch luck {
		case 0:
			r.Deny = "policy"
		case 1, 2:
			r.Asks = []run.Quorum{{People: []string{"role:soc-lead"}, Need: 1 + luck%2, Source: "policy"}}
			r.Within = time.Hour
		}
		return run.Event{Kind: run.Checked, Act: c.Act, N: c.N, Check: r}
	case *run.Do:
		r := &connector.Result{Status: connector.OK, Output: json.RawMessage(fmt.Sprintf(`{"n": %d}`, luck))}
		switch luck {
		case 0:
			r = &connector.Result{Status: connector.Failed, Class: connector.Permanent}
		case 1:
			r = &connector.Result{Status: connector.Failed, Class: connector.Transient, Temporary: true}
		case 2:
			r = &connector.Result{Status: connector.Unknown, Class: connector.UnknownOutcome}
		case 3:
			r = &connector.Result{Status: connector.Failed, Class: connector.RateLimited, RetryAfter: time.Second}
		}
		return run.Event{Kind: run.Finished, Act: c.Act, N: c.N, Result: r}
	case *run.Ask:
		a := &run.Answer{By: fmt.Sprintf("p%d", luck), Yes: luck > 2, Quorums: []int{0, 1}}
		if c.Question.Kind == run.ForAnswer {
			a.Value = json.RawMessage(`"yes"`)
		}
		return run.Event{Kind: run.Answered, Act: c.Act, N: c.N, Answer: a}
	case *run.Sleep:
		if c.Until.After(w.now) {
			w.now = c.Until
		}
		return run.Event{Kind: run.Fired, Act: c.Act, N: c.N}
	case *run.CallRun:
		r := &run.ChildResult{Run: 8, Status: run.Succeeded, Outputs: json.RawMessage("{}")}
		switch luck {
		case 0:
			r.Status = run.Failed
		case 1:
			r.Status = run.Cancelled
		}
		return run.Event{Kind: run.Ended, Act: c.Act, N: c.N, Child: r}
	case *run.TakeBack:
		return run.Event{Kind: run.Undone, Act: c.Act, N: c.N}
	}
	w.t.Fatalf("no answer for %T", c)
	return run.Event{}
}

// feed folds one event and looks at what every fold must keep.
func (w *world) feed(e run.Event) {
	e.At = w.now
	if w.state != nil && !w.state.Fits(e) {
		before := encode(w.t, w.state)
		if _, commands := run.Step(w.plan, w.state, e); len(commands) > 0 || !bytes.Equal(before, encode(w.t, w.state)) {
			w.t.Fatalf("an event that does not fit changed something: %+v", e)
		}
		return
	}
	var commands []run.Command
	w.state, commands = run.Step(w.plan, w.state, e)
	w.past = append(w.past, e)
	w.forward()
	w.asked(commands)
}

// forward holds that a step, once it is in a final status, stays there.
func (w *world) forward() {
	for _, c := range w.state.Changes() {
		path := "run"
		if v, ok := c.View(); ok {
			path = v.Path
		}
		if was := w.status[path]; was.Final() && path != "run" {
			w.t.Fatalf("%s went from %s to %s", path, was, c.Status)
		}
		w.status[path] = c.Status
	}
}

// asked holds that everything asked for is pending until it is answered, that
// no command is given twice, and that nothing is asked for after the end.
func (w *world) asked(commands []run.Command) {
	pending := map[string]bool{}
	for _, c := range w.state.Pending(w.plan) {
		pending[name(c)] = true
	}
	for _, c := range commands {
		n := name(c)
		if n == "" {
			continue
		}
		if w.open[n] {
			w.t.Fatalf("%s was asked for twice", n)
		}
		w.open[n] = true
	}
	for p := range pending {
		if p != "" && !w.open[p] {
			w.t.Fatalf("%s is pending and was never asked for", p)
		}
	}
	if w.state.Final() {
		for _, c := range commands {
			if n := name(c); n != "" {
				w.t.Fatalf("%s was asked for at the end", n)
			}
		}
	}
}

// name identifies a command that wants an answer, "" for the others.
func name(c run.Command) string {
	switch c := c.(type) {
	case *run.Check:
		return fmt.Sprintf("check %d.%d", c.Act, c.N)
	case *run.Do:
		return fmt.Sprintf("do %d.%d", c.Act, c.N)
	case *run.Ask:
		return fmt.Sprintf("ask %d.%d", c.Act, c.N)
	case *run.Sleep:
		return fmt.Sprintf("sleep %d.%d", c.Act, c.N)
	case *run.CallRun:
		return fmt.Sprintf("call %d.%d", c.Act, c.N)
	case *run.TakeBack:
		return fmt.Sprintf("take back %d.%d", c.Act, c.N)
	}
	return ""
}

func encode(t *rapid.T, s *run.State) []byte {
	b, err := s.Encode()
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	return b
}

func TestEveryRunEndsOnceEverythingIsAnswered(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { live(t) })
}

func TestReplayIsStable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := live(t)
		again := run.Fold(w.plan, w.past, nil)
		if !bytes.Equal(encode(t, w.state), encode(t, again)) {
			t.Fatalf("a second fold ends differently:\n%s\n%s", encode(t, w.state), encode(t, again))
		}
	})
}

func TestAHistoryCutAnywhereAndResumedReachesTheSameEnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := live(t)
		cut := rapid.IntRange(1, len(w.past)).Draw(t, "cut")
		half := run.Fold(w.plan, w.past[:cut], nil)
		back, err := run.Decode(w.plan, encode(t, half))
		if err != nil {
			t.Fatalf("decode after %d events: %v", cut, err)
		}
		if !bytes.Equal(encode(t, half), encode(t, back)) {
			t.Fatalf("a snapshot changes when it is read:\n%s\n%s", encode(t, half), encode(t, back))
		}
		for _, e := range w.past[cut:] {
			back, _ = run.Step(w.plan, back, e)
		}
		if !bytes.Equal(encode(t, w.state), encode(t, back)) {
			t.Fatalf("resumed after %d of %d events it ends differently:\n%s\n%s", cut, len(w.past), encode(t, w.state), encode(t, back))
		}
	})
}

func TestADuplicatedOrLateEventChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := live(t)
		var s *run.State
		for i, e := range w.past {
			s, _ = run.Step(w.plan, s, e)
			if i == 0 {
				continue
			}
			old := w.past[rapid.IntRange(0, i).Draw(t, "old")]
			if old.Kind == run.Pause || old.Kind == run.Resume {
				continue // a second pause by a person is a new pause
			}
			old.At = e.At
			if s.Fits(old) {
				t.Fatalf("event %d (%s %d.%d) fits again after event %d (%s)\n%s", slices.IndexFunc(w.past, func(x run.Event) bool { return x.Kind == old.Kind && x.Act == old.Act && x.N == old.N }), old.Kind, old.Act, old.N, i, e.Kind, w.src)
			}
			s, _ = run.Step(w.plan, s, old)
		}
		if !bytes.Equal(encode(t, w.state), encode(t, s)) {
			t.Fatalf("repeated events change the end:\n%s\n%s", encode(t, w.state), encode(t, s))
		}
	})
}

func TestNothingFitsAfterTheEnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := live(t)
		for _, e := range w.past {
			if w.state.Fits(e) {
				t.Fatalf("%s fits after the end", e.Kind)
			}
		}
	})
}

func TestEventsSurviveStorage(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := live(t)
		b, err := run.EncodeEvents(w.past)
		if err != nil {
			t.Fatal(err)
		}
		back, err := run.DecodeEvents(b)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(encode(t, w.state), encode(t, run.Fold(w.plan, back, nil))) {
			t.Fatal("stored events fold to another end")
		}
	})
}
