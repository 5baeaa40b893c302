// Command riposte is the whole of Riposte: the server, its client, and the
// tools of who writes playbooks and connectors.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the build.
var version = "unknown"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], machine())
	stop()
	os.Exit(code)
}
