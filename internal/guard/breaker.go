package guard

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"riposte/connector"
	"riposte/internal/run"
	"riposte/playbook"
)

// BreakerRule says what stops a connection or a playbook for a while.
type BreakerRule struct {
	Name   string        `yaml:"breaker,required" pattern:"[a-z][a-z0-9-]{1,62}" doc:"the breaker's name: small letters, digits, hyphens"`
	Reason string        `yaml:"reason,required" min:"1" doc:"what it is for"`
	Per    LimitPer      `yaml:"per,required" enum:"connection,playbook" doc:"what is stopped"`
	Errors *BreakerRate  `yaml:"errors" doc:"too many calls failed, for a reason that lies in the product or the way to it"`
	Undos  *BreakerCount `yaml:"undos" doc:"people took too much back because it was wrong"`
	Volume *BreakerCount `yaml:"volume" doc:"too many changes, whatever became of them"`
	Open   time.Duration `yaml:"open" doc:"how long it stops; then one call tries, and if that fails twice as long, up to an hour; default 5m"`
}

// BreakerRate is a share of calls.
type BreakerRate struct {
	Percent int           `yaml:"percent,required" min:"1" doc:"of the calls failed"`
	Of      int           `yaml:"of,required" min:"1" doc:"at least so many calls"`
	In      time.Duration `yaml:"in,required" doc:"in this time"`
}

// BreakerCount is a number in a time.
type BreakerCount struct {
	Count int           `yaml:"count,required" min:"1" doc:"how many open it"`
	In    time.Duration `yaml:"in,required" doc:"in this time"`
}

const (
	defaultOpen = 5 * time.Minute
	longestOpen = time.Hour
)

func (b *BreakerRule) check(report func(path, expected, what string)) {
	if b.Errors == nil && b.Undos == nil && b.Volume == nil {
		report("", "give it errors, undos or volume", fmt.Sprintf("the breaker %q never opens", b.Name))
	}
	if b.Errors != nil && b.Errors.Percent > 100 {
		report("/errors/percent", "at most 100", fmt.Sprintf("percent is %d", b.Errors.Percent))
	}
	for path, in := range map[string]time.Duration{"/errors/in": rateIn(b.Errors), "/undos/in": countIn(b.Undos), "/volume/in": countIn(b.Volume)} {
		if in != 0 && (in < 10*time.Second || in > 24*time.Hour) {
			report(path, "a time from 10s to 24h", fmt.Sprintf("in is %s", playbook.FormatDuration(in)))
		}
	}
}

func rateIn(r *BreakerRate) time.Duration {
	if r == nil {
		return 0
	}
	return r.In
}

func countIn(c *BreakerCount) time.Duration {
	if c == nil {
		return 0
	}
	return c.In
}

// breakerKey names one breaker of a rule.
type breakerKey struct {
	rule, tenant, name string
}

// breaker watches one connection or playbook. It is closed (all go), open until
// a time (none go), and then half open: one call goes, and its end decides.
type breaker struct {
	rule                  *BreakerRule
	name                  string
	calls, failed, wrong  window
	volume                window
	until                 time.Time // open until; zero: closed
	lasts                 time.Duration
	why                   string
	byErrors              bool
	probe                 actKey    // the call that tries while the breaker is half open
	probeUntil, lastHeard time.Time // a probe that is not heard of by then is given up
}

func newBreaker(r *BreakerRule, name string) *breaker {
	b := &breaker{rule: r, name: name}
	b.calls, b.failed = windowOf(rateIn(r.Errors)), windowOf(rateIn(r.Errors))
	b.wrong, b.volume = windowOf(countIn(r.Undos)), windowOf(countIn(r.Volume))
	return b
}

// windowOf is a window of a time in about sixty buckets of whole seconds.
func windowOf(in time.Duration) window {
	if in == 0 {
		return window{width: time.Second, size: 1}
	}
	width := max(time.Second, (in / 60).Truncate(time.Second))
	return window{width: width, size: int(math.Ceil(float64(in)/float64(width))) + 1}
}

