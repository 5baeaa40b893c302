package connector

import (
	"encoding/json"
	"time"
)

// Action is one thing a connector can do, as its manifest declares it. A plan
// keeps a copy, so a run does not change when a connector is reloaded.
type Action struct {
	Connector   string        `json:"connector"`
	Version     string        `json:"version"` // the connector's
	ID          string        `json:"id"`
	Title       string        `json:"title,omitempty"`
	Description string        `json:"description,omitempty"`
	Capability  string        `json:"capability,omitempty"`
	Impact      Impact        `json:"impact"`              // the highest that ImpactBy can give
	ImpactBy    *ImpactBy     `json:"impact_by,omitempty"` // nil: always Impact
	Targets     []TargetSpec  `json:"targets,omitempty"`
	Undo        *UndoSpec     `json:"undo,omitempty"`
	TTL         time.Duration `json:"ttl,omitempty"` // 0: permanent unless the step says otherwise
	Idempotency Idempotency   `json:"idempotency"`
	Precheck    *CheckSpec    `json:"precheck,omitempty"`
	Postcheck   *CheckSpec    `json:"postcheck,omitempty"`
	Retry       RetrySpec     `json:"retry"`
	Timeout     time.Duration `json:"timeout"` // of one attempt; the loader fills in 60 s
	Poll        *PollSpec     `json:"poll,omitempty"`
	Serialize   string        `json:"serialize,omitempty"` // a template over inputs; equal texts never run at once
	Inputs      Schema        `json:"inputs"`
	Outputs     Schema        `json:"outputs,omitempty"` // nil: not declared, any answer fits
	Scopes      []string      `json:"scopes,omitempty"`
	Saves       time.Duration `json:"saves,omitempty"`
	Deprecated  string        `json:"deprecated,omitempty"`
	// Runtime is the part of the manifest that only the runtime reads: the http,
	// exec or go section, as JSON.
	Runtime json.RawMessage `json:"runtime,omitempty"`
}

// Name is how playbooks write the action: connector.id.
func (a *Action) Name() string { return a.Connector + "." + a.ID }

// Schema is a JSON Schema 2020-12 object, decoded: maps, lists, texts, numbers.
// Besides the standard keywords a field may carry kind (a TargetKind), secret,
// redact and unit.
type Schema map[string]any

// ImpactBy lets one input decide the impact, such as the method of a request.
type ImpactBy struct {
	Input  string            `json:"input"`
	Values map[string]Impact `json:"values"`
	Else   Impact            `json:"else"`
}

// TargetSpec names the input that holds targets: one value or a list of them.
type TargetSpec struct {
	Input      string     `json:"input"`
	Kind       TargetKind `json:"kind"`
	MaxPerCall int        `json:"max_per_call,omitempty"` // 0: no limit of the action's own
}

// UndoSpec is how an action is taken back. With holds templates over inputs and
// output of the call that is taken back.
type UndoSpec struct {
	Action string         `json:"action"`
	With   map[string]any `json:"with"`
	Window time.Duration  `json:"window,omitempty"` // 0: at any time
}

// CheckSpec looks at the product before or after a call. With holds templates
// over inputs (and output after the call); When is a condition over inputs and
// the check's own output: true means that the wanted state holds.
type CheckSpec struct {
	Action string         `json:"action"`
	With   map[string]any `json:"with"`
	When   string         `json:"when"`
}

// RetrySpec is what a step's retry starts from.
type RetrySpec struct {
	On      []Class       `json:"on,omitempty"` // classes that are temporary; timeouts always are
	Every   time.Duration `json:"every,omitempty"`
	Backoff float64       `json:"backoff,omitempty"`
}

// PollSpec follows a long job without holding a worker. With, Until and Cancel
// see inputs and output (of the call that began the job); Until also sees the
// poll's own answer as poll.
type PollSpec struct {
	Action string         `json:"action"`
	With   map[string]any `json:"with"`
	Every  time.Duration  `json:"every"`
	Until  string         `json:"until"`
	Cancel string         `json:"cancel,omitempty"` // the action that ends the job, with the same With
}

// Catalog answers what actions are loaded. A check and a compile ask it; the
// zero answer (nil, false) means that the connector or the action is not there.
type Catalog interface {
	// Action finds "connector.id". a is nil where it is not loaded; connector
	// tells whether the connector itself is, so that a typing mistake in the id
	// is an error and a connector nobody installed only a finding.
	Action(name string) (a *Action, connector bool)
	// Capability finds the signature of a capability such as block_ip.
	Capability(name string) *Action
	// Actions lists the ids of a connector's actions and Connectors the loaded
	// connectors, both sorted: for "did you mean".
	Actions(connector string) []string
	Connectors() []string
	// Capabilities lists the capabilities, sorted.
	Capabilities() []string
}
