package httpapi

import (
	"context"
	"time"

	"riposte/internal/auth"
)

// Overrides set protections aside, each once.
type Overrides interface {
	// Overrides lists those that are not used yet.
	Overrides(ctx context.Context, who auth.Caller) ([]Override, error)
	// Override gives one; By is the caller, whatever it says.
	Override(ctx context.Context, who auth.Caller, o Override) (Override, error)
}

// Override lets one action pass the protected lists on one target, once.
type Override struct {
	Action string    `json:"action" example:"firewall.block_ip"`
	Target Target    `json:"target"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"`
}

type overridesAnswer struct {
	Overrides []Override `json:"overrides" nullable:"false"`
}

type overrideInput struct {
	Who
	Body struct {
		Action string    `json:"action" minLength:"3" maxLength:"128" doc:"connector.action"`
		Target Target    `json:"target"`
		Reason string    `json:"reason" minLength:"1" maxLength:"1000"`
		Until  time.Time `json:"until" doc:"Within the next 24 hours."`
	}
}

func (a *api) overrideRoutes() {
	add(a, auth.GuardRead, op("overrides", get, "/api/overrides", "list-overrides", "List protections that are set aside and not used yet"),
		func(ctx context.Context, in *whoInput) (*Body[overridesAnswer], error) {
			l, err := a.Overrides.Overrides(ctx, in.caller)
			return body(overridesAnswer{orEmpty(l)}, err)
		})
	add(a, auth.ProtectedOverride, op("overrides", post, "/api/overrides", "give-override", "Let one action pass the protected lists on one target, once"),
		func(ctx context.Context, in *overrideInput) (*Body[Override], error) {
			b := &in.Body
			return body(a.Overrides.Override(ctx, in.caller, Override{Action: b.Action, Target: b.Target, Reason: b.Reason, Until: b.Until}))
		})
}
