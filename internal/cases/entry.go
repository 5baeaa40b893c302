package cases

import (
	"encoding/json"
	"time"

	"riposte/internal/run"
)

// ByKind says what acted.
type ByKind string

// What may act.
const (
	ByPerson   ByKind = "person"
	ByPlaybook ByKind = "playbook"
	ByRule     ByKind = "rule"   // a triage rule
	BySystem   ByKind = "system" // Riposte itself: a failed undo, a time limit
)

// By says who or what did something.
type By struct {
	Kind    ByKind `json:"kind"`
	Name    string `json:"name"` // the user, the playbook's slug, the rule
	Run     run.ID `json:"run,omitzero"`
	Step    string `json:"step,omitempty"`    // its id or label
	Version int    `json:"version,omitempty"` // the playbook's, 0 for a draft
}

// EntryKind says what happened.
type EntryKind string

// What a timeline tells of.
const (
	Opened            EntryKind = "opened"
	Changed           EntryKind = "changed" // Field, from Old to New
	Closed            EntryKind = "closed"
	Reopened          EntryKind = "reopened"
	Noted             EntryKind = "noted"
	NoteEdited        EntryKind = "note_edited"
	TaskAdded         EntryKind = "task_added"
	TaskChanged       EntryKind = "task_changed"
	TaskDone          EntryKind = "task_done"
	TaskReopened      EntryKind = "task_reopened"
	AlertAdded        EntryKind = "alert_added"
	AlertRemoved      EntryKind = "alert_removed"
	AlertRepeated     EntryKind = "alert_repeated" // the same event was reported again: it stays one alert
	ObservableAdded   EntryKind = "observable_added"
	ObservableChanged EntryKind = "observable_changed"
	EvidenceAdded     EntryKind = "evidence_added"
	RunStarted        EntryKind = "run_started"
	RunEnded          EntryKind = "run_ended"
	StepEnded         EntryKind = "step_ended"
	Asked             EntryKind = "asked"
	Answered          EntryKind = "answered"
	Contained         EntryKind = "contained" // a change in a product, which the ledger holds
	TakenBack         EntryKind = "taken_back"
	UndoFailed        EntryKind = "undo_failed"
)

// Entry is one line of a timeline. It is never changed once written.
type Entry struct {
	N     int             `json:"n"` // from 1, in the order in which things were recorded
	At    time.Time       `json:"at"`
	By    By              `json:"by"`
	Kind  EntryKind       `json:"kind"`
	What  string          `json:"what"`            // one sentence for people
	Field string          `json:"field,omitempty"` // of the case, task, note or observable
	Old   json.RawMessage `json:"old,omitempty"`
	New   json.RawMessage `json:"new,omitempty"`
	Links []string        `json:"links,omitempty"` // IDs of what it is about, L-3, AP-4, note:1, task:2 …
}
