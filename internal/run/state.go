package run

import (
	"slices"
	"strconv"
	"time"

	"riposte/connector"
	"riposte/internal/expr"
	"riposte/playbook"
)

// MaxActivations bounds how many steps one run may execute, rounds of loops
// counted. A run over it fails with code quota.
const MaxActivations = 250_000

// State is a run folded so far. It is owned by whoever folds it; Step changes
// it in place.
type State struct {
	start    *Start
	status   Status
	err      *Error
	outputs  map[string]any
	paused   bool
	began    time.Time
	ended    time.Time
	now      time.Time
	next     Act
	quota    Act           // activations that the run may still reach
	acts     []*activation // those that live, by ID
	root     *scope
	vars     map[string]any
	caseNow  any
	given    map[string]*Given
	held     []Act // sequences that wait for the end of a pause
	plan     *playbook.Plan
	commands []Command
	changes  []Change
	agenda   []*activation
	left     []*activation // ended in this step: somebody may still look at them
	spare    []*activation // ended before it, to be used again
}

// outcome is how an activation ended. nil is success.
type outcome struct {
	Status Status `json:"status"`
	Err    *Error `json:"err,omitempty"`
	Stop   bool   `json:"stop,omitempty"` // wanted by a stop step or a person: handlers do not see it
}

// phase says what an activation of a step is doing.
type phase uint8

const (
	inside   phase = iota // blocks: children run
	checking              // Check
	asking                // Ask
	heldBack              // the call, or taking back, waits for the end of a pause
	calling               // Do
	backoff               // Sleep until the next attempt
	polling               // Sleep until the next poll
	sleeping              // Sleep of a wait
	child                 // CallRun
	undoing               // TakeBack
	handling              // its on_error runs
)

// role says what a sequence is for.
type role uint8

const (
	bodyRole role = iota // the playbook's steps
	blockRole
	branchRole
	roundRole
	handlerRole
	finallyRole
)

// activation is one execution of one step, or of a list of steps (a
// sequence), or of the run itself (ID 0). Its fields are stored in snapshots.
type activation struct {
	ID     Act             `json:"id"`
	Parent Act             `json:"parent"`
	Node   playbook.NodeID `json:"node"` // of a sequence: the step it belongs to
	Kids   int             `json:"kids,omitempty"`
	Doomed bool            `json:"doomed,omitempty"` // ends as soon as what must not be cut off has ended
	Ending *outcome        `json:"ending,omitempty"` // ends so when nothing lives inside any more

	// Sequences.
	Seq   bool              `json:"seq,omitempty"`
	Role  role              `json:"role,omitempty"`
	Round int               `json:"round,omitempty"`
	List  []playbook.NodeID `json:"list,omitempty"`
	PC    int               `json:"pc,omitempty"`

	// Steps and the run.
	Phase    phase     `json:"phase,omitempty"`
	N        int       `json:"n,omitempty"`        // the last command number given out
	Main     int       `json:"main,omitempty"`     // the command that Phase waits for
	Deadline int       `json:"deadline,omitempty"` // the timer of the step's own timeout
	DueAt    time.Time `json:"due_at,omitzero"`
	Expiry   int       `json:"expiry,omitempty"` // the timer of its question
	WakeAt   time.Time `json:"wake_at,omitzero"` // of Main, when it is a timer
	Begun    bool      `json:"begun,omitempty"`  // the call has left
	Saved    *outcome  `json:"saved,omitempty"`  // what a handler or an undo handles
	Shown    Status    `json:"shown,omitempty"`  // the status last reported

	// Loops.
	Items   []any    `json:"items,omitempty"`
	Next    int      `json:"next,omitempty"`
	Collect []any    `json:"collect,omitempty"`
	Good    int      `json:"good,omitempty"`
	Bad     int      `json:"bad,omitempty"`
	First   *outcome `json:"first,omitempty"` // the first unhandled error inside

	// Undo blocks: what was done inside.
	Done  []Act `json:"done,omitempty"`
	Calls []Act `json:"calls,omitempty"`

	call *callState

	scope *scope
	res   *result
}

