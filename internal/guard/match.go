package guard

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"

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

// find tells whether a target is protected for a tenant. A URL without a path is
// its whole host, so it is held against what protects that, too.
func (x *index) find(tenant string, t connector.Target, labels []string) (Hit, bool) {
	hit, ok := x.findAs(tenant, t, labels)
	if ok || t.Kind != "url" {
		return hit, ok
	}
	u, err := url.Parse(t.Value)
	if err != nil || u.Host == "" || path.Clean("/"+u.Path) != "/" || u.RawQuery != "" {
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
	case "url":
		value = plainURL(t.Value)
	case "email", "mailbox":
		value = plainMail(t.Value)
		if name, domain, ok := strings.Cut(value, "@"); ok {
			name, _, _ = strings.Cut(name, "+") // ann+x@… is delivered to ann@…
			if n, ok := p.exact[connector.Target{Kind: t.Kind, Value: name + "@" + domain}]; ok {
				return n, name + "@" + domain, true
			}
		}
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
	h := plainHost(s)
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

func (p *part) findUser(user string) (int32, string, bool) {
	name, domain := userParts(user)
	if n, ok := p.users[name]; ok {
		return n, name, true
	}
	if domain == "" {
		n, ok := p.users[name+"@"]
		return n, name, ok
	}
	if n, ok := p.users[name+"@"+domain]; ok {
		return n, name + "@" + domain, true
	}
	s, _, full := strings.Cut(domain, ".")
	if !full {
		return 0, "", false
	}
	n, ok := p.users[name+"@"+s+"."]
	return n, name + "@" + s, ok
}
