package intel

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"riposte/internal/fault"
	"riposte/internal/observable"
)

// Matcher answers from memory what is known of a thing. The zero value knows
// nothing. It may be used by many goroutines at once.
type Matcher struct {
	mu    sync.RWMutex
	known table[*Indicator]
	allow table[Allowed]
}

// Allowed is an entry of the allow list: a thing that is ours or known to be
// good, with everything below it (addresses of a network, names of a domain).
type Allowed struct {
	Tenant string `json:"tenant,omitempty"`
	observable.Observable
	List    string    `json:"list"` // the list that holds it
	By      string    `json:"by,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Expires time.Time `json:"expires,omitzero"` // zero: never
}

func (a Allowed) over(at time.Time) bool { return !a.Expires.IsZero() && !at.Before(a.Expires) }

// Change says what has become of an indicator: the event of a playbook's
// trigger.
type Change string

// The changes.
const (
	Same    Change = ""
	Added   Change = "added"
	Changed Change = "changed"
	Dropped Change = "dropped"
)

// key names a thing of a tenant.
type key struct {
	tenant string
	observable.Observable
}

// table finds things and what lies above them.
type table[V any] struct {
	all  map[key]V
	nets map[string]*[2][129]int // by tenant: how many networks of each length, IPv4 and IPv6
}

func (t *table[V]) put(k key, v V) {
	if t.all == nil {
		t.all, t.nets = map[key]V{}, map[string]*[2][129]int{}
	}
	if _, ok := t.all[k]; !ok {
		t.count(k, 1)
	}
	t.all[k] = v
}

func (t *table[V]) remove(k key) {
	if _, ok := t.all[k]; ok {
		t.count(k, -1)
		delete(t.all, k)
	}
}

func (t *table[V]) count(k key, n int) {
	if k.Type != observable.CIDR {
		return
	}
	p, err := netip.ParsePrefix(k.Value)
	if err != nil {
		return
	}
	lengths := t.nets[k.tenant]
	if lengths == nil {
		lengths = new([2][129]int)
		t.nets[k.tenant] = lengths
	}
	lengths[version(p.Addr())][p.Bits()] += n
}

func version(a netip.Addr) int {
	if a.Is6() {
		return 1
	}
	return 0
}

// find gives what holds of a thing: itself, else the nearest above it, such as
// the smallest network around an address or the longest domain above a name.
func (t *table[V]) find(tenant string, o observable.Observable, holds func(V) bool) (v V, ok bool) {
	try := func(typ observable.Type, value string) bool {
		v, ok = t.all[key{tenant, observable.Observable{Type: typ, Value: value}}]
		ok = ok && holds(v)
		return ok
	}
	if len(t.all) == 0 || try(o.Type, o.Value) {
		return v, ok
	}
	switch o.Type {
	case observable.IP, observable.CIDR:
		t.findNet(tenant, o.Value, try)
	case observable.Domain:
		findDomain(o.Value, try)
	case observable.URL:
		if u, err := url.Parse(o.Value); err == nil && u.Host != "" {
			t.findHost(tenant, u.Hostname(), try)
		}
	case observable.Email:
		if _, domain, found := strings.Cut(o.Value, "@"); found {
			findDomain(domain, try)
		}
	default:
	}
	if !ok {
		var none V
		return none, false
	}
	return v, true
}

func (t *table[V]) findHost(tenant, host string, try func(observable.Type, string) bool) {
	if o, err := observable.Parse(observable.IP, host); err == nil {
		if !try(observable.IP, o.Value) {
			t.findNet(tenant, o.Value, try)
		}
		return
	}
	findDomain(host, try)
}

func (t *table[V]) findNet(tenant, value string, try func(observable.Type, string) bool) bool {
	lengths := t.nets[tenant]
	if lengths == nil {
		return false
	}
	net, err := netip.ParsePrefix(value)
	if err != nil {
		a, err := netip.ParseAddr(value)
		if err != nil {
			return false
		}
		net = netip.PrefixFrom(a, a.BitLen())
	}
	for bits := net.Bits(); bits >= 0; bits-- {
		if lengths[version(net.Addr())][bits] == 0 {
			continue
		}
		if try(observable.CIDR, netip.PrefixFrom(net.Addr(), bits).Masked().String()) {
			return true
		}
	}
	return false
}

func findDomain(name string, try func(observable.Type, string) bool) {
	for name != "" && !try(observable.Domain, name) {
		_, name, _ = strings.Cut(name, ".")
	}
}

// Load takes up indicators and allow list entries as they were stored.
func (m *Matcher) Load(indicators []Indicator, allowed []Allowed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, i := range indicators {
		m.known.put(key{i.Tenant, i.Observable}, &i)
	}
	for _, a := range allowed {
		m.allow.put(key{a.Tenant, a.Observable}, a)
	}
}

// Lookup finds what is known of a thing at a time: its own indicator, else that
// of the network around an address or of a domain above a name. ok is false
// where nobody has an opinion that still holds.
func (m *Matcher) Lookup(tenant string, o observable.Observable, at time.Time) (found Indicator, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	i, ok := m.known.find(tenant, o, func(i *Indicator) bool { return i.Known(at) })
	if !ok {
		return Indicator{}, false
	}
	return i.clone(), true
}

// Get finds the indicator of exactly this thing, whether or not an opinion still
// holds.
func (m *Matcher) Get(tenant string, o observable.Observable) (Indicator, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	i := m.known.all[key{tenant, o}]
	if i == nil {
		return Indicator{}, false
	}
	return i.clone(), true
}

func (i *Indicator) clone() Indicator {
	c := *i
	c.Opinions, c.Tags = slices.Clone(i.Opinions), slices.Clone(i.Tags)
	return c
}

// Listed finds the allow list's entry for a thing, or for what lies above it: the
// network of an address, the domain of a name, the host of a URL, the domain of
// an e-mail address.
func (m *Matcher) Listed(tenant string, o observable.Observable, at time.Time) (Allowed, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.allow.find(tenant, o, func(a Allowed) bool { return !a.over(at) })
}

// Allow puts an entry on the allow list, in the place of one for the same thing.
// It returns fault.Invalid for an entry that is over, or without a list.
func (m *Matcher) Allow(a Allowed, at time.Time) error {
	if a.over(at) || a.List == "" {
		return fmt.Errorf("allow list: %s needs a list, and an end that lies ahead: %w", a.Observable, fault.Invalid)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.allow.put(key{a.Tenant, a.Observable}, a)
	return nil
}

// Disallow takes an entry off the allow list and tells whether it was there.
func (m *Matcher) Disallow(tenant string, o observable.Observable) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := key{tenant, o}
	_, ok := m.allow.all[k]
	m.allow.remove(k)
	return ok
}

// AllowList lists the entries of a tenant, sorted by type and value.
func (m *Matcher) AllowList(tenant string) []Allowed {
	m.mu.RLock()
	defer m.mu.RUnlock()
	list := []Allowed{}
	for k, a := range m.allow.all {
		if k.tenant == tenant {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(a, b Allowed) int { return compare(a.Observable, b.Observable) })
	return list
}

// All lists the indicators of a tenant, sorted by type and value.
func (m *Matcher) All(tenant string) []Indicator {
	m.mu.RLock()
	defer m.mu.RUnlock()
	list := []Indicator{}
	for k, i := range m.known.all {
		if k.tenant == tenant {
			list = append(list, i.clone())
		}
	}
	slices.SortFunc(list, func(a, b Indicator) int { return compare(a.Observable, b.Observable) })
	return list
}

func compare(a, b observable.Observable) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Value, b.Value))
}

// Add enters a source's opinion of a thing, in the place of what the same source
// said before, and adds tags. newID is taken where the thing was not known. It
// gives the indicator as it is to be stored and what has changed of it.
func (m *Matcher) Add(tenant string, o observable.Observable, op Opinion, tags []string, newID ID) (Indicator, Change, error) {
	if err := op.check(); err != nil {
		return Indicator{}, Same, fmt.Errorf("add %s: %w", o, err)
	}
	return m.alter(tenant, o, newID, op.At, func(i *Indicator) {
		at := slices.IndexFunc(i.Opinions, func(p Opinion) bool { return p.Source == op.Source })
		if at < 0 {
			i.Opinions = append(i.Opinions, op)
		} else {
			i.Opinions[at] = op
		}
		i.tag(tags)
	})
}

// Withdraw takes a source's opinion back. It returns fault.NotFound where there
// is none.
func (m *Matcher) Withdraw(tenant string, o observable.Observable, source string, at time.Time) (Indicator, Change, error) {
	had := false
	i, c, err := m.alter(tenant, o, 0, at, func(i *Indicator) {
		before := len(i.Opinions)
		i.Opinions = slices.DeleteFunc(i.Opinions, func(p Opinion) bool { return p.Source == source })
		had = len(i.Opinions) < before
	})
	if err == nil && !had {
		return i, Same, fmt.Errorf("withdraw %s: %s has no opinion of it: %w", o, source, fault.NotFound)
	}
	return i, c, err
}

// Tag adds tags to a thing, which need not be known: then it has no verdict.
func (m *Matcher) Tag(tenant string, o observable.Observable, tags []string, newID ID, at time.Time) (Indicator, Change, error) {
	return m.alter(tenant, o, newID, at, func(i *Indicator) { i.tag(tags) })
}

// Untag takes tags off a thing. One that is neither tagged nor known any more is
// dropped.
func (m *Matcher) Untag(tenant string, o observable.Observable, tags []string, at time.Time) (Indicator, Change, error) {
	return m.alter(tenant, o, 0, at, func(i *Indicator) {
		i.Tags = slices.DeleteFunc(i.Tags, func(t string) bool { return slices.Contains(tags, t) })
	})
}

func (i *Indicator) tag(tags []string) {
	for _, t := range tags {
		if t = strings.TrimSpace(t); t != "" && !slices.Contains(i.Tags, t) {
			i.Tags = append(i.Tags, t)
		}
	}
	slices.Sort(i.Tags)
}

// alter changes an indicator, or makes one where newID is given.
func (m *Matcher) alter(tenant string, o observable.Observable, newID ID, at time.Time, change func(*Indicator)) (Indicator, Change, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := key{tenant, o}
	old := m.known.all[k]
	i := Indicator{ID: newID, Tenant: tenant, Observable: o, Added: at, Changed: at}
	if old != nil {
		i = old.clone()
	}
	change(&i)
	switch {
	case len(i.Opinions) == 0 && len(i.Tags) == 0:
		m.known.remove(k)
		if old == nil {
			return i, Same, nil
		}
		return i, Dropped, nil
	case old == nil && newID == 0:
		return i, Same, fmt.Errorf("%s is not known, and no ID is given for it: %w", o, fault.NotFound)
	case old == nil:
		m.known.put(k, &i)
		return i.clone(), Added, nil
	case equal(old, &i):
		return i, Same, nil
	}
	i.Changed = at
	m.known.put(k, &i)
	return i.clone(), Changed, nil
}

// equal leaves out when an opinion was last heard: hearing it again is no change.
func equal(a, b *Indicator) bool {
	return slices.Equal(a.Tags, b.Tags) && slices.EqualFunc(a.Opinions, b.Opinions, func(x, y Opinion) bool {
		x.At, y.At = time.Time{}, time.Time{}
		return x == y
	})
}

// Expire lists the indicators whose last opinion has run out between two times,
// after the first and up to the second: the event expired.
func (m *Matcher) Expire(after, until time.Time) []Indicator {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var list []Indicator
	for _, i := range m.known.all {
		if len(i.Opinions) > 0 && i.Known(after) && !i.Known(until) {
			list = append(list, i.clone())
		}
	}
	slices.SortFunc(list, func(a, b Indicator) int { return compare(a.Observable, b.Observable) })
	return list
}