// callState is what an action, playbook or ask step carries while it lives.
type callState struct {
	Inputs     map[string]any     `json:"inputs,omitempty"`
	Using      string             `json:"using,omitempty"`
	Impact     connector.Impact   `json:"impact,omitempty"`
	Attempt    int                `json:"attempt,omitempty"`
	Extra      int                `json:"extra,omitempty"` // waits for Retry-After, which are no attempts
	Hash       string             `json:"hash,omitempty"`
	Approved   bool               `json:"approved,omitempty"`
	Name       string             `json:"name,omitempty"` // the concrete action, once known
	Connection string             `json:"connection,omitempty"`
	Targets    []connector.Target `json:"targets,omitempty"`
	Question   *Question          `json:"question,omitempty"`
	Votes      [][]string         `json:"votes,omitempty"` // by quorum: who agreed
	Job        any                `json:"job,omitempty"`   // the output of the call that began a long job
	JobUntil   time.Time          `json:"job_until,omitzero"`
	Ended      *connector.Result  `json:"ended,omitempty"`   // a job that is being called off ended so
	Polls      bool               `json:"polls,omitempty"`   // the call under way is a poll
	Touched    *connector.Result  `json:"touched,omitempty"` // the last attempt that may have changed something
}

// result is what expressions and people see of a step.
type result struct {
	Status     Status         `json:"status"`
	Output     any            `json:"output,omitempty"`
	Err        *Error         `json:"err,omitempty"`
	Attempts   int            `json:"attempts,omitempty"`
	Started    time.Time      `json:"started,omitzero"`
	Ended      time.Time      `json:"ended,omitzero"`
	Answer     any            `json:"answer,omitempty"`
	By         string         `json:"by,omitempty"`
	Loop       bool           `json:"loop,omitempty"`
	Succeeded  int            `json:"succeeded,omitempty"`
	Failed     int            `json:"failed,omitempty"`
	Rounds     int            `json:"rounds,omitempty"`
	Action     string         `json:"action,omitempty"`
	Connection string         `json:"connection,omitempty"`
	Child      ID             `json:"child,omitempty"`
	Handled    bool           `json:"handled,omitempty"`
	Taken      string         `json:"taken,omitempty"` // the branch of an if (then, else) or the case of a switch
	inputs     map[string]any // frozen, while the activation is remembered
	assigned   []any          // of a set, in the order written
}

var (
	pendingResult = &result{Status: Pending}
	skippedResult = &result{Status: Skipped}
	pendingEnv    = pendingResult.env()
	skippedEnv    = skippedResult.env()
)

// env is the result as expressions see it.
func (r *result) env() map[string]any {
	m := map[string]any{
		"status": string(r.Status), "output": r.Output, "error": nil,
		"attempts": r.Attempts, "started": nil, "ended": nil, "answer": r.Answer, "by": nil,
	}
	if r.Err != nil {
		m["error"] = r.Err.env()
	}
	if !r.Started.IsZero() {
		m["started"] = r.Started
	}
	if !r.Ended.IsZero() {
		m["ended"] = r.Ended
	}
	if r.By != "" {
		m["by"] = r.By
	}
	if r.Loop {
		m["succeeded"], m["failed"], m["rounds"] = r.Succeeded, r.Failed, r.Rounds
	}
	return m
}

func (e *Error) env() map[string]any {
	m := map[string]any{"code": e.Code, "message": e.Message, "step": nil}
	if e.Step != "" {
		m["step"] = e.Step
	}
	return m
}

// frame holds the results of the steps outside all loops, or of one round.
type frame struct {
	outer   *frame          // of the loop that this is a round of, nil outside loops
	base    playbook.NodeID // results[i] is of node base+i
	results []*result
	steps   map[string]any // by step id, as expressions see it, those of outer frames included
	path    string         // "" or "7[2]/": the rounds that lead here
	round   int            // of the loop, from 0
}

// scope is a frame with the names that expressions may use in it.
type scope struct {
	frame *frame
	roots map[string]any
}

// Status is where the run stands.
func (s *State) Status() Status {
	if s.status.Final() {
		return s.status
	}
	for _, a := range s.acts {
		if !a.Seq && (a.Phase == calling || a.Phase == checking || a.Phase == undoing) {
			return Running
		}
	}
	return Waiting
}

// Final tells whether the run has ended.
func (s *State) Final() bool { return s.status.Final() }

