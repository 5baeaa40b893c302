package httpapi

import (
	"context"
	"encoding/json"
	"time"

	"riposte/internal/auth"
)

// Alerts are what sources report.
type Alerts interface {
	// Alerts lists alerts, the newest first.
	Alerts(ctx context.Context, who auth.Caller, f AlertFilter, p Page) (Found[Alert], error)
	// Alert reads one, with everything: fault.NotFound.
	Alert(ctx context.Context, who auth.Caller, id int64) (Alert, error)
}

// AlertFilter narrows a list of alerts. Zero values do not.
type AlertFilter struct {
	Status      string
	Source      string
	MinSeverity int
	Text        string
	Observable  string
	Case        int64
	Into        int64
	Unread      bool // only events that could not be read
	Band        string
	Ready       *bool // nil: all
	ByScore     bool  // the highest score first
}

// Severity is a severity's word.
type Severity string

// severities is the order of the words, the index being the number.
var severities = [...]Severity{"", "informational", "low", "medium", "high", "critical"}

// SeverityOf gives the word of a severity, "" for unknown.
func SeverityOf(n int) Severity {
	if n < 0 || n >= len(severities) {
		return ""
	}
	return severities[n]
}

// Number is the severity's number, 1 to 5; 0 is unknown.
func (s Severity) Number() int {
	for i, w := range severities {
		if w == s {
			return i
		}
	}
	return 0
}

// Alert is an alert as clients see it. Lists leave out fields, raw and history.
type Alert struct {
	ID          string          `json:"id" example:"A-5521"`
	Source      string          `json:"source" doc:"The configured source that it came by."`
	Title       string          `json:"title"`
	Description string          `json:"description,omitempty"`
	Severity    Severity        `json:"severity,omitempty" enum:"informational,low,medium,high,critical" doc:"Absent when unknown."`
	Category    string          `json:"category,omitempty"`
	Status      string          `json:"status" enum:"new,folded,in_case,closed,dropped"`
	Case        string          `json:"case,omitempty" example:"C-1042"`
	Count       int             `json:"count" doc:"How often the same event was reported."`
	Time        time.Time       `json:"time" doc:"When it happened, as the source says."`
	Received    time.Time       `json:"received" doc:"When it came here first."`
	LastSeen    time.Time       `json:"last_seen,omitzero"`
	Observables []Observable    `json:"observables,omitempty"`
	Entities    []Entity        `json:"entities,omitempty"`
	Techniques  []string        `json:"techniques,omitempty" doc:"MITRE ATT&CK IDs."`
	Link        string          `json:"link,omitempty" doc:"The alert in its own product."`
	Mapping     string          `json:"mapping,omitempty" doc:"What read it."`
	Error       string          `json:"error,omitempty" doc:"Why no mapping could read it."`
	Fields      map[string]any  `json:"fields,omitempty" doc:"What the source said beyond the fields above."`
	Raw         json.RawMessage `json:"raw,omitempty" doc:"As it came."`
	Runs        []string        `json:"runs,omitempty" doc:"Runs that it started."`
	Score       *int            `json:"score,omitempty" minimum:"0" maximum:"100" doc:"How much it deserves attention."`
	Band        string          `json:"band,omitempty" enum:"false_positive,analyst,automatic" doc:"What the score means: most likely nothing, for a person, sure enough for a playbook."`
	Reasons     []ScoreReason   `json:"reasons,omitempty" doc:"The parts of the score; their points add up to it."`
	Waiting     bool            `json:"waiting,omitempty" doc:"It waits for what is looked up for it; lists show it when that is done or its deadline has passed."`
	Ready       time.Time       `json:"ready,omitzero" doc:"When people could see it."`
	Failed      []string        `json:"failed,omitempty" doc:"Sources that were asked about it and did not answer, and why."`
	Closing     *AlertClosing   `json:"closing,omitempty" doc:"The closing rule that closed it or drew it for its sample; told once it is closed."`
	Tags        []string        `json:"tags,omitempty"`
	Rule        string          `json:"rule,omitempty" doc:"The triage rule that decided, absent where a person or a playbook did."`
	Rules       int             `json:"rules,omitempty" doc:"The rule set that it is of: GET /api/triage/rules/NUMBER."`
	Outcome     string          `json:"outcome,omitempty" doc:"What happened to it, in one sentence."`
	Into        string          `json:"into,omitempty" example:"A-5520" doc:"The alert that it is folded into, or the case that it is in."`
	Folded      int             `json:"folded,omitempty" doc:"How many alerts are folded into it: GET /api/alerts?into=ID lists them."`
	Verdict     string          `json:"verdict,omitempty" enum:"true_positive,benign_positive,false_positive,undetermined" doc:"Of whoever closed it."`
	Given       *GivenAlert     `json:"given,omitempty" doc:"What the source said where a triage rule says otherwise."`
	History     []AlertEvent    `json:"history,omitempty" doc:"How it came to stand as it does."`
	Problems    []string        `json:"problems,omitempty" doc:"Triage rules that could not be worked out for it."`
}

