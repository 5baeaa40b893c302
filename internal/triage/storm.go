package triage

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"riposte/internal/alert"
	"riposte/internal/expr"
)

// stormRule says when alerts are far too many.
type stormRule struct {
	id, why  string
	when     *expr.Program // nil: all
	key      key
	moreThan int
	quiet    time.Duration
	spare    int
	plan     *casePlan
}

func (c *compiler) storm(at string, t *stormText) {
	c.named(at+"/storm", t.Storm, "storm")
	r := stormRule{id: t.Storm, why: t.Why, moreThan: t.MoreThan, quiet: cmp.Or(t.Quiet, defaultQuiet), spare: defaultSpare}
	if t.When != "" {
		r.when = c.condition(at+"/when", t.When, c.plain)
	}
	if t.Spare != nil {
		r.spare = *t.Spare
	}
	if r.quiet < time.Minute || r.quiet > 24*time.Hour {
		c.doc.Errorf(at+"/quiet", "expected 1m to 24h", "quiet is no time after which a storm is over")
	}
	by := t.By
	if by == nil {
		by = "source"
	}
	r.key = c.key(at+"/by", by)
	r.plan = c.plan(at+"/case", &t.Case)
	c.r.storms = append(c.r.storms, r)
}

// rate counts the alerts of the last minute by the second, and remembers which
// stand by themselves.
type rate struct {
	seconds [60]int32
	last    int64
	sum     int
	alone   []lone
}

type lone struct {
	id alert.ID
	at int64 // second
}

// move drops what is older than a minute. A clock that goes back moves nothing.
func (r *rate) move(second int64) {
	if second-r.last >= 60 {
		r.seconds, r.sum, r.last = [60]int32{}, 0, second
		return
	}
	for r.last < second {
		r.last++
		slot := &r.seconds[r.last%60]
		r.sum -= int(*slot)
		*slot = 0
	}
}

func (r *rate) add(at time.Time, u *Undo) int {
	r.move(at.Unix())
	slot := r.last % 60
	r.seconds[slot]++
	r.sum++
	u.add(func() {
		if r.seconds[slot] > 0 {
			r.seconds[slot]--
			r.sum--
		}
	})
	return r.sum
}

// keep remembers an alert that stands by itself for a minute.
func (r *rate) keep(id alert.ID, at time.Time, most int) {
	r.alone = append(r.alone, lone{id, at.Unix()})
	if len(r.alone) > 2*most {
		r.alone = slices.Clone(r.alone[len(r.alone)-most:])
	}
}

func (r *rate) since(second int64) (ids []alert.ID) {
	for _, l := range r.alone {
		if l.at >= second {
			ids = append(ids, l.id)
		}
	}
	return ids
}

// storm is one that goes on.
type storm struct {
	Open
	kinds    map[string]int // how many of each kind came since it began
	minute   int64
	passed   int // let through in this minute
	lastOver time.Time
	blind    time.Time // until then it is not known what is rare
}

// Open is a storm that goes on, as it is kept outside.
type Open struct {
	ID      int64 // of its record
	Rule    string
	Key     string
	Subject string
	Head    alert.ID
	Case    int64
	Began   time.Time
	Folded  int // alerts that were folded since the state knows of it
	Passed  int // alerts that were let through
}

// usual is how many of a kind make it common in a storm.
const usual = 5

// kind is what kind of alert one is: the product's rule, else its title.
func kind(a *alert.Alert) string {
	return cmp.Or(fieldText(a, "rule_id"), fieldText(a, "rule"), a.Title)
}

// spares tells whether an alert is let through: its kind is rare in the storm,
// and not too many were let through in this minute.
func (s *storm) spares(r *stormRule, a *alert.Alert) bool {
	k := kind(a)
	n, known := s.kinds[k]
	if !known && len(s.kinds) >= mostKinds {
		return false
	}
	s.kinds[k] = n + 1
	if m := a.Received.Unix() / 60; m != s.minute {
		s.minute, s.passed = m, 0
	}
	if n >= usual || s.passed >= r.spare || a.Received.Before(s.blind) {
		return false
	}
	s.passed++
	s.Passed++
	return true
}

// stormed is what the storms make of an alert that would otherwise become d; nil
// where none does.
func (r *Rules) stormed(p *Prepared, s *State, d *Decision, dry bool, u *Undo) *Decision {
	for i := range r.storms {
		st := &r.storms[i]
		if !st.counts(p, d, i) {
			continue
		}
		k := p.storm[i]
		at := hitKey{i, k.id}
		if on := s.storms[at]; on != nil {
			if out := st.fold(p, s, at, on, d, dry, u); out != nil {
				return out
			}
			return nil // it was let through
		}
		if dry {
			continue
		}
		if out := st.count(p, s, at, k.text, d, u); out != nil {
			return out
		}
	}
	return nil
}

