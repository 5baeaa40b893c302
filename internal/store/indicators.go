package store

import (
	"encoding/json"
	"fmt"

	"riposte/internal/intel"
)

// Indicators lists all indicators of all tenants.
func Indicators(q *Reader) (list []intel.Indicator, err error) {
	rows, err := q.Query("SELECT body FROM indicators ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("list indicators: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var body json.RawMessage
		var i intel.Indicator
		if err = rows.Scan(&body); err == nil {
			err = json.Unmarshal(body, &i)
		}
		if err != nil {
			return nil, fmt.Errorf("list indicators: %w", err)
		}
		list = append(list, i)
	}
	return list, rows.Err()
}

// PutIndicator writes or replaces an indicator.
func PutIndicator(tx *Tx, i intel.Indicator) error {
	body, err := json.Marshal(i)
	if err == nil {
		_, err = tx.Exec(`INSERT INTO indicators (id, tenant, type, value, body) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET body = excluded.body`, int64(i.ID), tenantOf(i.Tenant), string(i.Type), i.Value, json.RawMessage(body))
	}
	if err != nil {
		return fmt.Errorf("write indicator %s: %w", i.ID, err)
	}
	return nil
}

// DropIndicator removes one.
func DropIndicator(tx *Tx, id intel.ID) error {
	if _, err := tx.Exec("DELETE FROM indicators WHERE id = ?", int64(id)); err != nil {
		return fmt.Errorf("remove indicator %s: %w", id, err)
	}
	return nil
}
