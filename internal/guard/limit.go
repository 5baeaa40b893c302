package guard

import (
	"fmt"
	"slices"
	"time"

	"riposte/connector"
	"riposte/internal/run"
	"riposte/internal/strictyaml"
)

// Limit bounds how much may be acted on without a person who agrees. Numbers
// count targets, and 0 is no limit.
type Limit struct {
	Name   string     `yaml:"limit,required" pattern:"[a-z][a-z0-9-]{1,62}" doc:"the limit's name: small letters, digits, hyphens"`
	Reason string     `yaml:"reason,required" min:"1" doc:"what it is for"`
	For    LimitFor   `yaml:"for" doc:"what it counts; default: every change and destroy"`
	Per    []LimitPer `yaml:"per" enum:"playbook,connection,capability,kind" doc:"what is counted apart, beside tenants; default: all together"`
	Run    int        `yaml:"run" min:"1" doc:"targets in one run, with the runs it calls"`
	Hour   int        `yaml:"hour" min:"1" doc:"targets in any hour, over all runs"`
	Day    int        `yaml:"day" min:"1" doc:"targets in any 24 hours, over all runs"`
	// Percent is of the assets of the target's kind that the installation knows,
	// in any 24 hours, and at least one. It holds only where some are known.
	Percent float64 `yaml:"percent" doc:"targets in any 24 hours, per cent of the known assets of their kind"`
	Over    Quorum  `yaml:"over,required" doc:"who is asked when it is used up"`
}

// LimitFor says what a limit counts: an action must fit each list that is given.
type LimitFor struct {
	Impact     []string               `yaml:"impact" enum:"change,destroy" doc:"change, destroy"`
	Capability []string               `yaml:"capability" doc:"such as block_ip"`
	Connector  []string               `yaml:"connector"`
	Action     []string               `yaml:"action" doc:"connector.action"`
	Connection []string               `yaml:"connection"`
	Playbook   []string               `yaml:"playbook"`
	Tenant     []string               `yaml:"tenant"`
	Kind       []connector.TargetKind `yaml:"kind" doc:"kinds of target; others do not count"`
}

// LimitPer is what a limit counts apart.
type LimitPer string

// The ways to count apart.
const (
	PerPlaybook   LimitPer = "playbook"
	PerConnection LimitPer = "connection"
	PerCapability LimitPer = "capability"
	PerKind       LimitPer = "kind"
)

// Quorum is who must agree.
type Quorum struct {
	By        []string      `yaml:"by,required" doc:"users, group:…, role:… or on-call:…"`
	Need      int           `yaml:"need" min:"1" doc:"how many of them; default 1"`
	Within    time.Duration `yaml:"within" doc:"how long they have; then it is a no; default 4h"`
	Veto      time.Duration `yaml:"veto" doc:"instead of within: how long they have to say no; then it is a yes"`
	NotAuthor bool          `yaml:"not_author" doc:"whoever started the run may not approve it"`
}

// UnmarshalStrict reads people alone, or a mapping.
func (q *Quorum) UnmarshalStrict(n strictyaml.Node) {
	q.Need = 1
	switch {
	case n.IsText():
		q.By = []string{n.Value().(string)}
	case n.IsList():
		n.Decode(&q.By)
	default:
		q.readMapping(n)
	}
	if len(q.By) == 0 && !n.IsMapping() {
		n.Errorf("name somebody, such as role:soc-lead", "nobody is asked")
	}
	for _, name := range q.By {
		if name == "" {
			n.Errorf("name somebody, such as role:soc-lead", "an entry is empty")
		}
	}
	switch {
	case q.Veto > 0 && q.Within > 0:
		n.Errorf("give one of them: after within silence is a no, after veto it is a yes", "both within and veto are given")
	case q.Veto > 0 && q.Need > 1:
		n.Errorf("remove one of them: with a veto nobody needs to say yes", "both need and veto are given")
	case q.Within == 0 && q.Veto == 0:
		q.Within = DefaultWithin
	}
}

// DefaultWithin is how long people have where a rule does not say.
const DefaultWithin = 4 * time.Hour

func (q *Quorum) readMapping(n strictyaml.Node) {
	by, ok := n.Key("by")
	if ok && by.IsText() { // one name may stand alone
		var one struct {
			By        string        `yaml:"by,required" min:"1"`
			Need      int           `yaml:"need" min:"1"`
			Within    time.Duration `yaml:"within"`
			Veto      time.Duration `yaml:"veto"`
			NotAuthor bool          `yaml:"not_author"`
		}
		one.Need = 1
		n.Decode(&one)
		*q = Quorum{By: []string{one.By}, Need: one.Need, Within: one.Within, Veto: one.Veto, NotAuthor: one.NotAuthor}
		return
	}
	type mapping Quorum // without this method
	n.Decode((*mapping)(q))
	if ok && by.IsList() && len(q.By) == 0 {
		by.Errorf("name somebody, such as role:soc-lead", "nobody is asked")
	}
}

