//go:build !unix

package store

import (
	"fmt"
	"os"
)

// lockFile opens the lock file. Where there is no flock the file system's own
// sharing rules and SQLite's locks keep a second process out.
func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w; make the folder writable for this user", err)
	}
	return f, nil
}
