package enginetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"riposte/connector"
	"riposte/internal/engine"
	"riposte/internal/fault"
	"riposte/internal/run"
	"riposte/playbook"
)

// Catalog is a catalog of actions that take and give anything. The name says
// what an action is: connector.kind_what, with kind one of
//
//	get     a read
//	note    a notification, natural
//	mail    a notification that cannot be repeated
//	block   a change, natural, taken back by free
//	key     a change that the product deduplicates by key
//	once    a change that cannot be repeated
//	free    the change that takes a block back
type Catalog struct{}

var anything = connector.Schema{"type": "object"}

func (Catalog) action(name string) *connector.Action {
	conn, id, ok := strings.Cut(name, ".")
	if !ok {
		return nil
	}
	kind, _, _ := strings.Cut(id, "_")
	a := &connector.Action{Connector: conn, Version: "1.0.0", ID: id, Inputs: anything, Idempotency: connector.Natural, Timeout: time.Minute}
	switch kind {
	case "get":
		a.Impact = connector.Read
	case "note":
		a.Impact = connector.Notify
	case "mail":
		a.Impact, a.Idempotency = connector.Notify, connector.None
	case "block", "free":
		a.Impact = connector.Change
	case "key":
		a.Impact, a.Idempotency = connector.Change, connector.Key
	case "once":
		a.Impact, a.Idempotency = connector.Change, connector.None
	default:
		return nil
	}
	if a.Impact >= connector.Change {
		a.Targets = []connector.TargetSpec{{Input: "ip", Kind: "ip"}}
	}
	if strings.Contains(id, "serial") {
		a.Serialize = "host:${{ lower(inputs.ip) }}"
	}
	return a
}

// Action finds an action by its name.
func (c Catalog) Action(name string) (*connector.Action, bool) { return c.action(name), true }

// Capability finds none: the suite names its actions.
func (Catalog) Capability(string) *connector.Action { return nil }

// Actions, Connectors and Capabilities list nothing: any name that fits will do.
func (Catalog) Actions(string) []string { return nil }

// Connectors lists nothing.
func (Catalog) Connectors() []string { return nil }

// Capabilities lists nothing.
func (Catalog) Capabilities() []string { return nil }

// Plans keeps playbooks and their versions. It outlives the engines of a test.
type Plans struct {
	mu       sync.Mutex
	byHash   map[string]*playbook.Plan
	versions map[string][]*playbook.Plan
	missing  map[string]bool
}

