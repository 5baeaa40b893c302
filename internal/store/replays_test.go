package store

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/auth"
	"riposte/internal/run"
)

func TestAnAnswerIsKeptUnderItsKeyForADay(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		kept := Replay{Key: "ana POST /api/cases k1", Sum: "abc", At: noon, Status: 201, Header: map[string][]string{"Location": {"/api/cases/C-1"}}, Body: `{"id":"C-1"}`}
		find := func(tenant string, since time.Time) (r Replay, ok bool) {
			read(t, d, func(q *Reader) (err error) { r, ok, err = ReplayOf(q, tenant, kept.Key, since); return err })
			return r, ok
		}
		write(t, d, func(tx *Tx) error { return PutReplay(tx, "", Replay{Key: kept.Key, Sum: "abc", At: noon}) })
		if r, ok := find("", noon); !ok || r.Status != 0 {
			t.Errorf("while it is worked on: %+v, %v", r, ok)
		}
		write(t, d, func(tx *Tx) error { return PutReplay(tx, "", kept) })
		r, ok := find("", noon.Add(-time.Hour))
		if diff := cmp.Diff(kept, r); !ok || diff != "" {
			t.Error(diff)
		}
		if _, ok := find("", noon.Add(time.Second)); ok {
			t.Error("found although it is too old")
		}
		if _, ok := find("other", noon); ok {
			t.Error("found by another tenant")
		}
		plans(t, d, func(q *Reader) error { _, _, err := ReplayOf(q, "", kept.Key, noon); return err })
		if s, err := d.Sweep(t.Context(), noon.Add(ReplaysFor-time.Second), Keep{}); err != nil || s.Others != 0 {
			t.Errorf("swept too early: %+v, %v", s, err)
		}
		if s, err := d.Sweep(t.Context(), noon.Add(ReplaysFor+time.Second), Keep{}); err != nil || s.Others != 1 {
			t.Errorf("not swept: %+v, %v", s, err)
		}
		write(t, d, func(tx *Tx) error { return PutReplay(tx, "", kept) })
		write(t, d, func(tx *Tx) error { return DropReplay(tx, "", kept.Key) })
		if _, ok := find("", noon); ok {
			t.Error("found after it was dropped")
		}
	})
}

func TestRunsAreListedByTheCodeOfTheirErrorWithoutReadingOthers(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		j := d.Journal()
		write(t, d, func(tx *Tx) error {
			var list []run.Summary
			for i := range 30 {
				s := run.Summary{Run: run.ID(i + 1), Playbook: "p", Status: run.Succeeded, Started: noon}
				if i%10 == 0 {
					s.Status, s.Code = run.Failed, "transient"
				}
				list = append(list, s)
			}
			return j.Project(tx, list)
		})
		got, err := j.List(t.Context(), RunQuery{Code: "transient", Limit: 2})
		if err != nil || len(got) != 2 || got[0].Run != 21 || got[1].Run != 11 {
			t.Errorf("a page of two is %v, %v", got, err)
		}
		plans(t, d, func(q *Reader) error {
			rows, err := q.Query("SELECT id FROM runs WHERE tenant = ? AND code = ? AND code <> '' ORDER BY id DESC LIMIT ?", DefaultTenant, "transient", 3)
			if err == nil {
				rows.Close()
			}
			return err
		})
	})
}

func TestANewTokenMayHaveTheNameOfARevokedOne(t *testing.T) {
	suite(t, func(t *testing.T, d *DB) {
		for i, hash := range []string{"a", "b"} {
			old := Token{Hash: hash, Token: auth.Token{Name: "ci", Owner: "ana", Created: noon, Revoked: i == 0}}
			write(t, d, func(tx *Tx) error { return PutToken(tx, &old, noon) })
		}
	})
}

func TestTheFilesOfADatabaseAreForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	d := open(t, Options{})
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(d.be.String() + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			t.Errorf("%s%s is %o", d.be.String(), suffix, mode)
		}
	}
}
