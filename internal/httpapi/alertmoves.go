package httpapi

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"riposte/internal/auth"
)

// AlertMoves are what people do to alerts.
type AlertMoves interface {
	// MoveAlert does something to an alert and gives it as it stands then:
	// fault.NotFound, or fault.Conflict where it stands in a way that this does not
	// fit.
	MoveAlert(ctx context.Context, who auth.Caller, id int64, m AlertMove) (Alert, error)
	// AlertHistory tells how an alert came to stand as it does, the oldest first.
	AlertHistory(ctx context.Context, who auth.Caller, id int64) ([]AlertEvent, error)
}

// AlertMove is what a person does to an alert.
type AlertMove struct {
	Verb    string // close, reopen, drop, attach, detach, fold, unfold
	Verdict string
	Reason  string
	Case    int64 // of attach: 0 opens one; of detach: 0 is the one that it is in
	Into    int64 // of fold
}

// AlertEvent is one entry of an alert's history.
type AlertEvent struct {
	Time    time.Time `json:"time"`
	By      string    `json:"by" example:"rule:repeated" doc:"rule:NAME, person:NAME, playbook:SLUG or system:PART."`
	Status  string    `json:"status" enum:"new,folded,in_case,closed,dropped" doc:"How it stands from then on."`
	Outcome string    `json:"outcome" doc:"What happened, in one sentence."`
	Rule    string    `json:"rule,omitempty" doc:"The triage rule that decided."`
	Rules   int       `json:"rules,omitempty" doc:"The rule set that it is of: GET /api/triage/rules/NUMBER."`
	Verdict string    `json:"verdict,omitempty"`
	Into    string    `json:"into,omitempty" example:"A-5520" doc:"The alert or case that it is in."`
}

type alertHistory struct {
	Events []AlertEvent `json:"events" nullable:"false"`
}

// withReason is why something is done.
type withReason struct {
	Reason string `json:"reason,omitempty" maxLength:"1000" doc:"Why; it stands in the alert's history."`
}

type closeAlertInput struct {
	Who
	Record
	Body struct {
		Reason  string `json:"reason,omitempty" maxLength:"1000" doc:"Why; it stands in the alert's history."`
		Verdict string `json:"verdict" enum:"true_positive,benign_positive,false_positive,undetermined"`
	}
}

type moveAlertInput struct {
	Who
	Record
	Body withReason
}

type attachAlertInput struct {
	Who
	Record
	Body struct {
		Reason string `json:"reason,omitempty" maxLength:"1000" doc:"Why; it stands in the alert's history."`
		Case   string `json:"case,omitempty" maxLength:"32" example:"C-1042" doc:"Without it a case is opened."`
	}
}

type detachAlertInput struct {
	Who
	Record
	Body struct {
		Reason string `json:"reason,omitempty" maxLength:"1000" doc:"Why; it stands in the alert's history."`
		Case   string `json:"case,omitempty" maxLength:"32" example:"C-1042" doc:"Without it the one that it is in."`
	}
}

type foldAlertInput struct {
	Who
	Record
	Body struct {
		Reason string `json:"reason,omitempty" maxLength:"1000" doc:"Why; it stands in the alert's history."`
		Into   string `json:"into" minLength:"1" maxLength:"32" example:"A-5520" doc:"The open alert."`
	}
}

func (a *api) alertMoveRoutes() {
	move := func(ctx context.Context, who Who, rec Record, m AlertMove) (*Body[Alert], error) {
		n, err := rec.number(alertCode, "alert")
		if err != nil {
			return nil, err
		}
		return body(a.AlertMoves.MoveAlert(ctx, who.caller, n, m))
	}
	at := func(verb, id, summary string) huma.Operation {
		return op("alerts", post, "/api/alerts/{id}/"+verb, id, summary)
	}
	add(a, auth.AlertsWrite, at("close", "close-alert", "Close an alert with a verdict"),
		func(ctx context.Context, in *closeAlertInput) (*Body[Alert], error) {
			return move(ctx, in.Who, in.Record, AlertMove{Verb: "close", Verdict: in.Body.Verdict, Reason: in.Body.Reason})
		})
	for verb, summary := range map[string]string{
		"reopen": "Open an alert again that was closed or dropped",
		"drop":   "Drop an alert: it is noise, and kept all the same",
		"unfold": "Take an alert out of the one that it is folded into",
	} {
		add(a, auth.AlertsWrite, at(verb, verb+"-alert", summary), func(ctx context.Context, in *moveAlertInput) (*Body[Alert], error) {
			return move(ctx, in.Who, in.Record, AlertMove{Verb: verb, Reason: in.Body.Reason})
		})
	}
	add(a, auth.AlertsWrite, at("attach", "attach-alert", "Put an alert into a case, or open one for it"),
		func(ctx context.Context, in *attachAlertInput) (*Body[Alert], error) {
			c, err := bodyReference(caseCode, "/case", in.Body.Case)
			if err != nil {
				return nil, err
			}
			return move(ctx, in.Who, in.Record, AlertMove{Verb: "attach", Case: c, Reason: in.Body.Reason})
		})
	add(a, auth.AlertsWrite, at("detach", "detach-alert", "Take an alert out of its case"),
		func(ctx context.Context, in *detachAlertInput) (*Body[Alert], error) {
			c, err := bodyReference(caseCode, "/case", in.Body.Case)
			if err != nil {
				return nil, err
			}
			return move(ctx, in.Who, in.Record, AlertMove{Verb: "detach", Case: c, Reason: in.Body.Reason})
		})
	add(a, auth.AlertsWrite, at("fold", "fold-alert", "Fold an alert into one that is open"),
		func(ctx context.Context, in *foldAlertInput) (*Body[Alert], error) {
			into, err := bodyReference(alertCode, "/into", in.Body.Into)
			if err != nil {
				return nil, err
			}
			return move(ctx, in.Who, in.Record, AlertMove{Verb: "fold", Into: into, Reason: in.Body.Reason})
		})
	add(a, auth.AlertsRead, op("alerts", get, "/api/alerts/{id}/history", "get-alert-history", "Tell how an alert came to stand as it does"),
		func(ctx context.Context, in *recordInput) (*Body[alertHistory], error) {
			n, err := in.number(alertCode, "alert")
			if err != nil {
				return nil, err
			}
			l, err := a.AlertMoves.AlertHistory(ctx, in.caller, n)
			return body(alertHistory{orEmpty(l)}, err)
		})
}
