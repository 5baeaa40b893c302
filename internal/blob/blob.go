// Package blob keeps large values and evidence as files, named by the SHA-256 of
// their content. A file is whole or not there: it is written beside its place,
// synced and renamed. What is read is held against its name.
package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"riposte/internal/fault"
)

// Options are the limits of a Store.
type Options struct {
	MaxBytes int64 // of one blob; 0 means 256 MiB
	Quota    int64 // of all; 0 means none
}

// Store is a folder of blobs. It is safe for concurrent use.
type Store struct {
	dir  string
	opt  Options
	used atomic.Int64
}

// Open opens a folder, which is made if it is not there. Leftovers of writes
// that a crash cut off are removed.
func Open(dir string, opt Options) (*Store, error) {
	if opt.MaxBytes == 0 {
		opt.MaxBytes = 256 << 20
	}
	s := &Store{dir: dir, opt: opt}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the blobs: %w", err)
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if filepath.Ext(path) == ".part" {
			return os.Remove(path)
		}
		if info, err := d.Info(); err == nil {
			s.used.Add(info.Size())
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("open the blobs: %w", err)
	}
	return s, nil
}

// Put keeps data and returns its hash in hex. The same data is kept once. A full
// disk or quota is a fault.Transient.
func (s *Store) Put(_ context.Context, data []byte) (string, error) {
	sum := sha256.Sum256(data)
	hash := hex.EncodeToString(sum[:])
	path := s.path(hash)
	if _, err := os.Stat(path); err == nil {
		return hash, nil
	}
	size := int64(len(data))
	switch {
	case size > s.opt.MaxBytes:
		return "", fmt.Errorf("keep a blob of %d bytes: the most is %d: %w", size, s.opt.MaxBytes, fault.Invalid)
	case s.opt.Quota > 0 && s.used.Load()+size > s.opt.Quota:
		return "", fmt.Errorf("keep a blob of %d bytes: the quota of %d bytes is used up: %w", size, s.opt.Quota, fault.Transient)
	}
	if err := write(path, data); err != nil {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EROFS) {
			return "", fmt.Errorf("keep a blob: %w; make room in %s: %w", err, s.dir, fault.Transient)
		}
		return "", fmt.Errorf("keep a blob: %w", err)
	}
	s.used.Add(size)
	return hash, nil
}

// write puts a file into its place, whole and on disk.
func write(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "*.part")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // what is left is no blob and harms nobody
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if e := d.Close(); err == nil {
		err = e
	}
	return err
}

// Get reads a blob: fault.NotFound, and fault.Invalid where its content is not
// what its name says.
func (s *Store) Get(_ context.Context, hash string) ([]byte, error) {
	if !valid(hash) {
		return nil, fmt.Errorf("blob %.80q is no SHA-256 in hex: %w", hash, fault.Invalid)
	}
	data, err := os.ReadFile(s.path(hash))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("blob %.12s: %w", hash, fault.NotFound)
	case err != nil:
		return nil, fmt.Errorf("blob %.12s: %w", hash, err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != hash {
		return nil, fmt.Errorf("blob %.12s is damaged: its content has another hash: %w", hash, fault.Invalid)
	}
	return data, nil
}

// Sweep removes blobs older than grace that keep does not want.
func (s *Store) Sweep(ctx context.Context, now time.Time, grace time.Duration, keep func(hash string) bool) (removed int, err error) {
	err = filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		info, err := d.Info()
		if err != nil || now.Sub(info.ModTime()) < grace || !valid(d.Name()) || keep(d.Name()) {
			return err
		}
		if err := os.Remove(path); err != nil {
			return err
		}
		s.used.Add(-info.Size())
		removed++
		return nil
	})
	if err != nil {
		return removed, fmt.Errorf("sweep the blobs: %w", err)
	}
	return removed, nil
}

func (s *Store) path(hash string) string { return filepath.Join(s.dir, hash[:2], hash) }

func valid(hash string) bool {
	if len(hash) != 64 {
		return false
	}
	_, err := hex.DecodeString(hash)
	return err == nil
}
