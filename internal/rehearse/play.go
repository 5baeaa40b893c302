package rehearse

import (
	"time"

	"riposte/internal/run"
	"riposte/playbook"
)

// Played is one run against mocks, shown to whoever writes the playbook.
type Played struct {
	Status   run.Status     `json:"status"`
	Error    *run.Error     `json:"error,omitempty"`
	Outputs  map[string]any `json:"outputs,omitempty"`
	Vars     map[string]any `json:"vars,omitempty"`
	Steps    []run.StepView `json:"steps"`
	Undo     []string       `json:"undo,omitempty"` // actions that would take back what was done, newest first
	Virtual  time.Duration  `json:"virtual"`        // time that passed in the run
	Problems []Problem      `json:"problems,omitempty"`
}

// Play executes a playbook once against the mocks and answers of a test, whose
// expectations it does not look at. Problems are what kept it from going on as
// a real run would: a step without a mock, inputs that do not fit.
func Play(p *playbook.Plan, t *playbook.Test) Played {
	r := Result{}
	s := newStage(p, t, newCover(p), &r)
	if start := s.begin(); start != nil {
		began := s.now
		s.perform(start)
		r.Virtual = s.now.Sub(began)
	}
	out := Played{Status: run.Pending, Virtual: r.Virtual, Problems: r.Problems, Steps: []run.StepView{}}
	if s.state == nil {
		return out
	}
	out.Status, out.Error, out.Outputs, out.Vars = s.state.Status(), s.state.Err(), s.state.Outputs(), s.state.Vars()
	out.Steps = run.Steps(s.plan, s.events)
	for i := len(s.undos) - 1; i >= 0; i-- {
		if e := s.undos[i]; !e.done {
			out.Undo = append(out.Undo, e.undo.Action+e.undo.Playbook)
		}
	}
	return out
}
