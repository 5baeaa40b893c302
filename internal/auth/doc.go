// Package auth knows who may do what: people, the groups and roles they are in,
// who is on call when, what a role permits, and how passwords, tokens and
// sessions are told from wrong ones. Nothing is allowed that no role permits. It
// is pure: random values and times arrive as data, and who stores people, tokens
// and sessions is somebody else.
package auth
