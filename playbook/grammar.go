package playbook

import "regexp"

// The grammar is one table. The decoder checks files against it, Format orders
// keys by it and EditorSchema is made from it.

// form says what a node may be.
type form uint8

const (
	textForm     form = iota // a text; ${{ }} is not worked out in it
	templateForm             // a text in which ${{ }} is worked out
	exprForm                 // an expression, ${{ }} around it allowed
	integerForm              // a whole number
	durationForm             // integer (s|m|h|d), or a template
	valueForm                // any value, ${{ }} in its texts worked out
	literalForm              // any value, taken as it is
	schemaForm               // a JSON Schema
	trueForm                 // the word true
	numberForm               // any number
	listForm                 // a list of .of
	objectForm               // a mapping with the keys in .fields
	namesForm                // a mapping with keys of the file's own, values .of
	choiceForm               // one of .choices, told apart by what kind of node it is
	stepForm                 // a step: exactly one verb
)

// shape is one rule of the grammar.
type shape struct {
	form    form
	what    string // what was expected, for messages: "a duration such as 30s"
	of      *shape
	fields  []field
	choices []*shape
	enum    []string
	pattern *regexp.Regexp // of a text, or of the keys of a namesForm
	min     int            // of an integer
	some    bool           // a list or mapping must not be empty
	// least is a key that tells this object apart from the others of a choice.
	least string
	// one lists keys of an object of which exactly one must be there.
	one []string
	// name is what the editor schema calls a shape that is used in many places.
	name string
}

// field is one key of a mapping.
type field struct {
	key   string
	shape *shape
	need  bool
	doc   string
}

// verbRule is the part of a step's grammar that belongs to one verb.
type verbRule struct {
	verb   Verb
	fields []field  // the verb's own key first
	common []string // the common keys that go with it
	undoes bool     // on_error: undo has something inside to take back
}

var (
	slugPattern     = regexp.MustCompile(`^[a-z][a-z0-9-]{1,62}$`)
	namePattern     = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
	durationPattern = regexp.MustCompile(`^[0-9]+[smhd]$`)
	ratePattern     = regexp.MustCompile(`^[1-9][0-9]*/[smhd]$`)
)

const (
	slugWhat = "a slug: a small letter, then 1 to 62 small letters, digits or hyphens"
	nameWhat = "a name: a small letter, then up to 62 small letters, digits or underscores (no hyphens)"
)

// rules is the whole grammar.
type rules struct {
	playbook *shape
	step     *shape
	steps    *shape
	verbs    []verbRule
	common   []field
}

var grammar = newGrammar()

