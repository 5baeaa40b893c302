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
		_, err = tx.Exec(`INSERT INTO reservations (run_id, act, tenant, at, body) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (run_id, act) DO UPDATE SET at = excluded.at, body = excluded.body`, int64(r.Run), r.Act, tenantOf(r.Tenant), r.At, json.RawMessage(body))
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

// Reservations lists those made since a time. What a run that has ended holds
// was called, at the latest, when it was reserved.
func Reservations(q *Reader, since time.Time) (list []guard.Reservation, err error) {
	rows, err := q.Query(`SELECT r.body, COALESCE(s.ended, 0) FROM reservations r LEFT JOIN runs s ON s.id = r.run_id
		WHERE r.at >= ? ORDER BY r.at`, since)
	if err != nil {
		return nil, fmt.Errorf("list reservations: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var body json.RawMessage
		var ended int64
		var r guard.Reservation
		if err = rows.Scan(&body, &ended); err == nil {
			err = json.Unmarshal(body, &r)
		}
		if ended > 0 && r.Spent.IsZero() {
			r.Spent = r.At
		}
		if err != nil {
			return nil, fmt.Errorf("list reservations: %w", err)
		}
		list = append(list, r)
	}
	return list, rows.Err()
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

// PutSwitch keeps that a switch is off; DropSwitch that it is on again.
func PutSwitch(tx *Tx, s guard.Switch) error {
	_, err := tx.Exec(`INSERT INTO switches (tenant, scope, name, by_whom, at, reason) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, scope, name) DO UPDATE SET by_whom = excluded.by_whom, reason = excluded.reason`,
		s.Tenant, string(s.Scope), s.Name, s.By, s.At, s.Reason)
	if err != nil {
		return fmt.Errorf("keep switch %s: %w", s, err)
	}
	return nil
}

// DropSwitch is told beside PutSwitch.
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
