package store

import (
	"fmt"
	"time"

	"riposte/internal/fault"
	"riposte/internal/id"
)

// AlarmID names an alarm. Its text form is AL-12.
type AlarmID int64

func (i AlarmID) String() string { return id.Format("AL", int64(i)) }

// Alarm is something that people must know until its cause is gone.
type Alarm struct {
	ID       AlarmID // 0: not stored yet
	Tenant   string
	Kind     string
	Subject  string // what it is about; "": the whole installation
	Message  string
	Since    time.Time
	Last     time.Time // when it was raised last
	Times    int       // how often since
	Ended    time.Time // zero: it is open
	SeenBy   string    // who acknowledged it
	SeenAt   time.Time
	SeenNote string
}

const alarmColumns = "id, tenant, kind, subject, message, since, last, times, ended, seen_by, seen_at, note"

func scanAlarm(a *Alarm, scan func(into ...any) error) error {
	return scan(&a.ID, &a.Tenant, &a.Kind, &a.Subject, &a.Message, &a.Since, &a.Last, &a.Times, &a.Ended, &a.SeenBy, &a.SeenAt, &a.SeenNote)
}

// PutAlarm stores an alarm. One without an ID gets the one of the open alarm of
// its kind and subject, or a new one. Who acknowledged it stays.
func PutAlarm(tx *Tx, a *Alarm) error {
	if err := putAlarm(tx, a); err != nil {
		return fmt.Errorf("store alarm %s of %q: %w", a.Kind, a.Subject, err)
	}
	return nil
}

func putAlarm(tx *Tx, a *Alarm) error {
	a.Tenant = tenantOf(a.Tenant)
	if a.ID == 0 {
		err := tx.QueryRow("SELECT id FROM alarms WHERE tenant = ? AND kind = ? AND subject = ? AND ended = 0", a.Tenant, a.Kind, a.Subject).Scan(&a.ID)
		if err != nil && !isNoRow(err) {
			return err
		}
	}
	if a.ID == 0 {
		n, err := NextID(tx, AlarmIDs)
		if err != nil {
			return err
		}
		a.ID = AlarmID(n)
	}
	_, err := tx.Exec(`INSERT INTO alarms (id, tenant, kind, subject, message, since, last, times, ended) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET message = excluded.message, last = excluded.last, times = excluded.times, ended = excluded.ended`,
		int64(a.ID), a.Tenant, a.Kind, a.Subject, a.Message, a.Since, a.Last, a.Times, a.Ended)
	return err
}

// AcknowledgeAlarm notes who has seen an alarm: fault.NotFound if there is none
// in the tenant, fault.Conflict where somebody did before or it has ended.
func AcknowledgeAlarm(tx *Tx, tenant string, n AlarmID, by, note string, at time.Time) (a Alarm, err error) {
	if a, err = AlarmOf(&tx.Reader, tenant, n); err != nil {
		return a, err
	}
	switch {
	case !a.Ended.IsZero():
		return a, fmt.Errorf("acknowledge alarm %s: it ended at %s: %w", n, a.Ended.Format(time.RFC3339), fault.Conflict)
	case a.SeenBy != "":
		return a, fmt.Errorf("acknowledge alarm %s: %s did so at %s: %w", n, a.SeenBy, a.SeenAt.Format(time.RFC3339), fault.Conflict)
	}
	a.SeenBy, a.SeenAt, a.SeenNote = by, at, note
	if _, err = tx.Exec("UPDATE alarms SET seen_by = ?, seen_at = ?, note = ? WHERE id = ?", by, at, note, int64(n)); err != nil {
		return a, fmt.Errorf("acknowledge alarm %s: %w", n, err)
	}
	return a, nil
}

// AlarmOf reads an alarm: fault.NotFound if there is none in the tenant.
func AlarmOf(q *Reader, tenant string, n AlarmID) (a Alarm, err error) {
	row := q.QueryRow("SELECT "+alarmColumns+" FROM alarms WHERE id = ? AND tenant = ?", int64(n), tenantOf(tenant))
	if err := scanAlarm(&a, row.Scan); err != nil {
		return a, fmt.Errorf("read alarm %s: %w", n, err)
	}
	return a, nil
}

// OpenAlarms lists the alarms of all tenants that have not ended, the oldest
// first.
func OpenAlarms(q *Reader) ([]Alarm, error) {
	list, err := all(q, func(r *Rows, a *Alarm) error { return scanAlarm(a, r.Scan) },
		"SELECT "+alarmColumns+" FROM alarms WHERE ended = 0 ORDER BY since, id")
	if err != nil {
		return nil, fmt.Errorf("list open alarms: %w", err)
	}
	return list, nil
}

// ListAlarms lists alarms, ended ones too, those raised last first.
func ListAlarms(q *Reader, tenant string, s Slice) (Page[Alarm], error) {
	l := &listing{name: "alarms", table: "alarms", sort: "since", id: "id", ranges: []clause{{"tenant = ?", []any{tenantOf(tenant)}}}}
	return page(q, l, s, func(q *Reader, n int64) (a Alarm, err error) {
		return a, scanAlarm(&a, q.QueryRow("SELECT "+alarmColumns+" FROM alarms WHERE id = ?", n).Scan)
	})
}

// AlarmsFor is how long alarms are kept that have ended.
const AlarmsFor = 90 * 24 * time.Hour

const sweepAlarms = `DELETE FROM alarms WHERE id IN (SELECT id FROM alarms
	WHERE ended > 0 AND ended < ? ORDER BY ended, id LIMIT ?)`
