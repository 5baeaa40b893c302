package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"riposte/internal/fault"
)

// open opens a fresh database with a table n (v) for tests of the writer.
func open(t testing.TB, opt Options) *DB {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "riposte.db"), opt)
}

func openAt(t testing.TB, where string, opt Options) *DB {
	t.Helper()
	d, err := Open(context.Background(), where, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	write(t, d, func(tx *Tx) error {
		_, err := tx.Exec("CREATE TABLE n (v BIGINT PRIMARY KEY, s TEXT NOT NULL DEFAULT '')")
		return err
	})
	return d
}

func write(t testing.TB, d *DB, do func(tx *Tx) error) {
	t.Helper()
	if err := d.Write(context.Background(), do); err != nil {
		t.Fatal(err)
	}
}

func insert(v int) func(tx *Tx) error {
	return func(tx *Tx) error {
		_, err := tx.Exec("INSERT INTO n (v) VALUES (?)", v)
		return err
	}
}

func count(t testing.TB, d *DB) (n int) {
	t.Helper()
	err := d.Read(context.Background(), func(q *Reader) error {
		return q.QueryRow("SELECT count(*) FROM n").Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAJobThatFailsTakesNobodyWithIt(t *testing.T) {
	t.Parallel()
	d := open(t, Options{})
	boom := errors.New("boom")
	bad := map[string]func(tx *Tx) error{
		"after a change":  func(tx *Tx) error { return errors.Join(insert(1000)(tx), boom) },
		"before a change": func(*Tx) error { return boom },
		"by a panic": func(tx *Tx) error {
			if err := insert(1001)(tx); err != nil {
				return err
			}
			panic(boom)
		},
		"by a broken rule": func(tx *Tx) error { return errors.Join(insert(1002)(tx), insert(1002)(tx)) },
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[string]error{}
	submit := func(name string, do func(tx *Tx) error) {
		wg.Add(1)
		err := d.Submit(Job{Do: do, Done: func(err error) {
			mu.Lock()
			defer mu.Unlock()
			got[name] = err
			wg.Done()
		}})
		if err != nil {
			t.Error(err)
		}
	}
	for i := range 100 {
		submit(fmt.Sprint(i), insert(i))
		for name, do := range bad {
			submit(fmt.Sprint(name, i), do)
		}
	}
	wg.Wait()
	for i := range 100 {
		if err := got[fmt.Sprint(i)]; err != nil {
			t.Errorf("job %d: %v", i, err)
		}
		for name := range bad {
			if got[fmt.Sprint(name, i)] == nil {
				t.Errorf("the job that fails %s was not told", name)
			}
		}
	}
	if n := count(t, d); n != 100 {
		t.Errorf("%d rows, want the 100 of the good jobs", n)
	}
	if err := d.Healthy(); err != nil {
		t.Errorf("failed jobs are no fault of the disk: %v", err)
	}
}

func TestAWriteWhoseCallerGaveUpDoesNotRun(t *testing.T) {
	t.Parallel()
	d := open(t, Options{})
	begun, hold := make(chan struct{}), make(chan struct{})
	err := d.Submit(Job{Do: func(*Tx) error { close(begun); <-hold; return nil }})
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- d.Write(ctx, insert(1)) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(hold)
	write(t, d, insert(2))
	if n := count(t, d); n != 1 {
		t.Errorf("%d rows, want only that of the second write", n)
	}
}

func TestAFullQueueRefusesWhereAsked(t *testing.T) {
	t.Parallel()
	d := open(t, Options{Queue: 1, Refuse: true})
	begun, hold := make(chan struct{}), make(chan struct{})
	if err := d.Submit(Job{Do: func(*Tx) error { close(begun); <-hold; return nil }}); err != nil {
		t.Fatal(err)
	}
	<-begun
	if err := d.Submit(Job{Do: insert(1)}); err != nil {
		t.Fatal(err)
	}
	if err := d.Submit(Job{Do: insert(2)}); !errors.Is(err, fault.Transient) {
		t.Errorf("got %v, want fault.Transient", err)
	}
	close(hold)
}

func TestClosingWaitsForWhatWasQueued(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "riposte.db")
	d, err := Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	for range 1000 {
		if err := d.Submit(Job{
			Do:   func(tx *Tx) error { _, err := NextID(tx, Cases); return err },
			Done: func(err error) { failed = errors.Join(failed, err) },
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(d.Close(), failed); err != nil {
		t.Fatal(err)
	}
	if err := d.Submit(Job{Do: insert(1)}); !errors.Is(err, fault.Conflict) {
		t.Errorf("a job after Close: %v, want fault.Conflict", err)
	}
	if err := d.Read(context.Background(), func(*Reader) error { return nil }); !errors.Is(err, fault.Conflict) {
		t.Errorf("a read after Close: %v, want fault.Conflict", err)
	}
	d, err = Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	write(t, d, func(tx *Tx) error {
		id, err := NextID(tx, Cases)
		if id != 1001 {
			t.Errorf("next case is %d, want 1001", id)
		}
		return err
	})
}

func TestASecondOpenIsToldWhoHasTheFile(t *testing.T) {
	t.Parallel()
	d := open(t, Options{})
	_, err := Open(context.Background(), d.be.String(), Options{})
	if !errors.Is(err, fault.Conflict) {
		t.Fatalf("got %v, want fault.Conflict", err)
	}
}

func TestIdentifiersAreNeverGivenTwice(t *testing.T) {
	t.Parallel()
	d := open(t, Options{})
	ids := d.IDs(Runs, 10)
	seen := sync.Map{}
	var wg sync.WaitGroup
	take := func(next func() (int64, error), fails bool) {
		defer wg.Done()
		for range 300 {
			id, err := next()
			if err != nil {
				if !fails {
					t.Error(err)
				}
				continue
			}
			if _, again := seen.LoadOrStore(id, true); again {
				t.Errorf("%d given twice", id)
			}
		}
	}
	wg.Add(3)
	go take(func() (int64, error) { return ids.Next(context.Background()) }, false)
	inTx := func(ending error) func() (int64, error) {
		return func() (id int64, err error) {
			err = d.Write(context.Background(), func(tx *Tx) (err error) {
				if id, err = NextID(tx, Runs); err != nil {
					return err
				}
				_, err = tx.Exec("UPDATE n SET v = v")
				return errors.Join(err, ending)
			})
			return id, err
		}
	}
	go take(inTx(nil), false)
	go take(inTx(errors.New("rolled back")), true)
	wg.Wait()
}

func BenchmarkSingleCommits(b *testing.B) {
	d := open(b, Options{})
	i := 0
	for b.Loop() {
		i++
		write(b, d, insert(i))
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}
