package httpapi

import (
	"context"
	"time"

	"riposte/internal/auth"
)

// Closings are the rules that close alerts by themselves.
type Closings interface {
	// Closings lists the rules of the score file with what they did.
	Closings(ctx context.Context, who auth.Caller) ([]ClosingRule, error)
	// ClosedBy lists what a rule closed within its window, the last first:
	// fault.NotFound.
	ClosedBy(ctx context.Context, who auth.Caller, rule string, p Page) (Found[Alert], error)
	// StartClosing lets a rule work again that has stopped itself: fault.NotFound,
	// fault.Conflict where it works.
	StartClosing(ctx context.Context, who auth.Caller, rule, reason string) (ClosingRule, error)
}

// ClosingRule is a rule that closes alerts by itself, and what people say of its
// work. Figures are of its window, and of the time since it was last started.
type ClosingRule struct {
	Rule     string    `json:"rule" example:"proven-noise"`
	Reason   string    `json:"reason"`
	When     string    `json:"when" doc:"The condition."`
	Sample   string    `json:"sample" example:"10%" doc:"The share that goes to a person all the same."`
	Allowed  string    `json:"max_disagreement" example:"5%"`
	Least    int       `json:"least" doc:"The number of samples that the share of disagreement is taken of at least."`
	Window   int       `json:"window_seconds"`
	Started  time.Time `json:"started" doc:"Decisions of people before do not count."`
	By       string    `json:"by,omitempty" doc:"Who started it."`
	Stopped  time.Time `json:"stopped,omitzero" doc:"When it stopped itself; absent: it works."`
	Why      string    `json:"why,omitempty" doc:"Why it stopped itself."`
	Closed   int       `json:"closed" doc:"Alerts that it closed."`
	Sampled  int       `json:"sampled" doc:"Alerts that it left to a person."`
	Samples  int       `json:"samples" doc:"Of these, those that a person has decided about."`
	Waiting  int       `json:"waiting" doc:"Of these, those that nobody has decided about."`
	Disagree int       `json:"disagree" doc:"Samples that were true positives, and closed alerts that were opened again."`
}

type closingRules struct {
	Items []ClosingRule `json:"items" nullable:"false"`
}

type closingInput struct {
	Who
	Paged
	Rule string `path:"rule" maxLength:"64" example:"proven-noise"`
}

type startClosingInput struct {
	Who
	Rule string `path:"rule" maxLength:"64" example:"proven-noise"`
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"1000" doc:"Why it may work again; it stands in the audit log."`
	}
}

func (a *api) closingRoutes() {
	add(a, auth.AlertsRead, op("closing", get, "/api/closing", "list-closing-rules", "List the rules that close alerts by themselves"),
		func(ctx context.Context, in *struct{ Who }) (*Body[closingRules], error) {
			l, err := a.Closings.Closings(ctx, in.caller)
			return body(closingRules{orEmpty(l)}, err)
		})
	add(a, auth.AlertsRead, op("closing", get, "/api/closing/{rule}/alerts", "list-closed-by-rule", "List what a rule has closed, the last first"),
		func(ctx context.Context, in *closingInput) (*Listed[Alert], error) {
			return listed(a.Closings.ClosedBy(ctx, in.caller, in.Rule, in.page()))
		})
	add(a, auth.SwitchesOn, op("closing", post, "/api/closing/{rule}/start", "start-closing-rule", "Let a rule work again that has stopped itself"),
		func(ctx context.Context, in *startClosingInput) (*Body[ClosingRule], error) {
			return body(a.Closings.StartClosing(ctx, in.caller, in.Rule, in.Body.Reason))
		})
}
