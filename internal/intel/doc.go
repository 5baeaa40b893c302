// Package intel knows what is known of things: indicators with the opinions of
// their sources, one verdict out of several opinions, and the allow list. A
// Matcher answers from memory; it is filled from records and told of every
// change. The package is pure: times and IDs arrive as arguments.
package intel
