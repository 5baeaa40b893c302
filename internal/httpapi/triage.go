package httpapi

import (
	"context"
	"time"

	"riposte/internal/auth"
)

// Triage is what decides about alerts before playbooks look at them.
type Triage interface {
	// TriageRules gives the rules of a number, 0 for those in force: fault.NotFound.
	TriageRules(ctx context.Context, who auth.Caller, no int) (TriageRules, error)
	// ReloadTriage reads the rule file again: fault.Invalid where it is broken; the
	// rules of before stay in force then.
	ReloadTriage(ctx context.Context, who auth.Caller) (TriageRules, error)
	// CheckTriage says what is wrong with a rule file, and runs its tests.
	CheckTriage(ctx context.Context, who auth.Caller, file, text string) (TriageCheck, error)
	// PreviewTriage tells what rules would have done with the alerts received since
	// a time: fault.Invalid where they are broken.
	PreviewTriage(ctx context.Context, who auth.Caller, p TriagePreviewOf) (TriagePreview, error)
	// ExplainAlert tells which rules were asked about an alert: fault.NotFound.
	ExplainAlert(ctx context.Context, who auth.Caller, id int64) (TriageExplanation, error)
	// Storms lists storms, the newest first.
	Storms(ctx context.Context, who auth.Caller) ([]Storm, error)
}

// TriageRules is a rule set.
type TriageRules struct {
	Number   int       `json:"number" doc:"What alerts remember."`
	Name     string    `json:"name"`
	Version  int       `json:"version,omitempty"`
	Hash     string    `json:"hash" doc:"SHA-256 of the text."`
	Loaded   time.Time `json:"loaded" doc:"When it came into force first."`
	InForce  bool      `json:"in_force"`
	File     string    `json:"file,omitempty" doc:"Where the rules in force come from."`
	Broken   string    `json:"broken,omitempty" doc:"Why the file as it is now is not in force."`
	Warnings []string  `json:"warnings,omitempty"`
	Text     string    `json:"text"`
}

// TriageCheck is what a check of a rule file found.
type TriageCheck struct {
	Errors   []string `json:"errors" nullable:"false"`
	Warnings []string `json:"warnings" nullable:"false"`
	Tests    int      `json:"tests"`
	Failed   []string `json:"failed" nullable:"false" doc:"Tests of the file that fail."`
}

// TriagePreviewOf says what is to be tried out.
type TriagePreviewOf struct {
	File  string
	Text  string // "": the rules in force
	Since time.Time
	Until time.Time // zero: now
}

// TriagePreview is what rules would have done.
type TriagePreview struct {
	Since     time.Time        `json:"since"`
	Until     time.Time        `json:"until"`
	Alerts    int              `json:"alerts" doc:"How many were looked at."`
	Changed   int              `json:"changed" doc:"How many would have ended otherwise than they did."`
	Outcomes  []TriageOutcome  `json:"outcomes" nullable:"false" doc:"What happened, what would have happened, and how often."`
	Rules     []TriageRuleHits `json:"rules" nullable:"false"`
	Cases     []TriageCase     `json:"cases" nullable:"false" doc:"Cases that would have been opened, at most 100."`
	CaseCount int              `json:"case_count"`
	Starts    []TriageStarts   `json:"starts" nullable:"false" doc:"Playbooks that rules, routes and their own triggers would have started."`
	Storms    []TriageStorm    `json:"storms" nullable:"false"`
	Problems  []TriageProblem  `json:"problems" nullable:"false" doc:"Rules that could not be worked out."`
	Warnings  []string         `json:"warnings" nullable:"false"`
	Seconds   float64          `json:"seconds"`
}

// TriageOutcome is one change of what becomes of alerts.
type TriageOutcome struct {
	Was      string   `json:"was" example:"new by for-people"`
	Would    string   `json:"would" example:"folded by repeated"`
	Count    int      `json:"count"`
	Same     bool     `json:"same"`
	Examples []string `json:"examples" nullable:"false" doc:"Some of the alerts."`
}

// TriageRuleHits tells how often a rule decided.
type TriageRuleHits struct {
	Rule string `json:"rule"`
	Was  int    `json:"was"`
	Hits int    `json:"hits" doc:"How often it would have decided."`
}

// TriageCase is a case that would have been opened.
type TriageCase struct {
	Title    string   `json:"title"`
	Severity Severity `json:"severity,omitempty" enum:"informational,low,medium,high,critical"`
	Rule     string   `json:"rule"`
	Alerts   int      `json:"alerts"`
	First    string   `json:"first" doc:"The alert that would have opened it."`
}

// TriageStarts is how often a playbook would have started, and by what.
type TriageStarts struct {
	Playbook string `json:"playbook"`
	By       string `json:"by" example:"route:phishing"`
	Count    int    `json:"count"`
}

// TriageStorm is a storm that would have been told.
type TriageStorm struct {
	Subject string    `json:"subject"`
	Rule    string    `json:"rule"`
	Began   time.Time `json:"began"`
	Folded  int       `json:"folded"`
	Passed  int       `json:"passed"`
}

// TriageProblem is a rule that fails.
type TriageProblem struct {
	Problem string   `json:"problem"`
	Count   int      `json:"count"`
	Alerts  []string `json:"alerts" nullable:"false"`
}

