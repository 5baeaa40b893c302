package guard

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"riposte/connector"
	"riposte/internal/fault"
	"riposte/internal/run"
)

// Settings are what an installation sets. The zero value denies every change.
type Settings struct {
	Policy *Policy
	Lists  []List // protected
	Limits Limits
}

// settings is Settings with what is left out filled in.
type settings struct {
	policy           *Policy
	lists            []List
	breakers         []BreakerRule
	widest4, widest6 int
}

// Guard decides about actions. It may be used by many goroutines at once.
type Guard struct {
	mu        sync.Mutex
	set       *settings
	index     *index
	limiter   *limiter
	switches  map[switchKey]Switch
	breakers  map[breakerKey]*breaker
	overrides []*override
	restored  map[run.ID][]run.Act // what waits since before the last restart
	scratch   []*breaker
}

// New makes a guard. It returns fault.Invalid for settings that cannot work.
func New(s Settings) (*Guard, error) {
	g := &Guard{switches: map[switchKey]Switch{}, breakers: map[breakerKey]*breaker{}, restored: map[run.ID][]run.Act{}}
	return g, g.Configure(s)
}

// Configure puts other settings in the place of the present ones. What was
// counted stays counted, and switches stay off.
func (g *Guard) Configure(s Settings) error {
	patterns := 0
	for i := range s.Lists {
		for _, p := range s.Lists[i].Patterns {
			patterns += len(p)
		}
	}
	if patterns > maxPatterns {
		return fmt.Errorf("protected lists hold %d patterns, at most %d are taken; use domains, hosts or exact where a name is meant: %w", patterns, maxPatterns, fault.Invalid)
	}
	set := &settings{policy: s.Policy, lists: s.Lists, breakers: s.Limits.Breakers,
		widest4: cmp.Or(s.Limits.Widest.IPv4, 16), widest6: cmp.Or(s.Limits.Widest.IPv6, 32)}
	g.mu.Lock()
	defer g.mu.Unlock()
	limiter := newLimiter(s.Limits.Limits)
	if g.limiter != nil {
		limiter.takeOver(g.limiter)
	}
	g.set, g.limiter, g.index = set, limiter, nil
	for key := range g.breakers {
		if !slices.ContainsFunc(set.breakers, func(r BreakerRule) bool { return r.Name == key.rule }) {
			delete(g.breakers, key)
		}
	}
	for key, b := range g.breakers {
		for i := range set.breakers {
			if r := &set.breakers[i]; r.Name == key.rule {
				b.rule = r
			}
		}
	}
	return nil
}

// inspection is what the checks before the limits have found.
type inspection struct {
	targets   []connector.Target
	hash      string
	rules     []*rule // one for each connection that is reached
	notAuthor bool
	overrides []*override
}

// Check decides about an action before anything is asked or called, and reserves
// what it takes of the limits. What Decision.Reserved holds is to be stored with
// the answer; Release gives it back.
func (g *Guard) Check(q Request) Decision {
	found, refused := g.inspect(&q, q.guarded())
	if refused != nil {
		return *refused
	}
	return g.reserve(&q, found)
}