// shut tells whether the breaker holds a call back, and until when.
func (b *breaker) shut(key actKey, at time.Time) (until time.Time, shut bool) {
	switch {
	case b.until.IsZero():
		return time.Time{}, false
	case at.Before(b.until):
		return b.until, true
	case b.probe == (actKey{}) || b.probe == key || !at.Before(b.probeUntil):
		return time.Time{}, false
	}
	return b.probeUntil, true
}

// probeBy makes a call the probe of a breaker that is half open.
func (b *breaker) probeBy(key actKey, at time.Time) {
	if !b.until.IsZero() {
		b.probe, b.probeUntil = key, at.Add(b.lasts)
	}
}

// ended notes how a call ended. changes tells whether it counts as volume.
func (b *breaker) ended(key actKey, failed, counts, changes bool, at time.Time) {
	b.lastHeard = at
	if changes {
		b.volume.add(at, 1)
	}
	if counts {
		b.calls.add(at, 1)
		if failed {
			b.failed.add(at, 1)
		}
	}
	if !b.until.IsZero() {
		b.probed(key, failed, at)
		return
	}
	switch r := b.rule; {
	case r.Errors != nil && b.calls.count(at) >= r.Errors.Of && b.failed.count(at)*100 >= r.Errors.Percent*b.calls.count(at):
		b.open(at, true, fmt.Sprintf("%d of %d calls failed in %s", b.failed.count(at), b.calls.count(at), playbook.FormatDuration(r.Errors.In)))
	case r.Volume != nil && b.volume.count(at) >= r.Volume.Count:
		b.open(at, false, fmt.Sprintf("%d changes in %s", b.volume.count(at), playbook.FormatDuration(r.Volume.In)))
	}
}

// probed decides after a probe. Calls that left before the breaker opened decide
// nothing.
func (b *breaker) probed(key actKey, failed bool, at time.Time) {
	if key != b.probe || b.probe == (actKey{}) {
		return
	}
	b.probe = actKey{}
	if failed {
		lasts := min(2*b.lasts, longestOpen)
		b.open(at, b.byErrors, b.why+"; a try failed again")
		b.lasts, b.until = lasts, at.Add(lasts)
		return
	}
	*b = *newBreaker(b.rule, b.name)
	b.lastHeard = at
}

// takenBack notes that something was undone because it was wrong.
func (b *breaker) takenBack(at time.Time) {
	b.lastHeard = at
	b.wrong.add(at, 1)
	if r := b.rule.Undos; r != nil && b.until.IsZero() && b.wrong.count(at) >= r.Count {
		b.open(at, false, fmt.Sprintf("%d changes were taken back as wrong in %s", b.wrong.count(at), playbook.FormatDuration(r.In)))
	}
}

func (b *breaker) open(at time.Time, byErrors bool, why string) {
	b.lasts = b.rule.Open
	if b.lasts <= 0 {
		b.lasts = defaultOpen
	}
	b.until, b.byErrors, b.why, b.probe = at.Add(b.lasts), byErrors, why, actKey{}
}

// Ended is how a call ended.
type Ended struct {
	Tenant     string
	Playbook   string
	Connection string
	Run        run.ID
	Act        run.Act
	Impact     connector.Impact
	Undo       bool
	Result     connector.Result
	At         time.Time
}

// each takes a call apart that several connections served.
func (e Ended) each() []Ended {
	if len(e.Result.Results) == 0 {
		return []Ended{e}
	}
	all := make([]Ended, len(e.Result.Results))
	for i, r := range e.Result.Results {
		all[i] = e
		all[i].Connection, all[i].Result = r.Connection, r
	}
	return all
}

