// Package egress decides where calls may go. A connection may call the hosts of
// its egress list, and of those only what resolves to public addresses, unless
// the administrator allows more for this connection. Names are judged before
// they are resolved and addresses after, just before the connection is made, so
// neither a redirect nor a changed DNS answer leads anywhere else.
//
// The package does no I/O: a dialer asks Policy.Address for each address that it
// is about to connect to.
package egress

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"riposte/internal/fault"
)

// Policy is what one connection may call. The zero Policy allows no host.
type Policy struct {
	// Hosts are patterns: a name, *.name (every name below it), an address, or *.
	// A port may follow; without one every port is allowed.
	Hosts []string
	// AllowPrivate lets calls go to private networks: 10.0.0.0/8, 172.16.0.0/12,
	// 192.168.0.0/16, 100.64.0.0/10 and fc00::/7.
	AllowPrivate bool
	// AllowLoopback lets calls go to this machine: 127.0.0.0/8 and ::1.
	AllowLoopback bool
	// AllowLinkLocal lets calls go to 169.254.0.0/16 and fe80::/10, where clouds
	// keep the machine's own credentials.
	AllowLinkLocal bool
}

// Refusal is why a call may not go somewhere. It is a fault.Denied.
type Refusal struct {
	Target string // the host or address
	Why    string // and what would allow it
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("calling %s is not allowed: %s", r.Target, r.Why)
}

// Unwrap makes every Refusal a fault.Denied.
func (r *Refusal) Unwrap() error { return fault.Denied }

// URL checks where a request is about to go: scheme, host and, where the host is
// an address, the address.
func (p *Policy) URL(u *url.URL) error {
	if u.Scheme != "https" && u.Scheme != "http" {
		return &Refusal{u.Scheme + "://…", "only http and https are called"}
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return p.Host(u.Hostname(), port)
}

// Host checks a host before it is resolved.
func (p *Policy) Host(host, port string) error {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "" {
		return &Refusal{"an address without a host", "name one"}
	}
	if !p.matches(name, port) {
		return &Refusal{host, "its egress list has " + describe(p.Hosts) + "; the connector or the connection must name the host"}
	}
	if a, err := netip.ParseAddr(name); err == nil {
		return p.check(a, host)
	}
	if legacyNumber(name) {
		// Resolvers of C libraries read 0x7f.1 and 2130706433 as 127.0.0.1.
		return &Refusal{host, "it is a number in an unusual form; write addresses as 203.0.113.9"}
	}
	return nil
}

func describe(hosts []string) string {
	if len(hosts) == 0 {
		return "no host"
	}
	return strings.Join(hosts, ", ")
}

func (p *Policy) matches(name, port string) bool {
	for _, pattern := range p.Hosts {
		host, wantPort := splitPattern(strings.ToLower(pattern))
		if wantPort != "" && wantPort != port {
			continue
		}
		if host == "*" || host == name {
			return true
		}
		if below, ok := strings.CutPrefix(host, "*."); ok && strings.HasSuffix(name, "."+below) {
			return true
		}
		if a, err := netip.ParseAddr(host); err == nil {
			if b, err := netip.ParseAddr(name); err == nil && a.Unmap() == b.Unmap() {
				return true
			}
		}
	}
	return false
}

// splitPattern parts a pattern into host and port.
func splitPattern(s string) (host, port string) {
	if rest, ok := strings.CutPrefix(s, "["); ok {
		host, port, _ = strings.Cut(rest, "]")
		return host, strings.TrimPrefix(port, ":")
	}
	if strings.Count(s, ":") != 1 {
		return strings.TrimSuffix(s, "."), ""
	}
	host, port, _ = strings.Cut(s, ":")
	return strings.TrimSuffix(host, "."), port
}

// legacyNumber tells whether a name would be read as an address by resolvers
// that know the old forms: decimal, octal or hexadecimal numbers.
func legacyNumber(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}

// Address checks an address that is about to be connected to, as host:port with
// the host resolved.
func (p *Policy) Address(network, address string) error {
	if !strings.HasPrefix(network, "tcp") && !strings.HasPrefix(network, "udp") {
		return &Refusal{address, "only TCP and UDP are used, not " + network}
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return &Refusal{address, "it is no resolved address"}
	}
	return p.check(ap.Addr(), ap.Addr().String())
}

var (
	private = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
	// 192.0.0.0/24 holds protocol addresses such as DNS64's, 198.18.0.0/15 is for
	// measurements, 240.0.0.0/4 is reserved.
	reserved = prefixes("0.0.0.0/8", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "::/128", "100::/64", "5f00::/16", "fec0::/10")
	// Metadata services that are not link-local.
	metadata = prefixes("100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32", "fd00:ec2::254/128")
	nat64    = netip.MustParsePrefix("64:ff9b::/96")
	nat64own = netip.MustParsePrefix("64:ff9b:1::/48")
	sixToFor = netip.MustParsePrefix("2002::/16")
	teredo   = netip.MustParsePrefix("2001::/32")
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

func in(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// check judges one address; name is what the message calls it.
func (p *Policy) check(a netip.Addr, name string) error {
	a = inner(a.Unmap().WithZone(""))
	target := name
	if name != a.String() {
		target = fmt.Sprintf("%s (%s)", name, a)
	}
	switch {
	case a.IsLoopback():
		if !p.AllowLoopback {
			return &Refusal{target, "it is this machine itself; the administrator can allow it for this connection (allow_loopback)"}
		}
	case in(metadata, a) || a.IsLinkLocalUnicast():
		if !p.AllowLinkLocal {
			return &Refusal{target, "it is a link-local or metadata address, which gives out credentials in clouds; the administrator can allow it for this connection (allow_link_local)"}
		}
	case a.IsUnspecified() || a.IsMulticast() || in(reserved, a) || a.Is4() && a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return &Refusal{target, "no server has such an address"}
	case in(private, a):
		if !p.AllowPrivate {
			return &Refusal{target, "it is a private address; the administrator can allow them for this connection (allow_private)"}
		}
	}
	return nil
}

// inner is the IPv4 address inside an IPv6 address that stands for one: what a
// gateway would really connect to.
func inner(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	b := a.As16()
	switch {
	case nat64.Contains(a), nat64own.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case sixToFor.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	case teredo.Contains(a):
		return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})
	case isCompatible(b):
		return netip.AddrFrom4([4]byte(b[12:16]))
	}
	return a
}

// isCompatible tells whether an address has the old form ::a.b.c.d.
func isCompatible(b [16]byte) bool {
	for _, x := range b[:12] {
		if x != 0 {
			return false
		}
	}
	return b[12] != 0 // leaves out :: and ::1
}
