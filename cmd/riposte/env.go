package main

import (
	"context"
	"io"
	"os"

	"golang.org/x/term"
)

// world is what a command sees of the machine.
type world struct {
	ctx    context.Context
	in     io.Reader
	out    io.Writer // data
	err    io.Writer // talk
	getenv func(string) string
	// environ is all of the environment, NAME=VALUE each; nil: nobody looks at it.
	environ func() []string
	// askSecret reads a secret from the terminal without showing it; nil where
	// there is no terminal.
	askSecret func() (string, error)
	colour    bool
	json      bool
}

// machine is the real one.
func machine() *world {
	w := &world{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv, environ: os.Environ}
	stdin := int(os.Stdin.Fd())
	if term.IsTerminal(stdin) {
		w.askSecret = func() (string, error) {
			b, err := term.ReadPassword(stdin)
			return string(b), err
		}
	}
	w.colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(os.Stdout.Fd()))
	return w
}
