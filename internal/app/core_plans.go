package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"riposte/connector"
	"riposte/internal/engine"
	"riposte/internal/fault"
	"riposte/internal/store"
	"riposte/playbook"
)

// plans keeps compiled playbooks: those published now by slug, and every plan
// that a run is pinned to by its hash.
type plans struct {
	c         *core
	mu        sync.RWMutex
	byHash    map[string]*playbook.Plan
	published map[slugKey]*playbook.Plan
	list      map[string][]*playbook.Plan // the published ones of a tenant, by slug
	changing  sync.Mutex                  // one publish at a time
}

type slugKey struct{ tenant, slug string }

// loadPlans compiles everything that is published.
func loadPlans(ctx context.Context, c *core) (*plans, error) {
	p := &plans{c: c, byHash: map[string]*playbook.Plan{}, published: map[slugKey]*playbook.Plan{}, list: map[string][]*playbook.Plan{}}
	var rows []store.PlaybookVersion
	err := c.db.Read(ctx, func(q *store.Reader) (err error) {
		rows, err = store.PublishedPlaybooks(q)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("load playbooks: %w", err)
	}
	for _, v := range rows {
		plan, err := compileStored(v)
		if err != nil {
			return nil, err
		}
		p.put(v.Tenant, plan)
	}
	return p, nil
}

// signatures are the actions that a plan was compiled against. They stand in
// for the registry when it is compiled again, so a run does not change when a
// connector does.
type signatures struct {
	Actions      map[string]*connector.Action   `json:"actions"`      // as the playbook names them
	Capabilities map[string]*connector.Action   `json:"capabilities"` // likewise
	Playbooks    map[string]*playbook.Signature `json:"playbooks"`
}

// signaturesOf collects what a plan resolved.
func signaturesOf(p *playbook.Plan, opt playbook.Options) signatures {
	s := signatures{Actions: map[string]*connector.Action{}, Capabilities: map[string]*connector.Action{}, Playbooks: map[string]*playbook.Signature{}}
	add := func(name string, capability bool, spec *connector.Action) {
		switch {
		case spec == nil:
		case capability:
			s.Capabilities[name] = spec
		default:
			s.Actions[spec.Name()] = spec
		}
	}
	for i := range p.Nodes {
		n := &p.Nodes[i]
		var u *playbook.Undo
		switch {
		case n.Action != nil:
			add(n.Action.Name, n.Action.Capability, n.Action.Spec)
			if poll := n.Action.Poll; poll != nil {
				add("", false, poll.Spec)
				add("", false, poll.Cancel)
			}
			u = n.Action.Undo
		case n.Call != nil:
			if sig := opt.Playbooks(n.Call.Playbook, n.Call.Version); sig != nil {
				s.Playbooks[n.Call.Playbook] = sig
			}
			u = n.Call.Undo
		}
		if u != nil {
			add(u.Action, u.Capability, u.Spec)
		}
	}
	return s
}

// frozen is signatures as a connector.Catalog.
type frozen struct{ known signatures }

func (f frozen) Action(name string) (*connector.Action, bool) {
	a := f.known.Actions[name]
	return a, a != nil
}
func (f frozen) Capability(name string) *connector.Action { return f.known.Capabilities[name] }
func (f frozen) Actions(string) []string                  { return nil }
func (f frozen) Connectors() []string                     { return nil }
func (f frozen) Capabilities() []string                   { return nil }

// compileStored compiles a stored version against its own signatures.
func compileStored(v store.PlaybookVersion) (*playbook.Plan, error) {
	var s signatures
	if err := json.Unmarshal([]byte(v.Signatures), &s); err != nil {
		return nil, fmt.Errorf("playbook %s version %d: signatures: %w", v.Slug, v.Version, err)
	}
	opt := playbook.Options{Catalog: frozen{s}, Playbooks: func(slug string, _ int) *playbook.Signature { return s.Playbooks[slug] }}
	plan, diagnostics := playbook.Load(v.Slug+".playbook.yaml", []byte(v.Source), opt)
	if plan == nil {
		return nil, fmt.Errorf("playbook %s version %d does not compile any more: %s", v.Slug, v.Version, firstError(diagnostics))
	}
	plan.Version, plan.Hash = v.Version, v.Hash
	return plan, nil
}

func firstError(all []playbook.Diagnostic) string {
	for _, d := range all {
		if d.Severity == playbook.SeverityError {
			return d.String()
		}
	}
	return "no error was told"
}

// put makes a plan the published one of its slug.
func (p *plans) put(tenant string, plan *playbook.Plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byHash[plan.Hash] = plan
	p.published[slugKey{tenant, plan.ID}] = plan
	p.relist(tenant)
}

func (p *plans) drop(tenant, slug string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.published, slugKey{tenant, slug})
	p.relist(tenant)
}

