package connector

import (
	"context"
	"time"
)

// Invocation is a call made ready for a runtime: connection found, secrets
// opened, inputs checked and complete.
type Invocation struct {
	Call       Call // Inputs have their defaults, and secrets are texts
	Impact     Impact
	Connection *Connection
	Config     map[string]any    // with defaults
	Secrets    map[string]string // opened; never leave the runtime but in the request
	Now        time.Time
	// Token waits for the connection's rate limit. A runtime calls it before each
	// request but the first, such as for a further page. It may be nil.
	Token func(ctx context.Context) error
}

// Runtime makes calls. Beside the Result, whose Output it leaves to the caller
// to encode, it gives the output as a plain value.
type Runtime interface {
	Run(ctx context.Context, in *Invocation) (Result, any)
}

// Handler does one action in Go. It returns what a Runtime does.
type Handler func(ctx context.Context, in *Invocation) (Result, any)

// Fail is the result of a call that did not do what was asked.
func Fail(class Class, message string) Result {
	if class == Policy {
		return Result{Status: Denied, Class: class, Message: message}
	}
	return Result{Status: Failed, Class: class, Message: message}
}
