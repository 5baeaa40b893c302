package guard

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"riposte/connector"
)

// Hit is a protected object that an action would touch.
type Hit struct {
	List   string           `json:"list"`
	Owner  string           `json:"owner"`
	Reason string           `json:"reason"`
	Entry  string           `json:"entry"` // what was hit: the list's entry, or "label NAME"
	Target connector.Target `json:"target"`
}

func (h Hit) String() string {
	return fmt.Sprintf("%s %s is protected by the list %s (%s): %s", h.Target.Kind, h.Target.Value, h.List, h.Entry, h.Reason)
}

// index answers in less than a microsecond whether any of a million entries
// protects a target: sorted ranges for addresses, hash tables for names. Lists
// that hold for the same kinds and tenants share one part.
type index struct {
	parts []*part
	until time.Time // when the first list expires and the index must be made anew; zero: never
}

type part struct {
	tenants []string
	kinds   []connector.TargetKind
	lists   []*List

	v4, v6   []span
	domains  map[string]int32 // with all that is below
	above    map[string]int32 // what lies above a protected domain
	exact    map[connector.Target]int32
	exactly  map[connector.TargetKind]bool // the kinds in exact
	users    map[string]int32              // in each form that it is looked up in
	hosts    map[string]int32
	patterns map[connector.TargetKind][]pattern
	labels   map[string]int32
}

// span is a range of addresses and the list it comes from. The spans of a part
// are sorted and do not touch.
type span struct {
	first, last netip.Addr
	list        int32
}

type pattern struct {
	re   *regexp.Regexp
	text string
	list int32
}

// newIndex makes the index of the lists that hold at a time.
func newIndex(lists []List, at time.Time) *index {
	x := &index{}
	for i := range lists {
		l := &lists[i]
		if l.over(at) {
			continue
		}
		if !l.Expires.IsZero() && (x.until.IsZero() || l.Expires.Before(x.until)) {
			x.until = l.Expires
		}
		x.partFor(l).add(l)
	}
	for _, p := range x.parts {
		p.v4, p.v6 = disjoint(p.v4), disjoint(p.v6)
	}
	return x
}

func (x *index) partFor(l *List) *part {
	for _, p := range x.parts {
		if slices.Equal(p.tenants, l.Tenants) && slices.Equal(p.kinds, l.Kinds) {
			return p
		}
	}
	p := &part{
		tenants: l.Tenants, kinds: l.Kinds,
		domains: map[string]int32{}, above: map[string]int32{}, exact: map[connector.Target]int32{}, exactly: map[connector.TargetKind]bool{},
		users: map[string]int32{}, hosts: map[string]int32{}, patterns: map[connector.TargetKind][]pattern{}, labels: map[string]int32{},
	}
	x.parts = append(x.parts, p)
	return p
}

func (p *part) add(l *List) {
	n := int32(len(p.lists))
	p.lists = append(p.lists, l)
	for _, s := range l.IPs {
		p.addNet(s, n)
	}
	for _, s := range l.Domains {
		d := plainDomain(s)
		put(p.domains, d, n)
		p.addAbove(d, n)
	}
	for _, s := range l.Hosts {
		h := strings.ToLower(s)
		put(p.hosts, h, n)
		put(p.hosts, short(h)+".", n) // looked up by a target without a domain
	}
	for _, s := range l.Users {
		p.addUser(s, n)
	}
	for _, s := range l.Mailboxes {
		p.addExact("mailbox", s, n)
	}
	for kind, values := range l.Exact {
		for _, s := range values {
			p.addExact(kind, s, n)
		}
	}
	for kind, patterns := range l.Patterns {
		for _, s := range patterns {
			if re, err := compilePattern(s); err == nil {
				p.patterns[kind] = append(p.patterns[kind], pattern{re, s, n})
			}
		}
	}
	for _, s := range l.Labels {
		put(p.labels, strings.ToLower(s), n)
	}
}

// put keeps the first list that names a key.
func put[K comparable](m map[K]int32, key K, list int32) {
	if _, ok := m[key]; !ok {
		m[key] = list
	}
}

