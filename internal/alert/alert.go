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
	InCase  Status = "in_case" // it belongs to a case
	Closed  Status = "closed"  // decided without a case
	Dropped Status = "dropped" // a rule or a person said that it is noise; kept all the same
)

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
