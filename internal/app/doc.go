// Package app puts the program together: New makes every part from a Config and
// hands each what it needs of the others, Run works until its context ends, and
// Stop waits until everything is on disk. It is the only package that sees all
// of them, and it decides nothing.
package app
