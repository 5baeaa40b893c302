package event

import "time"

// Found is what can be told of an event without knowing its product.
func Found(e Event, now time.Time) map[string]any {
	return map[string]any{}
}
