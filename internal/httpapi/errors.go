package httpapi

import (
	"fmt"

	"riposte/internal/fault"
)

// ErrStale says that a record has changed since the revision that the client
// has seen. Interfaces return it, or wrap it; clients get 412.
var ErrStale = fmt.Errorf("the record has changed meanwhile: %w", fault.Conflict)