// Admit decides just before an attempt: all checks once more, with what was
// reserved. Only Allow lets the call leave; every other decision goes back to
// the interpreter. People are asked again only where what would be done has
// changed, or where more is asked for now than they have agreed to.
func (g *Guard) Admit(q Request) Decision {
	found, refused := g.inspect(&q, q.Impact >= connector.Notify)
	if refused != nil {
		if refused.Outcome != Later {
			g.Release(q.Run, q.Act)
		}
		return *refused
	}
	if q.guarded() && q.Hash == "" || q.Hash != "" && q.Hash != found.hash {
		// Never checked, or no longer what was checked: the step's own approval,
		// which only the interpreter knows, must be asked for this very action.
		d := g.reserve(&q, found)
		if d.Outcome == Allow {
			d.Outcome, d.By = Ask, CheckApproval
			d.Message = "what was checked is not what would be done now"
			if q.Hash == "" {
				d.Message = "it has not been checked yet"
			}
		}
		return d
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	d := found.decision()
	if !q.guarded() || q.Undo {
		return g.leave(&q, d)
	}
	h := g.limiter.acts[q.key()]
	var over []*Limit
	if h == nil || h.Hash != found.hash {
		over = g.limiter.reserve(reservationOf(&q, found.targets, found.hash), q.Known)
	} else {
		over = g.limiter.still(h, q.At, q.Known)
	}
	found.demand(&d, over)
	if !covered(d.Asks, q.Agreed) {
		g.bind(&q, found)
		return d
	}
	d.Outcome, d.By, d.Asks = Allow, CheckApproval, nil
	g.bind(&q, found)
	if d = g.leave(&q, d); d.Outcome == Allow {
		g.limiter.spend(q.key(), q.At)
	}
	return d
}

// inspect goes through the checks that stand before the limits, in their order,
// for each connection that would be reached: what one of them may not do is not
// done on the others either.
func (g *Guard) inspect(q *Request, breakers bool) (inspection, *Decision) {
	if len(q.Others) == 0 {
		return g.inspectOne(q, breakers)
	}
	var all inspection
	var hashes hasher
	for _, one := range q.servers() {
		found, refused := g.inspectOne(one, breakers)
		if refused != nil {
			return inspection{}, refused
		}
		hashes.text(found.hash)
		for _, t := range found.targets {
			if !slices.Contains(all.targets, t) {
				all.targets = append(all.targets, t)
			}
		}
		all.rules, all.overrides = append(all.rules, found.rules...), append(all.overrides, found.overrides...)
		all.notAuthor = all.notAuthor || found.notAuthor
	}
	all.hash = hashes.sum()
	return all, nil
}

// inspectOne inspects what one connection would do, and finds the rule of the
// policy. An undo meets the first two checks only.
func (g *Guard) inspectOne(q *Request, breakers bool) (inspection, *Decision) {
	if d, refused := cleared(q); refused {
		return inspection{}, &d
	}
	set, index, stopped := g.first(q, breakers)
	if stopped != nil {
		return inspection{}, stopped
	}
	var found inspection
	var err error
	if q.guarded() {
		if found.targets, err = set.resolve(q); err != nil {
			return inspection{}, deny(CheckTargets, connector.Class("denied"), "targets", kindless(err))
		}
	}
	if found.hash, err = Hash(q, found.targets); err != nil {
		return inspection{}, deny(CheckTargets, connector.Class("denied"), "targets", kindless(err))
	}
	if !q.guarded() || q.Undo {
		return found, nil
	}
	if d := g.protected(q, index, &found); d != nil {
		return inspection{}, d
	}
	decided, err := set.policy.decide(q, found.targets)
	switch {
	case err != nil:
		return inspection{}, deny(CheckPolicy, connector.Policy, "policy "+decided.name, fmt.Sprintf("the rule %s of the policy cannot be decided: %v", decided.name, err))
	case decided == nil:
		return inspection{}, deny(CheckPolicy, connector.Policy, "policy", "no rule of the policy allows it")
	case decided.then == Deny:
		return inspection{}, deny(CheckPolicy, connector.Policy, "policy "+decided.name, decided.reason)
	case decided.then == Shadow:
		d := found.decision()
		d.Outcome, d.By, d.Rule = Shadow, CheckPolicy, "policy "+decided.name
		d.Message = "would have been done; the policy wants it recorded only: " + decided.reason
		return inspection{}, &d
	}
	found.rules, found.notAuthor = []*rule{decided}, set.policy.notAuthor
	return found, nil
}

// kindless is an error's text without the kind at its end.
func kindless(err error) string { return strings.TrimSuffix(err.Error(), ": "+fault.Invalid.Error()) }

func deny(by Check, code connector.Class, rule, message string) *Decision {
	return &Decision{Outcome: Deny, By: by, Code: code, Rule: rule, Message: message}
}

// cleared is the check before all others: marked data does not go to a
// connection that is not cleared for it.
func cleared(q *Request) (Decision, bool) {
	if q.Connection == "" {
		return Decision{}, false // nothing leaves the installation
	}
	if ok, why := q.Clearance.Covers(q.Marks); !ok {
		return *deny(CheckClearance, connector.Policy, "clearance", fmt.Sprintf("nothing may be sent to %s: %s", q.Connection, why)), true
	}
	return Decision{}, false
}

// first is check 1, kill switch and breaker, and hands out the settings.
func (g *Guard) first(q *Request, breakers bool) (*settings, *index, *Decision) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s, off := g.killed(q); off {
		d := s.denies()
		return nil, nil, &d
	}
	if breakers {
		if d, open := g.broken(q); open {
			return nil, nil, &d
		}
	}
	return g.set, g.indexAt(q.At), nil
}

