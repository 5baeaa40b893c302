package triage

import (
	"cmp"
	"slices"
	"strings"

	"riposte/internal/alert"
)

// Preview tries rules out on alerts that were stored before, one after the other
// in the order in which they came.
type Preview struct {
	*Virtual
	Alerts   int
	Changed  int
	Starts   map[Started]int
	Problems map[string]*Examples

	pairs map[Pair]*Examples
	was   map[string]int
	would map[string]int
	kept  map[alert.ID]Pair // those that a storm may still take in
	order []alert.ID        // of kept, the oldest first
}

// Pair is what happened to alerts, and what would have happened.
type Pair struct{ Was, Would Ending }

// Ending is how an alert ends, and by what.
type Ending struct {
	Status alert.Status
	Rule   string
}

func (e Ending) String() string { return string(e.Status) + " by " + cmp.Or(e.Rule, "no rule") }

// Started is a playbook that would have started, and by what.
type Started struct{ Playbook, By string }

// Examples counts alerts and names a few.
type Examples struct {
	Count  int
	Alerts []alert.ID
}

const (
	mostExamples = 5
	mostKept     = 20_000
	mostProblems = 100
)

// NewPreview begins a preview of rules.
func NewPreview(r *Rules) *Preview {
	return &Preview{
		Virtual: NewVirtual(r), Starts: map[Started]int{}, Problems: map[string]*Examples{}, pairs: map[Pair]*Examples{},
		was: map[string]int{}, would: map[string]int{}, kept: map[alert.ID]Pair{},
	}
}

func (e *Examples) add(id alert.ID) {
	if e.Count++; len(e.Alerts) < mostExamples {
		e.Alerts = append(e.Alerts, id)
	}
}

// Add takes one alert as it is stored, and how it stood when it came. own names
// the playbooks whose own triggers an alert would meet; nil: none.
func (p *Preview) Add(stored alert.Alert, came Ending, own func(object map[string]any) []string) {
	a := AsItCame(stored)
	d := p.Take(&a)
	p.Alerts++
	pair := Pair{came, Ending{d.Act.Status(), d.Rule}}
	p.was[came.Rule]++
	p.count(pair, a.ID)
	if d.Act == Keep {
		p.kept[a.ID] = pair
		if p.order = append(p.order, a.ID); len(p.order) > mostKept {
			delete(p.kept, p.order[0])
			p.order = p.order[1:]
		}
	}
	if d.Storm != nil {
		p.stormed(&d)
	}
	for _, s := range d.Starts {
		p.Starts[Started{s.Playbook, s.By}]++
	}
	if d.Triggers && own != nil {
		d.Apply(&a, &a, 0, "")
		for _, slug := range own(a.Object()) {
			if !slices.ContainsFunc(d.Starts, func(s Start) bool { return s.Playbook == slug }) {
				p.Starts[Started{slug, "trigger"}]++
			}
		}
	}
	for _, pr := range d.Problems {
		e := p.Problems[pr.String()]
		if e == nil && len(p.Problems) < mostProblems {
			e = &Examples{}
			p.Problems[pr.String()] = e
		}
		if e != nil {
			e.add(a.ID)
		}
	}
}

func (p *Preview) count(pair Pair, id alert.ID) {
	e := p.pairs[pair]
	if e == nil {
		e = &Examples{}
		p.pairs[pair] = e
	}
	e.add(id)
	p.would[pair.Would.Rule]++
	if pair.Was != pair.Would {
		p.Changed++
	}
}

// stormed folds what came in the minute before a storm was told.
func (p *Preview) stormed(d *Decision) {
	for _, id := range d.Storm.Alone {
		pair, ok := p.kept[id]
		if !ok {
			continue
		}
		e := p.pairs[pair]
		if e.Count--; e.Count == 0 {
			delete(p.pairs, pair)
		}
		e.Alerts = slices.DeleteFunc(e.Alerts, func(o alert.ID) bool { return o == id })
		p.would[pair.Would.Rule]--
		if pair.Was != pair.Would {
			p.Changed--
		}
		p.count(Pair{pair.Was, Ending{alert.Folded, d.Storm.Rule}}, id)
		delete(p.kept, id)
	}
}

// Outcome is a pair and how often it came about.
type Outcome struct {
	Pair
	Examples
}

// Outcomes lists what would become of alerts, changes first, the most frequent
// first.
func (p *Preview) Outcomes() (list []Outcome) {
	for pair, e := range p.pairs {
		list = append(list, Outcome{pair, *e})
	}
	slices.SortFunc(list, func(a, b Outcome) int {
		same := func(o Outcome) int {
			if o.Was == o.Would {
				return 1
			}
			return 0
		}
		return cmp.Or(same(a)-same(b), b.Count-a.Count, strings.Compare(a.Was.String()+a.Would.String(), b.Was.String()+b.Would.String()))
	})
	return list
}

// Hits tells how often each rule decided and would have decided, in the order of
// the rules; those that only were follow.
func (p *Preview) Hits(each func(rule string, was, would int)) {
	told := map[string]bool{}
	tell := func(rule string) {
		if !told[rule] {
			told[rule] = true
			each(rule, p.was[rule], p.would[rule])
		}
	}
	for i := range p.Rules.storms {
		tell(p.Rules.storms[i].id)
	}
	for i := range p.Rules.maintenance {
		tell(p.Rules.maintenance[i].id)
	}
	for i := range p.Rules.rules {
		if p.Rules.rules[i].act != "" {
			tell(p.Rules.rules[i].id)
		}
	}
	var others []string
	for rule := range p.was {
		others = append(others, rule)
	}
	for rule := range p.would {
		others = append(others, rule)
	}
	slices.Sort(others)
	for _, rule := range others {
		tell(rule)
	}
}
