package playbook

import (
	"fmt"
	"time"

	"riposte/connector"
	"riposte/internal/expr"
)

// Language is the version of the language's meaning that this code compiles
// to. A plan carries the one it was made for.
const Language = 1

// NodeID is a step's place in Plan.Nodes.
type NodeID int32

// NoNode stands where there is no step: the playbook itself.
const NoNode NodeID = -1

// Plan is a playbook compiled for running: flat nodes, expressions compiled,
// action signatures resolved. It is immutable and safe to share.
type Plan struct {
	ID       string // the playbook's slug
	Title    string
	Version  int // 0: a draft
	Language int
	Hash     string            // SHA-256 of the source and of the signatures it was compiled against, hex
	Impact   *connector.Impact // the declared ceiling; nil: none
	Highest  connector.Impact  // the highest that may happen, undo included

	Triggers  []Trigger
	Inputs    []Input
	Vars      []Var    // in the order written
	Available []string // the literals given to available(), sorted
	// Uses names the roots that expressions of the plan use; nil: not known. What
	// nobody uses need not be decoded when a run begins.
	Uses    map[string]bool
	Missing []string // actions and playbooks that were not loaded, sorted; such a plan is not published

	Nodes   []Node // in the order of the text; a subtree is the range [i, Nodes[i].End)
	Body    []NodeID
	OnError *Handler // nil: none
	Finally []NodeID
	Outputs []Output
	Timeout Duration // of the whole run; the compiler fills in 24h
	Saves   Duration
}

// FinallyTimeout is what finally has of its own, beyond the run's timeout.
const FinallyTimeout = 10 * time.Minute

// Input is one declared input.
type Input struct {
	Name       string
	Schema     map[string]any // JSON Schema 2020-12
	Default    any            // meaningful when HasDefault
	HasDefault bool
	Required   bool // neither a default nor null is allowed

	compiled *connector.CompiledSchema // by a check; nil: not yet
}

// Var is one declared variable with its first value.
type Var struct {
	Name  string
	Value *expr.Value
}

// Output is one declared output.
type Output struct {
	Name   string
	Value  *expr.Value
	Schema map[string]any // nil: any

	compiled *connector.CompiledSchema // of Schema
}

// Duration is a length of time that may be worked out when it is needed.
type Duration struct {
	Fixed time.Duration // meaningful when Value is nil; 0: none
	Value *expr.Value   // gives a text such as "7d"
}

// Set tells whether a duration was given.
func (d Duration) Set() bool { return d.Fixed != 0 || d.Value != nil }

// Verb says what a step does.
type Verb uint8

// The eleven verbs.
const (
	Action Verb = iota
	Call        // playbook: …
	If
	Switch
	Parallel
	ForEach
	While
	Ask
	Set
	Wait
	Stop
)

var verbNames = [...]string{"action", "playbook", "if", "switch", "parallel", "for_each", "while", "ask", "set", "wait", "stop"}

// String gives the verb's key in the file.
func (v Verb) String() string { return verbNames[v] }

// Node is one compiled step. Only the part that its verb names is set.
type Node struct {
	ID     NodeID
	End    NodeID      // one past the last node inside, handlers included
	Parent NodeID      // NoNode at the top
	Step   string      // the id given in the file, "" if none
	Line   int         // 1-based
	Name   *expr.Value // the name key, nil if none
	Note   string
	Loop   NodeID // the innermost for_each or while around it, NoNode if none

	Verb    Verb
	When    *expr.Program // nil: always
	Timeout Duration
	OnError *Handler
	Saves   Duration

	Action   *ActionCall
	Call     *PlaybookCall
	If       *IfBlock
	Switch   *SwitchBlock
	Parallel *ParallelBlock
	ForEach  *ForEachBlock
	While    *WhileBlock
	Ask      *AskStep
	Set      []Assignment // in the order written
	Wait     *WaitStep
	Stop     *StopStep
}

// Label is how people know a step: its id, else what it does and where.
func Label(n *Node) string {
	what := n.Verb.String()
	switch {
	case n.Step != "":
		return n.Step
	case n.Verb == Action:
		what = n.Action.Name
	case n.Verb == Call:
		what = n.Call.Playbook
	}
	return fmt.Sprintf("%s (line %d)", what, n.Line)
}

// HandlerKind is what an on_error does.
type HandlerKind uint8

// The three handlers.
const (
	Continue  HandlerKind = iota
	UndoBlock             // on_error: undo
	Steps
)

// Handler is an on_error.
type Handler struct {
	Kind HandlerKind
	Do   []NodeID // for Steps
}

// Guarded is what action and playbook steps share.
type Guarded struct {
	With    *expr.Value      // gives map[string]any
	Impact  connector.Impact // what counts, before an action's ImpactBy
	Approve *Approval
	Retry   Retry
	Rate    *Rate
	Undo    *Undo
}

