package store

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"riposte/connector"
	"riposte/internal/guard"
	"riposte/internal/run"
)

// LedgerEntry is something done that can be taken back. The rules of guard say
// what may become of it.
type LedgerEntry struct {
	ID       int64 // L-…
	Tenant   string
	Run      run.ID
	Act      run.Act
	Case     int64
	Playbook string
	Version  int
	At       time.Time
	Due      time.Time // zero: never by itself
	State    guard.EntryState
	TakenRun run.ID // that takes it back
	TakenBy  string
	Why      string
	Ended    time.Time
	Problem  string // of the last try
	Tries    int
	Owed     bool // ended while others held its target
	// Wanted names the entries that were asked for together, 0 for none; By and Why
	// say who wants them back. It is over when the entry is.
	Wanted    int64
	WantedBy  string
	WantedWhy string
	run.UndoEntry
}

// rule is the entry as guard's rules see it.
func (e *LedgerEntry) rule() guard.Entry {
	return guard.Entry{
		ID: guard.EntryID(e.ID), Tenant: e.Tenant, Connection: e.Connection, Done: e.Done, Targets: e.Targets,
		At: e.At, Due: e.Due, State: e.State, Already: e.Already, Owed: e.Owed,
	}
}

// hold names a target that entries can share.
func (e *LedgerEntry) hold(t connector.Target) string {
	return strings.Join([]string{e.Connection, e.Done, string(t.Kind), t.Value}, "\x00")
}

const ledgerColumns = `l.id, l.tenant, l.run_id, l.act, l.case_id, l.playbook, l.version, l.entered, l.due, l.state,
	l.taken_run, l.taken_by, l.why, l.ended, l.problem, l.tries, l.owed, l.wanted, l.wanted_by, l.wanted_why, l.body`

func scanLedger(e *LedgerEntry, scan func(into ...any) error) error {
	var body json.RawMessage
	err := scan(&e.ID, &e.Tenant, &e.Run, &e.Act, &e.Case, &e.Playbook, &e.Version, &e.At, &e.Due, &e.State,
		&e.TakenRun, &e.TakenBy, &e.Why, &e.Ended, &e.Problem, &e.Tries, &e.Owed, &e.Wanted, &e.WantedBy, &e.WantedWhy, &body)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, &e.UndoEntry)
}

