package engine

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"riposte/connector"
	"riposte/internal/run"
	"riposte/playbook"
)

// Tx is a transaction of the store that the journal and its companions share.
// The engine hands it on and never looks inside.
type Tx = any

// Journal stores records in the order in which they are appended.
type Journal interface {
	// Submit lets do work in a transaction, together with the jobs of others, and
	// calls done once: with nil when all of it is on disk, or with the reason why
	// none of it is. Neither may block. Errors that may pass (disk full, busy)
	// wrap fault.Transient.
	Submit(do func(tx Tx) error, done func(err error))
	// Append writes records and sets their Seq.
	Append(tx Tx, records []*run.Record) error
	// NextRun gives out a run ID.
	NextRun(tx Tx) (run.ID, error)
	// Claim binds a key to a run once and for all. It returns the run that the key
	// is bound to: another one than asked for if the key was taken.
	Claim(tx Tx, tenant, key string, id run.ID) (run.ID, error)
	// Tail calls f for every record after one place and up to another, in order.
	Tail(ctx context.Context, after, upTo int64, f func(r run.Record) error) error
	// History reads the records of a run backwards from the record last, down to
	// the one after the place after, and returns them oldest first.
	History(ctx context.Context, last, after int64) ([]run.Record, error)
	// Claims lists the runs bound to keys that begin with prefix, by key.
	Claims(ctx context.Context, tenant, prefix string) ([]run.ID, error)
	// Mark tells where the journal ends and where recovery begins.
	Mark(ctx context.Context) (end, checkpoint int64, err error)
	// Checkpoint moves the place where recovery begins.
	Checkpoint(tx Tx, seq int64) error
}

// Runs stores what is derived from the journal: snapshots, mail and summaries.
type Runs interface {
	// SaveSnapshots writes or replaces snapshots; DropSnapshot deletes one.
	SaveSnapshots(tx Tx, s []run.Snapshot) error
	DropSnapshot(tx Tx, id run.ID) error
	// Snapshot reads one; ok is false if there is none.
	Snapshot(ctx context.Context, id run.ID) (s run.Snapshot, ok bool, err error)
	// Snapshots calls f for every snapshot.
	Snapshots(ctx context.Context, f func(run.Snapshot) error) error
	// Active lists the runs whose snapshot was taken while they were at work.
	Active(ctx context.Context) ([]run.ID, error)
	// Wakes lists waiting runs in the order in which they are due, from behind
	// after up to and including until, at most limit.
	Wakes(ctx context.Context, after run.Wake, until time.Time, limit int) ([]run.Wake, error)

	// Send stores mail and sets its ID; Received deletes it.
	Send(tx Tx, m *run.Mail) error
	Received(tx Tx, id int64) error
	// Mail lists everything not yet received.
	Mail(ctx context.Context) ([]run.Mail, error)

	// Project writes or replaces summaries.
	Project(tx Tx, s []run.Summary) error
	// Summary reads one; ok is false if there is none.
	Summary(ctx context.Context, id run.ID) (s run.Summary, ok bool, err error)
	// EndedBefore lists runs that ended before t, oldest first, at most limit.
	EndedBefore(ctx context.Context, t time.Time, limit int) ([]run.Summary, error)
	// Failed lists failed runs with ID above after, in order, at most limit.
	Failed(ctx context.Context, f run.Filter, after run.ID, limit int) ([]run.Summary, error)
	// Remove deletes a run: its records (read backwards from last), snapshot,
	// summary and claims.
	Remove(tx Tx, id run.ID, last int64) error

	// Rates reads when the calls of every rate left, as the last SaveRate had it.
	Rates(ctx context.Context) (map[string][]time.Time, error)
	SaveRate(tx Tx, tenant, key string, times []time.Time) error
}

// Plans finds compiled playbooks.
type Plans interface {
	// Plan finds a plan by its hash: fault.NotFound if it was never stored.
	Plan(hash string) (*playbook.Plan, error)
	// Published finds the plan of a version, 0 for the one published now.
	Published(tenant, slug string, version int) (*playbook.Plan, error)
	// Available answers what a plan asks with available().
	Available(tenant string, p *playbook.Plan) map[string]bool
	// OneStep makes the plan of an undo: inputs with and connection, one step
	// with the id undo. Plan finds it by its hash ever after.
	OneStep(ctx context.Context, s OneStep) (*playbook.Plan, error)
}

// OneStep is what the plan of an undo is made from. Two undos that differ only
// in values share a plan.
type OneStep struct {
	Action   string // connector.action; "" if Playbook is set
	Playbook string
	Asks     []run.Quorum
	Within   time.Duration
	Retry    int
	Every    time.Duration
}

// Caller calls actions of connectors.
type Caller interface {
	// Route says which connection will serve an action and what it bears. It is
	// cheap and never blocks. An unknown connection has no limits: the call
	// itself says what is wrong.
	Route(tenant, connection, action string) (name string, l Limits)
	// Call makes one attempt. It returns when ctx ends; whoever does not is
	// abandoned. It resolves secrets, checks the egress and looks before and
	// after where the action says so.
	Call(ctx context.Context, c Call) Answer
}

// Limits is what a connection bears. Zero values are no limit.
type Limits struct {
	MaxInFlight int
	Rate        float64 // calls a second
	Burst       int     // 0 with a Rate: 1
	Bucket      string  // connections of a tenant with the same one share the rate; "": it is the connection's own
}

