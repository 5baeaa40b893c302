package run_test

import (
	"strings"
	"testing"
	"time"

	"riposte/connector"
	"riposte/playbook"
)

// catalog is the connector lab: a read, a change that can be taken back, a change
// of idempotency none, a long job.
type catalog map[string]*connector.Action

var loaded = catalog{
	"lab.read":       {Connector: "lab", ID: "read", Impact: connector.Read, Idempotency: connector.Natural, Timeout: time.Minute, Inputs: connector.Schema{"type": "object"}, Outputs: connector.Schema{"type": "object", "properties": map[string]any{"n": map[string]any{"type": "integer"}}}},
	"lab.get":        {Connector: "lab", ID: "get", Impact: connector.Change, ImpactBy: &connector.ImpactBy{Input: "method", Values: map[string]connector.Impact{"GET": connector.Read}, Else: connector.Change}, Idempotency: connector.None, Timeout: time.Minute, Inputs: connector.Schema{"type": "object", "properties": map[string]any{"method": map[string]any{"type": "string", "default": "GET"}}}},
	"lab.change":     {Connector: "lab", ID: "change", Impact: connector.Change, Idempotency: connector.Natural, Timeout: time.Minute, Targets: []connector.TargetSpec{{Input: "x", Kind: "host"}}, Undo: &connector.UndoSpec{Action: "unchange", With: map[string]any{"x": "${{ inputs.x }}"}}, Inputs: connector.Schema{"type": "object"}},
	"lab.unchange":   {Connector: "lab", ID: "unchange", Impact: connector.Change, Idempotency: connector.Natural, Timeout: time.Minute, Inputs: connector.Schema{"type": "object"}},
	"lab.once":       {Connector: "lab", ID: "once", Impact: connector.Change, Idempotency: connector.None, Timeout: time.Minute, Inputs: connector.Schema{"type": "object"}},
	"lab.job":        {Connector: "lab", ID: "job", Impact: connector.Change, Idempotency: connector.Natural, Timeout: 10 * time.Minute, Poll: &connector.PollSpec{Action: "job_state", With: map[string]any{"id": "${{ output.id }}"}, Every: 30 * time.Second, Until: "poll.state == \"done\"", Cancel: "job_cancel"}, Inputs: connector.Schema{"type": "object"}},
	"lab.job_state":  {Connector: "lab", ID: "job_state", Impact: connector.Read, Idempotency: connector.Natural, Timeout: time.Minute, Inputs: connector.Schema{"type": "object"}},
	"lab.job_cancel": {Connector: "lab", ID: "job_cancel", Impact: connector.Change, Idempotency: connector.Natural, Timeout: time.Minute, Inputs: connector.Schema{"type": "object"}},
}

func (c catalog) Action(name string) (*connector.Action, bool) {
	conn, _, _ := strings.Cut(name, ".")
	return c[name], conn == "lab"
}
func (c catalog) Capability(string) *connector.Action { return nil }
func (c catalog) Actions(string) []string             { return nil }
func (c catalog) Connectors() []string                { return []string{"lab"} }
func (c catalog) Capabilities() []string              { return nil }

// fataler is what load needs of *testing.T and *rapid.T.
type fataler interface{ Fatalf(string, ...any) }

// load compiles a playbook against the catalog; findings are let pass.
func load(t fataler, src string) *playbook.Plan {
	if h, ok := t.(*testing.T); ok {
		h.Helper()
	}
	p, diagnostics := playbook.Load("t.playbook.yaml", []byte(src), playbook.Options{Catalog: loaded})
	if p == nil {
		for _, d := range diagnostics {
			if d.Severity == playbook.SeverityError {
				t.Fatalf("%s\n%s", d, src)
			}
		}
	}
	return p
}
