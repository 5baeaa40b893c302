package guard

import (
	"slices"
	"strings"
	"time"

	"riposte/connector"
	"riposte/internal/run"
)

// Reservation is what an activation holds of the limits: stored with the answer
// of the check, and read again after a restart. It says what was counted and not
// against which limits, so that it counts right for other limits, too.
type Reservation struct {
	Tenant     string           `json:"tenant,omitempty"`
	Playbook   string           `json:"playbook"`
	Run        run.ID           `json:"run"`
	Root       run.ID           `json:"root,omitempty"`
	Act        run.Act          `json:"act"`
	Connector  string           `json:"connector,omitempty"`
	Connection string           `json:"connection,omitempty"`
	Action     string           `json:"action,omitempty"`
	Capability string           `json:"capability,omitempty"`
	Impact     connector.Impact `json:"impact"`
	Kinds      []KindCount      `json:"kinds,omitempty"`  // targets by kind
	Others     []Served         `json:"others,omitempty"` // the other connections that it reaches
	Hash       string           `json:"hash"`
	Over       []string         `json:"over,omitempty"` // the limits that it waits for people to pass
	At         time.Time        `json:"at"`
	Spent      time.Time        `json:"spent,omitzero"` // when it was last called; zero: it waits
}

// Served is a connection that a reservation reaches beside its first.
type Served struct {
	Connector  string `json:"connector"`
	Connection string `json:"connection"`
	Action     string `json:"action"`
}

// servers are what one reservation counts as, for limits that look at where it
// goes: one for each connection.
func (r *Reservation) servers() []Reservation {
	all := make([]Reservation, 0, 1+len(r.Others))
	all = append(all, *r)
	for _, o := range r.Others {
		one := *r
		one.Connector, one.Connection, one.Action = o.Connector, o.Connection, o.Action
		all = append(all, one)
	}
	return all
}

// KindCount is how many targets of a kind a reservation holds.
type KindCount struct {
	Kind connector.TargetKind `json:"kind"`
	N    int                  `json:"n"`
}

// count is how many targets it holds: at least one.
func (r *Reservation) count() int {
	n := 0
	for _, k := range r.Kinds {
		n += k.N
	}
	return max(n, 1)
}

// of is how many targets of a kind it holds.
func (r *Reservation) of(kind connector.TargetKind) int {
	for _, k := range r.Kinds {
		if k.Kind == kind {
			return k.N
		}
	}
	return 0
}

// kind is the first kind of target that it holds.
func (r *Reservation) kind() connector.TargetKind {
	if len(r.Kinds) == 0 {
		return ""
	}
	return r.Kinds[0].Kind
}

func (r *Reservation) add(kind connector.TargetKind) {
	for i := range r.Kinds {
		if r.Kinds[i].Kind == kind {
			r.Kinds[i].N++
			return
		}
	}
	r.Kinds = append(r.Kinds, KindCount{kind, 1})
}

func reservationOf(q *Request, targets []connector.Target, hash string) *Reservation {
	r := &Reservation{
		Tenant: q.Tenant, Playbook: q.Playbook, Run: q.Run, Root: q.Root, Act: q.Act,
		Connection: q.Connection, Impact: q.Impact, Hash: hash, At: q.At,
	}
	if a := q.Action; a != nil {
		r.Connector, r.Action, r.Capability = a.Connector, a.Name(), a.Capability
	}
	for _, o := range q.Others {
		r.Others = append(r.Others, Served{o.Action.Connector, o.Connection, o.Action.Name()})
	}
	for _, t := range targets {
		r.add(t.Kind)
	}
	return r
}

// actKey names an activation.
type actKey struct {
	run run.ID
	act run.Act
}

// runLimit names the count of one run against one limit.
type runLimit struct {
	limit string
	run   run.ID
}

// counter counts targets against one limit, for one of what it counts apart.
type counter struct {
	name string
	held int // waiting; they count until they are given back or called
	hour window
	day  window
}

// runCounter counts the targets of one run against one limit.
type runCounter struct {
	held, spent int
	last        time.Time
}

// hold is what a reservation has of one limit. over: it was asked for beyond the
// limit and takes its place only when people have agreed and it is called.
type hold struct {
	limit *Limit
	c     *counter
	r     *runCounter // nil: no limit per run
	n     int
	over  bool
}

type held struct {
	Reservation
	holds []hold
}

// limiter counts over all runs. Its user holds the mutex.
type limiter struct {
	limits   []Limit
	counters map[string]*counter
	runs     map[runLimit]*runCounter
	acts     map[actKey]*held
	swept    time.Time
	scratch  []byte
}

