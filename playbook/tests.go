package playbook

// Test is one entry of tests. Its values are compiled by Check in a scope of
// the test's own inputs and objects; before that the compiled ones are nil.
type Test struct {
	Name      Text
	Pos       Pos
	Inputs    []Entry
	Alert     Data
	Case      Data
	Indicator Data
	Now       Text
	Mock      []Mock
	Answer    []Entry
	Expect    Expectation
}

// Mock says how an action or playbook answers.
type Mock struct {
	Target  string // a step's id, else an action or slug as written
	Pos     Pos
	List    bool // one reply for each call; else one that serves every call
	Replies []Reply
}

// Reply is one answer.
type Reply struct {
	Pos     Pos
	Output  Data // set unless Error or Timeout is
	Error   Text
	Code    Text
	Timeout bool
}

// Expectation is what must be so when the run has ended.
type Expectation struct {
	Pos       Pos
	Status    Text
	Steps     []Entry // values are texts: statuses
	Outputs   []Entry
	Vars      []Entry
	Called    []TestCall
	NotCalled []Text
	Undo      []Text
	HasUndo   bool // undo was written, if only as an empty list
	Time      Text
}

// TestCall is one expected call.
type TestCall struct {
	Pos      Pos
	Action   Text
	With     Data
	Times    int
	HasTimes bool
}
