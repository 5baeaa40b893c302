package store

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"riposte/internal/alert"
	"riposte/internal/fault"
)

// NewAlert is an alert that is ready to be stored: what can be worked out
// without the database is, so that it is not done where all writers wait.
type NewAlert struct {
	*alert.Alert
	Fresh bool // set by InsertAlerts: it was not there before

	content []byte
}

// ReadyAlert makes an alert ready. It fails with fault.Invalid where the alert
// can never be stored.
func ReadyAlert(a *alert.Alert) (NewAlert, error) {
	if a.Source == "" || a.IdentityKey == "" {
		return NewAlert{}, fmt.Errorf("store alert %s of source %s: source and identity key are needed: %w", a.IdentityKey, a.Source, fault.Invalid)
	}
	content, err := packAlert(a)
	if err != nil {
		return NewAlert{}, fmt.Errorf("store alert %s of source %s: %w: %w", a.IdentityKey, a.Source, err, fault.Invalid)
	}
	a.Tenant = tenantOf(a.Tenant)
	if a.Status == "" {
		a.Status = alert.New
	}
	return NewAlert{Alert: a, content: content}, nil
}

// InsertAlert stores an alert, or counts it where one with its identity key is
// there already. It sets ID and Count, and tells whether the alert is fresh.
func InsertAlert(tx *Tx, a *alert.Alert) (fresh bool, err error) {
	n, err := ReadyAlert(a)
	if err != nil {
		return false, err
	}
	one := []NewAlert{n}
	err = InsertAlerts(tx, one)
	return one[0].Fresh, err
}

// InsertAlerts stores alerts in their order, many a statement, and counts those
// whose identity key is there already, be it from earlier among them. It sets
// ID, Count and Fresh of each.
func InsertAlerts(tx *Tx, all []NewAlert) error {
	for rows := range portions(all) {
		if err := insertPortion(tx, rows); err != nil {
			return fmt.Errorf("store %d alerts of source %s: %w", len(rows), rows[0].Source, err)
		}
	}
	return insertObservables(tx, all)
}

// portions cuts a list into parts of few different lengths: each length is a
// statement that stays prepared.
func portions[T any](all []T) func(yield func([]T) bool) {
	return func(yield func([]T) bool) {
		for len(all) > 0 {
			n := 32
			for n > len(all) {
				n /= 2
			}
			if !yield(all[:n]) {
				return
			}
			all = all[n:]
		}
	}
}

// values is the statement's list of rows with so many parameters each.
func values(rows, columns int) string {
	row := "(" + strings.Repeat("?, ", columns-1) + "?)"
	return " VALUES " + strings.Repeat(row+", ", rows-1) + row
}

// alertInsertColumns is how many parameters an alert has.
const alertInsertColumns = 24

func insertPortion(tx *Tx, rows []NewAlert) error {
	args := make([]any, 0, len(rows)*alertInsertColumns)
	for i := range rows {
		n := &rows[i]
		id, err := NextID(tx, Alerts)
		if err != nil {
			return err
		}
		n.ID, n.Count, n.Fresh = alert.ID(id), 1, true
		if !n.Waiting {
			n.Ready = or(n.Ready, n.Received)
		}
		first, last := n.span()
		args = append(args, id, n.Tenant, n.Source, n.IdentityKey, n.GroupKey, n.Title, n.Severity, n.Category,
			string(n.Status), or(n.Time, n.Received), n.Received, first, last, n.Mapping, n.MappingNo, n.Error, n.content,
			n.Rule, n.RulesNo, n.Outcome, int64(n.Into), scoreColumn(n.Alert), string(n.Band), n.Ready)
	}
	came, err := tx.Exec(`INSERT INTO alerts (id, tenant, source, identity_key, group_key, title, severity, category,
			status, at, received, first_seen, last_seen, mapping, mapping_no, error, content, rule, rules_no, outcome, into_id, score, band, ready)`+
		values(len(rows), alertInsertColumns)+" ON CONFLICT (tenant, source, identity_key) DO NOTHING", args...)
	if err != nil || came == int64(len(rows)) {
		return err
	}
	for i := range rows {
		if err := rows[i].settle(tx); err != nil {
			return err
		}
	}
	return nil
}

// span is the time in which the event was seen, as it tells.
func (n *NewAlert) span() (first, last time.Time) {
	seen := or(n.Time, n.Received)
	return or(n.FirstSeen, seen), or(n.LastSeen, seen)
}

// settle finds out whether an alert came in or was there already; then it is
// counted.
func (n *NewAlert) settle(tx *Tx) error {
	var id int64
	err := tx.QueryRow("SELECT id FROM alerts WHERE tenant = ? AND source = ? AND identity_key = ?",
		n.Tenant, n.Source, n.IdentityKey).Scan(&id)
	if err != nil || id == int64(n.ID) {
		return err
	}
	n.ID, n.Fresh = alert.ID(id), false
	first, last := n.span()
	return tx.QueryRow(`UPDATE alerts SET seen = seen + 1,
			first_seen = CASE WHEN first_seen > ? THEN ? ELSE first_seen END,
			last_seen = CASE WHEN last_seen < ? THEN ? ELSE last_seen END
		WHERE id = ? RETURNING seen`, first, first, last, last, id).Scan(&n.Count)
}

// insertObservables makes fresh alerts findable by what was seen in them.
func insertObservables(tx *Tx, all []NewAlert) error {
	type seen struct {
		in  *alert.Alert
		one *alert.Observable
	}
	var every []seen
	for i := range all {
		if all[i].Fresh {
			for k := range all[i].Observables {
				every = append(every, seen{all[i].Alert, &all[i].Observables[k]})
			}
		}
	}
	const columns = 6
	var args []any
	for rows := range portions(every) {
		args = slices.Grow(args[:0], len(rows)*columns)
		for _, s := range rows {
			args = append(args, s.in.Tenant, s.one.Type, s.one.Value, s.in.Received, int64(s.in.ID), s.one.Role)
		}
		_, err := tx.Exec("INSERT INTO alert_observables (tenant, type, value, received, alert_id, role)"+
			values(len(rows), columns)+" ON CONFLICT DO NOTHING", args...)
		if err != nil {
			return fmt.Errorf("store what was seen in %d alerts: %w", len(all), err)
		}
	}
	return nil
}

func or(t, other time.Time) time.Time {
	if t.IsZero() {
		return other
	}
	return t
}
