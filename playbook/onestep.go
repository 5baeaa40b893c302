package playbook

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"riposte/connector"
	"riposte/internal/expr"
	"riposte/internal/fault"
)

// OneStep is what the plan of an undo is made from: how a ledger entry is taken
// back, without the values, which come as the inputs with and connection. It is
// stored as JSON, and the same OneStep always gives the same plan.
type OneStep struct {
	ID       string            `json:"id"`                 // the slug that the run goes by
	Action   string            `json:"action,omitempty"`   // connector.action or a capability
	Spec     *connector.Action `json:"spec,omitempty"`     // of Action, as it is loaded when the undo begins
	Playbook string            `json:"playbook,omitempty"` // instead of Action
	Impact   connector.Impact  `json:"impact"`
	By       []string          `json:"by,omitempty"` // who must agree; empty: nobody
	Need     int               `json:"need,omitempty"`
	Within   time.Duration     `json:"within,omitempty"`
	Retry    int               `json:"retry,omitempty"` // attempts; 0 means 1
	Every    time.Duration     `json:"every,omitempty"`
}

// UndoStep is the id of the only step of such a plan.
const UndoStep = "undo"

// Plan makes the plan. It returns fault.Invalid where neither an action nor a
// playbook is named.
func (o OneStep) Plan() (*Plan, error) {
	if (o.Action == "") == (o.Playbook == "") {
		return nil, fmt.Errorf("a plan of one step needs an action or a playbook: %w", fault.Invalid)
	}
	b, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("make the plan of %s: %w", o.ID, err)
	}
	sum := sha256.Sum256(append([]byte("one step\x00"), b...))
	n := Node{ID: 0, End: 1, Parent: NoNode, Loop: NoNode, Step: UndoStep, Line: 1}
	g, err := o.guarded()
	if err != nil {
		return nil, err
	}
	if o.Playbook != "" {
		n.Verb, n.Call = Call, &PlaybookCall{Guarded: g, Playbook: o.Playbook}
	} else {
		using, err := expr.CompileValue("${{ inputs.connection }}", oneStepScope(), nil)
		if err != nil {
			return nil, fmt.Errorf("make the plan of %s: %w", o.ID, err)
		}
		n.Verb = Action
		n.Action = &ActionCall{Guarded: g, Name: o.Action, Spec: o.Spec, Using: using, Capability: o.Spec == nil || o.Spec.Name() != o.Action, Serialize: serialize(o.Spec)}
	}
	return &Plan{
		ID: o.ID, Title: "Take back: " + o.Action + o.Playbook, Language: Language, Hash: hex.EncodeToString(sum[:]), Highest: o.Impact,
		Inputs: []Input{
			{Name: "with", Schema: map[string]any{"type": "object"}, Required: true},
			{Name: "connection", Schema: map[string]any{"type": "string"}, Required: true},
		},
		Nodes: []Node{n}, Body: []NodeID{0}, Timeout: Duration{Fixed: DefaultTimeout},
	}, nil
}

func oneStepScope() *expr.Scope {
	return expr.NewScope().With("inputs", expr.Object(map[string]expr.Type{"with": expr.MapOf(expr.Any()), "connection": expr.Text()}, false))
}

func (o OneStep) guarded() (Guarded, error) {
	with, err := expr.CompileValue("${{ inputs.with }}", oneStepScope(), nil)
	if err != nil {
		return Guarded{}, fmt.Errorf("make the plan of %s: %w", o.ID, err)
	}
	g := Guarded{With: with, Impact: o.Impact, Retry: Retry{
		Times: max(o.Retry, 1), Every: Duration{Fixed: max(o.Every, time.Second)}, Backoff: DefaultBackoff,
	}}
	if o.Spec != nil {
		g.Retry.On = o.Spec.Retry.On
	}
	if len(o.By) > 0 {
		by := make([]any, len(o.By))
		for i, name := range o.By {
			by[i] = name
		}
		g.Approve = &Approval{Within: Duration{Fixed: o.Within}}
		if g.Approve.By, err = expr.CompileValue(by, oneStepScope(), nil); err != nil {
			return Guarded{}, fmt.Errorf("make the plan of %s: %w", o.ID, err)
		}
		if g.Approve.Need, err = expr.CompileValue(max(o.Need, 1), oneStepScope(), nil); err != nil {
			return Guarded{}, fmt.Errorf("make the plan of %s: %w", o.ID, err)
		}
	}
	return g, nil
}
