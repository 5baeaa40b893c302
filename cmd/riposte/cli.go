package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"riposte/internal/fault"
)

// The exit codes.
const (
	exitDone    = 0
	exitFailed  = 1 // it was tried and did not work
	exitMisused = 2 // the command or what it was given is wrong; nothing was done
)

// cli is every command and the flags that all of them take.
type cli struct {
	JSON    bool `name:"json" help:"Write data as JSON, to standard output."`
	NoColor bool `name:"no-color" help:"No colours, as with NO_COLOR set."`

	Serve      serveCmd      `cmd:"" help:"Run the server."`
	Demo       demoCmd       `cmd:"" help:"Show everything with simulated products and real alerts, on this machine."`
	Playbook   playbookCmd   `cmd:"" help:"Check, format, test, draw and run playbooks; publish them to a server."`
	Connector  connectorCmd  `cmd:"" help:"Check connectors before a server loads them."`
	Alarm      alarmCmd      `cmd:"" group:"server" help:"What is wrong now, or was."`
	Source     sourceCmd     `cmd:"" help:"Where alerts come from."`
	Alert      alertCmd      `cmd:"" group:"server" help:"What sources report."`
	Triage     triageCmd     `cmd:"" group:"server" help:"What becomes of alerts: rules, and what others would have done."`
	Case       caseCmd       `cmd:"" group:"server" help:"What people work on."`
	Run        runCmd        `cmd:"" group:"server" help:"Executions of playbooks."`
	Approval   approvalCmd   `cmd:"" group:"server" help:"What people are asked."`
	Ledger     ledgerCmd     `cmd:"" group:"server" help:"What is in force and how it is taken back."`
	Lists      listsCmd      `cmd:"" group:"server" help:"Tables of the installation."`
	Connection connectionCmd `cmd:"" group:"server" help:"Configured instances of connectors."`
	Switch     switchCmd     `cmd:"" group:"server" help:"What is switched off."`
	People     peopleCmd     `cmd:"" group:"server" help:"Who may come in."`
	Override   overrideCmd   `cmd:"" group:"server" help:"Protections that are set aside, once."`
	Audit      auditCmd      `cmd:"" group:"server" help:"Who did what, in a chain that shows when it was touched."`
	Token      tokenCmd      `cmd:"" group:"server" help:"API tokens."`

	Config  configCmd  `cmd:"" help:"Check the configuration, show it, make a password's hash."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// execute is the program: it gives the exit code.
func execute(ctx context.Context, args []string, w *world) int {
	w.ctx = ctx
	var root cli
	var exited *int
	parser, err := kong.New(&root,
		kong.Name("riposte"),
		kong.Description("Riposte answers security alerts with playbooks, and takes back what it did."),
		kong.Writers(w.out, w.err),
		kong.Exit(func(code int) { exited = &code }),
		kong.Help(help),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.ExplicitGroups([]kong.Group{{Key: "server", Title: "Commands that speak to a server (RIPOSTE_URL, RIPOSTE_TOKEN):"}}),
		kong.Vars(defaultsForHelp()),
	)
	if err != nil {
		return w.fail(err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	chosen, err := parser.Parse(args)
	if exited != nil { // --help has been answered
		return *exited
	}
	if err != nil {
		return w.misuse(err)
	}
	w.json = root.JSON
	w.colour = w.colour && !root.NoColor && !root.JSON
	out := &output{to: w.out}
	w.out = out
	err = chosen.Run(w)
	if err == nil && out.err != nil {
		err = fmt.Errorf("standard output: %w", out.err)
	}
	return w.fail(err)
}

// output remembers that something could not be written: tables and lines are
// written without looking.
type output struct {
	to  io.Writer
	err error
}

// Write writes, and keeps the first error.
func (o *output) Write(b []byte) (int, error) {
	n, err := o.to.Write(b)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// misuse tells what is wrong with the command line and where to read how it is
// right.
func (w *world) misuse(err error) int {
	at := "riposte"
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil && parse.Context.Selected() != nil {
		at = parse.Context.Selected().FullPath()
	}
	fmt.Fprintf(w.err, "riposte: %s; see %s --help\n", err, at)
	return exitMisused
}

// silent is an error of which everything has been said already.
type silent struct{ code int }

func (s silent) Error() string { return fmt.Sprintf("exit %d", s.code) }

// fail tells what went wrong and gives the exit code that says so.
func (w *world) fail(err error) int {
	if err == nil {
		return exitDone
	}
	var s silent
	if errors.As(err, &s) {
		return s.code
	}
	text := err.Error()
	for _, kind := range []error{fault.Invalid, fault.NotFound, fault.Conflict, fault.Denied} {
		text = strings.TrimSuffix(text, ": "+kind.Error())
	}
	fmt.Fprintf(w.err, "riposte: %s\n", text)
	if errors.Is(err, fault.Invalid) {
		return exitMisused
	}
	return exitFailed
}

// misusef is an error of what the command was given.
func misusef(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, fault.Invalid)...)
}

// withExamples is a command whose help begins with examples.
type withExamples interface{ Examples() string }

// help leads with examples.
func help(options kong.HelpOptions, ctx *kong.Context) error {
	var target any
	if ctx.Selected() != nil {
		target = ctx.Selected().Target.Addr().Interface()
	}
	text := rootExamples
	if e, ok := target.(withExamples); ok {
		text = e.Examples()
	} else if target != nil {
		text = ""
	}
	if text != "" {
		fmt.Fprintln(ctx.Stdout, "Examples:")
		for line := range strings.Lines(strings.Trim(text, "\n")) {
			fmt.Fprint(ctx.Stdout, "  ", strings.TrimPrefix(line, "\t"))
		}
		fmt.Fprint(ctx.Stdout, "\n\n")
	}
	return kong.DefaultHelpPrinter(options, ctx)
}

const rootExamples = `
	riposte demo                                  everything, simulated, on this machine
	riposte serve --config riposte.yaml           the server
	riposte playbook check content/playbooks      is what I wrote right?
	riposte run list --status failed              what did not work?
	riposte approval list                         what waits for me?

	Commands that speak to a server find it by RIPOSTE_URL and RIPOSTE_TOKEN.`
