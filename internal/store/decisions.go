package store

import (
	"fmt"
	"strings"
	"time"

	"riposte/internal/alert"
	"riposte/internal/cases"
)

// Decision is what a person decided about an alert or a case: it was closed with
// a verdict, or opened again.
type Decision struct {
	Seq     int64
	Tenant  string
	Alert   alert.ID // or
	Case    cases.ID
	Status  string // closed, or what it was opened again to
	Verdict string
	At      time.Time
	Who     string
}

// Subject names what was decided about.
func (d *Decision) Subject() string {
	if d.Case != 0 {
		return d.Case.String()
	}
	return d.Alert.String()
}

// decided keeps a decision for the score to learn from. It is called where
// records change, so that no way to decide goes past it; only people count.
func decided(tx *Tx, d Decision) error {
	seq, err := NextID(tx, DecisionIDs)
	if err == nil {
		_, err = tx.Exec("INSERT INTO decisions (seq, tenant, alert_id, case_id, status, verdict, at, who) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			seq, tenantOf(d.Tenant), int64(d.Alert), int64(d.Case), d.Status, d.Verdict, d.At, d.Who)
	}
	if err != nil {
		return fmt.Errorf("keep a decision: %w", err)
	}
	return nil
}

// decidedAlert keeps that a person closed an alert or opened it again.
func decidedAlert(tx *Tx, tenant string, id alert.ID, before alert.Event, e alert.Event) error {
	who, person := strings.CutPrefix(e.By, string(cases.ByPerson)+":")
	if !person || e.Status != alert.Closed && (before.Status != alert.Closed || e.Status == alert.Dropped) {
		return nil
	}
	return decided(tx, Decision{Tenant: tenant, Alert: id, Status: string(e.Status), Verdict: e.Verdict, At: e.At, Who: who})
}

// decidedCase keeps that a person closed a case or opened it again.
func decidedCase(tx *Tx, done *cases.Applied) error {
	for _, e := range done.Entries {
		if e.By.Kind != cases.ByPerson {
			continue
		}
		d := Decision{Tenant: done.Case.Tenant, Case: done.Case.ID, Status: string(done.Case.Status), At: e.At, Who: e.By.Name}
		switch {
		case e.Kind == cases.Closed, e.Kind == cases.Changed && e.Field == "verdict" && done.Case.Status == cases.IsClosed:
			d.Verdict = string(done.Case.Verdict)
		case e.Kind != cases.Reopened:
			continue
		}
		if err := decided(tx, d); err != nil {
			return err
		}
	}
	return nil
}

// Decisions lists what the score has not learnt yet, the oldest first.
func Decisions(q *Reader, limit int) ([]Decision, error) {
	list, err := all(q, func(r *Rows, d *Decision) error {
		return r.Scan(&d.Seq, &d.Tenant, &d.Alert, &d.Case, &d.Status, &d.Verdict, &d.At, &d.Who)
	}, "SELECT seq, tenant, alert_id, case_id, status, verdict, at, who FROM decisions ORDER BY seq LIMIT ?", limit)
	if err != nil {
		return nil, fmt.Errorf("list decisions: %w", err)
	}
	return list, nil
}

// DropDecision removes what was learnt.
func DropDecision(tx *Tx, seq int64) error {
	if _, err := tx.Exec("DELETE FROM decisions WHERE seq = ?", seq); err != nil {
		return fmt.Errorf("remove a decision: %w", err)
	}
	return nil
}

// Judged is a decision about one detection.
type Judged struct {
	Tenant, Source, Rule string
	Subject              string // A-… or C-…
	Verdict              string
	At                   time.Time
	Who                  string
}

const judgedColumns = "tenant, source, rule, subject, verdict, at, who"

func scanJudged(r *Rows, j *Judged) error {
	return r.Scan(&j.Tenant, &j.Source, &j.Rule, &j.Subject, &j.Verdict, &j.At, &j.Who)
}

// JudgedOf lists what was decided about a subject before.
func JudgedOf(q *Reader, tenant, subject string) ([]Judged, error) {
	list, err := all(q, scanJudged, "SELECT "+judgedColumns+" FROM detection_history WHERE tenant = ? AND subject = ?", tenantOf(tenant), subject)
	if err != nil {
		return nil, fmt.Errorf("read decisions about %s: %w", subject, err)
	}
	return list, nil
}

// JudgedSince lists all decisions from a time on.
func JudgedSince(q *Reader, from time.Time) ([]Judged, error) {
	list, err := all(q, scanJudged, "SELECT "+judgedColumns+" FROM detection_history WHERE at >= ?", from)
	if err != nil {
		return nil, fmt.Errorf("read decisions: %w", err)
	}
	return list, nil
}

// PairVerdict is a decision about two things that came together.
type PairVerdict struct {
	Pair    uint64
	Verdict string
	At      time.Time
}

// PairsSince lists them from a time on, the oldest first.
func PairsSince(q *Reader, from time.Time) ([]PairVerdict, error) {
	list, err := all(q, func(r *Rows, p *PairVerdict) error {
		var n int64
		err := r.Scan(&n, &p.Verdict, &p.At)
		p.Pair = uint64(n)
		return err
	}, "SELECT pair, verdict, at FROM decided_pairs WHERE at >= ? ORDER BY at", from)
	if err != nil {
		return nil, fmt.Errorf("read decisions about pairs: %w", err)
	}
	return list, nil
}

// ForgetJudged takes back what was decided about a subject.
func ForgetJudged(tx *Tx, tenant, subject string) error {
	for _, table := range []string{"detection_history", "decided_pairs"} {
		if _, err := tx.Exec("DELETE FROM "+table+" WHERE tenant = ? AND subject = ?", tenantOf(tenant), subject); err != nil {
			return fmt.Errorf("take back what was decided about %s: %w", subject, err)
		}
	}
	return nil
}

// KeepJudged stores a decision with the pairs of what it is about.
func KeepJudged(tx *Tx, j Judged, pairs []uint64) error {
	_, err := tx.Exec("INSERT INTO detection_history ("+judgedColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, source, rule, subject) DO UPDATE SET verdict = excluded.verdict, at = excluded.at, who = excluded.who`,
		tenantOf(j.Tenant), j.Source, j.Rule, j.Subject, j.Verdict, j.At, j.Who)
	for _, p := range pairs {
		if err != nil {
			break
		}
		_, err = tx.Exec(`INSERT INTO decided_pairs (pair, tenant, subject, verdict, at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (pair, subject) DO UPDATE SET verdict = excluded.verdict, at = excluded.at`,
			int64(p), tenantOf(j.Tenant), j.Subject, j.Verdict, j.At)
	}
	if err != nil {
		return fmt.Errorf("keep what was decided about %s: %w", j.Subject, err)
	}
	return nil
}

// ForgetDecisions removes what is too old to count.
func ForgetDecisions(tx *Tx, before time.Time) error {
	for _, table := range []string{"detection_history", "decided_pairs"} {
		if _, err := tx.Exec("DELETE FROM "+table+" WHERE at < ?", before); err != nil {
			return fmt.Errorf("remove old decisions: %w", err)
		}
	}
	return nil
}
