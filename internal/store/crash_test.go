package store

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// crashPath tells TestWhatTheCrashingProcessDoes where its database is.
const crashPath = "RIPOSTE_TEST_CRASH_PATH"

// TestWhatTheCrashingProcessDoes is not a test of its own: it is the process that
// TestAfterAKillEverythingAcknowledgedIsThere kills. It writes as fast as it can
// and says what is on disk.
func TestWhatTheCrashingProcessDoes(t *testing.T) {
	path := os.Getenv(crashPath)
	if path == "" {
		t.Skip("runs only as the process that is killed")
	}
	d, err := Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	say := func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf("ack %d\n", n)
	}
	for range 16 {
		go func() {
			for {
				var id int64
				err := d.Write(context.Background(), func(tx *Tx) (err error) {
					if id, err = NextID(tx, Runs); err != nil {
						return err
					}
					return pair(tx, id)
				})
				if err != nil {
					t.Error(err)
					return
				}
				say(id)
			}
		}()
	}
	select {}
}

// pair writes two rows that belong together.
func pair(tx *Tx, id int64) error {
	for _, v := range []int64{id, -id} {
		if _, err := tx.Exec("INSERT INTO n (v, s) VALUES (?, ?)", v, fmt.Sprintf("%0200d", id)); err != nil {
			return err
		}
	}
	return nil
}

func TestAfterAKillEverythingAcknowledgedIsThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "riposte.db")
	d, err := Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	write(t, d, func(tx *Tx) error {
		_, err := tx.Exec("CREATE TABLE n (v INTEGER PRIMARY KEY, s TEXT NOT NULL DEFAULT '') STRICT")
		return err
	})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	known := map[int64]bool{}
	for range 15 {
		for _, id := range killed(t, path) {
			if known[id] {
				t.Fatalf("%d was given out twice", id)
			}
			known[id] = true
		}
		check(t, path, known)
	}
	if len(known) < 100 {
		t.Errorf("only %d writes were acknowledged: the test shows nothing", len(known))
	}
}

// killed starts the process, kills it at some moment and returns what it had
// acknowledged.
func killed(t *testing.T, path string) (ids []int64) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestWhatTheCrashingProcessDoes$")
	cmd.Env = append(os.Environ(), crashPath+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	after := 1 + rand.IntN(400)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		n, ok := parseAck(lines.Text())
		if !ok {
			continue
		}
		if ids = append(ids, n); len(ids) == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed
	return ids
}

func parseAck(line string) (int64, bool) {
	var text string
	if n, _ := fmt.Sscanf(line, "ack %s", &text); n != 1 {
		return 0, false
	}
	id, err := strconv.ParseInt(text, 10, 64)
	return id, err == nil
}

// check opens the database after a crash and compares it with what is known.
func check(t *testing.T, path string, known map[int64]bool) {
	t.Helper()
	began := time.Now()
	d, err := Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatalf("open after the crash: %v", err)
	}
	defer d.Close()
	t.Logf("opened in %s, %d acknowledged so far", time.Since(began).Round(time.Millisecond), len(known))
	read(t, d, func(q *Reader) error {
		var result string
		if err := q.QueryRow("PRAGMA integrity_check").Scan(&result); err != nil || result != "ok" {
			t.Errorf("integrity: %s, %v", result, err)
		}
		rows, err := all(q, func(r *Rows, v *int64) error { return r.Scan(v) }, "SELECT v FROM n")
		there := map[int64]bool{}
		for _, v := range rows {
			there[v] = true
		}
		for v := range there {
			if !there[-v] {
				t.Errorf("%d is there without its other half", v)
			}
		}
		for id := range known {
			if !there[id] {
				t.Errorf("%d was acknowledged and is gone", id)
			}
		}
		return err
	})
}
