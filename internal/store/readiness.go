package store

import (
	"encoding/json"
	"fmt"
	"time"

	"riposte/internal/alert"
)

// Wait is an alert that waits for what is looked up for it.
type Wait struct {
	Alert    alert.ID
	Tenant   string
	Began    time.Time
	Deadline time.Time
	Runs     []WaitRun
}

// WaitRun is a playbook that looks things up for an alert.
type WaitRun struct {
	Playbook string `json:"playbook"`
	Run      int64  `json:"run"`
}

// BeginWait keeps that an alert waits, so that a restart does not forget it.
func BeginWait(tx *Tx, w *Wait) error {
	body, err := json.Marshal(w.Runs)
	if err == nil {
		_, err = tx.Exec("UPDATE alerts SET ready = 0 WHERE id = ?", int64(w.Alert))
	}
	if err == nil {
		_, err = tx.Exec("INSERT INTO alert_waits (alert_id, tenant, began, deadline, body) VALUES (?, ?, ?, ?, ?)",
			int64(w.Alert), tenantOf(w.Tenant), w.Began, w.Deadline, json.RawMessage(body))
	}
	if err != nil {
		return fmt.Errorf("let alert %s wait: %w", w.Alert, err)
	}
	return nil
}

// Waits lists the alerts that wait, those with the nearest deadline first.
func Waits(q *Reader, limit int) ([]Wait, error) {
	list, err := all(q, scanWait, "SELECT alert_id, tenant, began, deadline, body FROM alert_waits ORDER BY deadline, alert_id LIMIT ?", limit)
	if err != nil {
		return nil, fmt.Errorf("list what alerts wait for: %w", err)
	}
	return list, nil
}

func scanWait(r *Rows, w *Wait) error {
	var body json.RawMessage
	if err := r.Scan(&w.Alert, &w.Tenant, &w.Began, &w.Deadline, &body); err != nil {
		return err
	}
	return json.Unmarshal(body, &w.Runs)
}

// OldestWait tells since when the alert waits that has waited longest, and how
// many wait; n is 0 where none does.
func OldestWait(q *Reader) (since time.Time, n int, err error) {
	if err = q.QueryRow("SELECT COUNT(*), COALESCE(MIN(began), 0) FROM alert_waits").Scan(&n, &since); err != nil {
		return since, n, fmt.Errorf("find the alert that waits longest: %w", err)
	}
	return since, n, nil
}

// EndWait makes an alert ready. ended is false where another was quicker.
func EndWait(tx *Tx, id alert.ID, at time.Time) (ended bool, err error) {
	n, err := tx.Exec("DELETE FROM alert_waits WHERE alert_id = ?", int64(id))
	if err == nil && n > 0 {
		_, err = tx.Exec("UPDATE alerts SET ready = ? WHERE id = ? AND ready = 0", at, int64(id))
	}
	if err != nil {
		return false, fmt.Errorf("make alert %s ready: %w", id, err)
	}
	return n > 0, nil
}

// SaveScore stores the score of an alert with its reasons, and the sources that
// failed.
func SaveScore(tx *Tx, a *alert.Alert) error {
	content, err := packAlert(a)
	if err == nil {
		_, err = tx.Exec("UPDATE alerts SET score = ?, band = ?, content = ? WHERE id = ?", scoreColumn(a), string(a.Band), content, int64(a.ID))
	}
	if err != nil {
		return fmt.Errorf("store the score of alert %s: %w", a.ID, err)
	}
	return nil
}

// scoreColumn is -1 where an alert has no score.
func scoreColumn(a *alert.Alert) int {
	if a.Band == "" {
		return -1
	}
	return a.Score
}
