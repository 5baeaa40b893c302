//go:build !linux

package execrt

import (
	"encoding/json"
	"os"
)

// supervise needs what only Linux has: adopting orphans and counting memory.
func supervise([]string) int {
	text, err := json.Marshal(report{Reason: endStart, Detail: "programs of connectors run on Linux only"})
	if err == nil {
		_, err = os.NewFile(3, "report").Write(text)
	}
	if err != nil {
		return 1
	}
	return 0
}