func newGrammar() *rules {
	g := &rules{step: &shape{form: stepForm, what: "a step: a mapping with exactly one verb"}}
	g.steps = &shape{form: listForm, of: g.step, what: "a list of steps"}
	text := &shape{form: textForm, what: "a text"}
	template := &shape{form: templateForm, what: "a text"}
	expr := &shape{form: exprForm, what: "an expression"}
	value := &shape{form: valueForm, what: "a value"}
	name := &shape{form: textForm, pattern: namePattern, what: nameWhat}
	slug := &shape{form: textForm, pattern: slugPattern, what: slugWhat}
	schema := &shape{form: schemaForm, what: "a JSON Schema (a mapping)"}
	duration := &shape{form: durationForm, pattern: durationPattern, what: "a duration such as 30s, 5m, 2h or 7d"}
	level := &shape{form: textForm, enum: []string{"read", "notify", "change", "destroy"}, what: "read, notify, change or destroy"}
	texts := &shape{form: listForm, of: text, what: "a list of texts"}
	values := named(value, "a mapping of names to values")
	people := choose("people: a user, group:…, role:… or on-call:…, or a list of them",
		template, &shape{form: listForm, of: template, some: true, what: "a list of people"})
	positive := &shape{form: integerForm, min: 1, what: "a whole number from 1"}

	approval := choose("people, or a mapping with by", template, people.choices[1], object("an approval: a mapping with by",
		needs("by", people, "Who may approve: a user, group:…, role:… or on-call:…"),
		may("need", choose("a whole number from 1, or an expression", positive, expr), "How many must approve. Default: 1"),
		may("within", duration, "How long to wait for it. Default: 4h"),
		may("note", template, "What the approver is told beside the action and its values")))
	handler := choose(`"continue", "undo" or a list of steps`,
		&shape{form: textForm, enum: []string{"continue", "undo"}, what: `"continue", "undo" or a list of steps`}, g.steps)
	undo := object("an undo: a mapping with action or playbook",
		may("action", text, "The action that takes it back"),
		may("playbook", slug, "The playbook that takes it back"),
		may("with", values, "Its inputs; output is what the step gave"),
		may("after", duration, "When it is taken back by itself; 0s is never"),
		may("approve", approval, "Who must approve taking it back"))
	undo.one = []string{"action", "playbook"}
	retry := choose("a whole number from 1, or a mapping with times", positive, object("a retry: a mapping with times",
		needs("times", positive, "How often to try in all, the first attempt included"),
		may("every", duration, "The first wait between attempts. Default: 5s"),
		may("backoff", &shape{form: numberForm, min: 1, what: "a number from 1"}, "By what the wait grows each time. Default: 2"),
		may("if", expr, "Whether to try again after this error"),
		may("until", expr, "What must hold after a success; else it is tried again")))

	g.common = []field{
		may("id", name, "The step's name in expressions: steps.<id>"),
		may("name", template, "What people read"),
		may("note", text, "A remark for readers of the file"),
		may("when", expr, "The step is skipped unless this holds"),
		may("impact", level, "Raises the impact above what the action declares"),
		may("approve", approval, "Who must approve before the step runs"),
		may("timeout", duration, "How long it may take"),
		may("retry", retry, "How often and when to try again"),
		may("rate", &shape{form: textForm, pattern: ratePattern, what: "a rate such as 30/m: a whole number from 1, a slash, then s, m, h or d"},
			"How often the step may run, over all runs of the playbook"),
		may("on_error", handler, "What to do when the step fails"),
		may("undo", undo, "How to take back what the step did"),
		may("saves", duration, "Human time that one success saves"),
	}
	for name, s := range map[string]*shape{"step": g.step, "steps": g.steps, "duration": duration, "people": people,
		"approval": approval, "handler": handler, "undo": undo, "retry": retry, "level": level} {
		s.name = name
	}
	g.verbs = verbRules(g, text, template, expr, value, values, name, slug, schema, duration, people)
	g.playbook = playbookShape(g, handler, level, duration, schema, slug, text, texts, value, values, expr)
	return g
}

func verbRules(g *rules, text, template, expr, value, values, name, slug, schema, duration, people *shape) []verbRule {
	count := &shape{form: integerForm, min: 1, what: "a whole number from 1"}
	always := []string{"id", "name", "note", "when", "saves"}
	block := append([]string{"timeout", "on_error"}, always...)
	guarded := append([]string{"impact", "approve", "retry", "rate", "undo"}, block...)
	noTimeout := append([]string{"on_error"}, always...)
	branches := named(g.steps, "a mapping of names to lists of steps")
	branches.some = true
	cases := &shape{form: namesForm, of: g.steps, what: "a mapping of texts to lists of steps", some: true}
	assignments := named(value, "a mapping of names to values")
	assignments.some = true
	return []verbRule{
		{Action, []field{
			needs("action", text, "The action: connector.command, or a capability"),
			may("with", values, "The action's inputs"),
			may("using", text, "The connection to use"),
		}, guarded, false},
		{Call, []field{
			needs("playbook", slug, "The playbook to call"),
			may("with", values, "Its inputs"),
			may("version", count, "The version to call. Default: the one published then"),
		}, guarded, true},
		{If, []field{
			needs("if", expr, "The condition"),
			needs("then", g.steps, "Steps to run if it holds"),
			may("else", g.steps, "Steps to run if it does not"),
		}, block, true},
		{Switch, []field{
			needs("switch", expr, "The value to compare, as text"),
			needs("cases", cases, "Steps to run for each text"),
			may("else", g.steps, "Steps to run if no case fits"),
		}, block, true},
		{Parallel, []field{needs("parallel", branches, "Branches to run at the same time")}, block, true},
		{ForEach, []field{
			needs("for_each", expr, "The list to go through"),
			may("as", name, "The name of the item. Default: item"),
			needs("do", g.steps, "Steps to run for each item"),
			may("at_once", count, "How many rounds run at the same time. Default: 1"),
			may("collect", value, "What each round adds to the loop's output"),
		}, block, true},
		{While, []field{
			needs("while", expr, "The condition"),
			needs("do", g.steps, "Steps to run as long as it holds"),
			may("max", count, "How many rounds at most. Default: 100"),
		}, block, true},
		{Ask, []field{
			needs("ask", template, "The question"),
			needs("to", people, "Who is asked: a user, group:…, role:… or on-call:…"),
			may("options", &shape{form: listForm, of: text, some: true, what: "a list of texts"}, "The answers to choose from"),
			may("form", schema, "The form to fill in"),
			may("within", duration, "How long to wait. Default: 24h"),
			may("default", value, "The answer when nobody answers in time"),
		}, noTimeout, false},
		{Set, []field{needs("set", assignments, "Variables and their new values")}, noTimeout, false},
		{Wait, []field{
			needs("wait", choose("a duration, or a mapping with until and every", duration, object("a mapping with until and every",
				needs("until", expr, "The condition to wait for"),
				needs("every", duration, "How often to look"))), "How long, or until when"),
		}, block, false},
		{Stop, []field{
			needs("stop", &shape{form: textForm, enum: []string{"succeeded", "failed", "cancelled"}, what: "succeeded, failed or cancelled"}, "How the run ends"),
			may("reason", template, "Why"),
		}, always, false},
	}
}

