// Package run is the interpreter: it folds events into the state of a run and
// says what is to be done next. It does no I/O, reads no clock and draws no
// random number, so the same history always ends in the same state. See
// DESIGN.md.
package run

import (
	"encoding/json"
	"time"

	"riposte/connector"
	"riposte/internal/id"
)

// ID names a run. Its text form is R-88213.
type ID int64

func (i ID) String() string { return id.Format("R", int64(i)) }

// MarshalText writes the text form, "" for zero.
func (i ID) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads the text form; fault.Invalid otherwise.
func (i *ID) UnmarshalText(b []byte) error {
	n, err := id.Parse("R", string(b))
	*i = ID(n)
	return err
}

// Act numbers the activations of a run: each execution of one step, counted in
// the order in which they begin. 0 is the run itself. The same history gives
// the same numbers.
type Act uint32

// EventKind says what happened.
type EventKind string

// The events. Those marked with a field need it set; the others carry nothing
// but Act, N, By or Reason.
const (
	Started  EventKind = "started"  // Start
	Checked  EventKind = "checked"  // Check: the guard's answer to a Check command
	Began    EventKind = "began"    // call N is about to leave
	Finished EventKind = "finished" // Result of call N
	Fired    EventKind = "fired"    // timer N of Act is due
	Answered EventKind = "answered" // Answer to question N of Act
	Ended    EventKind = "ended"    // Child: the run that command N of Act started has ended
	Undone   EventKind = "undone"   // the undos that Act asked for are through
	Cancel   EventKind = "cancel"   // By, Reason
	Pause    EventKind = "pause"    // By, Reason
	Resume   EventKind = "resume"   // By, Reason
)

// Event is one thing that happened to a run. Events are all that is stored of a
// run; everything else follows from them.
type Event struct {
	Kind   EventKind         `json:"k"`
	At     time.Time         `json:"t"` // UTC, whole microseconds
	Act    Act               `json:"a,omitempty"`
	N      int               `json:"n,omitempty"`
	Start  *Start            `json:"start,omitempty"`
	Check  *CheckResult      `json:"check,omitempty"`
	Result *connector.Result `json:"result,omitempty"`
	Answer *Answer           `json:"answer,omitempty"`
	Child  *ChildResult      `json:"child,omitempty"`
	By     string            `json:"by,omitempty"`
	Reason string            `json:"reason,omitempty"`
	// Case is the run's case as it is now, after a case.* action and at each
	// look of a wait. Absent: unchanged.
	Case json.RawMessage `json:"case,omitempty"`
}

// Start is everything that a run begins with.
type Start struct {
	Run       ID              `json:"run"`
	Tenant    string          `json:"tenant,omitempty"`
	Playbook  string          `json:"playbook"`
	Version   int             `json:"version,omitempty"` // 0: a draft
	Plan      string          `json:"plan,omitempty"`    // Plan.Hash
	Inputs    json.RawMessage `json:"inputs,omitempty"`  // an object, checked and with defaults filled in
	Alert     json.RawMessage `json:"alert,omitempty"`
	Case      json.RawMessage `json:"case,omitempty"`
	Indicator json.RawMessage `json:"indicator,omitempty"`
	Body      json.RawMessage `json:"body,omitempty"` // of a webhook
	CaseID    int64           `json:"case_id,omitempty"`
	AlertID   int64           `json:"alert_id,omitempty"`
	Severity  int             `json:"severity,omitempty"` // 1 to 5, 0 unknown: the run's priority
	By        string          `json:"by,omitempty"`       // a user, or trigger:alert, schedule, run:R-1 …
	Parent    *Parent         `json:"parent,omitempty"`
	Root      ID              `json:"root,omitempty"`   // the outermost run above it; 0: none
	Author    string          `json:"author,omitempty"` // who or what started that one
	Chain     []string        `json:"chain,omitempty"`  // slugs of the runs above, outermost first
	Test      bool            `json:"test,omitempty"`
	Available map[string]bool `json:"available,omitempty"` // the answers to Plan.Available
	From      ID              `json:"from,omitempty"`      // the run that this one retries
	Given     []Given         `json:"given,omitempty"`     // results taken over from that run
	Undoes    int64           `json:"undoes,omitempty"`    // the ledger entry that this one-step run takes back
}

// Origin is the outermost run, and who or what started it: the run itself where
// no other called it.
func (s *Start) Origin() (root ID, author string) {
	if s.Root != 0 {
		return s.Root, s.Author
	}
	return s.Run, s.By
}

// Parent is the step that called a run.
type Parent struct {
	Run ID  `json:"run"`
	Act Act `json:"act"`
	N   int `json:"n"` // of the CallRun
}

// Given is a result taken over from the run that is retried.
type Given struct {
	Path   string          `json:"path"` // Path of the activation
	Status Status          `json:"status"`
	Output json.RawMessage `json:"output,omitempty"`
	Answer json.RawMessage `json:"answer,omitempty"`
	By     string          `json:"by,omitempty"`
	Error  *Error          `json:"error,omitempty"` // of a step whose error was handled by continue
}

// CheckResult is the guard's answer.
type CheckResult struct {
	Deny       string             `json:"deny,omitempty"`   // the error code: protected, policy, kill_switch, denied; "" is no denial
	Shadow     bool               `json:"shadow,omitempty"` // the policy wants it recorded and not done: the step is skipped, Message says what would have been
	Message    string             `json:"message,omitempty"`
	Rule       string             `json:"rule,omitempty"` // the policy rule or limit that decided
	Asks       []Quorum           `json:"asks,omitempty"` // who must agree; empty: nobody
	Within     time.Duration      `json:"within,omitempty"`
	Veto       bool               `json:"veto,omitempty"`       // silence is a yes
	NotAuthor  bool               `json:"not_author,omitempty"` // whoever started the run may not approve it
	Temporary  bool               `json:"temporary,omitempty"`  // not now: the step has a transient error, which retry may try again
	RetryAfter time.Duration      `json:"retry_after,omitempty"`
	Connection string             `json:"connection,omitempty"` // what the call is bound to
	Action     string             `json:"action,omitempty"`     // the concrete connector.action where the step named a capability
	Targets    []connector.Target `json:"targets,omitempty"`
	Hash       string             `json:"hash,omitempty"` // of action, connection, version, inputs, targets and undo
}

// Quorum is a number of people who must agree.
type Quorum struct {
	People []string `json:"people"` // user names, group:…, role:…, on-call:…
	Need   int      `json:"need"`
	Source string   `json:"source"` // file, policy, limit
}

// Answer is what a person said. Who may answer is checked before it becomes an
// event; Quorums says which of the question's quorums the person counts for.
type Answer struct {
	By      string          `json:"by"`
	Yes     bool            `json:"yes,omitempty"`   // approve, or done
	Value   json.RawMessage `json:"value,omitempty"` // the answer of an ask
	Quorums []int           `json:"quorums,omitempty"`
	Note    string          `json:"note,omitempty"`
}

// ChildResult is how a called run ended.
type ChildResult struct {
	Run     ID              `json:"run"`
	Status  Status          `json:"status"`
	Outputs json.RawMessage `json:"outputs,omitempty"`
	Error   *Error          `json:"error,omitempty"`
}

// Error is why a step or a run did not succeed.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Step    string `json:"step,omitempty"` // the step's id or label, on a run's error
}
