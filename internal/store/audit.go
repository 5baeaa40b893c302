package store

import (
	"context"
	"fmt"

	"riposte/internal/audit"
)

// AppendAudit puts an entry behind the audit log and returns its new head.
func AppendAudit(tx *Tx, e audit.Entry) (audit.Head, error) {
	e.Tenant = tenantOf(e.Tenant)
	head, err := AuditHead(&tx.Reader)
	if err != nil {
		return head, err
	}
	l, err := audit.Next(head, e)
	if err != nil {
		return head, err
	}
	_, err = tx.Exec("INSERT INTO audit (seq, tenant, at, who, act, object, body, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		l.Seq, e.Tenant, e.At, e.Who, e.Act, e.Object, string(l.Body), l.Hash[:])
	if err != nil {
		return head, fmt.Errorf("append to the audit log: %w", err)
	}
	return audit.Head{Seq: l.Seq, Hash: l.Hash}, nil
}

// AuditHead returns the end of the audit log, the zero Head of an empty one.
func AuditHead(q *Reader) (h audit.Head, err error) {
	var hash []byte
	err = q.QueryRow("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").Scan(&h.Seq, &hash)
	if isNoRow(err) {
		return audit.Head{}, nil
	}
	if err != nil {
		return h, fmt.Errorf("read the end of the audit log: %w", err)
	}
	copy(h.Hash[:], hash)
	return h, nil
}

func scanAudit(r *Rows, l *audit.Link) error {
	var hash []byte
	if err := r.Scan(&l.Seq, &l.Body, &hash); err != nil {
		return err
	}
	copy(l.Hash[:], hash)
	return nil
}

// VerifyAudit goes through the whole audit log. kept is a head that was kept
// elsewhere, the zero Head for none. It returns the head, and fault.Conflict
// where the log is not what was written.
func (d *DB) VerifyAudit(ctx context.Context, kept audit.Head) (audit.Head, error) {
	var v audit.Verifier
	for {
		var some []audit.Link
		err := d.Read(ctx, func(q *Reader) (err error) {
			some, err = all(q, scanAudit, "SELECT seq, body, hash FROM audit WHERE seq > ? ORDER BY seq LIMIT 1000", v.Head.Seq)
			return err
		})
		if err != nil {
			return v.Head, fmt.Errorf("read the audit log: %w", err)
		}
		for _, l := range some {
			if err := v.Add(l); err != nil {
				return v.Head, err
			}
			if err := v.Passes(kept, false); err != nil {
				return v.Head, err
			}
		}
		if len(some) < 1000 {
			return v.Head, v.Passes(kept, true)
		}
	}
}

// AuditFilter narrows a list of audit entries. Zero values do not.
type AuditFilter struct {
	Who    string
	Object string
	Act    string
}

// ListAudit lists entries of a tenant, the newest first.
func ListAudit(q *Reader, tenant string, f AuditFilter, s Slice) (Page[audit.Link], error) {
	l := &listing{name: "audit", table: "audit", sort: "seq", id: "seq"}
	tenant = tenantOf(tenant)
	switch {
	case f.Object != "":
		l.ranges = []clause{{"tenant = ? AND object = ?", []any{tenant, f.Object}}}
		if f.Who != "" {
			l.filter("who = ?", f.Who)
		}
	case f.Who != "":
		l.ranges = []clause{{"tenant = ? AND who = ?", []any{tenant, f.Who}}}
	default:
		l.ranges = []clause{{"tenant = ?", []any{tenant}}}
	}
	if f.Act != "" {
		l.filter("act = ?", f.Act)
	}
	return page(q, l, s, func(q *Reader, id int64) (a audit.Link, err error) {
		var hash []byte
		err = q.QueryRow("SELECT seq, body, hash FROM audit WHERE seq = ?", id).Scan(&a.Seq, &a.Body, &hash)
		copy(a.Hash[:], hash)
		return a, err
	})
}