// Err is why the run did not succeed, nil if it did or is under way.
func (s *State) Err() *Error { return s.err }

// Outputs are the run's outputs, once it has succeeded.
func (s *State) Outputs() map[string]any { return s.outputs }

// Vars are the variables as they are now.
func (s *State) Vars() map[string]any { return s.vars }

// Start is what the run began with.
func (s *State) Start() *Start { return s.start }

// Paused tells whether nothing new starts.
func (s *State) Paused() bool { return s.paused }

// Began and EndedAt are the run's times; EndedAt is zero while it is under way.
func (s *State) Began() time.Time   { return s.began }
func (s *State) EndedAt() time.Time { return s.ended }

// find gives the living activation with that number, nil if it does not live.
func (s *State) find(id Act) *activation {
	if i, ok := s.index(id); ok {
		return s.acts[i]
	}
	return nil
}

// index finds the place of an activation among those that live. Mostly there
// are few.
func (s *State) index(id Act) (int, bool) {
	if len(s.acts) > 16 {
		return slices.BinarySearchFunc(s.acts, id, func(a *activation, id Act) int { return int(a.ID) - int(id) })
	}
	for i, a := range s.acts {
		if a.ID == id {
			return i, true
		}
	}
	return 0, false
}

// add makes a new activation live.
func (s *State) add(parent *activation, a activation) *activation {
	a.ID = s.next
	s.next++
	if parent != nil {
		a.Parent = parent.ID
		parent.Kids++
	}
	p := s.unused()
	*p = a
	s.acts = append(s.acts, p)
	return p
}

// unused gives an activation to fill in, one that has ended where there is one:
// a long run makes thousands.
func (s *State) unused() *activation {
	if len(s.spare) == 0 {
		return new(activation)
	}
	p := s.spare[len(s.spare)-1]
	s.spare = s.spare[:len(s.spare)-1]
	return p
}

// remove ends the life of an activation.
func (s *State) remove(a *activation) {
	i, _ := s.index(a.ID)
	s.acts = slices.Delete(s.acts, i, i+1)
	s.left = append(s.left, a)
	if a.ID != 0 {
		s.find(a.Parent).Kids--
	}
}

// env is what expressions of an activation are worked out against, with more
// names when given as pairs.
func (s *State) env(sc *scope, more ...any) *expr.Env {
	roots := sc.roots
	if len(more) > 0 {
		roots = make(map[string]any, len(sc.roots)+len(more)/2)
		for k, v := range sc.roots {
			roots[k] = v
		}
		for i := 0; i < len(more); i += 2 {
			roots[more[i].(string)] = more[i+1]
		}
	}
	return &expr.Env{Roots: roots, Now: s.now, Available: s.start.Available}
}

// set records a step's result in its frame.
func (f *frame) set(n *playbook.Node, r *result) {
	f.results[n.ID-f.base] = r
	if n.Step == "" {
		return
	}
	if _, mine := f.steps[n.Step]; !mine {
		return
	}
	switch r {
	case skippedResult:
		f.steps[n.Step] = skippedEnv
	default:
		f.steps[n.Step] = r.env()
	}
}

// path names a step of a frame, rounds included: 9, or 7[2]/9.
func (f *frame) pathOf(n playbook.NodeID) string { return f.path + strconv.Itoa(int(n)) }

// newFrame makes the frame of the playbook (loop is NoNode) or of a round.
func (s *State) newFrame(outer *frame, loop playbook.NodeID, round int) *frame {
	f := &frame{outer: outer, steps: map[string]any{}}
	end := playbook.NodeID(len(s.plan.Nodes))
	if outer != nil {
		n := &s.plan.Nodes[loop]
		f.base, f.round, end = loop+1, round, n.End
		f.path = outer.pathOf(loop) + "[" + strconv.Itoa(round) + "]/"
		f.steps = make(map[string]any, len(outer.steps)+int(end-f.base))
		for k, v := range outer.steps {
			f.steps[k] = v
		}
	}
	f.results = make([]*result, end-f.base)
	for i := f.base; i < end; i++ {
		n := &s.plan.Nodes[i]
		f.results[i-f.base] = pendingResult
		if n.Step != "" && n.Loop == loop {
			f.steps[n.Step] = pendingEnv
		}
	}
	return f
}
