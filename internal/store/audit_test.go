package store

import (
	"context"
	"errors"
	"testing"

	"riposte/internal/audit"
	"riposte/internal/fault"
)

func TestTheAuditLogShowsWhenItWasTouched(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		ctx := context.Background()
		if head, err := d.VerifyAudit(ctx, audit.Head{}); err != nil || head.Seq != 0 {
			t.Errorf("an empty log: %v, %v", head, err)
		}
		var kept audit.Head
		const n = 1200 // more than one read takes
		write(t, d, func(tx *Tx) (err error) {
			for i := range n {
				who := "ana"
				if i%3 == 0 {
					who = "bob"
				}
				if kept, err = AppendAudit(tx, audit.Entry{At: noon, Who: who, Act: "case.close", Object: "C-1", Outcome: audit.Done}); err != nil {
					return err
				}
			}
			return nil
		})
		if head, err := d.VerifyAudit(ctx, kept); err != nil || head != kept {
			t.Errorf("got %v, %v, want %v", head, err, kept)
		}
		bobs := walk(t, d, 100, func(q *Reader, s Slice) (Page[audit.Link], error) {
			return ListAudit(q, "", AuditFilter{Who: "bob"}, s)
		})
		if len(bobs) != n/3 || bobs[0].Seq != n-2 {
			t.Errorf("%d entries of bob, the first is %d", len(bobs), bobs[0].Seq)
		}
		for _, f := range []AuditFilter{{}, {Who: "bob", Object: "C-1", Act: "case.close"}, {Act: "x"}} {
			plans(t, d, func(q *Reader) error { _, err := ListAudit(q, "", f, Slice{}); return err })
		}
		for _, touch := range []string{
			"DELETE FROM audit WHERE seq = 1200",
			"UPDATE audit SET body = replace(body, 'ana', 'eve') WHERE seq = 1100",
			"DELETE FROM audit WHERE seq = 3",
		} {
			write(t, d, func(tx *Tx) error { _, err := tx.Exec(touch); return err })
			if _, err := d.VerifyAudit(ctx, kept); !errors.Is(err, fault.Conflict) {
				t.Errorf("after %s: %v, want fault.Conflict", touch, err)
			}
		}
	})
}
