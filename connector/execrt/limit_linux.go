package execrt

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// limitSelf bounds what this process may use beyond what it has now. The
// runtime of Go keeps parts of its memory reserved and not in use, so the limit
// is on data, which counts only what can be written to.
func limitSelf(memory int64) {
	most := uint64(dataInUse() + memory)
	_ = unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: most, Max: most})
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	// Nothing is opened or started from here on.
	_ = unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{})
}

// dataInUse reads VmData of /proc/self/status.
func dataInUse() int64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmData:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb << 10
		}
	}
	return 0
}