// NewPlans compiles playbooks; each becomes version 1 of its slug.
func NewPlans(texts ...string) (*Plans, error) {
	p := &Plans{byHash: map[string]*playbook.Plan{}, versions: map[string][]*playbook.Plan{}, missing: map[string]bool{}}
	for _, text := range texts {
		if _, err := p.Publish(text); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Publish compiles a playbook as the next version of its slug.
func (p *Plans) Publish(text string) (*playbook.Plan, error) {
	plan, err := p.compile(text)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	plan.Version = len(p.versions[plan.ID]) + 1
	p.versions[plan.ID] = append(p.versions[plan.ID], plan)
	p.byHash[plan.Hash] = plan
	return plan, nil
}

// Draft compiles a playbook without publishing it.
func (p *Plans) Draft(text string) (*playbook.Plan, error) {
	plan, err := p.compile(text)
	if err == nil {
		p.mu.Lock()
		p.byHash[plan.Hash] = plan
		p.mu.Unlock()
	}
	return plan, err
}

func (p *Plans) compile(text string) (*playbook.Plan, error) {
	slug := strings.Fields(text)[1]
	plan, all := playbook.Load(slug+".playbook.yaml", []byte(text), playbook.Options{
		Catalog: Catalog{},
		Playbooks: func(name string, _ int) *playbook.Signature {
			if called, err := p.Published("", name, 0); err == nil {
				return called.Signature()
			}
			return nil
		},
	})
	if plan == nil {
		return nil, fmt.Errorf("compile %s: %v", slug, all)
	}
	return plan, nil
}

// Plan finds a plan by its hash.
func (p *Plans) Plan(hash string) (*playbook.Plan, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if plan := p.byHash[hash]; plan != nil && !p.missing[hash] {
		return plan, nil
	}
	return nil, fmt.Errorf("plan %q: %w", hash, fault.NotFound)
}

// Hide makes a plan unknown, or known again.
func (p *Plans) Hide(hash string, hidden bool) {
	p.mu.Lock()
	p.missing[hash] = hidden
	p.mu.Unlock()
}

// Published finds a version, 0 for the last.
func (p *Plans) Published(_, slug string, version int) (*playbook.Plan, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.versions[slug]
	switch {
	case version == 0 && len(list) > 0:
		return list[len(list)-1], nil
	case version > 0 && version <= len(list):
		return list[version-1], nil
	}
	return nil, fmt.Errorf("playbook %s is not published: %w", slug, fault.NotFound)
}

// Available says yes to everything.
func (p *Plans) Available(_ string, plan *playbook.Plan) map[string]bool {
	m := map[string]bool{}
	for _, name := range plan.Available {
		m[name] = true
	}
	return m
}

// OneStep makes the plan of an undo.
func (p *Plans) OneStep(_ context.Context, s engine.OneStep) (*playbook.Plan, error) {
	o := playbook.OneStep{ID: "undo", Action: s.Action, Playbook: s.Playbook, Retry: s.Retry, Every: s.Every, Within: s.Within, Impact: connector.Change}
	if s.Action != "" {
		if o.Spec = (Catalog{}).action(s.Action); o.Spec == nil || o.Spec.Connector == "gone" {
			return nil, fmt.Errorf("action %s is not loaded: %w", s.Action, fault.NotFound)
		}
		o.Impact = o.Spec.Impact
	}
	for _, q := range s.Asks {
		o.By, o.Need = append(o.By, q.People...), max(o.Need, q.Need)
	}
	plan, err := o.Plan()
	if err == nil {
		p.mu.Lock()
		p.byHash[plan.Hash] = plan
		p.mu.Unlock()
	}
	return plan, err
}

// Caller stands for all connectors. It answers ok with an empty output unless
// On said otherwise, and remembers every call.
type Caller struct {
	mu     sync.Mutex
	on     map[string]func(ctx context.Context, c engine.Call) engine.Answer
	calls  []engine.Call
	limits map[string]engine.Limits
	now    map[string]int // calls under way by connection
	most   map[string]int
}

// NewCaller makes a caller for which every call succeeds.
func NewCaller() *Caller {
	return &Caller{
		on: map[string]func(context.Context, engine.Call) engine.Answer{}, limits: map[string]engine.Limits{},
		now: map[string]int{}, most: map[string]int{},
	}
}

// On sets what an action does.
func (c *Caller) On(action string, f func(ctx context.Context, c engine.Call) engine.Answer) {
	c.mu.Lock()
	c.on[action] = f
	c.mu.Unlock()
}

// Limit sets what a connection bears.
func (c *Caller) Limit(connection string, l engine.Limits) {
	c.mu.Lock()
	c.limits[connection] = l
	c.mu.Unlock()
}

// Route names the connection of an action after its connector.
func (c *Caller) Route(_, connection, action string) (string, engine.Limits) {
	if connection == "" {
		connection, _, _ = strings.Cut(action, ".")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return connection, c.limits[connection]
}

// Call does what On said.
func (c *Caller) Call(ctx context.Context, call engine.Call) engine.Answer {
	c.mu.Lock()
	c.calls = append(c.calls, call)
	f := c.on[call.Name]
	c.now[call.Connection]++
	c.most[call.Connection] = max(c.most[call.Connection], c.now[call.Connection])
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.now[call.Connection]--
		c.mu.Unlock()
	}()
	if f == nil {
		return OK(nil)
	}
	return f(ctx, call)
}

// Calls lists the calls of an action so far, of all for "".
func (c *Caller) Calls(action string) []engine.Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []engine.Call
	for _, x := range c.calls {
		if action == "" || x.Name == action {
			list = append(list, x)
		}
	}
	return list
}

// Most is how many calls a connection had under way at once.
func (c *Caller) Most(connection string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.most[connection]
}

// OK is a success with an output.
func OK(output any) engine.Answer {
	if output == nil {
		output = map[string]any{}
	}
	b, err := json.Marshal(output)
	if err != nil {
		b = []byte("null")
	}
	return engine.Answer{Result: connector.Result{Status: connector.OK, Output: b}}
}

// Fail is an error of a class.
func Fail(class connector.Class, message string) engine.Answer {
	return engine.Answer{Result: connector.Result{Status: connector.Failed, Class: class, Message: message, Temporary: class == connector.Transient || class == connector.RateLimited}}
}

// Gate is a guard that allows everything unless told otherwise.
type Gate struct {
	mu       sync.Mutex
	check    func(c engine.Call) run.CheckResult
	admit    func(c engine.Call) (bool, run.CheckResult, error)
	checks   int
	admits   int
	released []run.Act
	results  []connector.Result
}

// OnCheck and OnAdmit set what the guard says.
func (g *Gate) OnCheck(f func(c engine.Call) run.CheckResult) {
	g.mu.Lock()
	g.check = f
	g.mu.Unlock()
}

// OnAdmit sets what the guard says just before a call.
func (g *Gate) OnAdmit(f func(c engine.Call) (bool, run.CheckResult, error)) {
	g.mu.Lock()
	g.admit = f
	g.mu.Unlock()
}

// Check decides before anything is asked or called.
func (g *Gate) Check(_ context.Context, c engine.Call) (run.CheckResult, func(engine.Tx) error, error) {
	g.mu.Lock()
	g.checks++
	f := g.check
	g.mu.Unlock()
	if f == nil {
		return run.CheckResult{Hash: "h"}, nil, nil
	}
	return f(c), nil, nil
}

// Admit decides just before a call.
func (g *Gate) Admit(_ context.Context, c engine.Call) (bool, run.CheckResult, error) {
	g.mu.Lock()
	g.admits++
	f := g.admit
	g.mu.Unlock()
	if f == nil {
		return true, run.CheckResult{}, nil
	}
	return f(c)
}

// Release notes what was given back.
func (g *Gate) Release(_ engine.Tx, _ run.ID, act run.Act) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Contains(g.released, act) {
		g.released = append(g.released, act)
	}
	return nil
}

