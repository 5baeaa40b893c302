package store

import (
	"encoding/json"
	"fmt"
	"time"

	"riposte/internal/alert"
	"riposte/internal/cases"
)

// RuleSet is a triage rule file that was in force.
type RuleSet struct {
	No     int
	Hash   string
	Name   string
	Text   string
	Loaded time.Time // when it came into force first
}

// KeepRuleSet keeps a rule set and gives it its number: the one that it has
// already, where the same text was in force before.
func KeepRuleSet(tx *Tx, tenant string, s *RuleSet) error {
	tenant = tenantOf(tenant)
	err := tx.Reader.QueryRow("SELECT no, loaded FROM triage_rules WHERE tenant = ? AND hash = ?", tenant, s.Hash).Scan(&s.No, &s.Loaded)
	if err == nil || !isNoRow(err) {
		return err
	}
	n, err := NextID(tx, RuleSetNos)
	if err == nil {
		s.No = int(n)
		_, err = tx.Exec("INSERT INTO triage_rules (no, tenant, hash, name, body, loaded) VALUES (?, ?, ?, ?, ?, ?)",
			s.No, tenant, s.Hash, s.Name, s.Text, s.Loaded)
	}
	if err != nil {
		return fmt.Errorf("keep the triage rules: %w", err)
	}
	return nil
}

// RuleSetOf reads the rule set of a number: fault.NotFound if there is none in
// the tenant.
func RuleSetOf(q *Reader, tenant string, no int) (s RuleSet, err error) {
	err = q.QueryRow("SELECT no, hash, name, body, loaded FROM triage_rules WHERE no = ? AND tenant = ?", no, tenantOf(tenant)).
		Scan(&s.No, &s.Hash, &s.Name, &s.Text, &s.Loaded)
	if err != nil {
		return s, fmt.Errorf("read triage rule set %d: %w", no, err)
	}
	return s, nil
}

// Storm is more alerts of one kind than anybody can look at: all of it is one
// case, and one alert that the others are folded into.
type Storm struct {
	ID      int64
	Tenant  string
	Storm   string // the rule that told it
	Key     string // what its alerts share
	Subject string // the same for people
	Case    cases.ID
	Alert   alert.ID
	Began   time.Time
	Ended   time.Time // zero: it goes on
	StormBody
}

// StormBody is what of a storm nothing searches by.
type StormBody struct {
	Before int `json:"before,omitempty"` // alerts of it that came before it was told, as alerts of their own
	Passed int `json:"passed,omitempty"` // rare ones that were let through
	Total  int `json:"total,omitempty"`  // alerts folded, once it is over
}

// PutStorm keeps a storm, and gives a new one its ID.
func PutStorm(tx *Tx, s *Storm) error {
	body, err := json.Marshal(s.StormBody)
	if err == nil && s.ID == 0 {
		s.ID, err = NextID(tx, StormIDs)
	}
	if err == nil {
		_, err = tx.Exec(`INSERT INTO storms (id, tenant, storm, hold, subject, case_id, alert_id, began, ended, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET ended = excluded.ended, body = excluded.body`,
			s.ID, tenantOf(s.Tenant), s.Storm, s.Key, s.Subject, int64(s.Case), int64(s.Alert), s.Began, s.Ended, json.RawMessage(body))
	}
	if err != nil {
		return fmt.Errorf("keep a storm: %w", err)
	}
	return nil
}

const stormColumns = "id, tenant, storm, hold, subject, case_id, alert_id, began, ended, body"

func scanStorm(r *Rows, s *Storm) error {
	var body json.RawMessage
	if err := r.Scan(&s.ID, &s.Tenant, &s.Storm, &s.Key, &s.Subject, &s.Case, &s.Alert, &s.Began, &s.Ended, &body); err != nil {
		return err
	}
	return json.Unmarshal(body, &s.StormBody)
}

// OpenStorms lists the storms that go on, of all tenants.
func OpenStorms(q *Reader) ([]Storm, error) {
	list, err := all(q, scanStorm, "SELECT "+stormColumns+" FROM storms WHERE ended = 0 ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("list storms: %w", err)
	}
	return list, nil
}

// Storms lists the newest storms of a tenant, the newest first.
func Storms(q *Reader, tenant string, limit int) ([]Storm, error) {
	list, err := all(q, scanStorm, "SELECT "+stormColumns+" FROM storms WHERE tenant = ? ORDER BY id DESC LIMIT ?",
		tenantOf(tenant), Slice{Limit: limit}.size())
	if err != nil {
		return nil, fmt.Errorf("list storms: %w", err)
	}
	return list, nil
}
