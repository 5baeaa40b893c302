package store

import (
	"encoding/json"
	"fmt"
	"time"

	"riposte/internal/guard"
)

// PutOverride keeps that a protection is set aside, and gives it its ID. Those
// whose time is over go.
func PutOverride(tx *Tx, o *guard.Override, now time.Time) error {
	if _, err := tx.Exec("DELETE FROM overrides WHERE until <= ?", now); err != nil {
		return fmt.Errorf("keep an override: %w", err)
	}
	var err error
	if o.ID, err = NextID(tx, OverrideIDs); err != nil {
		return err
	}
	body, err := json.Marshal(o)
	if err == nil {
		_, err = tx.Exec("INSERT INTO overrides (id, tenant, until, body) VALUES (?, ?, ?, ?)", o.ID, tenantOf(o.Tenant), o.Until, json.RawMessage(body))
	}
	if err != nil {
		return fmt.Errorf("keep an override: %w", err)
	}
	return nil
}

// DropOverride notes that an override was used.
func DropOverride(tx *Tx, id int64) error {
	if _, err := tx.Exec("DELETE FROM overrides WHERE id = ?", id); err != nil {
		return fmt.Errorf("use up an override: %w", err)
	}
	return nil
}

// Overrides lists those that may still be used, of all tenants.
func Overrides(q *Reader, now time.Time) ([]guard.Override, error) {
	list, err := all(q, func(r *Rows, o *guard.Override) error {
		var body json.RawMessage
		if err := r.Scan(&body); err != nil {
			return err
		}
		return json.Unmarshal(body, o)
	}, "SELECT body FROM overrides WHERE until > ? ORDER BY id", now)
	if err != nil {
		return nil, fmt.Errorf("list overrides: %w", err)
	}
	return list, nil
}
