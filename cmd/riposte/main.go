// Command riposte is the whole of Riposte: the server, its client, and the
// tools of who writes playbooks and connectors.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"riposte/connector/execrt"
)

// version is set by the build.
var version = "unknown"

func main() {
	// Programs and scripts of connectors run in children of this binary.
	if code, handled := execrt.ChildMain(os.Args[1:]); handled {
		os.Exit(code)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], machine())
	stop()
	os.Exit(code)
}
