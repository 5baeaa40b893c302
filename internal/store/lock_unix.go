//go:build unix

package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"riposte/internal/fault"
)

// lockFile takes the lock that keeps a second process out. It holds until the
// file is closed, also by a crash; the file itself stays and names the holder.
func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w; make the folder writable for this user", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, sign(f)
	}
	defer f.Close()
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	holder, _ := io.ReadAll(io.LimitReader(f, 32))
	return nil, fmt.Errorf("process %s has it open; stop that one first or use another data directory: %w",
		strings.TrimSpace(string(holder)), fault.Conflict)
}

// sign writes the process's number into the lock file, for the message above. A
// full disk does not matter here.
func sign(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return nil
	}
	_, _ = fmt.Fprintln(f, os.Getpid())
	return nil
}