func entries(q *Reader, query string, args ...any) ([]LedgerEntry, error) {
	list, err := all(q, func(r *Rows, e *LedgerEntry) error { return scanLedger(e, r.Scan) }, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return list, nil
}

// EnterLedger stores an entry, unless its target was so before us and no open
// entry of ours holds it. It sets the ID, 0 where nothing was entered.
func EnterLedger(tx *Tx, e *LedgerEntry) error {
	e.Tenant = tenantOf(e.Tenant)
	e.State = guard.EntryOpen
	if e.Problem != "" {
		e.State = guard.EntryFailed
	}
	if e.Already {
		sharing, err := sharing(&tx.Reader, e)
		if err != nil {
			return err
		}
		if !guard.Enters(e.rule(), rules(sharing)) {
			return nil
		}
	}
	var err error
	if e.ID, err = NextID(tx, Ledger); err != nil {
		return err
	}
	body, err := json.Marshal(e.UndoEntry)
	if err != nil {
		return fmt.Errorf("enter L-%d: %w", e.ID, err)
	}
	action := cmp.Or(e.Action, e.UndoEntry.Playbook)
	_, err = tx.Exec(`INSERT INTO ledger (id, tenant, state, run_id, act, case_id, playbook, version, connection, action, entered, due, problem, body)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		e.ID, e.Tenant, string(e.State), int64(e.Run), e.Act, e.Case, e.Playbook, e.Version, e.Connection, action, e.At, e.Due, e.Problem, json.RawMessage(body))
	for _, t := range e.Targets {
		if err == nil {
			_, err = tx.Exec(`INSERT INTO ledger_targets (tenant, entry_id, kind, value, hold) VALUES (?, ?, ?, ?, ?)
				ON CONFLICT (entry_id, kind, value) DO NOTHING`, e.Tenant, e.ID, t.Kind, t.Value, e.hold(t))
		}
	}
	if err != nil {
		return fmt.Errorf("enter L-%d: %w", e.ID, err)
	}
	return nil
}

// sharing lists the entries that are not over and share a target with one, and
// those that share one with these.
func sharing(q *Reader, e *LedgerEntry) ([]LedgerEntry, error) {
	known := map[int64]LedgerEntry{e.ID: *e}
	todo := []LedgerEntry{*e}
	var list []LedgerEntry
	for len(todo) > 0 {
		next := todo[0]
		todo = todo[1:]
		for _, t := range next.Targets {
			found, err := entries(q, `SELECT `+ledgerColumns+` FROM ledger_targets AS t JOIN ledger AS l ON l.id = t.entry_id
				WHERE t.tenant = ? AND t.hold = ? AND t.live = 1 ORDER BY t.entry_id`, next.Tenant, next.hold(t))
			if err != nil {
				return nil, err
			}
			for _, f := range found {
				if _, seen := known[f.ID]; !seen {
					known[f.ID] = f
					list, todo = append(list, f), append(todo, f)
				}
			}
		}
	}
	return list, nil
}

func rules(list []LedgerEntry) []guard.Entry {
	out := make([]guard.Entry, len(list))
	for i := range list {
		out[i] = list[i].rule()
	}
	return out
}

// LedgerEntryOf reads one entry: fault.NotFound. tenant "" is any.
func LedgerEntryOf(q *Reader, tenant string, id int64) (e LedgerEntry, err error) {
	err = scanLedger(&e, q.QueryRow("SELECT "+ledgerColumns+" FROM ledger AS l WHERE l.id = ?", id).Scan)
	if err == nil && tenant != "" && e.Tenant != tenant {
		err = ErrNoRow
	}
	if err != nil {
		return e, fmt.Errorf("read ledger entry L-%d: %w", id, err)
	}
	return e, nil
}

// LedgerDue lists open entries due up to and including t, oldest first.
func LedgerDue(q *Reader, t time.Time, limit int) ([]LedgerEntry, error) {
	return entries(q, `SELECT `+ledgerColumns+` FROM ledger AS l WHERE l.state = 'open' AND l.due > 0 AND l.due <= ? ORDER BY l.due, l.id LIMIT ?`, t, limit)
}

// LedgerOfRun lists the entries of a run, the newest first.
func LedgerOfRun(q *Reader, id run.ID) ([]LedgerEntry, error) {
	return entries(q, "SELECT "+ledgerColumns+" FROM ledger AS l WHERE l.run_id = ? ORDER BY l.id DESC", int64(id))
}

// TakeLedger makes an open or failed entry taken by a run: fault.Conflict if it is
// neither. call tells whether its target is to be released by its own undo.
func TakeLedger(tx *Tx, id int64, by run.ID, who, why string, at time.Time) (call bool, err error) {
	e, err := LedgerEntryOf(&tx.Reader, "", id)
	if err != nil {
		return false, err
	}
	others, err := sharing(&tx.Reader, &e)
	if err != nil {
		return false, err
	}
	t, err := guard.Take(e.rule(), rules(others))
	if err != nil {
		return false, err
	}
	e.State, e.Owed, e.TakenRun, e.TakenBy, e.Why = t.State, t.Owed, by, who, why
	e.Ended = time.Time{}
	if t.State == guard.EntryUndone {
		e.TakenRun, e.Ended = 0, at
		e.unwant()
	}
	if err := saveEntry(tx, &e, at); err != nil {
		return false, err
	}
	for i := range others {
		for _, free := range t.Free {
			if o := &others[i]; guard.EntryID(o.ID) == free {
				o.State, o.Owed, o.Due, o.Ended = guard.EntryOpen, true, at, time.Time{}
				if err := saveEntry(tx, o, at); err != nil {
					return false, err
				}
			}
		}
	}
	return t.Call, nil
}

func saveEntry(tx *Tx, e *LedgerEntry, at time.Time) error {
	_, err := tx.Exec(`UPDATE ledger SET state = ?, due = ?, taken_run = ?, taken_by = ?, taken_at = ?, why = ?, ended = ?,
			problem = ?, tries = ?, owed = ?, wanted = ?, wanted_by = ?, wanted_why = ? WHERE id = ?`,
		e.State, e.Due, int64(e.TakenRun), e.TakenBy, at, e.Why, e.Ended, e.Problem, e.Tries, e.Owed,
		e.Wanted, e.WantedBy, e.WantedWhy, e.ID)
	if err == nil {
		rule := e.rule()
		_, err = tx.Exec("UPDATE ledger_targets SET live = ? WHERE entry_id = ?", !rule.Removable(), e.ID)
	}
	if err != nil {
		return fmt.Errorf("change ledger entry L-%d: %w", e.ID, err)
	}
	return nil
}

// EndLedger ends the taking of an entry: undone, or failed with a reason.
func EndLedger(tx *Tx, id int64, ok bool, reason string, at time.Time) error {
	e, err := LedgerEntryOf(&tx.Reader, "", id)
	if err != nil {
		return err
	}
	if e.State, err = guard.End(e.rule(), ok); err != nil {
		return err
	}
	e.Tries++
	e.Problem = ""
	e.Owed = e.Owed && !ok
	e.unwant()
	if ok {
		e.Ended = at
	} else {
		e.Problem = reason
	}
	return saveEntry(tx, &e, at)
}

// unwant ends that an entry is wanted back: it is over, or it failed and people
// are told.
func (e *LedgerEntry) unwant() { e.Wanted, e.WantedBy, e.WantedWhy = 0, "", "" }

// WantLedger marks open and failed entries as wanted back, together. Entries that
// are over, being taken back or wanted already stay as they are.
func WantLedger(tx *Tx, list []int64, who, why string) error {
	var group int64
	err := tx.QueryRow("SELECT COALESCE(MAX(wanted), 0) + 1 FROM ledger WHERE wanted > 0").Scan(&group)
	for _, id := range list {
		if err == nil {
			_, err = tx.Exec(`UPDATE ledger SET wanted = ?, wanted_by = ?, wanted_why = ?
				WHERE id = ? AND wanted = 0 AND state IN ('open', 'failed')`, group, who, why, id)
		}
	}
	if err != nil {
		return fmt.Errorf("note what is wanted back: %w", err)
	}
	return nil
}

// LedgerWanted lists what is wanted back, of everything asked for together the
// newest entries, at most limit.
func LedgerWanted(q *Reader, limit int) ([]LedgerEntry, error) {
	groups, err := all(q, func(r *Rows, n *int64) error { return r.Scan(n) }, "SELECT DISTINCT wanted FROM ledger WHERE wanted > 0 ORDER BY wanted")
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	var list []LedgerEntry
	for _, group := range groups {
		some, err := entries(q, "SELECT "+ledgerColumns+" FROM ledger AS l WHERE l.wanted = ? AND l.wanted > 0 ORDER BY l.id DESC LIMIT ?", group, limit)
		if err != nil {
			return nil, err
		}
		list = append(list, some...)
	}
	return list, nil
}

// LedgerFilter narrows a list of entries. Zero values do not.
type LedgerFilter struct {
	State    guard.EntryState
	Run      run.ID
	Case     int64
	Playbook string
	Version  int       // of the playbook
	Target   string    // the value of a target
	From     time.Time // entered at or after
	Until    time.Time // and before
}

// ListLedger lists entries, the newest first.
func ListLedger(q *Reader, tenant string, f LedgerFilter, s Slice) (Page[LedgerEntry], error) {
	l, err := f.listing(tenantOf(tenant))
	if err != nil {
		return Page[LedgerEntry]{}, err
	}
	return page(q, l, s, func(q *Reader, id int64) (e LedgerEntry, err error) {
		return e, scanLedger(&e, q.QueryRow("SELECT "+ledgerColumns+" FROM ledger AS l WHERE l.id = ?", id).Scan)
	})
}

// listing picks the index that leaves the least, and makes filters of the rest.
func (f LedgerFilter) listing(tenant string) (*listing, error) {
	l := &listing{name: "ledger", table: "ledger AS l", sort: "l.id", id: "l.id"}
	span, err := spanOf("l.entered", f.From, f.Until)
	if err != nil {
		return nil, err
	}
	by := func(text string, args ...any) { l.ranges = []clause{{text, args}} }
	rest := f
	switch {
	case f.Target != "":
		l.table, l.sort, l.id = "ledger_targets AS t JOIN ledger AS l ON l.id = t.entry_id", "t.entry_id", "t.entry_id"
		by("t.tenant = ? AND t.value = ?", tenant, f.Target)
	case f.Run != 0:
		by("l.run_id = ? AND l.tenant = ?", int64(f.Run), tenant)
		rest.Run = 0
	case f.Case != 0:
		by("l.case_id = ? AND l.case_id > 0 AND l.tenant = ?", f.Case, tenant)
		rest.Case = 0
	case f.Playbook != "":
		by("l.tenant = ? AND l.playbook = ?", tenant, f.Playbook)
		rest.Playbook = ""
	case f.State != "":
		by("l.tenant = ? AND l.state = ?", tenant, string(f.State))
		rest.State = ""
	default:
		by("l.tenant = ?", tenant)
	}
	rest.residue(l, span)
	return l, nil
}

// residue adds what the chosen index does not serve.
func (f LedgerFilter) residue(l *listing, span clause) {
	if f.State != "" {
		l.filter("l.state = ?", f.State)
	}
	if f.Run != 0 {
		l.filter("l.run_id = ?", int64(f.Run))
	}
	if f.Case != 0 {
		l.filter("l.case_id = ?", f.Case)
	}
	if f.Playbook != "" {
		l.filter("l.playbook = ?", f.Playbook)
	}
	if f.Version != 0 {
		l.filter("l.version = ?", f.Version)
	}
	if span.text != "" {
		l.filter(strings.TrimPrefix(span.text, " AND "), span.args...)
	}
}
