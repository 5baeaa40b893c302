package cases

import (
	"encoding/json"
	"time"

	"riposte/internal/alert"
)

// Change is something that is to be done to a case: one of Open, Set, Close,
// Reopen, AddNote, EditNote, AddTask, SetTask, AddAlert, RemoveAlert,
// AddObservable, AddEvidence and Record.
type Change interface {
	// Part names what the change touches beside the head of the case.
	Part() Part
	apply(a *applier) error
}

// Part names one part of a case. The zero value is none.
type Part struct {
	Task  int // its number
	Note  int
	Key   string   // of a task (ForTask) or note, "" if the call has none
	Alert alert.ID // the link to it
	Type  string   // of an observable
	Value string

	ForTask bool // Key is a task's
}

// Parts holds the part that a change named, nil if the case has none such.
type Parts struct {
	Task       *Task
	Note       *Note
	Alert      *AlertLink
	Observable *Observable
}

// Open makes a case. It applies to the zero Case only.
type Open struct {
	Title       string
	Description string
	Category    string
	Severity    int
	Owner       string
	TLP, PAP    string
	Tags        []string
	Group       string
	Fields      map[string]json.RawMessage
}

// Set changes fields of the head; a nil pointer leaves its field alone.
type Set struct {
	Title       *string
	Description *string
	Summary     *string
	Category    *string
	Severity    *int
	Verdict     *Verdict
	Owner       *string
	TLP, PAP    *string
	AddTags     []string
	RemoveTags  []string
	Fields      map[string]json.RawMessage // null removes a field
}

// Close ends the work on a case. A case with open tasks is closed only when Even
// says so; its tasks stay open then.
type Close struct {
	Verdict Verdict
	Reason  string
	Even    bool
}

// Reopen makes a closed case open again. Its verdict stays until somebody
// changes it.
type Reopen struct{ Reason string }

// AddNote writes a note. A second one with the same key changes nothing.
type AddNote struct {
	Text string
	Key  string
}

// EditNote replaces a note's text.
type EditNote struct {
	N    int
	Text string
}

// AddTask gives people something to do. A second one with the same key changes
// nothing.
type AddTask struct {
	Title    string
	Text     string
	Assignee string
	Due      time.Time
	Evidence []string
	Key      string
}

// SetTask changes a task; a nil pointer leaves its field alone.
type SetTask struct {
	N        int
	Title    *string
	Text     *string
	Assignee *string
	Due      *time.Time
	Done     *bool
}

// AddAlert links an alert to the case. Severity raises that of the case, if it
// is higher.
type AddAlert struct {
	Alert    alert.ID
	Title    string
	Severity int
}

// RemoveAlert takes the link away.
type RemoveAlert struct{ Alert alert.ID }

// AddObservable adds a value, or says more about one that the case has: empty
// fields leave theirs alone.
type AddObservable struct {
	Type    string
	Value   string
	Role    string
	Verdict string
	Score   int
	Note    string
}

// AddEvidence keeps a file or a link with the case.
type AddEvidence struct {
	Title     string
	Hash      string
	SizeBytes int64
	MediaType string
	Link      string
}

// Record writes into the timeline what happened elsewhere: in a run, in the
// ledger, in a product.
type Record struct {
	Kind  EntryKind
	What  string
	Field string
	Old   json.RawMessage
	New   json.RawMessage
	Links []string
}

// Part is none.
func (Open) Part() Part   { return Part{} }
func (Set) Part() Part    { return Part{} }
func (Close) Part() Part  { return Part{} }
func (Reopen) Part() Part { return Part{} }
func (Record) Part() Part { return Part{} }

// Part is none; evidence may be kept twice.
func (AddEvidence) Part() Part { return Part{} }

// Part is the note that the same call wrote before.
func (c AddNote) Part() Part { return Part{Key: c.Key} }

// Part is the note.
func (c EditNote) Part() Part { return Part{Note: c.N} }

// Part is the task that the same call made before.
func (c AddTask) Part() Part { return Part{Key: c.Key, ForTask: true} }

// Part is the task.
func (c SetTask) Part() Part { return Part{Task: c.N} }

// Part is the link to the alert.
func (c AddAlert) Part() Part    { return Part{Alert: c.Alert} }
func (c RemoveAlert) Part() Part { return Part{Alert: c.Alert} }

// Part is the observable.
func (c AddObservable) Part() Part { return Part{Type: c.Type, Value: c.Value} }
