// Package guard stands between a playbook and damage. One pipeline goes before
// every change and destroy, whoever asks for it: clearance, kill switch, targets,
// protected objects, limits, policy, approval bound to the hash of the exact
// action. After the call it keeps the rules of the ledger (what is blocked,
// isolated or disabled now, and how it is taken back) and of the circuit breaker.
//
// The package is pure: it reads no clock and stores nothing. What it counts lives
// in memory behind one mutex and is filled again after a restart (Guard.Restore).
// docs/guard.md says how an installation sets it up.
package guard
