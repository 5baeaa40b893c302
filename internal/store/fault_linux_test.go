package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"riposte/internal/fault"
)

// small makes a file system of a size, half of it taken by a file named ballast.
// Only root may; others skip the test.
func small(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size))
	if errors.Is(err, unix.EPERM) {
		t.Skip("mounting a small file system needs root")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, size/2), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestAFullDiskLosesNothing needs a file system of its own: see small.
func TestAFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	dir := small(t, 8<<20)
	var lost atomic.Int64
	d, err := Open(context.Background(), filepath.Join(dir, "riposte.db"), Options{OnCommit: func(c Commit) {
		if c.Err != nil {
			lost.Add(1)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	write(t, d, func(tx *Tx) error {
		_, err := tx.Exec("CREATE TABLE n (v INTEGER PRIMARY KEY, s TEXT NOT NULL DEFAULT '') STRICT")
		return err
	})
	kept := map[int64]bool{}
	body := strings.Repeat("x", 3000)
	put := func(id int64) error {
		return d.Write(context.Background(), func(tx *Tx) error {
			for _, v := range []int64{id, -id} {
				if _, err := tx.Exec("INSERT INTO n (v, s) VALUES (?, ?)", v, body); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for id := int64(1); ; id++ {
		err := put(id)
		if err == nil {
			kept[id] = true
			continue
		}
		if !errors.Is(err, fault.Transient) || !strings.Contains(err.Error(), "full") || !strings.Contains(err.Error(), "free some space") {
			t.Fatalf("write %d on a full disk: %v", id, err)
		}
		break
	}
	if d.Healthy() == nil {
		t.Error("the database says it is well")
	}
	compare(t, d, kept)
	for i := range int64(5) { // it stays full, and says so each time
		if err := put(1_000_000 + i); !errors.Is(err, fault.Transient) {
			t.Errorf("still full: %v", err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "ballast")); err != nil {
		t.Fatal(err)
	}
	// The writer finds out by itself that there is room again.
	waitFor(t, func() bool { return d.Healthy() == nil })
	if err := put(2_000_000); err != nil {
		t.Errorf("with room again: %v", err)
	}
	kept[2_000_000] = true
	compare(t, d, kept)
	if lost.Load() == 0 {
		t.Error("nobody was told of the lost batches")
	}
}

// compare checks that exactly what was kept is there, both halves of it.
func compare(t *testing.T, d *DB, kept map[int64]bool) {
	t.Helper()
	read(t, d, func(q *Reader) error {
		ids, err := all(q, func(r *Rows, v *int64) error { return r.Scan(v) }, "SELECT v FROM n")
		if len(ids) != 2*len(kept) {
			t.Errorf("%d rows, want two for each of %d writes", len(ids), len(kept))
		}
		for _, v := range ids {
			if !kept[max(v, -v)] {
				t.Errorf("%d was refused and is there", v)
			}
		}
		return err
	})
}

func TestAReadOnlyFileSystemIsNamed(t *testing.T) {
	t.Parallel()
	dir := small(t, 8<<20)
	path := filepath.Join(dir, "riposte.db")
	d, err := Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	_, err = Open(context.Background(), path, Options{})
	if err == nil || !strings.Contains(err.Error(), "writable") {
		t.Errorf("got %v, want an error that says what to make writable", err)
	}
}

// limitPath tells TestWhatTheLimitedProcessDoes where its database is.
const limitPath = "RIPOSTE_TEST_LIMIT_PATH"

func TestAWriterGoesOnWhenTheDiskDoes(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^TestWhatTheLimitedProcessDoes$", "-test.v")
	cmd.Env = append(os.Environ(), limitPath+"="+filepath.Join(t.TempDir(), "riposte.db"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestWhatTheLimitedProcessDoes is not a test of its own: a limit on the size of
// files, which stands for a disk that refuses writes, holds for a whole process.
func TestWhatTheLimitedProcessDoes(t *testing.T) {
	path := os.Getenv(limitPath)
	if path == "" {
		t.Skip("runs only as a process of its own")
	}
	d, err := Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	write(t, d, func(tx *Tx) error {
		_, err := tx.Exec("CREATE TABLE n (v INTEGER PRIMARY KEY, s TEXT NOT NULL DEFAULT '') STRICT")
		return err
	})
	write(t, d, insert(1))
	info, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	limit := func(size uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: before.Max}); err != nil {
			t.Fatal(err)
		}
	}
	limit(uint64(info.Size()))
	for i := 10; i < 15; i++ {
		if err := d.Write(context.Background(), insert(i)); !errors.Is(err, fault.Transient) {
			t.Errorf("a disk that refuses writes: %v, want fault.Transient", err)
		}
	}
	if d.Healthy() == nil {
		t.Error("the database says it is well")
	}
	limit(before.Cur)
	waitFor(t, func() bool { return d.Healthy() == nil })
	write(t, d, insert(2))
	if n := count(t, d); n != 2 {
		t.Errorf("%d rows, want those of the two good writes", n)
	}
}
