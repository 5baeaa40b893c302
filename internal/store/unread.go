package store

import (
	"fmt"

	"riposte/internal/alert"
)

// WasReadAgain notes what an event has become that could not be read: it stands
// as e says, and is unread no more. fault.NotFound if there is none in the
// tenant.
func WasReadAgain(tx *Tx, tenant string, id alert.ID, e alert.Event) error {
	if err := MoveAlert(tx, tenant, id, e); err != nil {
		return err
	}
	if _, err := tx.Exec("UPDATE alerts SET error = '' WHERE id = ? AND tenant = ?", int64(id), tenantOf(tenant)); err != nil {
		return fmt.Errorf("note that alert %s was read again: %w", id, err)
	}
	return nil
}
