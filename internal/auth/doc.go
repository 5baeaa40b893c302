// Package auth knows who may do what: people, the groups and roles they are in,
// who is on call, what a role permits, and how passwords and tokens are told
// from wrong ones. It is pure: random values and times arrive as data, and who
// stores people and sessions is somebody else.
package auth
