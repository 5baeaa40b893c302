package store

import (
	"errors"
	"fmt"
	"time"

	"riposte/internal/alert"
	"riposte/internal/cases"
)

// DecideAlert stores what triage has made of an alert that has just been
// inserted, in the same transaction: it has never stood otherwise, so its
// history has nothing to tell. anew says that more has changed than the columns
// hold: tags, what was given, problems.
func DecideAlert(tx *Tx, n *NewAlert, anew bool) error {
	if anew {
		content, err := packAlert(n.Alert)
		if err != nil {
			return fmt.Errorf("store what became of alert %s: %w", n.ID, err)
		}
		n.content = content
		if _, err := tx.Exec("UPDATE alerts SET content = ? WHERE id = ?", content, int64(n.ID)); err != nil {
			return fmt.Errorf("store what became of alert %s: %w", n.ID, err)
		}
	}
	_, err := tx.Exec(`UPDATE alerts SET severity = ?, category = ?, status = ?, rule = ?, rules_no = ?, outcome = ?, into_id = ? WHERE id = ?`,
		n.Severity, n.Category, string(n.Status), n.Rule, n.RulesNo, n.Outcome, int64(n.Into), int64(n.ID))
	if err != nil {
		return fmt.Errorf("store what became of alert %s: %w", n.ID, err)
	}
	return nil
}

// AddFolded counts alerts that were folded into an open one, the last of which
// was seen at a time, and gives how many there are then.
func AddFolded(tx *Tx, id alert.ID, n int, last time.Time) (folded int, err error) {
	err = tx.QueryRow(`UPDATE alerts SET folded = folded + ?, last_seen = CASE WHEN last_seen < ? THEN ? ELSE last_seen END
		WHERE id = ? RETURNING folded`, n, last, last, int64(id)).Scan(&folded)
	if err != nil && !errors.Is(err, ErrNoRow) { // retention may have removed it
		return 0, fmt.Errorf("count what is folded into alert %s: %w", id, err)
	}
	return folded, nil
}

// AlertOpen tells whether an alert waits for people: it is new, or in a case that
// is open.
func AlertOpen(q *Reader, tenant string, id alert.ID) (open bool, err error) {
	err = q.QueryRow(`SELECT CASE WHEN status = 'new' OR status = 'in_case' AND EXISTS (
			SELECT 1 FROM case_alerts x JOIN cases c ON c.id = x.case_id WHERE x.alert_id = alerts.id AND c.status = 'open') THEN 1 ELSE 0 END
		FROM alerts WHERE id = ? AND tenant = ?`, int64(id), tenantOf(tenant)).Scan(&open)
	if errors.Is(err, ErrNoRow) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read how alert %s stands: %w", id, err)
	}
	return open, nil
}

// Untouched tells whether an alert is new and nobody has done anything to it.
func Untouched(q *Reader, tenant string, id alert.ID) (bool, error) {
	s, err := standingOf(q, tenant, id)
	if errors.Is(err, ErrNoRow) {
		return false, nil
	}
	return err == nil && s.Status == alert.New && s.changes == 0, err
}

// standing is how an alert stands, as its row says.
type standing struct {
	alert.Event
	received time.Time
	into     alert.ID
	changes  int
}

func standingOf(q *Reader, tenant string, id alert.ID) (s standing, err error) {
	err = q.QueryRow("SELECT status, rule, rules_no, outcome, verdict, into_id, received, changes FROM alerts WHERE id = ? AND tenant = ?",
		int64(id), tenantOf(tenant)).Scan(&s.Status, &s.Rule, &s.RulesNo, &s.Outcome, &s.Verdict, &s.into, &s.received, &s.changes)
	return s, err
}

// coming is the first entry of an alert's history: how it stood when it came.
func (s standing) coming() alert.Event {
	e := s.Event
	e.N, e.At, e.By = 1, s.received, "system:intake"
	if s.Rule != "" {
		e.By = "rule:" + s.Rule
	}
	if s.into != 0 {
		e.Into = s.into.String()
	}
	return e
}

// MoveAlert makes an alert stand as an event says, and keeps the event in its
// history: fault.NotFound if there is none in the tenant. N is set here. Folding
// needs an Into that names an alert.
func MoveAlert(tx *Tx, tenant string, id alert.ID, e alert.Event) error {
	if err := moveAlert(tx, tenantOf(tenant), id, e); err != nil {
		return fmt.Errorf("set alert %s to %s: %w", id, e.Status, err)
	}
	return nil
}

