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
	Verdict     *VerdictSpec  `json:"verdict,omitempty"`
	Batch       *BatchSpec    `json:"batch,omitempty"`
	Deprecated  string        `json:"deprecated,omitempty"`
	// Digest is a hash of all that the manifest says of the action, the
	// connector's version included: two actions with the same Digest are the
	// same. The loader fills it in.
	Digest string `json:"digest,omitempty"`
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
	Input      string     `json:"input" yaml:"input,required" doc:"the input that holds the target, or a list of them"`
	Kind       TargetKind `json:"kind" yaml:"kind,required" enum:"ip,cidr,domain,url,hash,email,mailbox,message,user,host,process,file,group,rule,alert,ticket,cloud_resource" doc:"what it is"`
	MaxPerCall int        `json:"max_per_call,omitempty" yaml:"max_per_call" min:"1" doc:"how many one call may act on"` // 0: no limit of the action's own
}

// UndoSpec is how an action is taken back. With holds templates over inputs and
// output of the call that is taken back.
type UndoSpec struct {
	Action string         `json:"action" yaml:"action,required" doc:"the action that takes it back"`
	With   map[string]any `json:"with,omitempty" yaml:"with" doc:"its inputs: templates over inputs and output"`
	Window time.Duration  `json:"window,omitempty" yaml:"window" doc:"how long it can be taken back; default at any time"` // 0: at any time
}

// CheckSpec looks at the product before or after a call. With holds templates
// over inputs (and, after the call, output); When is a condition over inputs
// and the check's own answer as output: true means that the wanted state holds.
type CheckSpec struct {
	Action string         `json:"action" yaml:"action,required" doc:"the read action that looks"`
	With   map[string]any `json:"with,omitempty" yaml:"with" doc:"its inputs: templates over inputs, and in a postcheck output of the call"`
	When   string         `json:"when" yaml:"when,required" doc:"a condition over inputs and the check's own answer as output: the wanted state is there"`
	Within time.Duration  `json:"within,omitempty" yaml:"within" doc:"postcheck: how long the product may take to show it, at most 1m; default it is asked once"`
	Every  time.Duration  `json:"every,omitempty" yaml:"every" doc:"postcheck: how often it is asked in that time; default 2s"`
}

// RetrySpec is what a step's retry starts from.
type RetrySpec struct {
	On      []Class       `json:"on,omitempty" yaml:"on" enum:"auth,permission,not_found,invalid,rate_limited,conflict,transient,permanent,partial,unknown_outcome,bad_answer" doc:"error classes that are temporary; timeouts always are"`
	Every   time.Duration `json:"every,omitempty" yaml:"every" doc:"the wait before the second attempt; default 5s"`
	Backoff float64       `json:"backoff,omitempty" yaml:"backoff" min:"1" doc:"how much longer each wait is; default 2"`
}

// PollSpec follows a long job without holding a worker. With, Until and Cancel
// see inputs and output (of the call that began the job); Until also sees the
// poll's own answer as poll.
type PollSpec struct {
	Action string         `json:"action" yaml:"action,required" doc:"the read action that asks"`
	With   map[string]any `json:"with,omitempty" yaml:"with" doc:"its inputs: templates over inputs and output of the call that began the job"`
	Every  time.Duration  `json:"every" yaml:"every" doc:"how often; default 10s"`
	Until  string         `json:"until" yaml:"until,required" doc:"a condition over inputs, output and poll (the answer): the job is done"`
	Cancel string         `json:"cancel,omitempty" yaml:"cancel" doc:"the action that ends the job, with the same inputs"`
}

// VerdictSpec makes enrichment answers comparable. All three are over output
// and inputs.
type VerdictSpec struct {
	Score       string `json:"score" yaml:"score,required" doc:"an expression that gives 0 (harmless) to 100 (malicious), or nil when nothing is known"`
	Label       string `json:"label,omitempty" yaml:"label" doc:"an expression that gives a word: malicious, suspicious, harmless or unknown; default by the score"`
	Reliability string `json:"reliability" yaml:"reliability,required" enum:"A,B,C,D,E,F" doc:"how far the source is to be trusted, A (completely) to F (cannot be judged)"`
}

// BatchSpec is an action that takes many items in one call.
type BatchSpec struct {
	Input    string `json:"input" yaml:"input,required" doc:"the input that holds the list"`
	MaxItems int    `json:"max_items" yaml:"max_items,required" min:"1" doc:"how many items one call takes"`
	Results  string `json:"results,omitempty" yaml:"results" doc:"an expression over output that gives one { item, ok, message } for each: a call of which some failed is partial"`
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
