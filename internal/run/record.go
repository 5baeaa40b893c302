package run

import "time"

// Record is one row of the journal: one or more events of one run, encoded.
type Record struct {
	Seq    int64 // its place in the journal, given when it is written
	Tenant string
	Run    ID
	Prev   int64 // the record of the same run before it, 0 for the first
	Data   []byte
}

// Snapshot is the state of a run as it was after the record Seq, kept so that
// waking the run need not fold its history. It is a cache: a history says the
// same.
type Snapshot struct {
	Run    ID
	Tenant string
	Seq    int64
	Wake   time.Time // the next timer; zero: none
	Active bool      // something is under way: recovery loads it at once
	State  []byte
}

// Wake is a run that waits outside memory and when it wants to be woken.
type Wake struct {
	At  time.Time
	Run ID
}

// Mail is a message from one run to another that survives a crash: a child run
// has ended, or a parent wants its child cancelled. It is deleted in the
// transaction that stores the event it leads to.
type Mail struct {
	ID     int64 // given when it is written
	Tenant string
	To     ID
	Data   []byte
}

// Summary is what lists and searches show of a run. It is derived from the
// journal and follows it closely.
type Summary struct {
	Run      ID        `json:"id"`
	Tenant   string    `json:"tenant,omitempty"`
	Playbook string    `json:"playbook"`
	Version  int       `json:"version,omitempty"` // 0: a draft
	Plan     string    `json:"plan,omitempty"`
	Status   Status    `json:"status"`
	Waiting  string    `json:"waiting,omitempty"` // for what, while Status is waiting
	Paused   bool      `json:"paused,omitempty"`
	Case     int64     `json:"case,omitempty"`
	Alert    int64     `json:"alert,omitempty"`
	Parent   ID        `json:"parent,omitempty"`
	From     ID        `json:"from,omitempty"`   // the run that this one retries
	Undoes   int64     `json:"undoes,omitempty"` // the ledger entry that this run takes back
	By       string    `json:"by,omitempty"`
	Severity int       `json:"severity,omitempty"`
	Test     bool      `json:"test,omitempty"`
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended,omitzero"`
	Code     string    `json:"code,omitempty"` // of the run's error
	Message  string    `json:"message,omitempty"`
	Step     string    `json:"step,omitempty"` // where the error arose
	Last     int64     `json:"last"`           // Seq of the last record that this tells of
}

// Filter selects failed runs. Zero fields select everything.
type Filter struct {
	Tenant   string
	Playbook string
	Version  int
	Code     string // of the run's error
	Message  string // a part of the error's message
	Step     string // where the error arose
}
