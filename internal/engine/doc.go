// Package engine drives runs durably inside one process: it keeps their
// histories in a journal, folds them with run.Step, carries out the commands
// that follow, and brings everything back to work after a crash. See DESIGN.md.
//
// The engine knows no SQL, no HTTP and no connector. What it needs of them is
// declared in ports.go and handed in as fields of Engine.
package engine
