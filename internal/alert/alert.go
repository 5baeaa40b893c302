// Package alert holds what an alert is: the record that every source ends in,
// its normal form, the key that tells two reports of the same event, and the
// states it goes through.
package alert

import (
	"encoding/json"
	"time"

	"riposte/internal/id"
)

// ID names an alert. Its text form is A-5521.
type ID int64

func (i ID) String() string { return id.Format("A", int64(i)) }

// MarshalText writes the text form, "" for zero.
func (i ID) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads the text form; fault.Invalid otherwise.
func (i *ID) UnmarshalText(b []byte) error {
	n, err := id.Parse("A", string(b))
	*i = ID(n)
	return err
}

// Status is where an alert stands.
type Status string

// The statuses.
const (
	New     Status = "new"     // nobody has decided yet
	Folded  Status = "folded"  // one more of an alert that is open: Into says which
	InCase  Status = "in_case" // it belongs to a case
	Closed  Status = "closed"  // decided without a case
	Dropped Status = "dropped" // a rule or a person said that it is noise; kept all the same
)

// Statuses lists them all.
var Statuses = []Status{New, Folded, InCase, Closed, Dropped}

// Band is one of three parts of the scores.
type Band string

// The bands. An alert that has no score yet has none.
const (
	FalsePositive Band = "false_positive" // most likely nothing
	ForAnalyst    Band = "analyst"        // a person decides
	Automatic     Band = "automatic"      // sure enough for a playbook to act
)

// Reason is one part of a score: how many points for what.
type Reason struct {
	Factor string `json:"factor"`
	Points int    `json:"points"`
	Why    string `json:"why"`
}

// Alert is what a source reported, in one form for all sources.
type Alert struct {
	ID          ID              `json:"id,omitzero"`
	Tenant      string          `json:"tenant,omitempty"` // "": the default tenant
	Source      string          `json:"source"`           // the configured source it came by
	IdentityKey string          `json:"identity_key"`     // unique in its source: the same event twice is one alert
	GroupKey    string          `json:"group_key,omitempty"`
	Title       string          `json:"title"`
	Description string          `json:"description,omitempty"`
	Severity    int             `json:"severity"` // 1 informational to 5 critical, 0 unknown
	Category    string          `json:"category,omitempty"`
	Status      Status          `json:"status"`
	Time        time.Time       `json:"time"`     // when it happened, as the source says
	Received    time.Time       `json:"received"` // when it came here first
	FirstSeen   time.Time       `json:"first_seen,omitzero"`
	LastSeen    time.Time       `json:"last_seen,omitzero"`
	Count       int             `json:"count,omitempty"` // how often it was reported, 1 or more once stored
	Entities    []Entity        `json:"entities,omitempty"`
	Observables []Observable    `json:"observables,omitempty"`
	Techniques  []string        `json:"techniques,omitempty"` // MITRE ATT&CK IDs
	Fields      map[string]any  `json:"fields,omitempty"`     // the normal form beyond the fields above
	Link        string          `json:"link,omitempty"`       // the alert in its own product
	Raw         json.RawMessage `json:"raw,omitempty"`        // as it came
	Mapping     string          `json:"mapping,omitempty"`    // the source mapping that read it, with its version
	MappingNo   int             `json:"mapping_version,omitempty"`
	Error       string          `json:"error,omitempty"` // why no mapping could read it; such an alert is kept and shown

	// How much it deserves attention. Without a band it has no score.
	Score   int       `json:"score,omitempty"` // 0 to 100
	Band    Band      `json:"band,omitempty"`
	Reasons []Reason  `json:"reasons,omitempty"` // their points add up to the score
	Waiting bool      `json:"waiting,omitempty"` // for what is looked up for it; people do not see it yet
	Ready   time.Time `json:"ready,omitzero"`    // when people could see it
	Failed  []string  `json:"failed,omitempty"`  // sources that were asked about it and did not answer, and why

	// What triage made of it. Rule and Outcome say why it stands as it does.
	Tags     []string `json:"tags,omitempty"`
	Rule     string   `json:"rule,omitempty"`     // the triage rule that decided, "" for a person or a playbook
	RulesNo  int      `json:"rules,omitempty"`    // the rule set that it is of
	Outcome  string   `json:"outcome,omitempty"`  // one sentence
	Into     ID       `json:"into,omitzero"`      // the alert that it is folded into
	Folded   int      `json:"folded,omitempty"`   // how many are folded into it
	Verdict  string   `json:"verdict,omitempty"`  // of whoever closed it; the words are those of cases
	Changes  int      `json:"changes,omitempty"`  // entries of its history beyond its coming
	Given    *Given   `json:"given,omitempty"`    // what rules have changed, as it came
	Problems []string `json:"problems,omitempty"` // rules that could not be worked out for it
}

// Given is what the source said where a triage rule says otherwise.
type Given struct {
	Severity int      `json:"severity"`
	Category string   `json:"category,omitempty"`
	Tags     []string `json:"tags,omitempty"`
}

// Event is one entry of an alert's history: how it stands from then on, since
// when, why, and who or what said so.
type Event struct {
	N       int       `json:"n"`
	At      time.Time `json:"at"`
	By      string    `json:"by"` // rule:NAME, person:NAME, playbook:SLUG or system:PART
	Status  Status    `json:"status"`
	Rule    string    `json:"rule,omitempty"`
	RulesNo int       `json:"rules,omitempty"`
	Outcome string    `json:"outcome"`
	Verdict string    `json:"verdict,omitempty"`
	Into    string    `json:"into,omitempty"` // A-… or C-…
}

// Entity is a user, host, process or mailbox that the alert is about.
type Entity struct {
	Kind  string `json:"kind"` // a connector.TargetKind
	Value string `json:"value"`
	Role  string `json:"role,omitempty"` // source, target, actor …
}

// Observable is a value seen in the alert.
type Observable struct {
	Type  string `json:"type"` // ip, domain, url, md5, sha256, email …
	Value string `json:"value"`
	Role  string `json:"role,omitempty"` // source, destination, sender …
}