func (p *part) addNet(s string, n int32) {
	net, ok := parseNet(s)
	if !ok {
		return
	}
	sp := span{first: net.Addr(), last: lastOf(net), list: n}
	if net.Addr().Is4() {
		p.v4 = append(p.v4, sp)
	} else {
		p.v6 = append(p.v6, sp)
	}
}

func lastOf(p netip.Prefix) netip.Addr {
	if p.IsSingleIP() {
		return p.Addr()
	}
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 1 << (7 - bit%8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}

func (p *part) addAbove(d string, n int32) {
	for {
		_, parent, ok := strings.Cut(d, ".")
		if !ok {
			return
		}
		put(p.above, parent, n)
		d = parent
	}
}

func (p *part) addExact(kind connector.TargetKind, s string, n int32) {
	switch kind {
	case "ip", "cidr":
		if net, ok := parseNet(s); ok {
			s = net.String()
		}
	case "domain":
		s = plainDomain(s)
		p.addAbove(s, n)
	default:
		s = strings.ToLower(s)
	}
	put(p.exact, connector.Target{Kind: kind, Value: s}, n)
	p.exactly[kind] = true
}

// addUser enters a user under each form that is the same account: DOMAIN\name,
// name@domain and name. A name without a domain is everybody's of that name.
func (p *part) addUser(s string, n int32) {
	name, domain := userParts(s)
	if domain == "" {
		put(p.users, name, n)
		return
	}
	put(p.users, name+"@"+domain, n)
	put(p.users, name+"@", n) // looked up by a target without a domain
}

func userParts(s string) (name, domain string) {
	s = strings.ToLower(s)
	if d, name, ok := strings.Cut(s, `\`); ok {
		return name, d
	}
	name, domain, _ = strings.Cut(s, "@")
	return name, domain
}

func short(host string) string {
	name, _, _ := strings.Cut(host, ".")
	return name
}

// disjoint sorts ranges and keeps the outermost of those inside each other.
// Networks are never half inside each other.
func disjoint(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(a.first.Compare(b.first), b.last.Compare(a.last), cmp.Compare(a.list, b.list))
	})
	kept := spans[:0]
	for _, s := range spans {
		if len(kept) == 0 || kept[len(kept)-1].last.Less(s.first) {
			kept = append(kept, s)
		}
	}
	return slices.Clip(kept)
}

// find tells whether a target is protected for a tenant. A URL without a path is
// its whole host, so it is held against what protects that, too.
func (x *index) find(tenant string, t connector.Target, labels []string) (Hit, bool) {
	hit, ok := x.findAs(tenant, t, labels)
	if ok || t.Kind != "url" {
		return hit, ok
	}
	u, err := url.Parse(t.Value)
	if err != nil || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return Hit{}, false
	}
	whole := connector.Target{Kind: "domain", Value: u.Hostname()}
	if _, isIP := parseNet(u.Hostname()); isIP {
		whole.Kind = "ip"
	}
	hit, ok = x.findAs(tenant, whole, nil)
	hit.Target = t
	return hit, ok
}

func (x *index) findAs(tenant string, t connector.Target, labels []string) (Hit, bool) {
	for _, p := range x.parts {
		if len(p.tenants) > 0 && !slices.Contains(p.tenants, tenant) {
			continue
		}
		if len(p.kinds) > 0 && !slices.Contains(p.kinds, t.Kind) {
			continue
		}
		if n, entry, ok := p.find(t, labels); ok {
			l := p.lists[n]
			return Hit{List: l.Name, Owner: l.Owner, Reason: l.Reason, Entry: entry, Target: t}, true
		}
	}
	return Hit{}, false
}

func (p *part) find(t connector.Target, labels []string) (list int32, entry string, ok bool) {
	for _, label := range labels {
		if n, ok := p.labels[strings.ToLower(label)]; ok {
			return n, "label " + label, true
		}
	}
	switch t.Kind {
	case "ip", "cidr":
		list, entry, ok = p.findNet(t.Value)
	case "domain":
		list, entry, ok = p.findDomain(t.Value)
	case "url":
		list, entry, ok = p.findURL(t.Value)
	case "email":
		if at := strings.LastIndexByte(t.Value, '@'); at >= 0 {
			list, entry, ok = p.below(plainDomain(t.Value[at+1:]))
		}
	case "host":
		list, entry, ok = p.findHost(t.Value)
	case "user":
		list, entry, ok = p.findUser(t.Value)
	}
	if ok {
		return list, entry, true
	}
	return p.findExact(t)
}

func (p *part) findExact(t connector.Target) (int32, string, bool) {
	if !p.exactly[t.Kind] && len(p.patterns[t.Kind]) == 0 {
		return 0, "", false
	}
	value := strings.ToLower(t.Value)
	switch t.Kind {
	case "ip", "cidr":
		if net, ok := parseNet(t.Value); ok {
			value = net.String()
		}
	case "domain":
		value = plainDomain(t.Value)
	}
	if len(p.exact) > 0 {
		if n, ok := p.exact[connector.Target{Kind: t.Kind, Value: value}]; ok {
			return n, value, true
		}
	}
	for _, pat := range p.patterns[t.Kind] {
		if pat.re.MatchString(value) {
			return pat.list, "pattern " + pat.text, true
		}
	}
	return 0, "", false
}

// findNet looks for a protected range that a network or an address touches.
func (p *part) findNet(s string) (int32, string, bool) {
	net, ok := parseNet(s)
	if !ok {
		return 0, "", false
	}
	spans, first, last := p.v4, net.Addr(), lastOf(net)
	if net.Addr().Is6() {
		spans = p.v6
	}
	i, _ := slices.BinarySearchFunc(spans, first, func(s span, a netip.Addr) int { return s.last.Compare(a) })
	if i < len(spans) && !last.Less(spans[i].first) {
		return spans[i].list, spans[i].String(), true
	}
	return 0, "", false
}

// String writes a range as the network it is.
func (s span) String() string {
	for bits := s.first.BitLen(); bits >= 0; bits-- {
		if p := netip.PrefixFrom(s.first, bits); p.Masked().Addr() == s.first && lastOf(p) == s.last {
			if bits == s.first.BitLen() {
				return s.first.String()
			}
			return p.String()
		}
	}
	return s.first.String() + "-" + s.last.String()
}

// below looks for a protected domain that is d or lies above it.
func (p *part) below(d string) (int32, string, bool) {
	for d != "" {
		if n, ok := p.domains[d]; ok {
			return n, d, true
		}
		_, d, _ = strings.Cut(d, ".")
	}
	return 0, "", false
}

// findDomain also looks for protected domains below d: blocking a domain takes
// what is below it along.
func (p *part) findDomain(s string) (int32, string, bool) {
	d := plainDomain(s)
	if n, entry, ok := p.below(d); ok {
		return n, entry, true
	}
	if n, ok := p.above[d]; ok {
		return n, "something below " + d, true
	}
	return 0, "", false
}

// findURL looks at the URL's host.
func (p *part) findURL(s string) (int32, string, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return 0, "", false
	}
	if _, isIP := parseNet(u.Hostname()); isIP {
		return p.findNet(u.Hostname())
	}
	return p.below(plainDomain(u.Hostname()))
}

// findHost takes short and full names for the same machine: it is better to ask
// once too often than to cut off a domain controller under its other name.
func (p *part) findHost(s string) (int32, string, bool) {
	h := strings.TrimSuffix(strings.ToLower(s), ".")
	if n, ok := p.hosts[h]; ok {
		return n, h, true
	}
	if !strings.Contains(h, ".") {
		n, ok := p.hosts[h+"."]
		return n, h, ok
	}
	n, ok := p.hosts[short(h)]
	return n, short(h), ok
}

func (p *part) findUser(s string) (int32, string, bool) {
	name, domain := userParts(s)
	if n, ok := p.users[name]; ok {
		return n, name, true
	}
	if domain == "" {
		n, ok := p.users[name+"@"]
		return n, name, ok
	}
	n, ok := p.users[name+"@"+domain]
	return n, name + "@" + domain, ok
}
