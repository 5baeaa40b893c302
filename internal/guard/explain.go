package guard

import (
	"fmt"
	"strings"

	"riposte/connector"
	"riposte/internal/run"
)

// Finding is what one check says of a request.
type Finding struct {
	Check Check  `json:"check"`
	OK    bool   `json:"ok"`
	Text  string `json:"text"`
}

// Explain goes through all checks, also behind one that stops, and says what
// each finds. It reserves nothing and asks nobody: for pages, for the plan mode,
// and for "what would happen if".
func (g *Guard) Explain(q Request) []Finding {
	e := explanation{g: g, q: &q}
	if d, refused := cleared(&q); refused {
		e.add(CheckClearance, false, d.Message)
	} else {
		e.add(CheckClearance, true, "the data may go there")
	}
	e.first()
	targets, err := g.settings().resolve(&q)
	switch {
	case !q.guarded():
		e.add(CheckPolicy, true, fmt.Sprintf("impact %s: nothing else is asked", q.Impact))
		return e.all
	case err != nil:
		e.add(CheckTargets, false, kindless(err))
		return e.all
	}
	e.add(CheckTargets, true, targetsText(targets))
	if q.Undo {
		e.add(CheckPolicy, true, "an undo meets neither protected lists nor limits nor policy")
		return e.all
	}
	e.protected(targets)
	e.limits(targets)
	e.policy(targets)
	return e.all
}

func (g *Guard) settings() *settings {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.set
}

type explanation struct {
	g   *Guard
	q   *Request
	all []Finding
}

func (e *explanation) add(c Check, ok bool, text string) {
	e.all = append(e.all, Finding{Check: c, OK: ok, Text: text})
}

func (e *explanation) first() {
	e.g.mu.Lock()
	defer e.g.mu.Unlock()
	if s, off := e.g.killed(e.q); off {
		e.add(CheckKillSwitch, false, s.denies().Message)
	} else {
		e.add(CheckKillSwitch, true, "nothing in its way is switched off")
	}
	if d, open := e.g.broken(e.q); open {
		e.add(CheckBreaker, false, d.Message)
	} else {
		e.add(CheckBreaker, true, "no breaker in its way is open")
	}
}

func targetsText(targets []connector.Target) string {
	if len(targets) == 0 {
		return "the action names no targets"
	}
	texts := make([]string, 0, 6)
	for i, t := range targets {
		if i == 5 {
			texts = append(texts, fmt.Sprintf("%d more", len(targets)-i))
			break
		}
		texts = append(texts, string(t.Kind)+" "+t.Value)
	}
	return strings.Join(texts, ", ")
}

func (e *explanation) protected(targets []connector.Target) {
	e.g.mu.Lock()
	lists := e.g.set.lists
	index := e.g.indexAt(e.q.At)
	e.g.mu.Unlock()
	for _, t := range targets {
		hit, ok := index.find(e.q.Tenant, t, e.q.Labels[t])
		if !ok {
			continue
		}
		e.g.mu.Lock()
		o := e.g.setAside(e.q, t)
		e.g.mu.Unlock()
		if o == nil {
			e.add(CheckProtected, false, hit.String())
			return
		}
		e.add(CheckProtected, true, fmt.Sprintf("%s; set aside once by %s: %s", hit, o.By, o.Reason))
		return
	}
	e.add(CheckProtected, true, fmt.Sprintf("on none of %d lists", len(lists)))
}

func (e *explanation) limits(targets []connector.Target) {
	e.g.mu.Lock()
	defer e.g.mu.Unlock()
	r := reservationOf(e.q, targets, "")
	used := 0
	for i := range e.g.limiter.limits {
		limit := &e.g.limiter.limits[i]
		n, ok := limit.applies(r)
		if !ok {
			continue
		}
		used++
		hold := e.g.limiter.holdOf(limit, r, n)
		text := fmt.Sprintf("limit %s: %d more", limit.Name, n)
		if limit.Hour > 0 {
			text += fmt.Sprintf(", %d of %d in the hour", hold.c.held+hold.c.hour.count(e.q.At), limit.Hour)
		}
		most := limit.most(r, e.q.Known)
		if most > 0 {
			text += fmt.Sprintf(", %d of %d in the day", hold.c.held+hold.c.day.count(e.q.At), most)
		}
		if hold.r != nil {
			text += fmt.Sprintf(", %d of %d in the run", hold.r.held+hold.r.spent, limit.Run)
		}
		fits := hold.fits(e.q.At, most)
		if !fits {
			text += ": " + quorumText(limit.Over.ask("limit")) + " would be asked"
		}
		e.add(CheckLimits, fits, text)
	}
	if used == 0 {
		e.add(CheckLimits, true, "no limit counts it")
	}
}

func (e *explanation) policy(targets []connector.Target) {
	rule, err := e.g.settings().policy.decide(e.q, targets)
	switch {
	case err != nil:
		e.add(CheckPolicy, false, fmt.Sprintf("the rule %s cannot be decided: %v", rule.name, err))
	case rule == nil:
		e.add(CheckPolicy, false, "no rule of the policy allows it")
	case rule.then == Ask:
		e.add(CheckPolicy, true, fmt.Sprintf("rule %s asks %s: %s", rule.name, quorumText(rule.ask.ask("policy")), rule.reason))
	default:
		e.add(CheckPolicy, rule.then == Allow, fmt.Sprintf("rule %s: %s: %s", rule.name, rule.then, rule.reason))
	}
}

func quorumText(q run.Quorum) string {
	return fmt.Sprintf("%d of %s", q.Need, strings.Join(q.People, ", "))
}

// RuleText is a rule of the policy as people read it.
type RuleText struct {
	Rule   string `json:"rule"`
	When   string `json:"when,omitempty"` // "": always
	Then   string `json:"then"`
	Reason string `json:"reason"`
}

// Rules lists the rules in the order in which they are asked: the policy in
// force, as it is printed before a run.
func (p *Policy) Rules() []RuleText {
	list := []RuleText{}
	if p == nil {
		return list
	}
	for _, r := range p.rules {
		t := RuleText{Rule: r.name, Then: string(r.then), Reason: r.reason}
		if r.when != nil {
			t.When = r.when.Source()
		}
		if r.then == Ask {
			t.Then = "ask " + quorumText(r.ask.ask("policy"))
		}
		list = append(list, t)
	}
	return list
}