// Result notes how a call ended.
func (g *Gate) Result(_ engine.Call, r connector.Result) {
	g.mu.Lock()
	g.results = append(g.results, r)
	g.mu.Unlock()
}

// Released lists the activations whose reservation was given back.
func (g *Gate) Released() []run.Act {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.released)
}

// Clock is a clock that stands still until it is moved.
type Clock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*clockTimer
}

type clockTimer struct {
	at   time.Time
	f    func()
	over bool
}

// NewClock begins on a Monday.
func NewClock() *Clock { return &Clock{now: time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)} }

// Now is the time on the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// AfterFunc calls f once the clock has moved far enough.
func (c *Clock) AfterFunc(d time.Duration, f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &clockTimer{at: c.now.Add(d), f: f}
	if d <= 0 {
		t.over = true
		go f()
		return func() bool { return false }
	}
	c.timers = append(c.timers, t)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		was := !t.over
		t.over = true
		return was
	}
}

// Move turns the clock forwards and calls what is due, in order.
func (c *Clock) Move(d time.Duration) {
	c.mu.Lock()
	until := c.now.Add(d)
	for {
		slices.SortStableFunc(c.timers, func(a, b *clockTimer) int { return a.at.Compare(b.at) })
		c.timers = slices.DeleteFunc(c.timers, func(t *clockTimer) bool { return t.over })
		if len(c.timers) == 0 || c.timers[0].at.After(until) {
			break
		}
		t := c.timers[0]
		t.over = true
		if t.at.After(c.now) {
			c.now = t.at
		}
		c.mu.Unlock()
		t.f()
		c.mu.Lock()
	}
	c.now = until
	c.mu.Unlock()
}

// Set turns the clock to any time, forwards or back, without a sound.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	c.now = t
	c.mu.Unlock()
}
