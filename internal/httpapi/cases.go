package httpapi

import (
	"context"
	"encoding/json"
	"time"

	"riposte/internal/auth"
)

// Cases are what people work on.
type Cases interface {
	// Cases lists cases, the last changed first.
	Cases(ctx context.Context, who auth.Caller, f CaseFilter, p Page) (Found[Case], error)
	// Case reads one: fault.NotFound.
	Case(ctx context.Context, who auth.Caller, id int64) (Case, error)
	OpenCase(ctx context.Context, who auth.Caller, n NewCase) (Case, error)
	// ChangeCase changes a case that is still at a revision; it returns
	// ErrStale when it is not any more.
	ChangeCase(ctx context.Context, who auth.Caller, id, seen int64, c CaseChange) (Case, error)
	// Timeline lists what happened in a case, in the order in which it happened.
	Timeline(ctx context.Context, who auth.Caller, id int64, p Page) (Found[CaseEvent], error)
	AddNote(ctx context.Context, who auth.Caller, id int64, text string) (CaseEvent, error)
	AddTask(ctx context.Context, who auth.Caller, id int64, n NewTask) (Task, error)
	// ChangeTask returns fault.NotFound where the case has no such task, ErrStale
	// where the case is not at the revision any more.
	ChangeTask(ctx context.Context, who auth.Caller, id, seen int64, task string, c TaskChange) (Task, error)
	AddObservables(ctx context.Context, who auth.Caller, id int64, list []NewObservable) ([]Observable, error)
}

// CaseFilter narrows a list of cases. Zero values do not.
type CaseFilter struct {
	Status      string
	Owner       string
	MinSeverity int
	Text        string
}

// Case is a case as clients see it. Lists leave out what it holds.
type Case struct {
	ID          string         `json:"id" example:"C-1042"`
	Title       string         `json:"title"`
	Summary     string         `json:"summary,omitempty"`
	Status      string         `json:"status" enum:"open,closed"`
	Severity    Severity       `json:"severity,omitempty" enum:"informational,low,medium,high,critical"`
	Verdict     string         `json:"verdict,omitempty" enum:"true_positive,benign_positive,false_positive,undetermined"`
	Reason      string         `json:"reason,omitempty" doc:"Why it was closed so."`
	Owner       string         `json:"owner,omitempty"`
	TLP         string         `json:"tlp,omitempty"`
	PAP         string         `json:"pap,omitempty"`
	Tags        []string       `json:"tags,omitempty"`
	Fields      map[string]any `json:"fields,omitempty" doc:"Fields of your own."`
	Opened      time.Time      `json:"opened"`
	Updated     time.Time      `json:"updated"`
	Closed      time.Time      `json:"closed,omitzero"`
	OpenTasks   int            `json:"open_tasks"`
	AlertCount  int            `json:"alert_count"`
	Alerts      []string       `json:"alerts,omitempty"`
	Observables []Observable   `json:"observables,omitempty"`
	Tasks       []Task         `json:"tasks,omitempty"`
	Runs        []string       `json:"runs,omitempty"`
	Revision    int64          `json:"revision" doc:"Counts the changes; the ETag is made of it."`
}

// Task is something to do in a case.
type Task struct {
	ID       string    `json:"id" doc:"Unique in its case."`
	Title    string    `json:"title"`
	Text     string    `json:"text,omitempty"`
	Status   string    `json:"status" enum:"open,done"`
	Assignee string    `json:"assignee,omitempty" doc:"A user, group:…, role:… or on-call:…"`
	Due      time.Time `json:"due,omitzero"`
	By       string    `json:"by,omitempty" doc:"Who or what added it."`
	Added    time.Time `json:"added"`
	Done     time.Time `json:"done,omitzero"`
	DoneBy   string    `json:"done_by,omitempty"`
}

// CaseEvent is one entry of a case's timeline.
type CaseEvent struct {
	ID    int64           `json:"id"`
	Time  time.Time       `json:"time"`
	Kind  string          `json:"kind" doc:"What happened, such as opened, note, alert_added, step, approval."`
	By    string          `json:"by" doc:"A person, or what acted: playbook:…, source:…, rule:…"`
	Text  string          `json:"text" doc:"One sentence."`
	Run   string          `json:"run,omitempty"`
	Alert string          `json:"alert,omitempty"`
	Field string          `json:"field,omitempty" doc:"What changed, from old to new."`
	Old   json.RawMessage `json:"old,omitempty"`
	New   json.RawMessage `json:"new,omitempty"`
	Step  string          `json:"step,omitempty"`
	Links []string        `json:"links,omitempty" doc:"IDs of what it is about: A-1, R-2, L-3, AP-4, note:1, task:2 …"`
}

