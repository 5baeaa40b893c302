package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/fault"
)

func silent(subject string, since time.Duration) Alarm {
	return Alarm{Tenant: DefaultTenant, Kind: "source_silent", Subject: subject, Message: "nothing has come", Since: noon.Add(since), Last: noon.Add(since), Times: 1}
}

func openOnes(t *testing.T, d *DB) (list []Alarm) {
	t.Helper()
	read(t, d, func(q *Reader) (err error) { list, err = OpenAlarms(q); return err })
	return list
}

func TestAnAlarmIsOneWhileItIsOpen(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		first, again := silent("north", 0), silent("north", 0)
		again.Times, again.Last, again.Message = 3, noon.Add(time.Minute), "still nothing"
		write(t, d, func(tx *Tx) error { return PutAlarm(tx, &first) })
		write(t, d, func(tx *Tx) error { return PutAlarm(tx, &again) })
		if diff := cmp.Diff([]Alarm{again}, openOnes(t, d)); diff != "" || first.ID != again.ID {
			t.Errorf("%s and %s:\n%s", first.ID, again.ID, diff)
		}
		again.Ended = noon.Add(time.Hour)
		next := silent("north", 2*time.Hour)
		write(t, d, func(tx *Tx) error {
			if err := PutAlarm(tx, &again); err != nil {
				return err
			}
			return PutAlarm(tx, &next)
		})
		if diff := cmp.Diff([]Alarm{next}, openOnes(t, d)); diff != "" || next.ID == first.ID {
			t.Errorf("raised anew as %s after %s:\n%s", next.ID, first.ID, diff)
		}
		all := walk(t, d, 1, func(q *Reader, s Slice) (Page[Alarm], error) { return ListAlarms(q, "", s) })
		if diff := cmp.Diff([]Alarm{next, again}, all); diff != "" {
			t.Errorf("all of them, the newest first:\n%s", diff)
		}
	})
}

func TestAnAlarmIsAcknowledgedOnceAndKeepsWhoDidIt(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		a := silent("north", 0)
		write(t, d, func(tx *Tx) error { return PutAlarm(tx, &a) })
		acknowledge := func(tenant, by string) func(tx *Tx) error {
			return func(tx *Tx) error {
				_, err := AcknowledgeAlarm(tx, tenant, a.ID, by, "looking", noon.Add(time.Minute))
				return err
			}
		}
		wantErr(t, d, fault.NotFound, acknowledge("north", "eve"))
		write(t, d, acknowledge("", "ana"))
		wantErr(t, d, fault.Conflict, acknowledge("", "bob"))
		a.Times++
		write(t, d, func(tx *Tx) error { return PutAlarm(tx, &a) })
		a.SeenBy, a.SeenAt, a.SeenNote = "ana", noon.Add(time.Minute), "looking"
		if diff := cmp.Diff([]Alarm{a}, openOnes(t, d)); diff != "" {
			t.Errorf("raised again:\n%s", diff)
		}
		a.Ended = noon.Add(time.Hour)
		write(t, d, func(tx *Tx) error { return PutAlarm(tx, &a) })
		wantErr(t, d, fault.Conflict, acknowledge("", "bob"))
	})
}

func TestAlarmsThatEndedLongAgoGo(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		over, open := silent("north", 0), silent("south", 0)
		over.Ended = noon.Add(time.Hour)
		write(t, d, func(tx *Tx) error {
			if err := PutAlarm(tx, &over); err != nil {
				return err
			}
			return PutAlarm(tx, &open)
		})
		for _, after := range []time.Duration{AlarmsFor, AlarmsFor + 2*time.Hour} {
			if _, err := d.Sweep(t.Context(), noon.Add(after), Keep{}); err != nil {
				t.Fatal(err)
			}
			all := walk(t, d, 10, func(q *Reader, s Slice) (Page[Alarm], error) { return ListAlarms(q, "", s) })
			if after == AlarmsFor && len(all) != 2 || after > AlarmsFor && len(all) != 1 {
				t.Errorf("after %s %d are left", after, len(all))
			}
		}
		if diff := cmp.Diff([]Alarm{open}, openOnes(t, d)); diff != "" {
			t.Errorf("what is open stays:\n%s", diff)
		}
	})
}

func TestListsOfAlarmsGoThroughNoTable(t *testing.T) {
	d := open(t, Options{})
	plans(t, d, func(q *Reader) error {
		_, err := ListAlarms(q, "", Slice{Limit: 10})
		return err
	})
}
