package triage

import (
	"time"

	"riposte/internal/alert"
)

// Virtual takes alerts one after the other, as a server would, and changes
// nothing: what is open it remembers itself. Nobody closes anything in it. Rules
// are tried out in it, and so is a changed rule set on alerts of before.
type Virtual struct {
	Rules *Rules
	State *State
	Cases []Opened // those that were opened, in their order

	last  alert.ID
	group map[string]int // the newest case of a group key
	ended []Open
}

// Opened is a case that would be open.
type Opened struct {
	CasePlan
	Rule   string
	Alerts int
	First  alert.ID
	Storm  bool

	changed time.Time
}

// NewVirtual makes an empty one.
func NewVirtual(r *Rules) *Virtual {
	return &Virtual{Rules: r, State: NewState(), group: map[string]int{}}
}

// Open is true: nobody closes anything.
func (v *Virtual) Open(alert.ID) (bool, error) { return true, nil }

// CaseOf finds the case of a key.
func (v *Virtual) CaseOf(group string, since time.Time) (int64, error) {
	n := v.group[group]
	if n == 0 || group == "" || v.Cases[n-1].changed.Before(since) {
		return 0, nil
	}
	return int64(n), nil
}

// Take decides about an alert. One without ID gets the next.
func (v *Virtual) Take(a *alert.Alert) Decision {
	if a.ID == 0 {
		a.ID = v.last + 1
	}
	v.last = max(v.last, a.ID)
	v.ended = append(v.ended, v.State.Over(v.Rules, a.Received)...)
	d, err := v.Rules.Decide(v.Rules.Prepare(a, nil), v.State, v, nil)
	if err != nil { // this world has no errors
		d.problem("", err)
	}
	switch {
	case d.Open != nil:
		if n := v.group[d.Open.Group]; d.Storm != nil && n > 0 { // the same storm again
			d.Case = int64(n)
			v.join(n, a)
			break
		}
		v.Cases = append(v.Cases, Opened{CasePlan: *d.Open, Rule: d.Rule, Alerts: 1, First: a.ID, Storm: d.Storm != nil, changed: a.Received})
		d.Case = int64(len(v.Cases))
		if d.Open.Group != "" {
			v.group[d.Open.Group] = len(v.Cases)
		}
	case d.Act == Attach:
		v.join(int(d.Case), a)
	}
	if d.Storm != nil {
		v.State.Restore(v.Rules, Open{Rule: d.Storm.Rule, Key: d.Storm.Key, Head: a.ID, Case: d.Case}, a.Received)
	}
	return d
}

func (v *Virtual) join(n int, a *alert.Alert) {
	c := &v.Cases[n-1]
	c.Alerts++
	c.changed = a.Received
}

// Storms lists all storms so far, those that are over first.
func (v *Virtual) Storms() []Open { return append(v.ended, v.State.Storms()...) }
