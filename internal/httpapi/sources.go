package httpapi

import (
	"context"
	"time"

	"riposte/internal/auth"
)

// Sources are where alerts come from.
type Sources interface {
	// Sources tells how every configured source does, by name.
	Sources(ctx context.Context, who auth.Caller) (Intake, error)
	// Source tells how one does, with what came in the last minutes and hours:
	// fault.NotFound.
	Source(ctx context.Context, who auth.Caller, name string, minutes, hours int) (SourceDetail, error)
}

// Intake is how all sources do, and what waits.
type Intake struct {
	Sources []SourceStatus `json:"sources" nullable:"false"`
	Waiting SourceQueue    `json:"waiting" doc:"Of all sources together."`
	Oldest  float64        `json:"oldest_waiting_seconds" doc:"How long the alert has waited that waits longest for what comes next; 0: none waits."`
	For     string         `json:"waiting_for,omitempty" doc:"What it waits for."`
}

// SourceStatus is how a source does.
type SourceStatus struct {
	Name     string        `json:"name" example:"sensor-north"`
	Type     string        `json:"type" example:"webhook"`
	Mapping  string        `json:"mapping,omitempty"`
	State    string        `json:"state" enum:"working,silent,flooding,down" doc:"What is worst of it now."`
	Problem  string        `json:"problem,omitempty" doc:"Why it is not working."`
	Since    time.Time     `json:"since,omitzero" doc:"Since when."`
	Last     time.Time     `json:"last_event,omitzero" doc:"When something came last; absent: nothing ever did."`
	Rate     float64       `json:"per_minute" doc:"Events a minute, over the last five."`
	Usual    *float64      `json:"usual_per_minute,omitempty" doc:"What is usual at this hour of the week; absent: it is not known yet."`
	Today    SourceCounted `json:"today" doc:"Since midnight, UTC."`
	Waiting  SourceQueue   `json:"waiting"`
	Behind   *SourceBehind `json:"behind,omitempty" doc:"What the source holds and Riposte has not read; absent where nobody knows."`
	Cursor   time.Time     `json:"cursor_moved,omitzero" doc:"When the place to go on from was kept last; absent for sources that have none."`
	Expected string        `json:"expected,omitempty" doc:"What the configuration says must come."`
}

// SourceQueue is what has come and is not stored yet.
type SourceQueue struct {
	Events int     `json:"events"`
	Bytes  int64   `json:"bytes"`
	Oldest float64 `json:"oldest_seconds"`
}

// SourceBehind is how much is still to be read.
type SourceBehind struct {
	Amount int64  `json:"amount"`
	Unit   string `json:"unit" example:"bytes"`
}

// SourceCounted is what came: each event received is one of the next four.
type SourceCounted struct {
	Received   int   `json:"received"`
	Accepted   int   `json:"accepted" doc:"New alerts."`
	Duplicates int   `json:"duplicates" doc:"Alerts that were there already."`
	Skipped    int   `json:"skipped" doc:"Events that are no alerts."`
	Unread     int   `json:"unread" doc:"Events that could not be read; each is kept with its error."`
	Refused    int   `json:"refused" doc:"Turned away because too much waited, or lost; not among those received."`
	Bytes      int64 `json:"bytes"`
}

// SourceSpan is what came in a minute or an hour.
type SourceSpan struct {
	At time.Time `json:"at"`
	SourceCounted
}

// SourceCheck holds what a source says it sent against what came.
type SourceCheck struct {
	From    time.Time `json:"from"`
	Until   time.Time `json:"until"`
	Sent    int       `json:"sent" doc:"As the source says."`
	Came    int       `json:"came"`
	Missing int       `json:"missing" doc:"How many of those that were sent did not come; 0 where as many came, or more."`
	Checked time.Time `json:"checked"`
	By      string    `json:"by,omitempty" doc:"Who reported it; absent: the source was asked."`
}

// SourceDetail is a source with its history.
type SourceDetail struct {
	SourceStatus
	Minutes []SourceSpan  `json:"minutes" nullable:"false" doc:"The last minutes in which anything came, the oldest first."`
	Hours   []SourceSpan  `json:"hours" nullable:"false" doc:"The last hours in which anything could have come, the oldest first."`
	Checks  []SourceCheck `json:"checks" nullable:"false" doc:"The last checks against what the source says it sent, the newest first."`
}

type sourceInput struct {
	Who
	Name    string `path:"name" maxLength:"64" example:"sensor-north"`
	Minutes int    `query:"minutes" minimum:"0" maximum:"1440" default:"60" doc:"How many of the last minutes."`
	Hours   int    `query:"hours" minimum:"0" maximum:"2160" default:"48" doc:"How many of the last hours."`
}

func (a *api) sourceRoutes() {
	add(a, auth.SourcesRead, op("sources", get, "/api/sources", "list-sources", "Tell how every source does, and what waits"),
		func(ctx context.Context, in *whoInput) (*Body[Intake], error) {
			l, err := a.Sources.Sources(ctx, in.caller)
			l.Sources = orEmpty(l.Sources)
			return body(l, err)
		})
	add(a, auth.SourcesRead, op("sources", get, "/api/sources/{name}", "get-source", "Tell how a source does, with what came minute by minute and hour by hour"),
		func(ctx context.Context, in *sourceInput) (*Body[SourceDetail], error) {
			d, err := a.Sources.Source(ctx, in.caller, in.Name, in.Minutes, in.Hours)
			d.Minutes, d.Hours, d.Checks = orEmpty(d.Minutes), orEmpty(d.Hours), orEmpty(d.Checks)
			return body(d, err)
		})
}
