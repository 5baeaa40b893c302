package store

import (
	"encoding/json"
	"fmt"
	"time"

	"riposte/internal/guard"
	"riposte/internal/run"
)

// SaveReservation keeps what an action holds of the guard's limits.
func SaveReservation(tx *Tx, r guard.Reservation) error {
	body, err := json.Marshal(r)
	if err == nil {
		_, err = tx.Exec(`INSERT INTO reservations (run_id, act, tenant, at, spent, body) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (run_id, act) DO UPDATE SET at = excluded.at, spent = excluded.spent, body = excluded.body`,
			int64(r.Run), r.Act, tenantOf(r.Tenant), r.At, r.Spent, json.RawMessage(body))
	}
	if err != nil {
		return fmt.Errorf("reserve for %s: %w", r.Run, err)
	}
	return nil
}

// DropReservation gives one back.
func DropReservation(tx *Tx, id run.ID, act run.Act) error {
	if _, err := tx.Exec("DELETE FROM reservations WHERE run_id = ? AND act = ?", int64(id), act); err != nil {
		return fmt.Errorf("give back what %s reserved: %w", id, err)
	}
	return nil
}

// Reservations lists those made since a time, and those that still wait.
func Reservations(q *Reader, since time.Time) ([]guard.Reservation, error) {
	list, err := all(q, func(r *Rows, v *guard.Reservation) error {
		var body json.RawMessage
		if err := r.Scan(&body); err != nil {
			return err
		}
		return json.Unmarshal(body, v)
	}, `SELECT body FROM reservations WHERE at >= ?
		UNION ALL SELECT body FROM reservations WHERE spent = 0 AND at < ?`, since, since)
	if err != nil {
		return nil, fmt.Errorf("list reservations: %w", err)
	}
	return list, nil
}

// Switches lists the kill switches that are off.
func Switches(q *Reader) (list []guard.Switch, err error) {
	rows, err := q.Query("SELECT tenant, scope, name, by_whom, at, reason FROM switches ORDER BY scope, name")
	if err != nil {
		return nil, fmt.Errorf("list switches: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var s guard.Switch
		if err := rows.Scan(&s.Tenant, &s.Scope, &s.Name, &s.By, &s.At, &s.Reason); err != nil {
			return nil, fmt.Errorf("list switches: %w", err)
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

// PutSwitch keeps that a switch is off. One that was off already keeps its time.
func PutSwitch(tx *Tx, s guard.Switch) error {
	_, err := tx.Exec(`INSERT INTO switches (tenant, scope, name, by_whom, at, reason) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, scope, name) DO UPDATE SET by_whom = excluded.by_whom, reason = excluded.reason`,
		s.Tenant, string(s.Scope), s.Name, s.By, s.At, s.Reason)
	if err != nil {
		return fmt.Errorf("keep switch %s: %w", s, err)
	}
	return nil
}

// DropSwitch forgets a switch: it is on again.
func DropSwitch(tx *Tx, tenant string, scope guard.Scope, name string) error {
	if _, err := tx.Exec("DELETE FROM switches WHERE tenant = ? AND scope = ? AND name = ?", tenant, string(scope), name); err != nil {
		return fmt.Errorf("drop switch %s %s: %w", scope, name, err)
	}
	return nil
}

// SaveCursor keeps where a source goes on.
func SaveCursor(tx *Tx, tenant, source string, cursor []byte, at time.Time) error {
	_, err := tx.Exec(`INSERT INTO source_cursors (tenant, source, cursor, updated) VALUES (?, ?, ?, ?)
		ON CONFLICT (tenant, source) DO UPDATE SET cursor = excluded.cursor, updated = excluded.updated`, tenantOf(tenant), source, json.RawMessage(cursor), at)
	if err != nil {
		return fmt.Errorf("keep the cursor of source %s: %w", source, err)
	}
	return nil
}

// Cursor reads it; nil where there is none.
func Cursor(q *Reader, tenant, source string) (cursor []byte, err error) {
	var raw json.RawMessage
	err = q.QueryRow("SELECT cursor FROM source_cursors WHERE tenant = ? AND source = ?", tenantOf(tenant), source).Scan(&raw)
	if err != nil && !isNoRow(err) {
		return nil, fmt.Errorf("read the cursor of source %s: %w", source, err)
	}
	return raw, nil
}

// CursorMoved is when the cursor of a source was kept last; zero where there is
// none.
func CursorMoved(q *Reader, tenant, source string) (at time.Time, err error) {
	err = q.QueryRow("SELECT updated FROM source_cursors WHERE tenant = ? AND source = ?", tenantOf(tenant), source).Scan(&at)
	if err != nil && !isNoRow(err) {
		return at, fmt.Errorf("read the cursor of source %s: %w", source, err)
	}
	return at, nil
}