func newLimiter(limits []Limit) *limiter {
	return &limiter{limits: limits, counters: map[string]*counter{}, runs: map[runLimit]*runCounter{}, acts: map[actKey]*held{}}
}

// reserve takes a slot of every limit that counts the reservation, all at once:
// nobody else can take the last in between. What an earlier reservation of the
// same activation holds is given back first. It returns the limits that are used
// up; of those nothing is taken, they wait for people.
func (l *limiter) reserve(r *Reservation, known map[connector.TargetKind]int) (over []*Limit) {
	key := actKey{r.Run, r.Act}
	l.release(key)
	l.sweep(r.At)
	h := &held{Reservation: *r, holds: make([]hold, 0, 4)}
	for i := range l.limits {
		limit, before := &l.limits[i], len(over)
		for _, hold := range l.holdsOf(limit, r) {
			if !hold.fits(r.At, limit.most(r, known)) {
				hold.over = true
				over = append(over[:before], limit)
			}
			h.holds = append(h.holds, hold)
		}
	}
	for _, hold := range h.holds {
		hold.take(1)
	}
	for _, limit := range over {
		h.Over = append(h.Over, limit.Name)
	}
	l.acts[key] = h
	return over
}

// restore takes up a reservation of before a restart, whatever the limits say.
func (l *limiter) restore(r Reservation) {
	h := &held{Reservation: r}
	h.Spent = time.Time{}
	for i := range l.limits {
		for _, hold := range l.holdsOf(&l.limits[i], &r) {
			hold.over = slices.Contains(r.Over, l.limits[i].Name)
			hold.take(1)
			h.holds = append(h.holds, hold)
		}
	}
	key := actKey{r.Run, r.Act}
	l.release(key)
	l.acts[key] = h
	if !r.Spent.IsZero() {
		l.spend(key, r.Spent)
	}
}

// holdsOf are what a reservation takes of a limit: once, or of each counter that
// one of its connections has.
func (l *limiter) holdsOf(limit *Limit, r *Reservation) []hold {
	if len(r.Others) == 0 { // nearly always
		if n, ok := limit.applies(r); ok {
			return []hold{l.holdOf(limit, r, n)}
		}
		return nil
	}
	var holds []hold
	for _, one := range r.servers() {
		n, ok := limit.applies(&one)
		if !ok {
			continue
		}
		next := l.holdOf(limit, &one, n)
		if !slices.ContainsFunc(holds, func(h hold) bool { return h.c == next.c }) {
			holds = append(holds, next)
		}
	}
	return holds
}

func (l *limiter) holdOf(limit *Limit, r *Reservation, n int) hold {
	b := append(append(append(l.scratch[:0], limit.Name...), '|'), r.Tenant...)
	for _, per := range limit.Per {
		b = append(b, '|')
		switch per {
		case PerPlaybook:
			b = append(b, r.Playbook...)
		case PerConnection:
			b = append(b, r.Connection...)
		case PerCapability:
			b = append(b, r.Capability...)
		case PerKind:
			b = append(b, r.kind()...)
		}
	}
	l.scratch = b
	c := l.counters[string(b)]
	if c == nil {
		name := string(b)
		c = &counter{name: name, hour: window{width: time.Minute, size: 61}, day: window{width: 15 * time.Minute, size: 97}}
		l.counters[name] = c
	}
	h := hold{limit: limit, c: c, n: n}
	if limit.Run > 0 {
		root := r.Root
		if root == 0 {
			root = r.Run
		}
		key := runLimit{limit.Name, root}
		if h.r = l.runs[key]; h.r == nil {
			h.r = &runCounter{}
			l.runs[key] = h.r
		}
		h.r.last = r.At
	}
	return h
}

// most is the highest count of a day: day and percent, whichever is less; 0 is
// no limit.
func (l *Limit) most(r *Reservation, known map[connector.TargetKind]int) int {
	most := l.Day
	if l.Percent == 0 {
		return most
	}
	all := 0
	for _, k := range r.Kinds {
		if len(l.For.Kind) == 0 || slices.Contains(l.For.Kind, k.Kind) {
			all += known[k.Kind]
		}
	}
	if all == 0 {
		return most
	}
	share := max(1, int(float64(all)*l.Percent/100))
	if most == 0 || share < most {
		return share
	}
	return most
}

// fits tells whether n more are within the limit.
func (h *hold) fits(at time.Time, day int) bool {
	if h.r != nil && h.r.held+h.r.spent+h.n > h.limit.Run {
		return false
	}
	if h.limit.Hour > 0 && h.c.held+h.c.hour.count(at)+h.n > h.limit.Hour {
		return false
	}
	return day == 0 || h.c.held+h.c.day.count(at)+h.n <= day
}