// faulty tells whether a result speaks against the product or the way to it. One
// that speaks against the request itself (invalid, not found, refused by the
// product) says nothing.
func faulty(r *connector.Result) (failed, counts bool) {
	switch r.Status {
	case connector.OK, connector.Already:
		return false, true
	case connector.Denied:
		return false, false
	case connector.Unknown:
		return true, true
	case connector.Failed, connector.Partial:
	}
	switch r.Class {
	case connector.Auth, connector.Permission, connector.Transient, connector.Permanent, connector.Timeout,
		connector.UnknownOutcome, connector.BadAnswer, connector.PartialError:
		return true, true
	default:
		return false, false
	}
}

// OpenBreaker is a breaker that holds calls back.
type OpenBreaker struct {
	Breaker string    `json:"breaker"`
	Per     LimitPer  `json:"per"`
	Name    string    `json:"name"` // of the connection or playbook
	Tenant  string    `json:"tenant,omitempty"`
	Why     string    `json:"why"`
	Until   time.Time `json:"until"` // then one call tries
}

// breakersOf gives the breakers that watch a connection and a playbook, made if
// they are not there yet. The list is good until the next call.
func (g *Guard) breakersOf(tenant, playbook, connection string) []*breaker {
	list := g.scratch[:0]
	for i := range g.set.breakers {
		r := &g.set.breakers[i]
		name := connection
		if r.Per == PerPlaybook {
			name = playbook
		}
		if name == "" {
			continue
		}
		key := breakerKey{r.Name, tenant, name}
		b := g.breakers[key]
		if b == nil {
			b = newBreaker(r, name)
			g.breakers[key] = b
		}
		list = append(list, b)
	}
	g.scratch = list
	return list
}

// broken finds an open breaker in the way of a request. An undo meets only that
// of its own connection, and only where calls fail: one that opened because too
// much was done or taken back must not keep it in place.
func (g *Guard) broken(q *Request) (Decision, bool) {
	if q.Impact < connector.Notify {
		return Decision{}, false
	}
	for _, b := range g.watching(q) {
		until, shut := b.shut(q.key(), q.At)
		if !shut {
			continue
		}
		return Decision{
			Outcome: Later, By: CheckBreaker, Rule: "breaker " + b.rule.Name, RetryAfter: max(until.Sub(q.At), time.Second),
			Message: fmt.Sprintf("the breaker %s holds %s %s back until %s: %s", b.rule.Name, b.rule.Per, b.name, until.UTC().Format("15:04:05 UTC"), b.why),
		}, true
	}
	return Decision{}, false
}

// watching gives the breakers that a request has to pass.
func (g *Guard) watching(q *Request) []*breaker {
	list := g.breakersOf(q.Tenant, q.Playbook, q.Connection)
	for _, o := range q.Others {
		for _, b := range g.breakersOf(q.Tenant, q.Playbook, o.Connection) {
			if !slices.Contains(list, b) {
				list = append(list, b)
			}
		}
	}
	if !q.Undo {
		return list
	}
	return slices.DeleteFunc(list, func(b *breaker) bool { return b.rule.Per != PerConnection || !b.byErrors })
}

// Breakers lists those that hold calls back.
func (g *Guard) Breakers(at time.Time) []OpenBreaker {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := []OpenBreaker{}
	for key, b := range g.breakers {
		if !b.until.IsZero() {
			list = append(list, OpenBreaker{Breaker: b.rule.Name, Per: b.rule.Per, Name: b.name, Tenant: key.tenant, Why: b.why, Until: b.until})
		}
	}
	slices.SortFunc(list, func(a, b OpenBreaker) int {
		return cmp.Or(cmp.Compare(a.Breaker, b.Breaker), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Tenant, b.Tenant))
	})
	return list
}

// CloseBreaker lets calls go again before the time, because somebody has looked.
// It tells whether the breaker was open.
func (g *Guard) CloseBreaker(rule, tenant, name string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.breakers[breakerKey{rule, tenant, name}]
	if b == nil || b.until.IsZero() {
		return false
	}
	*b = *newBreaker(b.rule, b.name)
	return true
}
