package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"riposte/internal/fault"
	"riposte/internal/run"
)

// Journal keeps the histories of runs and what is derived from them. It is what
// the engine asks of a store. Its methods that take a transaction (a *Tx) must
// be called on the writer's goroutine.
type Journal struct {
	db      *DB
	next    int64                  // the writer's goroutine only; 0: not known yet
	inserts [appendRows + 1]string // by number of records
}

// Journal gives the journal of a database, always the same.
func (d *DB) Journal() *Journal { return &d.journal }

// journalTx is the transaction behind what the engine hands on.
func journalTx(tx any) *Tx { return tx.(*Tx) }

// Submit queues a job for the writer. It never blocks.
func (j *Journal) Submit(do func(tx any) error, done func(err error)) {
	job := Job{Do: func(tx *Tx) error { return do(tx) }, Done: done}
	if j.db.offer(job) {
		return
	}
	go func() { // the queue is full: wait for room elsewhere
		if err := j.db.Submit(job); err != nil {
			done(err)
		}
	}()
}

// offer queues a job if there is room.
func (d *DB) offer(j Job) bool {
	d.closing.RLock()
	defer d.closing.RUnlock()
	if d.closed {
		return false
	}
	select {
	case d.queue <- j:
		return true
	default:
		return false
	}
}

// appendRows is how many records one statement writes at most.
const appendRows = 32

func (j *Journal) insert(n int) string {
	if j.inserts[n] == "" {
		j.inserts[n] = "INSERT INTO journal (seq, tenant, run, prev, data) VALUES (?, ?, ?, ?, ?)" +
			strings.Repeat(", (?, ?, ?, ?, ?)", n-1)
	}
	return j.inserts[n]
}

// Append writes records at the end of the journal and sets their Seq.
func (j *Journal) Append(tx any, records []*run.Record) error {
	t := journalTx(tx)
	if j.next == 0 {
		end, _, err := marks(&t.Reader)
		if err != nil {
			return err
		}
		j.next = end + 1
	}
	var args []any
	for len(records) > 0 {
		n := min(len(records), appendRows)
		args = args[:0]
		for _, r := range records[:n] {
			r.Seq = j.next
			j.next++
			args = append(args, r.Seq, tenantOf(r.Tenant), r.Run, r.Prev, r.Data)
		}
		if _, err := t.Exec(j.insert(n), args...); err != nil {
			return fmt.Errorf("append to the journal: %w", err)
		}
		records = records[n:]
	}
	return nil
}

// NextRun gives out a run ID.
func (j *Journal) NextRun(tx any) (run.ID, error) {
	id, err := NextID(journalTx(tx), Runs)
	return run.ID(id), err
}

// Claim binds a key to a run, once and for all, and returns the run that it is
// bound to.
func (j *Journal) Claim(tx any, tenant, key string, id run.ID) (run.ID, error) {
	t := journalTx(tx)
	n, err := t.Exec("INSERT INTO run_keys (tenant, key, run) VALUES (?, ?, ?) ON CONFLICT (tenant, key) DO NOTHING", tenantOf(tenant), key, id)
	if err == nil && n == 0 { // it is bound already
		err = t.QueryRow("SELECT run FROM run_keys WHERE tenant = ? AND key = ?", tenantOf(tenant), key).Scan(&id)
	}
	if err != nil {
		return 0, fmt.Errorf("claim %q: %w", key, err)
	}
	return id, nil
}

// Claims lists the runs bound to keys that begin with prefix, by key.
func (j *Journal) Claims(ctx context.Context, tenant, prefix string) (ids []run.ID, err error) {
	err = j.db.Read(ctx, func(q *Reader) error {
		ids = nil
		// The character after the last one of a key is higher than any key has.
		rows, err := q.Query("SELECT run FROM run_keys WHERE tenant = ? AND key >= ? AND key < ? ORDER BY key", tenantOf(tenant), prefix, prefix+"\U0010FFFF")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id run.ID
			if err := rows.Scan(&id); err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return rows.Err()
	})
	return ids, err
}

