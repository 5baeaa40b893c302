package httpapi

import (
	"context"

	"riposte/internal/auth"
)

// Unread are events that no mapping could read: each is kept as an alert with
// its error, and can be read again when its mapping was put right.
type Unread interface {
	// ReadAgain reads one with the mapping that its source has now: fault.NotFound,
	// fault.Conflict where it was read before, or where only a part of it was kept.
	ReadAgain(ctx context.Context, who auth.Caller, id int64) (ReadAgain, error)
	// ReadAllAgain reads those of a source, the newest first, at most limit of them:
	// fault.NotFound where there is no such source.
	ReadAllAgain(ctx context.Context, who auth.Caller, source string, limit int, cursor string) (ReadAllAgain, error)
}

// ReadAgain is what came of an event that was read again.
type ReadAgain struct {
	ID      string `json:"id" example:"A-5521" doc:"The event, as it was kept."`
	Outcome string `json:"outcome" enum:"read,no_alert,unread" doc:"read: it has become an alert. no_alert: its mapping says that it is none. unread: it still cannot be read."`
	Alert   string `json:"alert,omitempty" example:"A-5530" doc:"The alert that it has become."`
	Error   string `json:"error,omitempty" doc:"Why it still cannot be read."`
}

// ReadAllAgain is what came of many.
type ReadAllAgain struct {
	Read    int         `json:"read" doc:"They have become alerts."`
	NoAlert int         `json:"no_alert" doc:"Their mapping says that they are none."`
	Unread  int         `json:"unread" doc:"They still cannot be read."`
	Errors  []ReadAgain `json:"errors,omitempty" doc:"The first of those."`
	Next    string      `json:"next_cursor,omitempty" doc:"Where to go on; absent: that was all."`
}

type readAgainInput struct {
	Who
	Record
}

type readAllAgainInput struct {
	Who
	Body struct {
		Source string `json:"source" minLength:"1" maxLength:"64" example:"sensor-north"`
		Limit  int    `json:"limit,omitempty" minimum:"1" maximum:"500" default:"200" doc:"How many at most, this time."`
		Cursor string `json:"cursor,omitempty" maxLength:"4096" doc:"next_cursor of the answer before."`
	}
}

func (a *api) unreadRoutes() {
	add(a, auth.AlertsWrite, describing("The event becomes an alert and goes through triage as if it came now; what was kept of it says so.",
		op("alerts", post, "/api/alerts/{id}/read-again", "read-alert-again", "Read an event again that could not be read")),
		func(ctx context.Context, in *readAgainInput) (*Body[ReadAgain], error) {
			n, err := in.number(alertCode, "alert")
			if err != nil {
				return nil, err
			}
			return body(a.Unread.ReadAgain(ctx, in.caller, n))
		})
	add(a, auth.AlertsWrite, op("alerts", post, "/api/alerts/read-again", "read-alerts-again", "Read the events of a source again that could not be read"),
		func(ctx context.Context, in *readAllAgainInput) (*Body[ReadAllAgain], error) {
			return body(a.Unread.ReadAllAgain(ctx, in.caller, in.Body.Source, in.Body.Limit, in.Body.Cursor))
		})
}