// GivenAlert is what a source said.
type GivenAlert struct {
	Severity Severity `json:"severity,omitempty" enum:"informational,low,medium,high,critical"`
	Category string   `json:"category,omitempty"`
	Tags     []string `json:"tags,omitempty"`
}

// ScoreReason is one part of a score.
type ScoreReason struct {
	Factor string `json:"factor" example:"critical-asset"`
	Points int    `json:"points"`
	Why    string `json:"why"`
}

// AlertClosing says what a closing rule did with an alert.
type AlertClosing struct {
	Rule    string `json:"rule" example:"proven-noise"`
	Sampled bool   `json:"sampled" doc:"It was left to a person, to find out whether the rule is right."`
}

// Observable is a value seen.
type Observable struct {
	Type    string `json:"type" example:"ip"`
	Value   string `json:"value" example:"198.51.100.23"`
	Role    string `json:"role,omitempty"`
	Verdict string `json:"verdict,omitempty"`
}

// Entity is whom an alert is about.
type Entity struct {
	Kind  string `json:"kind" example:"host"`
	Value string `json:"value"`
	Role  string `json:"role,omitempty"`
}

type listAlertsInput struct {
	Who
	Paged
	Status      string   `query:"status" enum:"new,folded,in_case,closed,dropped"`
	Source      string   `query:"source" maxLength:"64"`
	MinSeverity Severity `query:"min_severity" enum:"informational,low,medium,high,critical"`
	Text        string   `query:"q" maxLength:"200" doc:"Words, anywhere in the alert, in any order: a word may be the beginning of a longer one, words in quotes stand one after the other."`
	Observable  string   `query:"observable" maxLength:"2048" doc:"A value seen in the alert."`
	Case        string   `query:"case" maxLength:"32"`
	Into        string   `query:"into" maxLength:"32" doc:"Only those that are folded into this alert."`
	Unread      bool     `query:"unread" doc:"Only events that no mapping could read. Each has its error."`
	Band        string   `query:"band" enum:"false_positive,analyst,automatic"`
	Sort        string   `query:"sort" enum:"received,score" doc:"score: those that are new, the highest score first. Without it, those received last first."`
	Ready       string   `query:"ready" enum:"true,false,any" doc:"false: those that wait for what is looked up for them. Without it those that do not, except with q, observable or case."`
}

// ready says which alerts a list shows: without a word those that are ready,
// unless something is looked for.
func (in *listAlertsInput) ready() *bool {
	yes := in.Ready == "true"
	switch {
	case in.Ready == "any", in.Ready == "" && (in.Text != "" || in.Observable != "" || in.Case != "" || in.Into != ""):
		return nil
	case in.Ready == "":
		yes = true
	}
	return &yes
}

type recordInput struct {
	Who
	Record
}

func (a *api) alertRoutes() {
	add(a, auth.AlertsRead, op("alerts", get, "/api/alerts", "list-alerts", "List alerts, the newest first"),
		func(ctx context.Context, in *listAlertsInput) (*Listed[Alert], error) {
			c, err := reference(caseCode, "case", in.Case)
			if err != nil {
				return nil, err
			}
			into, err := reference(alertCode, "into", in.Into)
			if err != nil {
				return nil, err
			}
			return listed(a.Alerts.Alerts(ctx, in.caller, AlertFilter{
				Status: in.Status, Source: in.Source, MinSeverity: in.MinSeverity.Number(), Text: in.Text, Observable: in.Observable, Case: c, Into: into, Unread: in.Unread,
				Band: in.Band, Ready: in.ready(), ByScore: in.Sort == "score",
			}, in.page()))
		})
	add(a, auth.AlertsRead, op("alerts", get, "/api/alerts/{id}", "get-alert", "Read an alert with everything that came"),
		func(ctx context.Context, in *recordInput) (*Body[Alert], error) {
			n, err := in.number(alertCode, "alert")
			if err != nil {
				return nil, err
			}
			return body(a.Alerts.Alert(ctx, in.caller, n))
		})
}
