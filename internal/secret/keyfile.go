package secret

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"riposte/internal/fault"
)

const (
	keySize   = 32
	keyIDSize = 8
	header    = "# The keys that seal Riposte's secrets. Keep a copy apart from the database:\n# without this file no secret can be opened. The first key seals, all open.\n"
)

// key is one key of the file.
type key struct {
	id     [keyIDSize]byte
	secret [keySize]byte
}

// Keys are the keys of a file. They print as [secret] and are safe for
// concurrent use.
type Keys struct {
	path string
	keys []key // the first one seals
}

func (*Keys) String() string   { return "[secret]" }
func (*Keys) GoString() string { return "[secret]" }

// Create makes a key file with one new key. A file that is there already is a
// fault.Conflict and stays as it is.
func Create(path string) (*Keys, error) {
	k, err := newKey()
	if err != nil {
		return nil, err
	}
	keys := &Keys{path: path, keys: []key{k}}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil, fmt.Errorf("create key file %s: it is there already: %w", path, fault.Conflict)
	case err != nil:
		return nil, fmt.Errorf("create key file: %w", err)
	}
	if err := keys.write(f); err != nil {
		_ = os.Remove(path)
		return nil, err
	}
	return keys, syncFolder(path)
}

// Load reads a key file. One that others than its owner may read is refused with
// fault.Denied, one that is not there is a fault.NotFound.
func Load(path string) (*Keys, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("key file %s is not there; restore it from its copy: %w", path, fault.NotFound)
	case err != nil:
		return nil, fmt.Errorf("read key file: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("key file %s is no regular file: %w", path, fault.Invalid)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("key file %s may be read by others (mode %04o); run chmod 600 %s: %w", path, info.Mode().Perm(), path, fault.Denied)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	keys, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return &Keys{path: path, keys: keys}, nil
}

// LoadOrCreate is Load, and Create at the first start.
func LoadOrCreate(path string) (*Keys, error) {
	k, err := Load(path)
	if !errors.Is(err, fault.NotFound) {
		return k, err
	}
	return Create(path)
}

// Rotate puts a new key first, in the file too. What was sealed before still
// opens; Reseal moves it to the new key.
func (k *Keys) Rotate() (*Keys, error) {
	fresh, err := newKey()
	if err != nil {
		return nil, err
	}
	next := &Keys{path: k.path, keys: append([]key{fresh}, k.keys...)}
	// Written beside and renamed: the file is always the old one or the new one.
	f, err := os.CreateTemp(filepath.Dir(k.path), filepath.Base(k.path)+".*")
	if err != nil {
		return nil, fmt.Errorf("rotate key: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if err := next.write(f); err != nil {
		return nil, err
	}
	if err := os.Rename(f.Name(), k.path); err != nil {
		return nil, fmt.Errorf("rotate key: %w", err)
	}
	return next, syncFolder(k.path)
}

func newKey() (key, error) {
	var k key
	if _, err := rand.Read(k.id[:]); err != nil {
		return key{}, fmt.Errorf("make a key: %w", err)
	}
	if _, err := rand.Read(k.secret[:]); err != nil {
		return key{}, fmt.Errorf("make a key: %w", err)
	}
	return k, nil
}

func (k *Keys) write(f *os.File) error {
	var b bytes.Buffer
	b.WriteString(header)
	for _, one := range k.keys {
		fmt.Fprintf(&b, "%s %s\n", hex.EncodeToString(one.id[:]), base64.StdEncoding.EncodeToString(one.secret[:]))
	}
	_, err := f.Write(b.Bytes())
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("write key file: %w", err)
	}
	return nil
}

// syncFolder makes the file's name durable as well.
func syncFolder(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("write key file: %w", err)
	}
	err = d.Sync()
	if closed := d.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("write key file: %w", err)
	}
	return nil
}

func parse(data []byte) ([]key, error) {
	var keys []key
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, secret, ok := strings.Cut(line, " ")
		idBytes, err1 := hex.DecodeString(id)
		keyBytes, err2 := base64.StdEncoding.DecodeString(strings.TrimSpace(secret))
		if !ok || err1 != nil || err2 != nil || len(idBytes) != keyIDSize || len(keyBytes) != keySize {
			return nil, fmt.Errorf("line %d is no key (an id of 16 hexadecimal digits, a blank, 32 bytes in base64); restore the file from its copy: %w", n, fault.Invalid)
		}
		keys = append(keys, key{[keyIDSize]byte(idBytes), [keySize]byte(keyBytes)})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", err, fault.Invalid)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("it holds no key; restore it from its copy: %w", fault.Invalid)
	}
	return keys, nil
}