// ActionCall is a compiled action step.
type ActionCall struct {
	Guarded
	Name       string            // as written: connector.action or a capability
	Capability bool              // Name is a capability
	Spec       *connector.Action // nil: the connector is not loaded; such a plan is not published
	Using      *expr.Value       // the connection's name; nil: configuration decides
	Raised     bool              // the step itself raised the impact: ImpactBy does not lower it
	Poll       *Poll
	Serialize  *expr.Value // sees inputs; calls for which it gives the same text never run at once; nil: they may
}

// PlaybookCall is a compiled playbook step. Its Impact is the called one's
// ceiling, or what the step raised it to.
type PlaybookCall struct {
	Guarded
	Playbook string
	Version  int // 0: the one published when the call starts
}

// Retry says how often and when to try again. Times counts every attempt; the
// compiler fills in the defaults, so Times is at least 1.
type Retry struct {
	Times   int
	Every   Duration
	Backoff float64
	On      []connector.Class // temporary classes; timeouts always count
	If      *expr.Program     // replaces On; sees error and output
	Until   *expr.Program     // asked after each success; sees output
}

// MaxRetryWait bounds the growing wait between attempts, unless every is longer.
const MaxRetryWait = 5 * time.Minute

// Rate bounds a step over all runs and versions of the playbook.
type Rate struct {
	Times int
	Per   time.Duration
}

// Approval is an approve key.
type Approval struct {
	By     *expr.Value // gives a text or a list of texts
	Need   *expr.Value // gives an integer; the compiler fills in 1
	Within Duration    // the compiler fills in 4h
	Note   *expr.Value // nil: none
}

// Undo is how a step is taken back: the step's own undo, else the action's.
type Undo struct {
	Own        bool   // written in the file
	Action     string // connector.action or a capability; "" when Playbook is set
	Capability bool
	Spec       *connector.Action
	Playbook   string
	With       *expr.Value // sees output; the action's own also the call's inputs as inputs
	After      Duration
	HasAfter   bool // After was given, or the action has a ttl; 0 is for ever
	Approve    *Approval
}

// Poll is the compiled form of a manifest's poll.
type Poll struct {
	Action string
	Spec   *connector.Action
	With   *expr.Value // sees inputs and output
	Every  time.Duration
	Until  *expr.Program     // sees inputs, output and poll
	Cancel *connector.Action // ends the job, with the same With; nil: nothing does
}

// IfBlock is if, then, else.
type IfBlock struct {
	Cond *expr.Program
	Then []NodeID
	Else []NodeID
}

// SwitchBlock compares as text.
type SwitchBlock struct {
	Value *expr.Program
	Cases []Case // in the order written
	Else  []NodeID
}

// Case is one case of a switch.
type Case struct {
	Text string
	Do   []NodeID
}

// ParallelBlock runs its branches at once.
type ParallelBlock struct {
	Branches []Branch // in the order written
}

// Branch is one branch of a parallel.
type Branch struct {
	Name string
	Do   []NodeID
}

// ForEachBlock runs its body once for each item.
type ForEachBlock struct {
	List    *expr.Program
	As      string
	Do      []NodeID
	AtOnce  int         // the compiler fills in 1
	Collect *expr.Value // nil: none
}

// WhileBlock runs its body as long as the condition holds.
type WhileBlock struct {
	Cond *expr.Program
	Do   []NodeID
	Max  int // the compiler fills in 100
}

// AskStep asks people.
type AskStep struct {
	Text    *expr.Value
	To      *expr.Value // gives a text or a list of texts
	Options []string
	Form    map[string]any // JSON Schema of the answer, nil: none
	Within  Duration       // the compiler fills in 24h
	Default *expr.Value    // nil: none
}

// Assignment is one name of a set.
type Assignment struct {
	Name  string
	Value *expr.Value
}

// WaitStep waits for a time, or until a condition holds.
type WaitStep struct {
	For   Duration // when Until is nil
	Until *expr.Program
	Every Duration
}

// StopStep ends the run.
type StopStep struct {
	Status string // succeeded, failed or cancelled
	Reason *expr.Value
}

// TriggerKind is what starts a playbook.
type TriggerKind string

// The triggers.
const (
	OnAlert     TriggerKind = "alert"
	OnCase      TriggerKind = "case"
	OnIndicator TriggerKind = "indicator"
	OnSchedule  TriggerKind = "schedule"
	OnWebhook   TriggerKind = "webhook"
	OnManual    TriggerKind = "manual"
)

// Trigger is one compiled entry of on.
type Trigger struct {
	Kind  TriggerKind
	Event string        // alert: new, updated; case: opened …; the compiler fills in the default
	Where *expr.Program // nil: always
	With  *expr.Value   // fills inputs, nil: by name
	Cron  string
	Zone  string   // IANA name, "" is UTC
	Path  string   // webhook
	Auth  string   // webhook: hmac, token, mtls
	From  []string // manual
	Roles []string // manual
	Line  int
}
