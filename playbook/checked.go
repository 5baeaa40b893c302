package playbook

import (
	"riposte/connector"
	"riposte/internal/expr"
)

// Checked is a playbook that has been checked, with what the check found out
// about it. Compile makes a plan of it.
type Checked struct {
	Playbook *Playbook

	programs map[*node]*expr.Program
	values   map[*node]*expr.Value
	facts    map[*Step]*facts
	inputs   []Input
	highest  connector.Impact
	missing  []string // actions and playbooks that are not loaded
	sound    bool     // no diagnostic is an error
}

// facts is what the check found out about one step.
type facts struct {
	spec       *connector.Action // nil: not loaded, or no action
	capability bool
	callee     *Signature // nil: not loaded, or no playbook step
	loaded     bool       // the action or playbook is known
	impact     connector.Impact
	raised     bool
	output     expr.Type
	answer     *expr.Type
	undo       *connector.Action // of the step's own undo, else of the action's
	undoName   string            // how the action's own undo is called
	undoWith   *expr.Value       // its inputs
	undoImpact connector.Impact
	poll       *Poll
}

// ApprovalFacts is one approval that a playbook asks for, for those who show it.
type ApprovalFacts struct {
	Step   string // its id, "" if none
	Line   int
	What   string // the action or playbook that waits for it
	By     Data   // a text or a list of texts
	Need   string // how many: "1", or for an expression what it may give: "1 or 2"
	Within string
}

// Approvals lists what the playbook asks approval for, in the order of the text.
func (c *Checked) Approvals() []ApprovalFacts {
	var all []ApprovalFacts
	add := func(s *Step, what string, a *ApprovalText) {
		f := ApprovalFacts{Step: s.ID.Value, Line: a.Pos.Line, What: what, By: a.By, Need: "1", Within: a.Within.Value}
		if a.Need.Set() {
			f.Need = NeedText(a.Need.Value)
		}
		if f.Within == "" {
			f.Within = FormatDuration(DefaultApproval)
		}
		all = append(all, f)
	}
	c.Playbook.All(func(s *Step) {
		if s.Approve != nil {
			add(s, s.Head.Value, s.Approve)
		}
		if s.Undo != nil && s.Undo.Approve != nil {
			add(s, s.Undo.Action.Value+s.Undo.Playbook.Value, s.Undo.Approve)
		}
	})
	return all
}

// StepFacts is what a check found out about a step, for those who show it.
type StepFacts struct {
	Impact  connector.Impact // of action and playbook steps; what counts
	Changes bool             // the step is an action or playbook step, so Impact means something
	Loaded  bool             // the action or playbook is there; else Impact is a guess
	Undo    string           // the action or playbook that takes it back, "" if none
	After   string           // when it is taken back by itself, "" if not
}

// Facts gives what is known about a step of the playbook.
func (c *Checked) Facts(s *Step) StepFacts {
	f := c.facts[s]
	if f == nil || !s.guarded() {
		return StepFacts{}
	}
	out := StepFacts{Impact: f.impact, Changes: true, Loaded: f.loaded}
	switch {
	case s.Undo != nil:
		out.Undo, out.After = s.Undo.Action.Value+s.Undo.Playbook.Value, s.Undo.After.Value
	case f.undo != nil:
		out.Undo = f.undoName
	}
	if out.Undo != "" && out.After == "" && f.spec != nil && f.spec.TTL > 0 {
		out.After = FormatDuration(f.spec.TTL)
	}
	return out
}
