// Package lab_test starts the systems of the lab and lets each do the one thing
// that Riposte asks of it.
package lab_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The lab of this test stands beside any other on the machine: a network of
// loopback addresses and namespaces of its own.
const (
	network    = "LAB_NET=127.0.91"
	namespaces = "LAB_NS=lt"
)

func TestSystemsOfTheLabDoWhatConnectorsNeed(t *testing.T) {
	systems := strings.Fields(os.Getenv("RIPOSTE_LAB"))
	if len(systems) == 0 {
		t.Skip("RIPOSTE_LAB names no systems; make test sets it")
	}
	if os.Getuid() != 0 {
		t.Skip("the lab needs root: it installs packages and makes network namespaces")
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("the lab needs a Debian system (apt-get is not here)")
	}
	lab := start(t)
	for _, name := range systems {
		t.Run(name, func(t *testing.T) {
			lab(t, "install", name)
			lab(t, "up", name)
			if out := lab(t, "check", name); !strings.Contains(out, "PASS "+name) {
				t.Errorf("check says %q", out)
			}
			lab(t, "down", name)
			if out := lab(t, "status"); strings.Contains(out, " up ") {
				t.Errorf("something still runs after down:\n%s", out)
			}
		})
	}
}

// start returns a function that runs the lab command, and stops everything when
// the test ends.
func start(t *testing.T) func(t *testing.T, args ...string) string {
	t.Helper()
	// t.TempDir is too long for UNIX sockets, and servers that run as users of
	// their own cannot enter it.
	dir, err := os.MkdirTemp("", "lab")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, args ...string) string {
		t.Helper()
		began := time.Now()
		cmd := exec.Command("./lab", args...)
		cmd.Env = append(os.Environ(), "LAB_DIR="+dir, network, namespaces)
		// Servers inherit no pipe: the call returns when the command does.
		out := filepath.Join(dir, "out")
		file, err := os.Create(out)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		cmd.Stdout, cmd.Stderr = file, file
		err = cmd.Run()
		said, _ := os.ReadFile(out)
		if err != nil {
			t.Fatalf("lab %s: %v\n%s", strings.Join(args, " "), err, said)
		}
		t.Logf("lab %s: %.1fs", strings.Join(args, " "), time.Since(began).Seconds())
		return string(said)
	}
	t.Cleanup(func() {
		run(t, "down", "all")
		os.RemoveAll(dir)
	})
	return run
}
