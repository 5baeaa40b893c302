package execrt

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/connector"
)

// TestMain lets the test binary be its own child, as the program's main does.
func TestMain(m *testing.M) {
	if code, handled := ChildMain(os.Args[1:]); handled {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

const execManifest = `connector: tool
version: 1.0.0
contract: 1
title: Tool
runtime: exec
config: { type: object, properties: { level: { type: integer }, token: { type: string, secret: true } } }
actions:
  - id: look
    impact: read
    inputs: { type: object, properties: { a: {} } }
    exec: { command: [%s], memory: 64MB, processes: 8, max_output: 100KB }
  - id: act
    impact: change
    idempotency: none
    targets: [{ input: a, kind: host }]
    inputs: { type: object, properties: { a: { type: string } } }
    exec: { command: [%s], memory: 64MB, processes: 8, max_output: 100KB }
`

// program writes a script into a connector's folder and gives a function that
// runs it.
func program(t *testing.T, interpreter, text string) func(ctx context.Context, action string, inputs map[string]any) (connector.Result, any) {
	t.Helper()
	if name, ok := strings.CutPrefix(interpreter, "/usr/bin/env "); ok {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed; make test installs it as root", name)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tool"), []byte("#!"+interpreter+"\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	m, err := connector.Parse("connector.yaml", fmt.Appendf(nil, execManifest, "./tool", "./tool"))
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	t.Cleanup(func() {
		if left, _ := os.ReadDir(temp); len(left) > 0 {
			t.Errorf("the program's folder was not removed: %v", left)
		}
	})
	rt := &Runtime{TempDir: temp}
	return func(ctx context.Context, action string, inputs map[string]any) (connector.Result, any) {
		t.Helper()
		a := m.Action(action)
		var call connector.ExecCall
		if err := json.Unmarshal(a.Runtime, &call); err != nil {
			t.Fatal(err)
		}
		call.Dir = dir
		with := *a
		if with.Runtime, err = json.Marshal(call); err != nil {
			t.Fatal(err)
		}
		return rt.Run(ctx, &connector.Invocation{
			Call: connector.Call{Action: &with, Inputs: inputs, Key: "k"}, Impact: a.Impact,
			Config: map[string]any{"level": 3}, Secrets: map[string]string{"token": "t0p"}, Now: time.Now(),
		})
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestAProgramGetsARequestAndGivesAResult(t *testing.T) {
	t.Parallel()
	run := program(t, "/bin/sh", `read line; printf '{"status":"ok","output":%s,"external":"x1"}' "$line"`)
	res, out := run(within(t, 20*time.Second), "look", map[string]any{"a": []any{1, "b"}})
	if res.Status != connector.OK || res.External != "x1" {
		t.Fatalf("%+v", res)
	}
	got := out.(map[string]any)
	delete(got, "deadline")
	want := map[string]any{
		"contract": 1, "connector": "tool", "action": "look", "inputs": map[string]any{"a": []any{1, "b"}},
		"config": map[string]any{"level": 3}, "secrets": map[string]any{"token": "t0p"}, "key": "k",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAProgramHasAnEmptyEnvironmentAndItsOwnFolder(t *testing.T) {
	t.Setenv("RIPOSTE_TEST_SECRET", "do-not-leak")
	run := program(t, "/usr/bin/env python3", `
import os, json
open("file", "w").write("x")
print(json.dumps({"output": {"env": sorted(os.environ), "files": os.listdir("."), "raw": open("/proc/self/environ").read(), "fds": sorted(os.listdir("/proc/self/fd"))}}))`)
	res, out := run(within(t, 20*time.Second), "look", nil)
	if res.Status != connector.OK {
		t.Fatalf("%+v", res)
	}
	got := out.(map[string]any)
	// LC_CTYPE is what Python sets for itself.
	env, _ := json.Marshal(got["env"])
	if s := strings.ReplaceAll(string(env), `"LC_CTYPE"`, ""); s != "[]" || got["raw"] != "" {
		t.Errorf("environment %s, raw %q", env, got["raw"])
	}
	if diff := cmp.Diff([]any{"file"}, got["files"]); diff != "" {
		t.Error(diff)
	}
	// The fourth is the folder that is being read.
	if n := len(got["fds"].([]any)); n > 4 {
		t.Errorf("open files %v", got["fds"])
	}
}

func TestHowProgramsFail(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, interpreter, text string
		action                  string
		status                  connector.Status
		class                   connector.Class
		says                    string
	}{
		{"a class", "/bin/sh", `echo '{"class":"not_found","message":"no such file","retry_after":2}'`, "look", connector.Failed, connector.NotFound, "no such file"},
		{"an exit code", "/bin/sh", `echo broken >&2; exit 3`, "look", connector.Failed, connector.Permanent, "exit code 3: broken"},
		{"a result beside an exit code", "/bin/sh", `echo '{"class":"auth"}'; exit 3`, "look", connector.Failed, connector.Auth, ""},
		{"a crash", "/bin/sh", `kill -SEGV $$`, "look", connector.Failed, connector.Permanent, "signal segmentation fault"},
		{"nothing", "/bin/sh", `true`, "look", connector.Failed, connector.BadAnswer, "wrote no result"},
		{"no JSON", "/bin/sh", `echo hello`, "look", connector.Failed, connector.BadAnswer, "cannot be read"},
		{"no JSON after a change", "/bin/sh", `echo hello`, "act", connector.Unknown, connector.BadAnswer, "cannot be read"},
		{"two results", "/bin/sh", `echo '{}{}'`, "look", connector.Failed, connector.BadAnswer, "more than one"},
		{"an unknown key", "/bin/sh", `echo '{"outputs":{}}'`, "look", connector.Failed, connector.BadAnswer, `unknown field "outputs"`},
		{"an unknown status", "/bin/sh", `echo '{"status":"fine"}'`, "look", connector.Failed, connector.BadAnswer, `status "fine"`},
		{"an unknown class", "/bin/sh", `echo '{"class":"kill_switch"}'`, "look", connector.Failed, connector.BadAnswer, `class "kill_switch"`},
		{"no interpreter", "/nonexistent/python", ``, "look", connector.Failed, connector.Permanent, "could not be started"},
		{"too much output", "/bin/sh", `while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done`, "look", connector.Failed, connector.BadAnswer, "more than 100 KB"},
		{"too much output after a change", "/bin/sh", `yes`, "act", connector.Unknown, connector.BadAnswer, "more than 100 KB"},
		{"too much memory", "/usr/bin/env python3", `x = bytearray(512 << 20)`, "look", connector.Failed, connector.Permanent, "MemoryError"},
		{"too much shared memory", "/usr/bin/env python3", "import mmap, time\nm = mmap.mmap(-1, 512 << 20)\nfor i in range(0, 512 << 20, 4096): m[i] = 1\ntime.sleep(60)", "look", connector.Failed, connector.Permanent, "more than 64 MB of memory"},
		{"too many processes", "/bin/sh", `i=0; while [ $i -lt 30 ]; do sleep 60 & i=$((i+1)); done; wait`, "look", connector.Failed, connector.Permanent, "more than 8 processes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			run := program(t, tt.interpreter, tt.text)
			res, _ := run(within(t, 30*time.Second), tt.action, nil)
			if res.Status != tt.status || res.Class != tt.class || !strings.Contains(res.Message, tt.says) {
				t.Errorf("%+v, want %s %s with %q", res, tt.status, tt.class, tt.says)
			}
		})
	}
}

func alive(t *testing.T, file string) bool {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	_, zombie := parentOf(pid)
	return syscall.Kill(pid, 0) == nil && !zombie
}

func TestEverythingThatAProgramStartedEndsWithIt(t *testing.T) {
	t.Parallel()
	// A grandchild in a session of its own, whose parent has ended, and which
	// holds standard output open.
	orphan := `setsid sh -c 'echo $$ > PIDFILE; exec sleep 300' & while [ ! -s PIDFILE ]; do sleep 0.01; done; `
	tests := []struct {
		name, text string
		class      connector.Class
		says       string
		limit      time.Duration
	}{
		{"when its time is over", orphan + `while :; do :; done`, connector.Timeout, "did not end in time", 4 * time.Second},
		{"when it ends by itself", orphan + `echo '{}'`, "", "", 30 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pidfile := filepath.Join(t.TempDir(), "pid")
			run := program(t, "/bin/sh", strings.ReplaceAll(tt.text, "PIDFILE", pidfile))
			begin := time.Now()
			res, _ := run(within(t, tt.limit), "look", nil)
			if took := time.Since(begin); took > tt.limit+6*time.Second {
				t.Errorf("took %s", took)
			}
			if res.Class != tt.class || !strings.Contains(res.Message, tt.says) {
				t.Errorf("%+v", res)
			}
			if alive(t, pidfile) {
				t.Error("the grandchild lives")
			}
		})
	}
}

func TestACancelledCallEndsItsProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fifo, pidfile := filepath.Join(dir, "fifo"), filepath.Join(dir, "pid")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	run := program(t, "/bin/sh", "echo $$ > "+pidfile+"; echo up > "+fifo+"; sleep 300")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = os.ReadFile(fifo) // comes back when the program is up
		cancel()
	}()
	res, _ := run(ctx, "act", nil)
	if res.Status != connector.Unknown || res.Class != connector.Cancelled || alive(t, pidfile) {
		t.Errorf("%+v", res)
	}
}

func TestProgramsThatCannotBeFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "plain"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for command, says := range map[string]string{
		"./none": "there is no program", "./plain": "chmod +x", "no-such-program": "there is no program no-such-program in", "plain": "there is no program",
	} {
		if _, err := resolve(connector.ExecCall{Dir: dir, ExecSpec: connector.ExecSpec{Command: []string{command}}}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", command, err, says)
		}
	}
	if _, err := resolve(connector.ExecCall{ExecSpec: connector.ExecSpec{Command: []string{"true"}}}); err == nil {
		t.Error("a built-in connector ran a program")
	}
}

func script(t *testing.T, ctx context.Context, source string, with any) (connector.Result, any) {
	t.Helper()
	s := &Starlark{Scripts: fstest.MapFS{"a.star": {Data: []byte(source)}, "dir/b.star": {Data: []byte("def main(input): return 1")}}, MemoryBytes: 64 << 20, Steps: 2_000_000}
	inputs := map[string]any{"script": "a.star", "with": with}
	if name, ok := with.(scriptName); ok {
		inputs = map[string]any{"script": string(name)}
	}
	return s.Run(ctx, &connector.Invocation{Call: connector.Call{Inputs: inputs}})
}

type scriptName string

func TestScriptsComputeAValue(t *testing.T) {
	t.Parallel()
	res, out := script(t, within(t, 20*time.Second), `
def score(hit):
    return hit["n"] * 2

def main(input):
    seen = set()
    total = 0
    i = 0
    while i < len(input["hits"]):
        total += score(input["hits"][i])
        i += 1
    return {"total": total, "half": total / 2, "keys": input.keys(), "none": None, "tuple": (1, "a"), "json": json.encode({"b": 1, "a": [True]}), "sqrt": math.sqrt(16)}
`, map[string]any{"z": 1, "hits": []any{map[string]any{"n": 2}, map[string]any{"n": 3}}})
	if res.Status != connector.OK {
		t.Fatalf("%+v", res)
	}
	want := map[string]any{
		"total": 10, "half": 5.0, "keys": []any{"hits", "z"}, "none": nil, "tuple": []any{1, "a"},
		"json": `{"a":[true],"b":1}`, "sqrt": 4.0,
	}
	got := out.(map[string]any)
	for k, v := range got { // 5.0 is written as 5
		if i, ok := v.(int); ok && (k == "half" || k == "sqrt") {
			got[k] = float64(i)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestHowScriptsFail(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, source string
		with         any
		class        connector.Class
		says         string
	}{
		{"an endless loop", "def main(input):\n  while True: pass", nil, connector.Permanent, "more than 2000000 steps"},
		{"an endless loop at the top", "while True: pass", nil, connector.Permanent, "more than 2000000 steps"},
		{"memory in one step", "def main(input):\n  return len('a' * (1 << 29))", nil, connector.Permanent, "memory"},
		{"memory in many steps", "def main(input):\n  l = ['x' * 1000000]\n  for i in range(100000): l.append('y' * 1000000 + str(i))\n  return 1", nil, connector.Permanent, "memory"},
		{"load", "load('b.star', 'x')\ndef main(input): return 1", nil, connector.Invalid, "load is not available"},
		{"a wrong line", "def main(input):\n  return input['no']", map[string]any{}, connector.Invalid, `a.star:2:`},
		{"not Starlark", "def main(input)\n  return 1", nil, connector.Invalid, "a.star:2:1: got newline"},
		{"no main", "x = 1", nil, connector.Invalid, "defines no function main"},
		{"files", "def main(input): return open('/etc/passwd')", nil, connector.Invalid, "undefined: open"},
		{"recursion", "def main(input): return main(input)", nil, connector.Invalid, "called recursively"},
		{"a value that is no JSON", "def main(input): return main", nil, connector.Invalid, "is no JSON"},
		{"keys that are no texts", "def main(input): return {1: 2}", nil, connector.Invalid, "keys are texts"},
		{"a large result", "def main(input): return 'a' * 5000000", nil, connector.Permanent, "returns more than 4 MB"},
		{"a path that climbs", "", scriptName("../a.star"), connector.Invalid, "expected the name of a file"},
		{"an absolute path", "", scriptName("/etc/passwd"), connector.Invalid, "expected the name of a file"},
		{"another kind of file", "", scriptName("a.txt"), connector.Invalid, "ends in .star"},
		{"no such file", "", scriptName("none.star"), connector.Invalid, "there is no such file"},
		{"a folder", "", scriptName("dir.star"), connector.Invalid, "there is no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res, _ := script(t, within(t, 30*time.Second), tt.source, tt.with)
			if res.Status != connector.Failed || res.Class != tt.class || !strings.Contains(res.Message, tt.says) {
				t.Errorf("%+v, want %s with %q", res, tt.class, tt.says)
			}
		})
	}
}

func TestAScriptOverItsTimeIsEnded(t *testing.T) {
	t.Parallel()
	s := &Starlark{Scripts: fstest.MapFS{"a.star": {Data: []byte("def main(input):\n  while True: pass")}}, Steps: 1 << 60}
	res, _ := s.Run(within(t, 500*time.Millisecond), &connector.Invocation{Call: connector.Call{Inputs: map[string]any{"script": "a.star"}}})
	if res.Class != connector.Timeout {
		t.Errorf("%+v", res)
	}
}

func TestALinkOutOfTheScriptsFolderIsNotFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "x.star")
	if err := os.WriteFile(outside, []byte("def main(input): return 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "a.star")); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	s := &Starlark{Scripts: root.FS()}
	res, _ := s.Run(within(t, 20*time.Second), &connector.Invocation{Call: connector.Call{Inputs: map[string]any{"script": "a.star"}}})
	if res.Class != connector.Invalid || !strings.Contains(res.Message, "cannot be read") {
		t.Errorf("%+v", res)
	}
}
