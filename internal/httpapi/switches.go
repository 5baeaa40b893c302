package httpapi

import (
	"context"
	"time"

	"riposte/internal/auth"
)

// Switches turn automation off, for everything or a part.
type Switches interface {
	// Switches lists what is off now.
	Switches(ctx context.Context, who auth.Caller) ([]Switch, error)
	// SetSwitch turns one off or on: fault.NotFound where the scope names what is
	// not there.
	SetSwitch(ctx context.Context, who auth.Caller, scope string, off bool, reason string) ([]Switch, error)
}

// Switch is something that is off.
type Switch struct {
	Scope  string    `json:"scope" example:"connector:acme-edr" doc:"everything, connector:NAME, connection:NAME, capability:NAME or playbook:SLUG."`
	By     string    `json:"by"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
}

type switchesAnswer struct {
	Off []Switch `json:"off" nullable:"false" doc:"What is off now; empty: automation may act."`
}

type switchInput struct {
	Who
	Body struct {
		Scope  string `json:"scope" pattern:"^(everything|connector:.+|connection:.+|capability:.+|playbook:.+)$" patternDescription:"everything, connector:NAME, connection:NAME, capability:NAME or playbook:SLUG" maxLength:"128"`
		Off    bool   `json:"off" doc:"true stops automation there, false lets it act again."`
		Reason string `json:"reason" minLength:"1" maxLength:"1000"`
	}
}

func (a *api) switchRoutes() {
	add(a, auth.SwitchesRead, op("switches", get, "/api/switches", "list-switches", "List what is switched off"),
		func(ctx context.Context, in *whoInput) (*Body[switchesAnswer], error) {
			l, err := a.Switches.Switches(ctx, in.caller)
			return body(switchesAnswer{orEmpty(l)}, err)
		})
	add(a, "", describing("Needs switches:off to stop and switches:on to let act again.",
		op("switches", post, "/api/switches", "set-switch", "Stop automation, or let it act again")), a.setSwitch)
}

func (a *api) setSwitch(ctx context.Context, in *switchInput) (*Body[switchesAnswer], error) {
	need := auth.SwitchesOn
	if in.Body.Off {
		need = auth.SwitchesOff
	}
	if !in.caller.May(need) {
		return nil, denied.problem("you need the permission " + string(need) + " for this")
	}
	l, err := a.Switches.SetSwitch(ctx, in.caller, in.Body.Scope, in.Body.Off, in.Body.Reason)
	return body(switchesAnswer{orEmpty(l)}, err)
}