// StrictSchema describes all three forms.
func (*Quorum) StrictSchema() map[string]any {
	text := map[string]any{"type": "string", "minLength": 1}
	people := map[string]any{"oneOf": []any{text, map[string]any{"type": "array", "items": text, "minItems": 1}}}
	duration := map[string]any{"type": "string", "pattern": "^[0-9]+[smhd]$"}
	return map[string]any{"oneOf": []any{text, map[string]any{"type": "array", "items": text, "minItems": 1}, map[string]any{
		"type": "object", "additionalProperties": false, "required": []any{"by"},
		"properties": map[string]any{
			"by": people, "need": map[string]any{"type": "integer", "minimum": 1}, "within": duration, "veto": duration,
			"not_author": map[string]any{"type": "boolean"},
		},
	}}}
}

// ask is the quorum as the interpreter takes it.
func (q *Quorum) ask(source string) run.Quorum {
	return run.Quorum{People: q.By, Need: max(q.Need, 1), Source: source}
}

// Limits is a file of limits and breakers.
type Limits struct {
	Limits   []Limit       `yaml:"limits" doc:"how much may be acted on before people are asked"`
	Breakers []BreakerRule `yaml:"breakers" doc:"what stops a connection or a playbook for a while"`
	Widest   Widest        `yaml:"widest_network" doc:"the widest network that one action may name"`
}

// Widest are the widest networks that one action may name. A wider one is
// refused, whoever asks.
type Widest struct {
	IPv4 int `yaml:"ipv4" min:"8" doc:"bits; default 16"`
	IPv6 int `yaml:"ipv6" min:"16" doc:"bits; default 32"`
}

// ParseLimits reads a file of limits. The error tells everything that is wrong,
// each at its line and column: fault.Invalid.
func ParseLimits(file string, data []byte) (Limits, error) {
	doc, err := strictyaml.Parse(file, data)
	if err != nil {
		return Limits{}, err
	}
	var f Limits
	doc.Decode(&f)
	names := map[string]bool{}
	unique := func(path, name, what string) {
		if names[what+name] && name != "" {
			doc.Errorf(path, "give each a name of its own", "the %s %q is here twice", what, name)
		}
		names[what+name] = true
	}
	for i := range f.Limits {
		l, at := &f.Limits[i], strictyaml.Join("/limits", i)
		unique(at+"/limit", l.Name, "limit")
		l.check(func(path, expected, what string) { doc.Errorf(at+path, expected, "%s", what) })
	}
	for i := range f.Breakers {
		b, at := &f.Breakers[i], strictyaml.Join("/breakers", i)
		unique(at+"/breaker", b.Name, "breaker")
		b.check(func(path, expected, what string) { doc.Errorf(at+path, expected, "%s", what) })
	}
	if f.Widest.IPv4 > 32 || f.Widest.IPv6 > 128 {
		doc.Errorf("/widest_network", "at most 32 for IPv4 and 128 for IPv6", "there are no networks of so many bits")
	}
	if err := doc.Err(); err != nil {
		return Limits{}, err
	}
	return f, nil
}

func (l *Limit) check(report func(path, expected, what string)) {
	if l.Run+l.Hour+l.Day == 0 && l.Percent == 0 {
		report("", "give it run, hour, day or percent", fmt.Sprintf("the limit %q limits nothing", l.Name))
	}
	if l.Percent < 0 || l.Percent > 100 {
		report("/percent", "a number above 0 and up to 100", fmt.Sprintf("percent is %v", l.Percent))
	}
	if l.Hour > 0 && l.Day > 0 && l.Day < l.Hour {
		report("/day", "at least as many as in an hour", fmt.Sprintf("day is %d, and hour %d", l.Day, l.Hour))
	}
	if l.Over.Veto > 0 {
		report("/over", "write within: a limit is never passed by silence", "veto does not go with a limit")
	}
	for i, k := range l.For.Kind {
		(&List{}).checkKind(report, strictyaml.Join("/for/kind", i), k)
	}
}

// applies tells whether a limit counts a reservation, and how many of its
// targets.
func (l *Limit) applies(r *Reservation) (n int, ok bool) {
	f := &l.For
	fits := func(list []string, word string) bool { return len(list) == 0 || slices.Contains(list, word) }
	if !fits(f.Capability, r.Capability) || !fits(f.Action, r.Action) || !fits(f.Connection, r.Connection) ||
		!fits(f.Playbook, r.Playbook) || !fits(f.Connector, r.Connector) || !fits(f.Tenant, r.Tenant) {
		return 0, false
	}
	if len(f.Impact) > 0 && !slices.Contains(f.Impact, r.Impact.String()) {
		return 0, false
	}
	if len(f.Kind) == 0 {
		return r.count(), true
	}
	for _, k := range f.Kind {
		n += r.of(k)
	}
	return n, n > 0
}
