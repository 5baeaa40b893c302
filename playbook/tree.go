package playbook

// Playbook is a parsed file: what was written, where, before anything is
// resolved. A part that was left out is the zero Text, nil, or an empty list.
type Playbook struct {
	File        string
	ID          Text
	Title       Text
	Description Text
	Version     int
	Tags        []Text
	Impact      Text
	On          []*TriggerText
	Inputs      []Entry
	Vars        []Entry
	Steps       []*Step
	OnError     *HandlerText
	Finally     []*Step
	Outputs     []OutputText
	Timeout     Text
	Saves       Text
	Tests       []*Test
	Cacao       map[string]any

	src  *source
	root *node
}

// Text is a text of the file and where it stands. For an expression Value is
// without ${{ }}.
type Text struct {
	Value string
	Pos   Pos
	node  *node
	skip  int // bytes of the node's text before Value
}

// Set tells whether the text was written at all.
func (t Text) Set() bool { return t.node != nil }

// Data is a value of the file as it was written, templates not worked out.
type Data struct {
	Value any
	Pos   Pos
	node  *node
}

// Set tells whether the value was written at all.
func (d Data) Set() bool { return d.node != nil }

// Entry is a name and its value: an input and its schema, a variable, an
// assignment, one value of with.
type Entry struct {
	Name  string
	Pos   Pos // of the name
	Value Data
}

// Step is one step as written. Which parts may be there follows from Verb.
type Step struct {
	Pos  Pos
	Verb Verb
	// Head is what the verb's own key holds where that is one text: the action,
	// the playbook, the condition, the list, the question, the duration to wait,
	// the status to stop with.
	Head Text

	ID, Name, Note, When, Impact, Timeout, Rate, Saves Text

	Approve *ApprovalText
	Retry   *RetryText
	OnError *HandlerText
	Undo    *UndoText

	With    Data // action, playbook; nil where it was left out
	Using   Text
	Version int

	Then, Else []*Step   // if; Else also of switch
	Branches   []*Blocks // cases of a switch, branches of a parallel
	Do         []*Step   // for_each, while
	As         Text
	AtOnce     int // 0: left out
	Max        int // 0: left out
	Collect    Data

	To      Data // a text or a list of texts
	Options []Text
	Form    Data
	Within  Text
	Default Data

	Set []Entry

	Until, Every Text // wait

	Reason Text

	node    *node
	valid   bool  // it has exactly one verb, and that verb's key makes sense
	parent  *Step // the step around it, nil at the top
	loop    *Step // the innermost loop around it, nil if none
	verbKey *node
}

// Blocks is one case of a switch or one branch of a parallel.
type Blocks struct {
	Name string
	Pos  Pos
	Do   []*Step
}

// HandlerText is an on_error.
type HandlerText struct {
	Pos  Pos
	Word string // continue or undo; "" when it is a list
	Do   []*Step
}

// ApprovalText is an approve.
type ApprovalText struct {
	Pos    Pos
	By     Data // a text or a list of texts
	Need   Text
	Within Text
	Note   Text
}

// RetryText is a retry.
type RetryText struct {
	Pos       Pos
	Times     int
	Every     Text
	Backoff   float64 // 0: left out
	If, Until Text
}

// UndoText is an undo.
type UndoText struct {
	Pos              Pos
	Action, Playbook Text
	With             Data
	After            Text
	Approve          *ApprovalText
}

// TriggerText is one entry of on.
type TriggerText struct {
	Pos   Pos
	Kind  TriggerKind
	Event Text
	Where Text
	Cron  Text
	Zone  Text
	Path  Text
	Auth  Text
	From  []Text
	Roles []Text
	With  Data
	node  *node
}

// OutputText is one declared output.
type OutputText struct {
	Name   string
	Pos    Pos
	Value  Data
	Schema Data
}

// lists gives the lists of steps directly inside a step, in the order of the
// plan: its own blocks first, its handler last.
func (s *Step) lists() [][]*Step {
	all := [][]*Step{s.Then}
	for _, b := range s.Branches {
		all = append(all, b.Do)
	}
	all = append(all, s.Else, s.Do)
	if s.OnError != nil {
		all = append(all, s.OnError.Do)
	}
	return all
}

// guarded tells whether a step can change something outside.
func (s *Step) guarded() bool { return s.Verb == Action || s.Verb == Call }

// walk visits steps and all inside them, in the order of the plan.
func walk(steps []*Step, visit func(*Step)) {
	for _, s := range steps {
		visit(s)
		for _, list := range s.lists() {
			walk(list, visit)
		}
	}
}

// All visits every step of the file, in the order of the plan: steps, then the
// handler, then finally.
func (p *Playbook) All(visit func(*Step)) {
	walk(p.Steps, visit)
	if p.OnError != nil {
		walk(p.OnError.Do, visit)
	}
	walk(p.Finally, visit)
}
