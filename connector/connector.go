// Package connector is the contract between Riposte and the products it acts
// in: what a connector offers (Manifest), what one of its actions is (Action),
// how it is called (Call) and what comes back (Result). It does no I/O; the
// runtimes that do live below it.
package connector

import (
	"encoding/json"
	"fmt"
	"time"

	"riposte/internal/expr"
	"riposte/internal/fault"
)

// Impact says how much an action may alter. The order of the constants is the
// order of harm, so impacts compare with < and max.
type Impact uint8

const (
	Read    Impact = iota // looks, changes nothing
	Notify                // adds something that people read
	Change                // alters a system and can be taken back
	Destroy               // alters a system and cannot be taken back
)

var impactNames = [...]string{"read", "notify", "change", "destroy"}

func (i Impact) String() string { return impactNames[i] }

// ParseImpact reads "read", "notify", "change" or "destroy".
func ParseImpact(s string) (Impact, bool) {
	for i, n := range impactNames {
		if n == s {
			return Impact(i), true
		}
	}
	return 0, false
}

// MarshalText writes the impact's word.
func (i Impact) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads the impact's word.
func (i *Impact) UnmarshalText(b []byte) error {
	word, ok := ParseImpact(string(b))
	if !ok {
		return fmt.Errorf("%q is no impact: expected read, notify, change or destroy: %w", b, fault.Invalid)
	}
	*i = word
	return nil
}

// Idempotency decides whether a call may be made again.
type Idempotency string

const (
	Natural  Idempotency = "natural"  // twice is the same as once
	Key      Idempotency = "key"      // the product deduplicates by a key that we send
	Precheck Idempotency = "precheck" // look first, then decide
	None     Idempotency = "none"     // never repeated by itself
)

// TargetKind is what an action acts on. The words are those of observables.
type TargetKind string

// TargetKinds lists every kind, for validation and for editors.
var TargetKinds = []TargetKind{
	"ip", "cidr", "domain", "url", "hash", "email", "mailbox", "message", "user", "host",
	"process", "file", "group", "rule", "alert", "ticket", "cloud_resource",
}

// Target is one object that a call acts on.
type Target struct {
	Kind  TargetKind `json:"kind"`
	Value string     `json:"value"`
}

// Status is how a call ended, seen from the product.
type Status string

const (
	OK      Status = "ok"
	Already Status = "already" // it was so before; nothing was changed
	Partial Status = "partial" // some items failed
	Denied  Status = "denied"  // the product, a person or the guard refused
	Failed  Status = "failed"
	Unknown Status = "unknown" // the request left and no answer came
)

// Class is the kind of an error, whatever the vendor calls it.
type Class string

const (
	Auth           Class = "auth"
	Permission     Class = "permission"
	NotFound       Class = "not_found"
	Invalid        Class = "invalid"
	RateLimited    Class = "rate_limited"
	Conflict       Class = "conflict"
	Transient      Class = "transient"
	Permanent      Class = "permanent"
	PartialError   Class = "partial"
	UnknownOutcome Class = "unknown_outcome"
	Timeout        Class = "timeout"
	Cancelled      Class = "cancelled"
	BadAnswer      Class = "bad_answer" // the answer breaks the output schema, or is no answer at all
	Protected      Class = "protected"
	Policy         Class = "policy"
	KillSwitch     Class = "kill_switch"
)

// Call is one attempt of one action on one connection.
type Call struct {
	Connection string
	Action     *Action
	Inputs     map[string]any // checked against Action.Inputs; secrets are Secret values
	Key        string         // the same for all attempts of one step: sent where idempotency is "key"
	Deadline   time.Time
	Origin     Origin
}

// Origin says on whose behalf a call is made. Handlers of built-in actions that
// write into a run or a case need it.
type Origin struct {
	Tenant   string
	Run      int64
	Case     int64 // 0: none
	Alert    int64 // 0: none
	Playbook string
	Version  int
	By       string // who or what started the run
	Test     bool
	// Source is the source of alerts that asks, "" for none: nothing of ours is sent.
	Source string
}

// Result is what every call returns, whatever runs it.
type Result struct {
	Status     Status          `json:"status"`
	Output     json.RawMessage `json:"output,omitempty"`
	Class      Class           `json:"class,omitempty"`   // empty unless Status tells of an error
	Message    string          `json:"message,omitempty"` // for people; never holds a secret
	Before     json.RawMessage `json:"before,omitempty"`
	After      json.RawMessage `json:"after,omitempty"`
	External   string          `json:"external,omitempty"`    // the product's own id of what it did
	RetryAfter time.Duration   `json:"retry_after,omitempty"` // the product asked to wait this long
	Temporary  bool            `json:"temporary,omitempty"`   // the manifest marks this class as worth a retry
	Final      bool            `json:"final,omitempty"`       // never tried again, whatever its class
	Drift      string          `json:"drift,omitempty"`       // where the answer breaks the output schema
	Connection string          `json:"connection,omitempty"`  // the connection that served the call
	Results    []Result        `json:"results,omitempty"`     // one per connection where several served it
}

// Secret stands for a credential: a reference that only the runtime that sends
// it can resolve.
type Secret = expr.Secret
