package secret

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"riposte/internal/fault"
)

func create(t *testing.T) *Keys {
	t.Helper()
	k, err := Create(filepath.Join(t.TempDir(), "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestWhatIsSealedOpensForItsRecordOnly(t *testing.T) {
	t.Parallel()
	k := create(t)
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.String().Draw(t, "id")
		value := rapid.SliceOf(rapid.Byte()).Draw(t, "value")
		sealed, err := k.Seal(id, value)
		if err != nil {
			t.Fatal(err)
		}
		got, err := k.Open(id, sealed)
		if err != nil || !bytes.Equal(got, value) {
			t.Fatalf("%q %v", got, err)
		}
		if len(value) >= 8 && bytes.Contains(sealed, value) {
			t.Fatal("the value is in the clear")
		}
		if _, err := k.Open(id+"x", sealed); !errors.Is(err, fault.Invalid) {
			t.Fatalf("another record: %v", err)
		}
		at := rapid.IntRange(0, len(sealed)-1).Draw(t, "at")
		changed := bytes.Clone(sealed)
		changed[at] ^= 1
		if _, err := k.Open(id, changed); err == nil {
			t.Fatalf("opens although byte %d was changed", at)
		}
		if _, err := k.Open(id, sealed[:at]); !errors.Is(err, fault.Invalid) {
			t.Fatalf("cut off at %d: %v", at, err)
		}
	})
}

func TestTwoSealsOfOneValueDiffer(t *testing.T) {
	t.Parallel()
	k := create(t)
	a, _ := k.Seal("r", []byte("value"))
	b, _ := k.Seal("r", []byte("value"))
	if bytes.Equal(a, b) {
		t.Error("they are equal")
	}
}

func TestRotationKeepsOldSecretsReadable(t *testing.T) {
	t.Parallel()
	k := create(t)
	sealed, err := k.Seal("r", []byte("value"))
	if err != nil {
		t.Fatal(err)
	}
	next, err := k.Rotate()
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(k.path)
	if err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string]*Keys{"in memory": next, "from the file": loaded} {
		got, err := keys.Open("r", sealed)
		if err != nil || string(got) != "value" {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	moved, changed, err := loaded.Reseal("r", sealed)
	if err != nil || !changed {
		t.Fatalf("changed %v, %v", changed, err)
	}
	if _, err := k.Open("r", moved); !errors.Is(err, fault.NotFound) {
		t.Errorf("the old key opens what the new one sealed: %v", err)
	}
	if _, changed, err := loaded.Reseal("r", moved); changed || err != nil {
		t.Errorf("sealed anew without a reason: %v", err)
	}
	info, err := os.Stat(k.path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestKeyFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		mode       os.FileMode
		kind       error
		says       string
	}{
		{"readable by others", "", 0o644, fault.Denied, "chmod 600"},
		{"readable by the group", "", 0o640, fault.Denied, "chmod 600"},
		{"empty", "# nothing\n", 0o600, fault.Invalid, "holds no key"},
		{"not a key", "hello\n", 0o600, fault.Invalid, "line 1 is no key"},
		{"a short key", "0011223344556677 aGVsbG8=\n", 0o600, fault.Invalid, "line 1 is no key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			_, err := Load(path)
			if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %q", err, tt.says)
			}
		})
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fault.NotFound) {
		t.Errorf("not there: %v", err)
	}
}

func TestTheFirstStartCreatesAKeyFileThatOnlyItsOwnerReads(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	k, err := LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadOrCreate(path)
	if err != nil || again.keys[0] != k.keys[0] {
		t.Errorf("another key at the second start: %v", err)
	}
	if _, err := Create(path); !errors.Is(err, fault.Conflict) {
		t.Errorf("created over the old one: %v", err)
	}
	for _, text := range []string{fmt.Sprint(k), fmt.Sprintf("%v", k), fmt.Sprintf("%+v", k), fmt.Sprintf("%#v", k), k.String()} {
		if text != "[secret]" {
			t.Errorf("prints as %q", text)
		}
	}
}
