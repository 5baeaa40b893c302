package app

import (
	"os"
	"runtime/debug"
)

// garbage is how much garbage may gather, in per cent of what lives. Go's 100
// costs a sixth of the processor time of a busy server; what lives there is a
// few tens of MiB, so twice that is affordable.
const garbage = 200

// TuneMemory sets the garbage collector for a server, unless GOGC does it. It
// holds for the whole process, so the program calls it, not App.
func TuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
}

// SettleMemory gives back what only the start needed. It holds for the whole
// process, too.
func SettleMemory() { debug.FreeOSMemory() }
