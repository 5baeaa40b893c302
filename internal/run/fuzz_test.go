package run_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"riposte/connector"
	"riposte/internal/run"
	"riposte/playbook"
)

// FuzzStep feeds arbitrary events to runs of the playbooks of the histories:
// whatever comes, nothing panics, what does not fit changes nothing, and after
// the end nothing fits.
func FuzzStep(f *testing.F) {
	var plans []*playbook.Plan
	files, err := filepath.Glob("testdata/histories/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for i, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		text, _, _ := strings.Cut(string(raw), "\n-----\n")
		plans = append(plans, load(f, text))
		f.Add(byte(i), []byte{1, 2, 0, 2, 2, 2, 3, 4, 1})
	}
	f.Fuzz(func(t *testing.T, which byte, script []byte) {
		p := plans[int(which)%len(plans)]
		s, _ := run.Step(p, nil, run.Event{Kind: run.Started, At: midnight, Start: &run.Start{Run: 1, Playbook: p.ID, Plan: p.Hash}})
		for len(script) >= 3 {
			e := wild(script[0], script[1], script[2])
			script = script[3:]
			fits, ended := s.Fits(e), s.Final()
			if fits && ended {
				t.Fatalf("%s fits after the end", e.Kind)
			}
			var commands []run.Command
			s, commands = run.Step(p, s, e)
			if !fits && len(commands) > 0 {
				t.Fatalf("%s does not fit and gives %d commands", e.Kind, len(commands))
			}
		}
		b, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := run.Decode(p, b); err != nil {
			t.Fatal(err)
		}
	})
}

// wild makes an event of three bytes; parts that its kind needs may be missing.
func wild(kind, act, n byte) run.Event {
	kinds := []run.EventKind{run.Checked, run.Began, run.Finished, run.Fired, run.Answered, run.Ended, run.Undone, run.Cancel, run.Pause, run.Resume, run.Started, "nonsense"}
	e := run.Event{Kind: kinds[int(kind)%len(kinds)], At: midnight, Act: run.Act(act % 16), N: int(n % 8), By: "ann"}
	if kind&0x80 != 0 {
		return e
	}
	statuses := []connector.Status{connector.OK, connector.Failed, connector.Unknown, connector.Already, connector.Partial, connector.Denied, "nonsense"}
	e.Check = &run.CheckResult{Hash: "h"}
	if n&8 != 0 {
		e.Check.Deny = "policy"
	}
	e.Result = &connector.Result{Status: statuses[int(n>>3)%len(statuses)], Class: connector.Transient, Output: []byte(`{"id": 1`)}
	if n&16 != 0 {
		e.Result.Output = []byte(`{"id": 1, "state": "done", "n": 2}`)
	}
	e.Answer = &run.Answer{By: "ann", Yes: n&16 == 0, Quorums: []int{int(act) - 3, 0, 1}, Value: []byte(`"good"`)}
	e.Child = &run.ChildResult{Run: 2, Status: run.Succeeded}
	if n&32 != 0 {
		e.Child.Status = run.Failed
	}
	return e
}
