// Package fault names the kinds of error that callers branch on. Everything
// else is an unknown error: it is logged in full and reaches users as
// "internal error" with a request ID.
//
// Wrap a kind with %w and say what was attempted, on what, and why:
//
//	fmt.Errorf("close case %s: %d open tasks: %w", id, n, fault.Conflict)
package fault

import "errors"

// The kinds. Test with errors.Is.
var (
	Invalid   = errors.New("invalid")         // the input is wrong; the same call fails again
	NotFound  = errors.New("not found")       // no such record, or none the caller may see
	Conflict  = errors.New("conflict")        // the record's state forbids it, or it changed meanwhile
	Denied    = errors.New("denied")          // the caller, a person or the guard said no
	Transient = errors.New("try again later") // the same call may work later
)
