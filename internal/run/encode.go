package run

import (
	"encoding/json"
	"fmt"

	"riposte/internal/fault"
)

// eventsVersion is the first byte of stored events.
const eventsVersion = 1

// EncodeEvents writes events for the journal: a version byte, then JSON.
func EncodeEvents(events []Event) ([]byte, error) {
	b, err := json.Marshal(events)
	if err != nil {
		return nil, fmt.Errorf("encode events: %w", err)
	}
	return append([]byte{eventsVersion}, b...), nil
}

// DecodeEvents reads what EncodeEvents wrote, of this or an earlier release.
func DecodeEvents(b []byte) ([]Event, error) {
	if len(b) == 0 || b[0] != eventsVersion {
		return nil, fmt.Errorf("decode events: not written by this or an earlier release: %w", fault.Invalid)
	}
	var events []Event
	if err := json.Unmarshal(b[1:], &events); err != nil {
		return nil, fmt.Errorf("decode events: %w: %w", err, fault.Invalid)
	}
	return events, nil
}
