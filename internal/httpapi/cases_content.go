package httpapi

import (
	"context"

	"riposte/internal/auth"
)

type noteInput struct {
	Who
	Record
	Body struct {
		Text string `json:"text" minLength:"1" maxLength:"20000"`
	}
}

type newTaskInput struct {
	Who
	Record
	Body NewTask
}

type changeTaskInput struct {
	Who
	Record
	IfMatch
	Task string `path:"task" maxLength:"32"`
	Body TaskChange
}

type newObservablesInput struct {
	Who
	Record
	Body struct {
		Observables []NewObservable `json:"observables" minItems:"1" maxItems:"1000" nullable:"false"`
	}
}

type observablesAdded struct {
	Observables []Observable `json:"observables" nullable:"false" doc:"As they were understood; those that were there already are not told again."`
}

// caseContentRoutes are the operations on what a case holds. Those
// that only add need no If-Match: two people adding do not undo each other's
// work.
func (a *api) caseContentRoutes() {
	add(a, auth.CasesWrite, answering(201, op("cases", post, "/api/cases/{id}/notes", "add-case-note", "Write a note into a case's timeline")),
		func(ctx context.Context, in *noteInput) (*Body[CaseEvent], error) {
			n, err := in.number(caseCode, "case")
			if err != nil {
				return nil, err
			}
			return body(a.Cases.AddNote(ctx, in.caller, n, in.Body.Text))
		})
	add(a, auth.CasesWrite, answering(201, op("cases", post, "/api/cases/{id}/tasks", "add-case-task", "Add a task to a case")),
		func(ctx context.Context, in *newTaskInput) (*Body[Task], error) {
			n, err := in.number(caseCode, "case")
			if err != nil {
				return nil, err
			}
			return body(a.Cases.AddTask(ctx, in.caller, n, in.Body))
		})
	add(a, auth.CasesWrite, op("cases", patch, "/api/cases/{id}/tasks/{task}", "change-case-task", "Change a task, or mark it done; If-Match is the case's ETag"),
		func(ctx context.Context, in *changeTaskInput) (*Body[Task], error) {
			n, err := in.number(caseCode, "case")
			if err != nil {
				return nil, err
			}
			seen, err := in.seen()
			if err != nil {
				return nil, err
			}
			return body(a.Cases.ChangeTask(ctx, in.caller, n, seen, in.Task, in.Body))
		})
	add(a, auth.CasesWrite, answering(201, op("cases", post, "/api/cases/{id}/observables", "add-case-observables", "Add observables to a case")),
		func(ctx context.Context, in *newObservablesInput) (*Body[observablesAdded], error) {
			n, err := in.number(caseCode, "case")
			if err != nil {
				return nil, err
			}
			list, err := a.Cases.AddObservables(ctx, in.caller, n, in.Body.Observables)
			if list == nil {
				list = []Observable{}
			}
			return body(observablesAdded{list}, err)
		})
}
