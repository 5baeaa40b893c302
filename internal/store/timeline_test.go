package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/cases"
	"riposte/internal/fault"
)

// happened writes into a case that something happened some minutes after noon.
func happened(t *testing.T, d *DB, id cases.ID, minutes ...int) {
	t.Helper()
	write(t, d, func(tx *Tx) error {
		for _, m := range minutes {
			r := cases.Record{Kind: cases.StepEnded, What: fmt.Sprint("at ", m)}
			if _, err := ChangeCase(tx, "", id, 0, r, noon.Add(time.Duration(m)*time.Minute), ana); err != nil {
				return err
			}
		}
		return nil
	})
}

func told(entries []cases.Entry) (list []string) {
	for _, e := range entries {
		list = append(list, fmt.Sprintf("%s #%d", e.What, e.N))
	}
	return list
}

func TestATimelineIsInTheOrderInWhichThingsHappened(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		c, other := openCase(t, d, cases.Open{Title: "x", Severity: 1}), openCase(t, d, cases.Open{Title: "y", Severity: 1})
		happened(t, d, other.ID, 1, 2, 3, -5)
		// Two came late, one of them from before the case was opened; three are of
		// the same moment and stay in the order in which they were recorded.
		happened(t, d, c.ID, 5, 9, 5, -3, 7, 5)
		want := []string{"at -3 #5", "Case opened: x #1", "at 5 #2", "at 5 #4", "at 5 #7", "at 7 #6", "at 9 #3"}
		for _, size := range []int{1, 2, 3, 4, 7, 100} { // a page ends also between entries of one moment
			got := told(walk(t, d, size, func(q *Reader, s Slice) (Page[cases.Entry], error) { return Timeline(q, "", c.ID, s) }))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("in pages of %d:\n%s", size, diff)
			}
		}
		plans(t, d, func(q *Reader) error { _, err := Timeline(q, "", c.ID, Slice{}); return err })
	})
}

func TestATimelineReadOnShowsWhatIsNewAndNothingTwice(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		c := openCase(t, d, cases.Open{Title: "x", Severity: 1})
		happened(t, d, c.ID, 1, 2, 3)
		var first Page[cases.Entry]
		read(t, d, func(q *Reader) (err error) { first, err = Timeline(q, "", c.ID, Slice{Limit: 2}); return err })
		happened(t, d, c.ID, 2, 4) // meanwhile: one right behind the place, one at the end
		rest := walk(t, d, 2, func(q *Reader, s Slice) (Page[cases.Entry], error) {
			if s.Cursor == "" {
				s.Cursor = first.Next
			}
			return Timeline(q, "", c.ID, s)
		})
		want := []string{"Case opened: x #1", "at 1 #2", "at 2 #3", "at 2 #5", "at 3 #4", "at 4 #6"}
		if diff := cmp.Diff(want, told(append(first.Items, rest...))); diff != "" {
			t.Error(diff)
		}
	})
}

func TestATimelineRefusesWhatItDidNotGive(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		c := openCase(t, d, cases.Open{Title: "x", Severity: 1})
		happened(t, d, c.ID, 1, 2, 3)
		var notes Page[cases.Note]
		change(t, d, c.ID, cases.AddNote{Text: "1"}, cases.AddNote{Text: "2"})
		read(t, d, func(q *Reader) (err error) { notes, err = Notes(q, "", c.ID, Slice{Limit: 1}); return err })
		for _, cursor := range []string{"nonsense", notes.Next, "AAAA", notes.Next + "A"} {
			wantErr(t, d, fault.Invalid, func(tx *Tx) error {
				_, err := Timeline(&tx.Reader, "", c.ID, Slice{Cursor: cursor})
				return err
			})
		}
		for tenant, id := range map[string]cases.ID{"other": c.ID, "": c.ID + 1} {
			read(t, d, func(q *Reader) error {
				if _, err := Timeline(q, tenant, id, Slice{}); !errors.Is(err, fault.NotFound) {
					t.Errorf("case %s of %q: %v", id, tenant, err)
				}
				return nil
			})
		}
	})
}
