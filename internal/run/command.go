package run

import (
	"encoding/json"
	"time"

	"riposte/connector"
	"riposte/playbook"
)

// Command is something that is to be done for a run: one of *Check, *Ask, *Do,
// *Sleep, *CallRun, *Enter, *TakeBack, *Drop and *Finish. A command is named by its
// type, Act and N, and N never repeats within an Act; doing it twice must be prevented by whoever carries it out.
type Command interface{ command() }

// Check asks the guard about an action before anything is asked or called. It is
// answered by Checked. Reads and notifications without approval are not checked
// here: what the guard wants of them is looked at when they are called.
type Check struct {
	Act    Act
	N      int // counts the checks of this activation
	Action *Do // what would be done
}

// Do calls an action. It is answered by Finished. The call of an action of
// idempotency none is preceded by Began. Where the guard wants people to be
// asked again just before the call, Checked with the N of the Do answers it
// instead.
type Do struct {
	Act        Act
	N          int // names this call among the commands of its activation
	Attempt    int // from 1
	Node       *playbook.Node
	Path       string            // of the step, with the rounds of its loops
	Name       string            // connector.action, or the capability
	Spec       *connector.Action // nil only where a test mocks it
	Poll       bool              // the poll of a long job, not the job itself
	Connection string            // "": configuration decides
	Inputs     map[string]any    // worked out and frozen
	Impact     connector.Impact
	Key        string         // the idempotency key, the same for all attempts
	Timeout    time.Duration  // of this attempt
	Hash       string         // what was cleared or approved; "" if nothing was checked
	Approved   bool           // people agreed to Hash
	Agreed     []Quorum       // those of them, with Approved
	Rate       *playbook.Rate // nil: none
	RateKey    string         // playbook and step, over all versions
}

// Ask asks people. It is answered by Answered, one event a person, until the
// interpreter has what it needs and drops the question.
type Ask struct {
	Act      Act
	N        int
	Question Question
}

// QuestionKind says what an answer looks like.
type QuestionKind string

// The kinds of question.
const (
	ForAnswer   QuestionKind = "ask"      // Answer.Value
	ForApproval QuestionKind = "approval" // Answer.Yes
	ForOutcome  QuestionKind = "outcome"  // Answer.Yes: it was done
)

// Question is what people see.
type Question struct {
	Kind       QuestionKind       `json:"kind"`
	Step       string             `json:"step,omitempty"` // id or label of the step that asks
	Title      string             `json:"title"`
	Text       string             `json:"text,omitempty"` // the question, or the approval's note
	Asks       []Quorum           `json:"asks"`
	Options    []string           `json:"options,omitempty"`
	Form       map[string]any     `json:"form,omitempty"`
	Until      time.Time          `json:"until,omitzero"` // zero: no end
	Default    json.RawMessage    `json:"default,omitempty"`
	Veto       bool               `json:"veto,omitempty"`
	NotAuthor  bool               `json:"not_author,omitempty"` // whoever started the run may not answer
	Action     string             `json:"action,omitempty"`
	Connection string             `json:"connection,omitempty"`
	Inputs     json.RawMessage    `json:"inputs,omitempty"`
	Targets    []connector.Target `json:"targets,omitempty"`
	Undo       string             `json:"undo,omitempty"` // the action that takes it back, "" if none
	Rule       string             `json:"rule,omitempty"` // why it is asked
	Hash       string             `json:"hash,omitempty"`
}

// Sleep wakes the run at Until. It is answered by Fired.
type Sleep struct {
	Act   Act
	N     int
	Until time.Time
	Look  bool // Fired must carry the case as it is then
}

// CallRun starts another playbook. It is answered by Ended.
type CallRun struct {
	Act      Act
	N        int
	Playbook string
	Version  int // 0: the one published now
	Inputs   map[string]any
	Chain    []string
	Rate     *playbook.Rate
	RateKey  string
}

// Enter puts an undo into the ledger, in the same transaction as the event that
// caused it. It has no answer.
type Enter struct {
	Act   Act
	Entry UndoEntry
}

// UndoEntry is how something done is taken back, all values worked out.
type UndoEntry struct {
	Step       string             `json:"step"` // id or label of the step
	Path       string             `json:"path"`
	Done       string             `json:"done"` // the action that is taken back
	Action     string             `json:"action,omitempty"`
	Playbook   string             `json:"playbook,omitempty"`
	Connection string             `json:"connection,omitempty"`
	With       json.RawMessage    `json:"with,omitempty"`
	Targets    []connector.Target `json:"targets,omitempty"`
	Own        bool               `json:"own,omitempty"`   // from the file's undo key
	After      time.Duration      `json:"after,omitempty"` // 0: for ever
	Asks       []Quorum           `json:"asks,omitempty"`  // its own approval
	Within     time.Duration      `json:"within,omitempty"`
	Retry      int                `json:"retry,omitempty"` // attempts, as the step's
	Every      time.Duration      `json:"every,omitempty"`
	Already    bool               `json:"already,omitempty"` // it was so before: enters only if we hold the target
	Saves      time.Duration      `json:"saves,omitempty"`
	Problem    string             `json:"problem,omitempty"` // the undo could not be worked out: the entry begins as failed
}

// TakeBack carries out undos now, newest first, and waits for all. It is
// answered by Undone.
type TakeBack struct {
	Act   Act
	N     int
	Acts  []Act // whose ledger entries of this run
	Calls []Act // whose child runs, with all that is below them
}

// Drop says that what was asked for Act is no longer wanted: the call is
// cancelled if it is a read, never made if it has not left yet (Finished with
// class cancelled then answers it, unless it is a read), the question withdrawn, the timer forgotten, the
// child run cancelled, what the guard reserved given back. N is 0 for
// everything of Act.
type Drop struct {
	Act Act
	N   int
}

// Finish says that the run has ended.
type Finish struct {
	Status  Status
	Outputs map[string]any
	Error   *Error
}

func (*Check) command()    {}
func (*Do) command()       {}
func (*Ask) command()      {}
func (*Sleep) command()    {}
func (*CallRun) command()  {}
func (*Enter) command()    {}
func (*TakeBack) command() {}
func (*Drop) command()     {}
func (*Finish) command()   {}
