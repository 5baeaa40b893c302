package guard

import (
	"strings"
	"time"

	"riposte/connector"
	"riposte/internal/run"
	"riposte/playbook"
)

// Request is one action that somebody or something wants to take.
type Request struct {
	Tenant   string
	Playbook string
	Version  int
	Above    []string // slugs of the playbooks that called this one, outermost first
	Run      run.ID
	Root     run.ID // the outermost run above it, whose limit it counts for; 0: Run
	Act      run.Act
	By       string // who or what started the run: a user, or trigger:alert, schedule, run:R-1 …
	Undo     bool   // the run takes back a ledger entry

	Action     *connector.Action // what is called; a capability is resolved before
	Connection string            // "" where nothing leaves the installation
	Clearance  connector.Clearance
	Others     []Server         // where a capability is served by several connections: those beside the first
	Impact     connector.Impact // what counts, with the input that decides it and what the step raised it to
	Inputs     map[string]any   // worked out and frozen; secrets are references
	TakeBack   TakeBack

	Marks      connector.Clearance // how the data is marked: the highest of case and alert
	Labels     map[connector.Target][]string
	Verdict    string                       // of the targets, the least certain one: malicious, suspicious, harmless, unknown; "" unknown
	Confidence int                          // 0 to 100
	Severity   int                          // 1 to 5, 0 unknown
	Known      map[connector.TargetKind]int // assets that the installation knows, for limits in per cent

	Hash   string       // what was cleared or approved; "" before the first check
	Agreed []run.Quorum // who agreed to Hash
	At     time.Time
}

// Server is a connection that serves a capability, and the action by which.
type Server struct {
	Connection string
	Action     *connector.Action
	Clearance  connector.Clearance
}

// servers are the requests that one request stands for: one for each connection
// that it would reach.
func (q *Request) servers() []*Request {
	all := make([]*Request, 0, 1+len(q.Others))
	all = append(all, q)
	for _, o := range q.Others {
		one := *q
		one.Connection, one.Action, one.Clearance, one.Others = o.Connection, o.Action, o.Clearance, nil
		all = append(all, &one)
	}
	return all
}

// TakeBack is how the action would be taken back. The zero value says that it
// cannot be.
type TakeBack struct {
	Action   string        // of the undo, as written
	Playbook string        // instead of an action
	After    time.Duration // 0: by a person only
	Text     string        // what After was written as, where it is worked out later
}

// Possible tells whether there is a way back.
func (t TakeBack) Possible() bool { return t.Action != "" || t.Playbook != "" }

// TakeBackOf reads it from a step of a plan.
func TakeBackOf(n *playbook.Node) TakeBack {
	if n == nil || n.Action == nil && n.Call == nil {
		return TakeBack{}
	}
	var u *playbook.Undo
	if n.Action != nil {
		u = n.Action.Undo
	} else {
		u = n.Call.Undo
	}
	if u == nil {
		return TakeBack{}
	}
	t := TakeBack{Action: u.Action, Playbook: u.Playbook, After: u.After.Fixed}
	if u.After.Value != nil {
		t.Text = "worked out"
	}
	return t
}

// guarded tells whether the whole pipeline stands before the action. Reads and
// notifications meet only clearance and kill switch.
func (q *Request) guarded() bool { return q.Impact >= connector.Change }

func (q *Request) key() actKey { return actKey{q.Run, q.Act} }

// person tells whether somebody, and not something, started the run.
func (q *Request) person() bool {
	return q.By != "" && q.By != "schedule" && q.By != "timer" && !strings.Contains(q.By, ":")
}

// Outcome is what the guard has decided.
type Outcome string

// The outcomes.
const (
	Allow  Outcome = "allow"
	Ask    Outcome = "ask"    // people must agree first; Asks may be empty where only the step's own approval is to be asked again
	Deny   Outcome = "deny"   // Code says why
	Shadow Outcome = "shadow" // policy wants it recorded and not done
	Later  Outcome = "later"  // a breaker is open: a temporary error
)

// Check is one of the checks, in their order.
type Check string

// The checks.
const (
	CheckClearance  Check = "clearance"
	CheckKillSwitch Check = "kill_switch"
	CheckBreaker    Check = "breaker"
	CheckTargets    Check = "targets"
	CheckProtected  Check = "protected"
	CheckLimits     Check = "limits"
	CheckPolicy     Check = "policy"
	CheckApproval   Check = "approval"
)

// Decision is the guard's answer.
type Decision struct {
	Outcome    Outcome
	By         Check           // the check that decided
	Code       connector.Class // of a denial: protected, policy, kill_switch, denied
	Message    string          // for people
	Rule       string          // what decided: "policy NAME", "limit NAME", "protected NAME", "kill switch …", "breaker …"
	Asks       []run.Quorum
	Within     time.Duration // 0: as the step says
	Veto       bool
	NotAuthor  bool
	RetryAfter time.Duration
	Targets    []connector.Target
	Hash       string
	Over       []string     // the limits that it is over
	Overrides  []Override   // the protections that were set aside for it
	Reserved   *Reservation // to be stored with the answer; nil: nothing was reserved
}

// OK tells whether the call may leave.
func (d Decision) OK() bool { return d.Outcome == Allow }

// Result is the decision as the interpreter takes it.
func (d Decision) Result(q *Request) run.CheckResult {
	r := run.CheckResult{
		Message: d.Message, Rule: d.Rule, Asks: d.Asks, Within: d.Within, Veto: d.Veto, NotAuthor: d.NotAuthor,
		Targets: d.Targets, Hash: d.Hash,
	}
	// What several connections serve stays a capability: the call goes to all of them.
	if len(q.Others) == 0 {
		r.Connection = q.Connection
		if q.Action != nil {
			r.Action = q.Action.Name()
		}
	}
	switch d.Outcome {
	case Deny:
		r.Deny = string(d.Code)
	case Shadow:
		r.Shadow = true
	case Later:
		r.Temporary, r.RetryAfter = true, d.RetryAfter
	case Allow, Ask:
	}
	return r
}
