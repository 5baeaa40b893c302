package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCountsOfASourceAddUpByMinuteAndHour(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		hour := noon.Truncate(time.Hour)
		one := SourceCounts{Source: "eve", At: hour.Add(3 * time.Minute), Received: 5, Accepted: 2, Duplicates: 1, Skipped: 1, Unread: 1, Refused: 4, Bytes: 900, Peak: 5}
		later := one
		later.At, later.Peak = hour.Add(7*time.Minute+30*time.Second), 9
		write(t, d, func(tx *Tx) error { return AddSourceCounts(tx, []SourceCounts{one, later}) })
		write(t, d, func(tx *Tx) error {
			return AddSourceCounts(tx, []SourceCounts{one, {Source: "other", At: one.At, Received: 1}})
		})
		history := func(span time.Duration, from, until time.Time) (list []SourceCounts) {
			read(t, d, func(q *Reader) (err error) { list, err = SourceHistory(q, "", "eve", span, from, until); return err })
			return list
		}
		first, second := one, later
		first.Tenant, second.Tenant = DefaultTenant, DefaultTenant
		first.Add(first)
		second.At = hour.Add(7 * time.Minute)
		if diff := cmp.Diff([]SourceCounts{first, second}, history(Minute, hour, hour.Add(time.Hour))); diff != "" {
			t.Errorf("by minute:\n%s", diff)
		}
		if diff := cmp.Diff([]SourceCounts{second}, history(Minute, hour.Add(4*time.Minute), hour.Add(8*time.Minute))); diff != "" {
			t.Errorf("a part:\n%s", diff)
		}
		sum := first
		sum.Add(second)
		sum.At = hour
		if diff := cmp.Diff([]SourceCounts{sum}, history(Hourly, hour, hour.Add(time.Hour))); diff != "" || sum.Peak != 9 || sum.Received != 15 {
			t.Errorf("by hour:\n%s", diff)
		}
		read(t, d, func(q *Reader) error {
			if at, err := LastMinute(q, "", "eve"); err != nil || !at.Equal(second.At) {
				t.Errorf("last in %s, %v", at, err)
			}
			if at, err := LastMinute(q, "", "nobody"); err != nil || !at.IsZero() {
				t.Errorf("nothing ever came: %s, %v", at, err)
			}
			return nil
		})
		if _, err := d.Sweep(t.Context(), hour.Add(MinutesFor+5*time.Minute), Keep{}); err != nil {
			t.Fatal(err)
		}
		if left := history(Minute, hour, hour.Add(time.Hour)); len(left) != 1 || !left[0].At.Equal(second.At) {
			t.Errorf("minutes after eight days: %+v", left)
		}
		if left := history(Hourly, hour, hour.Add(time.Hour)); len(left) != 1 {
			t.Errorf("hours stay: %+v", left)
		}
	})
}

func TestACheckOfTheSameSpanReplacesTheOneBefore(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		c := SourceCheck{Tenant: DefaultTenant, Source: "edr", From: noon, Until: noon.Add(time.Hour), Told: 10, Came: 8, Checked: noon.Add(2 * time.Hour)}
		again := c
		again.Came, again.By = 10, "ana"
		next := c
		next.From, next.Until = noon.Add(time.Hour), noon.Add(2*time.Hour)
		write(t, d, func(tx *Tx) error {
			for _, c := range []SourceCheck{c, next, again} {
				if err := PutSourceCheck(tx, c); err != nil {
					return err
				}
			}
			return nil
		})
		read(t, d, func(q *Reader) error {
			list, err := SourceChecks(q, "", "edr", 10)
			if diff := cmp.Diff([]SourceCheck{next, again}, list); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
			return nil
		})
	})
}

func TestFiguresOfSourcesGoThroughNoTable(t *testing.T) {
	d := open(t, Options{})
	plans(t, d, func(q *Reader) error {
		if _, err := SourceHistory(q, "", "eve", Minute, noon, noon.Add(time.Hour)); err != nil {
			return err
		}
		if _, err := LastMinute(q, "", "eve"); err != nil {
			return err
		}
		_, err := SourceChecks(q, "", "eve", 5)
		return err
	})
}
