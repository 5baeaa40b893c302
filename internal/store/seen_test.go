package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/alert"
)

func TestRecordsThatASourceGaveBeforeAreKnown(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		meet := func(source string, at time.Time, keys ...string) (before []bool) {
			write(t, d, func(tx *Tx) (err error) {
				before, err = MeetKeys(tx, "", source, keys, at)
				return err
			})
			return before
		}
		want := func(got []bool, want ...bool) {
			t.Helper()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
		want(meet("a", noon, "1", "2", "1", "", ""), false, false, true, false, false)
		want(meet("a", noon, "2", "3"), true, false)
		want(meet("b", noon, "2"), false)
		var many []string
		for i := range 100 {
			many = append(many, fmt.Sprint(i))
		}
		got := meet("a", noon.Add(2*time.Hour), many...)
		for i, before := range got {
			if before != (i >= 1 && i <= 3) {
				t.Errorf("%d: %v", i, before)
			}
		}
		// What was given again later is remembered from then.
		write(t, d, func(tx *Tx) error { return ForgetKeys(tx, "", "a", noon.Add(time.Hour)) })
		want(meet("a", noon.Add(2*time.Hour), "1"), true)
		write(t, d, func(tx *Tx) error { return ForgetKeys(tx, "", "a", noon.Add(3*time.Hour)) })
		want(meet("a", noon.Add(3*time.Hour), "1"), false)
	})
}

func TestBlobsOfAnAlertGoWithIt(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		write(t, d, func(tx *Tx) error {
			a := alert.Alert{Source: "mail", IdentityKey: "1", Title: "x", Received: noon}
			if _, err := InsertAlert(tx, &a); err != nil {
				return err
			}
			return KeepBlobs(tx, a.ID, []string{"aa", "bb", "aa"})
		})
		held := func() (n int) {
			read(t, d, func(q *Reader) error {
				list, err := AlertBlobs(q)
				n = len(list)
				return err
			})
			return n
		}
		if n := held(); n != 2 {
			t.Errorf("%d blobs, want 2", n)
		}
		if _, err := d.Sweep(t.Context(), noon.Add(time.Hour), Keep{Alerts: time.Minute}); err != nil {
			t.Fatal(err)
		}
		if n := held(); n != 0 {
			t.Errorf("%d blobs are left without their alert", n)
		}
	})
}
