package execrt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"
)

// The hidden commands.
const (
	superviseCommand = "exec-child"
	starlarkCommand  = "starlark-child"
)

// ChildMain does the work of a hidden command, if args (without the program's
// name) hold one, and says with which code to exit. A main calls it first.
func ChildMain(args []string) (code int, handled bool) {
	if len(args) == 0 {
		return 0, false
	}
	switch args[0] {
	case superviseCommand:
		return supervise(args[1:]), true
	case starlarkCommand:
		return starlarkChild(os.Stdin, os.Stdout, os.Stderr), true
	}
	return 0, false
}

// job is a program to run.
type job struct {
	command   []string
	stdin     []byte
	memory    int64
	processes int
	maxOutput int64
}

// end says why a program ended.
type end string

const (
	endExit      end = "exit"
	endTimeout   end = "timeout"
	endCancelled end = "cancelled"
	endOutput    end = "output"
	endMemory    end = "memory"
	endProcesses end = "processes"
	endStart     end = "start"
)

// outcome is how a program ended.
type outcome struct {
	reason end
	detail string
	limit  int64
	code   int
	signal int
	stdout []byte
	stderr []byte
}

func (o outcome) ending() string {
	if o.signal != 0 {
		return "the signal " + syscall.Signal(o.signal).String()
	}
	return "exit code " + strconv.Itoa(o.code)
}

// stderrText is the end of what the program said, for messages.
func (o outcome) stderrText() string {
	text := strings.TrimSpace(strings.ToValidUTF8(string(o.stderr), "\uFFFD"))
	if text == "" {
		return ""
	}
	lines := strings.Split(text, "\n")
	if len(lines) > 3 {
		lines = lines[len(lines)-3:]
	}
	text = strings.Join(lines, " | ")
	if r := []rune(text); len(r) > 500 {
		text = "…" + string(r[len(r)-499:])
	}
	return ": " + text
}

// report is what the supervisor writes on its report pipe.
type report struct {
	Reason end    `json:"reason"`
	Detail string `json:"detail,omitempty"`
	Code   int    `json:"code"`
	Signal int    `json:"signal"`
}

// lingering is how long the supervisor may take to end everything before it is
// ended itself.
const lingering = 3 * time.Second

// start runs a job under a supervisor and waits for its end. The supervisor ends
// everything when the life pipe closes: when we say so, and when we die.
func (r *Runtime) start(ctx context.Context, j job) (outcome, error) {
	home, err := os.MkdirTemp(r.TempDir, "riposte-exec-")
	if err != nil {
		return outcome{}, fmt.Errorf("make a folder for the program: %w", err)
	}
	defer func() { _ = os.RemoveAll(home) }()
	self, err := r.self()
	if err != nil {
		return outcome{}, err
	}
	reportR, reportW, err := os.Pipe()
	if err != nil {
		return outcome{}, fmt.Errorf("start the program: %w", err)
	}
	defer func() { _ = reportR.Close() }()
	lifeR, lifeW, err := os.Pipe()
	if err != nil {
		_ = reportW.Close()
		return outcome{}, fmt.Errorf("start the program: %w", err)
	}
	args := append(self[1:len(self):len(self)], superviseCommand, strconv.FormatInt(j.memory, 10), strconv.Itoa(j.processes), "--")
	args = append(args, j.command...)
	cmd := exec.Command(self[0], args...)
	cmd.Env, cmd.Dir = []string{}, home
	cmd.Stdin = bytes.NewReader(j.stdin)
	cmd.ExtraFiles = []*os.File{reportW, lifeR} // 3 and 4
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.WaitDelay = time.Second
	w := &watched{life: lifeW, max: j.maxOutput}
	cmd.Stdout, cmd.Stderr = w, &w.stderr
	err = cmd.Start()
	_ = reportW.Close()
	_ = lifeR.Close()
	if err != nil {
		w.end("")
		return outcome{}, fmt.Errorf("start the program: %w", err)
	}
	stop := context.AfterFunc(ctx, func() {
		why := endCancelled
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			why = endTimeout
		}
		w.end(why)
	})
	defer stop()
	w.mu.Lock()
	w.pid = cmd.Process.Pid
	w.mu.Unlock()
	_ = cmd.Wait() // the report says more than the supervisor's exit code
	w.end("")
	return w.outcome(reportR, j), nil
}

func (r *Runtime) self() ([]string, error) {
	if len(r.Self) > 0 {
		return r.Self, nil
	}
	path, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this binary: %w", err)
	}
	return []string{path}, nil
}

// watched gathers the output of a child and ends it when there is too much.
type watched struct {
	mu     sync.Mutex
	life   *os.File
	ended  bool
	reason end
	pid    int
	timer  *time.Timer
	max    int64
	stdout bytes.Buffer
	stderr tail
}

// Write takes standard output.
func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	over := int64(w.stdout.Len()+len(p)) > w.max
	if !over {
		w.stdout.Write(p)
	}
	w.mu.Unlock()
	if over {
		w.end(endOutput)
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

// end lets go of the life pipe, for which the supervisor ends everything, and
// ends the supervisor's whole session if it does not manage. why "" means that
// it has ended already.
func (w *watched) end(why end) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if why == "" && w.timer != nil {
		w.timer.Stop()
	}
	if w.ended {
		return
	}
	w.ended, w.reason = true, why
	_ = w.life.Close()
	if why != "" {
		w.timer = time.AfterFunc(lingering, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.pid > 0 {
				_ = syscall.Kill(-w.pid, syscall.SIGKILL)
			}
		})
	}
}

func (w *watched) outcome(reports io.Reader, j job) outcome {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := outcome{reason: w.reason, stdout: w.stdout.Bytes(), stderr: w.stderr.bytes(), limit: j.maxOutput}
	if o.reason != "" {
		return o
	}
	var rep report
	if err := json.NewDecoder(io.LimitReader(reports, 64<<10)).Decode(&rep); err != nil {
		o.reason, o.detail = endStart, "its supervisor ended without a report"+o.stderrText()
		return o
	}
	o.reason, o.detail, o.code, o.signal = rep.Reason, rep.Detail, rep.Code, rep.Signal
	switch rep.Reason {
	case endMemory:
		o.limit = j.memory
	case endProcesses:
		o.limit = int64(j.processes)
	case endExit, endTimeout, endCancelled, endOutput, endStart:
	}
	return o
}

// tail keeps the last bytes that were written.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if over := len(t.b) - keptStderr; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

func (t *tail) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := bytes.Clone(t.b)
	for len(b) > 0 && !utf8.RuneStart(b[0]) {
		b = b[1:]
	}
	return b
}
