package execrt

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// supervise is the hidden command exec-child: MEMORY PROCESSES -- COMMAND. It
// starts the command, adopts whatever that leaves behind, and ends all of it
// when the command has ended, a limit is passed, or the life pipe closes.
func supervise(args []string) int {
	// What is started dies with this thread, so it must be the main one.
	runtime.LockOSThread()
	if len(args) < 4 || args[2] != "--" {
		return 2
	}
	memory, err1 := strconv.ParseInt(args[0], 10, 64)
	processes, err2 := strconv.Atoi(args[1])
	if err1 != nil || err2 != nil {
		return 2
	}
	s := &supervisor{memory: memory, processes: processes, reports: os.NewFile(3, "report"), life: os.NewFile(4, "life")}
	// Also what whoever started the server left open.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		unix.CloseOnExec(3)
		unix.CloseOnExec(4)
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return s.report(report{Reason: endStart, Detail: err.Error()})
	}
	return s.run(args[3:])
}

type supervisor struct {
	memory    int64
	processes int
	reports   *os.File
	life      *os.File

	mu     sync.Mutex
	reason end // the limit that was passed
}

func (s *supervisor) run(command []string) int {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = []string{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return s.report(report{Reason: endStart, Detail: err.Error()})
	}
	target := cmd.Process.Pid
	s.limit(target)
	done := make(chan struct{})
	var watchers sync.WaitGroup
	watchers.Go(func() { s.watchLife(done) })
	watchers.Go(func() { s.watchUse(done) })
	status := reapUntil(target)
	close(done)
	endAll()
	_ = s.life.SetReadDeadline(time.Now())
	rep := report{Reason: endExit, Code: status.ExitStatus()}
	if status.Signaled() {
		rep.Signal = int(status.Signal())
		rep.Code = 128 + rep.Signal
	}
	s.mu.Lock()
	if s.reason != "" {
		rep.Reason = s.reason
	}
	s.mu.Unlock()
	return s.report(rep)
}

func (s *supervisor) report(r report) int {
	text, err := json.Marshal(r)
	if err == nil {
		_, err = s.reports.Write(text)
	}
	if err != nil {
		return 1
	}
	return 0
}

// limit sets the limits of the kernel. They hold for each process by itself;
// watchUse counts them together.
func (s *supervisor) limit(pid int) {
	for resource, most := range map[int]uint64{
		unix.RLIMIT_DATA: uint64(s.memory), unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: 256, unix.RLIMIT_FSIZE: 256 << 20,
	} {
		// A limit that cannot be set is one that is lower already.
		_ = unix.Prlimit(pid, resource, &unix.Rlimit{Cur: most, Max: most}, nil)
	}
}

// watchLife ends everything when whoever started us lets go or dies.
func (s *supervisor) watchLife(done <-chan struct{}) {
	_, _ = io.Copy(io.Discard, s.life)
	select {
	case <-done:
	default:
		endAll()
	}
}

// watchUse ends everything when all processes together pass a limit.
func (s *supervisor) watchUse(done <-chan struct{}) {
	every := time.NewTicker(25 * time.Millisecond)
	defer every.Stop()
	for {
		select {
		case <-done:
			return
		case <-every.C:
		}
		all := descendants(os.Getpid())
		var passed end
		switch {
		case len(all) > s.processes:
			passed = endProcesses
		case memoryOf(all) > s.memory:
			passed = endMemory
		default:
			continue
		}
		s.mu.Lock()
		s.reason = passed
		s.mu.Unlock()
		endAll()
		return
	}
}

// reapUntil collects ended processes, adopted ones too, until the target is one.
func reapUntil(target int) syscall.WaitStatus {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return status
		case pid == target:
			return status
		}
	}
}

// endAll ends all that is below us. What is stopped first cannot start more in
// the meantime.
func endAll() {
	ends := time.Now().Add(2 * time.Second)
	for time.Now().Before(ends) {
		all := descendants(os.Getpid())
		if len(all) == 0 {
			return
		}
		for _, signal := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
			for _, pid := range all {
				_ = syscall.Kill(pid, signal)
			}
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}

// descendants lists the living processes below one.
func descendants(root int) []int {
	children := map[int][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if parent, zombie := parentOf(pid); !zombie {
			children[parent] = append(children[parent], pid)
		}
	}
	var all []int
	for next := []int{root}; len(next) > 0; next = next[1:] {
		all = append(all, children[next[0]]...)
		next = append(next, children[next[0]]...)
	}
	return all
}

// parentOf reads /proc/PID/stat: pid (name) state parent …, where the name may
// hold anything.
func parentOf(pid int) (parent int, zombie bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, true
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 2 {
		return 0, true
	}
	parent, _ = strconv.Atoi(fields[1])
	return parent, fields[0] == "Z" || fields[0] == "X"
}

// memoryOf adds up what processes have in memory; pages that they share count
// for each.
func memoryOf(pids []int) int64 {
	var sum int64
	for _, pid := range pids {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
		if err != nil {
			continue
		}
		if fields := strings.Fields(string(b)); len(fields) > 2 {
			resident, _ := strconv.ParseInt(fields[1], 10, 64)
			shared, _ := strconv.ParseInt(fields[2], 10, 64)
			sum += (resident - shared/2) * int64(os.Getpagesize())
		}
	}
	return sum
}
