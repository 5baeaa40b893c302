package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"riposte/internal/cases"
	"riposte/internal/fault"
	"riposte/internal/run"
)

const runColumns = `id, tenant, playbook, version, plan, status, waiting, paused, case_id, alert_id, parent, retries, undoes,
	by_whom, severity, test, started, ended, code, message, step, last`

// Project writes or replaces summaries.
func (j *Journal) Project(tx any, list []run.Summary) error {
	t := journalTx(tx)
	for i := range list {
		s := &list[i]
		_, err := t.Exec(`INSERT INTO runs (`+runColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET status = excluded.status, waiting = excluded.waiting, paused = excluded.paused,
			case_id = excluded.case_id, ended = excluded.ended, code = excluded.code, message = excluded.message,
			step = excluded.step, last = excluded.last`,
			s.Run, tenantOf(s.Tenant), s.Playbook, s.Version, s.Plan, s.Status, s.Waiting, s.Paused, s.Case, s.Alert,
			s.Parent, s.From, s.Undoes, s.By, s.Severity, s.Test, s.Started, s.Ended,
			s.Code, s.Message, s.Step, s.Last)
		if err != nil {
			return fmt.Errorf("list run %s: %w", s.Run, err)
		}
	}
	return nil
}

func scanSummary(r scanner) (s run.Summary, err error) {
	err = r.Scan(&s.Run, &s.Tenant, &s.Playbook, &s.Version, &s.Plan, &s.Status, &s.Waiting, &s.Paused, &s.Case, &s.Alert,
		&s.Parent, &s.From, &s.Undoes, &s.By, &s.Severity, &s.Test, &s.Started, &s.Ended, &s.Code, &s.Message, &s.Step, &s.Last)
	return s, err
}

// Summary reads one.
func (j *Journal) Summary(ctx context.Context, id run.ID) (s run.Summary, ok bool, err error) {
	err = j.db.Read(ctx, func(q *Reader) (err error) {
		s, err = scanSummary(q.QueryRow("SELECT "+runColumns+" FROM runs WHERE id = ?", id))
		if errors.Is(err, fault.NotFound) {
			return nil
		}
		ok = err == nil
		return err
	})
	return s, ok, err
}

// CaseOfRun is the case of a run, 0 if it has none or is no longer listed.
func CaseOfRun(q *Reader, id run.ID) (c cases.ID, err error) {
	err = q.QueryRow("SELECT case_id FROM runs WHERE id = ?", int64(id)).Scan(&c)
	if errors.Is(err, ErrNoRow) {
		return 0, nil
	}
	return c, err
}

func (j *Journal) summaries(ctx context.Context, query string, args ...any) (list []run.Summary, err error) {
	err = j.db.Read(ctx, func(q *Reader) error {
		list = nil
		rows, err := q.Query("SELECT "+runColumns+" FROM runs "+query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			s, err := scanSummary(rows)
			if err != nil {
				return err
			}
			list = append(list, s)
		}
		return rows.Err()
	})
	return list, err
}

// EndedBefore lists runs that ended before t, oldest first.
func (j *Journal) EndedBefore(ctx context.Context, t time.Time, limit int) ([]run.Summary, error) {
	return j.summaries(ctx, "WHERE ended > 0 AND ended < ? ORDER BY ended, id LIMIT ?", t, limit)
}

// Failed lists failed runs with an ID above after, in order.
func (j *Journal) Failed(ctx context.Context, f run.Filter, after run.ID, limit int) ([]run.Summary, error) {
	w := where{}
	w.and("tenant = ?", tenantOf(f.Tenant))
	w.and("status IN ('failed', 'timed_out', 'denied')")
	w.and("id > ?", after)
	w.and("undoes = 0")
	if f.Playbook != "" {
		w.and("playbook = ?", f.Playbook)
	}
	if f.Version != 0 {
		w.and("version = ?", f.Version)
	}
	if f.Code != "" {
		w.and("code = ?", f.Code)
	}
	if f.Step != "" {
		w.and("step = ?", f.Step)
	}
	if f.Message != "" {
		w.and("instr(message, ?) > 0", f.Message)
	}
	return j.summaries(ctx, w.text+" ORDER BY id LIMIT ?", append(w.args, limit)...)
}

// RunQuery selects runs for a list, newest first. Zero fields select everything.
type RunQuery struct {
	Tenant   string
	Status   run.Status
	Playbook string
	Case     int64
	Alert    int64
	Parent   run.ID
	Code     string // of the error
	Before   run.ID // the last one of the page before
	Limit    int    // 0 means 50
}

// List lists runs, newest first.
func (j *Journal) List(ctx context.Context, f RunQuery) ([]run.Summary, error) {
	w := where{}
	w.and("tenant = ?", tenantOf(f.Tenant))
	for _, c := range []struct {
		text string
		use  bool
		arg  any
	}{
		{"status = ?", f.Status != "", f.Status},
		{"playbook = ?", f.Playbook != "", f.Playbook},
		{"case_id = ?", f.Case != 0, f.Case},
		{"alert_id = ?", f.Alert != 0, f.Alert},
		{"parent = ?", f.Parent != 0, f.Parent},
		{"code = ? AND code <> ''", f.Code != "", f.Code},
		{"id < ?", f.Before != 0, f.Before},
	} {
		if c.use {
			w.and(c.text, c.arg)
		}
	}
	limit := f.Limit
	fill(&limit, 50)
	return j.summaries(ctx, w.text+" ORDER BY id DESC LIMIT ?", append(w.args, limit)...)
}

// where gathers conditions. Their texts are ours, never a caller's.
type where struct {
	text string
	args []any
}

func (w *where) and(text string, args ...any) {
	if w.text == "" {
		w.text = "WHERE " + text
	} else {
		w.text += " AND " + text
	}
	w.args = append(w.args, args...)
}