func playbookShape(g *rules, handler, level, duration, schema, slug, text, texts, value, values, expr *shape) *shape {
	filter := func(events ...string) *shape {
		return choose("a condition, or a mapping with event and where", expr, object("a mapping with event and where",
			may("event", &shape{form: textForm, enum: events, what: anyOf(events)}, "Which event: "+anyOf(events)),
			may("where", expr, "The condition")))
	}
	with := may("with", values, "Fills the inputs")
	cron := &shape{form: textForm, what: "a cron text of five fields such as \"0 6 * * 1-5\""}
	trigger := choose("a trigger: a mapping with alert, case, indicator, schedule, webhook or manual",
		kindOf("alert", object("a trigger", needs("alert", filter("new", "updated"), "Start on an alert"), with)),
		kindOf("case", object("a trigger", needs("case", filter("opened", "updated", "closed", "reopened"), "Start on a case"), with)),
		kindOf("indicator", object("a trigger", needs("indicator", filter("added", "changed", "expired"), "Start on an indicator"), with)),
		kindOf("schedule", object("a trigger", needs("schedule", choose("a cron text, or a mapping with cron and zone", cron,
			object("a mapping with cron and zone",
				needs("cron", cron, "When"), needs("zone", text, "The time zone, such as Europe/Berlin"))), "Start at times"), with)),
		kindOf("webhook", object("a trigger", needs("webhook", choose("a slug, or a mapping with path and auth", slug,
			object("a mapping with path and auth", needs("path", slug, "The last part of the address"),
				needs("auth", &shape{form: textForm, enum: []string{"hmac", "token", "mtls"}, what: "hmac, token or mtls"}, "How the sender proves who it is"))),
			"Start on a web request"), with)),
		kindOf("manual", object("a trigger", needs("manual", choose("true, or a mapping with from and roles", &shape{form: trueForm, what: "true"},
			object("a mapping with from and roles",
				may("from", &shape{form: listForm, some: true, what: "a list of alert, case or indicator",
					of: &shape{form: textForm, enum: []string{"alert", "case", "indicator"}, what: "alert, case or indicator"}}, "Pages that offer it"),
				may("roles", texts, "Who may start it"))), "Start by hand"), with)),
	)
	outputs := named(choose("a value, or a mapping with value and schema", value,
		object("a mapping with value and schema", needs("value", value, "The value"), needs("schema", schema, "Its JSON Schema"))), "a mapping of names to values")
	return object("a playbook: a mapping that begins with playbook: and its id",
		needs("playbook", slug, "The playbook's identity and the file's name"),
		needs("title", text, "What people read"),
		may("description", text, "What it does"),
		may("version", &shape{form: integerForm, min: 1, what: "a whole number from 1"}, "Set by publish"),
		may("tags", texts, "Words to find it by"),
		may("impact", level, "The highest that may happen, undo included"),
		may("on", &shape{form: listForm, of: trigger, what: "a list of triggers"}, "What starts it. Default: manual"),
		may("inputs", named(schema, "a mapping of names to JSON Schemas"), "What it needs, a JSON Schema for each"),
		may("vars", values, "Variables and their first values"),
		needs("steps", g.steps, "What it does"),
		may("on_error", handler, "What to do about an error that nobody handled"),
		may("finally", g.steps, "Steps that always run at the end"),
		may("outputs", outputs, "What it gives to a playbook that calls it"),
		may("timeout", duration, "How long the whole run may take. Default: 24h"),
		may("saves", duration, "Human time that a successful run saves"),
		may("tests", &shape{form: listForm, of: testShape(values, text), what: "a list of tests"}, "Tests, run without connectors"),
		may("cacao", &shape{form: literalForm, what: "a mapping"}, "Metadata kept for the export to CACAO"),
	)
}

