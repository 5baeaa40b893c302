// Package cases holds what a case is and how it changes. A change is a value;
// Apply works out what it does to a case and what its timeline says of it. The
// package is pure: the time and who acts are given, and what a change touches
// beside the case itself is handed in.
package cases

import (
	"encoding/json"
	"time"

	"riposte/internal/alert"
	"riposte/internal/id"
)

// ID names a case. Its text form is C-417.
type ID int64

func (i ID) String() string { return id.Format("C", int64(i)) }

// MarshalText writes the text form, "" for zero.
func (i ID) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads the text form; fault.Invalid otherwise.
func (i *ID) UnmarshalText(b []byte) error {
	n, err := id.Parse("C", string(b))
	*i = ID(n)
	return err
}

// Status is where a case stands.
type Status string

// The statuses.
const (
	IsOpen   Status = "open"
	IsClosed Status = "closed"
)

// Verdict is what a case turned out to be.
type Verdict string

// The verdicts.
const (
	TruePositive   Verdict = "true_positive"
	BenignPositive Verdict = "benign_positive" // really happened, and was allowed
	FalsePositive  Verdict = "false_positive"
	Undetermined   Verdict = "undetermined"
)

// Verdicts lists them all.
var Verdicts = []Verdict{TruePositive, BenignPositive, FalsePositive, Undetermined}

// TLPs and PAPs list the markings, the most open first.
var (
	TLPs = []string{"clear", "green", "amber", "amber+strict", "red"}
	PAPs = []string{"clear", "green", "amber", "red"}
)

// Case is the head of a case. Its parts (tasks, notes, observables, evidence,
// alerts, timeline) are records of their own; the head counts them.
type Case struct {
	ID          ID                         `json:"id"`
	Tenant      string                     `json:"tenant,omitempty"`
	Title       string                     `json:"title"`
	Description string                     `json:"description,omitempty"`
	Summary     string                     `json:"summary,omitempty"` // what came out of it, for the report
	Category    string                     `json:"category,omitempty"`
	Severity    int                        `json:"severity"` // 1 informational to 5 critical
	Status      Status                     `json:"status"`
	Verdict     Verdict                    `json:"verdict,omitempty"` // "": not judged yet
	Reason      string                     `json:"reason,omitempty"`  // why it was closed so
	Owner       string                     `json:"owner,omitempty"`   // the user who works on it, "" for nobody
	TLP         string                     `json:"tlp,omitempty"`
	PAP         string                     `json:"pap,omitempty"`
	Tags        []string                   `json:"tags,omitempty"`  // sorted
	Group       string                     `json:"group,omitempty"` // alerts with this group key belong here while it is open
	Fields      map[string]json.RawMessage `json:"fields,omitempty"`
	Opened      time.Time                  `json:"opened"`
	Updated     time.Time                  `json:"updated"`
	Closed      time.Time                  `json:"closed,omitzero"`
	Version     int                        `json:"version"` // grows with each change: the ETag
	Counts
}

// Counts tells how many parts a case has. The numbers of tasks, notes, evidence
// and timeline entries are given in order, so the counts also say which is next.
type Counts struct {
	Alerts      int `json:"alert_count"`
	Observables int `json:"observable_count"`
	Tasks       int `json:"task_count"`
	OpenTasks   int `json:"open_tasks"`
	Notes       int `json:"note_count"`
	Evidence    int `json:"evidence_count"`
	Entries     int `json:"entry_count"`
}

// Task is something that a person has to do.
type Task struct {
	N        int       `json:"n"` // its number in the case, from 1
	Title    string    `json:"title"`
	Text     string    `json:"text,omitempty"`
	Assignee string    `json:"assignee,omitempty"` // a user, group:…, role:… or on-call:…
	Due      time.Time `json:"due,omitzero"`
	Done     time.Time `json:"done,omitzero"` // zero: open
	DoneBy   string    `json:"done_by,omitempty"`
	Evidence []string  `json:"evidence,omitempty"` // references to files
	Created  time.Time `json:"created"`
	By       By        `json:"by"`
	Key      string    `json:"-"` // the call that made it, so that it makes it once
}

// Note is text that somebody wrote, in Markdown.
type Note struct {
	N       int       `json:"n"`
	Text    string    `json:"text"`
	Created time.Time `json:"created"`
	Edited  time.Time `json:"edited,omitzero"`
	By      By        `json:"by"`
	Key     string    `json:"-"`
}

// Observable is a value that plays a role in the case.
type Observable struct {
	Type    string    `json:"type"`
	Value   string    `json:"value"`
	Role    string    `json:"role,omitempty"`
	Verdict string    `json:"verdict,omitempty"` // malicious, suspicious, harmless, unknown
	Score   int       `json:"score,omitempty"`   // 0 to 100, of those who judged it
	Note    string    `json:"note,omitempty"`
	Added   time.Time `json:"added"`
	Updated time.Time `json:"updated"`
}

// ObservableVerdicts lists what an observable may be judged to be.
var ObservableVerdicts = []string{"malicious", "suspicious", "harmless", "unknown"}

// Evidence is a file or a link that is kept with the case.
type Evidence struct {
	N         int       `json:"n"`
	Title     string    `json:"title"`
	Hash      string    `json:"hash,omitempty"` // of the content in the blob store
	SizeBytes int64     `json:"size_bytes,omitempty"`
	MediaType string    `json:"media_type,omitempty"`
	Link      string    `json:"link,omitempty"` // where it is, if not in the blob store
	Added     time.Time `json:"added"`
	By        By        `json:"by"`
}

// AlertLink is an alert that belongs to the case.
type AlertLink struct {
	Alert alert.ID  `json:"alert"`
	Added time.Time `json:"added"`
}

// View is a case with its parts, as a playbook sees it.
type View struct {
	Case
	Alerts      []alert.ID   `json:"alerts,omitempty"`
	Observables []Observable `json:"observables,omitempty"`
	Tasks       []Task       `json:"tasks,omitempty"`
	Notes       []Note       `json:"notes,omitempty"`
}