// relist makes a new list, so that those who hold the old one are not disturbed.
func (p *plans) relist(tenant string) {
	var list []*playbook.Plan
	for k, plan := range p.published {
		if k.tenant == tenant {
			list = append(list, plan)
		}
	}
	slices.SortFunc(list, func(a, b *playbook.Plan) int { return strings.Compare(a.ID, b.ID) })
	p.list[tenant] = list
}

// All lists what is published in a tenant, by slug.
func (p *plans) All(tenant string) []*playbook.Plan {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.list[tenantOf(tenant)]
}

func tenantOf(s string) string {
	if s == "" {
		return store.DefaultTenant
	}
	return s
}

// Plan finds a plan by its hash.
func (p *plans) Plan(hash string) (*playbook.Plan, error) {
	p.mu.RLock()
	plan := p.byHash[hash]
	p.mu.RUnlock()
	if plan != nil {
		return plan, nil
	}
	plan, err := p.find(context.Background(), hash)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byHash[hash] = plan
	return plan, nil
}

// storedPlan is the body of a plan that is no published version: a draft, or
// the one step of an undo.
type storedPlan struct {
	Draft   *store.PlaybookVersion `json:"draft,omitempty"`
	OneStep *playbook.OneStep      `json:"one_step,omitempty"`
}

func (p *plans) find(ctx context.Context, hash string) (plan *playbook.Plan, err error) {
	err = p.c.db.Read(ctx, func(q *store.Reader) error {
		v, err := store.PlaybookByHash(q, hash)
		if err == nil {
			plan, err = compileStored(v)
			return err
		}
		if !errors.Is(err, fault.NotFound) {
			return err
		}
		body, err := store.PlanByHash(q, hash)
		if err != nil {
			return fmt.Errorf("plan %.12s: %w", hash, err)
		}
		var st storedPlan
		if err := json.Unmarshal([]byte(body), &st); err != nil {
			return fmt.Errorf("plan %.12s: %w", hash, err)
		}
		switch {
		case st.OneStep != nil:
			plan, err = st.OneStep.Plan()
		case st.Draft != nil:
			plan, err = compileStored(*st.Draft)
		default:
			err = fmt.Errorf("plan %.12s is empty: %w", hash, fault.NotFound)
		}
		if plan != nil {
			plan.Hash = hash
		}
		return err
	})
	return plan, err
}

