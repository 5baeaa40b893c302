package enginetest_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"riposte/internal/engine"
	"riposte/internal/engine/enginetest"
	"riposte/internal/fault"
	"riposte/internal/run"
	"riposte/internal/store"
	"riposte/internal/store/storetest"
)

func TestEmbeddedEngine(t *testing.T) {
	t.Parallel()
	enginetest.Run(t, embedded)
}

func TestEmbeddedEngineOnPostgreSQL(t *testing.T) {
	t.Parallel()
	_ = storetest.Postgres(t) // is there one at all?
	var mu sync.Mutex
	urls := map[string]string{} // by the folder that a test works in
	enginetest.Run(t, func(t *testing.T, dir string, w enginetest.World) *enginetest.Running {
		t.Helper()
		mu.Lock()
		if urls[dir] == "" {
			urls[dir] = storetest.Postgres(t)
		}
		where := urls[dir]
		mu.Unlock()
		return embeddedOn(t, where, dir, w)
	})
}

// embedded begins the embedded engine on a real SQLite file.
func embedded(t *testing.T, dir string, w enginetest.World) *enginetest.Running {
	t.Helper()
	return embeddedOn(t, filepath.Join(dir, "riposte.db"), dir, w)
}

func embeddedOn(t *testing.T, database, dir string, w enginetest.World) *enginetest.Running {
	t.Helper()
	db, err := store.Open(context.Background(), database, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	books := &books{db: db}
	if err := books.open(); err != nil {
		t.Fatal(err)
	}
	journal := db.Journal()
	e := &engine.Engine{
		Journal: journal, Runs: journal, Plans: w.Plans, Caller: w.Caller, Gate: w.Gate, Questions: books, Ledger: books, Cases: books,
		Blobs: files{dir: dir}, Clock: w.Clock, Workers: w.Workers, PerRun: w.PerRun, Idle: w.Idle, Keep: w.Keep, MaxBytes: w.Bytes,
		Lanes: 2,
	}
	if testing.Verbose() && os.Getenv("ENGINE_LOG") != "" {
		e.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	if w.Clock == nil && w.Idle == 0 {
		e.Idle = 20 * time.Millisecond
	}
	if err := e.Open(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	select {
	case <-e.Ready():
	case err := <-done:
		t.Fatalf("the engine ended: %v", err)
	}
	over := false
	end := func(closeFirst bool) func() {
		return func() {
			if over {
				return
			}
			over = true
			if closeFirst { // nothing reaches the disk any more
				_ = db.Close()
				e.Stop = time.Nanosecond
			}
			cancel()
			if err := <-done; err != nil {
				t.Errorf("the engine ended with %v", err)
			}
			_ = db.Close()
		}
	}
	return &enginetest.Running{Engine: e, Books: books, Stop: end(false), Kill: end(true)}
}

// files is a blob store.
type files struct{ dir string }

func (f files) Put(_ context.Context, data []byte) (string, error) {
	sum := sha256.Sum256(data)
	hash := hex.EncodeToString(sum[:])
	return hash, os.WriteFile(filepath.Join(f.dir, hash), data, 0o600)
}

func (f files) Get(_ context.Context, hash string) ([]byte, error) {
	return os.ReadFile(filepath.Join(f.dir, filepath.Base(hash)))
}

// books keeps questions, ledger entries and tasks in tables of its own.
type books struct {
	db     *store.DB
	refuse atomic.Bool // questions
}

func (b *books) open() error {
	return b.db.Write(context.Background(), func(tx *store.Tx) error {
		for _, text := range []string{
			`CREATE TABLE IF NOT EXISTS test_questions (run BIGINT, act BIGINT, n BIGINT, open BIGINT, data TEXT, PRIMARY KEY (run, act, n))`,
			`CREATE TABLE IF NOT EXISTS test_ledger (id BIGINT PRIMARY KEY, run BIGINT, state TEXT, due BIGINT, data TEXT)`,
			`CREATE TABLE IF NOT EXISTS test_tasks (data TEXT)`,
		} {
			if _, err := tx.Exec(text); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *books) Open(tx engine.Tx, q engine.Question) error {
	if b.refuse.Load() {
		return errRefused
	}
	data, err := json.Marshal(q)
	if err != nil {
		return err
	}
	_, err = tx.(*store.Tx).Exec(`INSERT INTO test_questions VALUES (?, ?, ?, 1, ?) ON CONFLICT DO NOTHING`, q.Run, q.Act, q.N, string(data))
	return err
}

func (b *books) Close(tx engine.Tx, id run.ID, act run.Act, n int, _ time.Time) error {
	_, err := tx.(*store.Tx).Exec(`UPDATE test_questions SET open = 0 WHERE run = ? AND act = ? AND (n = ? OR ? = 0)`, id, act, n, n)
	return err
}

func (b *books) Answered(engine.Tx, run.ID, run.Act, int, time.Time, run.Answer) error { return nil }

func (b *books) OpenQuestions(ctx context.Context) (list []engine.Question, err error) {
	err = read(ctx, b.db, &list, `SELECT data FROM test_questions WHERE open = 1 ORDER BY run, act, n`)
	return list, err
}

// read gathers rows of one JSON column.
func read[T any](ctx context.Context, db *store.DB, into *[]T, query string, args ...any) error {
	return db.Read(ctx, func(q *store.Reader) error {
		*into = nil
		rows, err := q.Query(query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var data string
			var x T
			if err := rows.Scan(&data); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(data), &x); err != nil {
				return err
			}
			*into = append(*into, x)
		}
		return rows.Err()
	})
}

func (b *books) Enter(tx engine.Tx, e *engine.Entry) error {
	t := tx.(*store.Tx)
	if err := t.QueryRow(`SELECT coalesce(max(id), 0) + 1 FROM test_ledger`).Scan(&e.ID); err != nil {
		return err
	}
	e.State = "open"
	if e.Problem != "" {
		e.State = "failed"
	}
	return b.put(t, *e)
}

func (b *books) put(t *store.Tx, e engine.Entry) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = t.Exec(`INSERT INTO test_ledger VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, data = excluded.data`, e.ID, e.Run, e.State, e.Due, string(data))
	return err
}

func (b *books) Due(ctx context.Context, until time.Time, limit int) (list []engine.Entry, err error) {
	err = read(ctx, b.db, &list, `SELECT data FROM test_ledger WHERE state = 'open' AND due > 0 AND due <= ? ORDER BY due, id LIMIT ?`, until, limit)
	return list, err
}

func (b *books) Of(ctx context.Context, id run.ID) (list []engine.Entry, err error) {
	err = read(ctx, b.db, &list, `SELECT data FROM test_ledger WHERE run = ? ORDER BY id DESC`, id)
	return list, err
}

func (b *books) Entries(ctx context.Context) (list []engine.Entry, err error) {
	err = read(ctx, b.db, &list, `SELECT data FROM test_ledger ORDER BY id`)
	return list, err
}

func (b *books) Entry(ctx context.Context, id int64) (engine.Entry, error) {
	var list []engine.Entry
	if err := read(ctx, b.db, &list, `SELECT data FROM test_ledger WHERE id = ?`, id); err != nil {
		return engine.Entry{}, err
	}
	if len(list) == 0 {
		return engine.Entry{}, fmt.Errorf("entry %d: %w", id, fault.NotFound)
	}
	return list[0], nil
}

func (b *books) in(t *store.Tx, id int64) (e engine.Entry, err error) {
	var data string
	if err := t.QueryRow(`SELECT data FROM test_ledger WHERE id = ?`, id).Scan(&data); err != nil {
		return e, err
	}
	return e, json.Unmarshal([]byte(data), &e)
}

func (b *books) Want(tx engine.Tx, entries []int64, who, why string) error {
	t := tx.(*store.Tx)
	for _, id := range entries {
		e, err := b.in(t, id)
		if err != nil {
			return err
		}
		if e.Wanted.Group == 0 && (e.State == "open" || e.State == "failed") {
			e.Wanted = engine.Wanted{Group: entries[0], By: who, Why: why}
			if err := b.put(t, e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *books) Wanted(ctx context.Context, _ int) ([]engine.Entry, error) {
	list, err := b.Entries(ctx)
	list = slices.DeleteFunc(list, func(e engine.Entry) bool { return e.Wanted.Group == 0 })
	slices.SortFunc(list, func(x, y engine.Entry) int {
		return cmp.Or(cmp.Compare(x.Wanted.Group, y.Wanted.Group), cmp.Compare(y.ID, x.ID))
	})
	return list, err
}

func (b *books) Take(tx engine.Tx, id int64, by run.ID, _, _ string, _ time.Time) (bool, error) {
	t := tx.(*store.Tx)
	e, err := b.in(t, id)
	if err != nil {
		return false, err
	}
	if e.State != "open" && e.State != "failed" {
		return false, fmt.Errorf("entry %d is %s: %w", id, e.State, fault.Conflict)
	}
	e.State, e.By = "taken", by
	return true, b.put(t, e)
}

func (b *books) Undone(tx engine.Tx, id int64, ok bool, _ string, _ time.Time) error {
	t := tx.(*store.Tx)
	e, err := b.in(t, id)
	if err != nil {
		return err
	}
	if e.State != "taken" {
		return errors.New("the entry was not taken")
	}
	e.State, e.Wanted = "failed", engine.Wanted{}
	if ok {
		e.State = "undone"
	}
	return b.put(t, e)
}

func (b *books) Look(context.Context, string, int64) (json.RawMessage, error) { return nil, nil }

func (b *books) Step(engine.Tx, engine.Happened) error { return nil }

func (b *books) UndoFailed(tx engine.Tx, f engine.FailedUndo) error {
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	_, err = tx.(*store.Tx).Exec(`INSERT INTO test_tasks VALUES (?)`, string(data))
	return err
}

func (b *books) Tasks(ctx context.Context) (list []engine.FailedUndo, err error) {
	err = read(ctx, b.db, &list, `SELECT data FROM test_tasks`)
	return list, err
}

func (b *books) Listed(ctx context.Context) ([]run.Summary, error) {
	return b.db.Journal().List(ctx, store.RunQuery{Limit: 100_000})
}

func TestASnapshotThatCannotBeReadIsFoldedAnew(t *testing.T) {
	t.Parallel()
	x := newTester(t, filepath.Join(t.TempDir(), "riposte.db"), store.Options{}, same)
	defer x.stop()
	ctx := context.Background()
	p, err := x.e.Plans.Published("", "asks", 0)
	if err != nil {
		t.Fatal(err)
	}
	id, err := x.e.Start(ctx, run.Start{Playbook: "asks", Plan: p.Hash, Version: 1}, "")
	if err != nil {
		t.Fatal(err)
	}
	x.until("it waits on disk", func() bool { return x.e.Stats().Parked == 1 && x.e.Stats().Active == 0 })
	err = x.db.Write(ctx, func(tx *store.Tx) error {
		n, err := tx.Exec(`UPDATE run_snapshots SET state = x'07070707070707070707'`)
		if err == nil && n != 1 {
			err = fmt.Errorf("%d snapshots", n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := x.books.OpenQuestions(ctx)
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	if err := x.e.Answer(ctx, id, list[0].Act, list[0].N, run.Answer{By: "ann", Value: []byte(`"yes"`)}); err != nil {
		t.Fatal(err)
	}
	x.until("it has ended", func() bool {
		s, ok, err := x.e.Summary(ctx, id)
		return err == nil && ok && s.Status == run.Succeeded
	})
}

func TestBlobsInUseAreFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	x := newTester(t, filepath.Join(dir, "riposte.db"), store.Options{}, same)
	defer x.stop()
	x.e.Blobs = files{dir: dir}
	large := strings.Repeat("x", 100_000)
	x.calls.On("rep.get_ip", func(context.Context, engine.Call) engine.Answer { return enginetest.OK(large) })
	ids, _ := x.start(1)
	x.allEnd(ids)
	used, err := x.e.BlobsInUse(context.Background())
	if err != nil || len(used) != 1 {
		t.Fatalf("%v, %v", used, err)
	}
	for hash := range used {
		if b, err := (files{dir: dir}).Get(context.Background(), hash); err != nil || len(b) < len(large) {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	}
}