func testShape(values, text *shape) *shape {
	literal := &shape{form: literalForm, what: "a mapping"}
	value := &shape{form: valueForm, what: "a value"}
	status := &shape{form: textForm, enum: runStatuses, what: anyOf(runStatuses)}
	stepStatus := &shape{form: textForm, enum: stepStatuses, what: anyOf(stepStatuses)}
	reply := choose("a reply: a mapping with output, error or timeout",
		kindOf("output", object("a reply", needs("output", value, "What the action answers"))),
		kindOf("error", object("a reply", needs("error", text, "The error's message"), may("code", text, "The error's code"))),
		kindOf("timeout", object("a reply", needs("timeout", &shape{form: trueForm, what: "true"}, "No answer in time"))))
	replies := choose("a reply or a list of replies", append([]*shape{{form: listForm, of: reply, some: true, what: "a list of replies"}}, reply.choices...)...)
	call := object("a call: a mapping with action",
		needs("action", text, "The action or playbook, as written"),
		may("with", values, "Inputs that the call must have"),
		may("times", &shape{form: integerForm, what: "a whole number from 0"}, "How often exactly"))
	texts := &shape{form: listForm, of: text, what: "a list of texts"}
	return object("a test: a mapping with name and expect",
		needs("name", text, "What the test shows"),
		may("inputs", values, "The run's inputs"),
		may("alert", literal, "The alert that starts it"),
		may("case", literal, "The case it runs for"),
		may("indicator", literal, "The indicator that starts it"),
		may("now", &shape{form: textForm, what: "a time such as 2026-03-01T08:00:00Z"}, "The time at which it starts"),
		may("mock", &shape{form: namesForm, of: replies, what: "a mapping of step ids or actions to replies"}, "Answers of actions and playbooks"),
		may("answer", named(value, "a mapping of step ids to answers"), "Answers of people"),
		needs("expect", object("a mapping of what is expected",
			may("status", status, "How the run ends"),
			may("steps", named(stepStatus, "a mapping of step ids to statuses"), "How steps end"),
			may("outputs", values, "What the run gives"),
			may("vars", values, "Variables at the end"),
			may("called", &shape{form: listForm, of: call, what: "a list of calls"}, "Calls that were made"),
			may("not_called", texts, "Actions that were not called"),
			may("undo", texts, "Undo actions in the ledger, newest first"),
			may("time", &shape{form: textForm, pattern: durationPattern, what: "a duration such as 30s, 5m, 2h or 7d"}, "Virtual time that the run took")),
			"What must be so when the run has ended"))
}

var (
	runStatuses  = []string{"succeeded", "failed", "timed_out", "denied", "cancelled"}
	stepStatuses = []string{"pending", "succeeded", "failed", "timed_out", "denied", "cancelled", "skipped"}
)

func object(what string, fields ...field) *shape {
	return &shape{form: objectForm, what: what, fields: fields}
}

func named(of *shape, what string) *shape {
	return &shape{form: namesForm, of: of, what: what, pattern: namePattern}
}

func choose(what string, choices ...*shape) *shape {
	return &shape{form: choiceForm, what: what, choices: choices}
}

func kindOf(key string, s *shape) *shape {
	s.least = key
	return s
}

func needs(key string, s *shape, doc string) field {
	return field{key: key, shape: s, need: true, doc: doc}
}

func may(key string, s *shape, doc string) field { return field{key: key, shape: s, doc: doc} }

// keys lists the keys of an object's fields.
func keys(fields []field) []string {
	all := make([]string, len(fields))
	for i, f := range fields {
		all[i] = f.key
	}
	return all
}
