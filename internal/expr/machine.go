package expr

import (
	"time"
	"unicode/utf8"
)

// The limits of one evaluation and of one text. They count work, never time, so
// that a replay ends in the same way.
const (
	MaxNodes  = 10_000    // parts of the parsed text
	MaxTicks  = 1_000_000 // predicate bodies and function calls
	MaxMemory = 16 << 20  // bytes of new texts, lists and objects, freed or not

	maxSource  = 512 << 10 // bytes of one text
	maxNesting = 256       // brackets, and operators that nest to the right
	maxDepth   = 1000      // lists and objects inside each other

	// What a value is counted as: an element of a list, an entry of an object.
	slotBytes  = 16
	entryBytes = 64

	// A function that works through much data, and a predicate with a long body,
	// cost a tick more for each so many units: bytes, or parts of the text.
	bytesPerTick = 512
	nodesPerTick = 32
)

// Env holds the values for one evaluation.
type Env struct {
	Roots map[string]any
	// Now is the time of the event being handled: what now() and ago() use.
	Now time.Time
	// Available answers available("…"), as recorded when the run started.
	Available map[string]bool

	held    *machine // of a Session: used again for each value
	indexed *leafIndex
}

// run is a piece of a compiled text.
type run func(m *machine) (any, error)

// machine is the state of one evaluation.
type machine struct {
	usage
	env     *Env
	lenient bool
	vars    []any   // let
	stack   []any   // arguments of the calls under way
	frames  []frame // one per predicate that is open at the same time
}

// frame is what # and #index and #acc mean in a predicate.
type frame struct {
	item  any
	index int
	acc   any
}

// usage is what evaluations have used up so far.
type usage struct {
	ticks  int
	memory int
	bytes  int // gone through, and not yet a tick
}

// fit makes room for what a program needs.
func (m *machine) fit(p *Program) {
	if len(m.vars) < p.vars {
		m.vars = make([]any, p.vars)
	}
	if len(m.frames) < p.frames {
		m.frames = make([]frame, p.frames)
	}
}

// release forgets what the machine worked on, so that the pool holds no data.
func (m *machine) release() {
	m.env = nil
	clear(m.vars)
	clear(m.frames)
}

// tick counts work; n is 1 for a call.
func (m *machine) tick(n int) error {
	m.ticks += n
	if m.ticks > MaxTicks {
		return failf(-1, "too much work: over %d calls and rounds", MaxTicks).hinted("work on a smaller list").final()
	}
	return nil
}

// scan counts the work of going through n bytes.
func (m *machine) scan(n int) error {
	m.bytes += n
	if m.bytes < bytesPerTick {
		return nil
	}
	n = m.bytes / bytesPerTick
	m.bytes %= bytesPerTick
	return m.tick(n)
}

// grow counts n bytes of new memory.
func (m *machine) grow(n int) error {
	if n < 0 || n > MaxMemory || m.memory+n > MaxMemory {
		return failf(-1, "too much memory: over %d MB", MaxMemory>>20).hinted("work on a smaller list or text").final()
	}
	m.memory += n
	return nil
}

// growList counts a new list of n elements.
func (m *machine) growList(n int) error {
	if n > MaxMemory/slotBytes {
		return m.grow(MaxMemory + 1)
	}
	return m.grow(n * slotBytes)
}

// text counts a new text and gives it on.
func (m *machine) text(s string) (any, error) {
	if err := m.grow(len(s)); err != nil {
		return nil, err
	}
	return s, m.scan(len(s))
}

func length(s string) int { return utf8.RuneCountInString(s) }
