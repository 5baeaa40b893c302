// Package httprt runs actions that a manifest describes as HTTP requests: it
// fills in the request, signs it, sends it through the egress guard, follows
// pages, and says what the answer means. It never retries, except once after a
// token has run out; retrying is the engine's work.
package httprt