// Published finds the plan of a version, 0 for the one published now.
func (p *plans) Published(tenant, slug string, version int) (*playbook.Plan, error) {
	tenant = tenantOf(tenant)
	p.mu.RLock()
	plan := p.published[slugKey{tenant, slug}]
	p.mu.RUnlock()
	switch {
	case plan != nil && (version == 0 || version == plan.Version):
		return plan, nil
	case version == 0:
		return nil, fmt.Errorf("playbook %s is not published: %w", slug, fault.NotFound)
	}
	var v store.PlaybookVersion
	err := p.c.db.Read(context.Background(), func(q *store.Reader) (err error) {
		v, err = store.PlaybookVersionOf(q, tenant, slug, version)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("playbook %s version %d: %w", slug, version, err)
	}
	return p.Plan(v.Hash)
}

// Available answers what a plan asks with available().
func (p *plans) Available(tenant string, plan *playbook.Plan) map[string]bool {
	m := make(map[string]bool, len(plan.Available))
	for _, name := range plan.Available {
		m[name] = p.c.caller.Available(tenant, name)
	}
	return m
}

// OneStep makes and keeps the plan of an undo.
func (p *plans) OneStep(ctx context.Context, s engine.OneStep) (*playbook.Plan, error) {
	one := playbook.OneStep{
		ID: "undo", Action: s.Action, Playbook: s.Playbook, Impact: connector.Change, Within: s.Within, Retry: s.Retry, Every: s.Every,
	}
	for _, q := range s.Asks {
		one.By, one.Need = append(one.By, q.People...), max(one.Need, q.Need)
	}
	if s.Action != "" {
		if spec, _ := p.c.registry.Action(s.Action); spec != nil {
			one.Spec, one.Impact = spec, spec.Impact
		} else if spec := p.c.registry.Capability(s.Action); spec != nil {
			one.Spec, one.Impact = spec, spec.Impact
		} else {
			return nil, fmt.Errorf("action %s is not loaded any more: %w", s.Action, fault.NotFound)
		}
	}
	plan, err := one.Plan()
	if err != nil {
		return nil, err
	}
	return plan, p.keep(ctx, plan, storedPlan{OneStep: &one})
}

// keep stores a plan that is no published version, once.
func (p *plans) keep(ctx context.Context, plan *playbook.Plan, body storedPlan) error {
	p.mu.RLock()
	known := p.byHash[plan.Hash] != nil
	p.mu.RUnlock()
	if known {
		return nil
	}
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if err := p.c.db.Write(ctx, func(tx *store.Tx) error {
		return store.KeepPlan(tx, store.DefaultTenant, plan.Hash, string(b), p.c.now().UTC())
	}); err != nil {
		return fmt.Errorf("keep a plan: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byHash[plan.Hash] = plan
	return nil
}

// options is what a check of a tenant's playbook knows.
func (p *plans) options(tenant string) playbook.Options {
	return playbook.Options{
		Catalog: p.c.registry,
		Playbooks: func(slug string, version int) *playbook.Signature {
			plan, err := p.Published(tenant, slug, version)
			if err != nil {
				return nil
			}
			return plan.Signature()
		},
		People: p.people,
	}
}

// people gives those behind a name of a playbook.
func (p *plans) people(name string) ([]string, bool) {
	if p.c.people.Problem(name) != "" {
		return nil, false
	}
	return p.c.people.Ever([]string{name}), true
}

// CheckError is a playbook that a check does not let through.
type CheckError struct{ Diagnostics []playbook.Diagnostic }

func (e *CheckError) Error() string {
	for _, d := range e.Diagnostics {
		if d.Severity == playbook.SeverityError || d.Code == playbook.CodeNotLoaded {
			return d.String()
		}
	}
	return "the playbook does not pass its check"
}

// Unwrap makes it a fault.Invalid.
func (e *CheckError) Unwrap() error { return fault.Invalid }

// Check says what is wrong with a text.
func (p *plans) Check(tenant, file, text string) []playbook.Diagnostic {
	_, diagnostics := playbook.Load(file, []byte(text), p.options(tenant))
	return diagnostics
}

// compile makes a plan that may run: without errors, and with everything that
// it needs loaded. A playbook may call itself.
func (p *plans) compile(tenant, slug, text string) (*playbook.Plan, signatures, []playbook.Diagnostic, error) {
	opt := p.options(tenant)
	if parsed, _ := playbook.Parse(slug+".playbook.yaml", []byte(text)); parsed != nil && opt.Playbooks(slug, 0) == nil {
		known, own := opt.Playbooks, parsed.Signature()
		opt.Playbooks = func(s string, version int) *playbook.Signature {
			if s == slug && version == 0 {
				return own
			}
			return known(s, version)
		}
	}
	plan, diagnostics := playbook.Load(slug+".playbook.yaml", []byte(text), opt)
	missing := slices.ContainsFunc(diagnostics, func(d playbook.Diagnostic) bool { return d.Code == playbook.CodeNotLoaded })
	if plan == nil || missing {
		return nil, signatures{}, diagnostics, &CheckError{diagnostics}
	}
	if plan.ID != slug {
		return nil, signatures{}, diagnostics, fmt.Errorf("the text is of playbook %s, not of %s: %w", plan.ID, slug, fault.Invalid)
	}
	return plan, signaturesOf(plan, opt), diagnostics, nil
}

// Publish makes a text the published version of its playbook. The text and
// signatures published now change nothing.
func (p *plans) Publish(ctx context.Context, tenant, slug, text, by string) (store.PlaybookVersion, []playbook.Diagnostic, error) {
	tenant = tenantOf(tenant)
	p.changing.Lock()
	defer p.changing.Unlock()
	plan, sigs, diagnostics, err := p.compile(tenant, slug, text)
	if err != nil {
		return store.PlaybookVersion{}, diagnostics, err
	}
	b, err := json.Marshal(sigs)
	if err != nil {
		return store.PlaybookVersion{}, diagnostics, fmt.Errorf("publish %s: %w", slug, err)
	}
	v := store.PlaybookVersion{
		Tenant: tenant, Slug: slug, Language: plan.Language, Hash: plan.Hash, Title: plan.Title, Source: text,
		Signatures: string(b), By: by, At: p.c.now().UTC().Truncate(time.Microsecond),
	}
	err = p.c.db.Write(ctx, func(tx *store.Tx) (err error) {
		v, err = store.PublishPlaybook(tx, v)
		return err
	})
	if err != nil {
		return v, diagnostics, fmt.Errorf("publish %s: %w", slug, err)
	}
	plan.Version, plan.Hash = v.Version, v.Hash
	p.put(tenant, plan)
	return v, diagnostics, nil
}

// Unpublish ends it: no trigger starts it any more; runs go on.
func (p *plans) Unpublish(ctx context.Context, tenant, slug string) error {
	tenant = tenantOf(tenant)
	p.changing.Lock()
	defer p.changing.Unlock()
	err := p.c.db.Write(ctx, func(tx *store.Tx) error { return store.UnpublishPlaybook(tx, tenant, slug) })
	if err != nil {
		return fmt.Errorf("unpublish %s: %w", slug, err)
	}
	p.drop(tenant, slug)
	return nil
}

// Draft makes a plan of a text that is not published, to run it by hand.
func (p *plans) Draft(ctx context.Context, tenant, slug, text string) (*playbook.Plan, error) {
	plan, sigs, _, err := p.compile(tenant, slug, text)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(sigs)
	if err != nil {
		return nil, fmt.Errorf("draft of %s: %w", slug, err)
	}
	return plan, p.keep(ctx, plan, storedPlan{Draft: &store.PlaybookVersion{Tenant: tenant, Slug: slug, Hash: plan.Hash, Source: text, Signatures: string(b)}})
}
