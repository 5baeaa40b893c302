// Package execrt runs actions in child processes: programs of connectors, and
// Starlark scripts. A program gets one JSON request on its standard input and
// writes one JSON result on its standard output. It has an empty environment and
// a folder of its own that is removed afterwards, and limits of time, memory,
// processes and output; when it ends or goes over a limit, all that it started
// ends with it.
//
// Both kinds of child are this binary once more, called with a hidden command:
// the program's main calls ChildMain before anything else.
package execrt
