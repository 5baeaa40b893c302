package blob_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"riposte/internal/blob"
	"riposte/internal/fault"
)

func open(t *testing.T, opt blob.Options) (*blob.Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "blobs")
	s, err := blob.Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func TestWhatIsPutIsGotAndKeptOnce(t *testing.T) {
	t.Parallel()
	s, dir := open(t, blob.Options{})
	data := bytes.Repeat([]byte("x"), 100_000)
	first, err := s.Put(context.Background(), data)
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.Put(context.Background(), data)
	if err != nil || first != second {
		t.Fatalf("%s, %s, %v", first, second, err)
	}
	got, err := s.Get(context.Background(), first)
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}

func TestADamagedBlobIsTold(t *testing.T) {
	t.Parallel()
	s, dir := open(t, blob.Options{})
	hash, err := s.Put(context.Background(), []byte("whole"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, hash[:2], hash), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(context.Background(), hash); !errors.Is(err, fault.Invalid) {
		t.Errorf("got %v, want fault.Invalid", err)
	}
}

func TestNamesThatAreNoHashesReachNoFile(t *testing.T) {
	t.Parallel()
	s, _ := open(t, blob.Options{})
	for _, name := range []string{"", "../../etc/passwd", "zz", string(bytes.Repeat([]byte("g"), 64))} {
		if _, err := s.Get(context.Background(), name); !errors.Is(err, fault.Invalid) {
			t.Errorf("Get(%q) gave %v, want fault.Invalid", name, err)
		}
	}
	if _, err := s.Get(context.Background(), string(bytes.Repeat([]byte("a"), 64))); !errors.Is(err, fault.NotFound) {
		t.Errorf("got %v, want fault.NotFound", err)
	}
}

func TestTheQuotaHolds(t *testing.T) {
	t.Parallel()
	s, _ := open(t, blob.Options{Quota: 10, MaxBytes: 8})
	if _, err := s.Put(context.Background(), []byte("123456")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(context.Background(), []byte("abcdef")); !errors.Is(err, fault.Transient) {
		t.Errorf("over the quota: %v, want fault.Transient", err)
	}
	if _, err := s.Put(context.Background(), []byte("123456789")); !errors.Is(err, fault.Invalid) {
		t.Errorf("too large: %v, want fault.Invalid", err)
	}
}

func TestASweepLeavesWhatIsWantedAndWhatIsYoung(t *testing.T) {
	t.Parallel()
	s, _ := open(t, blob.Options{})
	ctx := context.Background()
	wanted, _ := s.Put(ctx, []byte("wanted"))
	other, err := s.Put(ctx, []byte("other"))
	if err != nil {
		t.Fatal(err)
	}
	keep := func(h string) bool { return h == wanted }
	if n, err := s.Sweep(ctx, time.Now(), time.Hour, keep); n != 0 || err != nil {
		t.Fatalf("young ones went: %d, %v", n, err)
	}
	if n, err := s.Sweep(ctx, time.Now().Add(2*time.Hour), time.Hour, keep); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if _, err := s.Get(ctx, other); !errors.Is(err, fault.NotFound) {
		t.Errorf("got %v, want fault.NotFound", err)
	}
	if _, err := s.Get(ctx, wanted); err != nil {
		t.Error(err)
	}
}
