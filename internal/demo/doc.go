// Package demo plays an attack to a running server. It connects the simulated
// products, publishes the demo's playbooks, sends the samples of real tools to
// the server's sources, answers its questions from a script, and asks the
// products afterwards, over HTTP, what really happened to them. It speaks to the
// server as everybody does: by its HTTP API, with a token.
package demo
