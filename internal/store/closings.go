package store

import (
	"fmt"
	"time"

	"riposte/internal/alert"
)

// ClosingRule is the state of a rule that closes alerts by itself.
type ClosingRule struct {
	Tenant, Rule string
	Salt         []byte    // the key by which its sample is drawn
	Stopped      time.Time // zero: it works
	Why          string    // it was stopped
	Started      time.Time // decisions of people before do not count
	Who          string    // who started it
}

// ClosingRules lists the rules that are known.
func ClosingRules(q *Reader) ([]ClosingRule, error) {
	list, err := all(q, func(r *Rows, c *ClosingRule) error {
		return r.Scan(&c.Tenant, &c.Rule, &c.Salt, &c.Stopped, &c.Why, &c.Started, &c.Who)
	}, "SELECT tenant, rule, salt, stopped, why, started, who FROM closing_rules ORDER BY tenant, rule")
	if err != nil {
		return nil, fmt.Errorf("list closing rules: %w", err)
	}
	return list, nil
}

// PutClosingRule writes the state of a rule.
func PutClosingRule(tx *Tx, c *ClosingRule) error {
	_, err := tx.Exec(`INSERT INTO closing_rules (tenant, rule, salt, stopped, why, started, who) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, rule) DO UPDATE SET stopped = excluded.stopped, why = excluded.why, started = excluded.started, who = excluded.who`,
		tenantOf(c.Tenant), c.Rule, c.Salt, c.Stopped, c.Why, c.Started, c.Who)
	if err != nil {
		return fmt.Errorf("write closing rule %s: %w", c.Rule, err)
	}
	return nil
}

// ClosingAct is what a closing rule did with one alert, and what a person said.
type ClosingAct struct {
	Tenant, Rule string
	Alert        alert.ID
	At           time.Time
	Sampled      bool      // left to a person
	Decided      time.Time // when a person had a word; zero: nobody had
	Verdict      string    // theirs
	Disagree     bool
	Who          string
}

const closingColumns = "tenant, rule, alert_id, at, sampled, decided, verdict, disagree, who"

func scanClosing(r *Rows, c *ClosingAct) error {
	return r.Scan(&c.Tenant, &c.Rule, &c.Alert, &c.At, &c.Sampled, &c.Decided, &c.Verdict, &c.Disagree, &c.Who)
}

// KeepClosing stores what a rule did with an alert.
func KeepClosing(tx *Tx, c *ClosingAct) error {
	_, err := tx.Exec("INSERT INTO closings ("+closingColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, rule, alert_id) DO NOTHING",
		tenantOf(c.Tenant), c.Rule, int64(c.Alert), c.At, number(c.Sampled), c.Decided, c.Verdict, number(c.Disagree), c.Who)
	if err != nil {
		return fmt.Errorf("keep what rule %s did: %w", c.Rule, err)
	}
	return nil
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// ClosingsOf lists what rules did with an alert.
func ClosingsOf(q *Reader, id alert.ID) ([]ClosingAct, error) {
	list, err := all(q, scanClosing, "SELECT "+closingColumns+" FROM closings WHERE alert_id = ? ORDER BY rule", int64(id))
	if err != nil {
		return nil, fmt.Errorf("read what rules did with alert %s: %w", id, err)
	}
	return list, nil
}

// DecideClosing keeps what a person said of what a rule did.
func DecideClosing(tx *Tx, c *ClosingAct) error {
	_, err := tx.Exec("UPDATE closings SET decided = ?, verdict = ?, disagree = ?, who = ? WHERE tenant = ? AND rule = ? AND alert_id = ?",
		c.Decided, c.Verdict, number(c.Disagree), c.Who, tenantOf(c.Tenant), c.Rule, int64(c.Alert))
	if err != nil {
		return fmt.Errorf("keep what a person said of rule %s: %w", c.Rule, err)
	}
	return nil
}

// ClosingCount is what a rule did and what people said of it, from a time on.
type ClosingCount struct {
	Closed   int // by the rule
	Sampled  int // left to a person
	Samples  int // of these, decided
	Disagree int // people said otherwise, or opened again what the rule closed
	Waiting  int // of the sample, nobody has had a word yet
}

// CountClosings counts what a rule did from a time on, and what people said from
// then on.
func CountClosings(q *Reader, tenant, rule string, from time.Time) (c ClosingCount, err error) {
	err = q.QueryRow(`SELECT COUNT(CASE WHEN sampled = 0 THEN 1 END), COUNT(CASE WHEN sampled = 1 THEN 1 END),
			COUNT(CASE WHEN sampled = 1 AND decided = 0 THEN 1 END)
		FROM closings WHERE tenant = ? AND rule = ? AND at >= ?`, tenantOf(tenant), rule, from).Scan(&c.Closed, &c.Sampled, &c.Waiting)
	if err == nil {
		err = q.QueryRow(`SELECT COUNT(CASE WHEN sampled = 1 THEN 1 END), COUNT(CASE WHEN disagree = 1 THEN 1 END)
			FROM closings WHERE tenant = ? AND rule = ? AND decided >= ? AND decided > 0`, tenantOf(tenant), rule, from).Scan(&c.Samples, &c.Disagree)
	}
	if err != nil {
		return c, fmt.Errorf("count what rule %s did: %w", rule, err)
	}
	return c, nil
}

// ClosedBy lists the alerts that a rule closed from a time on, the last first.
func ClosedBy(q *Reader, tenant, rule string, from time.Time, s Slice) (Page[alert.Alert], error) {
	l := &listing{
		name: "closed-by", table: "closings", sort: "at", id: "alert_id",
		ranges: []clause{{"tenant = ? AND rule = ? AND at >= ?", []any{tenantOf(tenant), rule, from}}},
	}
	l.filter("sampled = 0")
	return page(q, l, s, func(q *Reader, id int64) (a alert.Alert, err error) {
		err = scanAlert(&a, q.QueryRow("SELECT "+alertColumns+" FROM alerts WHERE id = ?", id).Scan)
		a.Raw = nil
		return a, err
	})
}
