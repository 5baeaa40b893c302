package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"riposte/internal/alert"
	"riposte/internal/cases"
)

// Keep says how long records are kept; 0 is for ever. Runs are the engine's to
// remove.
type Keep struct {
	Alerts time.Duration // without a case, from when they were last seen
	Cases  time.Duration // from when they were closed
	Ledger time.Duration // entries that are over, from their end; questions, too
}

// Swept says how much retention removed.
type Swept struct {
	Alerts    int
	Cases     int
	Ledger    int
	Questions int
	Others    int // sessions, entries of lists, reservations, kept answers, alarms: those whose time is over
}

// Nothing tells whether nothing was removed.
func (s Swept) Nothing() bool { return s == Swept{} }

// sweepSlice is how many records one transaction looks at: few milliseconds, so
// that others need not wait.
const sweepSlice = 200

// reservationsFor is longer than any limit of the guard counts back, and than
// most runs, whose own limits count from their start.
const reservationsFor = 30 * 24 * time.Hour

// ReplaysFor is how long the answers to idempotency keys are kept.
const ReplaysFor = 24 * time.Hour

// Sweep removes what is older than it is to be kept, in slices between the
// writes of others. What is still needed stays: alerts that belong to a case,
// entries of the ledger that are open, failed or owe an undo, cases that such
// an entry belongs to, and the audit log.
func (d *DB) Sweep(ctx context.Context, now time.Time, k Keep) (s Swept, err error) {
	if k.Cases > 0 {
		if s.Cases, err = d.slices(ctx, sweepCases(now.Add(-k.Cases))); err != nil {
			return s, err
		}
	}
	if k.Alerts > 0 {
		if s.Alerts, err = d.sweepAlerts(ctx, now.Add(-k.Alerts)); err != nil {
			return s, err
		}
	}
	if k.Ledger > 0 {
		before := now.Add(-k.Ledger)
		if s.Ledger, err = d.slices(ctx, sweepRows(sweepLedger, before)); err != nil {
			return s, err
		}
		if s.Questions, err = d.slices(ctx, sweepRows(sweepQuestions, before)); err != nil {
			return s, err
		}
	}
	for _, over := range []struct {
		query  string
		before time.Time
	}{{sweepSessions, now}, {sweepLists, now}, {sweepReservations, now.Add(-reservationsFor)}, {sweepReplays, now.Add(-ReplaysFor)}, {sweepAlarms, now.Add(-AlarmsFor)},
		{sweepMinutes, now.Add(-MinutesFor)}, {sweepHours, now.Add(-HoursFor)}, {sweepChecks, now.Add(-HoursFor)}} {
		n, err := d.slices(ctx, sweepRows(over.query, over.before))
		if s.Others += n; err != nil {
			return s, err
		}
	}
	return s, nil
}

// Each removes a slice of what ended before a time.
const (
	sweepLedger = `DELETE FROM ledger WHERE id IN (SELECT id FROM ledger
		WHERE state = 'undone' AND owed = 0 AND ended < ? ORDER BY ended, id LIMIT ?)`
	sweepQuestions = `DELETE FROM questions WHERE id IN (SELECT id FROM questions
		WHERE ended > 0 AND ended < ? ORDER BY ended, id LIMIT ?)`
	sweepSessions = `DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions
		WHERE expires < ? ORDER BY expires LIMIT ?)`
	sweepLists = `DELETE FROM lists WHERE (tenant, list, value) IN (SELECT tenant, list, value FROM lists
		WHERE expires > 0 AND expires < ? ORDER BY expires LIMIT ?)`
	sweepReservations = `DELETE FROM reservations WHERE (run_id, act) IN (SELECT run_id, act FROM reservations
		WHERE spent > 0 AND spent < ? ORDER BY spent LIMIT ?)`
	sweepReplays = `DELETE FROM replays WHERE (tenant, key) IN (SELECT tenant, key FROM replays
		WHERE at < ? ORDER BY at LIMIT ?)`
)

// slices runs a slice until there is nothing left for it. A slice tells how much
// it removed, and whether there is more.
func (d *DB) slices(ctx context.Context, slice func(tx *Tx) (n int, more bool, err error)) (removed int, err error) {
	for more := true; more; {
		var n int
		err := d.Write(ctx, func(tx *Tx) (err error) {
			n, more, err = slice(tx)
			return err
		})
		if err != nil {
			return removed, fmt.Errorf("remove what is old: %w", err)
		}
		removed += n
	}
	return removed, nil
}