func (h *hold) take(sign int) {
	if h.over {
		return
	}
	h.c.held += sign * h.n
	if h.r != nil {
		h.r.held += sign * h.n
	}
}

// spend counts a reservation as called at a time. Called again, it counts once,
// at the later time.
func (l *limiter) spend(key actKey, at time.Time) {
	h := l.acts[key]
	if h == nil {
		return
	}
	for i := range h.holds {
		hold := &h.holds[i]
		switch {
		case h.Spent.IsZero():
			hold.take(-1)
			if hold.r != nil {
				hold.r.spent += hold.n
			}
		default:
			hold.c.hour.add(h.Spent, -hold.n)
			hold.c.day.add(h.Spent, -hold.n)
		}
		hold.over = false
		hold.c.hour.add(at, hold.n)
		hold.c.day.add(at, hold.n)
	}
	h.Spent = at
}

// release gives back what waits. What was called stays counted.
func (l *limiter) release(key actKey) {
	h := l.acts[key]
	if h == nil {
		return
	}
	if h.Spent.IsZero() {
		for _, hold := range h.holds {
			hold.take(-1)
		}
	}
	delete(l.acts, key)
}

// still tells which limits stand against the call of a reservation: those that
// it was over from the start and still is, and for a call that is made once
// more those whose window it has left meanwhile. What has become free it takes.
func (l *limiter) still(h *held, at time.Time, known map[connector.TargetKind]int) (over []*Limit) {
	for i := range h.holds {
		hold := &h.holds[i]
		most := hold.limit.most(&h.Reservation, known)
		switch {
		case hold.over:
			if !hold.fits(at, most) {
				over = append(over, hold.limit)
				continue
			}
			hold.over = false
			hold.take(1)
		case h.Spent.IsZero() || at.Sub(h.Spent) < time.Hour:
		case !hold.fitsAgain(h.Spent, at, most):
			over = append(over, hold.limit)
		}
	}
	return over
}

// fitsAgain is fits for a call that was counted at a time before.
func (h hold) fitsAgain(spent, at time.Time, most int) bool {
	h.r = nil // a run counts it once
	counted := h.c.day.has(spent)
	if counted {
		h.c.day.add(spent, -h.n)
		defer h.c.day.add(spent, h.n)
	}
	return h.fits(at, most)
}

// maxIdleRuns is how many runs are remembered for long after their last call.
const maxIdleRuns = 200_000

// sweep forgets now and then what can no longer count: calls that failed and
// were not tried again for a day, runs that ended long ago, counters at zero.
func (l *limiter) sweep(at time.Time) {
	if at.Sub(l.swept) < time.Hour {
		return
	}
	l.swept = at
	for key, h := range l.acts {
		if !h.Spent.IsZero() && at.Sub(h.Spent) > 25*time.Hour {
			delete(l.acts, key)
		}
	}
	idle := 30 * 24 * time.Hour
	if len(l.runs) > maxIdleRuns {
		idle = 25 * time.Hour
	}
	for key, r := range l.runs {
		if r.held == 0 && at.Sub(r.last) > idle {
			delete(l.runs, key)
		}
	}
	for name, c := range l.counters {
		if c.held == 0 && c.day.count(at) == 0 {
			delete(l.counters, name)
		}
	}
}

// forgetRun drops the counters of a run that has ended, with all below it.
func (l *limiter) forgetRun(id run.ID) {
	for i := range l.limits {
		if l.limits[i].Run > 0 {
			delete(l.runs, runLimit{l.limits[i].Name, id})
		}
	}
}

// takeOver counts on with what another limiter has counted, for limits of the
// same name.
func (l *limiter) takeOver(old *limiter) {
	names := map[string]bool{}
	for i := range l.limits {
		names[l.limits[i].Name] = true
	}
	for name, c := range old.counters {
		limit, _, _ := strings.Cut(name, "|")
		if names[limit] {
			c.held = 0
			l.counters[name] = c
		}
	}
	for key, c := range old.runs {
		if names[key.limit] {
			c.held = 0
			l.runs[key] = c
		}
	}
	for key, h := range old.acts {
		if h.Spent.IsZero() {
			l.restore(h.Reservation)
			continue
		}
		// It is counted in the windows already; a limit that is new does not know it.
		again := &held{Reservation: h.Reservation}
		for _, hold := range h.holds {
			if i := slices.IndexFunc(l.limits, func(n Limit) bool { return n.Name == hold.limit.Name }); i >= 0 && l.counters[hold.c.name] == hold.c {
				hold.limit = &l.limits[i]
				again.holds = append(again.holds, hold)
			}
		}
		l.acts[key] = again
	}
}
