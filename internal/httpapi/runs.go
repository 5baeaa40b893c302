package httpapi

import (
	"context"
	"encoding/json"
	"time"

	"riposte/internal/auth"
)

// Runs are executions of playbooks.
type Runs interface {
	// Runs lists runs, the newest first.
	Runs(ctx context.Context, who auth.Caller, f RunFilter, p Page) (Found[Run], error)
	// Run reads one with its steps: fault.NotFound.
	Run(ctx context.Context, who auth.Caller, id int64) (Run, error)
	// Start starts a run and returns when that is on disk. The same key gives the
	// same run ever after; "" is no key.
	Start(ctx context.Context, who auth.Caller, n NewRun, key string) (Run, error)
	// Retry starts a new run that takes over the results of a failed one.
	Retry(ctx context.Context, who auth.Caller, id int64, key string) (Run, error)
	// RetryAll retries every failed run that the filter names, oldest first.
	RetryAll(ctx context.Context, who auth.Caller, f RetryFilter) (Retried, error)
	Cancel(ctx context.Context, who auth.Caller, id int64, reason string) error
	Pause(ctx context.Context, who auth.Caller, id int64, reason string) error
	Resume(ctx context.Context, who auth.Caller, id int64, reason string) error
	// Watch sends what happens to a run, from what follows the event of the given
	// number on, and closes the channel when the run has ended and all is sent, or when
	// ctx ends. Numbers begin at 1. ended tells whether the run has ended already, so
	// that what is left to send comes at once.
	Watch(ctx context.Context, who auth.Caller, id, after int64) (events <-chan RunEvent, ended bool, err error)
}

// RunFilter narrows a list of runs. Zero values do not.
type RunFilter struct {
	Status   string
	Playbook string
	Case     int64
	Alert    int64
	Code     string
	Parent   int64
}

// Run is a run as clients see it. Lists leave out inputs, outputs and steps.
type Run struct {
	ID        string          `json:"id" example:"R-88213"`
	Playbook  string          `json:"playbook"`
	Version   int             `json:"version,omitempty" doc:"Absent for a draft."`
	Status    string          `json:"status" enum:"pending,running,waiting,succeeded,failed,timed_out,denied,cancelled,skipped"`
	Waiting   string          `json:"waiting,omitempty" doc:"For what, while the status is waiting."`
	Paused    bool            `json:"paused,omitempty"`
	Severity  Severity        `json:"severity,omitempty" enum:"informational,low,medium,high,critical"`
	By        string          `json:"by,omitempty" doc:"A person, or what started it: trigger:alert, schedule, run:R-1 …"`
	Case      string          `json:"case,omitempty"`
	Alert     string          `json:"alert,omitempty"`
	Parent    string          `json:"parent,omitempty" doc:"The run that called it."`
	From      string          `json:"from,omitempty" doc:"The run that this one retries."`
	Undoes    string          `json:"undoes,omitempty" doc:"The ledger entry that it takes back."`
	Started   time.Time       `json:"started"`
	Ended     time.Time       `json:"ended,omitzero"`
	Error     *RunError       `json:"error,omitempty"`
	Inputs    json.RawMessage `json:"inputs,omitempty"`
	Outputs   json.RawMessage `json:"outputs,omitempty"`
	Steps     []Step          `json:"steps,omitempty"`
	LastEvent int64           `json:"last_event,omitempty" doc:"The number of the last event: watch from here."`
}

// RunError is why a run or a step did not succeed.
type RunError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Step    string `json:"step,omitempty"`
}

// Step is a step of a run as clients see it.
type Step struct {
	Path       string          `json:"path" doc:"Its place in the playbook, with the rounds of loops."`
	Step       string          `json:"step" doc:"Its id, else its verb and line."`
	Verb       string          `json:"verb"`
	Line       int             `json:"line"`
	Status     string          `json:"status" enum:"pending,running,waiting,succeeded,failed,timed_out,denied,cancelled,skipped"`
	Action     string          `json:"action,omitempty"`
	Connection string          `json:"connection,omitempty"`
	Attempts   int             `json:"attempts,omitempty"`
	Started    time.Time       `json:"started,omitzero"`
	Ended      time.Time       `json:"ended,omitzero"`
	Taken      string          `json:"taken,omitempty" doc:"The way that an if or switch went."`
	Error      *RunError       `json:"error,omitempty"`
	Handled    bool            `json:"handled,omitempty" doc:"The error was handled."`
	By         string          `json:"by,omitempty" doc:"Who answered."`
	Answer     json.RawMessage `json:"answer,omitempty"`
	Child      string          `json:"child,omitempty" doc:"The run that it started."`
	Inputs     json.RawMessage `json:"inputs,omitempty"`
	Output     json.RawMessage `json:"output,omitempty"`
}