// Tail calls f for every record behind after, up to upTo, in order.
func (j *Journal) Tail(ctx context.Context, after, upTo int64, f func(run.Record) error) error {
	return j.db.Read(ctx, func(q *Reader) error {
		rows, err := q.Query("SELECT seq, tenant, run, prev, data FROM journal WHERE seq > ? AND seq <= ? ORDER BY seq", after, upTo)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r, err := scanRecord(rows)
			if err != nil {
				return err
			}
			if err := f(r); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

type scanner interface{ Scan(into ...any) error }

func scanRecord(s scanner) (r run.Record, err error) {
	err = s.Scan(&r.Seq, &r.Tenant, &r.Run, &r.Prev, &r.Data)
	return r, err
}

// History reads the records of a run backwards from last, down to the one
// behind after, and returns them oldest first. It is empty where last is not
// there.
func (j *Journal) History(ctx context.Context, last, after int64) (list []run.Record, err error) {
	err = j.db.Read(ctx, func(q *Reader) error {
		list = nil
		for seq := last; seq > after; {
			r, err := scanRecord(q.QueryRow("SELECT seq, tenant, run, prev, data FROM journal WHERE seq = ?", seq))
			if errors.Is(err, fault.NotFound) && len(list) == 0 {
				return nil
			}
			if err != nil {
				return fmt.Errorf("read record %d of the journal: %w", seq, err)
			}
			list = append(list, r)
			seq = r.Prev
		}
		return nil
	})
	for a, b := 0, len(list)-1; a < b; a, b = a+1, b-1 {
		list[a], list[b] = list[b], list[a]
	}
	return list, err
}

// Mark tells where the journal ends and where recovery begins.
func (j *Journal) Mark(ctx context.Context) (end, checkpoint int64, err error) {
	err = j.db.Read(ctx, func(q *Reader) (err error) {
		end, checkpoint, err = marks(q)
		return err
	})
	return end, checkpoint, err
}

func marks(q *Reader) (end, checkpoint int64, err error) {
	var last int64
	err = q.QueryRow(`SELECT coalesce((SELECT seq FROM journal ORDER BY seq DESC LIMIT 1), 0),
		coalesce((SELECT seq FROM journal_marks WHERE name = 'end'), 0),
		coalesce((SELECT seq FROM journal_marks WHERE name = 'checkpoint'), 0)`).Scan(&last, &end, &checkpoint)
	if err != nil {
		err = fmt.Errorf("read where the journal ends: %w", err)
	}
	return max(last, end), checkpoint, err
}

// Checkpoint moves the place where recovery begins.
func (j *Journal) Checkpoint(tx any, seq int64) error {
	return setMark(journalTx(tx), "checkpoint", seq)
}

func setMark(t *Tx, name string, seq int64) error {
	_, err := t.Exec(`INSERT INTO journal_marks (name, seq) VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET seq = excluded.seq`, name, seq)
	return err
}

// SaveSnapshots writes or replaces snapshots.
func (j *Journal) SaveSnapshots(tx any, list []run.Snapshot) error {
	t := journalTx(tx)
	for i := range list {
		s := &list[i]
		_, err := t.Exec(`INSERT INTO run_snapshots (run, tenant, seq, wake, active, state) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (run) DO UPDATE SET seq = excluded.seq, wake = excluded.wake, active = excluded.active, state = excluded.state`,
			s.Run, tenantOf(s.Tenant), s.Seq, s.Wake, s.Active, s.State)
		if err != nil {
			return fmt.Errorf("save the snapshot of %s: %w", s.Run, err)
		}
	}
	return nil
}

// DropSnapshot deletes a snapshot, if it is there.
func (j *Journal) DropSnapshot(tx any, id run.ID) error {
	_, err := journalTx(tx).Exec("DELETE FROM run_snapshots WHERE run = ?", id)
	return err
}

// Snapshot reads one.
func (j *Journal) Snapshot(ctx context.Context, id run.ID) (s run.Snapshot, ok bool, err error) {
	err = j.db.Read(ctx, func(q *Reader) error {
		s = run.Snapshot{Run: id}
		err := q.QueryRow("SELECT tenant, seq, wake, active, state FROM run_snapshots WHERE run = ?", id).
			Scan(&s.Tenant, &s.Seq, &s.Wake, &s.Active, &s.State)
		if errors.Is(err, fault.NotFound) {
			return nil
		}
		ok = err == nil
		return err
	})
	return s, ok, err
}

// Snapshots calls f for every snapshot.
func (j *Journal) Snapshots(ctx context.Context, f func(run.Snapshot) error) error {
	return j.db.Read(ctx, func(q *Reader) error {
		rows, err := q.Query("SELECT run, tenant, seq, wake, active, state FROM run_snapshots ORDER BY run")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var s run.Snapshot
			if err := rows.Scan(&s.Run, &s.Tenant, &s.Seq, &s.Wake, &s.Active, &s.State); err != nil {
				return err
			}
			if err := f(s); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// Active lists the runs whose snapshot was taken while they were at work.
func (j *Journal) Active(ctx context.Context) (ids []run.ID, err error) {
	err = j.db.Read(ctx, func(q *Reader) error {
		ids = nil
		rows, err := q.Query("SELECT run FROM run_snapshots WHERE active = 1 ORDER BY run")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id run.ID
			if err := rows.Scan(&id); err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return rows.Err()
	})
	return ids, err
}

// Wakes lists waiting runs in the order in which they are due.
func (j *Journal) Wakes(ctx context.Context, after run.Wake, until time.Time, limit int) (list []run.Wake, err error) {
	err = j.db.Read(ctx, func(q *Reader) error {
		list = make([]run.Wake, 0, min(limit, 256))
		rows, err := q.Query(`SELECT wake, run FROM run_snapshots
			WHERE wake > 0 AND (wake, run) > (?, ?) AND wake <= ? ORDER BY wake, run LIMIT ?`,
			after.At, after.Run, until, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var w run.Wake
			if err := rows.Scan(&w.At, &w.Run); err != nil {
				return err
			}
			list = append(list, w)
		}
		return rows.Err()
	})
	return list, err
}

// Send stores mail and sets its ID.
func (j *Journal) Send(tx any, m *run.Mail) error {
	t := journalTx(tx)
	id, err := NextID(t, mailIDs)
	if err != nil {
		return err
	}
	m.ID = id
	_, err = t.Exec("INSERT INTO run_mail (id, tenant, run, data) VALUES (?, ?, ?, ?)", id, tenantOf(m.Tenant), m.To, m.Data)
	return err
}

const mailIDs Kind = "mail"

// Received deletes mail.
func (j *Journal) Received(tx any, id int64) error {
	_, err := journalTx(tx).Exec("DELETE FROM run_mail WHERE id = ?", id)
	return err
}

// Mail lists everything not yet received.
func (j *Journal) Mail(ctx context.Context) (list []run.Mail, err error) {
	err = j.db.Read(ctx, func(q *Reader) error {
		list = nil
		rows, err := q.Query("SELECT id, tenant, run, data FROM run_mail ORDER BY id")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var m run.Mail
			if err := rows.Scan(&m.ID, &m.Tenant, &m.To, &m.Data); err != nil {
				return err
			}
			list = append(list, m)
		}
		return rows.Err()
	})
	return list, err
}

// Rates reads when the calls of every rate left.
func (j *Journal) Rates(ctx context.Context) (rates map[string][]time.Time, err error) {
	err = j.db.Read(ctx, func(q *Reader) error {
		rates = map[string][]time.Time{}
		rows, err := q.Query("SELECT key, times FROM run_rates")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var key string
			var b []byte
			if err := rows.Scan(&key, &b); err != nil {
				return err
			}
			var times []time.Time
			for ; len(b) >= 8; b = b[8:] {
				times = append(times, clock(int64(binary.BigEndian.Uint64(b))))
			}
			rates[key] = times
		}
		return rows.Err()
	})
	return rates, err
}

// SaveRate replaces when the calls of a rate left.
func (j *Journal) SaveRate(tx any, tenant, key string, times []time.Time) error {
	b := make([]byte, 0, 8*len(times))
	for _, t := range times {
		b = binary.BigEndian.AppendUint64(b, uint64(micros(t)))
	}
	_, err := journalTx(tx).Exec(`INSERT INTO run_rates (key, tenant, times) VALUES (?, ?, ?)
		ON CONFLICT (key) DO UPDATE SET times = excluded.times`, key, tenantOf(tenant), b)
	return err
}

// Remove deletes a run: its records, snapshot, summary and keys.
func (j *Journal) Remove(tx any, id run.ID, last int64) error {
	t := journalTx(tx)
	end, _, err := marks(&t.Reader)
	if err != nil {
		return err
	}
	// Numbers are never given out twice, also when the newest record goes.
	if err := setMark(t, "end", end); err != nil {
		return err
	}
	for seq := last; seq > 0; {
		var prev int64
		var owner run.ID
		err := t.QueryRow("SELECT prev, run FROM journal WHERE seq = ?", seq).Scan(&prev, &owner)
		if errors.Is(err, fault.NotFound) || err == nil && owner != id {
			break
		}
		if err != nil {
			return fmt.Errorf("remove run %s: %w", id, err)
		}
		if _, err := t.Exec("DELETE FROM journal WHERE seq = ?", seq); err != nil {
			return fmt.Errorf("remove run %s: %w", id, err)
		}
		seq = prev
	}
	for _, text := range []string{
		"DELETE FROM run_snapshots WHERE run = ?", "DELETE FROM runs WHERE id = ?", "DELETE FROM run_keys WHERE run = ?",
	} {
		if _, err := t.Exec(text, id); err != nil {
			return fmt.Errorf("remove run %s: %w", id, err)
		}
	}
	return nil
}
