package main

import (
	"fmt"
	"runtime"
)

type versionCmd struct{}

// Examples leads the command's help.
func (versionCmd) Examples() string { return "riposte version\nriposte version --json" }

// Run prints the version.
func (versionCmd) Run(w *world) error {
	if w.json {
		return w.printJSON(map[string]string{"version": version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
	}
	fmt.Fprintf(w.out, "riposte %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
