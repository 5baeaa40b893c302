package httpapi

import (
	"context"
	"encoding/json"
	"time"

	"riposte/internal/auth"
)

// Ledger is what is in force now and how it is taken back.
type Ledger interface {
	// Entries lists ledger entries, the newest first.
	Entries(ctx context.Context, who auth.Caller, f LedgerFilter, p Page) (Found[LedgerEntry], error)
	Entry(ctx context.Context, who auth.Caller, id int64) (LedgerEntry, error)
	// Undo takes entries back, each by a run of its own: fault.NotFound where the
	// filter names none, fault.Conflict where one entry is named and somebody
	// took it already.
	Undo(ctx context.Context, who auth.Caller, u Undo) ([]LedgerEntry, error)
}

// LedgerFilter narrows a list of entries. Zero values do not.
type LedgerFilter struct {
	State    string
	Run      int64
	Case     int64
	Playbook string
	Target   string
}

// LedgerEntry is one thing that was done and can be taken back.
type LedgerEntry struct {
	ID         string          `json:"id" example:"L-771"`
	State      string          `json:"state" enum:"open,taken,undone,failed"`
	Done       string          `json:"done" doc:"The action that is in force."`
	Undo       string          `json:"undo,omitempty" doc:"The action or playbook that takes it back."`
	Connection string          `json:"connection,omitempty"`
	Targets    []Target        `json:"targets" nullable:"false"`
	With       json.RawMessage `json:"with,omitempty" doc:"What the undo is called with."`
	At         time.Time       `json:"at"`
	Due        time.Time       `json:"due,omitzero" doc:"When it is taken back by itself; absent: never."`
	Run        string          `json:"run,omitempty"`
	Step       string          `json:"step,omitempty"`
	Playbook   string          `json:"playbook,omitempty"`
	Version    int             `json:"version,omitempty"`
	Case       string          `json:"case,omitempty"`
	TakenBy    string          `json:"taken_by,omitempty" doc:"Who or what took it back, or, of several that are taken back one after the other, who asked for it."`
	Reason     string          `json:"reason,omitempty" doc:"Why: wrong or no_longer_needed, where a person did."`
	UndoRun    string          `json:"undo_run,omitempty" doc:"The run that takes it back."`
	Ended      time.Time       `json:"ended,omitzero"`
	Problem    string          `json:"problem,omitempty" doc:"Why the undo failed."`
}

// Undo says what is to be taken back and why. Exactly one of its ways to name
// entries is set.
type Undo struct {
	Entry    int64
	Run      int64
	Playbook string
	Version  int       // with Playbook; 0: all
	Since    time.Time // with Until: a span of time
	Until    time.Time
	Target   *Target // every entry of it
	Reason   string
	Note     string
}

type reasoned struct {
	Reason string `json:"reason" enum:"wrong,no_longer_needed" doc:"wrong counts as a false action in the reports."`
	Note   string `json:"note,omitempty" maxLength:"1000"`
}

type undoInput struct {
	Who
	Record
	Body reasoned
}

type undoManyInput struct {
	Who
	Body struct {
		Reason   string    `json:"reason" enum:"wrong,no_longer_needed" doc:"wrong counts as a false action in the reports."`
		Note     string    `json:"note,omitempty" maxLength:"1000"`
		Run      string    `json:"run,omitempty" maxLength:"32" doc:"All that this run did."`
		Playbook string    `json:"playbook,omitempty" maxLength:"64" doc:"All that this playbook did."`
		Version  int       `json:"version,omitempty" minimum:"1" doc:"Only this version of it."`
		Since    time.Time `json:"since,omitzero" doc:"All that was done from then …"`
		Until    time.Time `json:"until,omitzero" doc:"… to then; absent: to now."`
		Target   *Target   `json:"target,omitempty" doc:"All that holds this target."`
	}
}

type undoAnswer struct {
	Entries []LedgerEntry `json:"entries" nullable:"false" doc:"What is being taken back."`
}

type listLedgerInput struct {
	Who
	Paged
	State    string `query:"state" enum:"open,taken,undone,failed"`
	Run      string `query:"run" maxLength:"32"`
	Case     string `query:"case" maxLength:"32"`
	Playbook string `query:"playbook" maxLength:"64"`
	Target   string `query:"target" maxLength:"2048" doc:"The value of a target."`
}

func (a *api) ledgerRoutes() {
	add(a, auth.LedgerRead, op("ledger", get, "/api/ledger", "list-ledger", "List what was done and can be taken back, the newest first"),
		func(ctx context.Context, in *listLedgerInput) (*Listed[LedgerEntry], error) {
			f := LedgerFilter{State: in.State, Playbook: in.Playbook, Target: in.Target}
			var err error
			if f.Run, err = reference(runCode, "run", in.Run); err != nil {
				return nil, err
			}
			if f.Case, err = reference(caseCode, "case", in.Case); err != nil {
				return nil, err
			}
			return listed(a.Ledger.Entries(ctx, in.caller, f, in.page()))
		})
	add(a, auth.LedgerRead, op("ledger", get, "/api/ledger/{id}", "get-ledger-entry", "Read an entry"),
		func(ctx context.Context, in *recordInput) (*Body[LedgerEntry], error) {
			n, err := in.number(entryCode, "ledger entry")
			if err != nil {
				return nil, err
			}
			return body(a.Ledger.Entry(ctx, in.caller, n))
		})
	add(a, auth.LedgerUndo, answering(202, op("ledger", post, "/api/ledger/{id}/undo", "undo-ledger-entry", "Take one thing back")),
		func(ctx context.Context, in *undoInput) (*Body[LedgerEntry], error) {
			n, err := in.number(entryCode, "ledger entry")
			if err != nil {
				return nil, err
			}
			if _, err := a.Ledger.Undo(ctx, in.caller, Undo{Entry: n, Reason: in.Body.Reason, Note: in.Body.Note}); err != nil {
				return nil, err
			}
			return body(a.Ledger.Entry(ctx, in.caller, n))
		})
	add(a, auth.LedgerUndo, answering(202, op("ledger", post, "/api/ledger/undo", "undo-ledger-entries", "Take back all of a run, a playbook, a span of time or a target, the newest first")), a.undoMany)
}

func (a *api) undoMany(ctx context.Context, in *undoManyInput) (*Body[undoAnswer], error) {
	b := &in.Body
	run, err := bodyReference(runCode, "/run", b.Run)
	if err != nil {
		return nil, err
	}
	ways := 0
	for _, given := range []bool{run != 0, b.Playbook != "", !b.Since.IsZero(), b.Target != nil} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return nil, invalid.problem("name what to take back by exactly one of run, playbook, since and target")
	case b.Version != 0 && b.Playbook == "":
		return nil, WrongField("/version", "it goes with playbook")
	case !b.Until.IsZero() && !b.Until.After(b.Since):
		return nil, WrongField("/until", "it is not after since")
	}
	entries, err := a.Ledger.Undo(ctx, in.caller, Undo{Run: run, Playbook: b.Playbook, Version: b.Version,
		Since: b.Since, Until: b.Until, Target: b.Target, Reason: b.Reason, Note: b.Note})
	return body(undoAnswer{orEmpty(entries)}, err)
}