// NewCase is what a case is opened with.
type NewCase struct {
	Title    string         `json:"title" minLength:"1" maxLength:"500"`
	Summary  string         `json:"summary,omitempty" maxLength:"20000"`
	Severity Severity       `json:"severity,omitempty" enum:"informational,low,medium,high,critical"`
	Owner    string         `json:"owner,omitempty" maxLength:"64"`
	TLP      string         `json:"tlp,omitempty" enum:"clear,green,amber,amber+strict,red"`
	PAP      string         `json:"pap,omitempty" enum:"clear,green,amber,red"`
	Tags     []string       `json:"tags,omitempty" maxItems:"100"`
	Fields   map[string]any `json:"fields,omitempty"`
	Alerts   []string       `json:"alerts,omitempty" maxItems:"1000" doc:"IDs of alerts that belong to it."`

	AlertIDs []int64 `json:"-"`
}

// CaseChange changes a case. What is absent is left alone.
type CaseChange struct {
	Title    *string        `json:"title,omitempty" minLength:"1" maxLength:"500"`
	Summary  *string        `json:"summary,omitempty" maxLength:"20000"`
	Status   *string        `json:"status,omitempty" enum:"open,closed" doc:"closed needs a verdict; open opens it again."`
	Severity *Severity      `json:"severity,omitempty" enum:"informational,low,medium,high,critical"`
	Verdict  *string        `json:"verdict,omitempty" enum:"true_positive,benign_positive,false_positive,undetermined"`
	Reason   *string        `json:"reason,omitempty" maxLength:"5000"`
	Owner    *string        `json:"owner,omitempty" maxLength:"64" doc:"\"\" is nobody."`
	TLP      *string        `json:"tlp,omitempty" enum:"clear,green,amber,amber+strict,red"`
	PAP      *string        `json:"pap,omitempty" enum:"clear,green,amber,red"`
	Tags     *[]string      `json:"tags,omitempty" maxItems:"100" doc:"Takes the place of all tags."`
	Fields   map[string]any `json:"fields,omitempty" doc:"Fields to set; null removes one."`
	Alerts   []string       `json:"alerts,omitempty" maxItems:"1000" doc:"Alerts to add."`

	AlertIDs []int64 `json:"-"`
}

// NewTask is what a task is added with.
type NewTask struct {
	Title    string    `json:"title" minLength:"1" maxLength:"500"`
	Text     string    `json:"text,omitempty" maxLength:"20000"`
	Assignee string    `json:"assignee,omitempty" maxLength:"128"`
	Due      time.Time `json:"due,omitzero"`
}

// TaskChange changes a task. What is absent is left alone.
type TaskChange struct {
	Title    *string    `json:"title,omitempty" minLength:"1" maxLength:"500"`
	Text     *string    `json:"text,omitempty" maxLength:"20000"`
	Status   *string    `json:"status,omitempty" enum:"open,done"`
	Assignee *string    `json:"assignee,omitempty" maxLength:"128"`
	Due      *time.Time `json:"due,omitempty"`
}

// NewObservable is a value that somebody adds to a case.
type NewObservable struct {
	Type  string `json:"type,omitempty" maxLength:"32" doc:"Absent: it is seen from the value."`
	Value string `json:"value" minLength:"1" maxLength:"2048" doc:"May be defanged."`
}

// closing is what a case is closed with.
type closing struct {
	Verdict string `json:"verdict" enum:"true_positive,benign_positive,false_positive,undetermined"`
	Reason  string `json:"reason,omitempty" maxLength:"5000"`
}

// oneCase is a case and its ETag.
type oneCase struct {
	ETag     string `header:"ETag"`
	Location string `header:"Location"`
	Body     Case
}

func caseAnswer(c Case, err error) (*oneCase, error) {
	if err != nil {
		return nil, err
	}
	return &oneCase{ETag: ETag(c.Revision), Body: c}, nil
}