// indexAt is the index of the protected lists, made anew when one has expired.
func (g *Guard) indexAt(at time.Time) *index {
	if g.index == nil || !g.index.until.IsZero() && !at.Before(g.index.until) {
		g.index = newIndex(g.set.lists, at)
	}
	return g.index
}

// protected is check 3. A hit that a person has set aside is passed.
func (g *Guard) protected(q *Request, index *index, found *inspection) *Decision {
	for _, t := range found.targets {
		hit, ok := index.find(q.Tenant, t, q.Labels[t])
		if !ok {
			continue
		}
		g.mu.Lock()
		o := g.setAside(q, t)
		g.mu.Unlock()
		if o == nil {
			return deny(CheckProtected, connector.Protected, "protected "+hit.List, hit.String())
		}
		found.overrides = append(found.overrides, o)
	}
	return nil
}

// reserve takes what the action needs of the limits and says who must agree.
func (g *Guard) reserve(q *Request, found inspection) Decision {
	d := found.decision()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !q.guarded() || q.Undo {
		return g.leave(q, d)
	}
	r := reservationOf(q, found.targets, found.hash)
	found.demand(&d, g.limiter.reserve(r, q.Known))
	g.bind(q, found)
	if d.Outcome == Allow {
		if d = g.leave(q, d); d.Outcome != Allow {
			g.limiter.release(q.key())
			return d
		}
	}
	r.Over = d.Over
	d.Reserved = r
	return d
}

// leave makes a call that is allowed the probe of the breakers that are half
// open. Somebody else may have become it meanwhile.
func (g *Guard) leave(q *Request, d Decision) Decision {
	if q.Impact < connector.Notify {
		return d
	}
	if later, open := g.broken(q); open {
		later.Hash, later.Targets = d.Hash, d.Targets
		return later
	}
	for _, b := range g.watching(q) {
		b.probeBy(q.key(), q.At)
	}
	return d
}

// bind binds overrides to the activation that uses them.
func (g *Guard) bind(q *Request, found inspection) {
	for _, o := range found.overrides {
		o.bound = q.key()
	}
}

func (f *inspection) decision() Decision {
	d := Decision{Outcome: Allow, Targets: f.targets, Hash: f.hash}
	for _, o := range f.overrides {
		d.Overrides = append(d.Overrides, o.Override)
	}
	return d
}

// demand says who must agree: by policy, and because limits are used up.
func (f *inspection) demand(d *Decision, over []*Limit) {
	d.NotAuthor = f.notAuthor
	asking, vetoes, silence := 0, 0, time.Duration(0)
	for _, rule := range f.rules {
		if asking == 0 { // what asks is told rather than what allows
			d.By, d.Rule, d.Message = CheckPolicy, "policy "+rule.name, rule.reason
		}
		if rule.then != Ask {
			continue
		}
		asking++
		d.add(rule.ask.ask("policy"), rule.ask.Within, rule.ask.NotAuthor)
		if rule.ask.Veto > 0 {
			vetoes, silence = vetoes+1, max(silence, rule.ask.Veto)
		}
	}
	if asking > 0 && vetoes == asking && len(over) == 0 {
		d.Veto, d.Within = true, silence
	}
	for i, limit := range over {
		d.Over = append(d.Over, limit.Name)
		d.add(limit.Over.ask("limit"), limit.Over.Within, limit.Over.NotAuthor)
		if i == 0 {
			d.By, d.Rule = CheckLimits, "limit "+limit.Name
			d.Message = fmt.Sprintf("the limit %s is used up: %s", limit.Name, limit.Reason)
		}
	}
	if len(d.Asks) > 0 {
		d.Outcome = Ask
	}
}