func sweepRows(query string, before time.Time) func(tx *Tx) (int, bool, error) {
	return func(tx *Tx) (int, bool, error) {
		n, err := tx.Exec(query, before, sweepSlice)
		return int(n), n == sweepSlice, err
	}
}

// sweepCases removes closed cases, one a slice: a case may have many parts.
func sweepCases(before time.Time) func(tx *Tx) (int, bool, error) {
	return func(tx *Tx) (int, bool, error) {
		var id cases.ID
		err := tx.Reader.QueryRow(`SELECT id FROM cases WHERE closed > 0 AND closed < ?
			AND NOT EXISTS (SELECT 1 FROM ledger l WHERE l.case_id = cases.id AND l.case_id > 0 AND (l.state <> 'undone' OR l.owed = 1))
			ORDER BY closed, id LIMIT 1`, before).Scan(&id)
		if isNoRow(err) {
			return 0, false, nil
		}
		if err == nil {
			_, err = tx.Exec("DELETE FROM cases WHERE id = ?", int64(id))
			err = errors.Join(err, wantSearch(tx, searchCase, int64(id)))
		}
		return 1, true, err
	}
}

// sweepAlerts walks the old alerts of every tenant once, and removes those that
// belong to no case.
func (d *DB) sweepAlerts(ctx context.Context, before time.Time) (removed int, err error) {
	tenant := ""
	for {
		err := d.Read(ctx, func(q *Reader) error {
			return q.QueryRow("SELECT tenant FROM alerts WHERE tenant > ? ORDER BY tenant LIMIT 1", tenant).Scan(&tenant)
		})
		if isNoRow(err) {
			return removed, nil
		}
		if err != nil {
			return removed, fmt.Errorf("remove old alerts: %w", err)
		}
		at := atBottom
		n, err := d.slices(ctx, func(tx *Tx) (int, bool, error) {
			n, next, err := sweepAlertSlice(tx, tenant, before, at)
			if err == nil && next != nil {
				at = *next
			}
			return n, next != nil, err
		})
		if removed += n; err != nil {
			return removed, err
		}
	}
}

// oldAlert is what is needed of an alert to remove it.
type oldAlert struct {
	at      place
	last    time.Time
	linked  bool
	content []byte
}

// sweepAlertSlice looks at a few alerts behind a place; next is where to go on,
// nil at the end.
func sweepAlertSlice(tx *Tx, tenant string, before time.Time, from place) (removed int, next *place, err error) {
	old, err := all(&tx.Reader, func(r *Rows, a *oldAlert) error {
		return r.Scan(&a.at.sort, &a.at.id, &a.last, &a.linked, &a.content)
	}, `SELECT received, id, last_seen, EXISTS (SELECT 1 FROM case_alerts x WHERE x.alert_id = alerts.id), content FROM alerts
		WHERE tenant = ? AND received < ? AND (received, id) > (?, ?) ORDER BY received, id LIMIT ?`,
		tenant, before, from.sort, from.id, sweepSlice)
	if err != nil {
		return 0, nil, err
	}
	for _, a := range old {
		if a.linked || !a.last.Before(before) {
			continue
		}
		if err := removeAlert(tx, tenant, a); err != nil {
			return 0, nil, err
		}
		removed++
	}
	if len(old) == sweepSlice {
		next = &old[len(old)-1].at
	}
	return removed, next, nil
}

func removeAlert(tx *Tx, tenant string, a oldAlert) error {
	body, _, err := unpackAlert(a.content)
	if err != nil {
		return fmt.Errorf("alert %s: %w", alert.ID(a.at.id), err)
	}
	for _, o := range body.Observables {
		_, err := tx.Exec("DELETE FROM alert_observables WHERE tenant = ? AND type = ? AND value = ? AND received = ? AND alert_id = ?",
			tenant, o.Type, o.Value, a.at.sort, a.at.id)
		if err != nil {
			return err
		}
	}
	_, err = tx.Exec("DELETE FROM alerts WHERE id = ?", a.at.id)
	return errors.Join(err, wantSearch(tx, searchAlert, a.at.id))
}

// EvidenceHashes lists the blobs that cases keep: whoever sweeps the blob store
// spares these.
func EvidenceHashes(q *Reader) ([]string, error) {
	list, err := all(q, func(r *Rows, s *string) error { return r.Scan(s) }, "SELECT hash FROM case_evidence WHERE hash <> '' ORDER BY hash")
	if err != nil {
		return nil, fmt.Errorf("find the blobs that cases keep: %w", err)
	}
	return list, nil
}