type listCasesInput struct {
	Who
	Paged
	Status      string   `query:"status" enum:"open,closed"`
	Owner       string   `query:"owner" maxLength:"64" doc:"A user; me is you."`
	MinSeverity Severity `query:"min_severity" enum:"informational,low,medium,high,critical"`
	Text        string   `query:"q" maxLength:"200" doc:"Words, anywhere in the case, its notes, tasks and observables, in any order: a word may be the beginning of a longer one, words in quotes stand one after the other."`
}

type openCaseInput struct {
	Who
	Body NewCase
}

type changeCaseInput struct {
	Who
	Record
	IfMatch
	Body CaseChange
}

type closeCaseInput struct {
	Who
	Record
	IfMatch
	Body closing
}

type caseTimelineInput struct {
	Who
	Record
	Paged
}

func (a *api) caseRoutes() {
	add(a, auth.CasesRead, op("cases", get, "/api/cases", "list-cases", "List cases, the last changed first"),
		func(ctx context.Context, in *listCasesInput) (*Listed[Case], error) {
			if in.Owner == "me" {
				in.Owner = in.caller.Name
			}
			return listed(a.Cases.Cases(ctx, in.caller, CaseFilter{
				Status: in.Status, Owner: in.Owner, MinSeverity: in.MinSeverity.Number(), Text: in.Text}, in.page()))
		})
	add(a, auth.CasesWrite, answering(201, op("cases", post, "/api/cases", "open-case", "Open a case")), a.openCase)
	add(a, auth.CasesRead, op("cases", get, "/api/cases/{id}", "get-case", "Read a case with all that it holds"),
		func(ctx context.Context, in *recordInput) (*oneCase, error) {
			n, err := in.number(caseCode, "case")
			if err != nil {
				return nil, err
			}
			return caseAnswer(a.Cases.Case(ctx, in.caller, n))
		})
	add(a, auth.CasesWrite, op("cases", patch, "/api/cases/{id}", "change-case", "Change a case"), a.changeCase)
	add(a, auth.CasesWrite, op("cases", post, "/api/cases/{id}/close", "close-case", "Close a case with a verdict"),
		func(ctx context.Context, in *closeCaseInput) (*oneCase, error) {
			n, err := in.number(caseCode, "case")
			if err != nil {
				return nil, err
			}
			seen, err := in.seen()
			if err != nil {
				return nil, err
			}
			closed := "closed"
			change := CaseChange{Status: &closed, Verdict: &in.Body.Verdict}
			if in.Body.Reason != "" {
				change.Reason = &in.Body.Reason
			}
			return caseAnswer(a.Cases.ChangeCase(ctx, in.caller, n, seen, change))
		})
	add(a, auth.CasesRead, op("cases", get, "/api/cases/{id}/timeline", "get-case-timeline", "List what happened in a case, in the order in which it happened"),
		func(ctx context.Context, in *caseTimelineInput) (*Listed[CaseEvent], error) {
			n, err := in.number(caseCode, "case")
			if err != nil {
				return nil, err
			}
			return listed(a.Cases.Timeline(ctx, in.caller, n, in.page()))
		})
	a.caseContentRoutes()
}

func (a *api) openCase(ctx context.Context, in *openCaseInput) (*oneCase, error) {
	var err error
	if in.Body.AlertIDs, err = references(in.Body.Alerts); err != nil {
		return nil, err
	}
	c, err := a.Cases.OpenCase(ctx, in.caller, in.Body)
	out, err := caseAnswer(c, err)
	if out != nil {
		out.Location = "/api/cases/" + c.ID
	}
	return out, err
}

func (a *api) changeCase(ctx context.Context, in *changeCaseInput) (*oneCase, error) {
	n, err := in.number(caseCode, "case")
	if err != nil {
		return nil, err
	}
	seen, err := in.seen()
	if err != nil {
		return nil, err
	}
	if in.Body.AlertIDs, err = references(in.Body.Alerts); err != nil {
		return nil, err
	}
	return caseAnswer(a.Cases.ChangeCase(ctx, in.caller, n, seen, in.Body))
}

// references reads the IDs of the alerts in a body.
func references(ids []string) ([]int64, error) {
	var out []int64
	for i, s := range ids {
		n, err := bodyReference(alertCode, pointerTo("alerts", i), s)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, WrongField(pointerTo("alerts", i), "it is empty; expected an ID of the form A-123")
		}
		out = append(out, n)
	}
	return out, nil
}