func moveAlert(tx *Tx, tenant string, id alert.ID, e alert.Event) error {
	s, err := standingOf(&tx.Reader, tenant, id)
	if err != nil {
		return err
	}
	if s.changes == 0 {
		if err := insertEvent(tx, tenant, id, s.coming()); err != nil {
			return err
		}
		s.changes = 1
	}
	var into alert.ID
	if e.Status == alert.Folded {
		if err := into.UnmarshalText([]byte(e.Into)); err != nil {
			return err
		}
	}
	e.N = s.changes + 1
	if err := insertEvent(tx, tenant, id, e); err != nil {
		return err
	}
	if err := decidedAlert(tx, tenant, id, s.Event, e); err != nil {
		return err
	}
	_, err = tx.Exec("UPDATE alerts SET status = ?, rule = ?, rules_no = ?, outcome = ?, verdict = ?, into_id = ?, changes = ? WHERE id = ?",
		string(e.Status), e.Rule, e.RulesNo, e.Outcome, e.Verdict, int64(into), e.N, int64(id))
	if err != nil || into == s.into {
		return err
	}
	if s.into != 0 {
		_, err = AddFolded(tx, s.into, -1, time.Time{})
	}
	if err == nil && into != 0 {
		_, err = AddFolded(tx, into, 1, e.At)
	}
	return err
}

func insertEvent(tx *Tx, tenant string, id alert.ID, e alert.Event) error {
	_, err := tx.Exec(`INSERT INTO alert_history (tenant, alert_id, n, at, by_whom, status, rule, rules_no, outcome, verdict, into_ref)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		tenant, int64(id), e.N, e.At, e.By, string(e.Status), e.Rule, e.RulesNo, e.Outcome, e.Verdict, e.Into)
	return err
}

// AlertHistory tells how an alert came to stand as it does, the oldest entry
// first: fault.NotFound if there is none in the tenant.
func AlertHistory(q *Reader, tenant string, id alert.ID) ([]alert.Event, error) {
	s, err := standingOf(q, tenant, id)
	if err != nil {
		return nil, fmt.Errorf("read the history of alert %s: %w", id, err)
	}
	if s.changes == 0 {
		return []alert.Event{s.coming()}, nil
	}
	list, err := all(q, func(r *Rows, e *alert.Event) error {
		return r.Scan(&e.N, &e.At, &e.By, &e.Status, &e.Rule, &e.RulesNo, &e.Outcome, &e.Verdict, &e.Into)
	}, `SELECT n, at, by_whom, status, rule, rules_no, outcome, verdict, into_ref FROM alert_history WHERE alert_id = ? ORDER BY n`, int64(id))
	if err != nil {
		return nil, fmt.Errorf("read the history of alert %s: %w", id, err)
	}
	return list, nil
}

// byText says who or what acted, as the history of an alert does.
func byText(by cases.By) string { return string(by.Kind) + ":" + by.Name }

// movedByCase keeps that a case took an alert in or let it go; into is the case
// that it is in then. A rule that has just decided so needs no entry: the
// alert's row says it.
func movedByCase(tx *Tx, c cases.Case, id alert.ID, entries []cases.Entry, to alert.Status, into cases.ID, what string) error {
	var by cases.By
	at := c.Updated
	if len(entries) > 0 {
		by, at = entries[0].By, entries[0].At
	}
	s, err := standingOf(&tx.Reader, c.Tenant, id)
	switch {
	case errors.Is(err, ErrNoRow):
		return fmt.Errorf("alert %s is not there: %w", id, err)
	case err != nil:
		return err
	case to == s.Status && by.Kind == cases.ByRule:
		return nil
	case to == alert.New && s.Status != alert.InCase: // closed or dropped meanwhile: it stays so
		return nil
	}
	e := alert.Event{At: at, By: byText(by), Status: to, Outcome: what}
	if into != 0 {
		e.Into = into.String()
	}
	return moveAlert(tx, c.Tenant, id, e)
}

// Place is a place among the alerts of a tenant in the order in which they came.
type Place struct {
	Received time.Time
	ID       alert.ID
}

// AlertsSince reads alerts received in a time, behind a place, in the order in
// which they came. next is the place of the last.
func AlertsSince(q *Reader, tenant string, from, until time.Time, behind Place, limit int) (list []alert.Alert, next Place, err error) {
	if behind.Received.Before(from) {
		behind = Place{from, -1}
	}
	list, err = all(q, func(r *Rows, a *alert.Alert) error { return scanAlert(a, r.Scan) },
		"SELECT "+alertColumns+` FROM alerts WHERE tenant = ? AND received < ? AND (received, id) > (?, ?)
		ORDER BY received, id LIMIT ?`, tenantOf(tenant), until, behind.Received, int64(behind.ID), limit)
	if err != nil {
		return nil, behind, fmt.Errorf("read the alerts since %s: %w", from.UTC().Format(time.RFC3339), err)
	}
	if len(list) > 0 {
		last := &list[len(list)-1]
		behind = Place{last.Received, last.ID}
	}
	return list, behind, nil
}

// NewestBut finds the place behind which the newest n alerts of a tenant come;
// the zero place where there are no more than n.
func NewestBut(q *Reader, tenant string, n int) (p Place, err error) {
	err = q.QueryRow("SELECT received, id FROM alerts WHERE tenant = ? ORDER BY received DESC, id DESC LIMIT 1 OFFSET ?", tenantOf(tenant), n).
		Scan(&p.Received, &p.ID)
	if isNoRow(err) {
		return Place{}, nil
	}
	if err != nil {
		return p, fmt.Errorf("find the newest alerts: %w", err)
	}
	return p, nil
}
