package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"riposte/internal/fault"
)

// Replay is an answer that is kept under an idempotency key.
type Replay struct {
	Key    string
	Sum    string // of the request's body
	At     time.Time
	Status int // 0: it is, or was, being worked on
	Header map[string][]string
	Body   string
}

// ReplayOf reads what is kept under a key from a time on.
func ReplayOf(q *Reader, tenant, key string, since time.Time) (r Replay, ok bool, err error) {
	var header json.RawMessage
	err = q.QueryRow("SELECT key, sum, at, status, header, body FROM replays WHERE tenant = ? AND key = ? AND at >= ?", tenantOf(tenant), key, since).
		Scan(&r.Key, &r.Sum, &r.At, &r.Status, &header, &r.Body)
	if errors.Is(err, fault.NotFound) {
		return r, false, nil
	}
	if err == nil {
		err = json.Unmarshal(header, &r.Header)
	}
	if err != nil {
		return r, false, fmt.Errorf("read the answer kept under a key: %w", err)
	}
	return r, true, nil
}

// PutReplay writes or replaces what is kept under a key.
func PutReplay(tx *Tx, tenant string, r Replay) error {
	header, err := json.Marshal(r.Header)
	if err == nil {
		_, err = tx.Exec(`INSERT INTO replays (tenant, key, sum, at, status, header, body) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (tenant, key) DO UPDATE SET sum = excluded.sum, at = excluded.at, status = excluded.status, header = excluded.header, body = excluded.body`,
			tenantOf(tenant), r.Key, r.Sum, r.At, r.Status, json.RawMessage(header), r.Body)
	}
	if err != nil {
		return fmt.Errorf("keep the answer to a key: %w", err)
	}
	return nil
}

// DropReplay gives a key free.
func DropReplay(tx *Tx, tenant, key string) error {
	if _, err := tx.Exec("DELETE FROM replays WHERE tenant = ? AND key = ?", tenantOf(tenant), key); err != nil {
		return fmt.Errorf("give a key free: %w", err)
	}
	return nil
}