// NewRun is what a run is started with.
type NewRun struct {
	Playbook string         `json:"playbook" pattern:"^[a-z][a-z0-9-]{1,62}$" patternDescription:"a playbook's id"`
	Version  int            `json:"version,omitempty" minimum:"1" doc:"Absent: the one published now."`
	Draft    bool           `json:"draft,omitempty" doc:"Run the draft instead. Needs playbooks:write."`
	Inputs   map[string]any `json:"inputs,omitempty"`
	Alert    string         `json:"alert,omitempty" maxLength:"32" doc:"The alert to run it on."`
	Case     string         `json:"case,omitempty" maxLength:"32" doc:"The case to run it in."`

	AlertID int64 `json:"-"`
	CaseID  int64 `json:"-"`
}

// RetryFilter names the failed runs to retry. One of its fields must be set.
type RetryFilter struct {
	Playbook string `json:"playbook,omitempty" maxLength:"64"`
	Code     string `json:"code,omitempty" maxLength:"64" doc:"The code of the run's error."`
	Step     string `json:"step,omitempty" maxLength:"64" doc:"The step at which it failed."`
	Message  string `json:"message,omitempty" maxLength:"500" doc:"A part of the error's message."`
}

// Retried says what a retry of many did.
type Retried struct {
	Started []string `json:"started" nullable:"false" doc:"The new runs."`
	Skipped int      `json:"skipped" doc:"Runs that were retried already, or cannot be."`
}

// RunEvent is one thing that happened to a run.
type RunEvent struct {
	N    int64 // from 1, rising
	Kind string
	Run  *Run  // for run and end
	Step *Step // for step
	Err  error // the run cannot be watched on; nothing else is set, and nothing follows
}

// The kinds of event that a watcher gets.
const (
	EventRun  = "run"  // the run's own status changed
	EventStep = "step" // a step changed
	EventEnd  = "end"  // the run has ended; nothing comes after it
)

type listRunsInput struct {
	Who
	Paged
	Status   string `query:"status" enum:"pending,running,waiting,succeeded,failed,timed_out,denied,cancelled"`
	Playbook string `query:"playbook" maxLength:"64"`
	Case     string `query:"case" maxLength:"32"`
	Alert    string `query:"alert" maxLength:"32"`
	Parent   string `query:"parent" maxLength:"32"`
	Code     string `query:"code" maxLength:"64" doc:"The code of the run's error."`
}

func (in *listRunsInput) filter() (f RunFilter, err error) {
	f = RunFilter{Status: in.Status, Playbook: in.Playbook, Code: in.Code}
	if f.Case, err = reference(caseCode, "case", in.Case); err != nil {
		return f, err
	}
	if f.Alert, err = reference(alertCode, "alert", in.Alert); err != nil {
		return f, err
	}
	f.Parent, err = reference(runCode, "parent", in.Parent)
	return f, err
}

type startRunInput struct {
	Who
	Keyed
	Body NewRun
}

// started is the answer to what starts a run.
type started struct {
	Location string `header:"Location"`
	Body     Run
}

func startedAnswer(r Run, err error) (*started, error) {
	if err != nil {
		return nil, err
	}
	return &started{Location: "/api/runs/" + r.ID, Body: r}, nil
}

type because struct {
	Reason string `json:"reason,omitempty" maxLength:"1000" doc:"Why, for the timeline."`
}

type controlInput struct {
	Who
	Record
	Body *because
}

func (in *controlInput) reason() string {
	if in.Body == nil {
		return ""
	}
	return in.Body.Reason
}

type retryInput struct {
	Who
	Record
	Keyed
}

type retryAllInput struct {
	Who
	Body RetryFilter
}