// add adds a quorum, each set of people and reason once.
func (d *Decision) add(q run.Quorum, within time.Duration, notAuthor bool) {
	d.NotAuthor = d.NotAuthor || notAuthor
	if within > 0 && (d.Within == 0 || within < d.Within) {
		d.Within = within
	}
	for i := range d.Asks {
		if d.Asks[i].Source == q.Source && slices.Equal(d.Asks[i].People, q.People) {
			d.Asks[i].Need = max(d.Asks[i].Need, q.Need)
			return
		}
	}
	d.Asks = append(d.Asks, q)
}

// covered tells whether people have agreed to everything that is asked: to the
// same people, or fewer of them, at least as many, for the same reason.
func covered(asks, agreed []run.Quorum) bool {
	for _, q := range asks {
		if !slices.ContainsFunc(agreed, func(a run.Quorum) bool {
			return a.Source == q.Source && a.Need >= q.Need && !slices.ContainsFunc(a.People, func(who string) bool { return !slices.Contains(q.People, who) })
		}) {
			return false
		}
	}
	return true
}

// Release gives back what an activation holds that will not call: after a no, an
// expiry or a cancel. What was called stays counted.
func (g *Guard) Release(id run.ID, act run.Act) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := actKey{id, act}
	h := g.limiter.acts[key]
	g.limiter.release(key)
	g.unbind(key, h != nil && !h.Spent.IsZero())
	for _, b := range g.breakers {
		if b.probe == key {
			b.probe = actKey{}
		}
	}
}

// Done notes how a call ended, for the breakers, and counts it against the
// limits if that has not happened yet.
func (g *Guard) Done(e Ended) {
	if e.Impact < connector.Notify {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	key := actKey{e.Run, e.Act}
	changes := e.Impact >= connector.Change && !e.Undo
	for _, one := range e.each() {
		failed, counts := faulty(&one.Result)
		for _, b := range g.breakersOf(e.Tenant, e.Playbook, one.Connection) {
			b.ended(key, failed, counts, changes, e.At)
		}
	}
	h := g.limiter.acts[key]
	if h == nil {
		return
	}
	if h.Spent.IsZero() {
		g.limiter.spend(key, e.At)
	}
	if e.Result.Status == connector.OK || e.Result.Status == connector.Already {
		g.limiter.release(key)
		g.unbind(key, true)
	}
}

// TakenBack notes that what a playbook did on a connection was taken back because
// it was wrong, for the breakers.
func (g *Guard) TakenBack(tenant, playbook, connection string, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, b := range g.breakersOf(tenant, playbook, connection) {
		b.takenBack(at)
	}
}

// RunEnded forgets what counts for one run only. What it still holds after a
// restart was called before it: nothing of a run waits when it has ended.
func (g *Guard) RunEnded(id run.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, act := range g.restored[id] {
		key := actKey{id, act}
		if h := g.limiter.acts[key]; h != nil && h.Spent.IsZero() {
			g.limiter.spend(key, h.At)
			g.limiter.release(key)
		}
	}
	delete(g.restored, id)
	g.limiter.forgetRun(id)
}

// Restore takes up what was reserved before a restart: what waits, and what was
// called in the last 24 hours. It returns how many count.
func (g *Guard) Restore(list []Reservation, at time.Time) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Reservation) int { return a.Spent.Compare(b.Spent) })
	n := 0
	for _, r := range list {
		if !r.Spent.IsZero() && at.Sub(r.Spent) >= 24*time.Hour {
			continue
		}
		g.limiter.restore(r)
		n++
		if r.Spent.IsZero() {
			g.restored[r.Run] = append(g.restored[r.Run], r.Act)
		}
	}
	return n
}
