package store

import (
	"fmt"
	"testing"
	"time"

	"riposte/internal/alert"
)

func TestTheNewestAlertsComeBehindTheirPlace(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		write(t, d, func(tx *Tx) error {
			for i := range 10 {
				a := alert.Alert{Source: "s", IdentityKey: fmt.Sprint(i), Title: "t", Received: noon.Add(time.Duration(i/2) * time.Minute)}
				if _, err := InsertAlert(tx, &a); err != nil {
					return err
				}
			}
			return nil
		})
		read(t, d, func(q *Reader) error {
			for n, want := range map[int]int{0: 0, 1: 1, 7: 7, 9: 9, 10: 10, 11: 10} {
				p, err := NewestBut(q, "", n)
				if err != nil {
					return err
				}
				list, _, err := AlertsSince(q, "", noon.Add(-time.Hour), noon.Add(time.Hour), p, 100)
				if err != nil {
					return err
				}
				if len(list) != want {
					t.Errorf("behind the place of the newest %d are %d", n, len(list))
				}
			}
			return nil
		})
	})
}
