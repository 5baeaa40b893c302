package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/connector"
	"riposte/internal/guard"
)

func override(tenant, ip string, until time.Duration) guard.Override {
	return guard.Override{
		Tenant: tenant, Action: "firewall.block_ip", Target: connector.Target{Kind: "ip", Value: ip},
		By: "ana", Reason: "it is \"ours\", and abused\u2028", Until: noon.Add(until),
	}
}

func overrides(t *testing.T, d *DB, at time.Time) (list []guard.Override) {
	t.Helper()
	read(t, d, func(q *Reader) (err error) { list, err = Overrides(q, at); return err })
	return list
}

func TestAnOverrideLastsUntilItIsUsedOrOver(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		given := []guard.Override{override("", "192.0.2.7", time.Hour), override("north", "192.0.2.7", 2*time.Hour), override("", "192.0.2.7", 3*time.Hour)}
		for i := range given {
			write(t, d, func(tx *Tx) error { return PutOverride(tx, &given[i], noon) })
			if i > 0 && given[i].ID <= given[i-1].ID {
				t.Errorf("override %d has the ID %d after %d", i, given[i].ID, given[i-1].ID)
			}
		}
		if diff := cmp.Diff(given, overrides(t, d, noon)); diff != "" {
			t.Errorf("all of them, as they were given:\n%s", diff)
		}
		// At its last moment it is over: the guard thinks so too.
		if diff := cmp.Diff(given[1:], overrides(t, d, noon.Add(time.Hour))); diff != "" {
			t.Errorf("after an hour:\n%s", diff)
		}
		write(t, d, func(tx *Tx) error { return DropOverride(tx, given[1].ID) })
		write(t, d, func(tx *Tx) error { return DropOverride(tx, given[1].ID) }) // it was used; nothing is left to use up
		if diff := cmp.Diff(given[2:], overrides(t, d, noon.Add(time.Hour))); diff != "" {
			t.Errorf("after one was used:\n%s", diff)
		}
		if left := overrides(t, d, noon.Add(3*time.Hour)); len(left) != 0 {
			t.Errorf("when all are over: %+v", left)
		}
	})
}

func TestOverridesThatAreOverGoWhenAnotherIsGiven(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		old, next := override("", "192.0.2.7", time.Hour), override("", "192.0.2.8", 3*time.Hour)
		write(t, d, func(tx *Tx) error { return PutOverride(tx, &old, noon) })
		write(t, d, func(tx *Tx) error { return PutOverride(tx, &next, noon.Add(2*time.Hour)) })
		if diff := cmp.Diff([]guard.Override{next}, overrides(t, d, noon)); diff != "" {
			t.Errorf("what is kept:\n%s", diff)
		}
	})
}

func TestAnOverrideOfARefusedTransactionIsNotGiven(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		o := override("", "192.0.2.7", time.Hour)
		wantErr(t, d, ErrStale, func(tx *Tx) error {
			if err := PutOverride(tx, &o, noon); err != nil {
				return err
			}
			return ErrStale
		})
		if left := overrides(t, d, noon); len(left) != 0 {
			t.Errorf("%+v", left)
		}
	})
}
