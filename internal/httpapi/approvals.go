package httpapi

import (
	"context"
	"encoding/json"
	"time"

	"riposte/internal/auth"
)

// Approvals are what people are asked: to agree to an action, to answer, or to
// say whether something was done.
type Approvals interface {
	// Approvals lists questions, those that wait longest first.
	Approvals(ctx context.Context, who auth.Caller, f ApprovalFilter, p Page) (Found[Approval], error)
	// Approval reads one with everything: fault.NotFound.
	Approval(ctx context.Context, who auth.Caller, id int64) (Approval, error)
	// Answer answers one and returns when that is on disk: fault.Denied where the
	// caller is not asked, fault.Conflict where it is closed or answered by the
	// caller already, fault.Invalid where the value does not fit.
	Answer(ctx context.Context, who auth.Caller, id int64, a Answer) error
}

// ApprovalFilter narrows a list of questions. Zero values do not.
type ApprovalFilter struct {
	State string // open or closed
	Mine  bool   // those that ask the caller
	Run   int64
	Case  int64
}

// Answer is what a person says.
type Answer struct {
	Yes   bool
	Value json.RawMessage // for an ask
	Note  string
	Hash  string // of what the person saw; "" where they did not say
}

// Approval is a question as clients see it.
type Approval struct {
	ID         string          `json:"id" example:"AP-5519"`
	Kind       string          `json:"kind" enum:"approval,ask,outcome" doc:"approval: agree to an action. ask: answer a question. outcome: say whether it was done."`
	State      string          `json:"state" enum:"open,closed"`
	Result     string          `json:"result,omitempty" doc:"How it ended, once closed: approved, denied, answered, expired, withdrawn."`
	Title      string          `json:"title"`
	Text       string          `json:"text,omitempty"`
	Mine       bool            `json:"mine" doc:"You are among those who are asked and have not answered."`
	Asks       []Quorum        `json:"asks" nullable:"false" doc:"Each must be met; one no is a no."`
	Asked      time.Time       `json:"asked"`
	Until      time.Time       `json:"until,omitzero" doc:"Then silence is a no, or the default."`
	Veto       bool            `json:"veto,omitempty" doc:"Silence is a yes."`
	Options    []string        `json:"options,omitempty"`
	Form       map[string]any  `json:"form,omitempty" doc:"JSON Schema of the answer."`
	Default    json.RawMessage `json:"default,omitempty"`
	Action     string          `json:"action,omitempty"`
	Connection string          `json:"connection,omitempty"`
	Inputs     json.RawMessage `json:"inputs,omitempty" doc:"Worked out and frozen."`
	Targets    []Target        `json:"targets,omitempty"`
	Undo       string          `json:"undo,omitempty" doc:"What takes it back; absent: nothing does."`
	Rule       string          `json:"rule,omitempty" doc:"Why it is asked."`
	Hash       string          `json:"hash,omitempty" doc:"Of the exact action: what you approve is what runs."`
	Run        string          `json:"run"`
	Step       string          `json:"step,omitempty"`
	Playbook   string          `json:"playbook"`
	By         string          `json:"by,omitempty" doc:"Who or what started the run."`
	Case       string          `json:"case,omitempty"`
	Alert      string          `json:"alert,omitempty"`
	Severity   Severity        `json:"severity,omitempty" enum:"informational,low,medium,high,critical"`
	Answers    []GivenAnswer   `json:"answers,omitempty"`
}

// Quorum is a number of people who must agree.
type Quorum struct {
	People []string `json:"people" nullable:"false" doc:"Users, group:…, role:…, on-call:…"`
	Need   int      `json:"need"`
	Source string   `json:"source,omitempty" doc:"Who asks for it: file, policy, limit."`
}

// Target is what an action acts on.
type Target struct {
	Kind  string `json:"kind" example:"ip"`
	Value string `json:"value"`
}

// GivenAnswer is an answer that was given.
type GivenAnswer struct {
	By    string          `json:"by"`
	At    time.Time       `json:"at"`
	Yes   *bool           `json:"yes,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
	Note  string          `json:"note,omitempty"`
}

type listApprovalsInput struct {
	Who
	Paged
	State string `query:"state" enum:"open,closed,all" default:"open"`
	Mine  bool   `query:"mine" doc:"Only those that ask you."`
	Run   string `query:"run" maxLength:"32"`
	Case  string `query:"case" maxLength:"32"`
}

type decision struct {
	Note string `json:"note,omitempty" maxLength:"5000"`
	Hash string `json:"hash,omitempty" maxLength:"128" doc:"The hash that you saw: 409 where it is another one by now."`
}

type decideInput struct {
	Who
	Record
	Body *decision
}

type answerInput struct {
	Who
	Record
	Body struct {
		Value any    `json:"value" doc:"One of the options, or what the form asks for; for an outcome done or not_done."`
		Note  string `json:"note,omitempty" maxLength:"5000"`
	}
}

func (a *api) approvalRoutes() {
	add(a, auth.ApprovalsRead, op("approvals", get, "/api/approvals", "list-approvals", "List what people are asked, the longest waiting first"), a.listApprovals)
	add(a, auth.ApprovalsRead, op("approvals", get, "/api/approvals/{id}", "get-approval", "Read a question with everything that is needed to decide"),
		func(ctx context.Context, in *recordInput) (*Body[Approval], error) {
			n, err := in.number(approvalCode, "approval")
			if err != nil {
				return nil, err
			}
			return body(a.Approvals.Approval(ctx, in.caller, n))
		})
	a.decideRoute("approve", "Say yes: exactly this action may run", true)
	a.decideRoute("deny", "Say no", false)
	add(a, auth.ApprovalsAnswer, op("approvals", post, "/api/approvals/{id}/answer", "answer-approval", "Answer a question of a playbook, or say whether something was done"),
		func(ctx context.Context, in *answerInput) (*Body[Approval], error) {
			n, err := in.number(approvalCode, "approval")
			if err != nil {
				return nil, err
			}
			value, err := json.Marshal(in.Body.Value)
			if err != nil {
				return nil, err
			}
			if err := a.Approvals.Answer(ctx, in.caller, n, Answer{Yes: in.Body.Value == "done", Value: value, Note: in.Body.Note}); err != nil {
				return nil, err
			}
			return body(a.Approvals.Approval(ctx, in.caller, n))
		})
}

func (a *api) listApprovals(ctx context.Context, in *listApprovalsInput) (*Listed[Approval], error) {
	f := ApprovalFilter{State: in.State, Mine: in.Mine}
	if f.State == "all" {
		f.State = ""
	}
	var err error
	if f.Run, err = reference(runCode, "run", in.Run); err != nil {
		return nil, err
	}
	if f.Case, err = reference(caseCode, "case", in.Case); err != nil {
		return nil, err
	}
	return listed(a.Approvals.Approvals(ctx, in.caller, f, in.page()))
}

func (a *api) decideRoute(verb, summary string, yes bool) {
	add(a, auth.ApprovalsAnswer, op("approvals", post, "/api/approvals/{id}/"+verb, verb+"-approval", summary),
		func(ctx context.Context, in *decideInput) (*Body[Approval], error) {
			n, err := in.number(approvalCode, "approval")
			if err != nil {
				return nil, err
			}
			answer := Answer{Yes: yes}
			if in.Body != nil {
				answer.Note, answer.Hash = in.Body.Note, in.Body.Hash
			}
			if err := a.Approvals.Answer(ctx, in.caller, n, answer); err != nil {
				return nil, err
			}
			return body(a.Approvals.Approval(ctx, in.caller, n))
		})
}