// TriageExplanation tells why an alert ended as it did when it came.
type TriageExplanation struct {
	Alert   string       `json:"alert"`
	Outcome string       `json:"outcome" doc:"What happened when it came."`
	Rule    string       `json:"rule,omitempty"`
	Why     string       `json:"why,omitempty" doc:"What the rule says of itself."`
	Rules   int          `json:"rules,omitempty" doc:"The rule set that decided."`
	Version string       `json:"version,omitempty" doc:"Its name and version."`
	Asked   []TriageAsk  `json:"asked" nullable:"false" doc:"The rules, in the order of asking."`
	Starts  []string     `json:"starts" nullable:"false" doc:"Playbooks that rules and routes named."`
	Changes []string     `json:"changes" nullable:"false" doc:"What rules have changed."`
	History []AlertEvent `json:"history" nullable:"false"`
	Note    string       `json:"note,omitempty"`
}

// TriageAsk is one rule that was asked.
type TriageAsk struct {
	Rule  string `json:"rule"`
	Held  bool   `json:"held"`
	What  string `json:"what" doc:"What came of it."`
	Error string `json:"error,omitempty"`
}

// Storm is more alerts of one kind than anybody can look at.
type Storm struct {
	Subject string    `json:"subject" example:"source eve"`
	Rule    string    `json:"rule"`
	Case    string    `json:"case" example:"C-1042"`
	Alert   string    `json:"alert" example:"A-5521" doc:"The alert that the others are folded into."`
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended,omitzero" doc:"Absent while it goes on."`
	Folded  int       `json:"folded"`
}

type stormList struct {
	Storms []Storm `json:"storms" nullable:"false"`
}

type triageTextInput struct {
	Who
	Body struct {
		File string `json:"file,omitempty" maxLength:"200" doc:"What to call it in errors."`
		Text string `json:"text" maxLength:"1000000"`
	}
}

type triagePreviewInput struct {
	Who
	Body struct {
		File  string    `json:"file,omitempty" maxLength:"200" doc:"What to call it in errors."`
		Text  string    `json:"text,omitempty" maxLength:"1000000" doc:"A rule file; without it the rules in force."`
		Since time.Time `json:"since" doc:"Alerts received from then on."`
		Until time.Time `json:"until,omitempty" doc:"And before; default: now."`
	}
}

type triageNumberInput struct {
	Who
	Number int `path:"number" minimum:"1"`
}

func (a *api) triageRoutes() {
	add(a, auth.AlertsRead, op("triage", get, "/api/triage/rules", "get-triage-rules", "Read the triage rules in force"),
		func(ctx context.Context, in *whoInput) (*Body[TriageRules], error) {
			return body(a.Triage.TriageRules(ctx, in.caller, 0))
		})
	add(a, auth.AlertsRead, op("triage", get, "/api/triage/rules/{number}", "get-triage-rule-set", "Read triage rules that an alert remembers"),
		func(ctx context.Context, in *triageNumberInput) (*Body[TriageRules], error) {
			return body(a.Triage.TriageRules(ctx, in.caller, in.Number))
		})
	add(a, auth.PlaybooksWrite, op("triage", post, "/api/triage/reload", "reload-triage-rules", "Read the triage rules again"),
		func(ctx context.Context, in *whoInput) (*Body[TriageRules], error) {
			return body(a.Triage.ReloadTriage(ctx, in.caller))
		})
	add(a, auth.AlertsRead, op("triage", post, "/api/triage/check", "check-triage-rules", "Check a triage rule file and run its tests"),
		func(ctx context.Context, in *triageTextInput) (*Body[TriageCheck], error) {
			return body(a.Triage.CheckTriage(ctx, in.caller, in.Body.File, in.Body.Text))
		})
	add(a, auth.AlertsRead, describing("Reads stored alerts in the order in which they came, and changes nothing. Nobody closes anything in a preview: "+
		"an alert that others are folded into stays open for as long as its rule says.",
		op("triage", post, "/api/triage/preview", "preview-triage-rules", "Tell what triage rules would have done with stored alerts")),
		func(ctx context.Context, in *triagePreviewInput) (*Body[TriagePreview], error) {
			return body(a.Triage.PreviewTriage(ctx, in.caller, TriagePreviewOf{
				File: in.Body.File, Text: in.Body.Text, Since: in.Body.Since, Until: in.Body.Until,
			}))
		})
	add(a, auth.AlertsRead, op("triage", get, "/api/alerts/{id}/triage", "explain-alert", "Tell which triage rules were asked about an alert, and what came of each"),
		func(ctx context.Context, in *recordInput) (*Body[TriageExplanation], error) {
			n, err := in.number(alertCode, "alert")
			if err != nil {
				return nil, err
			}
			return body(a.Triage.ExplainAlert(ctx, in.caller, n))
		})
	add(a, auth.AlertsRead, op("triage", get, "/api/triage/storms", "list-storms", "List storms, the newest first"),
		func(ctx context.Context, in *whoInput) (*Body[stormList], error) {
			l, err := a.Triage.Storms(ctx, in.caller)
			return body(stormList{orEmpty(l)}, err)
		})
}
