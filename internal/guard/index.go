package guard

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"riposte/connector"
)

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
		h := plainHost(s)
		put(p.hosts, h, n)
		put(p.hosts, short(h)+".", n) // looked up by a target without a domain
	}
	for _, s := range l.Users {
		p.addUser(s, n)
	}
	for _, s := range l.Mailboxes {
		p.addExact("mailbox", s, n)
		p.addExact("email", s, n) // its owner is harmed as much when nobody hears of them
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
	case "url":
		s = plainURL(s)
	case "email", "mailbox":
		s = plainMail(s)
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
	if s := short(domain); s != domain {
		put(p.users, name+"@"+s, n) // CORP is how Windows calls corp.example
	} else {
		put(p.users, name+"@"+domain+".", n) // looked up by a target with a full domain
	}
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
