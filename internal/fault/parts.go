package fault

import "maps"

// Parts is an error of kind Invalid that knows which parts of an input are
// wrong: a message for each by its JSON pointer, such as /inputs/ip.
type Parts struct {
	What string // the whole in one sentence
	At   map[string]string
}

// Error is the sentence, with the kind at its end as in other errors.
func (p *Parts) Error() string { return p.What + ": " + Invalid.Error() }

// Unwrap gives the kind.
func (p *Parts) Unwrap() error { return Invalid }

// Located gives the messages by pointer.
func (p *Parts) Located() map[string]string { return p.At }

// Below is the same error about a part of something larger, which is found below
// a pointer.
func (p *Parts) Below(pointer string) *Parts {
	moved := &Parts{What: p.What, At: maps.Clone(p.At)}
	clear(moved.At)
	for at, what := range p.At {
		moved.At[pointer+at] = what
	}
	return moved
}