// Call is one attempt and on whose behalf it is made.
type Call struct {
	connector.Call
	Tenant   string
	Run      run.ID
	Root     run.ID // the outermost run above it, or the run itself
	Act      run.Act
	N        int // of the Do
	Attempt  int
	Name     string         // as Do.Name: for mocks and where Action is nil
	Node     *playbook.Node // the step
	Chain    []string       // slugs of the playbooks above, outermost first
	Severity int            // of the run, 0 unknown
	Poll     bool
	Impact   connector.Impact
	Hash     string // what was cleared or approved
	Approved bool
	Agreed   []run.Quorum // which people agreed, with Approved
	Playbook string
	Version  int
	Case     int64
	Alert    int64
	By       string // who or what started the run, or the outermost run above it
	Undoes   int64  // the ledger entry that the run takes back
	Test     bool
}

// Answer is what came back. Case is the run's case as it is now, set by actions
// that may have changed it.
type Answer struct {
	connector.Result
	Case json.RawMessage
}

// Gate is the guard as the engine sees it. Its methods are called from many
// goroutines and may read what they need, but must return soon.
type Gate interface {
	// Check decides about an action before anything is asked or called. What it
	// reserves is written by reserve, in the transaction of the Checked event;
	// reserve may be nil.
	Check(ctx context.Context, c Call) (r run.CheckResult, reserve func(tx Tx) error, err error)
	// Admit is asked just before each attempt, of reads too. go on: ok. A result
	// that denies or asks anew goes back to the interpreter instead.
	Admit(ctx context.Context, c Call) (ok bool, r run.CheckResult, err error)
	// Release gives back what Check reserved for an activation that will not call.
	Release(tx Tx, id run.ID, act run.Act) error
	// Result tells how an attempt ended.
	Result(c Call, r connector.Result)
}

// Questions keeps what people are asked.
type Questions interface {
	// Open stores a question; it is shown once the transaction is on disk. One
	// that is there already stays as it is.
	Open(tx Tx, q Question) error
	// Close withdraws the questions of an activation, of all numbers if n is 0.
	Close(tx Tx, id run.ID, act run.Act, n int, at time.Time) error
	// Answered keeps an answer that the run has taken.
	Answered(tx Tx, id run.ID, act run.Act, n int, at time.Time, a run.Answer) error
}

// Question is a question and who asks it.
type Question struct {
	Tenant   string
	Run      run.ID
	Act      run.Act
	N        int
	At       time.Time
	Playbook string
	By       string // who or what started the run, or the outermost run above it
	Case     int64
	Alert    int64
	Severity int
	run.Question
}

// Entry is an open ledger entry as the engine needs it.
type Entry struct {
	ID      int64
	Tenant  string
	Run     run.ID
	Act     run.Act
	Case    int64
	Slug    string // of the playbook that made it, and its version
	Version int
	At      time.Time
	Due     time.Time // zero: never by itself
	State   string    // open, taken, undone, failed
	By      run.ID    // the run that takes it back, while taken
	Wanted  Wanted    // zero: nobody asks for it
	run.UndoEntry
}

// Wanted is that somebody wants an entry back. Entries of one group were asked
// for together.
type Wanted struct {
	Group int64
	By    string
	Why   string
}

// Ledger keeps how things done are taken back.
type Ledger interface {
	// Enter stores an entry in the transaction of the event that caused it. The
	// ID is given when it is written.
	Enter(tx Tx, e *Entry) error
	// Due lists open entries due up to and including t, oldest first.
	Due(ctx context.Context, t time.Time, limit int) ([]Entry, error)
	// Of lists the entries of a run, newest first, whatever their state.
	Of(ctx context.Context, id run.ID) ([]Entry, error)
	// Entry reads one: fault.NotFound.
	Entry(ctx context.Context, id int64) (Entry, error)
	// Want marks open and failed entries as wanted back, as one group, until each
	// is undone or its undo has failed. Others, and those wanted already, stay as
	// they are.
	Want(tx Tx, entries []int64, who, why string) error
	// Wanted lists what is wanted back, group by group, the newest first: of each
	// group at most limit.
	Wanted(ctx context.Context, limit int) ([]Entry, error)
	// Take makes an open or failed entry taken by a run: fault.Conflict if it is
	// neither. last tells whether the target is to be released: no other open
	// entry holds it. If not, the entry is undone with that.
	Take(tx Tx, id int64, by run.ID, who, why string, at time.Time) (last bool, err error)
	// Undone ends the taking: undone, or failed with a reason.
	Undone(tx Tx, id int64, ok bool, reason string, at time.Time) error
}

// Cases lets the engine look at the case of a run and leave work for people.
type Cases interface {
	// Look gives the case as it is now; nil if there is none.
	Look(ctx context.Context, tenant string, id int64) (json.RawMessage, error)
	// UndoFailed raises a task in the case of an entry that could not be taken back.
	UndoFailed(tx Tx, f FailedUndo) error
	// Step puts what happened in a run into the timeline of its case.
	Step(tx Tx, s Happened) error
}

// FailedUndo is an undo that did not succeed.
type FailedUndo struct {
	Tenant string
	Entry  int64
	Case   int64
	Run    run.ID // that tried; 0: none could be started
	Reason string
	At     time.Time
}

// Happened is what changed in a run with one record, for the timeline.
type Happened struct {
	Start *run.Start
	Steps []run.StepView // steps that began to wait or ended, in order
	Run   run.Status     // of the run, if it has just begun or ended; else ""
	Error *run.Error     // of a run that has ended with one
	At    time.Time
}

// Blobs keeps large values by content.
type Blobs interface {
	Put(ctx context.Context, data []byte) (hash string, err error)
	Get(ctx context.Context, hash string) ([]byte, error)
}

// Clock tells the time and wakes. Nil in Engine means the machine's.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f once, in its own goroutine, when d has passed.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// machineClock is the real one.
type machineClock struct{}

func (machineClock) Now() time.Time { return time.Now() }
func (machineClock) AfterFunc(d time.Duration, f func()) func() bool {
	return time.AfterFunc(d, f).Stop
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