// counts tells whether an alert counts for a storm, as the rules have made it.
func (st *stormRule) counts(p *Prepared, d *Decision, i int) bool {
	if err := p.storm[i].err; err != nil {
		d.problem(st.id, err)
		return false
	}
	if st.when == nil {
		return true
	}
	(&working{d.Severity, d.Category, d.Tags}).show(p.Object)
	ok, err := st.when.EvalBool(&p.env)
	if err != nil {
		d.problem(st.id, err)
	}
	return err == nil && ok
}

func (s *State) rate(k hitKey) *rate {
	r := s.rates[k]
	if r == nil {
		if len(s.rates) >= mostKinds {
			clear(s.rates) // counting begins anew: a storm is told a minute later
		}
		r = &rate{}
		s.rates[k] = r
	}
	return r
}

// fold makes an alert part of a storm that goes on.
func (st *stormRule) fold(p *Prepared, s *State, k hitKey, on *storm, d *Decision, dry bool, u *Undo) *Decision {
	a := p.Alert
	if dry {
		if on.kinds[kind(a)] < usual && on.passed < st.spare && !a.Received.Before(on.blind) {
			return nil
		}
	} else {
		if s.rate(k).add(a.Received, u) > st.moreThan {
			on.lastOver = a.Received
		}
		if on.spares(st, a) {
			return nil
		}
		on.Folded++
		u.add(func() { on.Folded-- })
	}
	out := *d
	out.Act, out.Rule, out.Key, out.Into, out.Case = Storm, st.id, on.Key, on.Head, on.Case
	out.Outcome, out.Open, out.Starts, out.Triggers = "one of a storm of "+on.Subject+": "+st.why, nil, nil, false
	return &out
}

// count counts an alert, and makes a storm of it if it is one too many.
func (st *stormRule) count(p *Prepared, s *State, k hitKey, key string, d *Decision, u *Undo) *Decision {
	a := p.Alert
	rt := s.rate(k)
	n := rt.add(a.Received, u)
	if n <= st.moreThan {
		if d.Act == Keep {
			rt.keep(a.ID, a.Received, st.moreThan)
		}
		return nil
	}
	on := &storm{
		Open:  Open{Rule: st.id, Key: key, Subject: cmp.Or(st.key.subject(&p.env), "all alerts"), Head: a.ID, Began: a.Received},
		kinds: map[string]int{kind(a): usual}, minute: a.Received.Unix() / 60, lastOver: a.Received,
	}
	s.storms[k] = on
	u.add(func() { delete(s.storms, k) })
	out := *d
	out.Act, out.Rule, out.Key, out.Into, out.Case = OpenCase, st.id, key, 0, 0
	out.Outcome, out.Starts, out.Triggers = "for a storm of "+on.Subject+": "+st.why, nil, false
	out.Storm = &StormBegin{Rule: st.id, Key: key, Subject: on.Subject, PerMin: st.moreThan, Before: n - 1, Alone: rt.since(a.Received.Unix() - 59)}
	rt.alone = nil
	out.Open = st.plan.fill(a, &out, &p.env)
	if st.plan.title == nil {
		out.Open.Title = clip("Storm of "+on.Subject+": "+a.Title, maxCaseTitle)
	}
	out.Open.Group = "storm:" + st.id + ":" + key
	return &out
}

// Restore makes a state know of a storm that goes on: after a restart, or once
// its case is open. One of a rule that is no more is not known.
func (s *State) Restore(r *Rules, o Open, at time.Time) bool {
	for i := range r.storms {
		if r.storms[i].id != o.Rule {
			continue
		}
		k := hitKey{i, identOf(o.Key)}
		if on := s.storms[k]; on != nil {
			on.ID, on.Case, on.Head = o.ID, o.Case, o.Head
			return true
		}
		s.storms[k] = &storm{Open: o, kinds: map[string]int{}, lastOver: at, blind: at.Add(time.Minute)}
		return true
	}
	return false
}

// Over takes out the storms that are over: for as long as their rule says there
// were no more alerts a minute than it allows.
func (s *State) Over(r *Rules, at time.Time) (over []Open) {
	for k, on := range s.storms {
		if at.Sub(on.lastOver) >= r.storms[k.rule].quiet {
			over = append(over, on.Open)
			delete(s.storms, k)
		}
	}
	slices.SortFunc(over, func(a, b Open) int { return strings.Compare(a.Key, b.Key) })
	return over
}

// Storms lists those that go on.
func (s *State) Storms() (list []Open) {
	for _, on := range s.storms {
		list = append(list, on.Open)
	}
	slices.SortFunc(list, func(a, b Open) int { return strings.Compare(a.Key, b.Key) })
	return list
}