func (a *api) runRoutes() {
	add(a, auth.RunsRead, op("runs", get, "/api/runs", "list-runs", "List runs, the newest first"),
		func(ctx context.Context, in *listRunsInput) (*Listed[Run], error) {
			f, err := in.filter()
			if err != nil {
				return nil, err
			}
			return listed(a.Runs.Runs(ctx, in.caller, f, in.page()))
		})
	add(a, auth.RunsStart, marked(heldToKey, answering(202, op("runs", post, "/api/runs", "start-run", "Start a run; answered when it is on disk"))), a.startRun)
	add(a, auth.RunsRead, op("runs", get, "/api/runs/{id}", "get-run", "Read a run with its steps"),
		func(ctx context.Context, in *recordInput) (*Body[Run], error) {
			n, err := in.number(runCode, "run")
			if err != nil {
				return nil, err
			}
			return body(a.Runs.Run(ctx, in.caller, n))
		})
	a.controlRoute("cancel", "Cancel a run: what alters something ends first, finally runs", a.cancelRun)
	a.controlRoute("pause", "Pause a run: what is under way ends, nothing new starts", a.pauseRun)
	a.controlRoute("resume", "Let a paused run go on", a.resumeRun)
	add(a, auth.RunsStart, marked(heldToKey, answering(202, op("runs", post, "/api/runs/{id}/retry", "retry-run", "Start a new run that takes over the results of a failed one"))),
		func(ctx context.Context, in *retryInput) (*started, error) {
			n, err := in.number(runCode, "run")
			if err != nil {
				return nil, err
			}
			return startedAnswer(a.Runs.Retry(ctx, in.caller, n, keyOf(in.caller, in.key)))
		})
	add(a, auth.RunsStart, answering(202, op("runs", post, "/api/runs/retry", "retry-runs", "Retry all runs that failed for one reason")),
		func(ctx context.Context, in *retryAllInput) (*Body[Retried], error) {
			if in.Body == (RetryFilter{}) {
				return nil, invalid.problem("name what the failed runs have in common: playbook, code, step or message")
			}
			r, err := a.Runs.RetryAll(ctx, in.caller, in.Body)
			if r.Started == nil {
				r.Started = []string{}
			}
			return body(r, err)
		})
	a.watchRoute()
}

func (a *api) cancelRun(ctx context.Context, who auth.Caller, id int64, reason string) error {
	return a.Runs.Cancel(ctx, who, id, reason)
}

func (a *api) pauseRun(ctx context.Context, who auth.Caller, id int64, reason string) error {
	return a.Runs.Pause(ctx, who, id, reason)
}

func (a *api) resumeRun(ctx context.Context, who auth.Caller, id int64, reason string) error {
	return a.Runs.Resume(ctx, who, id, reason)
}

func (a *api) controlRoute(verb, summary string, do func(context.Context, auth.Caller, int64, string) error) {
	add(a, auth.RunsControl, op("runs", post, "/api/runs/{id}/"+verb, verb+"-run", summary),
		func(ctx context.Context, in *controlInput) (*Body[Run], error) {
			n, err := in.number(runCode, "run")
			if err != nil {
				return nil, err
			}
			if err := do(ctx, in.caller, n, in.reason()); err != nil {
				return nil, err
			}
			return body(a.Runs.Run(ctx, in.caller, n))
		})
}

func (a *api) startRun(ctx context.Context, in *startRunInput) (*started, error) {
	var err error
	if in.Body.AlertID, err = bodyReference(alertCode, "/alert", in.Body.Alert); err != nil {
		return nil, err
	}
	if in.Body.CaseID, err = bodyReference(caseCode, "/case", in.Body.Case); err != nil {
		return nil, err
	}
	if in.Body.Draft && in.Body.Version != 0 {
		return nil, WrongField("/draft", "give version or draft, not both")
	}
	if in.Body.Draft && !in.caller.May(auth.PlaybooksWrite) {
		return nil, denied.problem("running a draft needs the permission " + string(auth.PlaybooksWrite))
	}
	return startedAnswer(a.Runs.Start(ctx, in.caller, in.Body, keyOf(in.caller, in.key)))
}

// keyOf makes an idempotency key one of its sender: two people may use the same.
func keyOf(who auth.Caller, key string) string {
	if key == "" {
		return ""
	}
	return "api:" + who.Name + ":" + key
}
